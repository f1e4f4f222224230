"""Learning curves: the error as an inverse power law of the number of training samples."""

from dataclasses import dataclass

import numpy as np

EXPONENTS = np.linspace(0.05, 2.0, 79)
"""How fast an error may fall; 0.5 is usual, and beyond 2 no curve of ours has ever gone."""


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = floor + scale * n^-exponent, a curve for each fit."""

    floor: np.ndarray
    """(fits,) what more samples don't take away; not below 0."""
    scale: np.ndarray
    """(fits,) not below 0: more samples never harm."""
    exponent: np.ndarray
    """(fits,) one of EXPONENTS."""

    def predict(self, sizes: np.ndarray) -> np.ndarray:
        """(fits, sizes) errors with that many training samples."""
        n = np.asarray(sizes, dtype=float)
        return self.floor[:, None] + self.scale[:, None] * n ** -self.exponent[:, None]


def fit_power_law(sizes: np.ndarray, errors: np.ndarray) -> PowerLaw:
    """Fit curves by least squares: exactly in floor and scale, over a grid of exponents.

    The inverse power law of Mukherjee et al. 2003 (J. Comput. Biol. 10:119) with a floor.

    Args:
        sizes: (points,) numbers of training samples, at least two different ones.
        errors: (fits, points) errors at these sizes.
    """
    sizes, errors = np.asarray(sizes, dtype=float), np.atleast_2d(errors).astype(float)
    best = np.full(len(errors), np.inf)
    found = np.zeros((3, len(errors)))
    mean = errors.mean(axis=1)
    for exponent in EXPONENTS:
        x = sizes**-exponent
        centred = x - x.mean()
        slope = np.maximum(errors @ centred / (centred @ centred), 0)
        floor = mean - slope * x.mean()
        through_zero = np.maximum(errors @ x / (x @ x), 0)
        scale = np.where(floor < 0, through_zero, slope)
        floor = np.maximum(np.where(floor < 0, 0, floor), 0)
        loss = ((floor[:, None] + scale[:, None] * x - errors) ** 2).sum(axis=1)
        better = loss < best - 1e-15
        best = np.where(better, loss, best)
        found = np.where(better, np.stack([floor, scale, np.full(len(errors), exponent)]), found)
    return PowerLaw(*found)
