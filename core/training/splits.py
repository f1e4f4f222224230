"""Which samples train, validate and test; the samples of one patient always stay together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.errors import InputError
from core.records import Registry

MOST_BATCHES = 30
"""Each batch that is left out costs a training."""
TOLERANCE = 0.1
"""How far the test share may be from the one asked for, beyond one sample a class."""


class SplitSpec(BaseModel):
    """How samples are divided into training, validation and test samples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field("holdout", title="Split")
    test_size: float = Field(
        0.3,
        ge=0.05,
        le=0.9,
        title="Test share",
        description="Of a hold-out split, of each of its repeats, and of a learning curve.",
    )
    folds: int = Field(5, ge=2, le=20, title="Folds", description="Of a k-fold split.")
    repeats: int = Field(
        5, ge=2, le=50, title="Repeats", description="So often a repeated split is drawn anew."
    )
    batch: str | None = Field(
        None,
        title="Batch",
        description="Column of the samples that holds the batch, such as the hospital.",
    )
    sizes: int = Field(
        4,
        ge=2,
        le=10,
        title="Sizes",
        description="Of a learning curve: all training samples, half of them, a quarter, and so "
        "on.",
    )
    validation: float = Field(
        0.1,
        ge=0.05,
        le=0.5,
        title="Validation share",
        description="Share of the training samples that is watched while the others train, and "
        "by which probabilities are calibrated.",
    )

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        return SPLITS.check(kind)

    @model_validator(mode="after")
    def _name_a_batch(self) -> "SplitSpec":
        if self.kind == "leave_one_batch_out" and self.batch is None:
            raise ValueError("Leaving out one batch at a time needs the column of the batch.")
        return self

    @property
    def record(self) -> "Split":
        """The record of its kind."""
        return SPLITS[self.kind]

    def title(self) -> str:
        """The split in a few words: '70/30', '5-fold', '5 x 70/30'."""
        return self.record.describe(self)

    def ratio(self) -> str:
        """Training and test share in per cent: '70/30'."""
        test = round(100 * self.test_size)
        return f"{100 - test}/{test}"


@dataclass(frozen=True)
class Samples:
    """What a split may look at."""

    y: np.ndarray
    """(samples,) strata: class names, or ranges of a value."""
    patients: np.ndarray
    """(samples,) patients; each sample its own where they aren't known."""
    batches: np.ndarray | None
    """(samples,) batches, where the split asks for them."""
    noun: str
    """What `patients` are, for messages: 'patients' or 'samples'."""
    stratum: str = "class"
    """What each of `y` is, for messages."""


Part = tuple[np.ndarray, np.ndarray]
"""Positions of samples to fit on, and of test samples."""


@dataclass(frozen=True)
class Split:
    """One way to divide samples."""

    name: str
    title: str
    help: str
    reference: str
    fields: tuple[str, ...]
    """Fields of SplitSpec that it reads, beside `validation`."""
    divide: Callable[[Samples, SplitSpec, int], list[Part]]
    describe: Callable[[SplitSpec], str]
    pools: bool
    """Whether each sample is tested at most once, so that the folds' predictions may be pooled."""
    version: int = 1
    """Raised when it divides samples otherwise."""


