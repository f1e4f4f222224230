"""What the store says of a job: its record, its state, and who runs it."""

import os
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from core.files import write_json
from core.jobs.job import Job, Lane


class JobState(StrEnum):
    """Where a job is on its way."""

    QUEUED = "queued"
    PAUSED = "paused"
    """Waits until its study goes on."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether nothing more happens by itself."""
        return self == JobState.DONE or self.resumable

    @property
    def resumable(self) -> bool:
        """Whether the job ended without a result and can go on from where it was."""
        return self in (JobState.FAILED, JobState.OUT_OF_MEMORY, JobState.CANCELLED)


UNFINISHED = tuple(state for state in JobState if not state.finished)
"""States of jobs that wait or run."""


class JobRecord(BaseModel):
    """A job as the store knows it."""

    model_config = ConfigDict(frozen=True)

    id: str
    """What it was stored under; its key, unless an earlier version counted in another way."""
    kind: str
    lane: Lane
    place: int
    """Jobs of a lane are run in the order of this number."""
    name: str
    job: Job
    state: JobState
    reason: str | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    done: int
    total: int
    message: str
    parent: str | None
    """The job that this one asks a what-if of."""
    study: str | None
    """The name of the study that it belongs to."""
    device: str | None
    """Where it runs, or ran last, such as cuda:0."""
    slot: int
    """Which of the device's workers for the lane runs it, or ran it last."""
    note: str = ""
    tags: str = ""
    """Words of the user's own, separated by commas."""
    starred: bool = False
    """Whether lists show it first. Name, note, tags and star are no part of what is done."""

    @property
    def folder(self) -> Path:
        """The job's folder, which also holds its log."""
        return self.job.folder(self.id)

    @property
    def why(self) -> str:
        """Why it has no result, in a sentence, without the end of its log; empty if not known."""
        return (self.reason or "").partition("\n")[0]


class DamagedJob(NamedTuple):
    """A job whose content this program doesn't understand: it can only be deleted."""

    id: str
    name: str
    state: str
    why: str


class Requests(NamedTuple):
    """What somebody asks of a running job."""

    cancel: bool
    """Stop soon."""
    enough: bool
    """End early, with what there is."""


class Worker(NamedTuple):
    """Who runs jobs: one process."""

    device: str | None
    """None for workers of early versions."""
    lane: Lane = Lane.QUEUE
    slot: int = 0


def write_listing(record: JobRecord) -> None:
    """Write to the job's folder what only the list knows of it, so that the list can be rebuilt."""
    listed = ("kind", "name", "created", "parent", "study", "note", "tags", "starred")
    write_json(record.folder / "listing.json", record.model_dump(mode="json", include=set(listed)))


def log_path(folder: Path) -> Path:
    """Where a job writes what it prints."""
    return folder / "log.txt"


def read_log(folder: Path, lines: int = 40) -> str:
    """The last lines of a job's log; empty while there is none."""
    with suppress(FileNotFoundError), log_path(folder).open("rb") as file:  # it may be moved
        file.seek(max(0, file.seek(0, os.SEEK_END) - 200 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return ""
