"""A class's genes: what the network used, beside what classical statistics say about each gene."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from core.errors import InputError
from core.explain.rankings import top_shares

CENTRED = 0.2
"""Share of negative values from which on log2 values can't be amounts; the data card's limit."""


def gene_table(
    scores: np.ndarray,
    score_labels: np.ndarray,
    log_expression: np.ndarray,
    labels: np.ndarray,
    genes: Sequence[str],
    cls: str,
    *,
    fold_change: bool = True,
    values: np.ndarray | None = None,
    ranks: np.ndarray | None = None,
) -> pd.DataFrame:
    """Rank genes by their mean attribution over the class's explained samples.

    Of a regression the "class" is its target, and each gene's correlation with the target stands in
    the place of a comparison of classes.

    Args:
        scores: (explained samples, genes) attributions, each for its sample's own class; NaN where
            a gene was not on the image.
        score_labels: (explained samples,) their classes.
        log_expression: (samples, genes) log2 expression, for the statistics.
        labels: (samples,) their classes.
        genes: gene ids, in the order of the columns.
        cls: the class.
        fold_change: whether a difference of the log2 values is one of amounts; without it log2fc
            is NaN.
        values: (samples,) the target's values; None where the labels are classes.
        ranks: (samples, genes) what `rank_samples` gives of the expression, where the tables of
            several classes are made; computed if None.

    Returns:
        One row a gene that has a score, highest score first: gene, class, score, rank and tied
        (as `rank_rows` gives them), log2fc (mean_in - mean_out), fdr (Welch's t test of the class
        against all others, Benjamini-Hochberg over these genes; NaN where a side has fewer than two
        samples), mean_in, mean_out, auroc (how well the gene alone tells the class from the others;
        below .5: low in the class), sd (of the score over the class's explained samples; NaN for
        one), p and welch (of that test, and the rank by it). With `values` log2fc and auroc are
        NaN, p, fdr and welch are of the test of Pearson's correlation (`correlation`), and mean_in
        and mean_out are of the samples above and up to the median value.

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
        spread = np.nanstd(scores[own], axis=0, dtype=np.float64, ddof=1)
    scored = np.isfinite(score)
    chosen = labels == cls if values is None else values > np.median(values)
    inside = log_expression[chosen][:, scored].astype(np.float64)
    outside = log_expression[~chosen][:, scored].astype(np.float64)
    mean_in, mean_out = inside.mean(axis=0), outside.mean(axis=0)
    if values is None:
        t, p = welch_test(inside, outside)
        ranks = rank_samples(log_expression) if ranks is None else ranks
        auroc, more = _separate(ranks[:, scored], chosen), {}
    else:
        t, p = correlate(log_expression[:, scored].astype(np.float64), values)
        auroc, more = np.nan, {"correlation": t}
        fold_change = False
    welch = np.full(len(p), np.nan)
    if np.isfinite(p).all():
        welch[np.lexsort((-np.abs(t), p))] = np.arange(1, len(p) + 1)
    table = pd.DataFrame(
        {
            "gene": np.asarray(genes, dtype=object)[scored],
            "class": cls,
            "score": score[scored],
            "log2fc": mean_in - mean_out if fold_change else np.nan,
            "fdr": stats.false_discovery_control(p) if np.isfinite(p).all() else p,
            "mean_in": mean_in,
            "mean_out": mean_out,
            "auroc": auroc,
            "sd": spread[scored],
            "p": p,
            "welch": welch,
            **more,
        }
    ).sort_values("score", ascending=False, kind="stable", ignore_index=True)
    return rank_rows(table, "score")


