"""The page Computers, with and without a cluster, and what the command line says of them."""

from pathlib import Path

import pytest

from core.cli import main
from core.devices import CLUSTER
from core.files import write_json
from core.jobs.computers import Computer, Computers, last_seen
from core.jobs.job import KINDS, Lane
from core.jobs.launch import at_once
from core.jobs.store import JobStore
from core.lease import Lease
from tests.counting import QueuedCount
from tests.pages import open_page


@pytest.fixture(autouse=True)
def on_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENECANVAS_RAY", "10.0.0.5:6379")
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    monkeypatch.setattr("core.devices.find_spec", lambda _: True)  # also where Ray isn't installed
    monkeypatch.setitem(KINDS, "queued count", "tests.counting:QueuedCount")


def say_all(app) -> str:
    return " ".join(part.value for part in app.markdown)


def test_the_page_says_what_trains_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENECANVAS_RAY")
    app = open_page("computers")
    assert not app.exception
    assert "on the processor, one at a time" in say_all(app)


def test_the_page_lists_the_computers_of_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    store = JobStore()
    id = store.submit(QueuedCount(to=3))[0].id
    lease = Lease(store.lease_path(CLUSTER))  # as if the coordinator were alive
    lease.acquire()
    try:
        write_json(Path(store.path.parent, "computers.json"), {"address": "10.0.0.5:6379"})
        assert last_seen() is None, "damaged"
        alike = Computer(
            name="one", cpus=4, gpus=0, memory=10**9, versions={"Python": "3.11.7"},
            sees_home=True, jobs=(id,),
        )  # fmt: skip
        why = "It has torch none instead of 2.15.0, so …"
        unlike = Computer(
            name="two", cpus=8, gpus=0, memory=10**9, versions={"torch": "none"}, why_unused=why
        )
        new = Computer(name="new", cpus=8, gpus=0, memory=10**9, why_unused="It hasn't said yet.")
        Computers(
            address="10.0.0.5:6379", seen="2026-01-01T00:00:00Z", at_once=3,
            computers=(alike, unlike, new, new),
        ).save()  # fmt: skip
        assert (at_once(Lane.QUEUE), at_once(Lane.INTERACTIVE)) == (3, 2)
        app = open_page("computers")
        assert not app.exception
        assert "**1 of 4** computers get trainings, 3 at a time." in say_all(app)
        table = app.dataframe[0].value
        assert table["trains"].tolist() == ["Counting to 3", "–", "–", "–"]
        assert table["gets trainings"].tolist() == ["yes", "no", "no", "no"]
        assert "two gets none. It has torch none instead of 2.15.0" in say_all(app)
        assert main(["computers"]) == 0
        assert capsys.readouterr().out.splitlines()[:2] == [
            f"one: 4 CPUs, 0 GPUs, trains {id}", f"two: 8 CPUs, 0 GPUs, {why}",
        ]  # fmt: skip
        assert table["files"].tolist() == ["reads the home itself", "are sent", "–", "–"]
        assert say_all(app).count("new gets none") == 1
    finally:
        lease.release()
