"""Runs in the store of jobs: trainings with their specifications and their epochs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from core.errors import InputError
from core.home import RUN_ID, home, run_folder
from core.jobs import record as jobs
from core.jobs.record import JobRecord
from core.jobs.store import JobStore
from core.jobs.which import Which
from core.runs.spec import RunSpec
from core.runs.training import TrainJob

if TYPE_CHECKING:
    import pandas as pd


class RunRecord(JobRecord):
    """A run as the store knows it."""

    job: TrainJob

    @property
    def spec(self) -> RunSpec:
        """What is trained."""
        return self.job.spec


class RunStore(JobStore[RunRecord]):
    """The runs among the jobs."""

    kind: ClassVar[str] = "train"
    record_type: ClassVar[type[RunRecord]] = RunRecord

    def submit(
        self,
        spec: RunSpec,
        name: str | None = None,
        *,
        parent: str | None = None,
        study: str | None = None,
    ) -> tuple[RunRecord, bool]:
        """Queue the training of a run; see `JobStore.submit`.

        It is the same run whether as many genes are asked for as its dataset has, or more.

        Raises InputError when the run's cohort has no dataset.
        """
        if spec.cohort.dataset is None:
            raise InputError("The run's cohort has no dataset: give it the id of a stored one.")
        return super().submit(TrainJob(spec=spec.within()), name, parent=parent, study=study)

    def need_quota_for(self, specs: Iterable[RunSpec]) -> None:
        """Raise InputError where these runs can't be queued together: all of them are, or none."""
        self.need_quota(*(TrainJob(spec=spec.within()) for spec in specs))

    def add_epoch(self, run: str, fold: int, row: dict[str, Any]) -> None:
        """Store an epoch's measurements; an epoch that is trained again replaces itself."""
        self.add_event(run, fold, int(row["epoch"]), row)

    def epochs(self, run: str) -> pd.DataFrame:
        """All epochs of a run in order: fold and the columns of the training's history."""
        import pandas as pd

        return pd.DataFrame([{"fold": fold, **row} for fold, row in self.events(run)])


def which_of(words: str) -> Which:
    """Runs in whose name, tags, note, study, state or dataset's name some words stand."""
    from core.data.store import list_datasets

    folded = words.casefold()
    named = [one.id for one in list_datasets() if folded in one.name.casefold()] if words else []
    return Which(words=words, named=named)


def unlisted_runs() -> list[str]:
    """Runs whose folders hold their specifications, but that the list doesn't name."""
    folders = {path.name for path in home().glob("runs/*") if RUN_ID.fullmatch(path.name)}
    lost = folders - (JobStore().ids() if JobStore.exists() else set())
    return sorted(run for run in lost if (run_folder(run) / "spec.json").exists())


def drop_dataset(dataset: str) -> None:
    """Delete a dataset, unless jobs that are still to be done need it: InputError names them."""
    from core.data.store import delete_dataset

    store = JobStore()
    store.check_unused(dataset, "The dataset")
    delete_dataset(dataset)
    store.forget_answers(dataset)


def log_path(run: str) -> Path:
    """Where a run's training writes what it prints."""
    return jobs.log_path(run_folder(run))


def read_log(run: str, lines: int = 40) -> str:
    """The last lines of a run's log; empty while there is none."""
    return jobs.read_log(run_folder(run), lines)


def bytes_of(run: str) -> int:
    """Bytes that a run's folder takes."""
    total = 0
    for path in run_folder(run).rglob("*"):
        with suppress(FileNotFoundError):  # a file that was being written
            total += path.stat().st_size
    return total
