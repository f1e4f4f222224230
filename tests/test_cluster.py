"""Jobs on a Ray cluster of several computers, all on this machine's loopback."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pytest

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.devices import CLUSTER
from core.errors import InputError
from core.files import read_json
from core.home import at
from core.jobs import launch
from core.jobs.computers import last_seen
from core.jobs.job import KINDS
from core.jobs.launch import look_after_jobs
from core.jobs.record import JobState, read_log
from core.jobs.store import JobStore
from core.people import Quota, set_quota, welcome
from core.runs.store import RunStore
from tests.clusters import Cluster, cluster
from tests.counting import QueuedCount
from tests.held import held
from tests.test_runs_worker import make_spec
from tests.workers import train_queue, wait_until

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray isn't installed")

LEFT = ("predictions.csv", "folds/0/model.safetensors", "folds/0/preprocessor.npz",
        "folds/0/layout.npz", "folds/0/predictions.csv", "folds.json", "findings.json")  # fmt: skip
"""Files of a run that hold no times."""


class Grid(NamedTuple):
    """A cluster, one of whose computers doesn't see the homes of tests, and one is of no use."""

    cluster: Cluster
    apart: object
    """The one that doesn't see them."""
    its_home: Path


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    its_home, other = tmp_path_factory.mktemp("apart"), tmp_path_factory.mktemp("other")
    installed = other / "numpy-9.9.dist-info" / "METADATA"
    installed.parent.mkdir()
    installed.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 9.9\n")
    with cluster(first=0) as started:
        started.add()
        started.add(PYTHONPATH=other)
        yield Grid(started, started.add(GENECANVAS_HOME=its_home), its_home)


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


@pytest.fixture
def anna(home: Path) -> Iterator[Path]:
    """The home of one of several people, in which the test is."""
    home.mkdir()
    (home / "people.yaml").write_text("admins: [anna@lab.org]\n")
    place = welcome("anna@lab.org").home
    with at(place):
        yield place


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


def why_unused() -> list[str]:
    """What is said of the computers that get no jobs."""
    return sorted(one.why_unused for one in last_seen().computers if one.why_unused)


def log_of(job: str) -> str:
    return read_log(JobStore().get(job).folder, 10**6)


def process_of(job: str) -> int | None:
    """The process that does a job; None while its log is on the way from attempt to attempt."""
    found = re.findall(r"attempt \d+, process (\d+) on", log_of(job))
    return int(found[-1]) if found else None


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


HOG = """
import sys, time, ray

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
assert ray.util.placement_group([{"CPU": 1}] * 3).wait(500)
print("taken", flush=True)
time.sleep(3600)
"""
"""Takes all three processors, as somebody else who uses the cluster might."""


def test_jobs_tell_how_they_go_and_hear_what_is_asked_of_them(grid: Grid, anna: Path) -> None:
    store = JobStore()
    counts = [store.submit(QueuedCount(to=100_000 + n, wait=0.02))[0].id for n in range(2)]
    cancelled, early = counts
    with subprocess.Popen(
        [sys.executable, "-c", HOG, grid.cluster.address], stdout=subprocess.PIPE, text=True
    ) as hog:
        assert hog.stdout.readline() == "taken\n"
        look_after_jobs()
        waits = "Waits for a computer of the cluster"
        wait_until(lambda: all(store.get(id).message == waits for id in counts))
        launch.cancel(cancelled)
        wait_until(lambda: store.get(cancelled).state == JobState.CANCELLED)
        hog.kill()
    wait_until(lambda: "It hasn't said yet what it is." not in why_unused())
    unlike, first = why_unused()
    assert first == "It lends no processor."
    assert unlike.startswith(f"It has numpy 9.9 instead of {np.__version__}, so that")
    store.resume(cancelled)
    wait_until(lambda: all(store.get(id).done >= 3 for id in counts))
    assert store.get(cancelled).message.startswith("counted ")
    assert [row["number"] for _, row in store.events(cancelled)][:3] == [1, 2, 3]
    with pytest.raises(InputError, match="Cancel it first"):
        store.delete(cancelled)
    [apart] = [id for id in counts if on_which(id) is False]  # known once it has counted
    wait_until(lambda: [*anna.glob(f"jobs/.attempts/{apart}-*/{apart}/counted.json")])
    killed = process_of(apart)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: process_of(apart) not in (None, killed))  # the other has no room for it
    wait_until(lambda: log_of(apart).rpartition(", process ")[2].count("counted") >= 3)
    launch.cancel(cancelled)
    store.stop_early(early)
    wait_until(lambda: store.get(cancelled).state == JobState.CANCELLED)
    wait_until(lambda: store.get(early).state == JobState.DONE)
    for id in counts:
        counted = read_json(store.get(id).folder / "counted.json")
        assert counted == [*range(1, len(counted) + 1)]
        assert 3 <= len(counted) < 100_000
        assert log_of(id).count("counted 1\n") == 1, "no attempt began anew"
    deaf, deadly = (store.submit(job)[0].id for job in (DeafCount(to=1), DeadlyCount(to=1)))
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE jobs SET deaths = 2 WHERE id = ?", (deadly,))
    wait_until(lambda: store.get(deaf).message == "counting")
    launch.cancel(deaf)
    launch.end_overdue()
    wait_until(lambda: store.get(deaf).state == JobState.CANCELLED)
    assert coordinator().poll() is None, "it ends the task, and nobody ends it"
    wait_until(lambda: store.get(deadly).state == JobState.FAILED)
    assert "died 3 times on this job" in store.get(deadly).reason


