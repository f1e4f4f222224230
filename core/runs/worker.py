"""The worker of a device: a process that trains queued runs one by one until none is left.

Started by `core.runs.launch`, or by hand with `python -m core.runs.worker < /dev/null`: on its
standard input it is told its device as JSON, and without that it takes the first one.
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
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError

from core.errors import Cancelled, GeneCanvasError, StoreError
from core.home import run_folder
from core.lease import Lease
from core.runs.execute import execute
from core.runs.outcome import keep_measures
from core.runs.store import Requests, RunRecord, RunState, RunStore, keep_listing, log_path
from core.training.device import choose_device, is_out_of_memory, list_devices

POLL = 0.2
"""Seconds between two looks at the store for what somebody asks of a run."""
LONGEST_WAIT = 1800
"""Seconds for which a worker waits for a store that is locked, or whose disk is full."""

Answer = TypeVar("Answer")


class StoreReporter:
    """Tells the store how a run goes, and the run whether it shall stop.

    A training never ends because the store or the log can't be written for a while: progress is
    then dropped, and epochs are kept until they can be written.
    """

    def __init__(self, store: RunStore, run: str) -> None:
        self.store, self.run = store, run
        self.terminated = False
        self._asked, self._requests = 0.0, Requests(False, False)
        self._unwritten: list[tuple[int, dict[str, Any]]] = []

    def progress(self, done: int, total: int, text: str) -> None:
        """Write progress to the store and, on a line of its own, to the log."""
        with suppress(StoreError):
            self.store.set_progress(self.run, done, total, text)
        log(text)

    def epoch(self, fold: int, row: dict[str, Any]) -> None:
        """Write an epoch's measurements to the store, now or later."""
        self._unwritten.append((fold, row))
        with suppress(StoreError):
            self.write_epochs()

    def write_epochs(self) -> None:
        """Write the epochs that could not be written yet; raises StoreError when that lasts."""
        while self._unwritten:
            self.store.add_epoch(self.run, *self._unwritten[0])
            self._unwritten.pop(0)

    def enough(self) -> bool:
        """Whether somebody wants the training to end here and be tested."""
        return self._ask().enough

    def cancelled(self) -> bool:
        """Whether the user or the system wants the run to stop."""
        return self._ask().cancel or self.terminated

    def _ask(self) -> Requests:
        if time.monotonic() - self._asked > POLL:
            self._asked = time.monotonic()
            with suppress(StoreError):
                self._requests = self.store.requests(self.run)
        return self._requests


def main(name: str) -> None:
    """Train queued runs on a device until there are none; return at once when it has a worker.

    After giving the lease back the queue is looked at once more: a run that was queued in that
    moment found the lease held, and nobody else would come for it.
    """
    store = RunStore()
    lease, device = Lease(store.lease_path(name)), torch.device(name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.set_num_threads(choose_threads())
    while lease.acquire():
        persist(lambda: store.take_over(name))
        persist(store.clean)
        with store.kept_open():
            while record := persist(lambda: store.claim(name)):
                if not train_one(store, record, device):
                    return
        lease.release()
        if not persist(store.waiting):
            return


def persist(call: Callable[[], Answer]) -> Answer:
    """Call again while the store is locked or can't be written; raises StoreError at last."""
    end = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            return call()
        except StoreError as error:
            passing = isinstance(error.__cause__, sqlite3.OperationalError)
            if not passing or time.monotonic() > end:
                raise
            time.sleep(1)


def log(text: str) -> None:
    """Print a line; a full disk loses it."""
    with suppress(OSError):
        print(text, flush=True)


def train_one(store: RunStore, record: RunRecord, device: torch.device) -> bool:
    """Train a claimed run and write down how it ended; False when the system wants to stop."""
    reporter = StoreReporter(store, record.id)

    def terminate(*_: object) -> None:
        reporter.terminated = True

    signal.signal(signal.SIGTERM, terminate)
    state, reason = RunState.DONE, None
    with print_to(log_path(record.id)):
        log(f"worker {os.getpid()}: run {record.id} on {device}, {record.name}")
        try:
            with suppress(OSError):
                keep_listing(record)
            execute(record.spec, run_folder(record.id), reporter, device)
        except Cancelled as error:
            state, reason = RunState.CANCELLED, str(error)
            if reporter.terminated:
                reason = "The worker was told to stop. Resume the run to go on from its last epoch."
        except GeneCanvasError as error:
            state, reason = RunState.FAILED, str(error)
        except Exception as error:
            log(traceback.format_exc())
            state, reason = explain_failure(error)
        log(f"{state}: {reason or 'finished'}")
    with suppress(StoreError):
        persist(reporter.write_epochs)
    persist(lambda: store.finish(record.id, state, reason))
    if state == RunState.DONE:
        try:
            keep_measures(record.id)
        except (OSError, MemoryError, GeneCanvasError) as error:  # then the page measures
            log(f"run {record.id}: its measures can't be kept: {error}")
    return not reporter.terminated


def explain_failure(error: Exception) -> tuple[RunState, str]:
    """How a run ends by a failure that is not the user's: the state, and what may help."""
    text = str(error)
    out_of_memory = isinstance(error, RuntimeError) and is_out_of_memory(error)
    if out_of_memory or isinstance(error, MemoryError):
        return RunState.OUT_OF_MEMORY, (
            "Out of memory. Take a smaller image size or a smaller network, then start again. "
            f"({text})"
        )
    # torch's writer and safetensors' hide the system's error in one of their own
    if isinstance(error, OSError | SafetensorError) or "inline_container" in text:
        return RunState.FAILED, (
            f"Reading or writing failed: {error}. Is the disk full? The run can be resumed."
        )
    return RunState.FAILED, f"Unexpected {type(error).__name__}: {text}. The log has the details."


def choose_threads() -> int:
    """Threads for the CPU part of training: OMP_NUM_THREADS, or what is fastest right now.

    Threads wait for each other at every layer, so that two on a core that somebody else uses are
    many times slower than one. A small convolution is timed with all cores and with one thread;
    one thread is kept unless more are clearly faster. Workers of several devices share the cores.
    """
    if os.environ.get("OMP_NUM_THREADS"):
        return torch.get_num_threads()
    cores = max(1, (os.cpu_count() or 1) // len(list_devices()))
    seconds = {}
    for threads in {1, cores}:
        torch.set_num_threads(threads)
        seconds[threads] = _time_convolution()
    return cores if seconds[cores] < 0.8 * seconds[1] else 1


def _time_convolution() -> float:
    images, weights = torch.ones(16, 32, 32, 32), torch.ones(32, 32, 3, 3, requires_grad=True)
    started = 0.0
    for round_ in range(21):
        if round_ == 1:  # the first round sets things up
            started = time.perf_counter()
        torch.nn.functional.conv2d(images, weights, padding=1).sum().backward()
    return time.perf_counter() - started


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


if __name__ == "__main__":
    main(json.loads(sys.stdin.read() or "null") or str(choose_device()))
