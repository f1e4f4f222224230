"""How sure a score is: what another draw of patients would have done to it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest

RESAMPLES = 2000
LEFT_OUT = 400
"""At most so many parts of the patients are left out in turn for the acceleration."""


def interval(successes: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of a share (Wilson 1927), as for the accuracy on n test samples."""
    bounds = binomtest(int(successes), int(n)).proportion_ci(0.95, method="wilson")
    return float(bounds.low), float(bounds.high)


@dataclass(frozen=True)
class Bootstrap:
    """A statistic of test samples and what it becomes when patients are drawn anew."""

    estimate: float
    replicates: np.ndarray
    """(resamples,) the statistic with patients drawn with replacement."""
    left_out: np.ndarray
    """(parts,) the statistic without each part of the patients in turn."""
    patients: int

    def __sub__(self, other: "Bootstrap") -> "Bootstrap":
        """The difference on the same samples: both must come from the same patients, in order."""
        return Bootstrap(
            self.estimate - other.estimate,
            self.replicates - other.replicates,
            self.left_out - other.left_out,
            self.patients,
        )

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Bias-corrected and accelerated interval (Efron 1987; Efron and Tibshirani 1993, ch. 14).

        Where no resample changes the statistic (nothing is wrong, or no sample is judged
        differently) the bootstrap can't say anything. Then the limits are those of Wilson's (1927)
        interval of a share, and of Tango's (1998) of a paired difference, in that very case: a
        distance of z² / (patients + z²) from the estimate.
        """
        z = ndtri((1 + level) / 2)
        if np.ptp(np.append(self.replicates, self.estimate)) < 1e-9:
            margin = z**2 / (self.patients + z**2)
            return self.estimate - margin, self.estimate + margin
        below = np.mean(self.replicates < self.estimate)
        bias = ndtri((below + np.mean(self.replicates <= self.estimate)) / 2)
        gap = self.left_out.mean() - self.left_out
        acceleration = (gap**3).sum() / (6 * (gap**2).sum() ** 1.5)
        shifted = bias + np.array([-z, z])
        levels = ndtr(bias + shifted / (1 - acceleration * shifted))
        low, high = np.quantile(self.replicates, levels)
        return float(low), float(high)


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    patients: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bootstrap:
    """Draw whole patients with replacement; the same patients give the same draws every time.

    Args:
        statistic: weights (weightings, samples) become values (weightings,).
        patients: (samples,) who each sample is from.
        resamples: how many draws.
        seed: of the draws.
    """
    names, number = np.unique(patients, return_inverse=True)
    parts = min(len(names), LEFT_OUT)
    part = number * parts // len(names)
    return Bootstrap(
        float(statistic(np.ones((1, len(number))))[0]),
        statistic(_draw(len(names), resamples, seed)[:, number]),
        statistic((part != np.arange(parts)[:, None]).astype(np.float32)),
        len(names),
    )


@lru_cache(maxsize=4)
def _draw(patients: int, resamples: int, seed: int) -> np.ndarray:
    """(resamples, patients) how often each patient is drawn."""
    counts = np.random.default_rng(seed).multinomial(
        patients, np.full(patients, 1 / patients), size=resamples
    )
    return counts.astype(np.float32)
