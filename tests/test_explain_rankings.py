"""Likeness of rankings, on lists short enough for paper."""

import numpy as np
import pytest

from core.explain.rankings import (
    class_means,
    jaccard,
    kuncheva,
    mean_over_pairs,
    rank_correlation,
    top_count,
    top_shares,
)


def test_the_lists_that_are_compared_are_a_twentieth_of_the_genes() -> None:
    assert [top_count(n) for n in (3, 60, 200, 1000, 20_000)] == [3, 5, 10, 50, 50]


def test_genes_that_are_tied_share_the_last_places() -> None:
    scores = np.array([1.0, np.nan, 3, 3])
    assert top_shares(scores, 3).tolist() == [1, 0, 1, 1]
    assert top_shares(scores, 1).tolist() == [0, 0, 0.5, 0.5]
    assert top_shares(np.zeros(4), 2).tolist() == [0.5] * 4


def test_equal_genes_are_common_as_by_chance() -> None:
    """Two lists without any order, or one: nothing is known of what they share."""
    empty, ranked = np.zeros(20), np.arange(20.0)
    assert kuncheva(empty, empty, 5) == pytest.approx(0)
    assert kuncheva(empty, ranked, 5) == pytest.approx(0)


def test_overlap_by_hand() -> None:
    """Of 5 genes, lists of 2: by chance .8 genes are common, so 1 common is (1 - .8) / (2 - .8)."""
    a, same = np.array([5.0, 4, 3, 2, 1]), np.array([4.0, 5, 0, 0, 0])
    one, none = np.array([5.0, 0, 4, 0, 0]), np.array([0.0, 0, 3, 4, 5])
    assert kuncheva(a, same, 2) == 1
    assert kuncheva(a, one, 2) == pytest.approx(0.2 / 1.2)
    assert kuncheva(a, none, 2) == pytest.approx(-0.8 / 1.2)
    assert np.isnan(kuncheva(a, one, 5))
    assert jaccard(a, one, 2) == pytest.approx(1 / 3)
    pairs = [1, 0.2 / 1.2, 0.2 / 1.2]
    assert mean_over_pairs(kuncheva, np.stack([a, same, one]), 2) == pytest.approx(np.mean(pairs))


def test_chance_overlap_is_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    found = [kuncheva(rng.random(100), rng.random(100), 10) for _ in range(500)]
    assert abs(np.mean(found)) < 0.03


def test_rank_correlation_by_hand() -> None:
    """1 2 3 against 1 3 2: 1 - 6 (0 + 1 + 1) / (3 * 8) = .5; a constant row is like no other."""
    a = np.array([[1.0, 2, 3], [1, 2, 3], [1, 2, 3]])
    b = np.array([[10.0, 30, 20], [9, 8, 7], [5, 5, 5]])
    np.testing.assert_allclose(rank_correlation(a, b), [0.5, -1, 0], atol=1e-12)


def test_class_means() -> None:
    scores = np.array([[1.0, 2], [3, 4], [9, 9]])
    np.testing.assert_array_equal(class_means(scores, np.array([0, 0, 4])), [[2, 3], [9, 9]])
