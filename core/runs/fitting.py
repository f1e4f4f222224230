"""Fitting the baseline models that stand beside runs, as a job."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from core.jobs.job import Inputs, Job, Reporter, stoppable
from core.jobs.launch import request
from core.runs.outcome import compute_baselines, missing_baselines
from core.runs.result import load_spec


class BaselinesJob(Job):
    """The baseline models that no run fits by itself; they stand in each run's folder."""

    kind: ClassVar[str] = "baselines"

    about: tuple[str, ...]
    """The runs."""
    second: str | None = None
    """The column that a second head learns; None: each run's batch, where it knows one."""

    def title(self) -> str:
        some = ", ".join(run[:6] for run in self.about[:3])
        more = f" and {len(self.about) - 3} more" if len(self.about) > 3 else ""
        return f"Baseline models of {some}{more}"

    def inputs(self) -> Inputs:
        datasets = {load_spec(run).cohort.dataset for run in self.about}
        return Inputs(tuple(sorted(datasets)), self.about)

    def stands(self) -> bool:
        return not missing_baselines(list(self.about), self.second)

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        tell = stoppable(reporter, "models fitted")
        compute_baselines(list(self.about), tell, self.second)


def baselines_job(runs: Sequence[str], second: str | None = None) -> BaselinesJob:
    """The job for some finished runs, in whatever order they are named."""
    return BaselinesJob(about=tuple(sorted(runs)), second=second)


def request_baselines(runs: Sequence[str], second: str | None = None) -> None:
    """Have the missing baseline models of finished runs fitted in the background."""
    request(baselines_job(runs, second))
