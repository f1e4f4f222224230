"""Runs that predict a number, on the pages, without a browser."""

from pathlib import Path

import pytest

from core.data.store import add_dataset
from core.explain.methods import Recipe
from core.runs.explaining import explain_run
from core.runs.result import headline
from core.runs.spec import RunSpec
from tests.pages import charts, open_page, words
from tests.test_regression import ask, simulate, train


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(), "doses").id


def test_pages_show_a_finished_run(dataset: str) -> None:
    run = train(ask(dataset))
    app = open_page("run", id=run)
    assert not app.exception
    assert not app.error
    assert headline(run) in words(app)
    assert charts(app) >= 2
    scores = next(t.value for t in app.dataframe if "R²" in t.value)
    assert {"network", "Training mean", "Ridge regression"} <= set(scores.index)

    explain_run(run, Recipe(), lambda *_: None)
    for view in ("genes", "statistics", "samples", "compare", "trust"):
        app = open_page("explain", run=run, **{"class": "dose"})
        app.segmented_control(key="explain view").set_value(view).run()
        assert not app.exception, view
        assert all("better than a guess" in error.value for error in app.error), view
        assert "dose" in words(app)
    for view in ("scores", "differences", "settings", "cost", "run"):
        app = open_page("compare", runs=run, view=view)
        assert not app.exception, view
        assert [error.value for error in app.error] == [], view
    assert "Largest errors" in words(app)


def test_a_number_is_asked_for_on_the_page_train(dataset: str) -> None:
    app = open_page("train", dataset=dataset)
    app.selectbox(key="task").set_value("regression").run()
    app.text_input(key=f"target gene {dataset[:12]}").set_value("g7").run()
    assert not app.exception
    assert not app.error
    [asked] = [code.value for code in app.code if code.value.startswith("cohort:")]
    spec = RunSpec.from_yaml(asked)
    assert (spec.task, spec.cohort.label) == ("regression", "gene:g7")
    app.selectbox(key=f"target {dataset[:12]}").set_value("dose").run()
    app.text_input(key=f"target gene {dataset[:12]}").set_value("").run()
    assert not app.exception
    assert app.selectbox(key=f"target {dataset[:12]}").options == ["dose", "rare", "endless"]
    [asked] = [code.value for code in app.code if code.value.startswith("cohort:")]
    assert RunSpec.from_yaml(asked).cohort.label == "dose"


def test_what_says_nothing_of_a_number_is_not_asked_for(dataset: str) -> None:
    app = open_page("train", dataset=dataset)
    app.get("button_group")[0].set_value("custom").run()
    asked = {"training loss", "training label_smoothing", "training batch_size"}
    assert asked <= {widget.key for widget in [*app.selectbox, *app.number_input]}
    app.selectbox(key="task").set_value("regression").run()
    app.selectbox(key=f"target {dataset[:12]}").set_value("dose").run()
    assert not app.exception
    assert not app.error
    keys = {widget.key for widget in [*app.selectbox, *app.number_input]}
    assert asked & keys == {"training batch_size"}
