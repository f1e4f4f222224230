"""The training of a run as a job."""

# ruff: noqa: D102 -- `Job` says what its methods are for

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from core.errors import InputError
from core.files import link
from core.home import home, run_folder, working_homes
from core.jobs.job import Inputs, Job, Lane, Reporter
from core.models.own_weights import path_at_home
from core.runs.spec import RunSpec


class TrainJob(Job):
    """A run. Its content is its specification, and its key the specification's id."""

    kind: ClassVar[str] = "train"
    lane: ClassVar[Lane] = Lane.QUEUE
    spreads: ClassVar[bool] = True
    root: ClassVar[str] = "runs"
    when_memory_is_short: ClassVar[str] = (
        "Take a smaller image size or a smaller network, then start again."
    )

    spec: RunSpec

    @property
    def key(self) -> str:
        return self.spec.id

    def content(self) -> dict[str, Any]:
        return self.spec.model_dump(mode="json")

    @classmethod
    def restore(cls, content: dict[str, Any]) -> "TrainJob":
        return cls(spec=RunSpec.restore(content))

    @classmethod
    def folder(cls, job: str) -> Path:
        return run_folder(job)

    def title(self) -> str:
        return self.spec.title()

    def inputs(self) -> Inputs:
        network = self.spec.network
        kind, _, value = network.weights.partition(":")
        files = ()
        if kind in ("imagenet", "file"):
            own = kind == "file"
            files = (path_at_home(value) if own else f"weights/{network.record.file}",)
        return Inputs((self.spec.cohort.dataset,), (value,) if kind == "run" else (), files=files)

    def effort(self) -> tuple:
        spec = self.spec
        network, training, split = spec.network, spec.training, spec.split
        return (
            spec.cohort.dataset, network.backbone, network.image_size, network.head, network.freeze,
            training.epochs, training.batch_size, spec.variants, split.kind, split.folds,
            split.repeats, split.sizes,
        )  # fmt: skip

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        import torch

        from core.runs.execute import execute

        remove_leftovers(folder)
        if _take_from_others(self.spec, folder, reporter):
            return
        execute(self.spec, folder, _EpochReporter(reporter), torch.device(device))

    @classmethod
    def load(cls) -> None:
        import torchvision  # noqa: F401

        import core.runs.execute
        import core.runs.outcome  # noqa: F401 -- needed when a training has ended

    def afterwards(self, folder: Path) -> Iterator[None]:
        """Measure the result under all draws of patients; what is missing a page measures."""
        from core.runs.outcome import keep_measures_one_by_one

        yield from keep_measures_one_by_one(folder.name)


def _take_from_others(spec: RunSpec, folder: Path, reporter: Reporter) -> bool:
    """Have the same run that somebody else on this server has trained, if it is whole.

    Only what its result answers for, which follows from the specification: nothing of what they
    call it, asked of it, or did with it. Whoever asks has its dataset, as for a training.
    """
    from core.data.store import get_record
    from core.runs.fitted import load_fitted
    from core.runs.result import Kept

    if (folder / "result.json").exists():
        return False
    get_record(spec.cohort.dataset)
    for other in working_homes():
        given = other / "runs" / spec.id
        if other == home() or not (given / "result.json").exists():
            continue
        kept = Kept(f"run {spec.id}", given, "")
        with suppress(InputError):
            if not kept.result.files or kept.problem is not None or kept.spec.id != spec.id:
                continue
            shutil.rmtree(folder / "folds", ignore_errors=True)
            for name in (*kept.result.files, "result.json"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).unlink(missing_ok=True)
                link(given / name, folder / name)
            for fold in range(len(kept.result.folds)):
                for row in load_fitted(folder.name, fold).history:
                    reporter.event(fold, int(row["epoch"]), row)
            return True
    return False


class _EpochReporter:
    """Tells whoever listens to a job of epochs as its events: part is the fold, step the epoch."""

    def __init__(self, reporter: Reporter) -> None:
        self.progress, self.enough = reporter.progress, reporter.enough
        self.cancelled, self._event = reporter.cancelled, reporter.event

    def epoch(self, fold: int, row: dict[str, Any]) -> None:
        self._event(fold, int(row["epoch"]), row)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed worker left in a run's folder; not while the run is running."""
    for path in folder.glob("folds/*/.*"):
        path.unlink(missing_ok=True)
    drop_checkpoints(folder)


def drop_checkpoints(folder: Path) -> None:
    """Remove checkpoints of folds that are whole: their worker was killed before it could."""
    for checkpoint in folder.glob("folds/*/checkpoint.pt"):
        if checkpoint.with_name("fold.json").exists():
            checkpoint.unlink(missing_ok=True)
