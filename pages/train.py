"""Train: launch a fine-tune, watch it, leave it, come back to it."""

import pandas as pd
import streamlit as st

from core.data.prepare import PreparationSpec
from core.data.store import DatasetRecord, list_datasets
from core.errors import InputError
from core.home import weights_folder
from core.images.layouts import LAYOUTS
from core.models.backbones import BACKBONES
from core.models.spec import NetworkSpec
from core.plots.figures import confusion_matrix, learning_curves
from core.runs.launch import ensure_worker
from core.runs.preflight import preflight_apart
from core.runs.result import headline, load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunState, RunStore, read_log
from core.training.augmentations import AUGMENTATIONS
from core.training.spec import TrainingSpec
from core.training.splits import SplitSpec
from ui.forms import ask_field, ask_genes, ask_record
from ui.parts import (
    decided,
    download_table,
    errors,
    finished_runs,
    go_to,
    name_run,
    pick_dataset,
    pick_role,
    pick_run,
    say_samples,
    scores_table,
    show_empty,
    show_figure,
)

RATIOS = {"60/40": 0.4, "70/30": 0.3, "80/20": 0.2, "90/10": 0.1}
BADGES = {
    RunState.QUEUED: ":gray-badge[queued]",
    RunState.RUNNING: ":blue-badge[running]",
    RunState.DONE: ":green-badge[done]",
    RunState.FAILED: ":red-badge[failed]",
    RunState.CANCELLED: ":orange-badge[cancelled]",
}


def ask_weights(backbone: str) -> str:
    """What the network starts from, and in plain words what that needs."""
    record = BACKBONES[backbone]
    kinds = {
        "scratch": "From scratch (random)",
        "imagenet": "ImageNet (torchvision's file)",
        "file": "A weights file on this computer",
        "run": "A finished run of the same network",
    }
    kind = st.selectbox("Initial weights", list(kinds), format_func=kinds.get, key="weights kind")
    if kind == "imagenet" and not (weights_folder() / record.file).exists():
        st.caption(
            f"{record.file} ({record.megabytes:.0f} MB) is not here yet: the run downloads it "
            f"first. Without internet, put it into `{weights_folder()}`."
        )
    if kind == "file":
        path = st.text_input("Path of the file", key="weights path", placeholder="/data/net.pth")
        return f"file:{path.strip()}"
    if kind == "run":
        runs = [run for run in finished_runs() if run.spec.network.backbone == backbone]
        if not runs:
            st.caption(f"There is no finished run of {record.title} yet.")
            return "scratch"
        names = {run.id: name_run(run) for run in runs}
        return "run:" + st.selectbox("Run", list(names), format_func=names.get, key="weights run")
    return kind


def ask_split() -> dict:
    """How samples are divided."""
    choices = [*RATIOS, "k-fold"]
    ratio = st.selectbox(
        "Training / test", choices, index=1, key="ratio",
        help="The paper names four ratios without their values; these are our reading of it. "
        "k-fold holds every sample out once and trains a network for each fold.",
    )  # fmt: skip
    if ratio == "k-fold":
        return {"kind": "kfold", "folds": int(ask_field(SplitSpec, "folds", key="folds"))}
    return {"test_size": RATIOS[ratio]}


