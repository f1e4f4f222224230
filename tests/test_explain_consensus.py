"""Rank aggregation, on lists short enough for paper."""

import numpy as np
import pandas as pd
import pytest

from core.explain.consensus import aggregate, rank_by_consensus


def test_rho_by_hand() -> None:
    """Two lists of 4 genes. First in both: ranks 1/4, 1/4. The lower of two uniform numbers is
    below 1/4 with 1 - (3/4)^2 = 7/16, both are with 1/16; times 2 lists: 1/8. First and last:
    min(7/16, 1) * 2 = 7/8. Second in both: 3/4 and 1/4, times 2: 1/2.
    """
    rankings = np.array([[9.0, 8, 7, 1], [9, 8, 1, 7]])
    np.testing.assert_allclose(aggregate(rankings)[:2], [1 / 8, 1 / 2])
    swapped = np.array([[9.0, 8, 7, 1], [1, 8, 7, 9]])
    assert aggregate(swapped)[0] == pytest.approx(7 / 8)


def test_a_gene_that_a_list_lacks_ranks_last_there() -> None:
    rankings = np.array([[9.0, 8, 7, 6], [np.nan, 8, 7, 6]])
    lowest = np.array([[9.0, 8, 7, 6], [0, 8, 7, 6]])
    np.testing.assert_array_equal(aggregate(rankings), aggregate(lowest))


def test_random_lists_agree_on_nothing_and_planted_genes_are_found() -> None:
    rng = np.random.default_rng(0)
    rankings = rng.random((5, 1000))
    assert (aggregate(rankings) < 0.01).mean() <= 0.01
    rankings[:4, :20] += 1  # one list of five has missed them
    rho = aggregate(rankings)
    assert set(np.argsort(rho)[:20]) == set(range(20))
    assert rho[:20].max() < 1e-4


def test_a_table_in_the_order_of_the_consensus() -> None:
    """Gene c has the highest mean score, by one list only; a is first and second."""
    genes = np.array(["a", "b", "c", "d"])
    rankings = np.array([[5.0, 4, 1, 0], [5, 4, 99, 0]])
    table = pd.DataFrame({"gene": ["c", "a", "b"], "score": [50.0, 5, 4], "rank": [1, 2, 3]})
    found = rank_by_consensus(table, rankings, genes)
    assert found["gene"].tolist() == ["a", "c", "b"]
    assert found["rank"].tolist() == [1, 2, 3]
    assert found["consensus"].is_monotonic_increasing
    assert found["selected"].tolist() == [1, 1, 1]


def test_equals_share_a_rank() -> None:
    """b and c are alike in both lists; the name decides nothing."""
    genes = np.array(["a", "b", "c"])
    rankings = np.array([[5.0, 1, 1], [5, 1, 1]])
    table = pd.DataFrame({"gene": ["a", "b", "c"], "score": [5.0, 1, 1]})
    found = rank_by_consensus(table, rankings, genes)
    assert found["rank"].tolist() == [1, 2, 2]
    assert found["tied"].tolist() == [1, 2, 2]