@dataclass(frozen=True)
class Fold:
    """Sample positions of the three parts, each sorted; no sample is in two of them."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @property
    def fitting(self) -> np.ndarray:
        """Training and validation samples: all that anything fitted may see."""
        return np.sort(np.concatenate([self.train, self.validation]))


def make_folds(
    labels: Sequence[str],
    groups: Sequence[str] | None,
    spec: SplitSpec,
    seed: int,
    batches: Sequence[str] | None = None,
    stratum: str = "class",
) -> list[Fold]:
    """Divide samples stratified by label, with all samples of a group (patient) on one side.

    Args:
        labels: the stratum of each sample, such as its class.
        groups: the patient of each sample; None where they aren't known.
        spec: how to divide.
        seed: decides which samples go where.
        batches: the batch of each sample, for `leave_one_batch_out`.
        stratum: what a label is, for messages.

    Raises:
        InputError: there is one class only, or the samples can't be divided as asked; names what
            is in the way and the largest split that is possible.
    """
    y = np.asarray(labels, dtype=str)
    patients = np.arange(len(y)).astype(str) if groups is None else np.asarray(groups, dtype=str)
    samples = Samples(
        y,
        patients,
        None if batches is None else np.asarray(batches, dtype=str),
        noun="samples" if groups is None else "patients",
        stratum=stratum,
    )
    _check_classes(samples, spec)
    folds = []
    for number, (fitting, test) in enumerate(spec.record.divide(samples, spec, seed)):
        taken = _take_share(y[fitting], patients[fitting], spec.validation, seed + number)
        validation = fitting[taken]
        fold = Fold(np.setdiff1d(fitting, validation), validation, np.sort(test))
        _check_fold(samples, fold, number)
        folds.append(fold)
    return folds


def hold_out(samples: Samples, spec: SplitSpec, seed: int) -> list[Part]:
    """One test part of about `spec.test_size` of each class.

    Raises:
        InputError: whole patients don't add up to a share near the one asked for.
    """
    test = _take_share(samples.y, samples.patients, spec.test_size, seed)
    share, count = len(test) / len(samples.y), len(samples.y)
    if abs(share - spec.test_size) > TOLERANCE + len(np.unique(samples.y)) / count:
        raise InputError(
            f"A test share of {spec.test_size:.0%} can't be had: {samples.noun} stay whole, and "
            f"the nearest that they add up to is {share:.0%}. Ask for {share:.0%}."
        )
    return [(np.setdiff1d(np.arange(count), test), test)]


def divide_in_folds(samples: Samples, spec: SplitSpec, seed: int) -> list[Part]:
    """k parts, each the test part once."""
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(spec.folds, shuffle=True, random_state=seed)
    return list(splitter.split(samples.y, samples.y, samples.patients))


def leave_batches_out(samples: Samples, spec: SplitSpec, seed: int) -> list[Part]:
    """Each batch the test part once; samples of its patients in other batches train nothing.

    Raises:
        InputError: there is one batch only, there are too many, or a class is in one batch only.
    """
    if samples.batches is None:
        raise InputError("Leaving out one batch at a time needs the batch of each sample.")
    names = np.unique(samples.batches)
    if not 2 <= len(names) <= MOST_BATCHES:
        raise InputError(
            f"Leaving out one batch at a time needs 2 to {MOST_BATCHES} batches, but {spec.batch} "
            f"has {len(names)} values. Choose another column."
        )
    lonely = {
        str(name): found[0]
        for name in np.unique(samples.y)
        if len(found := np.unique(samples.batches[samples.y == name])) == 1
    }
    if lonely:
        found = ", ".join(f"{name} (only in {batch})" for name, batch in lonely.items())
        raise InputError(
            f"Without its only batch there is nothing to learn a {samples.stratum} from: {found}. "
            "Leave these samples out, or choose another split."
        )
    parts = []
    for name in names:
        test = np.flatnonzero(samples.batches == name)
        parts.append((np.flatnonzero(~np.isin(samples.patients, samples.patients[test])), test))
    return parts


def halve_training(samples: Samples, spec: SplitSpec, seed: int) -> list[Part]:
    """One hold-out test part, and `spec.sizes` nested parts to fit on, the smallest first."""
    [(fitting, test)] = hold_out(samples, spec, seed)
    parts = [(fitting, test)]
    for halving in range(1, spec.sizes):
        fitting = fitting[_take_share(samples.y[fitting], samples.patients[fitting], 0.5, seed)]
        counts = _count_patients(samples.y[fitting], samples.patients[fitting])
        small = [name for name in np.unique(samples.y) if counts.get(name, 0) < 2]
        if small:
            raise InputError(
                f"A learning curve of {spec.sizes} sizes leaves fewer than 2 {samples.noun} of "
                f"{', '.join(small)} to train and validate on in its smallest part. At most "
                f"{halving} sizes are possible."
            )
        parts.append((fitting, test))
    return parts[::-1]


def repeat(divide: Callable[[Samples, SplitSpec, int], list[Part]]) -> Callable:
    """The same division `spec.repeats` times, each time drawn anew."""

    def divide_repeatedly(samples: Samples, spec: SplitSpec, seed: int) -> list[Part]:
        draws = np.random.default_rng(seed).integers(2**31, size=spec.repeats)
        return [part for draw in draws for part in divide(samples, spec, int(draw))]

    return divide_repeatedly


SPLITS = Registry(
    "split",
    [
        Split(
            name="holdout",
            title="Hold-out",
            help="One part is held out and tested once.",
            reference="",
            fields=("test_size",),
            divide=hold_out,
            describe=SplitSpec.ratio,
            pools=True,
        ),
        Split(
            name="kfold",
            title="k-fold",
            help="Every sample is held out once, and a network trained for each fold.",
            reference="Stone 1974, J. R. Stat. Soc. B 36:111",
            fields=("folds",),
            divide=divide_in_folds,
            describe=lambda spec: f"{spec.folds}-fold",
            pools=True,
        ),
        Split(
            name="repeated_holdout",
            title="Repeated hold-out",
            help="Several hold-out splits, each drawn anew: their spread shows how much one split "
            "says.",
            reference="Nadeau and Bengio 2003, Mach. Learn. 52:239",
            fields=("test_size", "repeats"),
            divide=repeat(hold_out),
            describe=lambda spec: f"{spec.repeats} x {spec.ratio()}",
            pools=False,
        ),
        Split(
            name="repeated_kfold",
            title="Repeated k-fold",
            help="k-fold several times, each time drawn anew.",
            reference="Bouckaert and Frank 2004, PAKDD",
            fields=("folds", "repeats"),
            divide=repeat(divide_in_folds),
            describe=lambda spec: f"{spec.repeats} x {spec.folds}-fold",
            pools=False,
        ),
        Split(
            name="leave_one_batch_out",
            title="Leave one batch out",
            help="Each batch, such as a hospital, is held out once: how well does the network do "
            "on one that it never saw?",
            reference="",
            fields=("batch",),
            divide=leave_batches_out,
            describe=lambda spec: f"each {spec.batch} left out",
            pools=True,
        ),
        Split(
            name="learning_curve",
            title="Learning curve",
            help="One test part, and fewer and fewer training samples: would more samples help?",
            reference="Mukherjee et al. 2003, J. Comput. Biol. 10:119",
            fields=("test_size", "sizes"),
            divide=halve_training,
            describe=lambda spec: f"{spec.ratio()}, {spec.sizes} training sizes",
            pools=False,
        ),
    ],
)


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


def _count_patients(y: np.ndarray, patients: np.ndarray) -> dict[str, int]:
    return {str(name): len(np.unique(patients[y == name])) for name in np.unique(y)}


def _check_classes(samples: Samples, spec: SplitSpec) -> None:
    counts = _count_patients(samples.y, samples.patients)
    if len(counts) < 2:
        found = f"only {next(iter(counts))!r}" if counts else "no samples"
        raise InputError(f"Training needs at least two classes, found {found}.")
    in_folds = "folds" in spec.record.fields
    needed = max(spec.folds, 3) if in_folds else 3
    small = {name: count for name, count in counts.items() if count < needed}
    if small:
        found = ", ".join(f"{name} has {count}" for name, count in small.items())
        most = min(counts.values())
        raise InputError(
            f"A {spec.title()} split with a validation part needs at least {needed} {samples.noun} "
            f"in each {samples.stratum}, but {found}. Add {samples.noun}, leave these out"
            + (f", or take {most} folds." if in_folds and most >= 3 else ".")
        )


def _check_fold(samples: Samples, fold: Fold, number: int) -> None:
    """Every tested class was learned, and no patient is on two sides."""
    trained, tested = set(samples.y[fold.train]), set(samples.y[fold.test])
    wanted = tested if samples.batches is not None else set(samples.y)
    for part, absent in (("training", wanted - trained), ("test", wanted - tested)):
        if absent:
            raise InputError(
                f"Fold {number + 1} has no {part} sample of {', '.join(sorted(absent))}: too few "
                f"{samples.noun} for this split. Leave these out, or choose another split."
            )
    sides = [set(samples.patients[part]) for part in (fold.train, fold.validation, fold.test)]
    if sum(map(len, sides)) != len(set.union(*sides)):
        raise InputError(f"Fold {number + 1} has a patient on two sides: please report this.")
