"""The gene table, on numbers small enough for paper."""

import numpy as np
import pandas as pd
import pytest

from core.errors import InputError
from core.explain.genes import (
    compare_with_plain,
    gene_table,
    has_fold_change,
    rank_by_weight,
    rank_rows,
    recovery,
    top_rows,
)
from core.explain.linear import linear_weights
from core.training.tasks import TASKS

GENES = ["flat", "low", "high"]
LABELS = np.array(["A", "A", "B", "B"])
EXPRESSION = np.array([[4.0, 1, 9], [4, 3, 8], [4, 5, 2], [4, 7, 1]])
SCORES = np.array([[0.0, 0.2, 3], [0, 0.4, 1], [9, 9, 9]])
SCORE_LABELS = np.array(["A", "A", "B"])


def test_a_table_by_hand() -> None:
    """Welch for 'low': means 2 and 6, variances 2 and 2, so t = -4 / sqrt(2), 2 degrees of freedom.

    With 2 degrees p = 1 - |t| / sqrt(2 + t^2) = .10557. For 'high': means 8.5 and 1.5, variances
    .5: t = 7 / sqrt(.5), p = 1 - 9.8995 / sqrt(100) = .010051. Benjamini-Hochberg over 1, .10557,
    .010051: 1, .10557 * 3 / 2, .010051 * 3.
    """
    table = gene_table(SCORES, SCORE_LABELS, EXPRESSION, LABELS, GENES, "A")
    assert list(table) == [
        "gene", "class", "score", "rank", "tied", "log2fc", "fdr", "mean_in", "mean_out", "auroc",
        "sd", "p", "welch",
    ]  # fmt: skip
    assert table["gene"].tolist() == ["high", "low", "flat"]
    assert table["class"].tolist() == ["A"] * 3
    assert table["rank"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(table["score"], [2, 0.3, 0])
    np.testing.assert_allclose(table["sd"], [2**0.5, 0.02**0.5, 0])
    np.testing.assert_allclose(table["log2fc"], [7, -4, 0])
    np.testing.assert_allclose(table["p"], [0.010051, 0.105573, 1], rtol=1e-4)
    assert table["welch"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(table["mean_in"], [8.5, 2, 4])
    np.testing.assert_allclose(table["mean_out"], [1.5, 6, 4])
    np.testing.assert_allclose(table["auroc"], [1, 0, 0.5])
    np.testing.assert_allclose(table["fdr"], [0.030152, 0.158359, 1], rtol=1e-4)


def test_a_class_of_one_sample_has_no_test() -> None:
    labels = np.array(["A", "B", "B", "B"])
    table = gene_table(SCORES, SCORE_LABELS, EXPRESSION, labels, GENES, "A")
    assert table[["p", "fdr", "welch"]].isna().all(axis=None)
    assert table["auroc"].notna().all()


def test_genes_that_no_image_held_are_left_out() -> None:
    scores = np.array([[np.nan, np.nan, 3], [np.nan, 0.4, 1], [9, 9, 9]])
    table = gene_table(scores, SCORE_LABELS, EXPRESSION, LABELS, GENES, "A")
    assert table["gene"].tolist() == ["high", "low"]
    np.testing.assert_allclose(table["score"], [2, 0.4])


def test_a_class_without_explained_samples_is_named() -> None:
    with pytest.raises(InputError, match=r"class 'C'.*A, B"):
        gene_table(SCORES, SCORE_LABELS, EXPRESSION, LABELS, GENES, "C")


def test_a_fold_change_needs_amounts() -> None:
    """Of 10 values 3 are below 0: no log2 amounts. Counts are read as they are."""
    centred = np.array([[-1.0, -1, -1, 1, 1, 1, 1, 1, 1, np.nan, 1]])
    assert not has_fold_change(centred, "log2")
    assert has_fold_change(centred, "counts")
    assert has_fold_change(np.array([[-1.0, 0, 1, 2, 3]]), "log2")
    table = gene_table(
        SCORES, SCORE_LABELS, EXPRESSION, LABELS, GENES, "A", fold_change=False
    )  # fmt: skip
    assert table["log2fc"].isna().all()
    assert table["mean_in"].notna().all()


def test_what_only_the_network_uses() -> None:
    """Of the 4 first, Welch's 4 first hold a, the weights' b; c and d neither, d isn't different.

    Weights that an earlier version did not write name no gene.
    """
    table = pd.DataFrame(
        {"gene": list("abcde"), "rank": [1, 2, 3, 4, 5], "tied": 1, "welch": [3, 5, 9, 9, 1],
         "fdr": [0.01, 0.04, 0.04, 0.05, 0.001], "logistic": [7, 4, 8, 5, 1]}
    )  # fmt: skip
    found = compare_with_plain(table, 4)
    assert (found.welch, found.logistic) == (["a"], ["b"])
    assert (found.only_network, found.undecided) == (["c", "d"], ["d"])
    found = compare_with_plain(table.assign(logistic=np.nan), 4)
    assert (found.logistic, found.only_network) == ([], ["b", "c", "d"])


def test_genes_are_ranked_by_the_size_of_their_weight() -> None:
    table = rank_by_weight(
        pd.DataFrame({"gene": ["b", "c", "a"]}), np.array([2.0, 0, 3, 1]), np.array(list("abcd"))
    )
    assert table["logistic"].tolist() == [3, 1, 2]


@pytest.mark.parametrize("classes", [2, 3])
def test_the_weights_of_logistic_regression(classes: int) -> None:
    """Each class has a gene of its own, and one gene says nothing; an absent class is unknown."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(classes), 20)
    x = rng.normal(size=(len(y), classes + 1))
    x[np.arange(len(y)), y] += 4
    weights = linear_weights(TASKS["classification"], x, y, classes + 1, seed=0)
    assert weights.shape == (classes + 1, classes + 1)
    assert np.isnan(weights[-1]).all()
    assert (weights[:-1, :-1].max(axis=1) > 3 * weights[:-1, -1]).all()
    if classes == 3:
        assert (weights[:-1].argmax(axis=1) == np.arange(3)).all()
    else:
        assert (weights[0] == weights[1]).all()


def test_recovery_by_hand() -> None:
    """Known genes at 4 and 1 among 4 3 2 1: of 4 pairs 2 are in order; 1 of the 2 highest."""
    table = pd.DataFrame({"gene": list("abcd"), "score": [4.0, 3, 2, 1]})
    assert recovery(table, ["a", "d", "elsewhere"]) == {"auroc": 0.5, "precision_at_k": 0.5}
    assert recovery(table, ["a", "b"]) == {"auroc": 1.0, "precision_at_k": 1.0}
    with pytest.raises(InputError, match="0 of the 4"):
        recovery(table, ["elsewhere"])


def test_ties_are_ties() -> None:
    table = pd.DataFrame({"gene": list("abcde"), "class": "X", "score": [9.0, 5, 5, 5, 1]})
    ranked = rank_rows(table, "score")
    assert list(ranked.columns) == ["gene", "class", "score", "rank", "tied"]
    assert ranked["rank"].tolist() == [1, 2, 2, 2, 5]
    assert ranked["tied"].tolist() == [1, 3, 3, 3, 1]
    assert [top_rows(ranked, k)["gene"].str.cat() for k in range(1, 6)] == [
        "a", "a", "a", "abcd", "abcde"
    ]  # fmt: skip
    assert recovery(table, {"a", "b"})["precision_at_k"] == pytest.approx((1 + 1 / 3) / 2)
