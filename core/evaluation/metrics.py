"""How good predictions are: scores of classes together, of each by itself, and of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.evaluation import values
from core.evaluation.intervals import interval
from core.records import Registry

if TYPE_CHECKING:
    import pandas as pd

BINS = 10
"""Bins of equal width over the probability of the predicted class, for the calibration."""


@dataclass(frozen=True)
class Metric:
    """A score of predictions, and how it is computed for many weightings of the samples at once."""

    name: str
    title: str
    help: str
    compute: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """Class numbers (samples,), class probabilities (samples, classes) and weights (weightings,
    samples) become scores (weightings,): one weighting of ones is the score of the samples, the
    counts of a bootstrap are its replicates. A class without weight doesn't count. Of a regression:
    true values (samples,) and predicted ones (samples, 1)."""
    best: float = 1.0
    worst: float = 0.0
    has_interval: bool = True
    """Whether the bootstrap's interval holds the truth about as often as it says."""
    points: float = 100.0
    """How many points a difference of 1 is; 1 where differences are spoken of as they are."""

    @property
    def unit(self) -> str:
        """What follows a difference: ' points', or nothing where it is spoken of as it is."""
        return " points" if self.points == 100 else ""

    @property
    def counted(self) -> str:
        """What differences are counted in: 'points', or 'difference' where they have no unit."""
        return self.unit.strip() or "difference"

    @property
    def digits(self) -> str:
        """The format of a difference: tenths of points, or three figures."""
        return ".1f" if self.unit else ".3g"

    @property
    def is_share(self) -> bool:
        """Whether differences of it are spoken of in percentage points."""
        return (self.best, self.worst) == (1.0, 0.0)

    def clip(self, limits: tuple[float, float]) -> tuple[float, float]:
        """An interval without the values that the score can't have."""
        low, high = sorted((self.best, self.worst))
        return max(limits[0], low), min(limits[1], high)


