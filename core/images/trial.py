"""Trying a layout on a dataset: fitted and measured in the background, and kept.

A page asks `request_trial` again and again, and shows what stands in the meantime.
"""

# ruff: noqa: D102 -- `Job` says what its methods are for

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from anndata import AnnData
from pydantic import BaseModel, ConfigDict
from threadpoolctl import threadpool_limits

from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec, Preprocessor
from core.data.store import load_dataset
from core.devices import devices
from core.errors import Cancelled, DamageError, InputError
from core.files import UNREADABLE, read_json, write_json
from core.home import home
from core.identity import identify, raised_versions
from core.images.layout import GeneLayout
from core.images.layouts import LAYOUTS, LayoutSpec, fit_layout
from core.images.quality import LayoutQuality, measure_layout
from core.jobs.job import Inputs, Job, Reporter
from core.jobs.launch import WORKERS, cancel, ensure_workers, find, request
from core.jobs.record import JobState
from core.jobs.store import JobStore

STEPS = 4
"""What a trial goes through: reading, preparing, placing, measuring."""
ASKED_SECONDS = 30.0
"""A trial that nobody has asked about for so long gives way to one that waits."""
KEPT_BYTES = 500_000_000
"""Bytes of files that are kept, the newest."""
REFIT = 4
"""With up to this many times the genes that are quick a layout is fitted again and again, on
resampled samples."""


class Trial(BaseModel):
    """A layout on a dataset, and everything that decides it. Fitted on all samples chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohort: Cohort
    """Only measures look at its classes."""
    preparation: PreparationSpec = PreparationSpec()
    layout: LayoutSpec = LayoutSpec()
    image_size: int = 64

    @property
    def unlabelled(self) -> "Trial":
        """The same layout on the same samples, whatever they are."""
        return self.model_copy(update={"cohort": self.cohort.unlabelled})

    def prepare(self, data: AnnData) -> tuple[AnnData, Preprocessor, np.ndarray]:
        """The chosen samples, what was fitted on them, and their prepared values in [0, 1]."""
        chosen = self.cohort.select(data)
        x = np.asarray(chosen.X)
        names = chosen.var_names.to_numpy().astype(str)
        prepared = Preprocessor.fit(x, names, chosen.uns["scale"], self.preparation)
        return chosen, prepared, prepared.transform(x, names)

    def fit(self, unit: np.ndarray, genes: np.ndarray) -> GeneLayout:
        """Lay out prepared samples; raises InputError as `fit_layout` does."""
        return fit_layout(unit, genes, self.layout, self.image_size, 0)

    def is_quick(self, genes: int) -> bool:
        """Whether so many genes are laid out in about a second, so that nobody has to wait."""
        return genes <= LAYOUTS[self.layout.name].quick_genes

    @property
    def layout_path(self) -> Path:
        """Where the fitted layout stands."""
        return home() / "layouts" / f"{self.unlabelled._identity()}.npz"

    @property
    def quality_path(self) -> Path:
        """Where its measures stand."""
        return home() / "layouts" / f"{self._identity()}.json"

    def _identity(self) -> str:
        document = self.model_dump(mode="json", exclude={"cohort": {"group", "batch"}})
        records = {
            "preparation": self.preparation, "quality": LayoutQuality,
            **LAYOUTS[self.layout.name].records,
        }  # fmt: skip
        return identify("layout", document | raised_versions(**records))


class LayoutJob(Job):
    """A trial as a job. Its two files stand beside those of all other trials."""

    kind: ClassVar[str] = "layout"
    uses_torch: ClassVar[bool] = False
    patience: ClassVar[float] = 0  # fitting is one long call, which nobody can ask to stop

    trial: Trial

    def title(self) -> str:
        method = LAYOUTS[self.trial.layout.name]
        return f"Layout {method.title} of dataset {self.trial.cohort.dataset[:6]}"

    def inputs(self) -> Inputs:
        return Inputs((self.trial.cohort.dataset,))

    def effort(self) -> tuple:
        return (self.kind, self.trial.cohort.dataset, self.trial.layout.name)

    def stands(self) -> bool:
        return self.trial.quality_path.exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        steps = 0

        def say(text: str) -> None:
            nonlocal steps
            reporter.progress(steps, STEPS, text)
            if reporter.cancelled():
                raise Cancelled("The computation was stopped.")
            steps += 1

        with threadpool_limits(1):
            run_trial(self.trial, say)


class TrialState(NamedTuple):
    """How far a trial is. A layout stands as soon as it is fitted, before it is measured."""

    state: Literal["done", "working", "failed"]
    message: str
    """What happens now, or what went wrong."""
    seconds: float
    """Since it was begun; 0 while it waits."""


@dataclass(frozen=True)
class Measured:
    """A trial's measures."""

    quality: LayoutQuality
    seconds: float | None
    """What fitting took; None where the layout stood already."""


