"""One temperature turns overconfident probabilities into ones that mean what they say."""

import numpy as np
import pytest
from scipy.special import softmax

from core.evaluation.metrics import score
from core.training.calibration import apply_temperature, fit_temperature


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of three classes, and classes drawn with the probabilities that these say."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 2, (n, 3))
    chances = softmax(scores, axis=1).cumsum(axis=1)
    return scores, (rng.random((n, 1)) > chances).sum(axis=1)


@pytest.mark.parametrize("factor", [0.4, 3.0])
def test_the_temperature_undoes_wrong_confidence(factor: float) -> None:
    scores, y = draw(2000, 0)
    temperature = fit_temperature(softmax(factor * scores, axis=1), y)
    assert temperature == pytest.approx(factor, rel=0.15)
    scores, y = draw(2000, 1)
    before = softmax(factor * scores, axis=1)
    after = apply_temperature(before, temperature)
    assert (before.argmax(1) == after.argmax(1)).all()
    assert score(y, after)["calibration_error"] < 0.04 < score(y, before)["calibration_error"]


def test_a_few_right_answers_do_not_make_boundlessly_sure() -> None:
    proba = np.array([[0.8, 0.2], [0.3, 0.7], [0.9, 0.1]])
    calibrated = apply_temperature(proba, fit_temperature(proba, np.array([0, 1, 0])))
    assert 0.7 < calibrated.max(axis=1).mean() < 0.95


def test_certain_probabilities_stay_probabilities() -> None:
    proba = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    temperature = fit_temperature(proba, np.array([0, 1, 1]))
    assert np.isfinite(temperature)
    assert apply_temperature(proba, temperature).sum(axis=1) == pytest.approx(1)
