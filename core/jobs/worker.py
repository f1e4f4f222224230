"""A worker: a process that runs the jobs of a lane on a device, one by one.

Started by `core.jobs.launch`, or by hand with `python -m core.jobs.worker < /dev/null`: on its
standard input it is told who it is as JSON, and without that it trains on the first device. One
that has run out of work stays warm for some minutes, so that the next job starts at once; one that
was started for a job that is yet to come loads what such a job needs.
"""

import json
import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from core.devices import is_out_of_memory, named_devices
from core.errors import Cancelled, GeneCanvasError, InputError, StoreError
from core.jobs.job import KINDS, Job, Lane, Reporter, job_class, listening
from core.jobs.processor import let_go, prepare_torch
from core.jobs.queue import Queue, living_in
from core.jobs.record import JobRecord, JobState, Requests, Worker, log_path, write_listing
from core.jobs.store import JobStore
from core.lease import Lease
from core.logs import about_job, log_event, start_log
from core.processes import ROOT

POLL = 0.2
"""Seconds between two looks at the store for what somebody asks of a job."""
WATCH = 0.1
"""Seconds between two looks of a warm worker for new work."""
WATCH_ALL = 1.0
"""Seconds between two looks of a warm worker at its lease and at its program."""
LONGEST_WAIT = 1800
"""Seconds for which a worker waits for a store that is locked, or whose disk is full."""
NICE = 2
"""What an interactive worker leaves to pages and trainings on a processor that all want: they get
half as much again."""

Answer = TypeVar("Answer")
Say = Callable[[float, str], None]
"""Told the share of a job that is done, 0 to 1, and what happens, in words."""


class StoreReporter:
    """Tells the store, and whoever waits in this process, how a job goes; the job whether to stop.

    A job never ends because the store or the log can't be written for a while: progress is then
    dropped, and events are held back until they can be written.
    """

    def __init__(self, store: JobStore, record: JobRecord, say: Say) -> None:
        self.store, self.job, self._say = store, record.id, say
        self._log = log_path(record.folder)
        self.terminated = False
        self._asked, self._requests = 0.0, Requests(False, False)
        self._unwritten: list[tuple[int, int, dict[str, Any]]] = []

    def progress(self, done: int, total: int, text: str) -> None:
        """Write progress to the store and, on a line of its own, to the log."""
        with suppress(StoreError):
            self.store.set_progress(self.job, done, total, text)
        self.log(text)
        self._say(done / max(total, 1), text)

    def log(self, text: str) -> None:
        """Write a line to the job's log; a full disk loses it."""
        with suppress(OSError), self._log.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def event(self, part: int, step: int, row: dict[str, Any]) -> None:
        """Write what was measured to the store, now or later."""
        self._unwritten.append((part, step, row))
        with suppress(StoreError):
            self.write_events()

    def write_events(self) -> None:
        """Write the events that could not be written yet; raises StoreError when that lasts."""
        while self._unwritten:
            self.store.add_event(self.job, *self._unwritten[0])
            self._unwritten.pop(0)

    def enough(self) -> bool:
        """Whether somebody wants the job to end early, with what it has."""
        return self._ask().enough

    def cancelled(self) -> bool:
        """Whether the user or the system wants the job to stop."""
        return self._ask().cancel or self.terminated

    def _ask(self) -> Requests:
        if time.monotonic() - self._asked > POLL:
            self._asked = time.monotonic()
            with suppress(StoreError):
                self._requests = self.store.requests(self.job)
        return self._requests


def main(device: str, lane: Lane, slot: int, foreseen: str | None = None) -> None:
    """Run jobs of a lane on a device, and stay for some minutes when there are none.

    Returns at once when the device has such a worker. After giving the lease back the queue is
    looked at once more: a job that was queued in that moment found the lease held, and nobody else
    would come for it.

    Args:
        device: where to compute.
        lane: whose jobs.
        slot: which of the lane's workers on the device it is.
        foreseen: the kind of job that it was started for, which nobody has asked for yet.
    """
    queue, worker = Queue(), Worker(device, lane, slot)
    if lane == Lane.INTERACTIVE:
        os.nice(NICE)
    try:
        _serve(queue, Lease(JobStore(queue.path).lease_path(*worker)), worker, foreseen)
    except StoreError:
        if queue.path.exists():  # else it went with its home
            raise