def _accuracy(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ (proba.argmax(axis=1) == y) / weights.sum(axis=1)


def _balanced_accuracy(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    counts = _confusions(y, proba, weights)
    size = counts.sum(axis=2)
    return _mean_over_classes(_diagonal(counts), size, size > 0)


def _macro_f1(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    counts = _confusions(y, proba, weights)
    both = counts.sum(axis=1) + counts.sum(axis=2)
    return _mean_over_classes(2 * _diagonal(counts), both, both > 0)


def _mcc(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    counts = _confusions(y, proba, weights)
    true, predicted = counts.sum(axis=2), counts.sum(axis=1)
    total = true.sum(axis=1)
    covariance = total * _diagonal(counts).sum(axis=1) - (true * predicted).sum(axis=1)
    spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    return np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)


def _macro_auroc(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    areas, pairs, by_sample = [], [], np.ascontiguousarray(weights.T)
    for k in range(proba.shape[1]):
        positive, above, named, found = _by_threshold(y == k, proba[:, k], by_sample)
        total = by_sample[y != k].sum(axis=0)
        higher = (above + named - found) / 2  # of the others; those alike count half
        areas.append((positive * (total - higher)).sum(axis=0))
        pairs.append(positive.sum(axis=0) * total)
    pairs = np.stack(pairs, axis=1)
    return _mean_over_classes(np.stack(areas, axis=1), pairs, pairs > 0)


def _average_precision(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    sums, sizes, by_sample = [], [], np.ascontiguousarray(weights.T)
    for k in range(proba.shape[1]):
        positive, _, named, found = _by_threshold(y == k, proba[:, k], by_sample)
        sums.append((positive * found / np.where(named > 0, named, 1)).sum(axis=0))
        sizes.append(positive.sum(axis=0))
    sizes = np.stack(sizes, axis=1)
    return _mean_over_classes(np.stack(sums, axis=1), sizes, sizes > 0)


def _brier(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    squares = ((proba - np.eye(proba.shape[1])[y]) ** 2).sum(axis=1)
    return weights @ squares / weights.sum(axis=1)


def _calibration_error(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    gap = (proba.argmax(axis=1) == y) - proba.max(axis=1)
    in_bin = _bin_of(proba)[:, None] == np.arange(BINS)
    return np.abs(weights @ (in_bin * gap[:, None])).sum(axis=1) / weights.sum(axis=1)


CLASS_METRICS: Registry[Metric] = Registry(
    "metric",
    [
        Metric("accuracy", "Accuracy", "Share of the samples whose class is right.", _accuracy),
        Metric(
            "balanced_accuracy",
            "Balanced accuracy",
            "Mean over classes of the share right.",
            _balanced_accuracy,
        ),
        Metric(
            "macro_f1",
            "Macro F1",
            "Mean over classes of the harmonic mean of precision and recall.",
            _macro_f1,
        ),
        Metric(
            "mcc",
            "MCC",
            "Matthews correlation of predicted and true class; 0 is chance.",
            _mcc,
            worst=-1.0,
        ),
        Metric(
            "macro_auroc",
            "Macro AUROC",
            "Mean over classes of the chance that a sample of the class gets a higher probability "
            "for it than a sample of another.",
            _macro_auroc,
        ),
        Metric(
            "average_precision",
            "Average precision",
            "Mean over classes of the precision, averaged over the samples of the class as its "
            "threshold falls; suits rare classes.",
            _average_precision,
        ),
        Metric(
            "brier",
            "Brier score",
            "Mean squared distance of the probabilities from the truth, summed over classes; 0 is "
            "best (Brier 1950).",
            _brier,
            best=0.0,
            worst=2.0,
        ),
        Metric(
            "calibration_error",
            "Calibration error",
            "How far the probability of the predicted class is from the share that is right, mean "
            f"over {BINS} bins; 0 is best, and few samples make it larger (Guo et al. 2017).",
            _calibration_error,
            best=0.0,
            worst=1.0,
        ),
    ],
)
"""Scores of a classification."""
VALUE_METRICS: Registry[Metric] = Registry(
    "metric",
    [
        Metric(
            "r2",
            "R²",
            "Share of the target's variance that the predictions explain; 0 is as good as always "
            "answering with the mean of the test samples, and below 0 is worse than that.",
            values.r_squared,
            worst=-np.inf,
            points=1.0,
        ),
        Metric(
            "pearson",
            "Pearson correlation",
            "Linear correlation of predicted and true value; 0 is chance. It doesn't see "
            "predictions that are all too high, or too near to the mean.",
            values.pearson,
            worst=-1.0,
            points=1.0,
        ),
        Metric(
            "spearman",
            "Spearman correlation",
            "Correlation of the ranks of predicted and true value; 0 is chance. A few extreme "
            "values can't make it.",
            values.spearman,
            worst=-1.0,
            points=1.0,
        ),
        Metric(
            "mae",
            "Mean absolute error",
            "Mean distance of predicted and true value, in the target's own unit; 0 is best.",
            values.absolute_error,
            best=0.0,
            worst=np.inf,
            points=1.0,
        ),
    ],
)
"""Scores of a regression."""
METRICS: Registry[Metric] = Registry("metric", [*CLASS_METRICS, *VALUE_METRICS])
"""All of them, by name: no two tasks share one."""


def score(
    y_true: np.ndarray, answers: np.ndarray, metrics: Iterable[Metric] = CLASS_METRICS
) -> dict[str, float]:
    """All of some metrics, of answers as `Metric.compute` takes them.

    The predicted class is the most probable one. Means over classes are taken over those that the
    samples hold; the macro AUROC is NaN when that is one class only.
    """
    once = np.ones((1, len(y_true)))
    return {metric.name: float(metric.compute(y_true, answers, once)[0]) for metric in metrics}


def pool_patients(
    y_true: np.ndarray, proba: np.ndarray, patients: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One row a patient and class: the mean of the probabilities of the patient's samples of it.

    Returns:
        Class numbers (rows,) and class probabilities (rows, classes), as `score` takes them.
    """
    import pandas as pd

    table = pd.DataFrame(proba).groupby([np.asarray(patients), y_true]).mean()
    return table.index.get_level_values(1).to_numpy(), table.to_numpy()


def score_classes(y_true: np.ndarray, proba: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """A row a class, as `score_counts` gives it, of class numbers and probabilities."""
    from sklearn.metrics import confusion_matrix

    counts = confusion_matrix(y_true, proba.argmax(axis=1), labels=range(len(classes)))
    return score_counts(counts, classes)


def score_counts(counts: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """A row a class: class, n, recall with its 95 % Wilson interval, precision, f1.

    A recall or precision that has no samples to be computed from is NaN.

    Args:
        counts: (classes, classes) confusion matrix, true classes in rows.
        classes: their names.
    """
    import pandas as pd

    right, n, named = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    limits = [
        interval(k, size) if size else (np.nan, np.nan) for k, size in zip(right, n, strict=True)
    ]
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(
            {
                "class": list(classes),
                "n": n,
                "recall": right / n,
                "recall_low": [low for low, _ in limits],
                "recall_high": [high for _, high in limits],
                "precision": right / named,
                "f1": 2 * right / (n + named),
            }
        )


def reliability(y_true: np.ndarray, proba: np.ndarray) -> pd.DataFrame:
    """How sure predictions are and how often they are right, a row for each bin that has samples.

    Returns:
        Columns n, confidence (mean probability of the predicted class), accuracy, and the
        accuracy's 95 % Wilson interval, low and high.
    """
    import pandas as pd

    table = pd.DataFrame(
        {"confidence": proba.max(axis=1), "accuracy": proba.argmax(axis=1) == y_true}
    ).groupby(_bin_of(proba))
    bins = table.mean().assign(n=table.size())
    limits = [interval(round(row.accuracy * row.n), int(row.n)) for row in bins.itertuples()]
    return bins.assign(
        low=[low for low, _ in limits], high=[high for _, high in limits]
    ).reset_index(drop=True)[["n", "confidence", "accuracy", "low", "high"]]


def say_most_confused(counts: np.ndarray, classes: Sequence[str]) -> str:
    """The two classes that are mistaken for each other most often, in words.

    Args:
        counts: (classes, classes) confusion matrix, true classes in rows.
        classes: their names.
    """
    counts = np.asarray(counts)
    both = np.triu(counts + counts.T, 1)
    if not both.any():
        return "No sample was taken for another class."
    a, b = sorted(np.unravel_index(both.argmax(), both.shape), key=lambda k: -counts[k].sum())
    if counts[b, a] > counts[a, b]:
        a, b = b, a
    return (
        f"Most confused: {classes[a]} and {classes[b]}. {counts[a, b]} of "
        f"{counts[a].sum()} {classes[a]} were taken for {classes[b]}, and {counts[b, a]} of "
        f"{counts[b].sum()} {classes[b]} for {classes[a]}."
    )


def order_by_confusion(counts: np.ndarray) -> np.ndarray:
    """An order (classes,) in which classes that are often confused stand side by side.

    Average linkage on the mean of the two shares that are confused, with the leaf order that keeps
    neighbours nearest (Bar-Joseph et al. 2001).
    """
    counts = np.asarray(counts, dtype=float)
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(counts) < 3:
        return np.arange(len(counts))
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    distance = 1 - (share + share.T) / 2
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance), "average", optimal_ordering=True))


def _confusions(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(weightings, classes, classes): weight of each true class (rows) and predicted class."""
    from scipy.sparse import csr_array

    classes, samples = proba.shape[1], len(y)
    cell = y * classes + proba.argmax(axis=1)
    indicator = csr_array(
        (np.ones(samples), cell, np.arange(samples + 1)), shape=(samples, classes**2)
    )
    return (weights @ indicator).reshape(-1, classes, classes)


def _diagonal(counts: np.ndarray) -> np.ndarray:
    return np.diagonal(counts, axis1=1, axis2=2)


def _by_threshold(
    positive: np.ndarray, p: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(positives, weightings) weights when each positive sample's value of `p` is the threshold.

    Of that sample; of the negative ones with more than that; of all with as much or more; of the
    positive ones with as much or more. `weights` are (samples, weightings).
    """
    order = np.argsort(-p, kind="stable")
    falling, hits = -p[order], positive[order]
    starts, ends = (np.searchsorted(falling, falling[hits], side) for side in ("left", "right"))
    count = np.append(0, hits.cumsum())
    every, right = _add_up(weights, order), _add_up(weights, order[hits])
    found = right[count[ends]]
    return weights[order[hits]], every[starts] - right[count[starts]], every[ends], found


def _add_up(weights: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(1 + samples, weightings) sums of the rows (samples, weightings) so far: of none, of one, ...

    NumPy's `cumsum` goes down one column after the other, which takes two to four times as long.
    """
    sums = np.empty((len(order) + 1, weights.shape[1]))
    sums[0] = 0
    for number, row in enumerate(order):
        np.add(sums[number], weights[row], out=sums[number + 1])
    return sums


def _mean_over_classes(part: np.ndarray, whole: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Mean over the counted classes of part / whole, all (weightings, classes)."""
    shares = np.where(counted, part, 0) / np.where(counted, whole, 1)
    with np.errstate(invalid="ignore"):
        return shares.sum(axis=1) / counted.sum(axis=1)


def _bin_of(proba: np.ndarray) -> np.ndarray:
    return np.minimum((proba.max(axis=1) * BINS).astype(int), BINS - 1)
