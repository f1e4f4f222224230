"""Work: all jobs behind one button of every page; nothing is read while it is closed."""

import pytest
from streamlit.testing.v1 import AppTest

from core.data.cohort import Cohort
from core.jobs.job import KINDS, Lane
from core.jobs.record import JobState, log_path
from core.jobs.store import JobStore
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from tests.counting import CountJob
from tests.pages import button, open_page, words
from tests.test_pages_runs import busy_worker  # noqa: F401
from ui.docs import split_page
from ui.help import STEPS
from ui.pin import PAGE


def open_work(app: AppTest) -> AppTest:
    app.session_state["work"] = True
    return app.run()


@pytest.fixture
def jobs(busy_worker: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:  # noqa: F811
    """One that runs, one that failed, one that waits for a worker, a training that waits."""
    monkeypatch.setitem(KINDS, "count", "tests.counting:CountJob")
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    store = JobStore()
    names = ("Broken", "*Bold*", "Patient")
    failed, running, queued = (
        store.submit(CountJob(to=number), name)[0].id for number, name in enumerate(names)
    )
    store.claim("cpu", Lane.INTERACTIVE)
    store.finish(failed, JobState.FAILED, "The moon was full.")
    store.claim("cpu", Lane.INTERACTIVE)
    store.set_progress(running, 3, 9, "counted 3")
    run = RunStore().submit(RunSpec(cohort=Cohort(dataset="0" * 64, label="x")))[0].id
    log_path(store.get(failed).folder).parent.mkdir(parents=True)
    log_path(store.get(failed).folder).write_text("worker 1: howling\n")
    return {"failed": failed, "running": running, "queued": queued, "run": run}


def test_a_home_without_jobs_says_so_and_gets_no_list() -> None:
    app = open_work(open_page("data"))
    assert not app.exception
    assert "Nothing runs, waits or has failed." in words(app)
    assert not JobStore.exists()


def test_work_of_any_kind_is_listed_stopped_and_tried_again(jobs: dict[str, str]) -> None:
    app = open_page("data")
    assert "3 to do" in words(app)
    assert "Patient" not in words(app), "closed, it lists nothing"
    app = open_work(app)
    assert not app.exception
    text = words(app)
    order = [text.index(name) for name in ("*Bold*", "Patient", "SqueezeNet", "Broken")]
    assert order == sorted(order), "what runs, what waits for its turn, the queue, what failed"
    assert "The moon was full." in text
    assert app.get("progress")[0].proto.value == 33
    assert "Counted 3" in app.get("progress")[0].proto.text

    store = JobStore()
    app = app.button(key=f"work cancel {jobs['queued']}").click().run()
    assert store.get(jobs["queued"]).state == JobState.CANCELLED
    app = app.button(key=f"work cancel {jobs['running']}").click().run()
    assert app.button(key=f"work cancel {jobs['running']}").disabled
    assert store.requests(jobs["running"]).cancel
    app = app.button(key=f"work again {jobs['failed']}").click().run()
    assert store.get(jobs["failed"]).state == JobState.QUEUED
    assert not app.exception


def test_the_log_of_a_job_is_shown_and_a_failure_is_forgotten(jobs: dict[str, str]) -> None:
    app = open_page("data")
    app.session_state[f"work_log_{jobs['failed']}"] = True
    app = open_work(app)
    assert any("howling" in code.value for code in app.code)
    app = app.button(key=f"work forget {jobs['failed']}").click().run()
    assert jobs["failed"] not in JobStore().ids()
    assert not app.exception


def test_a_training_is_opened_from_any_page(jobs: dict[str, str]) -> None:
    app = open_work(open_page("data"))
    app = app.button(key=f"work open {jobs['run']}").click().run()
    assert not app.exception
    assert app.title[0].value == RunStore().get(jobs["run"]).name
    assert app.query_params["id"] == jobs["run"]


def test_the_tour_leads_through_five_pages_and_is_left() -> None:
    app = button(open_page("data"), "Or look around first: five steps").click().run()
    app = button(app, "Leave the tour").click().run()
    app.session_state["help"] = True
    app = button(app.run(), "A tour of five steps").click().run()
    for number, (page, said) in enumerate(STEPS, start=1):
        assert not app.exception
        assert app.session_state[PAGE] == page
        shown = [getattr(node, "value", node.type) for node in app.main]
        step = shown.index(f"{number} of 5. {said}")
        assert step < shown.index("popover"), "Help and Work stand beside the title, not over it"
        app = button(app, "Next" if number < 5 else "Leave the tour").click().run()
    assert "5 of 5" not in words(app)


def test_the_docs_are_pages_of_the_app() -> None:
    app = open_page("docs")
    assert not app.exception
    assert "/docs?read=docs/pages/run.md" in words(app)
    assert len(app.title) == 1
    there = open_page("docs", read="docs/pages/run.md")
    assert not there.exception
    [(path, alt)] = [image for _, image in split_page("docs/pages/run.md") if image]
    assert path.exists()
    assert alt
    assert "## " in "".join(each.value for each in there.markdown)
    lost = open_page("docs", read="../../etc/passwd")
    assert "There is no page" in lost.warning[0].value