def _serve(queue: Queue, lease: Lease, worker: Worker, foreseen: str | None) -> None:
    stop, program = Stop(), read_program()
    stop.listen()
    while lease.acquire():
        persist(queue, lambda: queue.take_over(worker))
        persist(queue, queue.clean)
        with queue.kept_open() as changed:

            def ends() -> bool:
                return stop.asked or not lease.stands() or read_program() != program

            if foreseen and not persist(queue, lambda: queue.waiting(worker.lane)):
                job_class(foreseen).load()
            while not ends() and _await_work(queue, worker.lane, changed, ends):
                run_waiting(queue, worker, stop)
            leaving = ends()
        lease.release()
        if leaving or not persist(queue, lambda: queue.waiting(worker.lane)):
            return


def run_waiting(queue: Queue, worker: Worker, stop: "Stop") -> None:
    """Run jobs until none waits, and what follows their results when none waits."""
    left: list[tuple[JobStore, JobRecord, Iterator[None]]] = []
    while not stop.asked:
        if claimed := persist(queue, lambda: queue.claim(worker)):
            store, record = claimed
            with living_in(store), about_job(record.id), print_to(log_path(record.folder)):
                if run_one(store, record, worker.device, stop) == JobState.DONE:
                    left.append((store, record, record.job.afterwards(record.folder)))
        elif left:
            store, record, parts = left[0]
            with living_in(store):
                if not go_on_afterwards(record, parts):
                    left.pop(0)
        else:
            return


