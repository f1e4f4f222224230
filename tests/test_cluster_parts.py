"""The parts of what puts jobs on a cluster, each by itself."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from core.devices import CLUSTER, cluster
from core.errors import InputError
from core.files import write_json
from core.home import at
from core.jobs.computers import Computer
from core.jobs.job import KINDS, Lane
from core.jobs.queue import Queue
from core.jobs.record import JobState, Worker, read_log
from core.jobs.store import MOST_DEATHS, JobStore
from core.people import welcome
from core.runs.store import RunStore
from tests.counting import CountJob, QueuedCount
from tests.runs import make

pytest.importorskip("core.cluster.nodes", exc_type=ImportError, reason="Ray isn't installed")

from core.cluster.attempt import PLACE, Attempt, end_all
from core.cluster.coordinator import find_needs
from core.cluster.nodes import say_differences, share
from core.cluster.post import Asked, Post, Told
from core.cluster.task import LINKED, Order, _where, find_home


class LocalCount(QueuedCount):
    """One of the queue that only this computer can do."""

    kind = "local count"
    spreads = False


@pytest.fixture(autouse=True)
def on_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENECANVAS_RAY", "10.0.0.5:6379")
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    for job in (CountJob, QueuedCount):
        monkeypatch.setitem(KINDS, job.kind, f"tests.counting:{job.__name__}")
    monkeypatch.setitem(KINDS, "local count", "tests.test_cluster_parts:LocalCount")


def test_only_jobs_that_spread_are_for_the_cluster() -> None:
    store, queue = JobStore(), Queue()
    here, there, page = LocalCount(to=1), QueuedCount(to=1), CountJob(to=1)
    for job in (here, there, page):
        store.submit(job)
    assert (queue.waiting(Lane.QUEUE), queue.waiting(Lane.QUEUE, on_cluster=True)) == (1, 1)
    assert queue.claim(Worker(CLUSTER))[1].job == there
    assert queue.claim(Worker(CLUSTER)) is None
    assert queue.claim(Worker("cpu"))[1].job == here
    assert queue.claim(Worker("cpu", Lane.INTERACTIVE))[1].job == page


def test_without_a_cluster_all_jobs_are_for_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENECANVAS_RAY")
    JobStore().submit(QueuedCount(to=1))
    assert Queue().waiting(Lane.QUEUE, on_cluster=True) == 0
    assert Queue().claim(Worker("cpu"))[1].job == QueuedCount(to=1)


def test_a_wrong_address_and_a_missing_ray_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster() == "10.0.0.5:6379"
    monkeypatch.setattr("core.devices.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"Ray isn't installed. Install requirements-ray.txt"):
        cluster()
    monkeypatch.setenv("GENECANVAS_RAY", "http://there")
    with pytest.raises(InputError, match=r"auto or the address .* got 'http://there'"):
        cluster()


def test_a_coordinator_that_dies_is_not_held_against_its_jobs() -> None:
    store, worker = JobStore(), Worker(CLUSTER)
    id = store.submit(QueuedCount(to=1))[0].id
    for _ in range(MOST_DEATHS + 1):
        assert store.claim(*worker).id == id
        store.reconcile()  # nobody holds the coordinator's lease
        assert store.get(id).state == JobState.QUEUED
    for deaths in range(1, MOST_DEATHS + 1):
        store.claim(*worker)
        store.lose(id, worker, blamed=False)
        assert store.get(id).state == JobState.QUEUED
        store.claim(*worker)
        store.lose(id, worker, blamed=True)
        ended = deaths == MOST_DEATHS
        assert store.get(id).state == (JobState.FAILED if ended else JobState.QUEUED)


def begin(number: int = 1) -> tuple[Attempt, Path]:
    """An attempt at the job that waits, and the job's own folder."""
    record = JobStore().claim(CLUSTER)
    return Attempt.begin(record, number), record.folder


def test_files_of_a_job_are_with_its_attempt_until_one_rename_brings_them_back() -> None:
    store = JobStore()
    id = store.submit(QueuedCount(to=1))[0].id
    own = store.get(id).folder
    own.mkdir(parents=True)
    for name in ("counted.json", "log.txt", "listing.json"):
        (own / name).write_text(name)
    attempt, own = begin()
    assert sorted(path.name for path in own.iterdir()) == ["listing.json", "log.txt"]
    assert [path.name for path in attempt.folder.iterdir()] == ["counted.json"]
    (attempt.folder / "more.json").write_text("more")
    attempt.end(own)
    names = ["counted.json", "listing.json", "log.txt", "more.json"]
    assert sorted(path.name for path in own.iterdir()) == names
    assert not [*own.parent.glob(f"{PLACE}/*")]


def test_a_log_that_moves_to_an_attempt_while_it_is_looked_for_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert read_log(tmp_path) == ""


