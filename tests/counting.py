"""A kind of job that somebody adds: it counts, and goes on from where it was."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from core.errors import Cancelled
from core.files import read_json, write_json
from core.home import home
from core.jobs.job import Job, Lane, Reporter


class CountJob(Job):
    """Counts to a number and writes down each that it comes to."""

    kind: ClassVar[str] = "count"
    uses_torch: ClassVar[bool] = False

    to: int
    wait: float = 0.0

    def title(self) -> str:
        return f"Counting to {self.to}"

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        path = folder / "counted.json"
        counted = read_json(path) if path.exists() else []
        while len(counted) < self.to and not reporter.enough():
            if reporter.cancelled():
                raise Cancelled("Cancelled by the user.")
            counted.append(len(counted) + 1)
            write_json(path, counted)
            reporter.event(0, len(counted), {"number": len(counted)})
            reporter.progress(len(counted), self.to, f"counted {len(counted)}")
            time.sleep(self.wait)


class QueuedCount(CountJob):
    """One that counts when its turn comes, in the queue of trainings."""

    kind: ClassVar[str] = "queued count"
    lane: ClassVar[Lane] = Lane.QUEUE
    spreads: ClassVar[bool] = True


class PreparedCount(QueuedCount):
    """One that has something to load in advance, and two things to do when it has counted."""

    kind: ClassVar[str] = "prepared count"

    @classmethod
    def load(cls) -> None:
        _tell(f"loaded by {os.getpid()}")

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        super().run(folder, reporter, device)
        _tell(f"counted to {self.to}")

    def afterwards(self, folder: Path) -> Iterator[None]:
        for part in ("one", "two"):
            _tell(f"part {part} after {self.to}")
            yield


def told() -> list[str]:
    """What prepared counts of this home did, in turn."""
    path = home() / "told.txt"
    return path.read_text().splitlines() if path.exists() else []


def _tell(what: str) -> None:
    with (home() / "told.txt").open("a") as file:
        file.write(f"{what}\n")
