"""The log: one JSON document a line when that is asked for, with the ids of request and job."""

import io
import json
import logging
import os
import sys
from collections.abc import Iterator

import pytest

from core.errors import InputError
from core.jobs.job import KINDS
from core.jobs.queue import Queue
from core.jobs.record import Worker, read_log
from core.jobs.store import JobStore
from core.jobs.worker import Stop, run_waiting
from core.logs import REQUEST, about_job, log_event, start_log
from tests.counting import CountJob


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", "genecanvas", "guest")]
    before = [(one.handlers[:], one.level, one.propagate) for one in loggers]
    yield
    for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_each_event_is_one_document_on_one_line_with_its_ids(monkeypatch) -> None:
    monkeypatch.setenv("GENECANVAS_LOG", "json")
    guest, own = logging.getLogger("guest"), io.StringIO()
    guest.addHandler(logging.StreamHandler(own))
    guest.propagate = False
    stream = io.StringIO()
    start_log(stream, everything=True, find_request=lambda: "of a page")
    log_event("nothing yet")
    token = REQUEST.set("r1")
    with about_job("j1"):
        log_event("job started", kind="train")
        guest.warning("two\nlines: %s", "Tumör")
    REQUEST.reset(token)
    guest.info("not of us, and no warning")
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("genecanvas").exception("A page failed")
    first, started, warned, failed = lines(stream.getvalue())
    assert first["request"] == "of a page"
    assert "job" not in first
    assert {**started, "time": ""} == {
        "time": "", "level": "info", "logger": "genecanvas", "event": "job started",
        "request": "r1", "job": "j1", "kind": "train",
    }  # fmt: skip
    assert (warned["event"], warned["logger"]) == ("two\nlines: Tumör", "guest")
    assert "ValueError: broken" in failed["exception"]
    assert own.getvalue() == ""


def test_without_it_the_log_is_as_it_was(monkeypatch, capfd) -> None:
    for form in ("", "text"):
        monkeypatch.setenv("GENECANVAS_LOG", form)
        start_log(sys.stderr, everything=True)
        log_event("job queued")
        assert capfd.readouterr().err == ""
    monkeypatch.setenv("GENECANVAS_LOG", "xml")
    with pytest.raises(InputError, match="text or json, got 'xml'"):
        start_log(sys.stderr, everything=True)


def test_a_job_can_be_followed_from_who_asked_to_the_worker(monkeypatch, capfd) -> None:
    monkeypatch.setitem(KINDS, "count", "tests.counting:CountJob")
    monkeypatch.setenv("GENECANVAS_LOG", "json")
    stream = io.StringIO()
    start_log(stream, everything=False)
    store = JobStore()
    token = REQUEST.set("r1")
    job = store.submit(CountJob(to=2))[0].id
    store.submit(CountJob(to=2))  # known, so that nothing happens
    REQUEST.reset(token)
    (queued,) = lines(stream.getvalue())
    assert (queued["event"], queued["request"], queued["job"]) == ("job queued", "r1", job)
    with os.fdopen(os.dup(2), "w") as log:  # as a worker starts it
        start_log(log, everything=False)
        run_waiting(Queue(), Worker("cpu", store.get(job).lane), Stop())
    started, ended = lines(capfd.readouterr().err)
    assert (started["event"], started["job"], started["kind"]) == ("job started", job, "count")
    assert (ended["event"], ended["job"], ended["state"]) == ("job ended", job, "done")
    assert ended["seconds"] >= 0
    assert "job started" not in read_log(store.get(job).folder)  # a job's own log stays its own
