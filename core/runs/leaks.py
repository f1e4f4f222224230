"""What a run's initial weights have learned from, and that none of it is what the run tests.

Every door to a training leads through `find_starts`: `execute` asks it before the first fold.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.data.notes import Finding
from core.data.store import read_column
from core.errors import InputError
from core.runs.fitted import FittedModel, load_fitted
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.study import Study
from core.training.splits import Fold

if TYPE_CHECKING:
    from core.models.weights import RunWeights


class Learned(BaseModel):
    """The samples that one network was fitted on: those that train, and those that validate."""

    model_config = ConfigDict(frozen=True)

    run: str
    fold: int
    dataset: str
    samples: list[str]
    patients: list[str] | None
    """Whom the samples are from; None where the run had no patient column."""
    permuted: bool | None = None
    """Whether it learned permuted labels; None in folds from before that was recorded."""


class Start(BaseModel):
    """The network whose weights a fold starts from."""

    model_config = ConfigDict(frozen=True)

    fold: int
    """Of the run that the specification names."""
    learned: list[Learned]
    """What it was fitted on, then what those networks were whose weights it started from."""


def parent_of_weights(spec: RunSpec) -> str | None:
    """The run whose weights a run starts from; None for other weights."""
    kind, _, value = spec.network.weights.partition(":")
    return value if kind == "run" else None


def describe_fitting(run: str, spec: RunSpec, study: Study, number: int) -> Learned:
    """What the network of a fold of the run with the id `run` is fitted on."""
    fitting = study.folds[number].fitting
    patients = None if study.patients is None else np.unique(study.patients[fitting]).tolist()
    return Learned(
        run=run, fold=number, dataset=spec.cohort.dataset, samples=study.samples[fitting].tolist(),
        patients=patients, permuted=spec.permute_labels,
    )  # fmt: skip


def find_starts(spec: RunSpec, study: Study) -> list[Start] | None:
    """For each fold, a network of the run it starts from that has seen nothing of what it tests.

    That of the fold of the same number where both runs have as many folds, else the first one of
    those that the run's scores are of; where every one has seen something and that is allowed, the
    one that has seen least. None for weights that are of no run.

    Raises:
        InputError: every network has learned from samples, or from patients, that would be tested,
            and the specification doesn't allow it; the run has no result, or nobody can tell any
            more what its weights learned from.
    """
    run = parent_of_weights(spec)
    if run is None:
        return None
    result = load_result(run)
    same = len(result.folds) == len(study.folds)
    known: dict[int, list[Learned]] = {}
    starts = []
    for number, fold in enumerate(study.folds):
        sizes = {}
        for candidate in dict.fromkeys([*([number] if same else []), *result.scored]):
            if candidate not in known:
                known[candidate] = _read_learned(run, candidate)
            sizes[candidate] = _Leak(spec, study, fold, known[candidate]).size
            if not sizes[candidate]:
                break
        best = min(sizes, key=sizes.get)
        starts.append(Start(fold=best, learned=known[best]))
    leak = _say_leak(spec, study, starts)
    if leak and not spec.network.allow_leak:
        raise InputError(
            f"{leak} would test. Scores on samples that weights have learned from are too good. "
            "Start from a run on the same samples with the same split and seed, from ImageNet's "
            "weights, or from scratch. (The setting allow_leak of the network allows it, and every "
            "result then says so.)"
        )
    return starts


def start_weights(spec: RunSpec, start: Start | None) -> "RunWeights | None":
    """The network that a fold starts from; None for weights that are of no run.

    Raises InputError when it is missing or damaged.
    """
    run = parent_of_weights(spec)
    return None if run is None or start is None else load_fitted(run, start.fold).weights


def find_leak(spec: RunSpec, study: Study, starts: Sequence[Start] | None) -> list[Finding]:
    """The finding that a run tests what its weights have learned from; empty where it doesn't."""
    leak = _say_leak(spec, study, starts or [])
    if not leak:
        return []
    message = (
        f"{leak} tests, which its specification allows (allow_leak): the scores are too good, and "
        "nobody can tell by how much."
    )
    return [Finding(severity="warning", code="leak", message=message, decisive=True)]


