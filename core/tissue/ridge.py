"""Ridge regression of many genes at once, whose penalty other patients choose.

`core.models.tuned` chooses on a thousand samples by whole groups; a patient's sections may have
more spots than that. Features are few here, so that their inner products suffice.
"""

from collections.abc import Sequence

import numpy as np

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Per spot, for features whose variances add up to 1."""


def ridge(
    features: np.ndarray, values: np.ndarray, groups: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """Predictions (asked spots, genes) of a ridge regression (Hoerl and Kennard 1970).

    The penalty, one for all genes, is that of the lowest squared error when each group is left out
    in turn; with a single group the middle one is taken.

    Args:
        features: (spots, features) of training.
        values: (spots, genes) of training.
        groups: (spots,) such as their patients.
        asked: (asked spots, features).
    """
    scaled, other = _scale(features, asked)
    names = np.unique(groups)
    penalty = PENALTIES[len(PENALTIES) // 2]
    if len(names) > 1:
        losses = np.zeros(len(PENALTIES))
        for name in names:
            test = groups == name
            held = _path(scaled[~test], values[~test], scaled[test], PENALTIES)
            losses += [((said - values[test]) ** 2).sum() for said in held]
        penalty = PENALTIES[int(losses.argmin())]
    return _path(scaled, values, other, (penalty,))[0]


def _scale(features: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each feature with mean 0 and SD 1 on training, divided so that variances add up to 1."""
    mean, sd = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    varies = sd > 1e-7 * (np.abs(mean) + 1e-12)
    size = np.where(varies, sd, 1) * np.sqrt(max(varies.sum(), 1))
    return tuple(np.where(varies, (part - mean) / size, 0) for part in (features, asked))


def _path(
    x: np.ndarray, y: np.ndarray, asked: np.ndarray, penalties: Sequence[float]
) -> list[np.ndarray]:
    """What regressions with each penalty say of the asked rows."""
    middle, mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - middle
    sizes, axes = np.linalg.eigh(centred.T @ centred / len(x))
    product = axes.T @ (centred.T @ (y - mean)) / len(x)
    turned = (asked - middle) @ axes
    return [
        mean + turned @ (product / (np.maximum(sizes, 0) + penalty / len(axes))[:, None])
        for penalty in penalties
    ]
