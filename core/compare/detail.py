"""One model of a finished run, looked at closely: confusion, calibration, classes; or values."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from core.evaluation.metrics import (
    order_by_confusion,
    pool_patients,
    reliability,
    say_most_confused,
    score,
    score_classes,
)
from core.runs.outcome import NETWORK, Outcome, shared_reference
from core.training.tasks import Task


@dataclass(frozen=True)
class Detail:
    """A model's confusion and calibration on a run's held-out samples."""

    confused: str
    """The most confused pair of classes, in words."""
    confusion: pd.DataFrame
    """true, and a column a class; classes that are often confused stand side by side."""
    bins: dict[str, pd.DataFrame]
    """Model's title -> what `reliability` gives; the reference model beside the model."""
    classes: pd.DataFrame
    """What `score_classes` gives."""
    pooled: dict[str, float] | None
    """Scores with a vote a patient; None where each patient has one sample."""


def look_closely(outcome: Outcome, model: str) -> Detail:
    """Measure one model of a finished classification.

    Args:
        outcome: the run.
        model: a key of its `proba`.
    """
    task, y, proba, classes = outcome.task, outcome.y, outcome.proba[model], outcome.result.classes
    counts = confusion_matrix(y, proba.argmax(axis=1), labels=range(len(classes)))
    order = order_by_confusion(counts)
    named = [classes[k] for k in order]
    ordered = counts[np.ix_(order, order)]
    models = dict.fromkeys([model, shared_reference([outcome])])
    several = outcome.n_patients < len(outcome.patients)
    return Detail(
        confused=say_most_confused(counts, classes),
        confusion=pd.DataFrame(ordered, named, named).rename_axis("true").reset_index(),
        bins={name_model(name, task): reliability(y, outcome.proba[name]) for name in models},
        classes=score_classes(y, proba, classes),
        pooled=score(*pool_patients(y, proba, outcome.patients)) if several else None,
    )


def name_model(name: str, task: Task) -> str:
    """The network, or a baseline model's title."""
    return "Network" if name == NETWORK else task.baselines[name].title


def list_values(outcome: Outcome, model: str) -> pd.DataFrame:
    """A regression's held-out samples, the worst predicted first.

    Returns:
        Columns sample, patient, fold, true, predicted, error (predicted - true).
    """
    predicted = outcome.proba[model][:, 0]
    table = pd.DataFrame(
        {
            "sample": outcome.samples,
            "patient": outcome.patients,
            "fold": outcome.folds,
            "true": outcome.y,
            "predicted": predicted,
            "error": predicted - outcome.y,
        }
    )
    return table.sort_values("error", key=abs, ascending=False, ignore_index=True)
