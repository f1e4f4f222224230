"""Jobs that leave what came of a question in a folder of transfers."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from core.errors import DamageError, InputError
from core.home import RUN_ID, home
from core.jobs.here import do_here
from core.jobs.job import Job
from core.jobs.launch import request
from core.jobs.store import JobStore

SPEC = "spec.json"
"""The question, in the folder of what came of it."""


def transfer_folder(key: str) -> Path:
    """Where a transfer stands; raises InputError unless `key` is an id."""
    if not RUN_ID.fullmatch(key):
        raise InputError(f"Expected a transfer id of 16 hexadecimal digits, got {key[:80]!r}.")
    return home() / "transfers" / key


def say_broken(key: str, name: str) -> DamageError:
    """The error for a file of an answer that can't be read."""
    return DamageError(
        f"{name} of transfer {key[:6]} is damaged. Delete it (the page Transfer does that, below "
        "Asked before) and ask again."
    )


class AskedJob(Job):
    """A question about cohorts, which is looked at before anything is stored."""

    leaves: ClassVar[str]
    """The file of its result."""

    def check(self) -> None:
        """Raise InputError where it can't be answered."""
        raise NotImplementedError

    def effort(self) -> tuple:
        return (self.kind, self.key)

    @property
    def place(self) -> Path:
        """The folder of what it leaves."""
        return transfer_folder(self.key)

    def stands(self) -> bool:
        return (self.place / self.leaves).exists()


def answer_here(job: AskedJob, progress: Callable[[float, str], None]) -> None:
    """Have it answered in this process, unless its result stands, and wait for it.

    Raises InputError where it can't be answered; nothing is stored then.
    """
    if not job.stands():
        job.check()
    do_here(job, progress)


def request_answer(job: AskedJob) -> str:
    """Have it answered in the background, unless it is or that is under way; gives its id.

    Raises InputError where it can't be answered; nothing is stored then.
    """
    if not job.stands():
        job.check()
        request(job)
    return job.key


def find_asked(key: str) -> Job | None:
    """The job that was asked for under an id, whether or not it has ended."""
    with suppress(InputError):
        return JobStore().get(key).job if JobStore.exists() else None
    return None
