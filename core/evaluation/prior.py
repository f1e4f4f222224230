"""Where to part the samples of a new cohort: a threshold moves with the platform."""

import numpy as np


def part_in_two(proba: np.ndarray) -> float:
    """The probability of class 1 from which samples of a new cohort are best called class 1.

    The threshold of least variance of the log odds within the two groups (Otsu 1979, IEEE Trans.
    Syst. Man Cybern. 9:62), half-way between the two samples that it parts. No label is needed, but
    the whole cohort is, and both classes must be there in good number: a cohort of one class is
    parted as well. On other platforms AUROC stays high where the threshold of the training cohort
    fails (benchmarks/results/outside.md).

    Args:
        proba: (samples, 2) class probabilities.

    Raises:
        ValueError: there are more classes than two, or fewer than two samples.
    """
    if proba.ndim != 2 or proba.shape[1] != 2 or len(proba) < 2:
        raise ValueError(f"Expected probabilities of (2 or more samples, 2), got {proba.shape}.")
    below, above = np.maximum(proba, 1e-9).T
    ordered = np.sort(np.log(above / below))
    n, left = len(ordered), np.arange(1, len(ordered))
    sums = ordered.cumsum()[:-1]
    gap = sums / left - (ordered.sum() - sums) / (n - left)
    cut = int((left * (n - left) * gap**2).argmax())
    return float(1 / (1 + np.exp(-ordered[cut : cut + 2].mean())))


def move_to_two_groups(proba: np.ndarray) -> np.ndarray:
    """Probabilities whose log odds are moved so that `part_in_two`'s threshold becomes 1/2.

    Arguments and errors are those of `part_in_two`.
    """
    threshold = part_in_two(proba)
    below, above = np.maximum(proba, 1e-9).T
    odds = above / below * (1 - threshold) / threshold
    return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)
