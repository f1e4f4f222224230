"""What a run shall be: the recommended recipe, the paper's study, or every field by hand."""

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.choices import Choices
from core.data.cohort import GENE
from core.data.prepare import PreparationSpec
from core.data.store import DatasetRecord
from core.errors import GeneCanvasError, InputError
from core.escape import escape_message
from core.glossary import define
from core.images.layouts import LAYOUTS
from core.models.backbones import BACKBONES, Backbone
from core.models.imagenet import fetch_imagenet
from core.models.spec import NetworkSpec
from core.runs.paper import paper_study
from core.runs.recipes import CARDS, NETWORK, fill_recipe, is_here
from core.runs.spec import PRESETS, SOLVED, RunSpec, say_option
from core.training.augmentations import AUGMENTATIONS
from core.training.spec import TrainingSpec
from core.training.splits import SPLITS, SplitSpec
from core.training.tasks import FEWEST_VALUES, TASKS, Task
from core.words import say_duration
from ui.cost import find_seconds
from ui.forms import HOLDS, ask_field, ask_genes, ask_record
from ui.kept import cache_data
from ui.layouts import ask_layout
from ui.parts import decided, finished_runs, name_runs, open_dataset, pick_role, say_samples
from ui.weights import ask_file

STARTS = ("weights", "allow_leak")
"""Fields of a network that say what it starts from."""


def ask_samples(record: DatasetRecord) -> tuple[Choices, dict[str, Any]]:
    """Task, label and patient columns; gives back what was decided and the run's fields for it.

    Raises InputError while no column holds the label.
    """
    task = ask_record(TASKS, "Predict", key="task")
    if TASKS[task].has_classes:
        pick_role(record, "label")
    else:
        number = ask_number_column(record)
    pick_role(record, "group")
    choices = decided(record)
    if not TASKS[task].has_classes:
        choices = choices.changed(label=number)
    if choices.cohort.label is None:
        raise InputError("Choose the column that holds the class, or the number.")
    if TASKS[task].has_classes:
        say_samples(record, choices)
    return choices, {
        "task": task,
        "cohort": choices.cohort.model_dump(),
        "preparation": choices.preparation.model_dump(),
    }


def ask_number_column(record: DatasetRecord) -> str | None:
    """The column of the samples that holds the number, or a gene of the matrix."""
    column = st.selectbox(
        "Number", find_numbers(record.id), index=None, key=f"target {record.id[:12]}",
        placeholder="choose the column", **HOLDS,
        help=f"Columns of at least {FEWEST_VALUES} different numbers.",
    )  # fmt: skip
    gene = st.text_input(
        "Or a gene", key=f"target gene {record.id[:12]}", placeholder="such as ESR1",
        help="Its expression is predicted from the other genes; it is left out of the image.",
    ).strip()  # fmt: skip
    return f"{GENE}:{gene}" if gene else column


@cache_data(max_entries=20, show_spinner=False)
def find_numbers(dataset: str) -> list[str]:
    """Columns of a dataset's samples that may be predicted as a number."""
    obs = open_dataset(dataset).obs
    values = {name: pd.to_numeric(obs[name], errors="coerce") for name in obs}
    return [
        name
        for name, found in values.items()
        if found.nunique() >= FEWEST_VALUES and found.notna().mean() > 0.5
    ]


def ask_quick(record: DatasetRecord, common: dict[str, Any]) -> tuple[RunSpec, list[RunSpec]]:
    """One of three recipes, each a card with its time; gives back the runs of all cards too."""
    specs = {name: fill_recipe(name, common, record.genes) for name in CARDS}
    names = {name: "few_genes" if specs[name].network.products else name for name in CARDS}
    presets = {name: PRESETS[preset] for name, preset in names.items()}
    seconds = find_seconds(list(specs.values()))
    with st.container(key="recipe_cards"):
        chosen = st.radio(
            "Recipe", CARDS, format_func=lambda name: presets[name].title, key="recipe",
            captions=[
                f"{presets[name].when}  \n:material/timer: "
                + ("its time is being measured" if took is None else f"about {say_duration(took)}")
                for name, took in zip(CARDS, seconds, strict=True)
            ],
            horizontal=True, label_visibility="collapsed", **HOLDS,
        )  # fmt: skip
    spec, backbone = specs[chosen], BACKBONES[NETWORK]
    st.caption(describe_recipe(spec), help=f"Why: {presets[chosen].help}")
    if not is_here(backbone):
        offer_imagenet(backbone)
    return spec, list(specs.values())


