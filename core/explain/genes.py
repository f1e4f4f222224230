"""A class's genes: what the network used, beside what plain statistics say about each gene."""

import warnings
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from core.errors import InputError


def gene_table(
    scores: np.ndarray,
    score_labels: np.ndarray,
    log_expression: np.ndarray,
    labels: np.ndarray,
    genes: Sequence[str],
    cls: str,
) -> pd.DataFrame:
    """Rank genes by their mean attribution over the class's explained samples.

    Args:
        scores: (explained samples, genes) attributions, each for its sample's own class; NaN where
            a gene was not on the image.
        score_labels: (explained samples,) their classes.
        log_expression: (samples, genes) log2 expression, for the statistics.
        labels: (samples,) their classes.
        genes: gene ids, in the order of the columns.
        cls: the class.

    Returns:
        One row a gene that has a score, highest score first: gene, class, score, rank,
        log2fc (mean_in - mean_out), fdr (Welch's t test of the class against all others,
        Benjamini-Hochberg over these genes; NaN where a side has fewer than two samples), mean_in,
        mean_out, auroc (how well the gene alone tells the class from the others; below .5: low in
        the class).

    Raises:
        InputError: no explained sample is of that class.
    """
    own = score_labels == cls
    if not own.any():
        known = ", ".join(map(str, np.unique(score_labels)))
        raise InputError(f"No explained sample is of class {cls!r}. Classes explained: {known}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a gene that no image of the class has
        score = np.nanmean(scores[own], axis=0, dtype=np.float64)
    scored = np.isfinite(score)
    inside = log_expression[labels == cls][:, scored].astype(np.float64)
    outside = log_expression[labels != cls][:, scored].astype(np.float64)
    table = pd.DataFrame(
        {
            "gene": np.asarray(genes, dtype=object)[scored],
            "class": cls,
            "score": score[scored],
            "log2fc": inside.mean(axis=0) - outside.mean(axis=0),
            "fdr": _test(inside, outside),
            "mean_in": inside.mean(axis=0),
            "mean_out": outside.mean(axis=0),
            "auroc": _separate(inside, outside),
        }
    ).sort_values("score", ascending=False, kind="stable", ignore_index=True)
    table.insert(3, "rank", np.arange(1, len(table) + 1))
    return table


def recovery(table: pd.DataFrame, truth_genes: Collection[str]) -> dict[str, float]:
    """How well the scores of a table (gene, score) find known genes.

    Returns:
        auroc: the chance that a known gene scores higher than another (.5 = at random), and
        precision_at_k: the share of known genes among the k highest, k being how many there are.

    Raises:
        InputError: none of the table's genes is known, or all are.
    """
    known = table["gene"].isin(set(truth_genes)).to_numpy()
    if known.all() or not known.any():
        raise InputError(
            f"{known.sum()} of the {len(known)} genes in the table are known genes: nothing to "
            "compare. Expected some that are and some that are not."
        )
    score = table["score"].to_numpy()
    highest = np.argsort(-score, kind="stable")[: known.sum()]
    return {
        "auroc": float(_separate(score[known, None], score[~known, None])[0]),
        "precision_at_k": float(known[highest].mean()),
    }


def _test(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Welch's t test gene by gene, two-sided, with Benjamini-Hochberg's correction: (genes,)."""
    if min(len(inside), len(outside)) < 2:
        return np.full(inside.shape[1], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # genes that never vary
        p = stats.ttest_ind(inside, outside, axis=0, equal_var=False).pvalue
    p = np.where(np.isnan(p) & (inside.mean(axis=0) == outside.mean(axis=0)), 1.0, p)
    return stats.false_discovery_control(p)


def _separate(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """AUROC of each column, from the ranks of `inside` among all (Mann-Whitney): (columns,)."""
    n, m = len(inside), len(outside)
    ranks = stats.rankdata(np.concatenate([inside, outside]), axis=0)[:n].sum(axis=0)
    return (ranks - n * (n + 1) / 2) / (n * m)
