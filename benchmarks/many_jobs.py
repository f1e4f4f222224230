"""A list of very many runs: its size, and how long the queue, the coordinator and pages wait.

    python -m benchmarks.many_jobs [--jobs 1000000] [--steps 20] [--told 100000]

Makes lists of a thousand jobs, ten thousand and so on in a home of its own: runs of one
specification that differ in their seed, all done but a hundred that wait, of which `--told` told
`--steps` epochs. Times are milliseconds of this process's processor, the best of several; the first
call on a list isn't among them. Pages are answered by Streamlit's AppTest, as often as somebody
changes something on them, without the network and the browser. At the end all wait at once.
"""

import argparse
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="many")
os.environ["GENECANVAS_DEVICES"] = "cpu"
os.environ["GENECANVAS_RAY"] = "127.0.0.1:1"

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.devices import CLUSTER
from core.jobs import launch
from core.jobs.job import Lane
from core.jobs.queue import Queue, foreseen
from core.jobs.record import JobState, Worker
from core.jobs.store import JobStore
from core.jobs.which import Order, Which
from core.runs.store import RunStore, which_of
from core.runs.training import TrainJob
from core.runs.whatif import other_seed
from tests.pages import open_page
from tests.runs import make
from ui.card import find_last_run

WAITING = 100
MOST_READ = 100_000
"""Jobs of the longest list that is read as a whole: that takes half a minute."""
STUDY = "all of them"
EPOCH = {
    "epoch": 7, "train_loss": 0.4321098765, "validation_loss": 0.5432109876,
    "validation_accuracy": 0.8765432109, "validation_balanced_accuracy": 0.8654321098,
    "learning_rate": 0.0009876543, "seconds": 4.3210987,
}  # fmt: skip
"""What an epoch tells, about."""


def fill(store: JobStore, first: int, jobs: int, told: int, steps: int) -> None:
    """Append jobs to a list: the last `WAITING` wait, the others are done."""
    db = sqlite3.connect(store.path)
    db.execute("PRAGMA synchronous = OFF")
    columns = [row[1] for row in db.execute("PRAGMA table_info(jobs)")]
    like = dict(zip(columns, db.execute("SELECT * FROM jobs LIMIT 1").fetchone(), strict=True))
    content = json.loads(like["content"])

    def rows() -> Iterator[tuple]:
        for n in range(first, first + jobs):
            waits = n >= first + jobs - WAITING
            id = f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}"
            then, later = (f"2026-01-01T00:{m}:00.{n % 10**6:06d}+00:00" for m in ("00", "10"))
            yield tuple(
                (like | {
                    "id": id, "key": id, "place": n, "content": json.dumps(content | {"seed": n}),
                    "state": "queued" if waits else "done", "started": None if waits else then,
                    "finished": None if waits else later, "study": STUDY,
                }).values()
            )  # fmt: skip

    db.execute("UPDATE jobs SET state = 'done'")
    with db:
        db.executemany(f"INSERT INTO jobs VALUES ({', '.join('?' * len(columns))})", rows())
        db.executemany(
            "INSERT INTO needs VALUES (?, ?)",
            ((f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}", content["cohort"]["dataset"])
             for n in range(first, first + jobs)),
        )  # fmt: skip
    size = measure(store, db)
    with db:
        db.executemany(
            "INSERT INTO events VALUES (?, 0, ?, ?)",
            ((f"{n * 0x9E3779B97F4A7C15 % 2**64:016x}", step, json.dumps(EPOCH))
             for n in range(first, first + told) for step in range(steps)),
        )  # fmt: skip
    grown = measure(store, db) - size
    db.close()
    print(
        f"{first + jobs:>9} jobs: the list takes {size / (first + jobs):.0f} bytes a job and "
        f"{grown / max(told * steps, 1):.0f} an epoch",
        flush=True,
    )


