"""Trainings on a Ray cluster: what the coordinator costs, what computers add, what failures cost.

    OMP_NUM_THREADS=1 python -m benchmarks.cluster [--runs 30] [--waiting 12]

Starts a cluster of one to three computers of a CPU each on this machine's loopback, with a home of
its own. First jobs that mostly wait (two seconds each), with one, two and three computers: their
throughput shows what submitting, starting and ending costs, however few cores the machine has. The
coordinator is first watched idle, so that what a job itself costs can be told. Then
a study of tiny runs on three computers, while a task is killed, then a computer, then the
coordinator; what was trained twice is counted in the list of jobs. Costs are seconds of processor
of the coordinator and of its post, from /proc, less those of their start; the clock is that of the
machine as it was, and says little where others use it too.
"""

import argparse
import os
import re
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="cluster")
os.environ["GENECANVAS_DEVICES"] = "cpu"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

from core.cluster.attempt import Attempt
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.devices import CLUSTER
from core.home import run_folder
from core.jobs import launch
from core.jobs.computers import last_seen
from core.jobs.job import KINDS
from core.jobs.launch import look_after_jobs, look_at_cluster
from core.jobs.queue import Queue
from core.jobs.record import JobRecord, JobState, Worker, read_log
from core.jobs.store import JobStore
from core.runs.store import RunStore
from tests.clusters import Cluster, cluster
from tests.counting import QueuedCount
from tests.runs import make

KINDS["queued count"] = "tests.counting:QueuedCount"
IDLE = 20
"""Seconds for which the coordinator is watched without jobs."""
TICK = os.sysconf("SC_CLK_TCK")


def processor(process: int) -> float:
    """Seconds of processor that a process has used."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICK


def coordinator() -> int:
    """The process that submits jobs."""
    return launch._started[JobStore().lease_path(CLUSTER)][0].pid


def post() -> int:
    """The process of the actor that is the post."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "cmdline").read_bytes().startswith(b"ray::Post"):
                return int(place.name)
        except OSError:
            pass
    raise RuntimeError("no post")


