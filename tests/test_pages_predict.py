"""Predict without a browser: the question, the match card, calls, known classes, the link."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from anndata import AnnData
from streamlit.testing.v1 import AppTest

from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.jobs.here import do_here
from core.predict.predicting import MatchJob, PredictJob, load_prediction
from core.predict.request import PredictRequest
from tests.pages import button, open_page, words
from tests.runs import make
from tests.test_pages_explain import train

LABELS = {"label": "tumour_type", "group": "patient"}


def others(seed: int = 1) -> AnnData:
    """Samples of another cohort than the model's, of the same classes."""
    data, _ = simulate(60, 200, seed=seed)
    data.obs_names = [f"other {name}" for name in data.obs_names]
    return data


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A home with a run of two folds, and its id."""
    place = tmp_path_factory.mktemp("trained")
    before = os.environ.get("GENECANVAS_HOME")
    os.environ["GENECANVAS_HOME"] = str(place)
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    run = train(
        make(
            dataset, **LABELS, preparation={"genes": 60}, split={"kind": "kfold", "folds": 2},
        )
    )  # fmt: skip
    yield place, run
    if before is None:
        del os.environ["GENECANVAS_HOME"]
    else:
        os.environ["GENECANVAS_HOME"] = before


@pytest.fixture
def run(trained: tuple[Path, str], home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GENECANVAS_HOME", str(trained[0]))
    return trained[1]


def ask(run: str, dataset: str, **cohort) -> PredictRequest:
    return PredictRequest(model=run, cohort=Cohort(dataset=dataset, **cohort))


def do(job: type[MatchJob], asked: PredictRequest) -> None:
    do_here(job(about=asked.model, asked=asked), lambda *_: None)


def view(app: AppTest, name: str) -> AppTest:
    app.segmented_control(key="predict view").set_value(name).run()
    assert not app.exception
    return app


def test_without_a_run_the_page_leads_to_training() -> None:
    app = open_page("predict")
    assert not app.exception
    assert "no finished run to predict with" in words(app)
    button(app, "Train a network").click().run()
    assert app.title[0].value == "Train"


def test_from_the_question_to_the_card_to_the_calls(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    app = open_page("predict", run=run, samples=dataset[:12])
    assert not app.exception
    assert button(app, "Does the model fit?")
    assert "samples as unlike" not in words(app)
    asked = ask(run, dataset, **LABELS)

    do(MatchJob, asked)
    app.run()
    assert not app.exception
    found = {metric.label: metric.value for metric in app.metric}
    assert found["Genes found"] == "60 of 60"
    assert found["Of the weight"] == "100.0%"
    assert "look unlike" not in words(app)  # nothing is called before it is asked for
    assert button(app, "Predict")

    do(PredictJob, asked)
    app.run()
    assert not app.exception
    assert not app.error
    calls = load_prediction(asked).calls
    flagged = int(calls["flagged"].sum())
    assert f"{flagged} of 60 samples" in words(app)
    table = app.dataframe[-1].value
    assert table["call"].tolist() == calls["called"].tolist()
    assert {"probability", "novelty", "looks", "tuned linear model", "known"} <= set(table)
    app = view(app, "map")
    assert "Dots are samples that the model learned from" in words(app)
    app = view(app, "truth")
    assert "Accuracy of the network on 60 samples that are known" in words(app)


def test_the_link_brings_the_same_view_back(run: str) -> None:
    dataset = add_dataset(others(), "others").id
    asked = ask(run, dataset, label="tumour_type", where={"tumour_type": ["BRCA", "KIRC"]})
    do(PredictJob, asked)
    said = {"label": "tumour_type", "where": {"tumour_type": ["BRCA", "KIRC"]}}
    app = open_page("predict", run=run, samples=dataset[:12], cohort=json.dumps(said))
    assert not app.exception
    n = len(load_prediction(asked).calls)
    assert 0 < n < 60
    assert f"of {n} samples" in words(app)
    assert "samples where tumour_type is BRCA, KIRC" in words(app)
    assert json.loads(app.query_params["cohort"]) == said


@pytest.mark.parametrize("said", ["?", "[]", '{"label": "no such column"}', '{"dataset": "x"}'])
def test_a_link_that_does_not_fit_is_said_and_left_out(run: str, said: str) -> None:
    dataset = add_dataset(others(), "others").id
    app = open_page("predict", run=run, samples=dataset[:12], cohort=said, together="?")
    assert not app.exception
    assert any("does not fit" in box.value for box in app.warning)
    assert button(app, "Does the model fit?")
