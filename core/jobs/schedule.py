"""When queued jobs will be run: told by how long jobs like them took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from core.jobs.record import JobRecord, JobState

TOLD_FROM = 0.05
"""Share of a job from which its progress tells when it ends."""


@dataclass(frozen=True)
class Expected:
    """When a job starts and ends, as far as that can be told."""

    start: datetime | None
    end: datetime | None


def expect(
    records: Sequence[JobRecord],
    now: datetime,
    workers: int = 1,
    measure: Callable[[JobRecord], timedelta | None] = lambda record: None,
) -> dict[str, Expected]:
    """When each running or queued job of a lane starts and ends.

    A running job's end follows from its progress. A queued one takes as long as the last finished
    job of equal effort, from when the first worker is free; a worker whose job ends nobody knows
    when is not counted on.

    Args:
        records: jobs of a lane; queued ones are taken in the order of `place`, and of those that
            are done the first of an effort counts.
        now: the time.
        workers: how many jobs are run at once.
        measure: says how long a job takes of whose effort none has finished, if it knows.
    """
    took = {
        record.job.effort(): record.finished - record.started
        for record in reversed(records)
        if record.state == JobState.DONE and record.started and record.finished
    }

    def find_length(record: JobRecord) -> timedelta | None:
        return took.get(record.job.effort()) or measure(record)

    found: dict[str, Expected] = {}
    for record in records:
        if record.state == JobState.RUNNING:
            found[record.id] = Expected(record.started, _expected_end(record, find_length, now))
    idle = max(workers - len(found), 0)
    free = [now] * idle + [expected.end for expected in found.values() if expected.end]
    heapify(free)
    queued = [record for record in records if record.state == JobState.QUEUED]
    for record in sorted(queued, key=lambda record: record.place):
        start, length = heappop(free) if free else None, find_length(record)
        end = start + length if start and length else None
        if end:
            heappush(free, end)
        found[record.id] = Expected(start, end)
    return found


def _expected_end(
    record: JobRecord, find_length: Callable[[JobRecord], timedelta | None], now: datetime
) -> datetime | None:
    if record.started is None:
        return None
    left = time_left(record, now)
    if left is not None:
        return now + left
    length = find_length(record)
    return max(record.started + length, now) if length else None


def time_left(record: JobRecord, now: datetime) -> timedelta | None:
    """How long a running job goes on if it stays as quick; None while too little is done."""
    share = record.done / max(record.total, 1)
    if record.started is None or share <= TOLD_FROM:
        return None
    return (now - record.started) * ((1 - share) / share)
