"""Starting workers as processes of their own, so that they outlive the page and the server."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from core.devices import CLUSTER, cluster, devices
from core.errors import GeneCanvasError, InputError
from core.home import at, server_home, working_homes
from core.jobs.computers import last_seen
from core.jobs.job import KINDS, Job, Lane, kinds_of
from core.jobs.queue import Queue
from core.jobs.record import JobRecord, JobState, Worker
from core.jobs.store import JobStore
from core.jobs.worker import warm_seconds
from core.lease import holder, is_held
from core.processes import start_detached

PATIENCE = 60
"""Seconds before another worker is started where the last one ended with an error."""
WORKERS = {Lane.INTERACTIVE: 2, Lane.QUEUE: 1}
"""Workers of a lane for each device: beside a long answer there is one for a short one."""
COORDINATOR = "core.cluster.coordinator"

_started: dict[Path, tuple[subprocess.Popen, float]] = {}
"""The last worker that this process started for each lease, and when."""


def ensure_workers() -> None:
    """Start detached workers where jobs wait: as many as there are jobs that nobody will take.

    Of a cluster that is one process, which submits the jobs that are for it.

    A worker needs a moment until it holds its lease, and a page asks every second: as long as the
    worker that this process started is alive, it starts no other. Two processes may both start
    one; the second worker finds the lease taken and ends. A worker that holds its lease and runs
    nothing is about to take a job.
    """
    if JobStore.only_read():
        return
    queue = Queue()
    if cluster() and queue.waiting(Lane.QUEUE, on_cluster=True):
        look_at_cluster()
    for lane, count in WORKERS.items():
        waiting = queue.waiting(lane)
        if not waiting:
            continue
        warm_seconds()  # says what is wrong with the setting
        running, store = queue.running(), JobStore(queue.path)
        free = []
        for worker in (Worker(device, lane, n) for n in range(count) for device in devices()):
            if not is_held(store.lease_path(*worker)):
                free.append(worker)
            elif worker not in running:
                waiting -= 1
        for worker in free[: max(waiting, 0)]:
            _start(store, worker)


def look_at_cluster() -> None:
    """Start the process that submits jobs to the cluster and says what its computers do.

    Nothing happens where there is one, or no cluster.
    """
    if not cluster() or JobStore.only_read():
        return
    warm_seconds()
    store, coordinator = JobStore(Queue().path), Worker(CLUSTER)
    if not is_held(store.lease_path(*coordinator)):
        _start(store, coordinator)


def at_once(lane: Lane) -> int:
    """How many jobs of a lane are run at once, on this computer's devices or on a cluster."""
    seen = last_seen() if lane == Lane.QUEUE and cluster() else None
    return max(seen.at_once, 1) if seen else WORKERS[lane] * len(devices())


def count_workers() -> dict[Lane, int]:
    """How many workers of each lane are alive on this computer, whether or not they work."""
    store = JobStore(Queue().path)
    return {
        lane: sum(
            is_held(store.lease_path(device, lane, slot))
            for device in devices()
            for slot in range(count)
        )
        for lane, count in WORKERS.items()
    }


def foresee(*jobs: type[Job]) -> None:
    """Have workers load what jobs of these kinds need, as somebody is about to ask for one.

    A lane that has a worker keeps it, and where workers don't stay for work none is started. Comes
    back at once: which devices there are may be unknown for seconds.
    """
    with suppress(InputError):  # whoever asks for a job is told what is wrong
        for job in jobs if warm_seconds() and not JobStore.only_read() else ():
            Thread(target=_make_ready, args=(job,), daemon=True).start()


def _make_ready(job: type[Job]) -> None:
    """Start a worker for a kind of job, unless its lane has one."""
    with suppress(GeneCanvasError):
        if job.kind in kinds_of(on_cluster=True):
            return
        store = JobStore(Queue().path)
        workers = [Worker(device, job.lane, 0) for device in devices()]
        if not any(is_held(store.lease_path(*worker)) for worker in workers):
            _start(store, workers[0], job.kind)


