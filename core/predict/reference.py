"""What a fold keeps of the samples that it learned from, so that others can be held against them.

A reference is measured once, from the run's dataset, and stands in the run's folder; a model that
is sent takes it along, because none of its numbers is of a single sample. Those that are
(`Learned`) stay where the samples are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from core.data.prepare import Preprocessor
from core.errors import DamageError
from core.explain.methods import Recipe
from core.files import UNREADABLE, write_atomic
from core.models.baselines import linear_form
from core.predict.novelty import Novelty, energy_of
from core.runs.fitted import FittedModel
from core.runs.study import Samples, fit_baseline
from core.training.splits import Fold
from core.training.tasks import TASKS, Task

QUANTILES = 101
"""Quantiles of expression that are kept."""
MOST_EXPLAINED = 200
"""At most so many held-out samples say how important each gene is."""
MOST_LEARNED = 1000
"""At most so many training samples say what is usual."""
QUICK = "input_x_gradient"
"""The method by which genes are weighed: one gradient a sample; of a linear head that gives maps no
share it is exact."""
NOVELTY = "novelty_"
"""What names of arrays of the novelty begin with."""


class _Arrays:
    """A record of arrays that is written to one npz file without pickle."""

    def save(self, path: Path) -> None:
        """Write everything, atomically."""

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **self.arrays())

        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, write)

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; raises DamageError when the file can't be read."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls.from_arrays({name: file[name] for name in file.files})
        except (*UNREADABLE, TypeError):
            raise DamageError(
                f"{path.name} can't be read: it is cut short or damaged. Ask for the match card "
                "again: it is measured anew."
            ) from None

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Self:
        """What `arrays` gave; raises TypeError when others are there."""
        return cls(**arrays)


@dataclass(frozen=True, eq=False)
class Reference(_Arrays):
    """What a fold's samples were like, and what was learned from them beside the network."""

    genes: np.ndarray
    """(genes,) ids, as `Preprocessor.genes`"""
    importance: np.ndarray
    """(genes,) each one's share of what the network's answers rest on, mean over classes; they add
    up to 1"""
    class_importance: np.ndarray
    """(outputs, genes) of each class: mean over held-out samples of it of |gradient x (value -
    training mean)| towards it; rows add up to 1, and are NaN where no sample was held out or the
    class hangs on no gene"""
    quantiles: np.ndarray
    """(QUANTILES,) of log2 expression of all these genes in all samples that were learned from"""
    log_mean: np.ndarray
    """(genes,) mean log2 expression, after the floor"""
    log_sd: np.ndarray
    """(genes,) its standard deviation"""
    distribution: np.ndarray
    """(genes,) a sample's log2 expression from the lowest gene to the highest, mean over samples"""
    library_share: np.ndarray
    """(all genes of training,) each one's share of a sample's reads, mean over samples; empty where
    values were no counts"""
    linear_weights: np.ndarray
    """(genes, outputs) of the tuned linear model, of a regression of ridge regression, on prepared
    values: the model that stands beside the network in the run's result"""
    linear_offset: np.ndarray
    """(outputs,)"""
    gene_axes: np.ndarray
    """(genes, 2) the first principal components of prepared values, for a map"""
    gene_centre: np.ndarray
    """(genes,) what is taken off before"""
    novelty: Novelty
    """How unlike the samples that were learned from others are"""
    unlike: np.ndarray
    """(held-out samples,) their novelty, ascending: what is usual in the model's own cohort"""
    energies: np.ndarray
    """(held-out samples,) their energy, ascending"""

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array."""
        own = {name: value for name, value in super().arrays().items() if name != "novelty"}
        return own | {f"{NOVELTY}{name}": array for name, array in self.novelty.arrays().items()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Reference:
        """What `arrays` gave; raises TypeError when others are there."""
        own = {name: array for name, array in arrays.items() if not name.startswith(NOVELTY)}
        others = {n.removeprefix(NOVELTY): a for n, a in arrays.items() if n.startswith(NOVELTY)}
        return cls(**own, novelty=Novelty(**others))

    def answer(self, task: Task, rows: np.ndarray) -> np.ndarray:
        """(samples, outputs) answers of the linear model to prepared rows (samples, genes)."""
        scores = rows @ self.linear_weights + self.linear_offset
        return softmax(scores, axis=1) if task.has_classes else scores

    def place_genes(self, rows: np.ndarray) -> np.ndarray:
        """(samples, 2) where prepared rows (samples, genes) lie on the map of genes."""
        return (rows - self.gene_centre) @ self.gene_axes


@dataclass(frozen=True, eq=False)
class Learned(_Arrays):
    """Single samples that a fold learned from."""

    samples: np.ndarray
    """(samples,) ids"""
    labels: np.ndarray
    """(samples,) classes, or values as text"""
    places: np.ndarray
    """(samples, axes) as `Novelty.place` gives them"""
    gene_places: np.ndarray
    """(samples, 2) as `Reference.place_genes` gives them"""


def draw_positions(positions: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of some positions, at random, in their order."""
    drawn = np.random.default_rng(seed).permutation(positions)[:most]
    return np.sort(drawn)


