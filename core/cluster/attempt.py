"""Attempts at a job on a cluster: each writes into a folder of its own, under a random name.

A job's files are in one place only: in the folder of the attempt that runs, else in the job's own.
They move by a rename, so that a computer that was given up and goes on writing finds its folder
gone; what it then makes anew has no mark, and is removed.
"""

import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from core.errors import InputError
from core.files import write_json
from core.home import home
from core.jobs.job import KINDS, job_class
from core.jobs.record import JobRecord, log_path
from core.jobs.store import JobStore

PLACE = ".attempts"
"""The folder beside those of the jobs, on the same disk."""
MARK = "attempt.json"
KEPT = ("log.txt", "listing.json")
"""What stays in the job's own folder meanwhile, for pages."""


class Attempt(NamedTuple):
    """A try at a job, from its submission until its computer is done or given up."""

    job: str
    number: int
    """From 1, since the coordinator started."""
    folder: Path
    """Where it writes."""

    @property
    def name(self) -> str:
        """What tells it apart from all others."""
        return self.folder.parent.name

    @classmethod
    def begin(cls, record: JobRecord, number: int) -> "Attempt":
        """Make the folder of an attempt, with all that is there of the job."""
        own = record.folder
        place = own.parent / PLACE / f"{record.id}-{number}-{secrets.token_hex(8)}"
        place.mkdir(parents=True)
        write_json(place / MARK, {"job": record.id, "number": number})
        attempt = cls(record.id, number, place / record.id)
        if own.exists():
            own.rename(attempt.folder)
        attempt.folder.mkdir(exist_ok=True)
        own.mkdir()
        for name in KEPT:
            with suppress(FileNotFoundError):
                (attempt.folder / name).rename(own / name)
        return attempt

    def end(self, own: Path) -> None:
        """Have what it left, be it whole or not, in the job's own folder by one rename."""
        for name in KEPT:
            with suppress(FileNotFoundError):
                (own / name).replace(self.folder / name)
        if own.exists():
            own.rename(self.folder.with_name("before"))
        self.folder.rename(own)
        shutil.rmtree(self.folder.parent, ignore_errors=True)


def end_all(store: JobStore) -> None:
    """End the attempts that a dead coordinator left, and remove what nobody needs any more."""
    for root in {job_class(kind).root for kind in KINDS}:
        for place in sorted(home().glob(f"{root}/{PLACE}/*")):
            job, _, number = place.name.rpartition("-")[0].rpartition("-")
            attempt = Attempt(job, int(number) if number.isdigit() else 0, place / job)
            if (place / MARK).exists() and attempt.folder.is_dir():
                with suppress(InputError):  # it was deleted
                    _end_left(attempt, store.get(job).folder)
            shutil.rmtree(place, ignore_errors=True)


def _end_left(attempt: Attempt, own: Path) -> None:
    """Have a left attempt's files in the job's folder, unless others have gone on there."""
    if not own.exists() or {path.name for path in own.iterdir()} <= {*KEPT}:
        attempt.end(own)


def note(own: Path, text: str) -> None:
    """Add to the log that pages show; a full disk loses it."""
    with suppress(OSError), log_path(own).open("a", encoding="utf-8") as log:
        log.write(text)
