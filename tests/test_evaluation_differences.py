"""Tests between models against hand-worked cases, published examples and other programs."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from core.evaluation.differences import (
    corrected_t,
    holm,
    mcnemar,
    paired_interval,
    rank_models,
)

DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.97501, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)
"""AUC of four variants of C4.5 on 14 datasets (Demšar 2006, table 6). The printed .975 of two
variants in the last row but one are no tie in the paper's ranks, hence the fifth digit."""


def test_mcnemar_counts_only_disagreements() -> None:
    right_a = np.array([True] * 8 + [False] + [True] * 50)
    right_b = np.array([False] * 8 + [True] + [True] * 50)
    assert mcnemar(right_a, right_b) == pytest.approx(2 * (1 + 9) / 2**9)
    assert mcnemar(right_b, right_a) == mcnemar(right_a, right_b)
    assert mcnemar(right_a, right_a) == 1


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 1), (0, 6), (5, 5), (12, 3), (40, 70)])
def test_mcnemar_equals_the_binomial_test(only_a: int, only_b: int) -> None:
    right_a = np.array([True] * only_a + [False] * only_b + [True] * 20)
    right_b = np.array([False] * only_a + [True] * only_b + [True] * 20)
    assert mcnemar(right_a, right_b) == pytest.approx(
        stats.binomtest(only_a, only_a + only_b).pvalue
    )


def test_the_samples_of_a_patient_are_one_draw() -> None:
    right_a, right_b = np.array([True] * 9), np.array([False] * 9)
    patients = np.repeat(["p", "q", "r"], 3)
    assert mcnemar(right_a, right_b) == pytest.approx(2 / 2**9)
    assert mcnemar(right_a, right_b, patients) == pytest.approx(2 / 2**3)


def test_exchanges_of_whole_patients_equal_scipys_exact_permutations() -> None:
    rng = np.random.default_rng(0)
    right_a, right_b = rng.random(30) < 0.8, rng.random(30) < 0.5
    patients = rng.integers(0, 11, 30)
    gains = np.bincount(patients, right_a.astype(int) - right_b.astype(int), minlength=11)
    expected = stats.permutation_test(
        (gains,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert mcnemar(right_a, right_b, patients) == pytest.approx(expected)


def test_interval_of_a_paired_difference_by_hand() -> None:
    right_a = np.array([True] * 7 + [False] + [True] * 90)
    right_b = np.array([False] * 7 + [True] + [True] * 90)
    middle = (8 - 2) / 100
    reach = 1.959964 * np.sqrt(((8 + 2) / 100 - middle**2) / 100)
    expected = (middle - reach, middle + reach)
    assert paired_interval(right_a, right_b) == pytest.approx(expected)
    low, high = paired_interval(right_a, right_a)
    assert -low == high == pytest.approx(1.959964 * np.sqrt(2) / 100)


def test_interval_of_whole_patients_by_hand() -> None:
    """Every patient twice is no more than every patient once."""
    right_a = np.array([True, True, False, True])
    right_b = np.array([False, True, True, True])
    once = paired_interval(right_a, right_b)
    twice = paired_interval(right_a.repeat(2), right_b.repeat(2), np.arange(4).repeat(2))
    assert twice == pytest.approx(once)
    assert np.diff(paired_interval(right_a.repeat(2), right_b.repeat(2))) < np.diff(once)


def test_corrected_t_of_a_published_example() -> None:
    """scikit-learn's user guide, "Statistical comparison of models using grid search".

    Published there: corrected t 0.750 and one-sided p 0.227; Bayesian: 0.773 that the RBF kernel is
    better, 0.432 that the two are within 1 point.
    """
    x, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel), x, y, cv=folds, scoring="roc_auc")
        for kernel in ("rbf", "linear")
    )
    found = corrected_t(rbf - linear, 10 / 90)
    assert found.mean / found.scale == pytest.approx(0.750, abs=5e-4)
    assert found.p == pytest.approx(2 * 0.227, abs=1e-3)
    below, _, above = found.chances(0)
    assert (below, above) == pytest.approx((0.227, 0.773), abs=5e-4)
    _, same, above = found.chances(0.01)
    assert same == pytest.approx(0.432, abs=5e-4)
    # baycomp 1.0.3, two_on_single(rbf, linear, rope=0.01, runs=10)
    assert above == pytest.approx(0.5, abs=1e-6)
    assert same == pytest.approx(0.4316824582427, abs=1e-6)


