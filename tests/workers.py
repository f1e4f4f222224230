"""Workers that a test may kill: processes of their own, forked where torch is loaded already."""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

from core.jobs.worker import start
from core.lease import Lease
from core.runs.store import RunStore
from tests.interpreter import Process

LONG = 600
"""Seconds that nothing should need, on whatever machine."""


def start_worker(
    largest_file: int | None = None, kinds: dict[str, str] | None = None
) -> BaseProcess:
    """A worker of this home's queue.

    Args:
        largest_file: bytes of the largest file that it may write.
        kinds: jobs that it knows by other names than this process, see `tests.held`.
    """
    worker = Process(  # which ends with this process at the latest, also where the test fails
        target=_work, args=(dict(os.environ), largest_file, kinds or {}), daemon=True
    )
    worker.start()
    return worker


def _work(environment: dict[str, str], largest_file: int | None, kinds: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    start({"kinds": kinds})


@contextmanager
def in_place_of_the_worker() -> Iterator[None]:
    """Be the worker that trains: a server beside has none take what this process queues."""
    lease = Lease(RunStore().lease_path("cpu"))
    assert lease.acquire(), "another worker is at work"
    try:
        yield
    finally:
        lease.release()


def end_of(worker: BaseProcess) -> int:
    """The exit code of a worker that has no more work."""
    worker.join(LONG)
    assert worker.exitcode is not None, "it goes on"
    return worker.exitcode


def train_queue() -> None:
    """Let a worker train all that is queued."""
    assert end_of(start_worker()) == 0


def kill(worker: BaseProcess) -> None:
    """End a worker as a power cut would."""
    worker.kill()
    worker.join()


def wait_until(condition: Callable[[], bool], seconds: float = LONG) -> None:
    """Look again until something has come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
