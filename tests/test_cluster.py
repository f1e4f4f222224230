"""Jobs on a Ray cluster of several computers, all on this machine's loopback."""

import os
import re
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.devices import CLUSTER
from core.errors import InputError
from core.files import read_json
from core.home import run_folder
from core.jobs import launch
from core.jobs.computers import last_seen
from core.jobs.job import KINDS
from core.jobs.launch import look_after_jobs
from core.jobs.record import JobState, read_log
from core.jobs.store import JobStore
from core.runs.store import RunStore
from tests.clusters import Cluster, cluster
from tests.counting import CountJob, QueuedCount
from tests.held import held
from tests.test_runs_worker import make_spec
from tests.workers import train_queue, wait_until

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray isn't installed")

LEFT = ("predictions.csv", "folds/0/model.safetensors", "folds/0/preprocessor.npz",
        "folds/0/layout.npz", "folds/0/predictions.csv", "folds.json", "findings.json")  # fmt: skip
"""Files of a run that hold no times."""


class Grid(NamedTuple):
    """A cluster, one of whose computers doesn't see the homes of tests."""

    cluster: Cluster
    apart: object
    """That computer."""
    its_home: Path


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    its_home = tmp_path_factory.mktemp("apart")
    with cluster() as started:
        started.add()
        yield Grid(started, started.add(its_home), its_home)


