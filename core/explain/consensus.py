"""One ranking out of many: what several trainings or methods agree on."""

import numpy as np
import pandas as pd
from scipy import stats

from core.explain.genes import rank_rows
from core.explain.rankings import top_count, top_shares


def aggregate(rankings: np.ndarray) -> np.ndarray:
    """Robust rank aggregation: how unlikely a gene's ranks are in lists of random order.

    Kolde et al. 2012, doi:10.1093/bioinformatics/btr709: a gene's ranks, as shares of the genes,
    are compared with sorted uniform numbers; the least likely of them counts, times the number of
    lists. A gene that most lists rank high is found even where one list ranks it low.

    Args:
        rankings: (lists, genes) scores, higher is better; NaN where a list lacks the gene, which
            counts as its last rank.

    Returns:
        (genes,) rho in [0, 1], an upper bound of the p value; low is good.
    """
    lists = len(rankings)
    ranks = stats.rankdata(-np.nan_to_num(rankings, nan=-np.inf), axis=1, method="max")
    share = np.sort(ranks / rankings.shape[1], axis=0)
    order = np.arange(1, lists + 1)[:, None]
    p = stats.beta.cdf(share, order, lists - order + 1)
    return np.minimum(p.min(axis=0) * lists, 1)


def rank_by_consensus(table: pd.DataFrame, rankings: np.ndarray, genes: np.ndarray) -> pd.DataFrame:
    """Order a class's gene table by what several rankings agree on.

    Args:
        table: a gene table; its `rank` and `tied` become those of the consensus, equals in order
            of `score`.
        rankings: (lists, genes) scores of the class in each list.
        genes: (genes,) ids of the columns.

    Returns:
        The table with `consensus` (rho of `aggregate`) and `selected` (the share of the lists in
        which the gene is among the top ones).
    """
    k = top_count(rankings.shape[1])
    selected = np.zeros(len(genes))
    for ranking in rankings:
        selected += top_shares(ranking, k) / len(rankings)
    found = pd.DataFrame({"consensus": aggregate(rankings), "selected": selected}, index=genes)
    table = table.join(found, on="gene")
    table = table.sort_values(
        ["consensus", "score"], ascending=[True, False], kind="stable", ignore_index=True
    )
    return rank_rows(table, "consensus", "score")
