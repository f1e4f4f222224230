"""Probabilities that mean what they say: one temperature, fitted on validation samples."""

import numpy as np

LIMITS = (0.1, 10.0)


def fit_temperature(proba: np.ndarray, y: np.ndarray) -> float:
    """The temperature by which log probabilities are to be divided (Guo et al. 2017).

    It minimises the negative log likelihood of samples that the network didn't learn from. Where
    this departs from arXiv:1706.04599: each sample is taken to be of its class with probability
    (n + 1) / (n + 2) (Platt 1999), because a few samples that all are right would make the network
    boundlessly sure.

    Args:
        proba: (n, classes) class probabilities.
        y: (n,) class numbers.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    doubt, scores = 1 / (len(y) + 2), _to_scores(proba)
    truth = np.full(proba.shape, doubt / proba.shape[1])
    truth[np.arange(len(y)), y] += 1 - doubt

    def loss(log_temperature: float) -> float:
        return -(truth * log_softmax(scores / np.exp(log_temperature), axis=1)).sum(axis=1).mean()

    return float(np.exp(minimize_scalar(loss, bounds=np.log(LIMITS), method="bounded").x))


def apply_temperature(proba: np.ndarray, temperature: float) -> np.ndarray:
    """Class probabilities (samples, classes) as they would be at that temperature."""
    from scipy.special import softmax

    return softmax(_to_scores(proba) / temperature, axis=1)


def _to_scores(proba: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(proba, 1e-300))
