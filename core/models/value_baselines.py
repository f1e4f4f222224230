"""Baseline models of a regression: what a network's predicted numbers have to be compared with."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from core.models.baselines import Baseline
from core.records import Registry

PENALTIES = np.logspace(-2, 6, 17)
"""Ridge penalties that are tried, for genes of SD 1."""


def _build_mean(seed: int, smallest: int) -> RegressorMixin:
    return DummyRegressor()


def _build_ridge(seed: int, smallest: int) -> RegressorMixin:
    """The penalty is that of lowest squared error when each training sample is left out in turn."""
    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES))


VALUE_BASELINES: Registry[Baseline] = Registry(
    "baseline",
    [
        Baseline(
            name="mean",
            title="Training mean",
            help="Always answers with the mean of the training samples: what R² starts from.",
            build=_build_mean,
            in_every_run=True,
        ),
        Baseline(
            name="ridge_regression",
            title="Ridge regression",
            help="A linear model on the same genes (Hoerl and Kennard 1970), whose penalty is "
            "chosen on the training samples. A network that does no better isn't needed.",
            build=_build_ridge,
            in_every_run=True,
        ),
    ],
)


def fit_predict_values(
    name: str, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, seed: int
) -> np.ndarray:
    """Fit a baseline on (n, genes) training samples and their values; (n_test, 1) predictions.

    Computed on one thread, so that the numbers don't depend on how many there are.
    """
    model = VALUE_BASELINES[name].build(seed, len(y_train))
    with threadpool_limits(1):
        model.fit(x_train.astype(np.float64), y_train)
        return np.asarray(model.predict(x_test.astype(np.float64)), dtype=float)[:, None]