def say_start(spec: RunSpec, study: Study, starts: Sequence[Start] | None) -> list[str]:
    """What a reader of a run's numbers must know about its initial weights."""
    kind, _, value = spec.network.weights.partition(":")
    if kind == "file":
        return [
            f"Nobody can tell here what the weights in {Path(value).name} learned from: if samples "
            "or patients that are tested here were among it, the scores are too good."
        ]
    if not starts:
        return []
    folds = ", ".join(f"{start.fold + 1}" for start in starts)
    taken = f"fold {folds}" if len(starts) == 1 else f"folds {folds}, one for each fold"
    begun = f"Started from the weights of run {value}, {taken}"
    if leak := find_leak(spec, study, starts):
        return [f"{begun}.", leak[0].message]
    what = "none of the labels" if spec.permute_labels else "no sample and no patient"
    return [f"{begun}, which had learned from {what} that is tested here."]


class _Leak:
    """The tested samples of a fold that a network has learned from."""

    def __init__(self, spec: RunSpec, study: Study, fold: Fold, learned: Sequence[Learned]) -> None:
        self.seen = np.zeros(len(study.samples), dtype=bool)
        """(samples,) the very samples"""
        self.known = np.zeros(len(study.samples), dtype=bool)
        """(samples,) others, of patients whose samples it learned from"""
        self.runs: list[str] = []
        """Who learned from them, the nearest first"""
        tested = np.isin(np.arange(len(study.samples)), fold.test)
        for one in learned:
            if spec.permute_labels and one.permuted is False:
                continue  # what it learned of a sample says nothing about the label that it drew
            seen, known = _compare(one, spec.cohort.dataset, study)
            if (tested & (seen | known)).any():
                self.runs.append(one.run)
            self.seen |= tested & seen
            self.known |= tested & known
        self.known &= ~self.seen
        self.size = int(self.seen.sum() + self.known.sum())


def _compare(learned: Learned, dataset: str, study: Study) -> tuple[np.ndarray, np.ndarray]:
    """(samples,) which of a study's samples, and which of their patients, were learned from.

    Samples are those of one dataset; patients are whoever bears the same id in any. Where one of
    the two runs doesn't know its patients, a sample counts as its own patient in another dataset:
    the same file with one label more is another dataset.
    """
    seen = np.isin(study.samples, learned.samples)
    nobody = np.zeros(len(seen), dtype=bool)
    if study.patients is None:
        return seen, nobody
    known = set(learned.patients or [])
    if learned.dataset == dataset:
        known |= set(study.patients[seen])
    elif learned.patients is not None:
        seen = nobody
    return seen, np.isin(study.patients, list(known - {""}))


def _say_leak(spec: RunSpec, study: Study, starts: Sequence[Start]) -> str:
    """How much of what is tested the folds' starts learned from, up to the verb; or nothing."""
    leaks = [
        _Leak(spec, study, fold, start.learned)
        for fold, start in zip(study.folds, starts, strict=False)
    ]
    if not any(leak.size for leak in leaks):
        return ""
    run = parent_of_weights(spec)
    seen = np.any([leak.seen for leak in leaks], axis=0)
    known = np.any([leak.known for leak in leaks], axis=0) & ~seen
    tested = len(np.unique(np.concatenate([fold.test for fold in study.folds])))
    runs = dict.fromkeys(name for leak in leaks for name in leak.runs)
    who = f"Run {run}"
    if list(runs) != [run]:
        others = ", ".join(name for name in runs if name != run)
        who += f", which went on from the weights of another ({others}),"
    parts = [
        words
        for count, words in (
            (seen.sum(), f"from {seen.sum()}"),
            (known.sum(), f"from the patients of {known.sum()}{' more' if seen.any() else ''}"),
        )
        if count
    ]
    return f"{who} learned {' and '.join(parts)} of the {tested} samples that this run"


def _read_learned(run: str, fold: int) -> list[Learned]:
    """What a fold's network learned from, itself or by what it started from.

    Raises InputError when that can't be told any more.
    """
    fitted = load_fitted(run, fold)
    if fitted.learned_from is None:
        return _reconstruct(fitted)
    try:
        return [Learned.model_validate(one) for one in fitted.learned_from]
    except ValueError:
        raise fitted.kept.damage(f"folds/{fold}/fold.json") from None


def _reconstruct(fitted: FittedModel) -> list[Learned]:
    """The same for a fold from before it was recorded, when runs began from a run's first fold."""
    spec = fitted.spec
    samples, patients = [*fitted.train.tolist(), *fitted.validation.tolist()], None
    if spec.cohort.group is not None:
        patients = sorted(set(read_column(spec.cohort.dataset, spec.cohort.group).loc[samples]))
    own = Learned(
        run=fitted.run, fold=fitted.fold, dataset=spec.cohort.dataset, samples=samples,
        patients=patients, permuted=spec.permute_labels,
    )  # fmt: skip
    before = parent_of_weights(spec)
    return [own] if before is None else [own, *_read_learned(before, 0)]