@pytest.fixture(autouse=True)
def on_cluster(grid: Grid, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trainings of this home go to the cluster; its coordinator ends with the test."""
    monkeypatch.setenv("GENECANVAS_RAY", grid.cluster.address)
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    monkeypatch.setitem(KINDS, "queued count", "tests.counting:QueuedCount")
    monkeypatch.setitem(KINDS, "deaf count", "tests.test_cluster:DeafCount")
    monkeypatch.setitem(KINDS, "deadly count", "tests.test_cluster:DeadlyCount")
    yield
    if coordinator() is not None:
        coordinator().kill()
        coordinator().wait()


def coordinator():
    """The process that submits this home's jobs."""
    return launch._started.get(JobStore().lease_path(CLUSTER), (None, 0))[0]


def count_ends(store: JobStore) -> None:
    """Let the list of jobs count how often each is said to be done."""
    with sqlite3.connect(store.path) as db:
        db.execute("CREATE TABLE ends (job TEXT)")
        db.execute(
            "CREATE TRIGGER count_ends AFTER UPDATE OF state ON jobs WHEN NEW.state = 'done' "
            "BEGIN INSERT INTO ends VALUES (NEW.id); END"
        )


def ends(store: JobStore) -> list[str]:
    with sqlite3.connect(store.path) as db:
        return sorted(row[0] for row in db.execute("SELECT job FROM ends"))


def on_which(job: str) -> bool | None:
    """Whether a job runs on a computer that sees the home; None while that isn't known."""
    seen = last_seen()
    found = [one.sees_home for one in (seen.computers if seen else ()) if job in one.jobs]
    return found[0] if found else None


def test_a_study_outlives_its_computers_with_the_bits_of_the_local_worker(
    grid: Grid, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    store = RunStore()
    specs = [
        make_spec(dataset, training={"epochs": 9}, split={"test_size": size / 100})
        for size in (20, 30, 40)
    ]
    alone = tmp_path / "alone"
    shutil.copytree(home, alone)
    runs = [store.submit(spec, study="sizes")[0].id for spec in specs]
    count_ends(store)

    with monkeypatch.context() as patch:  # until its coordinator is gone none gets to its end
        patch.setitem(KINDS, "train", held("train", events=3)["train"])
        look_after_jobs()
    begun: dict[bool, str] = {}

    def have_begun() -> bool:
        for run in store.running():
            kept = [*home.glob(f"runs/.attempts/{run}-*/{run}/folds/0/checkpoint.pt")]
            if kept and (where := on_which(run)) is not None:
                begun.setdefault(where, run)
        return len(begun) == 2

    wait_until(have_begun, 400)
    [process] = re.findall(r"attempt 1, process (\d+) on", read_log(run_folder(begun[True]), 200))
    os.kill(int(process), signal.SIGKILL)
    grid.cluster.kill(grid.apart)
    for folder in map(run_folder, begun.values()):
        wait_until(lambda log=folder: "attempt 1 was lost" in read_log(log, 900), 300)
    assert (grid.its_home / "datasets" / dataset / "data.h5ad").exists(), "sent to that computer"
    coordinator().kill()
    coordinator().wait()

    def all_ended() -> bool:
        look_after_jobs()  # as the app does again and again
        time.sleep(0.3)
        return all(record.state.finished for record in store.list())

    wait_until(all_ended, 500)
    assert {record.state for record in store.list()} == {JobState.DONE}
    assert ends(store) == sorted(runs), "each ends once"
    for run in begun.values():
        last = read_log(run_folder(run), 900).rpartition("attempt ")[2]
        assert "epoch 1 of 9" not in last, "it goes on"
    assert not [*home.glob("runs/.attempts/*")]

    monkeypatch.delenv("GENECANVAS_RAY")
    monkeypatch.setenv("GENECANVAS_HOME", str(alone))
    for spec in specs:
        RunStore().submit(spec)
    train_queue()
    for run in runs:
        assert sorted(store_files(home, run)) == sorted(store_files(alone, run))
        for name in LEFT:
            ours, theirs = (place / "runs" / run / name for place in (home, alone))
            assert ours.read_bytes() == theirs.read_bytes(), (run, name)
        measures = [*(alone / "runs" / run / "measures").iterdir()]
        for path in measures:
            assert path.read_bytes() == (home / path.relative_to(alone)).read_bytes()


def store_files(place: Path, run: str) -> list[str]:
    """Names of all that a run has left."""
    folder = place / "runs" / run
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


class DeafCount(QueuedCount):
    """One that never looks whether it shall stop."""

    kind: ClassVar[str] = "deaf count"
    patience: ClassVar[float] = 1.0

    def run(self, folder, reporter, device) -> None:
        reporter.progress(0, 1, "counting")
        time.sleep(600)


class DeadlyCount(QueuedCount):
    """One on which its process dies."""

    kind: ClassVar[str] = "deadly count"

    def run(self, folder, reporter, device) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_jobs_tell_how_they_go_and_hear_what_is_asked_of_them() -> None:
    store = JobStore()
    cancelled, early = (QueuedCount(to=to, wait=0.02) for to in (90_000, 90_001))
    deaf, deadly = DeafCount(to=1), DeadlyCount(to=1)
    local = CountJob(to=3)
    ids = [store.submit(job)[0].id for job in (cancelled, early, deaf, deadly)]
    look_after_jobs()
    wait_until(lambda: all(store.get(id).done >= 3 for id in ids[:2]), 300)
    assert store.get(ids[0]).message.startswith("counted ")
    assert [row["number"] for _, row in store.events(ids[0])][:3] == [1, 2, 3]
    assert read_log(store.get(ids[0]).folder, 90_000).count("counted 3\n") == 1
    with pytest.raises(InputError, match="Cancel it first"):
        store.delete(ids[0])
    launch.cancel(ids[0])
    store.stop_early(ids[1])
    wait_until(lambda: store.get(ids[0]).state == JobState.CANCELLED, 300)
    wait_until(lambda: store.get(ids[1]).state == JobState.DONE, 300)
    before = len(read_json(store.get(ids[0]).folder / "counted.json"))
    assert 3 <= before < 90_000
    wait_until(lambda: store.get(ids[2]).message == "counting", 300)
    launch.cancel(ids[2])
    launch.end_overdue()
    wait_until(lambda: store.get(ids[2]).state == JobState.CANCELLED, 300)
    assert coordinator().poll() is None, "it ends the task, and nobody ends it"
    wait_until(lambda: store.get(ids[3]).state == JobState.FAILED, 300)
    assert "died 3 times on this job" in store.get(ids[3]).reason
    assert local.key not in store.ids()
