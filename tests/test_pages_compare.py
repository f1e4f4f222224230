"""Compare without a browser: choice of runs, sentence, tables, details."""

from pathlib import Path

import pytest

from core.compare.comparison import compare_runs
from core.compare.samples import find_doubtful_labels
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.runs.fitting import BaselinesJob
from core.runs.outcome import compute_baselines, load_outcome
from core.runs.store import RunStore
from tests.pages import button, charts, open_page, words
from tests.test_runs_compare import few_passes, finish_run, keep_images  # noqa: F401 -- a fixture


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


def tables(app) -> list[list[str]]:
    """The columns of each table on the page."""
    return [list(table.value.columns) for table in app.dataframe]


def test_one_run(dataset: str) -> None:
    run = finish_run(dataset, 0.3)
    app = open_page("compare")
    assert not app.exception
    assert not app.error
    assert compare_runs([run]).headline.replace(" ", "") in words(app).replace(" ", "")
    assert "all" in app.query_params["runs"]
    assert charts(app) == 1
    assert button(app, "Fit baseline models")
    assert "Convolution over genes in order" in words(app)
    assert "Network with two heads." not in words(app)
    app.selectbox(key="second").select("patient").run()
    assert not app.exception
    assert "Network with two heads." in words(app)
    app = open_page("compare", view="run")
    assert "Most confused" in words(app)
    assert charts(app) == 2
    for view, said in (("differences", "No two of these runs"), ("settings", "at least two runs")):
        app = open_page("compare", view=view)
        assert not app.exception
        assert said in app.info[0].value


def test_the_link_names_runs_and_score(dataset: str) -> None:
    runs = [finish_run(dataset, 0.2 + 0.1 * k, training={"epochs": k + 1}) for k in range(3)]
    app = open_page("compare", runs=f"{runs[0]},{runs[2]}", metric="macro_f1")
    assert not app.exception
    assert app.multiselect(key="runs").value == [runs[0], runs[2]]
    assert app.selectbox(key="metric").value == "macro_f1"
    assert "Macro F1" in words(app)
    table = app.dataframe[0].value
    assert table["Epochs"].tolist() == [["1"], ["3"]]
    assert "Network" not in table
    app.toggle(key="all").set_value(True).run()
    assert len(app.dataframe[0].value) == 3
    assert "all" in app.query_params["runs"]


def test_no_run_chosen(dataset: str) -> None:
    run = finish_run(dataset, 0.2)
    app = open_page("compare", runs=run)
    app.multiselect(key="runs").set_value([]).run()
    assert not app.exception
    assert app.info[0].value == "Choose at least one run."


def test_runs_of_two_datasets_are_not_mixed(dataset: str) -> None:
    other = add_dataset(simulate(90, 210, seed=2)[0], "other").id
    finish_run(dataset, 0.2)
    run = finish_run(other, 0.2)
    app = open_page("compare", runs=run)
    assert not app.exception
    assert len(app.dataframe[0].value) == 1
    assert app.selectbox(key="question").value == (other, "tumour_type", "classification")


