"""How alike gene rankings are, beyond what chance gives; plain arrays."""

from itertools import combinations

import numpy as np
from scipy import stats


def top_count(genes: int) -> int:
    """Length of the gene lists that are compared: a twentieth of the genes, 5 to 50.

    Longer lists of few genes overlap by chance alone: 50 of 60 genes share at least 40.
    """
    return int(np.clip(genes // 20, min(5, genes), 50))


def top_shares(scores: np.ndarray, k: int) -> np.ndarray:
    """(genes,) each gene's share of a place among the k highest of (genes,) scores.

    1 or 0; genes that are tied for the last places share these. NaN is lowest.
    """
    values = np.nan_to_num(scores, nan=-np.inf)
    border = np.sort(values)[-k]
    above, tied = values > border, values == border
    return above + tied * (k - above.sum()) / tied.sum()


def kuncheva(a: np.ndarray, b: np.ndarray, k: int) -> float:
    """Overlap of the k highest genes of two (genes,) scores: 1 equal, 0 as by chance.

    Kuncheva 2007, "A stability index for feature selection": (r n - k^2) / (k (n - k)) for r
    common genes out of n; what is tied for the last places is common as by chance. NaN where k is
    not below n.
    """
    n = len(a)
    if not 0 < k < n:
        return float("nan")
    common = float(top_shares(a, k) @ top_shares(b, k))
    return (common * n - k**2) / (k * (n - k))


def jaccard(a: np.ndarray, b: np.ndarray, k: int) -> float:
    """Common genes over all genes of the two lists of the k highest."""
    common = float(top_shares(a, k) @ top_shares(b, k))
    return common / (2 * min(k, len(a)) - common)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of (rows, genes) `a` with its row of `b`: (rows,).

    0 where a row is constant: an empty map is like no other.
    """
    ranks = [stats.rankdata(values, axis=1) - (values.shape[1] + 1) / 2 for values in (a, b)]
    size = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    return np.divide((ranks[0] * ranks[1]).sum(axis=1), size, out=np.zeros(len(a)), where=size > 0)


def mean_over_pairs(measure, rankings: np.ndarray, k: int) -> float:
    """Mean of `kuncheva` or `jaccard` over all pairs of rows of (rankings, genes)."""
    return float(np.mean([measure(a, b, k) for a, b in combinations(rankings, 2)]))


def class_means(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(classes that occur, genes) mean scores of the samples (samples, genes) of each class."""
    return np.stack([scores[targets == k].mean(axis=0) for k in np.unique(targets)])
