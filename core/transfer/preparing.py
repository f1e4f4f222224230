"""Ways of bringing source and target together, in log2 expression.

Whatever is fitted is fitted on training samples; ways that look at tested samples too are called
transductive, and say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.data.prepare import spread_ranks
from core.predict.combat import shrink_moments
from core.records import Registry
from core.transfer.methods.rank_value import rank_values, usual_values

SMALLEST_SD = 1e-4
"""Genes that vary less in a cohort say nothing about its samples."""

Rows = np.ndarray
"""(samples, genes) float32"""


@dataclass(frozen=True)
class Fitted:
    """How rows of each side are prepared."""

    source: Callable[[Rows, np.ndarray], Rows]
    """Rows and the number of the source cohort of each (samples,) -> prepared rows"""
    target: Callable[[Rows], Rows]


@dataclass(frozen=True)
class Preparation:
    """A way of bringing source and target together."""

    name: str
    title: str
    help: str
    fit: Callable[[Rows, np.ndarray, Rows], Fitted]
    """Source rows, their cohorts, and the target rows that may be looked at"""
    transductive: bool = False
    """Whether it looks at all target samples, those that are tested too, though not at classes."""
    min_target: int = 0
    """The fewest target samples that it is fitted on."""
    version: int = 1
    """Raised when it gives other values."""


def _leave(source: Rows, cohorts: np.ndarray, target: Rows) -> Fitted:
    return Fitted(lambda rows, _: rows, lambda rows: rows)


def _rank(source: Rows, cohorts: np.ndarray, target: Rows) -> Fitted:
    genes = source.shape[1]
    return _spread((np.arange(genes) + 0.5) / genes)


def _quantile(source: Rows, cohorts: np.ndarray, target: Rows) -> Fitted:
    return _spread(np.sort(source, axis=1).mean(axis=0, dtype=np.float64))


def _spread(distribution: np.ndarray) -> Fitted:
    """Each sample's values become those of a distribution at their ranks."""

    def prepare(rows: Rows) -> Rows:
        spread = [spread_ranks(row, distribution) for row in rows]
        return np.array(spread, np.float32).reshape(rows.shape)

    return Fitted(lambda rows, _: prepare(rows), prepare)


def _zscore(source: Rows, cohorts: np.ndarray, target: Rows) -> Fitted:
    own = {number: _standardise(source[cohorts == number]) for number in np.unique(cohorts)}
    return Fitted(lambda rows, of: _each(own, rows, of), _standardise(target))


def _standardise(rows: Rows) -> Callable[[Rows], Rows]:
    """What gives each gene mean 0 and SD 1 in these rows."""
    mean, sd = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    factor = np.where(sd > SMALLEST_SD, 1 / np.maximum(sd, SMALLEST_SD), 0)
    return lambda asked: ((asked - mean) * factor).astype(np.float32)


def _rank_value(source: Rows, cohorts: np.ndarray, target: Rows) -> Fitted:
    own = {number: _measure_against(source[cohorts == number]) for number in np.unique(cohorts)}
    return Fitted(lambda rows, of: _each(own, rows, of), _measure_against(target))


def _measure_against(rows: Rows) -> Callable[[Rows], Rows]:
    """What ranks the genes of a sample by how far they are above their median in these rows."""
    usual = usual_values(rows, logged=True)
    return lambda asked: rank_values(asked, usual, logged=True)


def _combat(source: Rows, cohorts: np.ndarray, target: Rows) -> Fitted:
    """The first source stays as it is; the others, and the target, are brought to it."""
    first = source[cohorts == cohorts.min()]
    own = {
        number: (lambda rows: rows)
        if number == cohorts.min()
        else _shrink(first, source[cohorts == number])
        for number in np.unique(cohorts)
    }
    return Fitted(lambda rows, of: _each(own, rows, of), _shrink(first, target))


def _shrink(reference: Rows, batch: Rows) -> Callable[[Rows], Rows]:
    """What brings rows of a batch to a reference batch by ComBat."""
    mean, sd = reference.mean(axis=0, dtype=np.float64), reference.std(axis=0, dtype=np.float64)
    own, spread = batch.mean(axis=0, dtype=np.float64), batch.std(axis=0, dtype=np.float64)
    vary = (sd > SMALLEST_SD) & (spread > SMALLEST_SD)
    centre, factor = mean.copy(), np.ones(len(mean))
    if vary.any():
        count = np.full(int(vary.sum()), float(len(batch)))
        shift, variance = shrink_moments(
            count, (own[vary] - mean[vary]) / sd[vary],
            (spread[vary] / sd[vary]) ** 2 * count / (count - 1),
        )  # fmt: skip
        centre[vary] = mean[vary] + sd[vary] * shift
        factor[vary] = 1 / np.sqrt(variance)
    return lambda asked: ((asked - centre) * factor + mean).astype(np.float32)


def _each(own: dict[int, Callable[[Rows], Rows]], rows: Rows, cohorts: np.ndarray) -> Rows:
    """Rows of each cohort prepared by its own way."""
    out = np.empty_like(rows)
    for number in np.unique(cohorts):
        out[cohorts == number] = own[number](rows[cohorts == number])
    return out


FEWEST = 3
"""Means and SD of fewer samples say next to nothing."""
PREPARATIONS: Registry[Preparation] = Registry(
    "preparation",
    [
        Preparation(
            "raw", "As measured", "log2 expression, as it is in each cohort.", _leave,
        ),
        Preparation(
            "rank", "Ranks", "Each sample's genes by their rank within the sample: nothing is "
            "fitted.", _rank,
        ),
        Preparation(
            "zscore", "z-scores", "Each gene has mean 0 and SD 1 in each cohort; in the target by "
            "the labelled samples alone.", _zscore, min_target=FEWEST,
        ),
        Preparation(
            "quantile", "Quantiles of the source", "Each sample's values are replaced by those "
            "that source samples have at the same ranks, on average (Bolstad et al. 2003). "
            "Nothing is fitted on the target.", _quantile,
        ),
        Preparation(
            "rank_value", "Rank values", "Each sample's genes by their rank after the gene's "
            "median in the cohort is subtracted (Theodoris et al. 2023, Geneformer); in the target "
            "by the labelled samples alone.", _rank_value, min_target=FEWEST,
        ),
        Preparation(
            "combat", "ComBat", "Mean and SD of each gene are brought to the first source, drawn "
            "towards what genes share (Johnson et al. 2007); in the target by the labelled "
            "samples alone.", _combat, min_target=FEWEST,
        ),
        Preparation(
            "zscore_all", "z-scores, all target samples", "As z-scores, but with mean and SD of "
            "all target samples, tested ones too. Transductive: right only if all patients are "
            "there before the first is called.", _zscore, transductive=True,
        ),
        Preparation(
            "combat_all", "ComBat, all target samples", "As ComBat, but fitted on all target "
            "samples, tested ones too. Transductive.", _combat, transductive=True,
        ),
    ],
)  # fmt: skip
