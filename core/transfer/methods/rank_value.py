"""A sample as the order of its genes, each measured against what is usual for it."""

import numpy as np


def usual_values(training: np.ndarray) -> np.ndarray:
    """(genes,) median of each gene's values above 0 in training samples (samples, genes).

    Theodoris et al. 2023, Transfer learning enables predictions in network biology, Nature 618:616
    (Geneformer), whose medians are of a corpus of cells. A gene that never is above 0 gets NaN.
    """
    shown = np.where(training > 0, training, np.nan)
    known = ~np.isnan(shown).all(axis=0)
    found = np.full(training.shape[1], np.nan)
    found[known] = np.nanmedian(shown[:, known], axis=0)
    return found


def rank_values(x: np.ndarray, usual: np.ndarray, *, logged: bool) -> np.ndarray:
    """Ranks from 0 (far below what is usual for the gene) to 1 (far above), as float32.

    Counts are divided by what is usual after each sample has the same total; of values on a log
    scale what is usual is subtracted, which orders genes in the same way. Genes that aren't
    expressed in a sample share the lowest rank; those without a usual value are left at 0.

    Args:
        x: (samples, genes).
        usual: (genes,) of `usual_values`, of training samples on the same scale.
        logged: whether values are on a log scale.
    """
    from scipy.stats import rankdata

    known = np.isfinite(usual)
    inside = x[:, known].astype(float)
    against = inside - usual[known] if logged else inside / usual[known]
    if not logged:
        total = inside.sum(axis=1, keepdims=True)
        against = against / np.where(total > 0, total, 1)
    against = np.where(inside > 0, against, -np.inf)
    ranks = (rankdata(against, method="average", axis=1) - 1) / max(known.sum() - 1, 1)
    found = np.zeros(x.shape, np.float32)
    found[:, known] = ranks
    return found