def rank_rows(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Add `rank` and `tied` to a sorted table: 1 for the first rows, and how many rows share it.

    Args:
        table: sorted by `columns`.
        columns: rows that are equal in them are tied.
    """
    values = table[list(columns)].to_numpy()
    new = np.ones(len(table), dtype=bool)
    new[1:] = (values[1:] != values[:-1]).any(axis=1)
    first = np.flatnonzero(new)
    sizes = np.diff(np.append(first, len(table)))
    ranked = table.drop(columns=["rank", "tied"], errors="ignore")
    place = min(3, ranked.shape[1])
    ranked.insert(place, "rank", np.repeat(first + 1, sizes))
    ranked.insert(place + 1, "tied", np.repeat(sizes, sizes))
    return ranked


def top_rows(table: pd.DataFrame, k: int) -> pd.DataFrame:
    """The rows of a ranked table that are certainly among the k first: fewer where some are tied
    for the last places.
    """
    return table[table["rank"] + table["tied"] - 1 <= k]


def has_fold_change(x: np.ndarray, scale: str) -> bool:
    """Whether log2 values of (samples, genes) expression differ by amounts of RNA.

    Those of a file that calls itself log2 don't where more than a fifth of them are below 0: then
    its genes are centred or z-scored, and their differences are in no unit.
    """
    return scale != "log2" or float((x < 0).sum()) <= CENTRED * np.isfinite(x).sum()


def rank_by_weight(table: pd.DataFrame, weights: np.ndarray, genes: np.ndarray) -> pd.DataFrame:
    """Add `logistic` to a class's gene table: the rank by the linear model, 1 the largest.

    Args:
        table: a gene table.
        weights: (genes,) absolute weights of the class, as `linear_weights` gives them.
        genes: (genes,) ids.
    """
    order = pd.Series(-weights, index=genes).reindex(table["gene"]).rank(method="min")
    return table.assign(logistic=order.to_numpy())


@dataclass(frozen=True)
class PlainComparison:
    """Which of a class's top genes classical statistics name as well."""

    welch: list[str]
    """Top genes that are among as many genes of lowest p in a Welch t test"""
    logistic: list[str]
    """Top genes that are among as many genes of largest weight in logistic regression"""
    only_network: list[str]
    """Top genes that neither names"""
    undecided: list[str]
    """Of these, genes that the test doesn't call different at all (FDR of 5 % or more)"""


def compare_with_plain(table: pd.DataFrame, k: int) -> PlainComparison:
    """Hold the k first genes of a table against the k first of Welch's test and of the weights.

    Args:
        table: what `gene_table` and `rank_by_weight` give.
        k: how many genes are the top ones.
    """
    top = top_rows(table, k)
    welch, logistic = top["welch"] <= k, top["logistic"] <= k
    only = ~welch & ~logistic
    return PlainComparison(
        welch=top.loc[welch, "gene"].tolist(),
        logistic=top.loc[logistic, "gene"].tolist(),
        only_network=top.loc[only, "gene"].tolist(),
        undecided=top.loc[only & ~(top["fdr"] < 0.05), "gene"].tolist(),
    )


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
    return {
        "auroc": float(_separate(rank_samples(score[:, None]), known)[0]),
        "precision_at_k": float(top_shares(score, known.sum())[known].mean()),
    }


def welch_test(inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Welch's t test gene by gene, two-sided: t and p, (genes,) each.

    A gene that has one value everywhere has t 0 and p 1; with fewer than two samples on a side both
    are NaN.

    Args:
        inside: (samples, genes) of one side.
        outside: (samples, genes) of the other.
    """
    if min(len(inside), len(outside)) < 2:
        return np.full((2, inside.shape[1]), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # genes that never vary
        t, p = stats.ttest_ind(inside, outside, axis=0, equal_var=False)
    same = np.isnan(p) & (inside.mean(axis=0) == outside.mean(axis=0))
    return np.where(same, 0.0, t), np.where(same, 1.0, p)


def correlate(x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's correlation of each column of (samples, genes) with values, and its two-sided p.

    A column that never varies has correlation 0 and p 1.
    """
    x, values = x - x.mean(axis=0), values - values.mean()
    size = np.sqrt((x**2).sum(axis=0) * (values**2).sum())
    r = np.divide(values @ x, size, out=np.zeros(x.shape[1]), where=size > 1e-12)
    r = np.clip(r, -1, 1)
    freedom = len(values) - 2
    t = r * np.sqrt(freedom / np.maximum(1 - r**2, 1e-300))
    return r, 2 * stats.t.sf(np.abs(t), freedom)


def rank_samples(expression: np.ndarray) -> np.ndarray:
    """Each sample's rank by each gene, equal ones share their mean: (samples, genes)."""
    return stats.rankdata(expression, axis=0)


def _separate(ranks: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """AUROC of each column, from the ranks of those `inside` among all (Mann-Whitney)."""
    n, m = inside.sum(), (~inside).sum()
    return (ranks[inside].sum(axis=0) - n * (n + 1) / 2) / (n * m)
