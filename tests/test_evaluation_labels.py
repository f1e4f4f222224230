"""Confident disagreement with labels: small cases worked out by hand."""

import numpy as np

from core.evaluation.labels import confident_classes


def test_a_confident_other_class_is_named() -> None:
    """Thresholds: (.9 + .8 + .1) / 3 = .6 for class 0, (.8 + .7) / 2 = .75 for class 1."""
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])
    y = np.array([0, 0, 0, 1, 1])
    assert confident_classes(y, proba).tolist() == [0, 0, 1, 1, 1]


def test_a_disagreement_below_the_threshold_is_not_confident() -> None:
    """The third sample's other class has .6, its threshold is (.9 + .95) / 2."""
    proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9], [0.05, 0.95]])
    y = np.array([0, 0, 0, 1, 1])
    assert confident_classes(y, proba).tolist() == y.tolist()


def test_a_class_that_a_model_is_always_unsure_of_has_a_low_threshold() -> None:
    """Class 2 never gets more than .5; .45 is still above its mean of .4 (.5, .45 and .25)."""
    proba = np.array(
        [[0.9, 0.05, 0.05], [0.4, 0.15, 0.45], [0.3, 0.2, 0.5], [0.4, 0.15, 0.45],
         [0.4, 0.35, 0.25]]
    )  # fmt: skip
    y = np.array([0, 0, 2, 2, 2])
    assert confident_classes(y, proba).tolist() == [0, 2, 2, 2, 2]


def test_a_class_without_samples_is_never_suggested() -> None:
    proba = np.array([[0.1, 0.9], [0.2, 0.8]])
    assert confident_classes(np.array([0, 0]), proba).tolist() == [0, 0]
