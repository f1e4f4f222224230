"""Train, Run, Compare, Explain: empty, refused, running, finished, failed; without a browser."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision
from streamlit.testing.v1 import AppTest

from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.errors import WeightsError
from core.explain.methods import Recipe
from core.files import write_json
from core.home import run_folder, weights_folder
from core.jobs.here import do_here
from core.jobs.job import Lane
from core.jobs.record import JobRecord, JobState
from core.jobs.store import MOST_DEATHS, JobStore
from core.jobs.worker import Stop, run_one
from core.models.own_weights import list_brought
from core.plain_yaml import parse_yaml
from core.runs.estimate import Estimate, EstimateJob
from core.runs.explaining import ExplainJob, explain_run
from core.runs.preflight import preflight_apart
from core.runs.recipes import CARDS
from core.runs.silenced import SilenceJob
from core.runs.spec import PRESETS, RunSpec
from core.runs.store import RunStore, log_path
from tests.pages import button, charts, open_page, words
from tests.runs import guess, list_more


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


def queue_run(dataset: str, **fields: object) -> str:
    document = {
        "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
        "preparation": {"genes": 60},
        "network": {"image_size": 32},
        "training": {"epochs": 1, "batch_size": 16},
        **fields,
    }
    return RunStore().submit(RunSpec.parse(document))[0].id


def train_queue() -> None:
    store = JobStore()
    while record := store.claim("cpu"):
        run_one(store, record, "cpu", Stop())


@pytest.mark.parametrize(
    ("page", "label", "target"),
    [
        ("images", "Bring data", "Data"),
        ("train", "Bring data", "Data"),
        ("run", "Train a network", "Train"),
        ("compare", "Train a network", "Train"),
        ("explain", "Train a network", "Train"),
        ("predict", "Train a network", "Train"),
    ],
)
def test_an_empty_page_leads_on(page: str, label: str, target: str) -> None:
    app = open_page(page)
    assert not app.exception
    opened = [popover.proto.popover.label for popover in app.get("popover")]
    assert opened == ["Help", "Work"], "the way on stands on the page, beside no empty drawer"
    app = button(app, label).click().run()
    assert app.title[0].value == target


def test_an_impossible_split_is_refused_and_nothing_is_queued(home: Path) -> None:
    data, _ = simulate(90, 200)
    surplus = data.obs_names[data.obs["tumour_type"] == "LUAD"][2:]
    add_dataset(data[~data.obs_names.isin(surplus)].copy(), "one class too small")
    app = open_page("train")
    app = button(app, "Start training").click().run()
    assert not app.exception
    assert "LUAD has" in app.error[0].value
    assert RunStore().list() == []


def test_quick_multiplies_genes_where_they_are_few(home: Path) -> None:
    for genes, few in ((64, True), (65, False)):
        add_dataset(simulate(90, 200, seed=1)[0][:, :genes].copy(), f"{genes} genes")
        app = open_page("train")
        assert ("of products of each two" in words(app)) == few
        cards = [
            PRESETS["few_genes" if few else "recommended"],
            *map(PRESETS.__getitem__, CARDS[1:]),
        ]
        assert app.radio(key="recipe").options == [card.title for card in cards]


def open_custom() -> AppTest:
    """The Train page with every field of a run."""
    app = open_page("train")
    return app.get("button_group")[0].set_value("custom").run()


def test_only_files_of_the_weights_folder_are_offered(dataset: str) -> None:
    app = open_custom()
    app.selectbox(key="weights kind").select("file").run()
    assert "There is no weights file yet" in app.error[0].value
    assert app.number_input(key="epochs").value > 0  # the rest of the form stands
    (weights_folder() / "words.pth").write_text("some words, no network")
    (weights_folder() / "notes.txt").write_text("no weights")
    app.run()
    assert app.selectbox(key="weights file").options == ["words.pth"]


def test_weights_are_brought_chosen_and_deleted(
    dataset: str, busy_worker: None, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "net.pth")
    app = open_custom()
    app.selectbox(key="weights kind").select("file").run()
    app.session_state["own weights"] = True
    app.run()
    app.file_uploader(key="bring weights 0").upload("net.pth", b"words", "").run()
    button(app, "Keep it").click().run()
    assert not app.exception
    assert "net.pth" in app.error[0].value
    assert "There is no weights file yet" in app.error[1].value
    content = (tmp_path / "net.pth").read_bytes()
    app.file_uploader(key="bring weights 0").upload("net.pth", content, "").run()
    button(app, "Keep it").click().run()
    assert not app.exception
    assert not app.error
    [brought] = list_brought()
    said = app.toast[0].value.replace("\\", "")
    assert said == f"Kept as {brought.name}. It fits SqueezeNet 1.1."
    assert app.selectbox(key="weights file").value == brought.name
    assert f"weights: file:{brought.name}" in app.code[0].value
    preflight_apart(
        RunSpec.model_validate(parse_yaml(app.code[0].value, "it")), load_dataset(dataset)
    )
    run = queue_run(dataset, network={"image_size": 32, "weights": f"file:{brought.name}"})
    button(app, "Delete").click().run()
    assert "needed by" in app.toast[0].value
    RunStore().cancel(run)
    button(app, "Delete").click().run()
    assert list_brought() == []
    assert "There is no weights file yet" in app.error[0].value


def test_a_page_says_the_same_of_every_other_path(dataset: str, tmp_path: Path) -> None:
    """Whatever a session sends: a file that is there, one that isn't, a way out of the folder."""
    (tmp_path / "there.pth").write_text("x")
    (weights_folder() / "folder.pth").mkdir()
    said = set()
    for name in (f"{tmp_path}/there.pth", f"{tmp_path}/missing.pth", "../runs.sqlite", "folder.pth",
                 "~/net.pth", f"{weights_folder()}/net.pth"):  # fmt: skip
        spec = RunSpec.parse(
            {
                "cohort": {"dataset": dataset, "label": "tumour_type"},
                "network": {"weights": f"file:{name}"},
            }
        )
        with pytest.raises(WeightsError) as refused:
            preflight_apart(spec, load_dataset(spec.cohort.dataset))
        said.add(str(refused.value).replace(name, "NAME", 1))
    assert len(said) == 1
    assert "not among the weights files" in said.pop()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("network image_size", 16, "Image size must be 32 to 448, got 16"),
        ("training batch_size", 5000, "Batch size must be 2 to 1024, got 5000"),
        ("training learning_rate", 0.0, "Learning rate must be more than 0 to 1, got 0"),
        ("training label_smoothing", 1.0, "Label smoothing must be 0 to less than 1, got 1"),
        ("split test_size", 0.99, "Test share must be 0.05 to 0.9, got 0.99"),
        ("seed", -1, "Seed must be 0 to"),
    ],
)
def test_a_number_out_of_range_blocks_the_start(
    dataset: str, key: str, value: float, words: str
) -> None:
    """Streamlit's own bounds would keep it in the browser and train with the number before."""
    app = open_custom()
    app = app.number_input(key=key).set_value(value).run()
    assert not app.exception
    assert any(words in error.value for error in app.error)
    assert any("can't be started" in error.value for error in app.error)
    assert not [widget for widget in app.button if widget.label == "Start training"]


