"""The gene table, on numbers small enough for paper."""

import numpy as np
import pandas as pd
import pytest

from core.errors import InputError
from core.explain.genes import compare_with_welch, gene_table, has_fold_change, recovery

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
        "gene", "class", "score", "rank", "log2fc", "fdr", "mean_in", "mean_out", "auroc", "sd",
        "p", "welch",
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
    """Of the 3 first, a is among Welch's 3 first; b and c are not, and c isn't different."""
    table = pd.DataFrame(
        {"gene": list("abcd"), "rank": [1, 2, 3, 4], "welch": [3, 4, 9, 1],
         "fdr": [0.01, 0.04, 0.05, 0.001]}
    )  # fmt: skip
    found = compare_with_welch(table, 3)
    assert (found.both, found.only_network, found.undecided) == (["a"], ["b", "c"], ["c"])


def test_recovery_by_hand() -> None:
    """Known genes at 4 and 1 among 4 3 2 1: of 4 pairs 2 are in order; 1 of the 2 highest."""
    table = pd.DataFrame({"gene": list("abcd"), "score": [4.0, 3, 2, 1]})
    assert recovery(table, ["a", "d", "elsewhere"]) == {"auroc": 0.5, "precision_at_k": 0.5}
    assert recovery(table, ["a", "b"]) == {"auroc": 1.0, "precision_at_k": 1.0}
    with pytest.raises(InputError, match="0 of the 4"):
        recovery(table, ["elsewhere"])
