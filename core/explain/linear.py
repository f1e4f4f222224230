"""Which genes a plain linear model uses: what a network's genes are held against."""

import numpy as np
from threadpoolctl import threadpool_limits

from core.models.baselines import BASELINES


def logistic_weights(x: np.ndarray, y: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Fit the logistic regression of a run, and look at its weights.

    It standardises the genes first, so that their weights can be compared.

    Args:
        x: (samples, genes) prepared expression.
        y: (samples,) class numbers from 0 to `classes` - 1.
        classes: how many classes there are.
        seed: of the run.

    Returns:
        (classes, genes) absolute weights; of two classes both have the same, and one that no
        sample has gets NaN.
    """
    model = BASELINES["logistic_regression"].build(
        seed, int(np.unique(y, return_counts=True)[1].min())
    )
    with threadpool_limits(1):
        model.fit(x, y)
    weights = np.full((classes, x.shape[1]), np.nan)
    weights[model.classes_] = np.abs(model[-1].coef_)
    return weights
