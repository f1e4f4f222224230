"""Baseline models of a regression: what a network's predicted numbers have to be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.models.baselines import Baseline, FittedBaseline, list_networks, one_thread
from core.records import Registry

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

PENALTIES = np.logspace(-2, 6, 17)
"""Ridge penalties that are tried, for genes of SD 1."""


def _build_mean(seed: int, smallest: int) -> RegressorMixin:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor()


def _build_ridge(seed: int, smallest: int) -> RegressorMixin:
    """The penalty is that of lowest squared error when each training sample is left out in turn."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

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
        *list_networks(of_classes=False),
    ],
)


def fit_value_baseline(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    patients: np.ndarray | None = None,
    second: np.ndarray | None = None,
) -> FittedBaseline:
    """Fit a baseline on (n, genes) training samples and their values (n,); it answers with such.

    `patients` and `second` are as in `fit_baseline`.
    """
    model = VALUE_BASELINES[name].build(seed, len(y))
    with one_thread():
        model.fit(x.astype(np.float64), y, **VALUE_BASELINES[name].more(patients, second))

    def answer(asked: np.ndarray) -> np.ndarray:
        with one_thread():
            return np.asarray(model.predict(asked.astype(np.float64)), dtype=float)[:, None]

    return FittedBaseline(answer, model)