class Stop:
    """Whether the system wants the worker to stop; the job at hand hears of it."""

    def __init__(self) -> None:
        self.asked = False
        self.reporter: StoreReporter | None = None

    def listen(self) -> None:
        """Hear the system's SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, *_: object) -> None:
        self.asked = True
        if self.reporter is not None:
            self.reporter.terminated = True


def _await_work(
    queue: Queue, lane: Lane, changed: Callable[[], bool], ends: Callable[[], bool]
) -> bool:
    """Wait until a job can be claimed; False after the minutes that a worker stays warm.

    False also where the worker ends: when it is told to stop, when its lease or its home was
    deleted, and when its program has changed, since what comes next is for the program of today.
    """
    if persist(queue, lambda: queue.waiting(lane)):
        return True
    let_go()
    now = time.monotonic()
    end, look_again = now + warm_seconds(), now + WATCH_ALL
    while time.monotonic() < end:
        if changed() and persist(queue, lambda: queue.waiting(lane)):
            return not ends()
        if time.monotonic() > look_again:
            if ends():
                return False
            look_again = time.monotonic() + WATCH_ALL
        time.sleep(WATCH)
    return False


def warm_seconds() -> float:
    """For how long a worker without work stays: GENECANVAS_WARM_MINUTES, by default 5.

    Raises InputError when that is no number of minutes.
    """
    given = os.environ.get("GENECANVAS_WARM_MINUTES", "5")
    try:
        minutes = float(given)
        if not 0 <= minutes <= 1440:
            raise ValueError
    except ValueError:
        raise InputError(
            "Expected GENECANVAS_WARM_MINUTES to be the minutes that a worker without work stays, "
            f"0 to 1440, got {given!r}."
        ) from None
    return 60 * minutes


def read_program() -> tuple:
    """What tells versions of this program apart: the files of `core` and when they were written."""
    found = []
    for folder, _, names in os.walk(ROOT / "core"):
        for name in names:
            if name.endswith(".py"):
                with suppress(OSError):
                    found.append((folder, name, os.stat(os.path.join(folder, name)).st_mtime_ns))
    return tuple(sorted(found))


def persist(store: JobStore | Queue, call: Callable[[], Answer]) -> Answer:
    """Call again while the store is locked or can't be written; raises StoreError at last.

    At once where the store is gone, with its home.
    """
    end = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            return call()
        except StoreError as error:
            passing = isinstance(error.__cause__, sqlite3.OperationalError)
            if not passing or time.monotonic() > end or not store.path.exists():
                raise
            time.sleep(1)


def keep_quiet(share: float, text: str) -> None:
    """Say nothing: nobody waits in this process."""


def run_one(
    store: JobStore, record: JobRecord, device: str, stop: Stop, say: Say = keep_quiet
) -> JobState:
    """Run a claimed job, write down and give how it ended; who waits for it is told by `say`."""
    record.folder.mkdir(parents=True, exist_ok=True)
    reporter = stop.reporter = StoreReporter(store, record, say)
    reporter.terminated = stop.asked
    begun = time.monotonic()
    log_event("job started", job=record.id, kind=record.kind, lane=record.lane, device=device)
    reporter.log(f"worker {os.getpid()}: {record.kind} {record.id} on {device}, {record.name}")
    with suppress(OSError):
        write_listing(record)
    state, reason = do_job(record.job, record.folder, reporter, device)
    stop.reporter = None
    with suppress(StoreError):
        persist(store, reporter.write_events)
    persist(store, lambda: store.finish(record.id, state, reason))
    seconds = round(time.monotonic() - begun, 3)
    log_event("job ended", job=record.id, kind=record.kind, state=state, seconds=seconds)
    return state


class LoggingReporter(Reporter, Protocol):
    """A reporter that keeps a log, and knows why a job was stopped."""

    terminated: bool
    """Whether it was the system that wanted it."""

    def log(self, text: str) -> None:
        """Write a line."""


def do_job(
    job: Job, folder: Path, reporter: LoggingReporter, device: str
) -> tuple[JobState, str | None]:
    """Do a job; gives how it ended, and why where it has no result."""
    state, reason = JobState.DONE, None
    try:
        if job.uses_torch:
            prepare_torch(device, job.lane)
        with listening(reporter):
            job.run(folder, reporter, device)
    except Cancelled as error:
        state, reason = JobState.CANCELLED, str(error)
        if reporter.terminated:
            reason = "The worker was told to stop. Resume it to go on from where it was."
    except GeneCanvasError as error:
        state, reason = JobState.FAILED, str(error)
    except Exception as error:
        reporter.log(traceback.format_exc())
        state, reason = explain_failure(error, job.when_memory_is_short)
    reporter.log(f"{state}: {reason or 'finished'}")
    return state, reason


def go_on_afterwards(record: JobRecord, parts: Iterator[None]) -> bool:
    """Do the next part of what follows a job's result; whether there may be another.

    What goes wrong stands in the job's log, and ends it: the result is there.
    """
    try:
        next(parts)
        return True
    except StopIteration:
        return False
    except (OSError, MemoryError, GeneCanvasError) as error:
        with suppress(OSError), log_path(record.folder).open("a", encoding="utf-8") as log:
            log.write(f"{record.kind} {record.id}: {error}\n")
        return False


def explain_failure(error: Exception, when_memory_is_short: str) -> tuple[JobState, str]:
    """How a job ends by a failure that is not the user's: the state, and what may help."""
    text = str(error)
    if is_out_of_memory(error) or isinstance(error, MemoryError):
        return JobState.OUT_OF_MEMORY, f"Out of memory. {when_memory_is_short} ({text})"
    # torch's writer and safetensors' hide the system's error in one of their own
    if (
        isinstance(error, OSError)
        or type(error).__name__ == "SafetensorError"
        or "inline_container" in text
    ):
        return JobState.FAILED, (
            f"Reading or writing failed: {error}. Is the disk full? It can be resumed."
        )
    return JobState.FAILED, f"Unexpected {type(error).__name__}: {text}. The log has the details."


@contextmanager
def print_to(path: Path) -> Iterator[None]:
    """Send everything that the process prints, also from C, to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(1), os.dup(2)
    with path.open("ab") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        for stream, original in zip((1, 2), kept, strict=True):
            os.dup2(original, stream)
            os.close(original)


def start(asked: dict[str, Any]) -> None:
    """Run as the worker that a document describes: device, lane, slot, and the kinds it knows."""
    KINDS.update(asked.get("kinds", {}))
    start_log(os.fdopen(os.dup(2), "w"), everything=False)  # stays when a job prints elsewhere
    device = asked.get("device") or first_device()
    lane, slot = Lane(asked.get("lane", Lane.QUEUE)), asked.get("slot", 0)
    main(device, lane, slot, asked.get("foreseen"))


def first_device() -> str:
    """The device of a process that was told none. Loads torch, unless the user named devices."""
    if named := named_devices():
        return named[0]
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    start(json.loads(sys.stdin.read() or "{}"))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # taking torch apart takes seconds, in which no other worker would be started
