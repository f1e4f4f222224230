"""How sure a score is: what another draw of patients would have done to it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np

RESAMPLES = 2000
CELLS = 2**20
"""Weights of samples are taken in blocks of about so many, which bounds the memory."""
LEFT_OUT = 400
"""At most so many parts of the patients are left out in turn for the acceleration."""


def interval(successes: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of a share (Wilson 1927), as for the accuracy on n test samples."""
    from scipy.stats import binomtest

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

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Bias-corrected and accelerated interval (Efron 1987; Efron and Tibshirani 1993, ch. 14).

        Draws in which the statistic isn't defined, such as an AUROC of one class, are left out;
        None where that is more than half of them. Where no resample changes the statistic (nothing
        is wrong, or no sample is judged differently) the bootstrap can't say anything. Then the
        limits are those of Wilson's (1927) interval of a share, and of Tango's (1998) of a paired
        difference, in that very case: a distance of z² / (patients + z²) from the estimate.
        """
        from scipy.special import ndtr, ndtri

        z = ndtri((1 + level) / 2)
        replicates = self.replicates[np.isfinite(self.replicates)]
        left_out = self.left_out[np.isfinite(self.left_out)]
        if 2 * len(replicates) < len(self.replicates) or not np.isfinite(self.estimate):
            return None
        if np.ptp(np.append(replicates, self.estimate)) < 1e-9:
            margin = z**2 / (self.patients + z**2)
            return self.estimate - margin, self.estimate + margin
        below = np.mean(replicates < self.estimate)
        bias = ndtri((below + np.mean(replicates <= self.estimate)) / 2)
        gap = left_out.mean() - left_out
        squares = (gap**2).sum()  # 0 where it makes no difference who is left out
        acceleration = (gap**3).sum() / (6 * squares**1.5) if squares else 0.0
        shifted = bias + np.array([-z, z])
        levels = ndtr(bias + shifted / (1 - acceleration * shifted))
        ordered = np.sort(replicates)
        low, high = np.interp(levels * (len(ordered) - 1), np.arange(len(ordered)), ordered)
        return float(low), float(high)


def weigh(patients: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """Weights of samples whose statistics `gather` takes, a row each.

    Whole patients are drawn with replacement; the same patients give the same draws every time.

    Args:
        patients: (samples,) who each sample is from.
        resamples: how many draws.

    Returns:
        (1 + resamples + parts, samples): ones; how often a sample's patient is drawn, in each of
        the resamples; zeros for each part of the patients in turn and ones for the others.
    """
    names, number = np.unique(patients, return_inverse=True)
    parts = min(len(names), LEFT_OUT)
    part = number * parts // len(names)
    weights = np.empty((1 + resamples + parts, len(number)))
    weights[0] = 1
    weights[1 : 1 + resamples] = _draw(len(names), resamples)[:, number]
    weights[1 + resamples :] = part != np.arange(parts)[:, None]
    return weights


def gather(values: np.ndarray, patients: int, resamples: int = RESAMPLES) -> Bootstrap:
    """A statistic's bootstrap from its values (1 + resamples + parts,) under `weigh`'s weights."""
    return Bootstrap(float(values[0]), values[1 : 1 + resamples], values[1 + resamples :], patients)


def spread(compute: Callable[[np.ndarray], np.ndarray], patients: np.ndarray) -> Bootstrap:
    """A statistic's bootstrap over patients, computed for some draws at a time.

    Args:
        compute: weights (weightings, samples) -> the statistic under each (weightings,).
        patients: (samples,) who each sample is from.
    """
    names, number = np.unique(patients, return_inverse=True)
    weights = weigh(names)
    size = max(1, CELLS // len(number))
    parts = (weights[start : start + size, number] for start in range(0, len(weights), size))
    return gather(np.concatenate([compute(part) for part in parts]), len(names))


def weigh_by_name(patients: np.ndarray, draws: int) -> np.ndarray:
    """Weights (draws, samples) in which a patient weighs the same in every set that he is in.

    Poisson bootstrap (Hanley and MacGibbon 2006, Comput. Methods Programs Biomed. 83:57): counts
    are drawn for each patient by himself, from his name, so that scores on test sets that share
    some patients can be put together draw by draw. A draw without anybody takes everybody once.
    """
    names, number = np.unique(patients, return_inverse=True)
    counts = np.stack([_draw_for(str(name), draws) for name in names], axis=1)
    counts[~counts.any(axis=1)] = 1
    return counts[:, number].astype(float)


@lru_cache(maxsize=4)
def _draw(patients: int, resamples: int) -> np.ndarray:
    """(resamples, patients) how often each patient is drawn."""
    counts = np.random.default_rng(0).multinomial(
        patients, np.full(patients, 1 / patients), size=resamples
    )
    return counts.astype(np.float32)


def _draw_for(name: str, draws: int) -> np.ndarray:
    seed = int.from_bytes(blake2b(name.encode(), digest_size=8).digest())
    return np.random.default_rng(seed).poisson(1, draws)