def test_a_grid_with_repeats_and_baseline_models(dataset: str) -> None:
    runs = [
        finish_run(dataset, 0.1 + 0.1 * wrong + 0.05 * (seed == 1), seed=seed,
                   training={"augmentation": augmentation}, network={"backbone": backbone})
        for seed in range(3)
        for wrong, (augmentation, backbone) in enumerate(
            [("none", "vgg16"), ("geometric", "vgg16"), ("none", "resnet50"),
             ("geometric", "resnet50")]
        )
    ]  # fmt: skip
    keep_images(runs[0])
    compute_baselines(runs[:1], lambda *_: None)
    app = open_page("compare")
    shown = {
        "scores": ("Runs",),
        "differences": ("Differences over splits", "Ranks over splits",
                        "How often each network wins"),
        "settings": ("One setting against another", "What each setting does"),
        "cost": ("Seconds are those of the machine",),
        "published": ("Published figures beside these", "Accuracies that others published"),
        "samples": ("Samples",),
        "run": ("Most confused",),
    }  # fmt: skip
    counted = []
    for view, headings in shown.items():
        app = app.segmented_control(key="compare view").set_value(view).run()
        assert not app.exception
        assert not app.error
        assert not app.info
        assert app.query_params["view"] == view
        assert all(heading in words(app) for heading in headings)
        counted.append(charts(app))
        found = any("practically the same" in columns for columns in tables(app))
        assert found == (view == "differences")
    assert counted == [1, 1, 2, 1, 0, 0, 2]
    app.selectbox(key="detail").select(runs[0]).run()
    app.selectbox(key="model").select("random_forest").run()
    assert not app.exception
    for view in ("scores", "run"):  # what was chosen in a view is there again
        app = app.segmented_control(key="compare view").set_value(view).run()
    assert app.selectbox(key="detail").value == runs[0]
    assert app.selectbox(key="model").value == "random_forest"
    assert app.query_params["detail"] == runs[0]
    app.toggle(key="all").set_value(False).run()
    app.multiselect(key="runs").set_value(runs[1:3]).run()
    assert not app.exception
    assert app.selectbox(key="detail").value == runs[1]
    assert open_page("compare", view="run", detail=runs[5]).selectbox(key="detail").value == runs[5]


def test_baseline_models_that_could_not_be_fitted_are_said(dataset: str) -> None:
    job = BaselinesJob(about=(finish_run(dataset, 0.2),))
    store = JobStore()
    record, _ = store.submit(job)
    store.claim("cpu", job.lane)
    store.finish(record.id, JobState.FAILED, "the disk is full")
    app = open_page("compare")
    assert not app.exception
    assert "the disk is full" in app.error[0].value


def test_a_sample_is_looked_at_closely(dataset: str) -> None:
    runs = [finish_run(dataset, 0.3, training={"epochs": k + 1}) for k in range(2)]
    for run in runs:
        keep_images(run)
    sample = load_outcome(runs[0]).samples[0]
    app = open_page("compare", sample=str(sample))
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="sample").value == sample
    assert f"**{sample}**" in words(app)
    assert any("correlation" in columns for columns in tables(app))
    before = charts(app)
    app.selectbox(key="sample").set_value(None).run()
    assert charts(app) == before - 2
    assert "sample" not in app.query_params
    app.segmented_control(key="sample list").set_value("doubtful labels").run()
    assert not app.exception
    found = find_doubtful_labels([load_outcome(run) for run in runs])
    assert any(columns[:3] == ["sample", "patient", "label"] for columns in tables(app))
    assert f"another class in {len(found)} samples" in words(app)


def test_a_sample_that_no_run_tested_leaves_the_link(dataset: str) -> None:
    finish_run(dataset, 0.3)
    app = open_page("compare", sample="nobody")
    assert not app.exception
    assert app.toggle(key="all").label == "The one run of this dataset and class"
    assert app.selectbox(key="sample").value is None
    assert "sample" not in app.query_params


def test_a_study_is_picked_as_one_thing(dataset: str) -> None:
    runs = [finish_run(dataset, 0.2 + 0.1 * k, training={"epochs": k + 1}) for k in range(3)]
    for run in runs[:2]:
        RunStore().submit(RunStore().get(run).spec, study="Epochs")
    app = open_page("compare", study="Epochs")
    assert not app.exception
    assert "All 2 runs" in app.toggle(key="all").label
    assert len(app.dataframe[0].value) == 2
    app.selectbox(key="study").set_value("").run()
    assert len(app.dataframe[0].value) == 3
    assert "study" not in app.query_params


def test_controls_and_a_learning_curve(dataset: str) -> None:
    finish_run(dataset, 0.2)
    finish_run(dataset, 0.05, layout={"name": "random"})
    finish_run(dataset, 0.8, permute_labels=True)
    finish_run(dataset, 0.2, split={"kind": "learning_curve", "sizes": 2})
    app = open_page("compare")
    assert not app.exception
    assert not app.error
    assert set(app.dataframe[0].value["control"]) == {"", "random layout", "permuted labels"}
    assert "## Learning curve" in words(open_page("compare", view="settings"))
    text = words(app)
    assert "Controls, never the best network" in text
    assert "random" not in text.splitlines()[1]
