"""What a run's initial weights have learned from, and that none of it is what the run tests.

Every door to a training leads through `find_sources`: `execute` asks it before the first fold.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.data.store import read_column
from core.errors import InputError
from core.files import read_json
from core.home import run_folder
from core.runs.result import load_result, load_spec
from core.runs.spec import RunSpec
from core.runs.study import Study
from core.training.splits import Fold


class Learned(BaseModel):
    """The samples that one network was fitted on: those that train, and those that validate."""

    model_config = ConfigDict(frozen=True)

    run: str
    fold: int
    dataset: str
    samples: list[str]
    patients: list[str] | None
    """Whom the samples are from; None where the run had no patient column."""


class Source(BaseModel):
    """The network whose weights a fold starts from."""

    model_config = ConfigDict(frozen=True)

    fold: int
    """Of the run that the specification names."""
    learned: list[Learned]
    """What it was fitted on, then what those networks were whose weights it started from."""


def source_run(spec: RunSpec) -> str | None:
    """The run whose weights a run starts from; None for other weights."""
    kind, _, value = spec.network.weights.partition(":")
    return value if kind == "run" else None


def describe_fitting(spec: RunSpec, study: Study, number: int) -> Learned:
    """What a fold's own network is fitted on."""
    fitting = study.folds[number].fitting
    patients = None if study.patients is None else np.unique(study.patients[fitting]).tolist()
    return Learned(
        run=spec.id, fold=number, dataset=spec.cohort.dataset,
        samples=study.samples[fitting].tolist(),
        patients=patients,
    )  # fmt: skip


def find_sources(spec: RunSpec, study: Study) -> list[Source] | None:
    """For each fold, a network of the run it starts from that has seen nothing of what it tests.

    That of the fold of the same number where both runs have as many folds, else the first one of
    those that the run's scores are of. None for weights that are of no run.

    Raises:
        InputError: every network has learned from samples, or from patients, that would be tested;
            the run has no result, or nobody can tell any more what its weights learned from.
    """
    run = source_run(spec)
    if run is None:
        return None
    result = load_result(run)
    same = len(result.folds) == len(study.folds)
    kept: dict[int, list[Learned]] = {}
    sources, leaks = [], []
    for number, fold in enumerate(study.folds):
        candidates = dict.fromkeys([*([number] if same else []), *result.scored])
        found = []
        for candidate in candidates:
            if candidate not in kept:
                kept[candidate] = _read_learned(run, candidate)
            leak = _Leak(spec, study, fold, kept[candidate])
            if not leak.size:
                sources.append(Source(fold=candidate, learned=kept[candidate]))
                break
            found.append(leak)
        else:
            leaks.append(min(found, key=lambda leak: leak.size))
    if leaks:
        raise InputError(_say_leak(run, study, leaks))
    return sources


def say_start(spec: RunSpec, sources: Sequence[Source] | None) -> list[str]:
    """What a reader of a run's numbers must know about its initial weights."""
    kind, _, value = spec.network.weights.partition(":")
    if kind == "file":
        return [
            f"Nobody can tell here what the weights in {Path(value).name} learned from: if samples "
            "or patients that are tested here were among it, the scores are too good."
        ]
    if not sources:
        return []
    folds = ", ".join(f"{source.fold + 1}" for source in sources)
    taken = f"fold {folds}" if len(sources) == 1 else f"folds {folds}, one for each fold"
    return [
        f"Started from the weights of run {value}, {taken}, which had learned from no sample and "
        "no patient that is tested here."
    ]


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


def _say_leak(run: str, study: Study, leaks: Sequence[_Leak]) -> str:
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
    return (
        f"{who} learned {' and '.join(parts)} of the {tested} samples that this run would test. "
        "Scores on samples that weights have learned from are too good. Start from a run on the "
        "same samples with the same split and seed, from ImageNet's weights, or from scratch."
    )


def _read_learned(run: str, fold: int) -> list[Learned]:
    """What a fold's network learned from, itself or by what it started from.

    Raises InputError when that can't be told any more.
    """
    path = run_folder(run) / "folds" / str(fold) / "fold.json"
    if not path.exists():
        raise InputError(
            f"Run {run} has no trained network to start from (expected {path}). Choose a finished "
            "run, or train that one again."
        )
    record = read_json(path)
    if "learned_from" in record:
        return [Learned.model_validate(one) for one in record["learned_from"]]
    return _reconstruct(run, fold, record["parts"])


def _reconstruct(run: str, fold: int, parts: dict[str, list[str]]) -> list[Learned]:
    """The same for a fold from before it was recorded, when runs began from a run's first fold."""
    spec = load_spec(run)
    samples, patients = parts["train"] + parts["validation"], None
    if spec.cohort.group is not None:
        patients = sorted(set(read_column(spec.cohort.dataset, spec.cohort.group).loc[samples]))
    own = Learned(
        run=run, fold=fold, dataset=spec.cohort.dataset, samples=samples, patients=patients
    )
    before = source_run(spec)
    return [own] if before is None else [own, *_read_learned(before, 0)]
