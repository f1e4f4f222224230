"""How long a run will take and how much memory it needs, measured by training a few batches.

Readable without torch, which a worker has loaded that is asked to measure.
"""

# ruff: noqa: D102 -- `Job` says what its methods are for

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from anndata import AnnData
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.files import write_json
from core.home import home
from core.jobs.job import Job, Reporter, stop_if_told
from core.jobs.launch import answer_state, ensure_workers, request
from core.jobs.record import UNFINISHED
from core.jobs.store import JobStore
from core.jobs.which import Which
from core.runs.spec import RunSpec
from core.runs.speed import load_speeds
from core.runs.study import open_study
from core.words import DAY

if TYPE_CHECKING:
    import torch

    from core.models.heads import LinearHead

SOLVED_WITH = 500
"""Samples; of more, the time goes with the square of their number."""


class Estimate(BaseModel):
    """What a run costs on this computer."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """Of training and testing all folds; fitting the baseline models takes some more."""
    peak_bytes: int
    """Most memory of the process, or of the GPU where there is one."""
    free_bytes: int
    """Memory that was free for it."""
    parameters: int
    device: str


class EstimateJob(Job):
    """A few batches of a run's network on made-up samples; they say what the run costs."""

    kind: ClassVar[str] = "estimate"
    when_memory_is_short: ClassVar[str] = (
        "Take smaller images, smaller batches or a smaller network."
    )

    spec: RunSpec
    """What decides the cost; weights are not needed for that."""
    classes: int
    genes: int
    train: tuple[int, ...]
    """Training samples of each fold."""
    tested: tuple[int, ...]
    """Validation and test samples of each fold."""

    @property
    def path(self) -> Path:
        """Where the answer stands."""
        return home() / "estimates" / f"{self.key}.json"

    def title(self) -> str:
        network = self.spec.network
        return f"How long {network.record.title} takes at {network.image_size} pixels"

    def stands(self) -> bool:
        with suppress(OSError):
            return _is_fresh(self.path)
        return False

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        import torch

        reporter.progress(0, 1, "measuring a few batches")
        stop_if_told(reporter)
        if device.startswith("cuda"):  # as the training may, for which it speaks
            torch.cuda.set_per_process_memory_fraction(1.0, device)
        write_json(self.path, self._measure(torch.device(device)).model_dump(mode="json"))

    def known(self) -> Estimate | None:
        """What `core.runs.speed` has measured of just such a network on this computer, if it has,
        else what this job has.

        Raises InputError where it can't be read.
        """
        kept = load_speeds()
        if kept and (known := kept.find(self.spec, min(self.train))):
            return Estimate(
                seconds=self._add_up(known.batch, known.trained, 0.0, known.tested),
                peak_bytes=known.peak_bytes,
                free_bytes=free_memory() if kept.device.startswith("CPU") else known.free_bytes,
                parameters=known.parameters, device=kept.device,
            )  # fmt: skip
        if not self.stands():
            return None
        try:
            return Estimate.model_validate_json(self.path.read_bytes())
        except (OSError, ValueError):
            self.path.unlink(missing_ok=True)
            return None

    def _measure(self, device: torch.device) -> Estimate:
        from core.training.device import describe_device, peak_memory, reset_peak_memory
        from core.training.timing import TrialBatch

        spec, free = self.spec, free_bytes(device)
        reset_peak_memory(device)
        trial = TrialBatch(
            spec.network, spec.training, samples=min(self.train), classes=self.classes,
            genes=self.genes, side=spec.layout.side, device=device,
        )  # fmt: skip
        if spec.network.is_solved:
            frozen = trial.time_frozen()
            seconds = sum(
                (samples + others) / trial.size * frozen
                + _time_solving(trial.network.head, samples)
                for samples, others in zip(self.train, self.tested, strict=True)
            )
        else:
            seconds = self._add_up(
                trial.size, trial.time_training(from_features=spec.caches_features),
                trial.time_frozen() if spec.caches_features else 0.0, trial.time_testing(),
            )  # fmt: skip
        return Estimate(
            seconds=seconds, peak_bytes=peak_memory(device), free_bytes=free,
            parameters=trial.parameters, device=describe_device(device),
        )  # fmt: skip

    def _add_up(self, batch: int, trained: float, frozen: float, tested: float) -> float:
        """Seconds of the run by those of a batch: of a step, of its frozen stages, of testing."""
        seconds, epochs = 0.0, self.spec.training.epochs
        for samples, others in zip(self.train, self.tested, strict=True):
            batches = -(-samples // batch)
            seconds += batches * (epochs * trained + max(self.spec.variants, 1) * frozen)
            seconds += (epochs + 1) * others / batch * tested
        return seconds


def estimate_job(spec: RunSpec, data: AnnData | None = None) -> EstimateJob:
    """The measurement that says what a run costs.

    Args:
        spec: what shall be trained, or what of it decides the cost.
        data: the dataset, where it is at hand.

    Raises:
        InputError: the spec doesn't fit its dataset.
    """
    study = open_study(spec, data)
    return EstimateJob(
        spec=spec,
        classes=len(study.classes),
        genes=min(spec.preparation.genes, study.x.shape[1]),
        train=tuple(len(fold.train) for fold in study.folds),
        tested=tuple(len(fold.validation) + len(fold.test) for fold in study.folds),
    )


def drop_stale() -> None:
    """Remove estimates that hold no longer."""
    for path in (home() / "estimates").glob("*.json"):
        with suppress(OSError):
            if not _is_fresh(path):
                path.unlink()


def _is_fresh(path: Path) -> bool:
    """Whether what was measured still holds: the computer may have been busy."""
    return time.time() - path.stat().st_mtime < DAY


def ask_estimate(job: EstimateJob) -> Estimate | None:
    """What a run costs; None while that is being measured in the background.

    One is measured after the other: two side by side would measure each other. To be asked again
    until there is an answer.

    Raises InputError where it can't be measured, such as a network that doesn't fit into memory.
    """
    if (known := job.known()) is not None:
        return known
    state = answer_state(job)
    if state.state == "failed":
        raise InputError(f"{job.title()}: it can't be measured. {state.message}")
    unfinished = Which(states=UNFINISHED, lane=job.lane)
    others = JobStore().list(unfinished) if JobStore.exists() else []
    if not any(other.kind == job.kind for other in others):
        request(job)
    ensure_workers()
    return None


def _time_solving(head: LinearHead, samples: int) -> float:
    """Seconds of solving a head, by solving it for made-up samples, SOLVED_WITH at most."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    from core.models.tuned import CLASSES, Choice, Sources

    n, outputs = min(samples, SOLVED_WITH), len(head.offset)
    rng, y = np.random.default_rng(0), np.arange(n) % max(outputs, 2)
    blocks = [
        rng.standard_normal((n, branch.linear.in_features), dtype=np.float32) + y[:, None] / outputs
        for branch in head.values()
    ]
    started = time.perf_counter()
    with threadpool_limits(1):
        sources = Sources(blocks, [False] * len(blocks))
        choice = Choice(sources, np.eye(max(outputs, 2))[y], y, np.arange(n), CLASSES, 0)
        choice.fit(choice.choose())
    return (time.perf_counter() - started) * (samples / n) ** 2


def free_bytes(device: torch.device) -> int:
    """Memory of a device that can be had without taking it from others."""
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()


def free_memory() -> int:
    """That of this computer beside a GPU; all of it where that isn't known."""
    listed = Path("/proc/meminfo")
    if listed.exists():
        for line in listed.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
