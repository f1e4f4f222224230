"""Repeated samples: those of one patient and one class, and how much they differ gene by gene."""

import numpy as np

from core.errors import InputError

FEWEST = 10
"""Repeats beyond the first ones: an SD of ten degrees of freedom is uncertain by a fifth."""


def group_repeats(y: np.ndarray, patients: np.ndarray | None) -> np.ndarray:
    """(samples,) a number for each patient and class.

    Args:
        y: (samples,) class numbers or names.
        patients: (samples,) patients; None where they aren't known.

    Raises:
        InputError: patients aren't known, or there are too few repeats to estimate an SD from.
    """
    if patients is None:
        raise InputError(
            "Noise between repeats is measured on several samples of one patient, but no patient "
            "column is chosen. Choose one, or another augmentation."
        )
    pairs = np.unique(np.array([patients, y], dtype=str), axis=1, return_inverse=True)[1].ravel()
    repeats = len(pairs) - len(np.unique(pairs))
    if repeats < FEWEST:
        raise InputError(
            f"Noise between repeats needs at least {FEWEST} training samples beyond the first of "
            f"their patient and class, found {repeats}. Choose another augmentation."
        )
    return pairs


def repeat_sd(x: np.ndarray, y: np.ndarray, patients: np.ndarray | None) -> np.ndarray:
    """(genes,) float32 SD within patients and classes, pooled over them.

    Args:
        x: (samples, genes) prepared expression of training samples.
        y: (samples,) their class numbers or names.
        patients: (samples,) their patients; None where they aren't known.

    Raises:
        InputError: as of `group_repeats`.
    """
    groups = group_repeats(y, patients)
    sizes = np.bincount(groups)
    sums = np.zeros((len(sizes), x.shape[1]))
    np.add.at(sums, groups, x)
    squares = (x - (sums / sizes[:, None])[groups]) ** 2
    return np.sqrt(squares.sum(axis=0) / (len(groups) - len(sizes))).astype(np.float32)