def test_what_a_dead_coordinator_left_goes_on_and_what_a_lost_computer_writes_does_not() -> None:
    store = JobStore()
    id = store.submit(QueuedCount(to=1))[0].id
    attempt, own = begin()
    (attempt.folder / "counted.json").write_text("[1]")
    lost = attempt.folder.with_name("as it was")
    shutil.copytree(attempt.folder, lost)
    store.take_over(CLUSTER)
    end_all(store)
    assert (own / "counted.json").read_text() == "[1]"
    assert not attempt.folder.exists()

    attempt.folder.mkdir(parents=True)  # a computer that was given up makes its folder anew
    (attempt.folder / "counted.json").write_text("[1, 2]")
    end_all(store)
    assert (own / "counted.json").read_text() == "[1]"

    left, own = begin(2)
    (left.folder / "counted.json").write_text("[1, 2, 3]")
    store.take_over(CLUSTER)
    store.claim("cpu")  # without the cluster, this computer has done it since
    (own / "counted.json").write_text("[1]")
    end_all(store)
    assert (own / "counted.json").read_text() == "[1]"
    assert not left.folder.exists()
    assert store.get(id).folder == own


def test_the_post_writes_into_the_folder_of_a_living_attempt_only(tmp_path: Path) -> None:
    post, told = Post(str(tmp_path)), Told("node", (1, 2, "half"), [], "half\n")
    assert post.tell("one", told).cancel, "nobody waits for it"
    post.expect("one", str(tmp_path / "one"))
    post.ask({"one": Asked(enough=True)})
    assert (post.tell("one", told).cancel, post.tell("one", told).enough) == (False, True)
    assert post.collect() == [("one", told)] * 2
    assert post.collect() == []
    content = np.frombuffer(b"numbers", np.uint8)
    post.keep("one", "folds/0/model", content)
    post.keep("one", "checkpoint", content)
    post.settle("one", ["folds/0/model"])
    assert post.list_begun("one") == ["folds/0/model"]
    assert post.fetch_begun("one", "folds/0/model").tobytes() == b"numbers"
    assert post.list_files(["one/folds", "nowhere"]) == ["one/folds/0/model"]
    for path in ("../elsewhere", "/etc/passwd"):
        with pytest.raises(ValueError, match="Expected a path within"):
            post.list_files([path])
        with pytest.raises(ValueError, match="Expected a path within"):
            post.keep("one", path, content)
    post.forget("one")
    with pytest.raises(KeyError):
        post.keep("one", "checkpoint", content)
    for number in range(300):
        post.expect(str(number), str(tmp_path))
    assert post.tell("1", told).pace == 3, "many tell less often"


def test_a_computer_knows_whether_it_sees_this_very_home(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GENECANVAS_HOME")
    home.mkdir()
    write_json(home / "computers.json", {"token": "right"})
    assert find_home(str(home), "right") == home
    assert find_home(str(home), "another") is None
    monkeypatch.setenv("GENECANVAS_HOME", str(tmp_path))
    assert find_home(str(home), "right") is None


def computer(cpus: int, gpus: int = 0, **fields: object) -> Computer:
    return Computer(name="one", cpus=cpus, gpus=gpus, memory=10**9, **fields)


@pytest.mark.parametrize(
    ("computers", "threads", "expected"),
    [
        ([], "", (0, 1, 0)),
        ([computer(16), computer(6)], "", (0, 4, 5)),
        ([computer(16), computer(2)], "", (0, 2, 9)),
        ([computer(16), computer(6)], "1", (0, 1, 22)),
        ([computer(64, 8), computer(12, 2)], "", (1, 6, 10)),
        ([computer(64, 8), computer(2, 4)], "8", (1, 1, 10)),
    ],
)
def test_a_task_takes_a_gpu_and_its_part_of_the_processor(
    computers: list[Computer], threads: str, expected: tuple[int, int, int]
) -> None:
    assert share(computers, threads) == expected


def test_other_versions_are_said_in_a_sentence() -> None:
    here = {"Python": "3.11.7", "torch": "2.15.0"}
    assert say_differences(here, dict(here)) == ""
    assert say_differences(here, {"Python": "3.11.7"}) == (
        "It has torch none instead of 2.15.0, so that its numbers might differ. Install the same "
        "there, then it gets jobs."
    )


def test_a_persons_weights_file_is_sought_in_their_home(home: Path) -> None:
    home.mkdir()
    (home / "people.yaml").write_text("admins: [anna@lab.org]\n")
    place = welcome("anna@lab.org").home
    with at(place):
        brought = Path("brought/net-0123456789abcdef.safetensors")
        (place / "brought").mkdir()
        (place / brought).write_bytes(b"")
        spec = make("0" * 64, network={"image_size": 32, "weights": f"file:{brought.name}"})
        record, _ = RunStore().submit(spec)
        store = JobStore()
    needs = find_needs(store, record)
    assert needs == (f"datasets/{'0' * 64}", str(brought))
    inner = str(place.relative_to(home))
    order = Order("", 1, record.id, "train", {}, "", "", "", needs, str(home), inner, "", 1, {})
    assert _where(str(brought), order, home) == place / brought
    assert _where("weights/net.pth", order, home) == home / "weights/net.pth"
    assert "brought" in LINKED
