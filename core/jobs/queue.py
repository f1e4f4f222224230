"""What workers serve: the jobs of all homes of a server, one home after the other.

Where one person works alone there is one home, and its jobs are taken in their order. Several take
turns: of those that have something to do, first whose jobs hold the fewest workers of the lane,
then who has waited longest since the last one began. So whoever queues a hundred runs delays
others by one.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from core.errors import InputError, StoreError
from core.home import at, server_home, working_homes
from core.jobs.job import Lane
from core.jobs.record import JobRecord, Worker
from core.jobs.store import JobStore
from core.people import owner_of


class Queue:
    """The stores of all homes."""

    def __init__(self) -> None:
        self.path = server_home() / "runs.sqlite"
        with at(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                JobStore(self.path)

    def stores(self) -> list[JobStore]:
        """The stores in which somebody has asked for something, the server's own first."""
        paths = [folder / "runs.sqlite" for folder in working_homes()]
        found = []
        for path in paths:
            with at(path.parent):
                if path.exists():
                    found.append(JobStore(path))
        return found

    def waiting(self, lane: Lane) -> int:
        """How many jobs of a lane could be claimed now."""
        return sum(store.waiting(lane) for store in self.stores() if _may_go_on(store))

    def running(self) -> set[Worker]:
        """Who runs a job."""
        return {worker for store in self.stores() for worker in store.running().values()}

    def claim(self, worker: Worker) -> tuple[JobStore, JobRecord] | None:
        """Take the first job of the home whose turn it is; None where none waits.

        Only for the holder of the worker's lease.
        """
        ready = [s for s in self.stores() if s.waiting(worker.lane) and _may_go_on(s)]
        for store in sorted(ready, key=lambda store: store.turn(worker.lane)):
            if record := store.claim(*worker):
                return store, record
        return None

    def take_over(self, worker: Worker) -> None:
        """Queue again, or end, what a worker was running, because it died."""
        for store in self.stores():
            store.take_over(*worker)

    def clean(self) -> None:
        """Remove what interrupted deletions left, and interactive jobs that ended long ago."""
        for store in self.stores():
            with at(store.path.parent):
                store.clean()

    @contextmanager
    def kept_open(self) -> Iterator[Callable[[], bool]]:
        """As `JobStore.kept_open`, of all stores: what tells whether anything was written.

        A home that is new counts as written to; it is looked for in the folder of homes, which
        costs microseconds too.
        """
        with ExitStack() as stack:
            watched: dict[Path, Callable[[], bool]] = {}

            def changed() -> bool:
                found = False
                if _homes_changed():
                    for store in self.stores():
                        if store.path not in watched:
                            watched[store.path] = stack.enter_context(store.kept_open())
                            found = True
                for path, ask in list(watched.items()):
                    try:
                        found = ask() or found
                    except StoreError:
                        if path == self.path or path.exists():
                            raise
                        del watched[path]  # it was cleared
                return found

            looked: list[object] = [None]

            def _homes_changed() -> bool:
                now = [(f, (f / "runs.sqlite").exists()) for f in working_homes()]
                before, looked[0] = looked[0], now
                return now != before

            changed()
            yield changed


@contextmanager
def living_in(store: JobStore) -> Iterator[None]:
    """Let this whole process, its threads and children included, work in a store's home."""
    before = os.environ.get("GENECANVAS_HOME")
    os.environ["GENECANVAS_HOME"] = str(store.path.parent)
    try:
        yield
    finally:
        if before is None:
            del os.environ["GENECANVAS_HOME"]
        else:
            os.environ["GENECANVAS_HOME"] = before


def _may_go_on(store: JobStore) -> bool:
    """Whether a home's jobs may have a device: its person hasn't used their hours."""
    with suppress(InputError):
        person = owner_of(store.path.parent)
        hours = None if person is None else person.may_take.device_hours
        return hours is None or store.device_hours() < hours
    return True


def position(store: JobStore, job: str) -> int:
    """How many queued jobs of its lane will have begun with this one, itself included; else 0.

    Of others' jobs those count whose turn comes before: as many rounds as the job has to wait.
    """
    own = store.position(job)
    record = store.get(job)
    others = [other for other in Queue().stores() if other.path != store.path]
    turn = store.turn(record.lane)
    return own and own + sum(
        min(other.waiting(record.lane), own - (other.turn(record.lane) > turn)) for other in others
    )
