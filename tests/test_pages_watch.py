"""What is before the pages: ids and the log, health, numbers, limits on what is sent."""

import asyncio
import json
import logging
import re
import runpy
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import InputError
from core.home import Place, at, serve_one, serve_people, server_home
from core.jobs.job import KINDS
from core.jobs.launch import look_after_jobs
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.lease import Lease
from core.people import welcome
from core.processes import ROOT
from tests.counting import CountJob
from tests.pages import run_script
from ui import health, limits, metrics, watch
from ui.guard import Guard
from ui.health import Health
from ui.limits import Bucket, Limits, upload_limit
from ui.metrics import Metric, Metrics, allowed_addresses, write_metrics
from ui.watch import Watch

GIB = 1 << 30
UPLOAD = "/_stcore/upload_file/5e55/f11e"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """What is behind: says what it was asked."""
    if scope["type"] == "websocket":
        await send({"type": scope.get("then", "websocket.accept")})
        return
    await send({"type": "http.response.start", "status": scope.get("status", 200), "headers": []})
    await send({"type": "http.response.start", "status": scope.get("status", 200), "headers": []})
    ids = [value for name, value in scope["headers"] if name == b"x-request-id"]
    await send({"type": "http.response.body", "body": b" and ".join(ids)})


def ask(one: ASGIApp, path: str, **scope: Any) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an answer."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    asked = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"",
             "scheme": "http", "client": ("127.0.0.1", 1), **scope}  # fmt: skip
    asyncio.run(one(asked, None, send))
    headers = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
    return sent[0].get("status", 0), headers, b"".join(m.get("body", b"") for m in sent).decode()


def put(one: ASGIApp, size: int | str | None, client: str = "10.0.0.1") -> tuple[int, dict, str]:
    headers = [] if size is None else [(b"content-length", str(size).encode())]
    return ask(one, UPLOAD, method="PUT", headers=headers, client=(client, 1))


# Ids and the log


def test_each_request_has_an_id_of_the_servers_own_and_a_line(caplog) -> None:
    caplog.set_level(logging.INFO, "genecanvas")
    forged = [(b"host", b"x"), (b"x-request-id", b"forged\n")]
    _, headers, seen = ask(Watch(app), "/data", query_string=b"token=secret", headers=forged)
    assert re.fullmatch("[0-9a-f]{32}", seen)
    assert headers["x-request-id"] == seen
    assert ask(Watch(app), "/data")[2] != seen
    fields = caplog.records[0].fields
    assert fields.pop("seconds") >= 0
    assert fields == {"method": "GET", "path": "/data", "status": 200, "address": "127.0.0.1"}
    assert "secret" not in str(caplog.records[0].__dict__)


def test_the_log_opens_nothing_for_whoever_reads_it(caplog) -> None:
    caplog.set_level(logging.INFO, "genecanvas")
    for path in (UPLOAD, "/media/1234.csv", "/_stcore/health"):
        ask(Watch(app), path)
    ask(Watch(app), "/health", status=503)
    paths = [record.fields["path"] for record in caplog.records]
    assert paths == ["/_stcore/upload_file/…", "/media/…", "/health"]