def test_without_overlap_the_corrected_t_is_the_paired_t() -> None:
    values = np.array([0.01, 0.03, -0.01, 0.02])
    found, expected = corrected_t(values, 0), stats.ttest_1samp(values, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()))


def test_overlap_widens_the_interval_by_hand() -> None:
    found = corrected_t(np.array([0.0, 0.02]), 0.5)
    assert found.mean == pytest.approx(0.01)
    assert found.scale == pytest.approx(np.sqrt(1 * 0.0002))


def test_models_that_never_differ_are_the_same() -> None:
    found = corrected_t(np.zeros(5), 0.4)
    assert found.p == 1
    assert found.chances() == pytest.approx((0, 1, 0))


def test_ranks_of_the_published_example() -> None:
    found = rank_models(DEMSAR)
    assert found.ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)


def test_many_independent_rows_give_iman_and_davenports_test() -> None:
    scores = np.random.default_rng(0).random((400, 4)) + np.array([0, 0, 0.04, 0.04])
    chi = stats.friedmanchisquare(*scores.T).statistic
    expected = stats.f.sf(399 * chi / (400 * 3 - chi), 3, 399 * 3)
    assert 0.001 < expected < 0.1
    assert rank_models(scores).p == pytest.approx(expected, rel=0.02)


def test_many_independent_rows_give_nemenyis_critical_difference() -> None:
    # Demšar 2006, table 5(a): q is 2.728 for five models at the 5 % level.
    scores = np.random.default_rng(0).random((1000, 5))
    expected = 2.728 * np.sqrt(5 * 6 / (6 * 1000))
    assert rank_models(scores).critical_difference == pytest.approx(expected, rel=0.01)


def test_ranking_of_two_rows_by_hand() -> None:
    # Mean ranks 1, 2.5, 2.5. What is left: four halves squared and a random row's 2 * 3 * 4 / 12,
    # on 2 + 2 degrees of freedom: .75. Between: (1 + .25 + .25) / 2 = .75. The published 5 % point
    # of the studentised range of 3 on 2 degrees of freedom is 8.33.
    scores = np.array([[3, 2, 1], [3, 1, 2]])
    found = rank_models(scores)
    assert found.ranks.tolist() == [1, 2.5, 2.5]
    assert found.critical_difference == pytest.approx(8.33 * np.sqrt(0.75 / 2), abs=5e-3)
    assert found.p == pytest.approx(stats.f.sf(0.75 / (0.75 / 2), 2, 2))
    overlapping = rank_models(scores, 0.5)
    assert overlapping.critical_difference == pytest.approx(8.33 * np.sqrt(0.75), abs=5e-3)


def test_three_splits_that_agree_prove_nothing() -> None:
    found = rank_models(np.array([[3, 2, 1]] * 3), 3 / 7)
    assert found.p > 0.05
    assert found.critical_difference > 2


def test_overlapping_splits_count_for_less() -> None:
    plain, corrected = rank_models(DEMSAR), rank_models(DEMSAR, 30 / 70)
    assert corrected.p > plain.p
    assert (corrected.ranks == plain.ranks).all()


def test_models_that_always_tie_rank_alike() -> None:
    found = rank_models(np.ones((4, 3)))
    assert found.ranks.tolist() == [2, 2, 2]
    assert found.p == 1


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04 times 4 3 2 1 are .02 .03 .06 .04, and may not fall.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert holm(np.array([])).size == 0


def test_holm_equals_statsmodels() -> None:
    # statsmodels 0.15.0, multipletests(p, method="holm")
    p = np.array([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205])
    expected = [0.008, 0.056, 0.234, 0.234, 0.234, 0.234, 0.234, 0.234]
    assert holm(p) == pytest.approx(expected)
