"""A job done by the process that asks for it, such as a notebook's or a command line's.

It is claimed from the store as by any worker: pages list it, and may stop it.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from core.errors import InputError
from core.jobs.job import Job, Lane
from core.jobs.launch import WORKERS, ensure_workers
from core.jobs.queue import Queue
from core.jobs.record import JobRecord, JobState, Worker, log_path
from core.jobs.store import JobStore
from core.jobs.worker import Say, Stop, first_device, go_on_afterwards, run_one
from core.lease import Lease


def do_here(job: Job, say: Say) -> str:
    """See that a job gets done, in this process unless a worker is at it already; gives its id.

    Nothing happens where its result stands.

    Raises:
        InputError: it ended without a result; with the reason.
    """
    if job.stands():
        return job.key
    store = JobStore()
    with _as_worker(store, job.lane) as worker:
        record = store.begin(job, worker)
        if record.state == JobState.RUNNING and worker == (record.device, record.lane, record.slot):
            try:
                with _torch_as_it_was():
                    state = run_one(store, record, worker.device, Stop(), say)
                if state == JobState.DONE:
                    parts = job.afterwards(record.folder)
                    while go_on_afterwards(record, parts):
                        pass
            except KeyboardInterrupt:
                words = "It was interrupted. Resume it to go on from where it was."
                store.finish(record.id, JobState.CANCELLED, words)
                raise
    record = wait_for(record.id, say)
    if record.state != JobState.DONE:
        raise InputError(
            f"{record.name}: {record.state}. {record.reason} Its log: {log_path(record.folder)}"
        )
    return record.id


def wait_for(job: str, say: Say) -> JobRecord:
    """Wait until a job has ended, and see that it has a worker; gives its last record.

    Raises InputError when it is unknown or damaged.
    """
    store = JobStore()
    while not (record := store.get(job)).state.finished:
        if record.state == JobState.QUEUED:
            ensure_workers()
        say(record.done / max(record.total, 1), record.message or str(record.state))
        time.sleep(0.2)
        store.reconcile()
    return record


@contextmanager
def _as_worker(store: JobStore, lane: Lane) -> Iterator[Worker]:
    """Be a worker of a lane: the first behind those that are started for it."""
    device = first_device()
    for slot in count(WORKERS[lane]):
        lease = Lease(store.lease_path(device, lane, slot))
        if lease.acquire():
            break
    try:
        Queue().take_over(Worker(device, lane, slot))
        yield Worker(device, lane, slot)
    finally:
        lease.release()


@contextmanager
def _torch_as_it_was() -> Iterator[None]:
    """Give torch the number of threads again that it had in this process."""
    before = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
    try:
        yield
    finally:
        if before is not None:
            sys.modules["torch"].set_num_threads(before)
