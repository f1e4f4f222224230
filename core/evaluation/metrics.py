"""How good predictions are: scores, their uncertainty, and differences between two models."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    matthews_corrcoef,
    recall_score,
    roc_auc_score,
)

from core.records import Registry


@dataclass(frozen=True)
class Metric:
    """A score of predictions; higher is better."""

    name: str
    title: str
    help: str


METRICS = Registry(
    "metric",
    [
        Metric("accuracy", "Accuracy", "Share of the samples whose class is right."),
        Metric("balanced_accuracy", "Balanced accuracy", "Mean over classes of the share right."),
        Metric("macro_f1", "Macro F1", "Mean over classes of the harmonic mean of precision and "
               "recall."),
        Metric("mcc", "MCC", "Matthews correlation of predicted and true class; 0 is chance."),
        Metric("macro_auroc", "Macro AUROC", "Mean over classes of the chance that a sample of the "
               "class gets a higher probability for it than a sample of another."),
    ],
)  # fmt: skip


def score(y_true: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    """All of METRICS for class numbers (samples,) and class probabilities (samples, classes).

    The macro AUROC is the mean over those classes that the samples hold; every other score takes
    the most probable class as the prediction.
    """
    predicted = proba.argmax(axis=1)
    present = np.unique(y_true)
    areas = [roc_auc_score(y_true == k, proba[:, k]) for k in present if len(present) > 1]
    return {
        "accuracy": float(accuracy_score(y_true, predicted)),
        "balanced_accuracy": float(
            recall_score(y_true, predicted, labels=present, average="macro")
        ),
        "macro_f1": float(f1_score(y_true, predicted, average="macro", zero_division=0)),
        "mcc": float(matthews_corrcoef(y_true, predicted)),
        "macro_auroc": float(np.mean(areas)) if areas else float("nan"),
    }


def interval(successes: int, n: int) -> tuple[float, float]:
    """95 % Wilson interval of a share (Wilson 1927), as for the accuracy on n test samples."""
    bounds = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    return float(bounds.low), float(bounds.high)


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> float:
    """Exact two-sided McNemar p value of two models on the same samples (McNemar 1947).

    Args:
        right_a: (samples,) whether the first model is right.
        right_b: (samples,) whether the second model is right.
    """
    only_a = int(np.sum(right_a & ~right_b))
    only_b = int(np.sum(~right_a & right_b))
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