def test_a_run_to_start_from_that_is_missing_blocks_the_start(dataset: str) -> None:
    app = open_custom()
    app.selectbox(key="weights kind").select("run").run()
    assert "no finished run of SqueezeNet" in app.error[0].value
    assert not [widget for widget in app.button if widget.label == "Start training"]


def test_geometric_augmentation_comes_with_its_warning(dataset: str) -> None:
    app = open_custom()
    app.selectbox(key="augmentation").select("geometric").run()
    assert any("a gene is its position" in warning.value for warning in app.warning)


@pytest.fixture
def busy_worker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that holds the workers' leases: nothing that is queued is trained."""
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    store = RunStore()
    paths = [str(store.lease_path(device)) for device in ("cpu", "cpu:0", "cpu:1")]
    paths += [str(store.lease_path("cpu", Lane.INTERACTIVE, slot)) for slot in range(2)]
    code = (
        "import sys; from pathlib import Path; from core.lease import Lease\n"
        f"assert all([lease.acquire() for lease in map(Lease, map(Path, {paths}))])\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    yield
    holder.kill()
    holder.wait()


def test_the_papers_study_is_queued_paused_and_goes_on(dataset: str, busy_worker: None) -> None:
    app = open_page("train")
    app = app.get("button_group")[0].set_value("paper").run()
    app = app.selectbox(key="paper weights").select("scratch").run()
    app = app.number_input(key="paper size").set_value(64).run()
    assert any("departure from the paper" in caption.value for caption in app.caption)
    app = button(app, "Start the study").click().run()
    assert not app.exception
    assert not app.error, [error.value for error in app.error]
    store = RunStore()
    [study] = store.unfinished_studies()
    assert store.count_states(study) == {JobState.QUEUED: 40}
    assert "Queue" in words(app)
    app = button(app, "Pause").click().run()
    assert {record.state for record in store.list()} == {JobState.PAUSED}
    assert "Queue" not in words(app), "nothing in it"
    app = button(app, "Go on").click().run()
    assert {record.state for record in store.list()} == {JobState.QUEUED}
    app = button(app, "Cancel the rest").click().run()
    assert store.count_states(study) == {JobState.CANCELLED: 40}
    assert not app.exception


def test_a_study_of_ticks_or_of_a_file_is_every_combination_once(
    dataset: str, busy_worker: None
) -> None:
    app = open_page("train")
    app = app.get("button_group")[0].set_value("study").run()
    app.checkbox(key="study Networks resnet50").check().run()
    assert "6 runs**: 2 networks x 1 augmentation x 1 split x 3 seeds" in words(app)
    app = app.number_input(key="study seeds").set_value(11).run()
    assert "Seeds must be 1 to 10, got 11" in app.error[0].value
    assert not [widget for widget in app.button if widget.label == "Start the study"]
    app = app.number_input(key="study seeds").set_value(1).run()
    app = button(app, "Start the study").click().run()
    assert not app.exception
    assert not app.error, [error.value for error in app.error]
    specs = [record.spec for record in RunStore().list()]
    assert {spec.network.backbone for spec in specs} == {"squeezenet1_1", "resnet50"}
    app = app.segmented_control(key="study from").set_value("A YAML file").run()
    content = b"name: Mine\nseed: [0, 1, 1]\nnetwork: {backbone: [squeezenet1_1]}\n"
    app.file_uploader[0].upload("mine.yaml", content)
    app = app.run()
    assert "of “Mine”" in words(app)
    assert button(app, "Start the study")


def ask_how_long(app: AppTest, backbone: str, seconds: float) -> AppTest:
    """Choose a network for a what-if; its batches, once measured, take that long."""
    app = app.selectbox(key="what if").select("with another network").run()
    for asked in _estimates():  # of the network that stood there first
        JobStore().delete(asked.id)
    app = app.selectbox(key="what if network").select(backbone).run()
    assert "Measuring a few batches to tell how long this will take" in words(app)
    [asked] = _estimates()
    assert asked.job.spec.network.backbone == backbone
    measured = Estimate(
        seconds=seconds, peak_bytes=1, free_bytes=2, parameters=3, device="CPU"
    )  # fmt: skip
    write_json(asked.job.path, measured.model_dump())
    return app.run()


def _estimates() -> list[JobRecord]:
    return [record for record in JobStore().list() if record.kind == EstimateJob.kind]


def test_what_if_is_asked_once_and_stands_beside_its_parent(
    dataset: str, request: pytest.FixtureRequest
) -> None:
    parent = queue_run(dataset)
    train_queue()
    request.getfixturevalue("busy_worker")
    app = open_page("run", id=parent)
    for question in list(app.selectbox(key="what if").options)[::3]:
        app = app.selectbox(key="what if").select(question).run()
        assert not app.exception, question
        assert not app.error, question
    assert "about **12 minutes**" in words(ask_how_long(app, "resnet50", 728))
    app = app.selectbox(key="what if").select("on permuted labels (control)").run()
    app = button(app, "Ask").click().run()
    assert not app.exception
    store = RunStore()
    [child] = [record for record in store.list() if record.parent == parent]
    assert child.spec.permute_labels
    assert child.name == "Labels permuted"
    assert app.query_params["id"] == parent, "the answer is waited for in place"
    assert "Queued." in words(app)
    store.cancel(child.id)
    app = button(app.run(), "Labels permuted →").click().run()
    assert app.title[0].value == "Labels permuted"
    assert "What if: labels permuted?" in words(app)

    gene = load_dataset(dataset).var_names[0]
    app = open_page("run", id=parent)
    app = app.selectbox(key="what if").select("without some genes").run()
    app = app.text_area(key="what if genes").set_value("no such gene").run()
    [error] = app.error
    assert "None of these 3 genes is in the dataset" in error.value
    app = app.text_area(key="what if genes").set_value(gene).run()
    button(app, "Ask").click().run()
    silence = SilenceJob(about=parent, genes=(gene,))
    assert JobStore().look_up(silence) is not None, "the trained network is asked at once"
    JobStore().delete(silence.key)
    do_here(silence, lambda *_: None)
    said = words(open_page("run", id=parent))
    assert re.search(r"not retrained\] \w+ (stays|goes from) .*; overall", said)
    assert "with it at the training mean" in said


def test_a_queued_a_running_and_a_dead_run(dataset: str) -> None:
    store = RunStore()
    run = queue_run(dataset)
    log_path(run).parent.mkdir(parents=True)
    log_path(run).write_text("epoch 3 of 40\n")
    for _ in range(MOST_DEATHS - 1):
        store.claim("cpu")
        store.reconcile()
        assert store.get(run).state == JobState.QUEUED
    store.claim("cpu")
    app = open_page("run", id=run)
    assert not app.exception
    assert store.get(run).state == JobState.FAILED
    assert "The worker process died" in app.error[0].value
    assert "epoch 3 of 40" not in words(app)  # it is in the log, folded below
    assert button(app, "Resume")


def test_runs_that_train_stand_side_by_side(
    dataset: str, busy_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu:0,cpu:1")
    store = RunStore()
    runs = [queue_run(dataset, seed=seed) for seed in range(4)]
    for number, device in enumerate(["cpu:0", "cpu:1", "cpu:1"]):
        run = store.claim(device).id
        store.set_progress(run, 1, 9, "Epoch 1")
        for epoch in range(1, number + 2):
            store.add_epoch(run, 0, make_epoch(epoch, loss=1 / (epoch + number)))
    store.finish(run, JobState.CANCELLED, "by hand")
    app = open_page("run", id=runs[0])
    assert not app.exception
    beside = app.multiselect[0]
    assert sorted(beside.value) == sorted(runs[:2])
    assert len(beside.options) == 3
    chart = next(chart for chart in app.get("plotly_chart") if "Macro F1" in chart.proto.spec)
    lines = [line for line in json.loads(chart.proto.spec)["data"] if line["xaxis"] == "x"]
    names = {f"SqueezeNet 1.1 · seed {seed}" for seed in range(2)}
    assert {line["name"] for line in lines} == names
    app = beside.set_value(runs[:3]).run()
    assert not app.exception


def make_epoch(epoch: int, loss: float) -> dict[str, float]:
    return {
        "epoch": epoch, "train_loss": loss, "validation_loss": loss, "validation_accuracy": 0.5,
        "validation_macro_f1": 0.4, "samples_per_second": 9.0, "learning_rate": 0.1, "seconds": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("wanted", ["../../etc/passwd", "0123456789abcdef"])
def test_an_unknown_run_in_the_link_is_said(dataset: str, wanted: str) -> None:
    queue_run(dataset)
    RunStore().cancel(RunStore().list()[0].id)
    app = open_page("run", id=wanted)
    assert not app.exception
    [warning] = app.warning
    assert "is not here" in warning.value
    app = button(app, "All runs").click().run()
    assert app.title[0].value == "Train"


def test_a_run_that_was_deleted_leads_to_the_list(dataset: str) -> None:
    run = queue_run(dataset)
    RunStore().cancel(run)
    app = button(open_page("run", id=run), "Yes, delete").click().run()
    assert not app.exception
    assert app.title[0].value == "Train"
    assert "No run yet." in words(app)


def test_start_leads_to_the_run_and_an_old_link_too(dataset: str, busy_worker: None) -> None:
    app = button(open_page("train"), "Start training").click().run()
    assert not app.exception
    record = next(record for record in RunStore().list() if not record.spec.seed)
    assert sorted(repeat.spec.seed for repeat in RunStore().list()) == [0, 1, 2]
    assert {repeat.study for repeat in RunStore().list()} == {record.study}
    assert app.query_params["id"] == record.id
    assert app.title[0].value == record.name == "SqueezeNet 1.1 from scratch · 70/30 · linear head"
    assert app.get("progress")[0].proto.text.startswith("Begins in a moment.")
    [second, *_] = sorted(RunStore().list(), key=lambda run: run.place)[1:]
    later = open_page("run", id=second.id)
    assert re.match(r"Begins .*after 1 other\.", later.get("progress")[0].proto.text)
    app = open_page("train", run=record.id)
    assert app.title[0].value == record.name


@pytest.mark.parametrize("wanted", [True, False])
def test_genes_are_asked_for_when_the_training_ends(
    dataset: str, busy_worker: None, wanted: bool
) -> None:
    app = open_page("train")
    app.checkbox(key=f"repeat {dataset[:12]} True").uncheck().run()
    if not wanted:
        app.checkbox(key="explain after").uncheck().run()
    button(app, "Start training").click().run()
    [run] = RunStore().list()
    assert RunStore().claim("cpu").id == run.id
    assert {job.kind for job in JobStore().list()} - {"estimate"} == {"train"}
    run_folder(run.id).mkdir(parents=True, exist_ok=True)
    write_json(run_folder(run.id) / "spec.json", run.spec.model_dump(mode="json"))
    RunStore().finish(run.id, JobState.DONE)
    asked = [job for job in JobStore().list() if job.kind == "explain"]
    assert [job.job.about for job in asked] == ([run.id] if wanted else [])


def test_name_note_tags_and_star_are_kept_and_change_no_identity(dataset: str) -> None:
    first, second = queue_run(dataset), queue_run(dataset, seed=1)
    for run in (first, second):
        RunStore().cancel(run)
    app = open_page("run", id=first)
    app.text_input(key=f"name {first}").set_value("Figure *2*").run()
    app.text_input(key=f"tags {first}").set_value("paper, lung").run()
    app.text_area(key=f"note {first}").set_value("ask Ana").run()
    app = app.button(key=f"star {first}").click().run()
    assert not app.exception
    assert app.title[0].value == "Figure \\*2\\*"
    assert "lung  \nask Ana" in words(app)
    assert queue_run(dataset) == first
    table = open_page("train").dataframe[0].value
    assert table["run"].tolist()[0] == "Figure *2*", "starred ones come first"
    assert table[["★", "tags", "note"]].iloc[0].tolist() == ["★", "paper, lung", "ask Ana"]
    assert open_page("run", id=second).selectbox(key=f"from {second}").options == [
        "★ Figure *2* · cancelled"
    ]
    app = open_page("run", id=first)
    app.text_input(key=f"name {first}").set_value(" ").run()
    assert RunStore().get(first).name == "Figure *2*"


def test_a_long_list_is_shown_in_parts_and_searched_as_a_whole(
    dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it is, pages read no more of it than they show."""
    first = queue_run(dataset)
    RunStore().cancel(first)
    ids = [first, *list_more(first, 250)]
    RunStore().label(ids[3], note="sesame")
    RunStore().label(ids[4], starred=True)
    read = []
    keep = JobStore.read

    def count(*question: object, **more: object) -> list:
        read.append(len(found := keep(*question, **more)))
        return found

    monkeypatch.setattr(JobStore, "read", count)
    app = open_page("train")
    table = app.dataframe[0].value
    assert table["run"].tolist() == ["Run 4", *(f"Run {n}" for n in range(250, 151, -1))]
    assert "The first 100 of 251. Click a run to open it." in words(app)
    assert max(read) == 101
    app = button(app, "Show more").click().run()
    assert app.dataframe[0].value["run"].tolist()[-1] == "Run 52"
    app = app.text_input(key="find run").set_value("Sesame").run()
    assert app.dataframe[0].value[["run", "note"]].to_numpy().tolist() == [["Run 3", "sesame"]]
    assert "\nClick a run to open it." in words(app)
    app = app.text_input(key="find run").set_value("no such run").run()
    assert app.dataframe[0].value.empty
    assert not app.exception
    read.clear()
    app = open_page("run")
    assert app.title[0].value == "Run 250"
    assert len(app.selectbox(key=f"from {ids[250]}").options) == 99
    assert "The page Train finds any run." in words(app)
    assert max(read) == 100


def test_of_very_many_finished_runs_the_last_are_offered_and_those_that_a_link_names(
    dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.parts.OFFERED", 20)
    run, store = queue_run(dataset), JobStore()
    store.claim("cpu")
    store.finish(run, JobState.DONE)
    ids = [run, *list_more(run, 60)]
    store.label(ids[2], starred=True)
    last = [f"Run {n}" for n in range(60, 40, -1)]
    app = open_page("explain")
    assert app.selectbox[0].options == ["★ Run 2", *last]
    assert "The last 20 finished runs, those with a star" in words(app)
    app = open_page("explain", run=ids[5])
    assert app.selectbox[0].options == ["★ Run 2", *last, "Run 5"]
    assert app.selectbox[0].value == ids[5]
    assert not app.warning


def test_a_long_queue_says_how_much_of_it_stands_there(
    dataset: str, busy_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.queue.FORESEEN", 40)
    run = queue_run(dataset)
    ids = list_more(run, 60)
    app = open_page("train")
    assert not app.exception
    assert "Queue: 61 waiting, here the first 40." in words(app).replace("*", "")
    assert app.dataframe[0].value["run"].tolist()[-1] == "Run 39"
    assert "after 60 others" in open_page("run", id=ids[-1]).get("progress")[0].proto.text


def test_finished_runs_on_all_pages(dataset: str) -> None:
    first, second = queue_run(dataset), queue_run(dataset, seed=1)
    train_queue()
    guess(first)

    app = open_page("run", id=first)
    assert not app.exception
    assert not app.error, [error.value for error in app.error]
    assert "held-out samples are right" in words(app)
    assert "Logistic regression" in app.dataframe[0].value.index
    assert charts(app) == 2
    assert open_page("train").dataframe[0].value["result"].str.endswith("right").all()

    app = open_page("compare", runs=f"{first},{second}")
    assert not app.exception
    assert not app.error, [error.value for error in app.error]
    assert charts(app) == 1
    assert app.dataframe[0].value["Seed"].tolist() == ["0", "1"]

    app = open_page("explain", run=first)
    assert not app.exception
    assert "has not been computed for this run yet" in words(app)
    explain_run(first, Recipe("integrated_gradients"), lambda *_: None)
    explain_run(first, Recipe("gradcam"), lambda *_: None)
    app = open_page("explain", run=first)
    assert not app.exception
    [error] = app.error
    assert "does not know the classes better than a guess" in error.value
    assert charts(app) >= 2
    on_run = open_page("run", id=first)
    assert not on_run.exception
    [error] = on_run.error
    assert "does not know the classes better than a guess" in error.value
    assert charts(on_run) == 3
    assert len(on_run.dataframe[0].value) == 10
    assert len(app.dataframe[0].value) == 60
    app.selectbox(key="method").select("gradcam").run()
    assert not app.exception
    assert any("Region view" in warning.value for warning in app.warning)


def test_a_computation_that_failed_is_said(dataset: str) -> None:
    run = queue_run(dataset)
    train_queue()
    store = JobStore()
    id = store.submit(ExplainJob(about=run, recipe=Recipe("integrated_gradients")))[0].id
    store.claim("cpu", Lane.INTERACTIVE)
    store.finish(id, JobState.FAILED, "the disk is full")
    app = open_page("explain", run=run)
    assert not app.exception
    assert "the disk is full" in app.error[0].value
    assert button(app, "Compute Integrated gradients")
