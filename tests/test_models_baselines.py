"""The baseline models beside the networks."""

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from core.errors import InputError
from core.models import gene_models
from core.models.baselines import BASELINES, fit_predict_proba


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As `fit_predict_proba` has it: more are slower on small matrices."""
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks on genes hardly learn: what holds here needs no more."""
    monkeypatch.setattr(gene_models, "EPOCHS", 2)
    monkeypatch.setattr(gene_models, "STEPS", 2)


def make_samples(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Three classes that differ in 5 of 60 genes each; one gene never varies."""
    y = np.arange(n) % 3
    x = rng.normal(0.5, 0.1, (n, 60)).astype(np.float32)
    for k in range(3):
        x[y == k, 5 * k : 5 * k + 5] += 0.15
    x[:, 59] = 0.5
    return x, y


@pytest.mark.parametrize("name", BASELINES.names)
def test_probabilities_add_up_and_nothing_warns(name: str) -> None:
    rng = np.random.default_rng(0)
    x, y = make_samples(90, rng)
    test, truth = make_samples(60, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proba = fit_predict_proba(name, x, y, test, 3, 0)
        again = fit_predict_proba(name, x, y, test, 3, 0)
    np.testing.assert_array_equal(proba, again)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    if not BASELINES[name].is_network:  # test_models_gene_networks.py looks at these
        assert (proba.argmax(axis=1) == truth).mean() >= (1 / 3 if name == "majority" else 0.85)


@pytest.mark.parametrize("name", BASELINES.names)
def test_two_classes_of_two_samples_are_enough(name: str) -> None:
    x = np.array([[0.1, 0.2, 0.5], [0.2, 0.1, 0.5], [0.8, 0.9, 0.5], [0.9, 0.8, 0.5]])
    proba = fit_predict_proba(name, x, np.array([0, 0, 1, 1]), x, 2, 0)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(proba).all()


def test_majority_answers_with_the_shares_of_the_classes() -> None:
    proba = fit_predict_proba("majority", np.zeros((4, 2)), np.array([0, 1, 1, 1]), np.ones((1, 2)),
                              2, 0)  # fmt: skip
    np.testing.assert_allclose(proba, [[0.25, 0.75]])


@pytest.mark.parametrize("name", BASELINES.names)
def test_a_class_that_training_lacks_gets_probability_zero(name: str) -> None:
    x, y = make_samples(30, np.random.default_rng(0))
    proba = fit_predict_proba(name, x[y != 1], y[y != 1], x, 4, 0)
    assert proba.shape == (30, 4)
    assert (proba[:, [1, 3]] == 0).all()


def test_an_unknown_baseline_lists_the_known() -> None:
    with pytest.raises(InputError, match="majority, logistic_regression"):
        fit_predict_proba("magic", np.zeros((2, 1)), np.array([0, 1]), np.zeros((1, 1)), 2, 0)


def test_a_class_of_one_sample_and_samples_that_are_alike() -> None:
    x, y = make_samples(31, np.random.default_rng(6))
    y[0] = 3
    proba = fit_predict_proba("tuned_linear", x, y, x, 4, 0)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    alike = fit_predict_proba("tuned_linear", np.ones((6, 5)), np.arange(6) % 2, np.ones((1, 5)), 2,
                              0)  # fmt: skip
    np.testing.assert_allclose(alike, [[0.5, 0.5]], atol=1e-3)
