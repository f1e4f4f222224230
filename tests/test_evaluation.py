"""Scores against answers known by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from core.evaluation.metrics import METRICS, interval, mcnemar, score


def test_scores_of_a_tiny_case() -> None:
    y = np.array([0, 0, 0, 1, 1, 2])
    proba = np.eye(3)[[0, 0, 1, 1, 1, 0]] * 0.8 + 0.2 / 3
    scores = score(y, proba)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert set(scores) == set(METRICS.names)


def test_scores_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    y, proba = rng.integers(0, 4, 200), rng.dirichlet(np.ones(4), 200)
    scores = score(y, proba)
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, proba.argmax(1)))
    assert scores["macro_auroc"] == pytest.approx(roc_auc_score(y, proba, multi_class="ovr"))


def test_a_class_without_samples_does_not_count() -> None:
    y = np.array([0, 0, 1, 1])
    proba = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]])
    assert score(y, proba)["balanced_accuracy"] == pytest.approx(0.75)
    assert score(y, proba)["macro_auroc"] == pytest.approx((1 + 2.5 / 4) / 2)


def test_wilson_interval_of_a_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263, score method.
    assert interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_mcnemar_counts_only_disagreements() -> None:
    right_a = np.array([True] * 8 + [False] + [True] * 50)
    right_b = np.array([False] * 8 + [True] + [True] * 50)
    assert mcnemar(right_a, right_b) == pytest.approx(2 * (1 + 9) / 2**9)
    assert mcnemar(right_a, right_a) == 1
