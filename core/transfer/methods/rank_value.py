"""A sample as the order of its genes, each measured against what is usual for it."""

import numpy as np


def usual_values(training: np.ndarray, *, logged: bool) -> np.ndarray:
    """(genes,) what is usual for each gene in training samples (samples, genes).

    Theodoris et al. 2023, Transfer learning enables predictions in network biology, Nature 618:616
    (Geneformer), whose usual values are of a corpus of cells: of counts, the median of those above
    0 after each sample has the same total, NaN for a gene that never is above 0; of values on a log
    scale, the median.
    """
    if logged:
        return np.median(training, axis=0)
    shown = np.where(training > 0, _even(training), np.nan)
    known = ~np.isnan(shown).all(axis=0)
    found = np.full(training.shape[1], np.nan)
    found[known] = np.nanmedian(shown[:, known], axis=0)
    return found


def rank_values(x: np.ndarray, usual: np.ndarray, *, logged: bool) -> np.ndarray:
    """Ranks from 0 (far below what is usual for the gene) to 1 (far above), as float32.

    Counts are divided by what is usual after each sample has the same total; from values on a log
    scale what is usual is subtracted, which orders genes in the same way. Genes without a count
    share the lowest rank; those without a usual value are left at 0.

    Args:
        x: (samples, genes).
        usual: (genes,) of `usual_values`, of training samples on the same scale.
        logged: whether values are on a log scale.
    """
    from scipy.stats import rankdata

    known = np.isfinite(usual)
    if logged:
        against = x[:, known] - usual[known]
    else:
        shown = x[:, known] > 0
        against = np.where(shown, _even(x)[:, known] / usual[known], -np.inf)
    ranks = (rankdata(against, method="average", axis=1) - 1) / max(known.sum() - 1, 1)
    found = np.zeros(x.shape, np.float32)
    found[:, known] = ranks
    return found


def _even(counts: np.ndarray) -> np.ndarray:
    """Counts of samples that all have the same total."""
    total = counts.sum(axis=1, keepdims=True, dtype=float)
    return counts / np.where(total > 0, total, 1)
