"""The store: one queue for many processes, states that only move forward."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.data.cohort import Cohort
from core.errors import InputError
from core.files import write_json
from core.home import run_folder
from core.jobs.job import Lane
from core.jobs.migrations import MIGRATIONS
from core.jobs.queue import foreseen
from core.jobs.record import UNFINISHED, JobState
from core.jobs.store import MOST_DEATHS
from core.jobs.which import Order, Which
from core.lease import Lease, is_held
from core.runs.spec import RunSpec
from core.runs.store import RunStore, log_path, which_of
from core.runs.training import remove_leftovers
from tests.runs import list_more


def spec(seed: int = 0) -> RunSpec:
    return RunSpec(cohort=Cohort(dataset="0" * 64, label="tumour_type"), seed=seed)


def test_the_same_question_is_the_same_run() -> None:
    store = RunStore()
    first, created = store.submit(spec())
    with pytest.raises(InputError, match="no dataset"):
        store.submit(RunSpec(cohort=Cohort(label="tumour_type")))
    again, created_again = store.submit(RunSpec.from_yaml(spec().to_yaml()))
    other, _ = store.submit(spec(seed=1))
    assert created
    assert not created_again
    assert first == again
    assert other.id != first.id


def test_what_people_call_a_run_is_no_part_of_it() -> None:
    store = RunStore()
    record, _ = store.submit(spec(), "First")
    assert (record.note, record.tags, record.starred) == ("", "", False)
    store.label(record.id, name=" Figure 2 ", starred=True)
    store.label(record.id, note="ask Ana", tags="lung")
    again, created = store.submit(spec())
    assert not created
    assert (again.name, again.note, again.tags, again.starred) == (
        "Figure 2", "ask Ana", "lung", True,
    )  # fmt: skip
    for name in (" ", "x" * 201):
        with pytest.raises(InputError, match="1 to 200 characters"):
            store.label(record.id, name=name)


def test_a_run_in_a_list_follows_its_dataset_that_comes(home: Path) -> None:
    store = RunStore()
    store.submit(spec())
    asked = store.list()[0].spec.preparation.genes
    write_json(home / "datasets" / ("0" * 64) / "record.json", {"genes": asked - 1})
    assert [one.spec.preparation.genes for one in store.list()] == [asked - 1]


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.waiting(most=1),
        lambda store: store.claim("cpu"),
        lambda store: store.turn(Lane.QUEUE),
        lambda store: store.submit(spec(seed=1)),
        lambda store: store.find_id("0123"),
        lambda store: store.all_requests(),
        lambda store: store.tell({"0" * 16: (1, 2, "half")}, []),
        lambda store: store.finish("0" * 16, JobState.DONE),
        lambda store: store.list(most=1),
        lambda store: store.list(order=Order.STARRED, most=100),
        lambda store: store.list(Which(states=[JobState.DONE]), most=1000),
        lambda store: store.list(Which(states=[JobState.DONE], starred=True)),
        lambda store: store.list(Which(states=[JobState.DONE], input="0" * 64), most=1),
        lambda store: store.list(Which(states=[JobState.RUNNING], study="grid")),
        lambda store: store.list(Which(parent="0" * 16)),
        lambda store: store.list(Which(ids=["0" * 16])),
        lambda store: foreseen(store, Lane.QUEUE),
        lambda store: store.list(
            Which(states=[JobState.FAILED], lane=Lane.QUEUE, ended_since=datetime.now(UTC)),
            Order.ENDED,
        ),
        lambda store: store.count(),
        lambda store: store.count(Which(states=UNFINISHED)),
        lambda store: store.count(Which(states=UNFINISHED, lane=Lane.QUEUE)),
        lambda store: store.count_states("grid"),
        lambda store: store.cancel_study("grid"),
        lambda store: store.times(3600),
    ],
)  # fmt: skip
def test_what_is_asked_again_and_again_never_reads_the_whole_list(
    ask: Callable[[RunStore], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = plan_of(ask, monkeypatch)
    read = [step for step in steps if re.match("(SCAN|SEARCH) (jobs|needs|spent|events)", step)]
    assert read
    # a condition on an index, or the first or last of one that is sorted by what is asked for
    assert all("(" in step or "jobs_by_place" in step for step in read), read


def test_what_waits_for_others_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand runs that wait for a cluster are nothing to this computer's workers."""
    steps = plan_of(lambda store: store.waiting(), monkeypatch)
    assert any(step.endswith("jobs_by_kind_and_state (kind=? AND state=?)") for step in steps)
    assert not any("jobs_by_state" in step for step in steps)


