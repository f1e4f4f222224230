"""Linear models as several methods of transfer use them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from core.models.baselines import fit_predict_proba, one_thread
from core.models.gene_models import scale_of
from core.transfer.problem import Problem

if TYPE_CHECKING:
    from core.models.gene_networks import Trained

MODEL = "ridge_regression"
"""In BASELINES: the model of the references that methods are compared with."""


def answer(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, asked: np.ndarray, problem: Problem
) -> np.ndarray:
    """What ridge regression of samples (n, genes), classes (n,) and patients (n,) says.

    Returns:
        (asked, classes) probabilities. Where all n samples are of one class, it is certain.
    """
    if len(np.unique(y)) == 1:
        return np.eye(problem.n_classes)[np.full(len(asked), y[0])]
    return fit_predict_proba(MODEL, x, y, asked, problem.n_classes, problem.seed, patients=groups)


def answer_by(train: Callable[[Problem], Trained], problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of a network that is trained for the problem."""
    return train(problem).answer(problem.test)


def answer_sparsely(
    x: np.ndarray, y: np.ndarray, asked: np.ndarray, classes: int, seed: int
) -> np.ndarray:
    """(asked, classes) probabilities of an L1-penalised logistic regression (C = 1), one a class.

    Features get a mean of 0 and an SD of 1 in the n training samples.
    """
    from sklearn.linear_model import LogisticRegression

    mean, spread = scale_of(x)
    scores = np.zeros((len(asked), classes))
    met = np.unique(y)
    if len(met) == 1:
        return np.eye(classes)[np.full(len(asked), met[0])]
    # of two classes one model says all
    for number in met[1:] if len(met) == 2 else met:
        model = LogisticRegression(l1_ratio=1, solver="liblinear", C=1.0, random_state=seed)
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit((x - mean) / spread, y == number)
        scores[:, number] = model.predict_proba((asked - mean) / spread)[:, 1]
    if len(met) == 2:
        scores[:, met[0]] = 1 - scores[:, met[1]]
    scores[:, met] += 1e-12
    return scores / scores.sum(axis=1, keepdims=True)


def source_classes(problem: Problem) -> np.ndarray:
    """The classes of the source; raises InputError where it is labelled by a number."""
    if np.issubdtype(problem.source_labels.dtype, np.floating):
        raise InputError(
            "This method learns classes from the source, and the source is labelled by a number. "
            "Cut the number into classes, or take a method that learns from numbers."
        )
    return problem.source_labels


def pool(problem: Problem) -> np.ndarray:
    """All target samples that may be learned from, labelled or not."""
    return np.concatenate([problem.target, problem.unlabelled])


def domain_auc(x: np.ndarray, from_target: np.ndarray, seed: int) -> float:
    """How well a fresh logistic regression tells target samples from source samples.

    Each sample is scored by a model of the other four fifths, and features are standardised by
    those alone: statistics fitted with the scored samples push the AUROC below chance.

    Args:
        x: (samples, features).
        from_target: (samples,) whether each is a target sample.
        seed: of the division into fifths.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(5, int(min(from_target.sum(), (~from_target).sum())))
    if folds < 2:
        raise InputError(
            "Telling cohorts apart needs at least two samples of each. "
            f"There are {from_target.sum()} target and {(~from_target).sum()} source samples."
        )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with one_thread():
        said = cross_val_predict(model, x, from_target, cv=splits, method="decision_function")
    return float(roc_auc_score(from_target, said))