def measure_fold(fitted: FittedModel, samples: Samples) -> tuple[Reference, Learned]:
    """Look at the samples that a fold learned from, and at those that it held out.

    Args:
        fitted: the fold.
        samples: the run's.
    """
    fold, prepared, task = fitted.locate(samples), fitted.preprocessor, TASKS[fitted.spec.task]
    rows = fitted.source.transform(samples)
    learned = draw_positions(fold.fitting, MOST_LEARNED, fitted.spec.seed)
    labels = samples.labels.astype(str)
    classes = labels[learned] if task.has_classes else np.full(len(learned), "")
    log = prepared.log_expression(samples.x[fold.fitting], samples.genes)
    fitting = rows[fold.fitting].astype(np.float64)
    centre = fitting.mean(axis=0)
    with threadpool_limits(1):
        novelty = Novelty.fit(_see(fitted, rows[learned])[0], classes)
        gene_axes = np.linalg.svd(rows[learned] - centre, full_matrices=False)[2][:2].T
    plain = fit_baseline(task.reference(fitted.baselines), fitted.spec, samples, fold, rows)
    weights, offset = linear_form(plain.model, len(fitted.classes))
    maps, scores = _see(fitted, rows[fold.test])
    by_class = _weigh_genes(fitted, samples, fold)
    known = by_class[np.isfinite(by_class[:, 0])]
    importance = known.mean(axis=0) if len(known) else np.full(len(centre), 1 / len(centre))
    reference = Reference(
        genes=prepared.genes,
        importance=importance,
        class_importance=by_class,
        quantiles=np.quantile(log, np.linspace(0, 1, QUANTILES)),
        log_mean=log.mean(axis=0, dtype=np.float64),
        log_sd=log.std(axis=0, dtype=np.float64),
        distribution=np.sort(log, axis=1).mean(axis=0, dtype=np.float64),
        library_share=_share_library(prepared, samples, fold),
        linear_weights=weights,
        linear_offset=offset,
        gene_axes=gene_axes,
        gene_centre=centre,
        novelty=novelty,
        unlike=np.sort(novelty.score(novelty.place(np.hstack(maps)))),
        energies=np.sort(energy_of(scores)),
    )
    values = labels if task.has_classes else samples.y.astype(str)
    return reference, Learned(
        samples=samples.samples[learned],
        labels=values[learned],
        places=novelty.place(np.hstack(_see(fitted, rows[learned])[0])),
        gene_places=reference.place_genes(rows[learned]),
    )


def _see(fitted: FittedModel, rows: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """(samples, features) of each map that the head looks at, and (samples, outputs) scores."""
    maps, scores = zip(*fitted.look(rows), strict=True)
    return [np.concatenate(parts) for parts in zip(*maps, strict=True)], np.concatenate(scores)


def _share_library(prepared: Preprocessor, samples: Samples, fold: Fold) -> np.ndarray:
    if prepared.scale != "counts":
        return np.empty(0)
    shares = np.zeros(len(samples.genes))
    for row in fold.fitting:
        counts = np.nan_to_num(samples.x[row].astype(np.float64))
        shares += counts / max(counts.sum(), 1)
    return shares / len(fold.fitting)


def _weigh_genes(fitted: FittedModel, samples: Samples, fold: Fold) -> np.ndarray:
    """(outputs, genes) how important each gene is to the network's answers to held-out samples."""
    from core.training.device import choose_device

    asked = draw_positions(fold.test, MOST_EXPLAINED, fitted.spec.seed)
    case = fitted.case(Recipe(QUICK), samples, asked, choose_device())
    sizes = np.abs(case.explain().scores).astype(np.float64)
    weights = np.full((len(fitted.classes), sizes.shape[1]), np.nan)
    for output in np.unique(case.targets):
        own = sizes[case.targets == output].mean(axis=0)
        if own.any():
            weights[output] = own / own.sum()
    return weights
