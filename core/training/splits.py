"""Which samples train, validate and test; the samples of one patient always stay together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sklearn.model_selection import StratifiedGroupKFold

from core.errors import InputError


class SplitSpec(BaseModel):
    """How samples are divided: one hold-out part, or k folds that each are held out once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["holdout", "kfold"] = Field("holdout", title="Split")
    test_size: float = Field(
        0.3, ge=0.05, le=0.9, title="Test share", description="Of a hold-out split."
    )
    folds: int = Field(5, ge=2, le=20, title="Folds", description="Of a k-fold split.")
    validation: float = Field(
        0.15,
        ge=0.05,
        le=0.5,
        title="Validation share",
        description="Share of the training samples that decides when to stop.",
    )

    def title(self) -> str:
        """The split in a word: '70/30' or '5-fold'."""
        if self.kind == "kfold":
            return f"{self.folds}-fold"
        test = round(100 * self.test_size)
        return f"{100 - test}/{test}"


@dataclass(frozen=True)
class Fold:
    """Sample positions of the three parts, each sorted; together they are all samples."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def fitting(self) -> np.ndarray:
        """Training and validation samples: all that anything fitted may see."""
        return np.sort(np.concatenate([self.train, self.validation]))


def make_folds(
    labels: Sequence[str], groups: Sequence[str] | None, spec: SplitSpec, seed: int
) -> list[Fold]:
    """Divide samples stratified by label, with all samples of a group (patient) on one side.

    Raises InputError when there is one class only or a class has too few groups for the split.
    """
    y = np.asarray(labels, dtype=str)
    patients = np.arange(len(y)).astype(str) if groups is None else np.asarray(groups, dtype=str)
    _check_classes(y, patients, spec, noun="samples" if groups is None else "patients")
    if spec.kind == "holdout":
        test_sets = [_take_share(y, patients, spec.test_size, seed)]
    else:
        splitter = StratifiedGroupKFold(spec.folds, shuffle=True, random_state=seed)
        test_sets = [test for _, test in splitter.split(y, y, patients)]
    folds = []
    for test in test_sets:
        rest = np.setdiff1d(np.arange(len(y)), test)
        validation = rest[_take_share(y[rest], patients[rest], spec.validation, seed)]
        folds.append(Fold(np.setdiff1d(rest, validation), validation, np.sort(test)))
    for number, fold in enumerate(folds):
        _check_fold(y, fold, number)
    return folds


def _take_share(y: np.ndarray, patients: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Positions of about `share` of each class, at least one patient, in whole patients.

    Patients come in random order; one is taken when that brings the number of samples per class
    nearer (in squares) to what is wanted.
    """
    _, y = np.unique(y, return_inverse=True)
    names, patients = np.unique(patients, return_inverse=True)
    counts = np.zeros((len(names), y.max() + 1))
    np.add.at(counts, (patients, y), 1)
    smallest = np.where(counts > 0, counts, np.inf).min(axis=0)
    missing = np.maximum(share * counts.sum(axis=0), smallest)
    taken = np.zeros(len(names), dtype=bool)
    for patient in np.random.default_rng(seed).permutation(len(names)):
        after = missing - counts[patient]
        if (after**2).sum() < (missing**2).sum():
            taken[patient] = True
            missing = after
    return np.flatnonzero(taken[patients])


def _check_classes(y: np.ndarray, patients: np.ndarray, spec: SplitSpec, noun: str) -> None:
    classes = np.unique(y)
    if len(classes) < 2:
        found = f"only {str(classes[0])!r}" if len(classes) else "no samples"
        raise InputError(f"Training needs at least two classes, found {found}.")
    needed = 3 if spec.kind == "holdout" else max(spec.folds, 3)
    counts = {name: len(np.unique(patients[y == name])) for name in classes}
    small = {name: count for name, count in counts.items() if count < needed}
    if small:
        found = ", ".join(f"{name} has {count}" for name, count in small.items())
        raise InputError(
            f"A {spec.title()} split with a validation part needs at least {needed} {noun} in each "
            f"class, but {found}. Add {noun}, leave these classes out"
            + (", or take fewer folds." if spec.kind == "kfold" else ".")
        )


def _check_fold(y: np.ndarray, fold: Fold, number: int) -> None:
    for part, positions in (("training", fold.train), ("test", fold.test)):
        absent = sorted(set(y) - set(y[positions]))
        if absent:
            raise InputError(
                f"Fold {number + 1} has no {part} sample of {', '.join(absent)}: too few patients "
                "for this split. Leave these classes out, or choose another split."
            )
