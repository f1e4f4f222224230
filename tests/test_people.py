"""People who share a server: homes, sharing, guests, limits, turns."""

import os
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Barrier, Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import people, sharing, sizes
from core.backup import restore_backup, write_backup
from core.data.simulate import simulate
from core.data.store import add_dataset, delete_dataset, list_datasets, load_dataset
from core.errors import InputError, WeightsError
from core.home import (
    at,
    dataset_folder,
    home,
    only_looks,
    run_folder,
    serve_one,
    serve_people,
    server_home,
)
from core.jobs.job import KINDS, Lane
from core.jobs.queue import Queue, living_in, position, records_in_turn
from core.jobs.record import JobState, Worker
from core.jobs.schedule import expect
from core.jobs.store import JobStore
from core.jobs.worker import Stop, run_one
from core.models.own_weights import weights_path
from core.people import Quota, welcome
from core.runs.result import load_result
from core.runs.store import RunStore
from core.stories import create_story, list_stories
from tests.counting import CountJob
from tests.runs import make

NAMES = ("anna@lab.org", "bert@lab.org", "cleo@lab.org")


@pytest.fixture(autouse=True)
def rules(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(KINDS, "count", "tests.counting:CountJob")
    home.mkdir()
    path = home / "people.yaml"
    path.write_text("admins: [anna@lab.org]\n")
    return path


def homes(*names: str) -> list[Path]:
    with at(server_home()):
        return [welcome(name).home for name in names]


def data(seed: int = 0, name: str = "cohort"):
    found, _ = simulate(50, 200, seed=seed)
    found.uns["source"] = name
    return found


def test_a_home_knows_nothing_of_another(home: Path) -> None:
    anna, bert = homes(*NAMES[:2])
    with at(anna):
        dataset = add_dataset(data(), "of Anna").id
        story = create_story("of Anna").id
    with at(bert):
        assert (list_datasets(), list_stories()) == ([], [])
        with pytest.raises(InputError) as known:
            load_dataset(dataset)
        with pytest.raises(InputError) as unknown:
            load_dataset("0" * 64)
        assert str(known.value) == str(unknown.value).replace("0" * 12, dataset[:12])
        with pytest.raises(InputError):
            delete_dataset(dataset)
        assert not sharing.is_here("story", story)
    with at(anna):
        assert len(load_dataset(dataset)) == 50


def test_who_sits_nowhere_gets_nothing() -> None:
    def nobody():
        raise InputError("Nobody is signed in here.")

    serve_people(nobody)
    try:
        for ask in (list_datasets, list_stories, lambda: dataset_folder("0" * 64), JobStore):
            with pytest.raises(InputError, match="Nobody"):
                ask()
        with at(homes("anna@lab.org")[0]):
            assert list_datasets() == []
    finally:
        serve_one()


@settings(max_examples=12, deadline=None)
@given(deleted=st.permutations(range(3)), added=st.permutations(range(3)))
def test_content_is_there_until_the_last_who_has_it_deletes_it(
    deleted: list[int], added: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENECANVAS_HOME", str(tmp_path_factory.mktemp("server")))
        (server_home() / "people.yaml").write_text("admins: [anna@lab.org]\n")
        places = homes(*NAMES)
        for number in added:
            with at(places[number]):
                dataset = add_dataset(data(), f"of {number}").id
        paths = [place / "datasets" / dataset / "data.h5ad" for place in places]
        assert len({path.stat().st_ino for path in paths}) == 1, "it is on the disk once"
        watch = os.open(paths[0], os.O_RDONLY)
        for turn, number in enumerate(deleted, 1):
            assert os.fstat(watch).st_nlink == 4 - turn
            with at(places[number]):
                assert [record.name for record in list_datasets()] == [f"of {number}"]
                delete_dataset(dataset)
                assert list_datasets() == []
            for other in deleted[turn:]:
                with at(places[other]):
                    assert len(load_dataset(dataset)) == 50
        assert os.fstat(watch).st_nlink == 0
        os.close(watch)


def test_what_is_called_differently_is_stored_twice_and_tells_nothing() -> None:
    anna, bert = homes(*NAMES[:2])
    with at(anna):
        dataset = add_dataset(data(name="secret_plan.csv"), "secret plan").id
    with at(bert):
        record = add_dataset(data(name="mine.csv"), "mine")
        assert record.id == dataset
        said = b"".join(path.read_bytes() for path in bert.rglob("*") if path.is_file())
        assert b"secret" not in said
        assert load_dataset(dataset).uns["source"] == "mine.csv"


def test_what_is_shared_can_be_looked_at_and_taken_and_stays() -> None:
    anna, bert, cleo = homes(*NAMES)
    with at(anna):
        dataset = add_dataset(data(), "of Anna").id
        sharing.share("dataset", dataset)
        assert sharing.is_shared_with_lab("dataset", dataset)
    lab = server_home() / "lab"
    with at(lab, looks=True):
        assert [record.id for record in list_datasets()] == [dataset]
        assert only_looks()
        for change in (
            lambda: delete_dataset(dataset),
            lambda: add_dataset(data(1), "mine"),
            lambda: create_story("mine"),
            lambda: JobStore().submit(CountJob(to=1)),
            lambda: sharing.unshare("dataset", dataset),
        ):
            with pytest.raises(InputError, match="Nothing can be changed here"):
                change()
        assert [record.id for record in list_datasets()] == [dataset]
    with at(bert):
        assert list_datasets() == []
        assert not sharing.is_shared_with_lab("dataset", dataset)
        sharing.unshare("dataset", dataset)  # it isn't his
        sharing.take("dataset", dataset)
    with at(anna):
        sharing.unshare("dataset", dataset)
        delete_dataset(dataset)
    with at(cleo), pytest.raises(InputError, match="isn't shared any more"):
        sharing.take("dataset", dataset)
    assert not (lab / "datasets" / dataset).exists()
    with at(bert):
        assert len(load_dataset(dataset)) == 50


def test_what_two_share_stays_until_both_take_it_back() -> None:
    anna, bert = homes(*NAMES[:2])
    for place in (anna, bert):
        with at(place):
            dataset = add_dataset(data(), "cohort").id
            sharing.share("dataset", dataset)
    for place, left in ((anna, 1), (bert, 0)):
        with at(place):
            sharing.unshare("dataset", dataset)
            assert len(sharing.list_shared()) == left
    assert not (server_home() / "lab" / "datasets" / dataset).exists()


def test_a_guest_sees_one_thing_until_the_last_day(monkeypatch: pytest.MonkeyPatch) -> None:
    (anna,) = homes("anna@lab.org")
    with at(anna):
        story, other = create_story("for the guest").id, create_story("not for the guest").id
        token = sharing.invite("story", story, days=2)
    invited = sharing.find_invitation(token)
    assert token not in str([*server_home().rglob("*")])
    with at(sharing.guest_home(invited), looks=True):
        assert [one.id for one in list_stories()] == [story]
        assert not sharing.is_here("story", other)
    for wrong in ("", "x" * 43, token[:-1], f"{token}x", "../lab", token.swapcase()):
        assert sharing.find_invitation(wrong) is None
    later = datetime.now(UTC) + timedelta(days=3)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return later

    with monkeypatch.context() as patch:
        patch.setattr(sharing, "datetime", Later)
        assert sharing.find_invitation(token) is None
    with at(homes("bert@lab.org")[0]), pytest.raises(InputError, match="leads nowhere"):
        sharing.end_invitation(invited.key)
    with at(anna):
        sharing.end_invitation(invited.key)
        assert sharing.list_invitations() == []
    assert sharing.find_invitation(token) is None
    assert not sharing.guest_home(invited).exists()


def test_people_take_turns_and_one_alone_keeps_their_order() -> None:
    anna, bert = homes(*NAMES[:2])
    order = []
    for number in range(1, 6):
        with at(anna):
            JobStore().submit(CountJob(to=number))
    for number in (11, 12):
        with at(bert):
            JobStore().submit(CountJob(to=number))
    queue = Queue()
    assert queue.waiting(Lane.INTERACTIVE) == 7
    with at(anna):
        assert position(JobStore(), CountJob(to=2).key) in (3, 4)
    while claimed := queue.claim(Worker("cpu", Lane.INTERACTIVE, 0)):
        store, record = claimed
        order.append(record.job.to)
        store.finish(record.id, JobState.DONE)
    assert [n for n in order if n < 10] == [1, 2, 3, 4, 5]
    assert [n for n in order if n > 10] == [11, 12]
    assert order.index(11) <= 1
    assert order.index(12) <= 3


def test_a_job_is_done_in_the_home_of_whoever_asked() -> None:
    _, bert = homes(*NAMES[:2])
    before = home()
    with at(bert):
        JobStore().submit(CountJob(to=1))
    store, _ = Queue().claim(Worker("cpu", Lane.INTERACTIVE, 0))
    with living_in(store):
        assert home() == bert
        assert JobStore().lease_path("cpu").parent == server_home() == before
    assert home() == before


def test_who_has_taken_what_they_may_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    (anna,) = homes("anna@lab.org")
    with at(server_home()):
        people.set_quota(anna.name, Quota(device_hours=1.0))
    with at(anna):
        store = JobStore()
        first, second = CountJob(to=1), CountJob(to=2)
        store.submit(first)
        store.submit(second)
        record = store.claim("cpu", Lane.INTERACTIVE)
        then = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
        with store._transaction() as db:
            db.execute("UPDATE jobs SET started = ? WHERE id = ?", (then, record.id))
        store.finish(record.id, JobState.DONE)
        store.delete(record.id)  # which gives nothing back
        assert store.device_hours() == pytest.approx(2, abs=0.1)
        with pytest.raises(InputError, match="hours of a device"):
            store.submit(CountJob(to=3))
    assert Queue().claim(Worker("cpu", Lane.INTERACTIVE, 0)) is None
    with at(server_home()):
        people.set_quota(anna.name, Quota(device_hours=3.0))
    assert Queue().claim(Worker("cpu", Lane.INTERACTIVE, 0)) is not None


def test_the_disk_of_a_person_has_a_limit(rules: Path) -> None:
    rules.write_text("admins: [anna@lab.org]\nquota: {disk_gb: 0.000001}\n")
    (bert,) = homes("bert@lab.org")
    with at(bert), pytest.raises(InputError, match="may be stored"):
        add_dataset(data(), "too large")
    assert add_dataset(data(), "of the server").samples == 50


def test_a_person_may_have_so_many_runs_in_the_queue(rules: Path) -> None:
    rules.write_text("admins: [anna@lab.org]\nquota: {queued_runs: 2}\n")
    _, bert = homes(*NAMES[:2])

    def ask(seed: int) -> str:
        return RunStore().submit(make("0" * 64, seed=seed))[0].id

    with at(bert):
        first, _ = ask(1), ask(2)
        said = "2 runs of yours wait or run, 1 more are asked for, and 2 may wait"
        with pytest.raises(InputError, match=said):
            ask(3)
        assert ask(2)  # is there already, and takes no other place
        JobStore().submit(CountJob(to=1))  # answers to pages aren't runs
        assert len(RunStore().list()) == 2
        store, _ = Queue().claim(Worker("cpu", Lane.QUEUE, 0))
        with pytest.raises(InputError, match="and 2 may"):
            ask(3)  # one that runs counts as well
        store.finish(first, JobState.DONE)
        ask(3)
        assert ask(1) == first  # done
        with pytest.raises(InputError, match="and 2 may"):
            ask(4)
    with at(server_home()):
        people.set_quota(bert.name, Quota(queued_runs=3))
    with at(bert):
        ask(4)
        with pytest.raises(InputError, match="2 more are asked for, and 3 may"):
            RunStore().need_quota_for(make("0" * 64, seed=seed) for seed in (1, 4, 5, 6))
        assert len(RunStore().list()) == 4
    with at(server_home()):
        for seed in range(5):
            ask(seed)  # the server's own home has no limit


def test_a_full_home_takes_no_more_jobs_until_something_is_deleted(
    rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.sizes.FRESH", 1e9)  # nothing is measured without need
    rules.write_text("admins: [anna@lab.org]\nquota: {disk_gb: 0.0009}\n")
    (bert,) = homes("bert@lab.org")
    with at(bert):
        JobStore().submit(CountJob(to=1))
        first = add_dataset(data(), "one").id
        measured = []
        real = sizes.tree_size
        monkeypatch.setattr(
            "core.sizes.tree_size", lambda path: measured.append(path) or real(path)
        )
        for number in range(20):
            JobStore().submit(CountJob(to=2 + number))
        assert measured == []
        (bert / "large").write_bytes(bytes(1_000_000))
        JobStore().submit(CountJob(to=50))  # not known yet

        def fill_up() -> None:
            for seed in range(1, 30):
                add_dataset(data(seed), f"more {seed}")  # what this process adds is known

        with pytest.raises(InputError, match="may be stored in your home"):
            fill_up()
        with pytest.raises(InputError, match=r"Your home takes .* MB, and may take 0.9 MB"):
            JobStore().submit(CountJob(to=51))
        delete_dataset(first)
        (bert / "large").unlink()
        JobStore().submit(CountJob(to=51))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("admins: []", "names no admin"),
        ("admins: [a]\nquota: {disk_gb: -1}", "can't be used"),
        ("admins: [a]\nwho: everybody", "can't be used"),
        ("admins: [a", "not valid YAML"),
        (None, "is missing"),
    ],
)
def test_rules_that_say_nothing_let_nobody_in(rules: Path, text: str | None, says: str) -> None:
    rules.unlink() if text is None else rules.write_text(text)
    with pytest.raises(InputError, match=says):
        welcome("anna@lab.org")


def test_who_may_come(rules: Path) -> None:
    rules.write_text("admins: [Anna@lab.org]\nmembers: ['*@lab.org']\n")
    assert welcome("ANNA@lab.org").key == welcome("anna@LAB.org").key
    assert {people.key_of("\xc5sa \xd6berg"), people.key_of("\xe5sa \xf6berg")} == {
        "a9c46b2f885160ed"
    }
    rules.write_text("admins: [boss@lab.org]\nmembers: ['*@lab.org']\n")
    for name in ("bo\u017fs@lab.org", "bo\xdf@lab.org", "BO\u017fS@lab.org"):
        assert welcome(name).key != people.key_of("boss@lab.org"), "another letter, somebody else"
        assert not people.load_rules().is_admin(name)
    rules.write_text("admins: [Anna@lab.org]\nmembers: ['*@\u212aab.org']\n")
    with pytest.raises(InputError):
        welcome("eve@kab.org")
    rules.write_text("admins: [Anna@lab.org]\nmembers: ['*@lab.org']\n")
    for name in ("eve@evil.org", "eve@lab.org.evil.org", "", "x\ny@lab.org", "a" * 300):
        with pytest.raises(InputError):
            welcome(name)
    assert len(people.list_people()) == 3


def test_weights_of_a_shared_server_are_those_of_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = tmp_path / "there.pth"
    there.touch()
    assert weights_path(str(there)) == there
    (anna,) = homes("anna@lab.org")
    said = []
    with at(anna):
        for path in (there, tmp_path / "not there.pth", Path("../people.yaml")):
            with pytest.raises(WeightsError) as refused:
                weights_path(str(path))
            said.append(str(refused.value).replace(str(path), "PATH"))
    assert len(set(said)) == 1


def test_clearing_a_home_takes_nothing_from_others() -> None:
    anna, bert = homes(*NAMES[:2])
    with at(anna):
        dataset = add_dataset(data(), "of Anna").id
        sharing.share("dataset", dataset)
    with at(bert):
        sharing.take("dataset", dataset)
    with at(server_home()):
        sharing.forget_person(anna.name)
        people.clear_home(anna.name)
    assert sharing.list_shared() == []
    with at(anna):
        assert list_datasets() == []
    with at(bert):
        assert len(load_dataset(dataset)) == 50
    assert len(people.list_people()) == 2


def test_homes_inside_a_home_are_told_from_folders_that_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "people" / "x").mkdir(parents=True)
    for folder in (tmp_path / "people" / "x", tmp_path / "lab"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GENECANVAS_HOME", str(folder))
            assert server_home() == folder


def test_a_backup_has_all_homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, bert = homes(*NAMES[:2])
    for place in (anna, bert):
        with at(place):
            dataset = add_dataset(data(), place.name).id
    with at(anna):
        sharing.share("dataset", dataset)
        token = sharing.invite("dataset", dataset)
    with ExitStack() as stack:
        for place in (anna, bert):
            with at(place):  # somebody is at it: what is new isn't in the file itself yet
                stack.enter_context(JobStore().kept_open())
                JobStore().submit(CountJob(to=1))
        restore_backup(write_backup(tmp_path / "all.zip"), tmp_path / "again")
    monkeypatch.setenv("GENECANVAS_HOME", str(tmp_path / "again"))
    assert {person.name for person in people.list_people()} == set(NAMES[:2])
    for place in homes(*NAMES[:2]):
        with at(place):
            assert [record.name for record in list_datasets()] == [place.name]
            assert len(JobStore().list()) == 1
    assert [note.id for note in sharing.list_shared()] == [dataset]
    with at(sharing.guest_home(sharing.find_invitation(token)), looks=True):
        assert len(load_dataset(dataset)) == 50


def test_a_backup_while_everybody_works_has_what_was_done_when_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = homes(*NAMES)
    begun, over = Barrier(len(places) + 1), Event()

    def work(place: Path) -> None:
        with at(place):
            for number in count(1):
                JobStore().submit(CountJob(to=number))
                create_story(f"story {number}")
                if number == 5:
                    begun.wait(60)
                if over.is_set():
                    return

    for place in places:
        with at(place):
            dataset = add_dataset(data(), place.name).id
            sharing.share("dataset", dataset)
    with ThreadPoolExecutor(len(places)) as beside:
        working = [beside.submit(work, place) for place in places]
        begun.wait(60)
        path = write_backup(tmp_path / "all.zip")
        over.set()
    assert all(one.exception() is None for one in working)
    monkeypatch.setenv("GENECANVAS_HOME", str(restore_backup(path, tmp_path / "again")))
    for place in homes(*NAMES):
        with at(place):
            assert [record.name for record in list_datasets()] == [place.name]
            assert len(load_dataset(dataset)) == 50
            jobs = JobStore().list()
            assert {record.job.to for record in jobs} == set(range(1, len(jobs) + 1)), "no gap"
            assert {f"story {n}" for n in range(1, 6)} <= {one.title for one in list_stories()}
            assert len(jobs) >= 5
    assert [note.by for note in sharing.list_shared()] == [place.name for place in places[::-1]]


def test_a_backup_has_what_several_share_once_and_so_does_what_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, bert, cleo = homes(*NAMES)
    with at(anna):
        dataset = add_dataset(data(), "of Anna").id
    alone = write_backup(tmp_path / "alone.zip").stat().st_size
    with at(anna):
        size = (dataset_folder(dataset) / "data.h5ad").stat().st_size
        sharing.share("dataset", dataset)
        sharing.invite("dataset", dataset)
    for place in (bert, cleo):
        with at(place):
            sharing.take("dataset", dataset)
    path = write_backup(tmp_path / "all.zip")
    with zipfile.ZipFile(path) as packed:
        assert [info.file_size for info in packed.infolist()].count(size) == 1
    assert path.stat().st_size < alone + size / 2
    monkeypatch.setenv("GENECANVAS_HOME", str(restore_backup(path, tmp_path / "again")))
    again = homes(*NAMES)
    paths = [place / "datasets" / dataset / "data.h5ad" for place in again]
    assert len({path.stat().st_ino for path in paths}) == 1
    assert paths[0].stat().st_nlink == 5  # with the lab's and the guest's
    with at(again[0]):
        delete_dataset(dataset)
    for place in again[1:]:
        with at(place):
            assert len(load_dataset(dataset)) == 50
    with at(server_home() / "lab", looks=True):
        assert len(load_dataset(dataset)) == 50


def test_a_run_that_somebody_has_trained_is_taken_and_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    anna, bert = homes(*NAMES[:2])
    said, epochs = {}, {}
    for place in (anna, bert):
        with at(place):
            dataset = add_dataset(data(name=f"{place.name}.csv"), place.name).id
            fields = {"label": "tumour_type", "preparation": {"genes": 50}}
            spec = make(dataset, network={"image_size": 32, "backbone": "squeezenet1_1",
                                          "weights": "scratch"}, **fields)  # fmt: skip
            record, new = RunStore().submit(spec, f"of {place.name}")
            assert (new, record.state) == (True, JobState.QUEUED)
        store, record = Queue().claim(Worker("cpu", Lane.QUEUE, 0))
        with living_in(store):
            assert run_one(store, record, "cpu", Stop()) == JobState.DONE
            assert RunStore().get(record.id).name == f"of {place.name}"
            said[place], epochs[place] = load_result(record.id), len(RunStore().epochs(record.id))
            files = [path for path in run_folder(record.id).rglob("*") if path.is_file()]
        monkeypatch.setattr("core.runs.execute.execute", None)  # nothing is trained again
    assert said[anna] == said[bert]
    assert epochs[anna] == epochs[bert] > 0
    assert not [path for path in files if anna.name.encode() in path.read_bytes()]
    with at(anna):
        RunStore().delete(record.id)
    with at(bert):
        assert load_result(record.id) == said[bert]


def test_when_a_job_begins_counts_those_of_others() -> None:
    anna, bert = homes(*NAMES[:2])
    now = datetime.now(UTC)
    for place, numbers in ((anna, (1, 2)), (bert, (11, 12))):
        for number in numbers:
            with at(place):
                JobStore().submit(CountJob(to=number))
    with at(bert):
        records = records_in_turn(JobStore(), Lane.INTERACTIVE)
        assert sorted(record.place for record in records) == [0, 1, 2, 3]
        own = {record.id: record.place for record in records if len(record.id) == 16}
        assert own.keys() == {CountJob(to=11).key, CountJob(to=12).key}
        assert own[CountJob(to=12).key] - own[CountJob(to=11).key] == 2
        assert expect(records, now)[CountJob(to=12).key].start is None  # nobody knows yet
    with at(anna):
        shutil.rmtree(bert)
        alone = records_in_turn(JobStore(), Lane.INTERACTIVE)
        assert [record.id for record in alone] == [one.id for one in JobStore().list()][::-1]
        assert sorted(record.place for record in alone) == [0, 1]


def test_a_worker_hears_of_new_homes_and_of_those_that_were_cleared() -> None:
    anna, bert = homes(*NAMES[:2])
    with at(anna):
        JobStore().submit(CountJob(to=1))
    with Queue().kept_open() as changed:
        assert not changed()
        for _ in range(2):
            with at(bert):
                JobStore().submit(CountJob(to=2))
            assert changed()
            assert not changed()
            people.clear_home(bert.name)
            changed()
            assert not changed()
        with at(anna):
            JobStore().submit(CountJob(to=3))
        assert changed()