_asked: dict[str, float] = {}
"""When this process was last asked for each trial, by the key of its job."""


def request_trial(trial: Trial) -> TrialState:
    """Have a trial fitted and measured, unless that stands, is under way or has failed."""
    job, now = LayoutJob(trial=trial), time.monotonic()
    record = find(job)
    if job.stands():  # looked at last: a trial that ends meanwhile is done, and has not failed
        return TrialState("done", "", 0.0)
    _asked[job.key] = now
    if record is None or record.state == JobState.DONE:
        record = request(job)
    if record.state == JobState.QUEUED:
        _make_room(now)
        ensure_workers()
        return TrialState("working", "waiting for its turn", 0.0)
    if record.state == JobState.RUNNING:
        seconds = (datetime.now(UTC) - record.started).total_seconds()
        return TrialState("working", record.message, max(seconds, 0.0))
    if record.state == JobState.CANCELLED:
        return TrialState("failed", "The computation was stopped.", 0.0)
    return TrialState("failed", record.why, 0.0)


def stop_trial(trial: Trial) -> None:
    """Stop a trial that is under way; the next request says that it was stopped."""
    record = find(LayoutJob(trial=trial))
    if record is not None:
        with suppress(InputError):  # it has ended by now
            cancel(record.id)


def forget_trial(trial: Trial) -> None:
    """Forget that a trial has failed or was stopped, so that a request starts it again."""
    record = find(LayoutJob(trial=trial))
    if record is not None:
        JobStore().delete(record.id)


def _make_room(now: float) -> None:
    """Stop a running trial that nobody has asked about for long, so that another may start."""
    store = JobStore()
    running = [job for job, worker in store.running().items() if worker.lane == LayoutJob.lane]
    if len(running) < WORKERS[LayoutJob.lane] * len(devices()):
        return
    known = [job for job in running if job in _asked]
    forgotten = min(known, key=_asked.__getitem__, default=None)
    if forgotten is not None and now - _asked[forgotten] > ASKED_SECONDS:
        with suppress(InputError):
            cancel(forgotten)
            store.delete(forgotten)  # whoever asks for it again has it begun anew


def load_measured(trial: Trial) -> Measured:
    """The measures of a trial that is done; raises InputError for one that isn't."""
    try:
        document = read_json(trial.quality_path)
        quality = {
            name: math.nan if name == "rank_correlation" and value is None else value
            for name, value in document["quality"].items()
        }
        return Measured(LayoutQuality(**quality), document["seconds"])
    except FileNotFoundError:
        raise InputError(f"The layout {trial.layout.name} has not been measured yet.") from None
    except UNREADABLE:
        trial.quality_path.unlink(missing_ok=True)
        raise DamageError(
            f"The measures of the layout {trial.layout.name} were damaged. Load the page again to "
            "have them made anew."
        ) from None


def run_trial(trial: Trial, say: Callable[[str], None] = lambda _: None) -> None:
    """Fit the layout unless it stands, write it, measure it, and write the measures last.

    Raises:
        GeneCanvasError: the dataset is gone, or the genes don't fit the layout.
    """
    say("reading the dataset")
    data = load_dataset(trial.cohort.dataset)
    say("preparing expression")
    chosen, prepared, unit = trial.prepare(data)
    label = trial.cohort.label
    labels = None if label is None else chosen.obs[label].to_numpy().astype(str)
    del data, chosen  # as large as what was prepared from it
    seconds = None
    if trial.layout_path.exists():
        layout = GeneLayout.load(trial.layout_path)
    else:
        say(f"placing {len(prepared.genes):,} genes")
        started = time.perf_counter()
        layout = trial.fit(unit, prepared.genes)
        seconds = time.perf_counter() - started
        layout.save(trial.layout_path)
    again = LAYOUTS[trial.layout.name].learns and trial.is_quick(len(prepared.genes) // REFIT)
    say("measuring" + (", also on samples drawn again" if again else ""))
    quality = measure_layout(
        layout,
        unit,
        labels,
        (lambda x: trial.fit(x, prepared.genes)) if again else None,
    )
    document = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in vars(quality).items()
    }
    write_json(trial.quality_path, {"quality": document, "seconds": seconds})
    _prune()


def _prune() -> None:
    """Delete all but the newest files, whatever others delete or write at the same time."""
    found = []
    for path in (home() / "layouts").iterdir():
        with suppress(FileNotFoundError):
            state = path.stat()
            found.append((state.st_mtime, state.st_size, path))
    taken = 0
    for _, size, path in sorted(found, reverse=True):
        taken += size
        if taken > KEPT_BYTES:
            path.unlink(missing_ok=True)
