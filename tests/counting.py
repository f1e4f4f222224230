"""A kind of job that somebody adds: it counts, and goes on from where it was."""

import time
from pathlib import Path
from typing import ClassVar

from core.errors import Cancelled
from core.files import read_json, write_json
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
