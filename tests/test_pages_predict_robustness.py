"""On the page Predict: how much distortion a model stands, without a browser."""

from pathlib import Path

import pytest

from core.data.store import add_dataset
from core.jobs.here import do_here
from core.jobs.store import JobStore
from core.predict.robustness import RobustnessJob, load_robustness, robustness_path
from tests.pages import button, charts, open_page, words
from tests.runs import make
from tests.test_pages_explain import train
from tests.test_pages_predict import LABELS, cohort


@pytest.fixture(scope="module")
def run(shared_home: Path) -> str:
    """A small run in a home that this file's tests share, since they only add to it."""
    return train(make(add_dataset(cohort(), "tiny").id, **LABELS, preparation={"genes": 60}))


@pytest.fixture
def home() -> None:
    """Instead of one for each test."""


def open_part(run: str):
    app = open_page("predict", run=run)
    assert not app.exception
    assert "under distortion" not in words(app)
    app.session_state["robustness"] = True
    return app.run()


def test_distortion_is_measured_on_request_and_shown_with_who_breaks_first(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_part(run)
    assert not app.exception
    assert "who breaks first?" in words(app)
    monkeypatch.setattr("core.jobs.launch.ensure_workers", lambda: None)
    button(app, "Distort samples").click().run()
    assert not app.exception
    assert JobStore().look_up(RobustnessJob(about=run)) is not None
    assert button(app, "Cancel").key == "cancel Distorting samples"

    JobStore().delete(RobustnessJob(about=run).key)
    do_here(RobustnessJob(about=run), lambda *_: None)
    app = open_part(run)
    assert not app.exception
    assert not app.error
    found, said = load_robustness(run), words(app)
    assert found.summarise() in said
    for verdict in found.verdicts:
        assert found.describe(verdict) in said
    assert charts(app) == len(found.verdicts) == 5  # counts: no other normalisation
    assert [b.label for b in app.get("download_button")].count("All of it (CSV)") == 1


def test_what_is_damaged_is_measured_again(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.jobs.launch.ensure_workers", lambda: None)
    robustness_path(run).write_text("{")
    app = open_part(run)
    assert "What was measured is damaged" in words(app)
    button(app, "Measure it again").click().run()
    assert not app.exception
    assert not robustness_path(run).exists()
    assert JobStore().look_up(RobustnessJob(about=run)) is not None
