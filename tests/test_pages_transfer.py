"""The page Transfer: the question with its time, and the answer."""

from pathlib import Path

import genecanvas as gcv
from core.data.store import list_datasets
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.transfer.enquiring import has_reply, list_enquiries, load_enquiry
from core.transfer.spec import TransferSpec
from core.transfer.transferring import TransferJob, delete_transfer, transfer_here
from tests.pages import button, charts, open_page, words
from tests.test_transfer_enquiries import programs  # noqa: F401
from tests.transfers import add_pair


def test_the_page_asks_and_shows(home: Path) -> None:
    cohorts = add_pair()
    app = open_page("transfer")
    assert not app.exception
    assert "About" in words(app)
    assert "60 shared genes" in words(app)
    assert button(app, "Start")
    spec = TransferSpec.parse({**cohorts, "budgets": [10], "draws": 3})
    transfer_here(spec, lambda share, text: None)
    earlier = TransferJob(spec=spec).place.rename(home / "transfers" / ("0" * 16))
    app = open_page("transfer", id=earlier.name)  # an earlier version counted another id
    assert not app.exception
    assert "learning from S as well" in words(app)
    assert "Does this source fit?" in words(app)
    assert charts(app) == 4, "gains, scores, controls and where the source lies"


def test_one_without_a_row_yet_is_shown_at_work_and_failed(home: Path) -> None:
    store, job = JobStore(), TransferJob(spec=TransferSpec.parse(add_pair()))
    record, _ = store.submit(job)
    store.claim("cpu", job.lane)
    app = open_page("transfer", id=record.id)
    assert not app.exception
    assert "A chart is shown from" in words(app)
    while store.get(record.id).state != JobState.FAILED:
        store.reconcile()  # its worker has died
        store.claim("cpu", job.lane)
    app = open_page("transfer", id=record.id)
    assert not app.exception
    assert "Transfer failed. The worker process died" in words(app)
    assert button(app, "Go on")


def test_the_target_of_another_question_is_not_missed_where_it_is_learned_from(home: Path) -> None:
    add_pair()
    first, second = (record.id[:12] for record in list_datasets())
    app = open_page("transfer", ask="species", source=first, target=first)
    assert "chosen before" not in words(app)
    assert app.query_params["target"] == second


def test_the_page_asks_each_question_and_shows_its_reply(programs: dict) -> None:  # noqa: F811
    for question, said in (
        ("programs", "Learns programs of genes"), ("species", "gene sets go up or down"),
        ("images", "networks that learned from photographs"),
        ("imbalance", "Thins one of two classes out"),
    ):  # fmt: skip
        app = open_page("transfer", ask=question)
        assert not app.exception
        assert said in words(app)
    gcv.ask(**programs)
    key = list_enquiries()[0].key
    app = open_page("transfer", id=key)
    assert not app.exception
    assert "Kind one: The program of that name has" in words(app)
    assert charts(app) == 1
    assert "Asked before (1)" in [box.label for box in app.expander]
    delete_transfer(key)
    assert load_enquiry(key) is None or not has_reply(key)