def offer_imagenet(backbone: Backbone) -> None:
    """A button that downloads a network's ImageNet weights."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"ImageNet's weights of {backbone.title} are not on this computer, so that its "
            "maps are of random weights. On real tumours that made no difference beside the genes.",
            width="stretch",
        )  # fmt: skip
        wanted = st.button(f"Download them ({backbone.megabytes:.1f} MB)", key="fetch weights")
    if not wanted:
        return
    bar = st.progress(0.0, f"Downloading {backbone.file}")
    try:
        fetch_imagenet(backbone, lambda done, total: bar.progress(min(done / total, 1.0)))
    except GeneCanvasError as error:
        bar.empty()
        st.error(escape_message(str(error)))
        return
    st.rerun()


def describe_recipe(spec: RunSpec) -> str:
    """The recipe in a sentence."""
    network, training = spec.network, spec.training
    weights = {"imagenet": "ImageNet's weights", "scratch": "random weights"}[network.weights]
    frozen = ", frozen below a new head" if network.freeze == "backbone" else ""
    how = f"{training.epochs} epochs, augmentation: {AUGMENTATIONS[training.augmentation].title}"
    if network.is_solved:
        products = ", of products of each two" if network.products else ""
        how = f"a linear head of the genes{products} and of the network's maps, solved in seconds"
    return (
        f"{network.record.title} from {weights}{frozen}, {network.image_size} x "
        f"{network.image_size} pixels, {spec.preparation.genes:,} genes laid out by "
        f"{LAYOUTS[spec.layout.name].title}, {how}; {spec.split.title()} split by "
        f"{'patient' if spec.cohort.group else 'sample'}."
    )


def ask_paper(record: DatasetRecord, common: dict[str, Any]) -> list[RunSpec]:
    """The paper's 40 runs, and what may be made smaller for this computer."""
    st.markdown(
        "Five networks, four splits, with and without geometric augmentation: **40 runs** as one "
        "study. " + PRESETS["paper"].help
    )
    first, second, third = st.columns(3)
    recipe = PRESETS["paper"].parts
    with first:
        size = ask_field(NetworkSpec, "image_size", key="paper size",
                         default=recipe["network"]["image_size"])  # fmt: skip
    with second:
        epochs = ask_field(TrainingSpec, "epochs", key="paper epochs")
    with third:
        weights = st.selectbox(
            "Initial weights", ["imagenet", "scratch"], key="paper weights",
            format_func=lambda name: {"imagenet": "ImageNet (torchvision's files)",
                                      "scratch": "From scratch (random)"}[name],
        )  # fmt: skip
    if (size, weights) != (recipe["network"]["image_size"], recipe["network"]["weights"]):
        st.caption("Smaller images or other weights are a departure from the paper.")
    preparation = {
        **common["preparation"],
        **recipe["preparation"],
        "genes": min(record.genes, common["preparation"]["genes"]),
    }
    return paper_study(
        {
            **common,
            "preparation": preparation,
            "network": {"image_size": size, "weights": weights},
            "training": {"epochs": epochs},
        }
    )


def ask_custom(record: DatasetRecord, choices: Choices, common: dict[str, Any]) -> RunSpec:
    """Every field of a run, grouped."""
    split_column, network_column, training_column = st.columns(3, gap="large")
    with network_column:
        st.markdown("## Network")
        network, start = ask_network()
    with split_column:
        st.markdown("## Split and gene-images", help=define("split"))
        split = ask_split(record)
        layout = ask_layout(record, network["image_size"])
        genes = ask_genes(record, choices.preparation.genes)
        scaling = ask_field(
            PreparationSpec, "scaling", key=f"scaling {record.id[:12]}",
            default=choices.preparation.scaling,
        )  # fmt: skip
    with training_column:
        st.markdown("## Training", help=define("fine-tuning"))
        if network["head"] == "linear":
            st.caption(
                "The linear head is solved, not trained: there are no epochs, no augmentation and "
                "no learning rate to choose. Take another head to train one."
            )
            training = {"augmentation": "none"}
        else:
            training = ask_training(TASKS[common["task"]])
        seed = ask_field(RunSpec, "seed", key="seed")
    with start:  # last: where there is nothing to start from, the rest of the form stands
        network |= ask_weights(network["backbone"])
    return RunSpec.parse(
        {
            **common,
            "preparation": {**common["preparation"], "genes": genes, "scaling": scaling},
            "layout": layout.model_dump(),
            "network": network,
            "split": split,
            "training": training,
            "seed": seed,
        }
    )


