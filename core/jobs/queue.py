"""What workers serve: the jobs of all homes of a server, one home after the other.

Where one person works alone there is one home, and its jobs are taken in their order. Several take
turns: of those that have something to do, first whose jobs hold the fewest workers of the lane,
then who has waited longest since the last one began. So whoever queues a hundred runs delays
others by one.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import zip_longest
from pathlib import Path

from core.devices import CLUSTER
from core.errors import InputError
from core.home import at, server_home, working_homes
from core.jobs.job import Lane
from core.jobs.record import JobRecord, JobState, Worker
from core.jobs.store import JobStore
from core.jobs.which import Order, Which
from core.people import owner_of

COUNTED = 100
"""Jobs of a home that are counted: no computer has as many workers."""
FORESEEN = 500
"""Jobs of a home that wait of which is told when they begin."""
TOLD_BY = 500
"""Jobs that were done last, which tell how long others take."""


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
        found = []
        for path in _paths():
            with at(path.parent):
                found.append(JobStore(path))
        return found

    def waiting(self, lane: Lane, *, on_cluster: bool = False) -> int:
        """How many jobs of a lane could be claimed now, by this computer's workers or a cluster.

        Of each home no more than `COUNTED`.
        """
        return sum(
            store.waiting(lane, on_cluster=on_cluster, most=COUNTED)
            for store in self.stores()
            if _may_go_on(store)
        )

    def running(self) -> set[Worker]:
        """Who runs a job."""
        return {worker for store in self.stores() for worker in store.running().values()}

    def claim(self, worker: Worker) -> tuple[JobStore, JobRecord] | None:
        """Take the first job of the home whose turn it is; None where none waits.

        Only for the holder of the worker's lease.
        """
        on_cluster = worker.device == CLUSTER
        ready = [
            store
            for store in self.stores()
            if store.waiting(worker.lane, on_cluster=on_cluster, most=1) and _may_go_on(store)
        ]
        for store in sorted(ready, key=lambda store: store.turn(worker.lane)):
            if record := store.claim(*worker):
                return store, record
        return None

    def take_over(self, worker: Worker) -> None:
        """Queue again, or end, what a worker was running, because it died."""
        for store in self.stores():
            with at(store.path.parent):
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
            watched: dict[Path, tuple[int, Callable[[], bool]]] = {}

            def changed() -> bool:
                there = {}
                for path in _paths():
                    with suppress(FileNotFoundError):  # its home is being cleared
                        there[path] = path.stat().st_ino
                found = False
                for path in watched.keys() - there.keys():
                    del watched[path]  # its home was cleared
                for path, file in there.items():
                    if path not in watched or watched[path][0] != file:
                        with at(path.parent):
                            watched[path] = (
                                file, stack.enter_context(JobStore(path).kept_open()),
                            )  # fmt: skip
                        found = True
                    found = watched[path][1]() or found
                return found

            changed()
            yield changed


def foreseen(store: JobStore, lane: Lane) -> list[JobRecord]:
    """Jobs of a lane of a store: what was done last, what runs, and the first that wait.

    As `core.jobs.schedule.expect` takes them.
    """
    done = Which(states=[JobState.DONE], lane=lane)
    return store.list(done, Order.ENDED, TOLD_BY) + _unfinished(store, lane)


def _unfinished(store: JobStore, lane: Lane) -> list[JobRecord]:
    """Jobs of a lane that run, and the first `FORESEEN` that wait."""
    waiting = store.list(Which(states=[JobState.QUEUED], lane=lane), Order.TURN, FORESEEN)
    running = store.list(Which(states=[JobState.RUNNING], lane=lane))
    # asked for in this order, a job that begins meanwhile is there: once, as one that runs
    return [*{record.id: record for record in (*waiting, *running)}.values()]


def records_in_turn(store: JobStore, lane: Lane) -> list[JobRecord]:
    """Jobs of a lane, as `core.jobs.schedule.expect` takes them, in the order in which turns go.

    Those of a store that `foreseen` gives, and those of other homes that run or come first there:
    these under ids that are none, so that nothing of them is known but when they are done.
    """
    own = foreseen(store, lane)
    homes = [(store.turn(lane), own)]
    for number, other in enumerate(Queue().stores()):
        if other.path != store.path:
            with at(other.path.parent):
                left = _unfinished(other, lane)
            homes.append(
                (
                    other.turn(lane),
                    [r.model_copy(update={"id": f"{number} {r.id}"}) for r in left],
                )
            )
    if len(homes) == 1:
        return own
    queues = [
        sorted((r for r in records if r.state == JobState.QUEUED), key=lambda r: r.place)
        for _, records in sorted(homes, key=lambda one: one[0])
    ]
    turns = [record.id for round in zip_longest(*queues) for record in round if record is not None]
    places = {id: place for place, id in enumerate(turns)}
    return [
        record.model_copy(update={"place": places.get(record.id, record.place)})
        for _, records in homes
        for record in records
    ]


def _paths() -> list[Path]:
    """The lists of jobs that there are."""
    paths = [folder / "runs.sqlite" for folder in working_homes()]
    return [path for path in paths if path.exists()]


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
        min(other.waiting(record.lane, most=own), own - (other.turn(record.lane) > turn))
        for other in others
    )