def ask_spec(record: DatasetRecord) -> RunSpec:
    """The whole specification of a run, from three columns of inputs."""
    what, network_column, how = st.columns(3, gap="large")
    with what:
        st.markdown("##### What")
        label = pick_role(record, "label")
        if label is None:
            raise InputError("Choose the column that holds the class.")
        group = pick_role(record, "group")
        choices = decided(record)
        say_samples(record, choices)
        split = ask_split()
    with network_column:
        st.markdown("##### Network")
        backbone = ask_record(BACKBONES, "Network", key="backbone", default="squeezenet1_1")
        weights = ask_weights(backbone)
        head = ask_field(NetworkSpec, "head", key="head")
        frozen = {"nothing": "nothing, train all of it", "backbone": "all but the head"}
        freeze = st.selectbox(
            "Frozen part", ["nothing", "backbone", *BACKBONES[backbone].stages],
            format_func=lambda stage: frozen.get(stage, f"up to and including {stage}"),
            key=f"freeze {backbone}", help="Frozen layers keep their initial weights.",
        )  # fmt: skip
    with how:
        st.markdown("##### Gene-images and training")
        layout = ask_record(LAYOUTS, "Layout", key="layout")
        augmentation = ask_record(AUGMENTATIONS, "Augmentation", key="augmentation")
        if warning := AUGMENTATIONS[augmentation].warning:
            st.warning(warning)
        image_size = ask_field(NetworkSpec, "image_size", key="image size")
        epochs = ask_field(TrainingSpec, "epochs", key="epochs")
    with st.expander("More settings"):
        first, second, third, fourth = st.columns(4)
        with first:
            genes = ask_genes(record, choices.preparation.genes)
            scaling = ask_field(
                PreparationSpec, "scaling", key=f"scaling {record.id[:12]}",
                default=choices.preparation.scaling,
            )  # fmt: skip
            seed = ask_field(RunSpec, "seed", key="seed")
        with second:
            pool = ask_field(NetworkSpec, "pool", key="pool")
            dropout = ask_field(NetworkSpec, "dropout", key="dropout")
            validation = ask_field(SplitSpec, "validation", key="validation")
        training = {}
        fields = ("batch_size", "learning_rate", "weight_decay",
                  "label_smoothing", "patience", "precision", "class_weights")  # fmt: skip
        for number, name in enumerate(fields):
            with (third, fourth)[number % 2]:
                training[name] = ask_field(TrainingSpec, name, key=f"training {name}")
    return RunSpec.parse(
        {
            "dataset": record.id,
            "label": label,
            "group": group,
            "where": choices.where,
            "leave_out": choices.leave_out,
            "preparation": {
                **choices.preparation.model_dump(), "genes": genes, "scaling": scaling,
            },
            "layout": {"name": layout},
            "network": {
                "backbone": backbone, "weights": weights, "head": head, "pool": pool,
                "freeze": freeze, "image_size": image_size, "dropout": dropout,
            },
            "split": {**split, "validation": validation},
            "training": {**training, "epochs": epochs, "augmentation": augmentation},
            "seed": seed,
        }
    )  # fmt: skip


def show_launch() -> None:
    """The form, and the button that starts a run."""
    record = pick_dataset()
    if record is None:
        return
    spec = ask_spec(record)
    parameters = BACKBONES[spec.network.backbone].parameters
    if parameters > 20e6 and spec.network.freeze == "nothing":
        st.caption(
            f"{BACKBONES[spec.network.backbone].title} is large ({parameters / 1e6:.0f} million "
            f"parameters with its own classifier) for {record.samples:,} samples: without a GPU "
            "take small images, and look whether SqueezeNet or logistic regression does as well."
        )
    with st.expander("This run as YAML, for the command line"):
        st.code(spec.to_yaml(), language="yaml")
        st.caption("Save it as run.yaml and start it with `python -m core run run.yaml`.")
    if st.button("Start training", type="primary", key="start"):
        with st.spinner("Checking the settings"):
            preflight_apart(spec)
        record, created = RunStore().submit(spec)
        ensure_worker()
        if not created:
            st.toast("This question was asked before: here is its run.")
        st.query_params["run"] = record.id
        st.session_state["last run"] = record.id
        st.rerun()


def show_runs() -> None:
    """All runs, and one of them in full."""
    store = RunStore()
    store.reconcile()
    records = store.list()
    st.divider()
    st.subheader("Runs")
    if not records:
        st.caption("No run yet. Choose settings above and press Start training.")
        return
    record = pick_run(records)
    live = not record.state.finished
    with st.container():  # of its own: a fragment that grows would draw over what follows it
        st.fragment(watch, run_every=1 if live else None)(record.id, live)
    if not live:
        show_ended(record)


