"""Linear models whose penalty is chosen on inner folds.

On expression profiles a well-penalised linear model is hard to beat (Smith et al. 2020, "Standard
machine learning approaches outperform deep representation learning on phenotype prediction from
transcriptomics data"). All of them depend on the genes through the samples' inner products alone,
so they are fitted on the principal axes of the training samples, of which there are never more than
samples (Hastie and Tibshirani 2004, "Efficient quadratic regularization for expression arrays").
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

INNER_FOLDS = 5
"""Folds of the training samples that choose the penalty."""
LOGISTIC_STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Inverse penalties, of genes scaled so that a sample's squared length is 1 on average."""
RIDGE_STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 30000.0)
"""Inverse penalties per sample, of genes scaled likewise."""
HOTTEST = 50.0
"""Bound of a temperature and of its inverse."""

Fit = Callable[[np.ndarray, np.ndarray, Sequence[float]], list[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Family:
    """Linear models that differ in their penalty."""

    name: str
    strengths: tuple[float, ...]
    """Inverse penalties, from strong to weak."""
    fit: Fit
    """Fits (n, axes) samples of classes (n,) from 0 on with some strengths; weights
    (axes, classes) and offsets (classes,) for each. The class with the highest score is the answer.
    """


def _logistic(z: np.ndarray, y: np.ndarray, strengths: Sequence[float]) -> list:
    """Multinomial logistic regression; each fit begins where the one before ended."""
    model = LogisticRegression(warm_start=True, max_iter=2000)
    return [_of_all(model.set_params(C=strength).fit(z, y)) for strength in strengths]


def _ridge(z: np.ndarray, y: np.ndarray, strengths: Sequence[float]) -> list:
    """Ridge regression of each class's indicator (Hoerl and Kennard 1970)."""
    target = np.eye(y.max() + 1)[y]
    mean = target.mean(axis=0)
    size = np.linalg.norm(z, axis=0)  # the axes are orthogonal
    known = z.T @ (target - mean)
    return [(known / (size**2 + len(z) / strength)[:, None], mean) for strength in strengths]


def _of_all(model: LogisticRegression) -> tuple[np.ndarray, np.ndarray]:
    """Weights and offsets of each class; of two, scikit-learn gives the second one's alone."""
    weights, offsets = model.coef_.T.copy(), model.intercept_.copy()
    if len(offsets) == 1:
        return np.hstack([0 * weights, weights]), np.append(0, offsets)
    return weights, offsets


LOGISTIC = Family("logistic regression", LOGISTIC_STRENGTHS, _logistic)
RIDGE = Family("ridge regression", RIDGE_STRENGTHS, _ridge)


class TunedLinear(ClassifierMixin, BaseEstimator):
    """The linear model, of some families and all their penalties, with the least inner Brier score.

    Each one is fitted on all inner folds but one and asked about that one. One temperature makes
    probabilities of its scores (Guo et al. 2017). The best is then fitted on all samples. Log loss
    chose penalties that are right less often: it asks most of the few samples that are far off.

    Args:
        families: which are tried; among equals the first one.
        seed: of the division into inner folds.

    Attributes:
        family_: name of the chosen one.
        strength_: its inverse penalty.
        inner_brier_: its Brier score on the inner folds; NaN where the samples can't be divided.
        classes_: sorted.
        coef_: (classes, genes) weights of the standardised genes; they add up to 0 over classes.
    """

    def __init__(self, families: tuple[Family, ...], seed: int = 0) -> None:
        self.families = families
        self.seed = seed

    def fit(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> "TunedLinear":
        """Fit on (n, genes) samples of classes (n,).

        Samples that share one of `groups` (n,), such as a patient, are in one inner fold.
        """
        self.classes_, numbers = np.unique(y, return_inverse=True)
        x = np.asarray(x, dtype=np.float64)
        groups = np.arange(len(y)) if groups is None else groups
        folds = _divide(numbers, groups, self.seed)
        found = [self._judge(family, x, numbers, folds) for family in self.families]
        best = int(np.argmin([brier for brier, *_ in found])) if folds else 0
        self.inner_brier_, self.strength_, temperature = found[best]
        family = self.families[best]
        self.family_ = family.name
        axes = _Axes.of(x)
        [(weights, offsets)] = family.fit(axes.turn(x), numbers, [self.strength_])
        self.coef_ = (axes.directions.T @ (weights - weights.mean(axis=1, keepdims=True))).T
        self._axes = axes
        self._weights, self._offsets = weights / temperature, offsets / temperature
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """(n, classes) probabilities of (n, genes) samples."""
        return softmax(self._axes.turn(x) @ self._weights + self._offsets, axis=1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n,) classes of (n, genes) samples."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]

    def _judge(
        self, family: Family, x: np.ndarray, y: np.ndarray,
        folds: list[tuple[np.ndarray, np.ndarray]],
    ) -> tuple[float, float, float]:  # fmt: skip
        """The least inner Brier score over the penalties, its strength and its temperature."""
        if not folds:
            return np.nan, family.strengths[len(family.strengths) // 2], 1.0
        held_out = [np.full((len(y), len(self.classes_)), -np.inf) for _ in family.strengths]
        for train, test in folds:
            axes = _Axes.of(x[train])
            present, known = np.unique(y[train], return_inverse=True)
            fits = family.fit(axes.turn(x[train]), known, family.strengths)
            new = axes.turn(x[test])
            for scores, (weights, offsets) in zip(held_out, fits, strict=True):
                scores[np.ix_(test, present)] = new @ weights + offsets
        # A sample says nothing where no other of its class was there to learn from.
        asked = np.isfinite(held_out[0][np.arange(len(y)), y])
        found = []
        for strength, scores in zip(family.strengths, held_out, strict=True):
            temperature = _fit_temperature(scores[asked], y[asked])
            proba = softmax(scores[asked] / temperature, axis=1)
            brier = np.square(proba - np.eye(len(self.classes_))[y[asked]]).sum(axis=1).mean()
            found.append((float(brier), strength, temperature))
        return min(found)


@dataclass(frozen=True)
class _Axes:
    """Standardised genes, and their principal axes, scaled so that a sample's mean square is 1."""

    scaler: StandardScaler
    directions: np.ndarray
    """(axes, genes)"""

    @classmethod
    def of(cls, x: np.ndarray) -> "_Axes":
        """Of (n, genes) samples."""
        scaler = StandardScaler().fit(x)
        _, size, axes = np.linalg.svd(scaler.transform(x), full_matrices=False)
        kept = size > 1e-10 * size[0]
        kept[0] = True  # where all samples are alike
        length = np.sqrt((size**2).sum() / len(x)) or 1.0
        return cls(scaler, axes[kept] / length)

    def turn(self, x: np.ndarray) -> np.ndarray:
        """(n, axes) coordinates of (n, genes) samples."""
        return self.scaler.transform(x) @ self.directions.T


def _divide(y: np.ndarray, groups: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inner folds that keep groups together; none where a fold would leave one class to learn."""
    most = max(len(np.unique(groups[y == k])) for k in np.unique(y))
    least = min(len(np.unique(groups[y == k])) for k in np.unique(y))
    number = min(INNER_FOLDS, max(least, 2), most)
    if number < 2:
        return []
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class of fewer samples than folds is missing in some
        warnings.simplefilter("ignore", UserWarning)
        folds = list(splitter.split(y, y, groups))
    return folds if all(len(np.unique(y[train])) > 1 for train, _ in folds) else []


def _fit_temperature(scores: np.ndarray, y: np.ndarray) -> float:
    """The temperature of least log loss."""

    def loss(log_temperature: float) -> float:
        by_class = log_softmax(scores / np.exp(log_temperature), axis=1)
        return -float(by_class[np.arange(len(y)), y].mean())

    bound = np.log(HOTTEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x))
