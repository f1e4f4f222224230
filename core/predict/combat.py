"""ComBat with the cohort that a model learned from as reference batch."""

import numpy as np

CLOSE = 1e-6
"""Change of a shift (in SD) or of a variance (of its own) below which nothing changes any more."""
MOST_ROUNDS = 1000
"""Each round comes nearer to the answer; few genes need more than twenty."""


def shrink_moments(
    count: np.ndarray, shift: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far each gene of a new batch is shifted and stretched, shrunk to what genes share.

    The parametric empirical Bayes estimates of ComBat (Johnson, Li and Rabinovic 2007,
    Biostatistics 8:118) for one batch beside a reference batch that stays as it is (Zhang et al.
    2018, BMC Bioinformatics 19:262; `ref.batch` of the R package sva), without covariates. Shifts
    have a normal prior, variances an inverse gamma prior, both by the moments of all genes. Other
    than in sva, which stops at a relative change of 1e-4, rounds go on to 1e-6, and a prior without
    variance is one: all genes then get the same.

    Args:
        count: (genes,) samples in which each gene was measured, at least two.
        shift: (genes,) their mean less the reference batch's, over its SD (of the population).
        variance: (genes,) their variance (of the sample), over the reference batch's.

    Returns:
        (genes,) shift and variance, in the same units.
    """
    mean, spread = shift.mean(), _spread(shift)
    usual, doubt = variance.mean(), _spread(variance)
    shrunk, scale = shift, variance
    for _ in range(MOST_ROUNDS):
        before = shrunk, scale
        shrunk = (count * spread * shift + scale * mean) / (count * spread + scale)
        squares = (count - 1) * variance + count * (shift - shrunk) ** 2
        # of an inverse gamma prior with the mean `usual` and the variance `doubt`
        scale = (doubt * squares / 2 + usual * (usual**2 + doubt)) / (
            doubt * (count / 2 + 1) + usual**2
        )
        if (np.abs(shrunk - before[0]) < CLOSE).all() and (
            np.abs(scale - before[1]) < CLOSE * scale
        ).all():
            break
    return shrunk, scale


def _spread(values: np.ndarray) -> float:
    """Their variance; of a single gene none, so that it is left to itself."""
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0