def wait_for(condition: Callable[[], bool], seconds: float = 3000) -> None:
    """Look again until something has come true; raises TimeoutError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.2)


def at_once() -> int:
    """Jobs that the coordinator thinks can run at once."""
    seen = last_seen()
    return seen.at_once if seen else 0


def time_lists(jobs: int = 200, steps: int = 20) -> None:
    """What a job costs the coordinator in its list and folders, without Ray, in this process."""
    store, queue, worker = JobStore(), Queue(), Worker(CLUSTER)
    for n in range(jobs):
        store.submit(QueuedCount(to=1000 + n))
    alone, together = "a step told alone", f"a step told with {jobs - 1} others"
    spent = dict.fromkeys(("claim and begin", alone, together, "end"), 0.0)
    attempts = []
    for _ in range(jobs):
        started = time.process_time()
        _, record = queue.claim(worker)
        attempts.append((record, Attempt.begin(record, 1)))
        begun = time.process_time()
        tell_step(store, [record], 0, steps)
        told = time.process_time()
        spent["claim and begin"] += begun - started
        spent[alone] += told - begun
    begun = time.process_time()
    for step in range(1, steps):
        tell_step(store, [record for record, _ in attempts], step, steps)
    spent[together] += (time.process_time() - begun) / (steps - 1)
    begun = time.process_time()
    for record, attempt in attempts:
        attempt.end(record.folder)
        store.finish(record.id, JobState.DONE)
    spent["end"] += time.process_time() - begun
    words = "; ".join(f"{name} {1000 * s / jobs:.2f} ms" for name, s in spent.items())
    with sqlite3.connect(store.path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = store.path.stat().st_size / jobs
    print(
        f"Without Ray, processor: {words}; a job of {steps} steps takes {size / 1000:.1f} kB of "
        "the list",
        flush=True,
    )
    for record in store.list():
        store.delete(record.id)


def tell_step(store: JobStore, records: Sequence[JobRecord], step: int, steps: int) -> None:
    """Write a step of several jobs."""
    store.tell(
        {record.id: (step, steps, "an epoch") for record in records},
        [(record.id, 0, step, {"epoch": step, "loss": 0.5}) for record in records],
    )


def time_waiting(jobs: int, computers: int, first: int) -> None:
    """Jobs that wait two seconds each, and what the coordinator does without any."""
    wait_for(lambda: at_once() == computers)
    time.sleep(5)
    started, before = time.monotonic(), processor(coordinator())
    time.sleep(IDLE)
    idle = (processor(coordinator()) - before) / (time.monotonic() - started)
    store = JobStore()
    before = processor(coordinator()), processor(post())
    started = time.monotonic()
    ids = [store.submit(QueuedCount(to=first + n, wait=2 / (first + n)))[0].id for n in range(jobs)]
    wait_for(lambda: all(store.get(id).state.finished for id in ids))
    seconds = time.monotonic() - started
    assert {store.get(id).state for id in ids} == {JobState.DONE}
    spent = processor(coordinator()) - before[0], processor(post()) - before[1]
    print(
        f"{computers} computers: {jobs} jobs in {seconds:.1f} s, {60 * jobs / seconds:.1f} a "
        f"minute; a job costs the coordinator {1000 * spent[0] / jobs:.0f} ms of processor, "
        f"{1000 * (spent[0] - idle * seconds) / jobs:.0f} without the {1000 * idle:.1f} ms a "
        f"second that it takes idle; the post {1000 * spent[1] / jobs:.0f} ms",
        flush=True,
    )


def train_study(runs: int, grid: Cluster, doomed: object) -> None:
    """Tiny runs, while what trains them dies."""
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    store = RunStore()
    for number in range(runs):
        fields = {"label": "tumour_type", "seed": number, "preparation": {"genes": 60},
                  "training": {"epochs": 20, "batch_size": 16, "precision": "float32"}}  # fmt: skip
        store.submit(make(dataset, **fields), study="tiny")
    ids = [record.id for record in store.list()]
    with sqlite3.connect(store.path) as db:
        db.execute("CREATE TABLE told (job TEXT)")
        db.execute(
            "CREATE TRIGGER count_told AFTER INSERT ON events "
            "BEGIN INSERT INTO told VALUES (NEW.job); END"
        )
    started, before = time.monotonic(), processor(coordinator())

    def done() -> int:
        look_after_jobs()
        return sum(record.state.finished for record in store.list())

    def training() -> list[int]:
        """Processes of the last attempts at runs that have told an epoch."""
        logs = [
            read_log(run_folder(run), 4000) for run in store.running() if len(store.epochs(run))
        ]
        found = [re.findall(r"process (\d+) on", log) for log in logs]
        return [int(processes[-1]) for processes in found if processes]

    wait_for(lambda: done() >= runs // 5 and training())
    os.kill(training()[0], signal.SIGKILL)
    wait_for(lambda: done() >= 2 * runs // 5)
    grid.kill(doomed)
    wait_for(lambda: done() >= 3 * runs // 5)
    spent = processor(coordinator()) - before
    ended = done()
    launch._started[JobStore().lease_path(CLUSTER)][0].kill()
    wait_for(lambda: done() == runs)
    states = {record.state for record in store.list()}
    logs = [read_log(run_folder(run), 4000) for run in ids]
    with sqlite3.connect(store.path) as db:
        trained = db.execute("SELECT count(*) FROM told").fetchone()[0]
    lost = sum(log.count("was lost") for log in logs)
    attempts = sum(log.count("process ") for log in logs)
    print(
        f"{runs} runs in {time.monotonic() - started:.0f} s, all {', '.join(states)}; "
        f"{attempts} attempts, of which {lost} were lost to a killed task and computer; "
        f"{trained} epochs for {20 * runs}; until the coordinator was killed a run cost it "
        f"{1000 * spent / ended:.0f} ms of processor",
        flush=True,
    )


def main() -> None:
    """Start a computer at a time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--waiting", type=int, default=12)
    options = parser.parse_args()
    os.environ["GENECANVAS_RAY"] = "127.0.0.1:1"  # so that jobs are claimed for a cluster
    time_lists()
    with cluster() as grid:
        os.environ["GENECANVAS_RAY"] = grid.address
        doomed = None
        look_at_cluster()
        for computers in (1, 2, 3):
            if computers > 1:
                doomed = grid.add()
            time_waiting(options.waiting, computers, 10 + 100 * computers)
        if options.runs:
            train_study(options.runs, grid, doomed)
        child = launch._started[JobStore().lease_path(CLUSTER)][0]
        child.terminate()
        child.wait()
    shutil.rmtree(os.environ["GENECANVAS_HOME"])


if __name__ == "__main__":
    main()