def ask_split(record: DatasetRecord) -> dict[str, Any]:
    """How samples are divided."""
    kind = ask_record(SPLITS, "Split", key="split")
    split: dict[str, Any] = {"kind": kind}
    for name in (*SPLITS[kind].fields, "validation"):
        if name == "batch":
            columns = [column for column, counts in record.columns.items() if len(counts) > 1]
            batch = decided(record).cohort.batch
            split[name] = st.selectbox(
                "Batch", columns, index=columns.index(batch) if batch in columns else None,
                key=f"split batch {record.id[:12]}", placeholder="choose the column",
                help=SplitSpec.model_fields["batch"].description,
            )  # fmt: skip
        else:
            split[name] = ask_field(SplitSpec, name, key=f"split {name}")
    return split


def ask_network() -> tuple[dict[str, Any], DeltaGenerator]:
    """The network and its head, and the place of what it starts from."""
    backbone = ask_record(BACKBONES, "Network", key="backbone", default=NETWORK)
    start = st.container()
    head = ask_field(NetworkSpec, "head", key="network head")
    solved = head == "linear"
    freeze = st.selectbox(
        "Frozen part",
        ["backbone"] if solved else ["nothing", "backbone", *BACKBONES[backbone].stages],
        format_func=lambda stage: say_option("freeze", stage)
        if stage in ("nothing", "backbone")
        else f"up to and including {stage}",
        key="freeze all" if solved else f"freeze {backbone}", disabled=solved,
        help="Frozen layers keep their initial weights, and what they give is computed once and "
        "saved, so that a retrain takes seconds.",
    )  # fmt: skip
    network = {"backbone": backbone, "head": head, "freeze": freeze, "edge": "padded",
               "products": False}  # fmt: skip
    if solved:
        network["products"] = ask_field(NetworkSpec, "products", key="network products")
    network["image_size"] = ask_field(NetworkSpec, "image_size", key="network image_size")
    unused = SOLVED["network"] if solved else {}
    with st.expander("More network settings"):
        for name in NetworkSpec.model_fields:
            if name not in network and name not in unused and name not in STARTS:
                network[name] = ask_field(NetworkSpec, name, key=f"network {name}")
    return network, start


def ask_weights(backbone: str) -> dict[str, Any]:
    """What the network starts from: the fields `STARTS`."""
    kinds = {
        "scratch": "From scratch (random)",
        "imagenet": "ImageNet (torchvision's file)",
        "file": "A weights file of mine",
        "run": "A finished run of the same network",
    }
    kind = st.selectbox("Initial weights", list(kinds), format_func=kinds.get, key="weights kind")
    if kind == "file":
        return {"weights": f"file:{ask_file()}", "allow_leak": False}
    if kind == "run":
        runs = [run for run in finished_runs() if run.spec.network.backbone == backbone]
        if not runs:
            st.error(f"There is no finished run of {BACKBONES[backbone].title} to start from yet.")
            return {"weights": "run:", "allow_leak": False}
        names = name_runs(runs)
        run = st.selectbox("Run", list(names), format_func=names.get, key="weights run")
        leak = ask_field(NetworkSpec, "allow_leak", key="network allow_leak")
        return {"weights": f"run:{run}", "allow_leak": leak}
    return {"weights": kind, "allow_leak": False}


def ask_training(task: Task) -> dict[str, Any]:
    """How long, with which augmentation and loss; the rest folded away."""
    training: dict[str, Any] = {
        "epochs": ask_field(TrainingSpec, "epochs", key="epochs"),
        "augmentation": ask_record(AUGMENTATIONS, "Augmentation", key="augmentation"),
    }
    if warning := AUGMENTATIONS[training["augmentation"]].warning:
        st.warning(warning)
    with st.expander("More training settings"):
        for name in TrainingSpec.model_fields:
            if name not in training and name not in task.unused.get("training", {}):
                training[name] = ask_field(TrainingSpec, name, key=f"training {name}")
    return training