def test_a_request_that_breaks_and_a_websocket_have_lines_too(caplog, monkeypatch) -> None:
    caplog.set_level(logging.INFO, "genecanvas")
    monkeypatch.setattr(watch, "answered", Counter())

    async def broken(*_: object) -> None:
        assert watch.open_pages == 0
        raise RuntimeError("broken")

    async def open_and_look(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        seen.append(watch.open_pages)

    seen: list[int] = []
    with pytest.raises(RuntimeError):
        ask(Watch(broken), "/data")
    ask(Watch(open_and_look), "/_stcore/stream", type="websocket")
    ask(Watch(open_and_look), "/_stcore/stream", type="websocket", then="websocket.close")
    lines = [(record.fields["method"], record.fields["status"]) for record in caplog.records]
    assert [line[1] for line in lines] == [500, 101, 403]
    assert seen == [1, 0]
    assert watch.open_pages == 0
    assert watch.answered == {"5xx": 1, "1xx": 1, "4xx": 1}


def test_what_a_page_logs_carries_the_id_of_its_connection(monkeypatch) -> None:
    def page() -> None:
        import streamlit as st

        from ui.watch import find_request

        st.text(find_request())

    assert watch.find_request() == ""
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.headers", {"x-request-id": "abc"})
    assert run_script(page).text[0].value == "abc"


def test_settings_that_are_none_are_said_at_the_start(monkeypatch) -> None:
    for name, value in (("GENECANVAS_LOG", "xml"), ("GENECANVAS_METRICS", "yes")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(SystemExit, match=f"error: Expected {name} to be .*'{value}'"):
                runpy.run_path(str(ROOT / "app.py"))


# Health


def look(one: Health) -> tuple[int, dict[str, str]]:
    answer = asyncio.run(one.answer(None))
    return answer.status_code, json.loads(answer.body)


def test_health_says_what_is_wrong_and_no_more(home: Path, monkeypatch) -> None:
    monkeypatch.setattr(health, "FRESH", -1.0)
    home.mkdir()
    look_after_jobs()
    one = Health()
    well = {"status": "ok", "queue": "ok", "store": "ok", "disk": "ok"}
    assert look(one) == (200, well)
    with monkeypatch.context() as patch:
        patch.setattr(health, "LEAST_ROOM", 1 << 80)
        assert look(one) == (503, {**well, "status": "failing", "disk": "almost full"})
    one._looked = time.monotonic() - health.LONGEST_LOOK - 1
    assert look(one)[1]["queue"] == "not looked after"
    one.looked_after_queue()
    assert look(one) == (200, well)
    with closing(sqlite3.connect(home / "runs.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert look(one) == (503, {**well, "status": "failing", "store": "can't be used"})
        db.execute("ROLLBACK")
        db.execute("PRAGMA user_version = 999")
    assert look(one)[1]["store"] == "can't be used"


def test_asking_for_health_often_asks_the_store_once(monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(health, "FRESH", 1e9)
    monkeypatch.setattr(Health, "check", lambda self: asked.append(1) or {"store": "ok"})

    async def ask_often() -> None:
        one = Health()
        await asyncio.gather(*(one.answer(None) for _ in range(50)))

    asyncio.run(ask_often())
    assert len(asked) == 1


# Numbers


def test_numbers_are_for_who_is_named_only(monkeypatch) -> None:
    allowed = {
        "": [], "0": [], "1": ["127.0.0.1", "::1"],
        "10.0.0.7, 2001:db8::7": ["127.0.0.1", "::1", "10.0.0.7", "2001:db8::7"],
    }  # fmt: skip
    asked = ["127.0.0.1", "::1", "10.0.0.7", "10.0.0.77", "2001:db8::7", "nonsense", ""]
    monkeypatch.setattr(metrics, "collect", lambda: [])
    for setting, addresses in allowed.items():
        monkeypatch.setenv("GENECANVAS_METRICS", setting)
        for path in ("/metrics", "/_stcore/metrics"):
            got = {who for who in asked if ask(Metrics(app), path, client=(who, 1))[0] == 200}
            assert got == set(addresses), (setting, path)
        assert ask(Metrics(app), "/metrics", client=None)[0] == 404
    assert ask(Metrics(app), "/data", client=("10.0.0.77", 1))[0] == 200
    monkeypatch.setenv("GENECANVAS_METRICS", "lab-pc")
    with pytest.raises(InputError, match="got 'lab-pc'"):
        allowed_addresses()


def test_numbers_are_those_of_the_store(home: Path, monkeypatch) -> None:
    monkeypatch.setitem(KINDS, "count", "tests.counting:CountJob")
    monkeypatch.setenv("GENECANVAS_METRICS", "1")
    store = JobStore()
    ids = [store.submit(CountJob(to=to))[0].id for to in range(1, 6)]
    now = datetime.now(UTC)

    def set_times(id: str, *ago: float | None) -> None:
        times = [None if s is None else (now - timedelta(seconds=s)).isoformat() for s in ago]
        state = JobState.RUNNING if times[2] is None else JobState.DONE
        with closing(sqlite3.connect(store.path)) as db, db:
            db.execute("UPDATE jobs SET created = ?, started = ?, finished = ?, state = ? "
                       "WHERE id = ?", (*times, state, id))  # fmt: skip

    set_times(ids[0], 100, 90, 60)
    set_times(ids[1], 100, 80, 10)
    set_times(ids[2], 9000, 8000, 100)  # asked for long ago, done just now
    set_times(ids[3], 50, 20, None)
    lease = Lease(store.lease_path("cpu"))
    assert lease.acquire()
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    (home / "datasets").mkdir()
    (home / "datasets/a").write_bytes(bytes(1234))
    status, headers, text = ask(Metrics(app), "/metrics")
    lease.release()
    assert status == 200
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for line in (
        'genecanvas_jobs{kind="count",state="done"} 3',
        'genecanvas_jobs{kind="count",state="running"} 1',
        'genecanvas_jobs{kind="count",state="queued"} 1',
        'genecanvas_job_wait_seconds{kind="count",quantile="0.5"} 20.0',  # of 10, 20 and 30
        'genecanvas_job_wait_seconds{kind="count",quantile="0.95"} 30.0',
        'genecanvas_job_seconds{kind="count",quantile="0.5"} 70.0',  # of 30, 70 and 7900
        'genecanvas_workers{lane="queue"} 1',
        'genecanvas_workers{lane="interactive"} 0',
        'genecanvas_home_bytes{folder="datasets"} 1234',
        "genecanvas_sessions 0",
    ):
        assert f"\n{line}\n" in text, line
    one = r'\w+="[^"]*"'
    form = rf"# (HELP|TYPE) genecanvas_\w+ .+|genecanvas_\w+(\{{{one}(,{one})*\}})? [\d.]+"
    for line in text.splitlines():
        assert re.fullmatch(form, line), line


def test_health_and_numbers_are_of_all_homes_and_need_nobody_signed_in(
    home: Path, monkeypatch
) -> None:
    monkeypatch.setitem(KINDS, "count", "tests.counting:CountJob")
    monkeypatch.setenv("GENECANVAS_METRICS", "1")
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    home.mkdir()
    (home / "people.yaml").write_text("admins: [anna@lab.org]\n")
    for name in ("anna@lab.org", "bert@lab.org"):
        with at(server_home()):
            place = welcome(name).home
        with at(place):
            JobStore().submit(CountJob(to=1))

    def nobody() -> Place:
        raise InputError("Nobody is signed in here.")

    try:
        serve_people(nobody)
        assert look(Health())[0] == 200
        status, _, text = ask(Metrics(app), "/metrics")
    finally:
        serve_one()
    assert status == 200
    assert '\ngenecanvas_jobs{kind="count",state="queued"} 2\n' in text
    assert "anna" not in text


def test_a_label_can_not_end_its_line() -> None:
    written = write_metrics([Metric("x", "gauge", "A.", [({"a": 'q"\\\nb'}, 1)])])
    assert written.splitlines()[-1] == 'genecanvas_x{a="q\\"\\\\\\nb"} 1'


# What is sent


def test_an_upload_is_refused_by_its_length_before_it_is_read() -> None:
    largest = upload_limit()
    assert largest == 1 << 30
    assert put(Limits(app), largest)[0] == 200
    status, _, why = put(Limits(app), largest + 1)
    assert (status, why) == (413, "The file has 1.1 GB; at most 1.1 GB may be sent.")
    for size in (None, -1, "9" * 5000, "1 ", "٣"):
        assert put(Limits(app), size)[0] == 411
    assert ask(Limits(app), UPLOAD, method="DELETE")[0] == 200


def test_a_sender_may_send_some_files_at_once_and_more_with_time(monkeypatch) -> None:
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: now))
    now, one = 1000.0, Limits(app)
    for _ in range(limits.FILES):
        assert put(one, 10)[0] == 200
    status, headers, why = put(one, 10)
    assert (status, headers["retry-after"]) == (429, "1")
    assert why == "You have sent many files. Send this one again in 1 second."
    assert put(one, 10, "10.0.0.2")[0] == 200  # others are not held back
    with monkeypatch.context() as patch:  # behind one address
        patch.setenv("GENECANVAS_SIGN_IN", "header")
        patch.setattr(limits, "name_of_request", lambda _: "ada@lab")
        assert put(one, 10)[0] == 200
    now += 1 / limits.FILES_A_SECOND
    assert [put(one, 10)[0] for _ in range(2)] == [200, 429]
    monkeypatch.setattr(limits, "FORGOTTEN", 3)
    put(one, 10, "10.0.0.3")
    assert list(one._buckets) == ["ada@lab", "10.0.0.1", "10.0.0.3"]


def test_bytes_come_back_with_time_too() -> None:
    bucket = Bucket(0.0)
    eight = [bucket.wait(GIB, 0.0) for _ in range(8)]
    assert eight == [0] * 8
    wait = bucket.wait(GIB, 0.0)
    assert wait == GIB / limits.BYTES_A_SECOND
    assert bucket.wait(GIB, wait - 1) > 0
    assert bucket.wait(GIB, wait) == 0
    assert bucket.wait(9 * GIB, 1e9) > 0  # never more than the store holds


def test_what_is_on_its_way_or_not_taken_is_limited_for_all_together(monkeypatch) -> None:
    inner: list[int] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        """While a file comes, others ask to send one."""
        if len(asks) > 0:
            inner.append(one.refuse(*asks.pop(), 0.0)[0])
            await one(scope, receive, send)
        else:
            await app(scope, receive, send)

    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: 0.0))
    one, asks = Limits(slow), [("10.0.0.1", GIB), ("10.0.0.1", GIB)]
    assert put(one, GIB)[0] == 503  # the third of one address
    assert inner == [0, 503]
    assert not one._coming
    monkeypatch.setattr(limits, "unclaimed", lambda: 4 * GIB)
    assert put(Limits(app), 1)[0] == 503
    monkeypatch.setattr(limits, "unclaimed", lambda: 3 * GIB)
    assert put(Limits(app), GIB)[0] == 200


def test_a_tab_sends_no_more_than_so_much(monkeypatch) -> None:
    def page() -> None:
        import streamlit as st

        from ui.parts import errors
        from ui.uploads import hold

        with errors():
            st.text(
                len(
                    [
                        hold(file)
                        for file in st.file_uploader("f", key="f", accept_multiple_files=True)
                    ]
                )
            )

    monkeypatch.setattr("ui.uploads.upload_limit", lambda: 10)
    app = run_script(page)
    app.file_uploader(key="f").upload("a.csv", b"a" * 80, "text/csv").run()
    assert app.text[0].value == "1"
    app.file_uploader(key="f").upload("b.csv", b"b", "text/csv").run()
    assert "this tab has sent" in app.error[0].value


# Headers


def test_headers_hold_more_where_the_answer_is_encrypted_or_a_file() -> None:
    plain = ask(Guard(app), "/data", headers=[(b"host", b"localhost")])[1]
    assert plain["cross-origin-opener-policy"] == "same-origin"
    assert plain["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in plain["permissions-policy"]
    assert not {"strict-transport-security", "cache-control"} & plain.keys()
    host = [(b"host", b"localhost")]
    assert ask(Guard(app), "/media/a.csv", headers=host)[1]["cache-control"] == "private, no-store"
    fonts = ask(Guard(app), "/static/media/a.woff2", headers=host)[1]
    assert "cache-control" not in fonts
    encrypted = ask(Guard(app), "/data", headers=host, scheme="https")[1]
    assert encrypted["strict-transport-security"] == "max-age=31536000"
