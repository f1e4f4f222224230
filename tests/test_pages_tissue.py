"""The page Histology, without a browser."""

from core.jobs.here import do_here
from core.jobs.store import JobStore
from core.tissue.job import TissueJob
from core.tissue.result import load_answer
from core.tissue.spec import TissueSpec
from core.tissue.store import list_tissues
from tests.pages import button, charts, open_page, words


def test_a_tissue_is_loaded_asked_and_answered_with_the_verdict_first(monkeypatch) -> None:
    monkeypatch.setattr("core.jobs.launch.ensure_workers", lambda: None)
    app = open_page("tissue")
    assert not app.exception
    button(app, "Load a simulated tissue").click().run()
    assert not app.exception
    [record] = list_tissues()
    button(app, "Predict genes").click().run()
    spec = TissueSpec(tissue=record.id)
    assert JobStore().look_up(TissueJob(asked=spec)) is not None
    assert button(app, "Cancel").key == "cancel Predicting genes"

    JobStore().delete(TissueJob(asked=spec).key)
    do_here(TissueJob(asked=spec), lambda *_: None)
    app = open_page("tissue", tissue=record.id)
    assert not app.exception
    assert not app.error
    said, verdict = words(app), load_answer(spec).result.verdict()
    assert all(line in said for line in verdict)
    assert "With 4 patients no gene is predicted beyond depth." in said
    assert charts(app) == 3, "the bars, and a section twice"
    assert "HUE" in said, "a gene that follows the hue is the first"