def watch(run: str, live: bool) -> None:
    """A run's state, progress and curves; reruns the page once when the run ends."""
    with errors():
        store = RunStore()
        store.reconcile()
        record = store.get(run)
        if live and record.state.finished:
            st.rerun()
        st.markdown(f"{BADGES[record.state]} **{record.name}** · `{record.id}`")
        if record.state == RunState.QUEUED:
            place = store.position(run)
            st.progress(0.0, f"Number {place} in the queue. It is safe to close this tab.")
            ensure_worker()
        elif record.state == RunState.RUNNING:
            text = f"{record.message.capitalize()}. It is safe to close this tab."
            st.progress(min(record.done / max(record.total, 1), 1.0), text)
        if live and st.button("Cancel", key="cancel"):
            store.cancel(run)
            st.rerun(scope="fragment")
        epochs = store.epochs(run)
        if len(epochs):
            show_figure(
                learning_curves(epochs), epochs, "learning_curves",
                alt="Loss and validation scores by epoch", key="curves",
            )  # fmt: skip
        with st.expander("Log"):
            st.code(read_log(run) or "nothing yet", language=None)


def show_ended(record: RunRecord) -> None:
    """The result of a finished run, or why there is none and what to do."""
    store = RunStore()
    if record.state == RunState.DONE:
        show_result(record)
    else:
        show = st.error if record.state == RunState.FAILED else st.info
        reason, _, log = (record.reason or "").partition("\n")
        show(reason)
        if log:
            st.code(log, language=None)
        if st.button("Resume", type="primary", key="resume"):
            store.resume(record.id)
            ensure_worker()
            st.rerun()
    with st.popover("Delete this run"):
        st.markdown("Its network, predictions and gene tables go too.")
        if st.button("Yes, delete", key="delete"):
            store.delete(record.id)
            st.session_state.pop("last run", None)
            del st.query_params["run"]
            st.rerun()


def show_result(record: RunRecord) -> None:
    """Scores beside the plain baselines, confusion, predictions, and where to go on."""
    result, predictions = load_result(record.id), load_predictions(record.id)
    st.markdown(f"#### {headline(record.id)}")
    left, right = st.columns(2, gap="large")
    with left:
        table = scores_table(result)
        st.dataframe(table.style.format(precision=3), width="stretch")
        download_table(table.reset_index(), "scores", "CSV", key="scores")
        for note in result.notes:
            st.caption(note)
        st.caption(
            f"{result.n_train} training, {result.n_validation} validation, {result.n_test} "
            f"held-out samples · {result.parameters / 1e6:.1f} million parameters · "
            f"{result.seconds:.0f} s on {result.device}, {result.precision} · {result.weights}"
        )
    with right:
        counts = pd.DataFrame(result.confusion, result.classes, result.classes)
        show_figure(
            confusion_matrix(counts.to_numpy(), result.classes),
            counts.rename_axis("true").reset_index(), "confusion_matrix",
            alt="True against predicted class", key="confusion",
        )  # fmt: skip
    with st.expander("Predictions of the held-out samples"):
        wrong = st.toggle("Only wrong ones", key="wrong")
        shown = (
            predictions[predictions["true"] != predictions["predicted"]] if wrong else predictions
        )
        st.dataframe(shown, hide_index=True)
        download_table(predictions, "predictions", "All predictions (CSV)", key="predictions")
    explain, compare, _ = st.columns([1, 1, 3])
    if explain.button("Which genes decided? →", type="primary"):
        go_to("explain")
    if compare.button("Compare runs →"):
        go_to("compare")


st.title("Train")
with errors():
    if list_datasets():
        show_launch()
    else:
        show_empty("Training needs a dataset.", "Bring data", "data")
with errors():
    show_runs()
