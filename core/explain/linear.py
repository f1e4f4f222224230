"""Which genes a plain linear model uses: what a network's genes are held against."""

import numpy as np
from threadpoolctl import threadpool_limits

from core.training.tasks import Task


def linear_weights(task: Task, x: np.ndarray, y: np.ndarray, outputs: int, seed: int) -> np.ndarray:
    """Fit the task's linear model of fixed form, and look at its weights.

    It standardises the genes first, so that their weights can be compared. The tuned linear model
    would not do: it may be ridge regression in one fold and logistic regression in another, whose
    weights are on other scales, and with another penalty it ranks the genes of one run otherwise
    than those of the next.

    Args:
        task: the run's.
        x: (samples, genes) prepared expression.
        y: (samples,) class numbers from 0 to `outputs` - 1, or values.
        outputs: how many classes there are, or 1.
        seed: of the run.

    Returns:
        (outputs, genes) absolute weights; of two classes both have the same, and one that no
        sample has gets NaN.
    """
    model = task.baselines[task.linear].build(seed, int(np.unique(y, return_counts=True)[1].min()))
    with threadpool_limits(1):
        model.fit(x, y)
    weights = np.full((outputs, x.shape[1]), np.nan)
    weights[model.classes_ if task.has_classes else [0]] = np.abs(model[-1].coef_)
    return weights
