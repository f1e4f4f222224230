"""What missing genes cost: the same genes taken from the samples that a model's run held out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.data.prepare import Preprocessor
from core.evaluation.intervals import spread
from core.evaluation.metrics import Metric

if TYPE_CHECKING:
    import torch

    from core.predict.model import Model
    from core.runs.study import Samples

Limits = tuple[float, float]


class Price(BaseModel):
    """How right a model is on its own held-out samples, with all genes and without some."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    """accuracy; of a regression r2"""
    genes: int
    """How many were taken away."""
    samples: int
    """Held-out samples, each as often as folds held it out."""
    complete: float
    complete_interval: Limits | None
    """95 %, over patients."""
    masked: float
    """The same without those genes."""
    masked_interval: Limits | None

    def describe(self) -> str:
        """One sentence."""
        genes = f"{self.genes:,} missing gene{'s' if self.genes != 1 else ''}"
        if self.metric == "r2":
            return (
                f"Without your {genes} this model's R² on its own held-out samples is "
                f"{_say(self.masked, self.masked_interval, '.2f')}, instead of "
                f"{_say(self.complete, self.complete_interval, '.2f')}."
            )
        return (
            f"Without your {genes} this model names "
            f"{_say(self.masked, self.masked_interval, '.1%')} of its own held-out samples right, "
            f"instead of {_say(self.complete, self.complete_interval, '.1%')}."
        )


def _say(value: float, limits: Limits | None, form: str) -> str:
    around = "" if limits is None else f" ({limits[0]:{form}} to {limits[1]:{form}})"
    return f"{value:{form}}{around}"


def price_missing(
    model: Model,
    samples: Samples,
    missing: Collection[str],
    progress: Callable[[int, int], None],
    device: torch.device | None = None,
) -> Price:
    """Let a model answer its own held-out samples with and without some genes.

    A gene that is taken away is painted as its training mean, as it is where a cohort lacks it.

    Args:
        model: of a run.
        samples: the run's.
        missing: ids of genes.
        progress: told how many folds are done, of how many.
        device: where to compute; by default on the first device.

    Raises:
        InputError: a file of the run is missing or damaged.
    """
    answers: dict[str, list[np.ndarray]] = {"complete": [], "masked": []}
    held: list[np.ndarray] = []
    for done, fitted in enumerate(model.folds):
        progress(done, len(model.folds))
        prepared, test = fitted.preprocessor, fitted.locate(samples).test
        rows = prepared.transform(samples.x[test], samples.genes)
        answers["complete"].append(fitted.answer(rows, device))
        answers["masked"].append(fitted.answer(take_away(prepared, rows, missing), device))
        held.append(test)
    at = np.concatenate(held)
    metric = model.task.metrics["accuracy" if model.task.has_classes else "r2"]
    scores = {
        name: _score(metric, samples.y[at], np.concatenate(parts), samples.who[at])
        for name, parts in answers.items()
    }
    return Price(
        metric=metric.name,
        genes=len(missing),
        samples=len(at),
        complete=scores["complete"][0],
        complete_interval=scores["complete"][1],
        masked=scores["masked"][0],
        masked_interval=scores["masked"][1],
    )


def take_away(prepared: Preprocessor, rows: np.ndarray, genes: Collection[str]) -> np.ndarray:
    """Prepared rows (samples, genes) as they are where some genes are missing."""
    return np.where(np.isin(prepared.genes, list(genes)), prepared.mean, rows)


def _score(
    metric: Metric, y: np.ndarray, answers: np.ndarray, patients: np.ndarray
) -> tuple[float, Limits | None]:
    """A score and its 95 % interval over patients."""
    found = spread(partial(metric.compute, y, answers), patients)
    limits = found.interval()
    return found.estimate, None if limits is None else metric.clip(limits)
