"""Ridge regression of many genes at once, whose penalty other patients choose.

`core.models.tuned` chooses on a thousand samples by whole groups; a patient's sections may have
more spots than that. Features are few here, so that their inner products suffice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Per spot, for features whose variances add up to 1."""


@dataclass(frozen=True, eq=False)
class Line:
    """A linear model of many genes."""

    weights: np.ndarray
    """(features, genes) of the features as they are; 0 of those that don't vary."""
    intercept: np.ndarray
    """(genes,)"""
    low: np.ndarray
    """(features,) the lowest of training: what lies below counts as that. A feature that hardly
    varied there, and is far off elsewhere, would drown all others."""
    high: np.ndarray
    """(features,) the highest."""

    def apply(self, features: np.ndarray) -> np.ndarray:
        """(spots, genes) of (spots, features)."""
        return np.clip(features, self.low, self.high) @ self.weights + self.intercept


def fit_ridge(features: np.ndarray, values: np.ndarray, groups: np.ndarray) -> Line:
    """Ridge regression (Hoerl and Kennard 1970) of all genes.

    The penalty, one for all genes, is that of the lowest squared error when each group is left out
    in turn; with a single group the middle one is taken.

    Args:
        features: (spots, features) of training.
        values: (spots, genes) of training.
        groups: (spots,) such as their patients.
    """
    mean, sd = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    varies = sd > 1e-7 * (np.abs(mean) + 1e-12)
    size = np.where(varies, sd, 1) * np.sqrt(max(varies.sum(), 1))  # variances add up to 1
    scaled = np.where(varies, (features - mean) / size, 0)
    names = np.unique(groups)
    penalty = PENALTIES[len(PENALTIES) // 2]
    if len(names) > 1:
        losses = np.zeros(len(PENALTIES))
        for name in names:
            test = groups == name
            path = _path(scaled[~test], values[~test], PENALTIES)
            losses += [((line.apply(scaled[test]) - values[test]) ** 2).sum() for line in path]
        penalty = PENALTIES[int(losses.argmin())]
    line = _path(scaled, values, (penalty,))[0]
    weights = np.where(varies, 1 / size, 0)[:, None] * line.weights
    return Line(
        weights, line.intercept - mean @ weights, features.min(axis=0), features.max(axis=0)
    )


def _path(x: np.ndarray, y: np.ndarray, penalties: Sequence[float]) -> list[Line]:
    """Regressions with each penalty, of features as they are and within those of training."""
    low, high = x.min(axis=0), x.max(axis=0)
    middle, mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - middle
    sizes, axes = np.linalg.eigh(centred.T @ centred / len(x))
    product = axes.T @ (centred.T @ (y - mean)) / len(x)
    found = []
    for penalty in penalties:
        weights = axes @ (product / (np.maximum(sizes, 0) + penalty / len(axes))[:, None])
        found.append(Line(weights, mean - middle @ weights, low, high))
    return found