def test_a_study_outlives_its_computers_with_the_bits_of_the_local_worker(
    grid: Grid, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    store = RunStore()
    specs = [
        make_spec(dataset, training={"epochs": 4}, split={"test_size": size / 100})
        for size in (20, 30)
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

    wait_until(have_begun)
    grid.cluster.kill(grid.apart)
    wait_until(lambda: "attempt 1 was lost" in log_of(begun[False]))
    os.kill(process_of(begun[True]), signal.SIGKILL)
    wait_until(lambda: "attempt 1 was lost" in log_of(begun[True]))
    assert (grid.its_home / "datasets" / dataset / "data.h5ad").exists(), "sent to that computer"
    coordinator().kill()
    coordinator().wait()

    def all_ended() -> bool:
        time.sleep(0.3)
        look_after_jobs()  # as the app does again and again
        return all(record.state.finished for record in store.list())

    wait_until(all_ended)
    assert {record.state for record in store.list()} == {JobState.DONE}
    assert ends(store) == sorted(runs), "each ends once"
    for run in begun.values():
        last = log_of(run).rpartition("attempt ")[2]
        assert "epoch 4 of 4" in last
        assert "epoch 1 of 4" not in last, "it goes on"
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


ASK_POST = """
import sys, ray
from core.cluster.post import Post

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
post = Post(sys.argv[2])
for attempt in ("one", "two", "three"):
    post.expect(attempt, sys.argv[2])
sent = post.fetch("one", "file")
assert ray.get(sent).tobytes() == b"numbers"
assert post.fetch("two", "file") == sent
post.forget("one")
assert post.fetch("two", "file") == sent
post.forget("two")
assert post.fetch("three", "file") != sent
try:
    post.fetch("two", "file")
except KeyError:
    print("right", flush=True)
"""


def test_the_post_keeps_a_file_while_somebody_needs_it(grid: Grid, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"numbers")
    answer = subprocess.run(
        [sys.executable, "-c", ASK_POST, grid.cluster.address, tmp_path],
        capture_output=True, text=True,
    )  # fmt: skip
    assert answer.stdout == "right\n", answer.stderr


def test_people_take_turns_and_find_their_own_at_home(home: Path, anna: Path) -> None:
    bert, carla = (welcome(name).home for name in ("bert@lab.org", "carla@lab.org"))
    specs = []
    for person in (anna, bert):
        with at(person):
            dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
            specs.append(make_spec(dataset, training={"epochs": 2}))
    assert specs[0] == specs[1]
    with at(carla):
        JobStore().submit(QueuedCount(to=21))
    with at(home):
        set_quota(carla.name, Quota(device_hours=0))
    RunStore().submit(specs[0])
    for number in (1, 2):
        last = JobStore().submit(QueuedCount(to=number))[0]
    with at(bert):
        his = JobStore()
        for number in (11, 12):
            his.submit(QueuedCount(to=number))
    wait_for_all(anna, bert)
    assert max(one.started for one in his.list()) < JobStore().get(last.id).started
    with at(bert):
        RunStore().submit(specs[0])
    wait_for_all(anna, bert)
    models = [place / "runs" / specs[0].id / "folds/0/model.safetensors" for place in (anna, bert)]
    assert models[0].stat().st_ino == models[1].stat().st_ino, "hers is taken, not trained again"
    with at(bert):
        assert len(RunStore().epochs(specs[0].id)) == 2
        assert "counted 12" in read_log(his.get(QueuedCount(to=12).key).folder, 900)
        assert QueuedCount(to=2).key not in his.ids()
    with at(carla):
        [waits] = JobStore().list()
        assert waits.state == JobState.QUEUED, "she has had her hours"
    with at(home):
        assert JobStore().list() == []
    assert not [*home.glob("**/.attempts/*")]


def wait_for_all(*places: Path) -> None:
    """Until all that was asked for in some homes is done."""

    def done() -> bool:
        time.sleep(0.3)
        look_after_jobs()  # as the app does again and again
        states = []
        for place in places:
            with at(place):
                states += [record.state for record in JobStore().list()]
        assert {*states} <= {JobState.QUEUED, JobState.RUNNING, JobState.DONE}
        return {*states} == {JobState.DONE}

    wait_until(done)