def plan_of(ask: Callable[[RunStore], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps by which SQLite answers what is asked of a store."""
    store, statements = RunStore(), []
    connect = sqlite3.connect

    def listen(*args, **kwargs) -> sqlite3.Connection:
        db = connect(*args, **kwargs)
        db.set_trace_callback(statements.append)
        return db

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", listen)
        with suppress(InputError):  # there is no such run
            ask(store)
    asked = [text for text in statements if text.startswith(("SELECT", "UPDATE", "INSERT"))]
    assert asked
    with closing(connect(store.path)) as db:
        return [row[3] for text in asked for row in db.execute(f"EXPLAIN QUERY PLAN {text}")]


@pytest.mark.parametrize(
    ("which", "order", "index"),
    [
        (Which(), Order.NEWEST, "jobs_by_kind (kind=?)"),
        (Which(), Order.STARRED, "jobs_by_star (kind=?)"),
        (Which(states=[JobState.DONE]), Order.NEWEST, "and_state (kind=? AND state=?)"),
        (Which(states=[JobState.DONE], starred=True), Order.NEWEST, "star (kind=? AND starred=?)"),
        (Which(states=[JobState.QUEUED], lane=Lane.QUEUE), Order.TURN, "(state=? AND lane=?)"),
        (Which(states=[JobState.DONE], lane=Lane.QUEUE), Order.ENDED, "end (lane=? AND state=?)"),
        (Which(states=UNFINISHED, study="grid"), None, "study (study=? AND state=?)"),
        (Which(parent="0" * 16), Order.NEWEST, "jobs_by_parent (parent=?)"),
        (Which(states=[JobState.DONE], input="0" * 64), None, "sqlite_autoindex_jobs_1 (id=?)"),
        (Which(states=[JobState.DONE], ids=["0" * 16]), None, "sqlite_autoindex_jobs_1 (id=?)"),
    ],
)  # fmt: skip
def test_of_a_list_only_those_are_looked_at_that_are_wanted(
    which: Which, order: Order | None, index: str
) -> None:
    """By the index that leaves the fewest, and in its order, so that the first need no sorting."""
    where, values = which.condition("train")
    asked = f"SELECT rowid FROM jobs WHERE {where}" + (f" ORDER BY {order}" if order else "")
    with closing(sqlite3.connect(RunStore().path)) as db:
        steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {asked}", values)]
    assert index in steps[0]
    assert not any("TEMP B-TREE" in step for step in steps)


def test_a_part_of_a_list_is_what_was_asked_for_in_order() -> None:
    """Of equal times the run comes first that was submitted last."""
    store = RunStore()
    first = store.submit(spec(), study="grid")[0].id
    store.claim("cpu")
    store.finish(first, JobState.DONE)
    ids = [first, *list_more(first, 300)]
    newest = ids[::-1]
    for order in (Order.NEWEST, Order.ENDED, Order.STARRED):
        assert [run.id for run in store.list(order=order, most=120)] == newest[:120]
    assert [run.id for run in store.list(order=Order.TURN, most=2)] == ids[:2]
    store.label(ids[7], starred=True)
    assert [run.id for run in store.list(order=Order.STARRED, most=2)] == [ids[7], newest[0]]
    assert [run.id for run in store.list(Which(starred=True))] == [ids[7]]
    assert [run.id for run in store.list(Which(ids=[ids[3], "0" * 16, ids[9]]))] == [ids[9], ids[3]]
    assert store.count() == store.count(Which(states=[JobState.DONE], input="0" * 64)) == 301
    assert store.count(Which(input="1" * 64)) == store.count(Which(states=UNFINISHED)) == 0
    assert store.count_states("grid") == {JobState.DONE: 301}
    hour = timedelta(hours=1)
    for since, count in ((datetime.now(UTC) - hour, 301), (datetime.now(UTC) + hour, 0)):
        assert store.count(Which(lane=Lane.QUEUE, ended_since=since)) == count
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("UPDATE jobs SET content = 'torn' WHERE id = ?", (newest[1],))
        db.execute("UPDATE jobs SET parent = ? WHERE id = ?", (first, ids[5]))
    assert [run.id for run in store.read(most=3)] == newest[:3]
    assert [run.id for run in store.list(most=3)] == [newest[0], newest[2]]
    assert [run.id for run in store.list(Which(parent=first))] == [ids[5]]


@pytest.mark.parametrize(
    ("words", "found"),
    [("ÄRGER", 1), ("frühling", 2), ("figure 2", 3), ("grid", 4), ("cancelled", 5), ("lung", 6),
     ("50 %", None), ("_", None), ("sesame", None)],
)  # fmt: skip
def test_words_find_runs_wherever_they_stand(home: Path, words: str, found: int | None) -> None:
    store = RunStore()
    ids = [store.submit(spec())[0].id, *list_more(spec().id, 300)]
    store.label(ids[1], name="Großer Ärger")
    store.label(ids[2], note="im Frühling")
    store.label(ids[3], tags="paper, Figure 2")
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("UPDATE jobs SET study = 'Grid of 3' WHERE id = ?", (ids[4],))
        db.execute("UPDATE needs SET input = ? WHERE job = ?", ("1" * 64, ids[6]))
    store.cancel(ids[5])
    record = {
        "id": "1" * 64, "name": "TCGA lung", "source": "x", "added": "2026", "samples": 1,
        "genes": 1, "bytes": 1, "scale": "counts", "columns": {}, "notes": [],
    }  # fmt: skip
    write_json(home / "datasets" / ("1" * 64) / "record.json", record)
    runs = store.list(which_of(words), Order.STARRED, 100)
    assert [run.id for run in runs] == ([] if found is None else [ids[found]])
    assert [run.id for run in store.list(which_of(ids[found or 9][:16]))] == [ids[found or 9]]


def test_what_begins_soon_is_told_and_what_begins_meanwhile_is_there_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.jobs.queue.FORESEEN", 3)
    monkeypatch.setattr("core.jobs.queue.TOLD_BY", 2)
    store = RunStore()
    runs = [store.submit(spec(seed))[0].id for seed in range(10)]
    for run in runs[:4]:
        store.claim("cpu")
        store.finish(run, JobState.DONE)
    store.claim("cpu")
    store.move_first(runs[9])
    told = [runs[3], runs[2], runs[9], runs[5], runs[6], runs[4]]
    assert [record.id for record in foreseen(store, Lane.QUEUE)] == told
    ask, asked = store.list, []

    def claim_between(*question: object) -> list:
        asked.append(question)
        if len(asked) == 3:  # what was done and what waits is known, what runs isn't
            store.claim("cpu")
        return ask(*question)

    monkeypatch.setattr(store, "list", claim_between)
    states = {record.id: record.state for record in foreseen(store, Lane.QUEUE)}
    assert states[runs[9]] == JobState.RUNNING


def test_runs_are_claimed_once_in_order_of_submission() -> None:
    store = RunStore()
    runs = [store.submit(spec(seed))[0].id for seed in range(3)]
    assert [store.position(run) for run in runs] == [1, 2, 3]
    assert [store.claim("cpu").id for _ in runs] == runs
    assert store.claim("cpu") is None
    assert store.get(runs[0]).state == JobState.RUNNING


def test_two_processes_never_claim_the_same_run(home: Path) -> None:
    store = RunStore()
    for seed in range(20):
        store.submit(spec(seed))
    code = (
        "from core.runs.store import RunStore\nstore = RunStore()\n"
        "while record := store.claim('cpu'): print(record.id)"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    claimed = [line for worker in workers for line in worker.communicate()[0].split()]
    assert len(claimed) == 20
    assert len(set(claimed)) == 20


def test_cancelling_a_queued_run_ends_it_and_a_running_one_asks_it_to_stop() -> None:
    store = RunStore()
    running, queued = (store.submit(spec(seed))[0].id for seed in range(2))
    store.claim("cpu")
    store.cancel(queued)
    store.cancel(running)
    assert store.get(queued).state == JobState.CANCELLED
    assert store.get(running).state == JobState.RUNNING
    assert store.requests(running).cancel
    store.finish(running, JobState.CANCELLED, "Cancelled by the user.")
    with pytest.raises(InputError, match="is cancelled and can't be cancelled any more"):
        store.cancel(running)


def test_resuming_puts_a_run_at_the_end_of_the_queue() -> None:
    store = RunStore()
    first, second = (store.submit(spec(seed))[0].id for seed in range(2))
    with pytest.raises(InputError, match="only a failed or cancelled run can be resumed"):
        store.resume(first)
    store.cancel(first)
    store.resume(first)
    assert [store.claim("cpu").id for _ in range(2)] == [second, first]


def test_a_finished_run_stays_as_it_ended() -> None:
    store = RunStore()
    run = store.submit(spec())[0].id
    store.claim("cpu")
    store.finish(run, JobState.DONE)
    store.finish(run, JobState.FAILED, "too late")
    assert store.get(run).state == JobState.DONE


def test_deleting_removes_the_folder_but_never_under_a_running_run() -> None:
    store = RunStore()
    run = store.submit(spec())[0].id
    run_folder(run).mkdir(parents=True)
    store.add_epoch(run, 0, {"epoch": 1, "train_loss": 1.0})
    store.claim("cpu")
    with pytest.raises(InputError, match="Cancel it first"):
        store.delete(run)
    store.finish(run, JobState.DONE)
    store.delete(run)
    assert not run_folder(run).exists()
    assert store.epochs(run).empty
    with pytest.raises(InputError, match="There is no run"):
        store.get(run)


def test_an_epoch_that_is_trained_again_replaces_itself() -> None:
    store = RunStore()
    run = store.submit(spec())[0].id
    for loss in (2.0, 1.0):
        store.add_epoch(run, 0, {"epoch": 1, "train_loss": loss})
    assert store.epochs(run)["train_loss"].tolist() == [1.0]


def test_the_version_of_epochs_changes_with_each_that_is_written() -> None:
    store = RunStore()
    run, other = (store.submit(spec(seed))[0].id for seed in range(2))
    seen = [store.events_version(run)]
    for epoch in (1, 2, 3, 1, 2):  # the last two are trained again
        store.add_epoch(run, 0, {"epoch": epoch, "train_loss": 1.0})
        seen.append(store.events_version(run))
    assert seen[0] == 0
    assert len(set(seen)) == len(seen)
    store.add_epoch(other, 0, {"epoch": 1, "train_loss": 1.0})
    assert store.events_version(run) == seen[-1]


@pytest.mark.parametrize("run", ["../../etc", "x", "0" * 15, "0" * 16 + "/.."])
def test_ids_are_never_paths(run: str) -> None:
    with pytest.raises(InputError, match="run id of 16 hexadecimal digits"):
        run_folder(run)


def test_a_store_of_another_version_or_kind_is_refused(home: Path) -> None:
    RunStore()
    with sqlite3.connect(home / "runs.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="store version 99"):
        RunStore()
    foreign = home / "foreign.sqlite"
    foreign.write_bytes(b"not a database, but long enough to be read as one" * 50)
    with pytest.raises(InputError, match="can't be used"):
        RunStore(foreign)


def test_a_lease_is_free_as_soon_as_its_holder_is_killed(home: Path) -> None:
    path = home / "a.lease"
    assert not is_held(path)
    code = (
        "import os, sys, time; from pathlib import Path; from core.lease import Lease\n"
        "lease = Lease(Path(sys.argv[1])); assert lease.acquire()\n"
        "if os.fork() == 0: time.sleep(60)\n"  # a child that lives on holds nothing
        "print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        holder.stdout.readline()
        assert is_held(path)
        assert not Lease(path).acquire()
        holder.kill()
        holder.wait()
        assert not is_held(path)
        assert Lease(path).acquire()
    finally:
        os.killpg(holder.pid, signal.SIGKILL)


def test_a_run_whose_worker_died_is_queued_again_but_not_for_ever() -> None:
    store = RunStore()
    run, other = (store.submit(spec(seed))[0].id for seed in range(2))
    log_path(run).parent.mkdir(parents=True)
    log_path(run).write_text("epoch 7 of 40\n")
    for _ in range(MOST_DEATHS):
        assert store.claim("cpu").id == run, "it keeps its place"
        assert store.get(run).state == JobState.RUNNING
        store.reconcile()
    record = store.get(run)
    assert record.state == JobState.FAILED
    assert "The worker process died 3 times" in record.reason
    assert "epoch 7 of 40" in record.reason
    assert store.claim("cpu").id == other
    store.finish(other, JobState.DONE)
    store.resume(run)  # somebody asks for it: it counts anew
    store.claim("cpu")
    store.reconcile()
    assert store.get(run).state == JobState.QUEUED


def test_a_run_that_was_cancelled_when_its_worker_died_is_not_tried_again() -> None:
    store = RunStore()
    run = store.submit(spec())[0].id
    store.claim("cpu")
    store.cancel(run)
    store.reconcile()
    assert store.get(run).state == JobState.CANCELLED


def test_a_dead_worker_costs_only_the_run_of_its_device() -> None:
    store = RunStore()
    runs = [store.submit(spec(seed))[0].id for seed in range(2)]
    assert [store.claim(device).id for device in ("cuda:0", "cuda:1")] == runs
    code = (
        "import sys; from core.lease import Lease; from core.runs.store import RunStore\n"
        "assert Lease(RunStore().lease_path('cuda:1')).acquire()\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    store.reconcile()
    assert [store.get(run).state for run in runs] == [JobState.QUEUED, JobState.RUNNING]
    assert [store.get(run).device for run in runs] == ["cuda:0", "cuda:1"]
    holder.kill()
    holder.wait()
    store.reconcile()
    assert store.get(runs[1]).state == JobState.QUEUED


def test_a_locked_store_is_waited_for(home: Path) -> None:
    RunStore()
    code = (
        "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('BEGIN IMMEDIATE'); print('locked', flush=True); time.sleep(1)\n"
        "db.execute('COMMIT')"
    )
    locker = subprocess.Popen(
        [sys.executable, "-c", code, str(home / "runs.sqlite")], stdout=subprocess.PIPE
    )
    locker.stdout.readline()
    record, created = RunStore().submit(spec())
    assert created
    assert json.loads(record.spec.model_dump_json())["seed"] == 0
    locker.wait()


def fill_earlier_store(home: Path, version: int, rows: list[tuple[str, str, str]]) -> None:
    """A store as version `version` left it: runs of an id, a specification and a state."""
    home.mkdir(exist_ok=True)
    with sqlite3.connect(home / "runs.sqlite") as db:
        for migration in MIGRATIONS[:version]:
            db.executescript(migration)
        for place, (run, document, state) in enumerate(rows):
            db.execute(
                "INSERT INTO runs (id, place, name, spec, state, created) "
                "VALUES (?, ?, 'old', ?, ?, '2026-01-01T00:00:00Z')",
                (run, place, document, state),
            )
            for epoch in (2, 1):
                row = json.dumps({"epoch": epoch, "train_loss": 1.0})
                db.execute("INSERT INTO epochs VALUES (?, 0, ?, ?)", (run, epoch, row))
        db.execute(f"PRAGMA user_version = {version}")


@pytest.mark.parametrize("version", range(1, 6))
def test_a_store_of_an_earlier_version_is_brought_up_to_date(home: Path, version: int) -> None:
    """Runs keep the ids that they were stored under, and the same question finds them."""
    old, torn = "0123456789abcdef", "fedcba9876543210"
    document = spec().model_dump_json()
    fill_earlier_store(home, version, [(old, document, "done"), (torn, "torn", "done")])
    store = RunStore()
    record = store.get(old)
    assert (record.name, record.spec, record.parent, record.study) == ("old", spec(), None, None)
    assert store.epochs(old)["epoch"].tolist() == [1, 2]
    assert [run.id for run in store.damaged()] == [torn]
    assert store.submit(spec()) == (record, False)
    assert store.submit(spec(1))[1]
    store.delete(torn)
    with sqlite3.connect(home / "runs.sqlite") as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    assert not {"runs", "epochs"} & tables


def test_of_two_old_runs_of_the_same_question_the_finished_one_is_found(home: Path) -> None:
    """As of 0.1.0 and of today: what the first left out, the second says."""
    document, ids = spec().model_dump_json(), ["0" * 16, "1" * 16, "2" * 16]
    states = ["failed", "done", "cancelled"]
    rows = [(id, document, state) for id, state in zip(ids, states, strict=True)]
    fill_earlier_store(home, 5, rows)
    assert RunStore().submit(spec())[0].id == ids[1]
    assert RunStore().ids() == set(ids)


def test_a_study_waits_and_goes_on_as_one_thing() -> None:
    store = RunStore()
    alone = store.submit(spec(9))[0].id
    runs = [store.submit(spec(seed), study="grid")[0].id for seed in range(3)]
    assert [record.id for record in store.list(Which(study="grid"), Order.TURN)] == runs
    assert store.unfinished_studies() == ["grid"]
    assert store.claim("cpu").id == alone
    assert store.claim("cpu").id == runs[0]
    store.pause("grid")
    assert store.claim("cpu") is None
    assert [store.get(run).state for run in runs] == ["running", "paused", "paused"]
    store.cancel(runs[2])
    store.unpause("grid")
    assert store.claim("cpu").id == runs[1]
    assert store.claim("cpu") is None
    store.resume(runs[2])
    store.cancel_study("grid")
    assert [store.get(run).state for run in runs] == ["running", "running", "cancelled"]
    assert [store.requests(run).cancel for run in (alone, *runs[:2])] == [False, True, True]
    for run in runs[:2]:
        store.finish(run, JobState.CANCELLED)
    assert store.unfinished_studies() == []


def test_a_known_run_joins_the_study_that_asks_for_it() -> None:
    store = RunStore()
    store.submit(spec())
    record, created = store.submit(spec(), study="grid")
    assert not created
    assert record.study == "grid"
    assert store.submit(spec(), study="another")[0].study == "grid"


def test_a_queued_run_can_be_trained_first() -> None:
    store = RunStore()
    runs = [store.submit(spec(seed))[0].id for seed in range(3)]
    store.move_first(runs[2])
    assert [store.position(run) for run in runs] == [2, 3, 1]
    assert store.claim("cpu").id == runs[2]
    with pytest.raises(InputError, match="is running, not queued"):
        store.move_first(runs[2])


def test_a_clock_that_goes_backwards_changes_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    store, runs = RunStore(), []
    for seed, year in enumerate((2030, 2020, 2010)):
        monkeypatch.setattr("core.jobs.store._now", lambda year=year: f"{year}-01-01T00:00:00Z")
        runs.append(store.submit(spec(seed))[0].id)
    assert [record.id for record in store.list()] == runs[::-1]
    assert [store.claim("cpu").id for _ in runs] == runs
    store.finish(runs[0], JobState.DONE)
    assert store.get(runs[0]).state == JobState.DONE


def test_only_a_running_training_is_ended_early() -> None:
    store = RunStore()
    run = store.submit(spec())[0].id
    with pytest.raises(InputError, match="is queued, not running"):
        store.stop_early(run)
    store.claim("cpu")
    assert not store.requests(run).enough
    store.stop_early(run)
    assert store.requests(run).enough
    store.finish(run, JobState.FAILED, "died")
    store.resume(run)
    assert not store.requests(run).enough


def test_what_interrupted_deletions_and_writes_left_is_removed(home: Path) -> None:
    store = RunStore()
    place = run_folder(store.submit(spec())[0].id) / "folds/0"
    place.mkdir(parents=True)
    (place / "checkpoint.pt").write_text("kept")
    (place / ".tmp1234.pt").write_text("half of a checkpoint")
    (home / "runs/deleted-0123456789abcdef").mkdir()
    store.clean()
    assert not (home / "runs/deleted-0123456789abcdef").exists()
    remove_leftovers(place.parents[1])
    assert [path.name for path in place.iterdir()] == ["checkpoint.pt"]
    (place / "fold.json").write_text("{}")  # the fold is whole: nothing goes on from it
    remove_leftovers(place.parents[1])
    assert [path.name for path in place.iterdir()] == ["fold.json"]