def measure(store: JobStore, db: sqlite3.Connection) -> int:
    """Bytes of a list."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return store.path.stat().st_size


def best(do: Callable[[], object], times: int) -> float:
    """Milliseconds of processor that something takes."""
    found = []
    for _ in range(times + 1):
        started = time.process_time()
        do()
        found.append(time.process_time() - started)
    return 1000 * min(found[1:])


def time_list(store: JobStore, *, whole: bool) -> None:
    """Say how long it takes to ask a list, and to change it.

    Args:
        store: the list.
        whole: whether to read all of it.
    """
    queue, runs, worker = Queue(), RunStore(), Worker(CLUSTER)
    with sqlite3.connect(store.path) as db:
        which = "kind = 'train' AND state = 'queued'"
        some = db.execute(f"SELECT id FROM jobs WHERE {which} LIMIT 1").fetchone()[0]
    spec = runs.get(some).spec
    new = iter(TrainJob(spec=other_seed(spec, seed)) for seed in range(10**9, 2 * 10**9))
    step = {some: (1, 2, "an epoch")}, [(some, 0, 1, EPOCH)]

    def go_round() -> None:
        _, record = queue.claim(worker)
        store.finish(record.id, JobState.DONE)

    done, lane = Which(states=[JobState.DONE]), Lane.QUEUE
    with queue.kept_open() as changed:
        asked = {
            "look whether anything changed": (changed, 100),
            "count what waits": (lambda: queue.waiting(Lane.QUEUE, on_cluster=True), 5),
            "claim the next and end it": (go_round, 5),
            "write a step of a run": (lambda: store.tell(*step), 20),
            "submit one": (lambda: store.submit(next(new)), 5),
            "find one by the first digits of its id": (lambda: runs.find_id(some[:12]), 5),
            "place in the queue": (lambda: store.position(some), 5),
            "count kinds and states": (store.counts, 2),
            "count what is left of a study": (lambda: store.count_states(STUDY), 5),
            "the first hundred of the list": (lambda: runs.list(order=Order.STARRED, most=100), 5),
            "a thousand finished runs to choose from": (lambda: runs.list(done, most=1000), 3),
            "the last run of a dataset": (lambda: find_last_run(spec.cohort.dataset), 3),
            "what tells when jobs begin": (lambda: foreseen(store, lane), 3),
            "times of the last hour": (lambda: store.times(3600), 3),
            "find a word that is nowhere": (lambda: runs.list(which_of("sesame")), 2),
        }  # fmt: skip
        if whole:
            asked["read the whole list"] = runs.list, 1
        for name, (do, times) in asked.items():
            print(f"          {name}: {best(do, times):.3g} ms", flush=True)
    time_pages(some)


def time_pages(waiting: str) -> None:
    """Say how long pages take, where `waiting` is a run that waits."""
    for page, query in {"data": {}, "train": {}, "run": {"id": waiting}}.items():
        app = open_page(page, **query)
        assert not app.exception
        app.session_state["work"] = False
        print(f"          page {page}: {best(app.run, 2):.3g} ms", flush=True)
    app.session_state["work"] = True
    print(f"          page {page} with Work open: {best(app.run, 2):.3g} ms", flush=True)


def main() -> None:
    """Grow a list."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--told", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    store = JobStore()
    launch._start = lambda *_: None  # nothing is trained
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "simulated").id
    store.submit(TrainJob(spec=make(dataset, label="tumour_type")))
    there, wanted = 1, 1000
    while there < options.jobs:
        wanted = min(wanted, options.jobs)
        last = wanted == options.jobs
        fill(store, there, wanted - there, options.told if last else 0, options.steps)
        there, wanted = wanted, wanted * 10
        time_list(store, whole=there <= MOST_READ)
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE jobs SET state = 'queued'")
    print(f"{there:>9} jobs, all of which wait", flush=True)
    time_list(store, whole=False)
    shutil.rmtree(Path(os.environ["GENECANVAS_HOME"]))


if __name__ == "__main__":
    main()
