"""When queued runs will be trained: told by how long runs like them took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunState


@dataclass(frozen=True)
class Expected:
    """When a run starts and ends, as far as that can be told."""

    start: datetime | None
    end: datetime | None


def kind_of_work(spec: RunSpec) -> tuple:
    """What decides how long a run takes; runs that agree in it take about as long."""
    network, training, split = spec.network, spec.training, spec.split
    return (
        spec.cohort.dataset, network.backbone, network.image_size, network.head, network.freeze,
        training.epochs, training.batch_size, spec.variants, split.kind, split.folds,
        split.repeats, split.sizes,
    )  # fmt: skip


def expect(records: Sequence[RunRecord], now: datetime, workers: int = 1) -> dict[str, Expected]:
    """When each running or queued run starts and ends.

    A running run's end follows from its progress. A queued one takes as long as the last finished
    run of its kind, from when the first worker is free; a worker whose run ends nobody knows when
    is not counted on.

    Args:
        records: all runs of a store; queued ones are taken in the order of `place`.
        now: the time.
        workers: how many runs are trained at once.
    """
    took = {
        kind_of_work(record.spec): record.finished - record.started
        for record in reversed(records)
        if record.state == RunState.DONE and record.started and record.finished
    }
    found: dict[str, Expected] = {}
    for record in records:
        if record.state == RunState.RUNNING:
            found[record.id] = Expected(record.started, _expected_end(record, took, now))
    idle = max(workers - len(found), 0)
    free = [now] * idle + [expected.end for expected in found.values() if expected.end]
    heapify(free)
    queued = [record for record in records if record.state == RunState.QUEUED]
    for record in sorted(queued, key=lambda record: record.place):
        start, length = heappop(free) if free else None, took.get(kind_of_work(record.spec))
        end = start + length if start and length else None
        if end:
            heappush(free, end)
        found[record.id] = Expected(start, end)
    return found


def _expected_end(
    record: RunRecord, took: dict[tuple, timedelta], now: datetime
) -> datetime | None:
    if record.started is None:
        return None
    share = record.done / max(record.total, 1)
    if share > 0.05:
        return now + (now - record.started) * ((1 - share) / share)
    length = took.get(kind_of_work(record.spec))
    return max(record.started + length, now) if length else None
