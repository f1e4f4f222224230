"""Scores of predicted numbers, for many weightings of the samples at once.

Each takes true values (samples,), predicted ones (samples, 1) and weights (weightings, samples),
and gives scores (weightings,), as `Metric.compute` does. One that isn't defined, since the weighted
samples all have one value, is NaN, so that the bootstrap leaves that draw out.
"""

import numpy as np


def r_squared(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """1 - squared errors / squared distances from the mean of the very samples."""
    centred = y - y.mean()
    spread = _covariance(centred, centred, weights)
    errors = weights @ (y - predicted[:, 0]) ** 2 / weights.sum(axis=1)
    return np.where(spread > 0, 1 - errors / np.where(spread > 0, spread, 1), np.nan)


def pearson(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Linear correlation; 0 where all predictions are the same."""
    return _correlate(y - y.mean(), predicted[:, 0] - predicted[:, 0].mean(), weights)


def spearman(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the ranks, which a sample of weight 2 takes two of."""
    return _correlate(_ranks(y, weights), _ranks(predicted[:, 0], weights), weights)


def absolute_error(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean distance of prediction and truth, in their unit."""
    return weights @ np.abs(y - predicted[:, 0]) / weights.sum(axis=1)


def _correlate(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlation of values (samples,) or (weightings, samples) under each weighting."""
    own, other = _covariance(a, a, weights), _covariance(b, b, weights)
    size = np.sqrt(own * other)
    found = np.where(size > 0, _covariance(a, b, weights) / np.where(size > 0, size, 1), 0.0)
    return np.where(own > 0, np.clip(found, -1, 1), np.nan)


def _covariance(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(weightings,) weighted covariance; what is below rounding is 0."""
    total = weights.sum(axis=1)
    mean_a, mean_b = (weights * a).sum(axis=1) / total, (weights * b).sum(axis=1) / total
    product = (weights * (a * b)).sum(axis=1) / total
    scale = np.sqrt(((weights * a**2).sum(axis=1) / total) * ((weights * b**2).sum(axis=1) / total))
    found = product - mean_a * mean_b
    return np.where(np.abs(found) > 1e-12 * scale, found, 0.0)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(weightings, samples) mean rank of each value, counted from the middle."""
    distinct, number = np.unique(values, return_inverse=True)
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(len(distinct)))
    sums = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = sums.cumsum(axis=1) - sums / 2 - sums.sum(axis=1, keepdims=True) / 2
    return middle[:, number]