def _start(store: JobStore, worker: Worker, foreseen: str | None = None) -> None:
    lease = store.lease_path(*worker)
    child, when = _started.get(lease, (None, 0.0))
    if child is not None and child.poll() is None:
        return
    if child is not None and child.returncode > 0 and time.monotonic() - when < PATIENCE:
        return
    module = COORDINATOR if worker.device == CLUSTER else "core.jobs.worker"
    with store.path.with_name("worker.log").open("ab") as log:
        child = start_detached(
            module, log, {**worker._asdict(), "kinds": KINDS, "foreseen": foreseen},
            {**os.environ, "OMP_WAIT_POLICY": "passive"},
        )  # fmt: skip
    _started[lease] = child, time.monotonic()


def request(job: Job) -> JobRecord | None:
    """See that a job gets done, also one that failed, was cancelled, or whose result is gone.

    Nothing happens, and there may be no record, where its result stands.
    """
    if job.stands():
        return JobStore().look_up(job) if JobStore.exists() else None
    store = JobStore()
    record, created = store.submit(job)
    gone = record.state == JobState.DONE and job.stands() is False
    if not created and (record.state.resumable or gone):
        store.resume(record.id, again=True)
        record = store.get(record.id)
    ensure_workers()
    return record


def find(job: Job) -> JobRecord | None:
    """The record of a job, if it was asked for."""
    found = JobStore().look_up(job) if JobStore.exists() else None
    return found if isinstance(found, JobRecord) else None


class AnswerState(NamedTuple):
    """Whether the answer to a question stands, and how far it is."""

    state: str
    """missing, working, done or failed"""
    fraction: float
    message: str
    stopped: bool = False
    """Whether it is missing because it was cancelled; or, at work still, will stop in a moment."""


def answer_state(job: Job) -> AnswerState:
    """Look whether a job's result stands."""
    record = find(job)
    if job.stands():  # looked at last: a job that ends meanwhile is done, not missing
        return AnswerState("done", 1.0, "")
    if record is None or record.state in (JobState.DONE, JobState.CANCELLED):
        cancelled = record is not None and record.state == JobState.CANCELLED
        return AnswerState("missing", 0.0, "", stopped=cancelled)
    if record.state.finished:
        return AnswerState("failed", 0.0, record.why)
    stopping = JobStore().requests(record.id).cancel
    words = "stopping" if stopping else record.message
    return AnswerState("working", record.done / max(record.total, 1), words, stopped=stopping)


def cancel(job: str) -> None:
    """Stop a job; raises InputError when it has ended already."""
    JobStore().cancel(job)
    end_overdue()


def stop(job: Job) -> None:
    """Have a job stop that was asked for, unless it has ended."""
    if record := find(job):
        with suppress(InputError):
            cancel(record.id)


def end_overdue() -> None:
    """End workers whose job was cancelled and doesn't stop; another takes over what waits."""
    store = JobStore()
    ended = [worker for job, worker in store.overdue().items() if _end(store, job, worker)]
    if ended:
        store.reconcile()


def _end(store: JobStore, job: str, worker: Worker) -> bool:
    """Kill a worker of this machine that runs a job; whether it is gone.

    Never somebody's own process, such as a notebook's, which does one job as a worker, nor the one
    that submits to a cluster, which itself ends what doesn't stop there.
    """
    if worker.slot >= WORKERS[worker.lane] or worker.device == CLUSTER:
        return False
    lease = store.lease_path(*worker)
    pid = holder(lease)
    if pid is None or store.running().get(job) != worker:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    child, _ = _started.get(lease, (None, 0.0))
    if child is not None and child.pid == pid:
        child.wait()
    for _ in range(100):
        if not is_held(lease):
            return True
        time.sleep(0.01)
    return False


def look_after_jobs() -> None:
    """Queue again what dead workers left, end those that don't stop, and see that jobs are run.

    In all homes of the server.
    """
    for folder in working_homes():
        with at(folder):
            if JobStore.only_read() or (folder != server_home() and not JobStore.exists()):
                continue
            JobStore().reconcile()
            end_overdue()
    with at(server_home()):
        ensure_workers()
