"""What every method is compared with: models without any idea of transfer.

All are ridge regressions of the classes whose penalty is chosen on inner folds, patients together
(`core.models.tuned`), so that they differ in nothing but the samples that they learn from.
"""

import numpy as np

from core.models.baselines import fit_predict_proba
from core.records import Registry
from core.transfer.problem import Problem, TransferMethod

MODEL = "ridge_regression"
"""A name in BASELINES."""
WEIGHT = 5
"""How much more a target sample counts than a source sample, where it counts more."""
REFERENCE = "Hoerl and Kennard 1970"


def _target_only(problem: Problem) -> np.ndarray:
    """Without two classes of labelled target samples nothing is known."""
    if len(np.unique(problem.target_labels)) < 2:
        return np.full((len(problem.test), problem.n_classes), 1 / problem.n_classes)
    return _fit(problem, problem.target, problem.target_labels, problem.target_groups)


def _source_only(problem: Problem) -> np.ndarray:
    return _fit(problem, problem.source, problem.source_labels, problem.source_groups)


def _pooled(problem: Problem, weight: int = 1) -> np.ndarray:
    """A weight is so many copies; a patient's copies are in one inner fold."""
    copies = [problem.target] * weight
    return _fit(
        problem,
        np.concatenate([problem.source, *copies]),
        np.concatenate([problem.source_labels, *[problem.target_labels] * weight]),
        np.concatenate([problem.source_groups, *[problem.target_groups] * weight]),
    )


def _pooled_weighted(problem: Problem) -> np.ndarray:
    return _pooled(problem, WEIGHT)


def _fit(problem: Problem, x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return fit_predict_proba(MODEL, x, y, problem.test, problem.n_classes, problem.seed, groups)


TARGET_ONLY, SOURCE_ONLY, POOLED = "target_only", "source_only", "pooled"
REFERENCES: Registry[TransferMethod] = Registry(
    "reference",
    [
        TransferMethod(
            name=TARGET_ONLY,
            title="Target only",
            description="Learned from the labelled target samples alone: what every other line is "
            "compared with.",
            scenario="inductive",
            reference=REFERENCE,
            departs="",
            seconds=0.02,
            fit=_target_only,
            learns_from="target",
        ),
        TransferMethod(
            name=SOURCE_ONLY,
            title="Source only",
            description="Learned from the source, applied to the target as it is.",
            scenario="transductive",
            reference=REFERENCE,
            departs="",
            seconds=0.05,
            fit=_source_only,
        ),
        TransferMethod(
            name=POOLED,
            title="Pooled",
            description="Learned from source and labelled target samples together.",
            scenario="inductive",
            reference=REFERENCE,
            departs="",
            seconds=0.05,
            fit=_pooled,
        ),
        TransferMethod(
            name="pooled_weighted",
            title=f"Pooled, target x {WEIGHT}",
            description=f"The same, with each target sample counted {WEIGHT} times.",
            scenario="inductive",
            reference=REFERENCE,
            departs="",
            seconds=0.1,
            fit=_pooled_weighted,
            min_target=1,
        ),
    ],
)
"""The references, in the order in which they are shown."""
