"""Trying a layout on a dataset: fitted and measured by a process of its own, and kept.

A page asks `request_trial` again and again, and shows what stands in the meantime. The process is
a child of the server that it belongs to; a server that has started anew starts it anew, and what
both write is the same.
"""

import math
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from anndata import AnnData
from pydantic import BaseModel, ConfigDict

from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec, Preprocessor
from core.data.store import load_dataset
from core.errors import DamageError, GeneCanvasError, InputError
from core.files import UNREADABLE, read_json, write_json
from core.home import home
from core.identity import identify, raised_versions
from core.images.layout import GeneLayout
from core.images.layouts import LAYOUTS, LayoutSpec, fit_layout
from core.images.quality import LayoutQuality, measure_layout

AT_ONCE = 2
"""Trials that are computed at the same time; more wait."""
ASKED_SECONDS = 30.0
"""A process that nobody has asked about for so long gives way to one that waits."""
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


class TrialState(NamedTuple):
    """How far a trial is. A layout stands as soon as it is fitted, before it is measured."""

    state: Literal["done", "working", "waiting", "failed"]
    message: str
    """What happens now, or what went wrong."""
    seconds: float
    """Since the process was started."""


@dataclass(frozen=True)
class Measured:
    """A trial's measures."""

    quality: LayoutQuality
    seconds: float | None
    """What fitting took; None where the layout stood already."""


@dataclass
class _Job:
    process: subprocess.Popen
    started: float
    asked: float


_jobs: dict[Path, _Job] = {}
"""The process that was started last for each file of measures."""
_lock = threading.Lock()


def request_trial(trial: Trial) -> TrialState:
    """Start a process that fits and measures, unless that stands, is under way or has failed."""
    with _lock:
        if trial.quality_path.exists():
            _jobs.pop(trial.quality_path, None)
            return TrialState("done", "", 0.0)
        now = time.monotonic()
        job = _jobs.get(trial.quality_path)
        if job is None:
            if not _make_room(now):
                return TrialState("waiting", "waiting for other layouts to be ready", 0.0)
            job = _jobs[trial.quality_path] = _Job(_start(trial), now, now)
        job.asked, seconds = now, now - job.started
        if job.process.poll() is None:
            said = _log(trial, ".said")
            return TrialState("working", said[-1] if said else "starting", seconds)
        if trial.quality_path.exists():
            return TrialState("done", "", seconds)
        wrong = _log(trial, ".log")
        if job.process.returncode == 2 and wrong:
            return TrialState("failed", wrong[-1], seconds)
        message = "The computation was stopped." if job.process.returncode < 0 else wrong[-1]
        return TrialState("failed", message, seconds)


def stop_trial(trial: Trial) -> None:
    """End the process of a trial; the next request says that it was stopped."""
    with _lock:
        job = _jobs.get(trial.quality_path)
        if job is not None and job.process.poll() is None:
            job.process.terminate()
            job.process.wait()


def forget_trial(trial: Trial) -> None:
    """Forget that a trial has failed or was stopped, so that a request starts it again."""
    with _lock:
        _jobs.pop(trial.quality_path, None)


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


def run_trial(trial: Trial) -> None:
    """Fit the layout unless it stands, write it, measure it, and write the measures last.

    Raises:
        GeneCanvasError: the dataset is gone, or the genes don't fit the layout.
    """
    print("reading the dataset", flush=True)
    data = load_dataset(trial.cohort.dataset)
    print("preparing expression", flush=True)
    chosen, prepared, unit = trial.prepare(data)
    label = trial.cohort.label
    labels = None if label is None else chosen.obs[label].to_numpy().astype(str)
    del data, chosen  # as large as what was prepared from it
    seconds = None
    if trial.layout_path.exists():
        layout = GeneLayout.load(trial.layout_path)
    else:
        print(f"placing {len(prepared.genes):,} genes", flush=True)
        started = time.perf_counter()
        layout = trial.fit(unit, prepared.genes)
        seconds = time.perf_counter() - started
        layout.save(trial.layout_path)
    again = LAYOUTS[trial.layout.name].learns and trial.is_quick(len(prepared.genes) // REFIT)
    print("measuring" + (", also on samples drawn again" if again else ""), flush=True)
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


def _make_room(now: float) -> bool:
    """Whether another process may start; one that nobody waits for any more is ended for it."""
    working = {path: job for path, job in _jobs.items() if job.process.poll() is None}
    if len(working) < AT_ONCE:
        return True
    path, forgotten = min(working.items(), key=lambda item: item[1].asked)
    if now - forgotten.asked < ASKED_SECONDS:
        return False
    forgotten.process.terminate()
    forgotten.process.wait()
    del _jobs[path]
    return True


def _start(trial: Trial) -> subprocess.Popen:
    trial.quality_path.parent.mkdir(parents=True, exist_ok=True)
    said, log = (trial.quality_path.with_suffix(suffix) for suffix in (".said", ".log"))
    with said.open("wb") as output, log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.images.trial"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
        )
    with process.stdin as pipe:
        pipe.write(trial.model_dump_json().encode())
    return process


def _log(trial: Trial, suffix: str) -> list[str]:
    path = trial.quality_path.with_suffix(suffix)
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return [line for line in text.splitlines() if line.strip()]


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


def main() -> None:
    """The process of its own: a trial on standard input."""
    os.nice(5)
    try:
        run_trial(Trial.model_validate_json(sys.stdin.read()))
    except GeneCanvasError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
