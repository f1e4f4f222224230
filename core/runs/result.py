"""What a run leaves behind, and how to read it: all that reads a run's folder goes through here."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from core.data.notes import Finding
from core.download import hash_file
from core.errors import DamageError, InputError
from core.escape import read_csv
from core.evaluation.intervals import interval
from core.files import UNREADABLE, read_json
from core.home import run_folder, sent_folder
from core.runs.spec import RunSpec
from core.training.tasks import TASKS

KEPT = ("spec.json", "predictions.csv", "folds/*/*.json", "folds/*/*.csv", "folds/*/*.npz",
        "folds/*/*.safetensors")  # fmt: skip
"""Files of a run that its result answers for."""


class RunResult(BaseModel):
    """Scores of a run on the samples that it had not seen, beside baseline models on the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    task: str = "classification"
    """What was predicted: a name in TASKS."""
    classes: list[str]
    """What the network's scores are of: the classes; of a regression the target alone."""
    metrics: dict[str, float]
    """Scores over all held-out samples; with k folds, pooled over the folds."""
    intervals: dict[str, tuple[float, float] | None] = {}
    """95 % intervals of a regression's scores, over patients; empty for classes, whose accuracy has
    `accuracy_interval`."""
    gap: tuple[float, float] | None = None
    """95 % interval over patients of R² minus that of ridge regression; of a regression only."""
    folds: list[dict[str, float]]
    """The same scores on each fold's test samples, and the epoch whose weights were kept."""
    scored: list[int]
    """Folds that `metrics`, `baselines` and `confusion` are of: of a learning curve the last one,
    which has all training samples; else all."""
    baselines: dict[str, dict[str, float]]
    """The same scores of baseline models on the same genes and the same samples. Which of them a
    network is set against says the task: the tuned linear model; of results from before every run
    had it, logistic regression."""
    calibration: dict[str, float] = {}
    """temperature, mean over folds; error_before and error_after dividing by it. Empty for a
    regression, which has no probabilities."""
    n_train: int
    n_validation: int
    n_test: int
    """Numbers of samples; with k folds, n_train and n_validation are the first fold's. A sample
    that several folds tested counts once."""
    confusion: list[list[int]]
    """Rows: true class, columns: predicted class, in the order of `classes`; empty for a
    regression."""
    seconds: float
    """Time that training and testing took, over all attempts."""
    weights: str
    """What the network started from, in one sentence."""
    parameters: int
    device: str
    precision: str
    peak_bytes: int | None = None
    """Most memory in use: of the GPU where there is one, else of the process; None in results from
    before it was measured."""
    versions: dict[str, str]
    findings: list[Finding] | None = None
    """What was found about the data that bears on this result, the gravest first; None in results
    from before it was looked for."""
    notes: list[str]
    files: dict[str, str] = {}
    """File of the run's folder -> SHA-256 when the run ended; empty in results from before that was
    kept."""

    @model_validator(mode="before")
    @classmethod
    def _pool_as_first(cls, document: Any) -> Any:
        """Results of 0.1.0 don't name the folds that they are of: all."""
        if isinstance(document, dict) and "scored" not in document and "folds" in document:
            return {**document, "scored": list(range(len(document["folds"])))}
        return document

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return interval(round(self.metrics["accuracy"] * self.n_test), self.n_test)

    @property
    def chance(self) -> float:
        """Accuracy of always naming the most frequent class of the training samples."""
        return self.baselines["majority"]["accuracy"]


@dataclass(frozen=True)
class Kept:
    """A folder of spec.json, result.json and folds: a finished run's, or what was made of a model
    that somebody sent. The result says what the other files must be.

    Methods that read raise DamageError for a file that is missing, damaged or another one.
    """

    title: str
    """What messages call it: run 0123456789abcdef."""
    folder: Path
    remedy: str
    """What to do about damage: a sentence."""

    @property
    def id(self) -> str:
        """Of the run, or of the model that was sent."""
        return self.folder.name

    @property
    def result(self) -> RunResult:
        """The scores, and the hashes of the other files."""
        try:
            return RunResult.model_validate_json((self.folder / "result.json").read_bytes())
        except (OSError, ValidationError):
            raise self.damage("result.json") from None

    @property
    def spec(self) -> RunSpec:
        """What was asked for."""
        try:
            return RunSpec.restore(json.loads((self.folder / "spec.json").read_bytes()))
        except (OSError, ValueError, InputError):
            raise self.damage("spec.json") from None

    @property
    def problem(self) -> str | None:
        """What is wrong with the files that the result answers for; None when they are whole."""
        try:
            for name in self.result.files:
                self.check(name)
        except InputError as error:
            return str(error)
        return None

    @property
    def gone(self) -> str | None:
        """The first of the files that the result answers for that isn't there; None if all are."""
        return next((name for name in self.result.files if not (self.folder / name).exists()), None)

    def check(self, name: str) -> Path:
        """Where a file stands.

        Of results from before hashes were kept only that it is there is known.
        """
        path, expected = self.folder / name, self._hash_of(name)
        if not path.exists() or (expected and hash_file(path, "sha256") != expected):
            raise self.damage(name)
        return path

    def read(self, name: str) -> bytes:
        """The content of a file."""
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            raise self.damage(name) from None
        expected = self._hash_of(name)
        if expected and hashlib.sha256(content).hexdigest() != expected:
            raise self.damage(name)
        return content

    def damage(self, name: str) -> DamageError:
        """The error for a file that can't be read or isn't what was written."""
        called = self.called
        return DamageError(
            f"{name} of {self.title}{f' ({called})' if called else ''} is missing, damaged or not "
            f"what was written. {self.remedy}"
        )

    @property
    def called(self) -> str | None:
        """What people call it; None where that isn't known."""
        try:
            return str(read_json(self.folder / "listing.json")["name"])
        except UNREADABLE:
            return None

    def _hash_of(self, name: str) -> str | None:
        """A file's SHA-256 when the run ended; None where nothing answers for it."""
        try:
            return self.result.files.get(name)
        except InputError:
            return None


def kept_by(run: str) -> Kept:
    """The folder of a finished run; raises InputError unless `run` is a run id."""
    return Kept(
        f"run {run}",
        run_folder(run),
        "Delete the run, or have it made again: `genecanvas doctor --repair` says how far that "
        "goes.",
    )


def kept_sent(model: str) -> Kept:
    """The folder of a model that somebody sent; raises InputError unless `model` is an id."""
    remedy = "Import the folder that it came as again."
    return Kept(f"model {model}", sent_folder(model), remedy)


def result_path(run: str) -> Path:
    """Where a run's result stands once it is finished."""
    return run_folder(run) / "result.json"


def load_result(run: str) -> RunResult:
    """Read a finished run's result; raises InputError while there is none, or it is damaged."""
    if not result_path(run).exists():
        raise InputError(f"Run {run} has no result yet. See its state with `runs show {run}`.")
    return kept_by(run).result


def load_spec(run: str) -> RunSpec:
    """What a run was asked to do, from its folder; raises InputError when it can't be read."""
    return kept_by(run).spec


def load_predictions(run: str) -> pd.DataFrame:
    """Held-out predictions: sample, fold, true, predicted, tuned_linear, logistic_regression,
    p_<class>...

    Those of earlier versions lack tuned_linear. Of a regression: sample, fold, true, predicted,
    ridge_regression, in the target's unit.

    Raises InputError when there are none yet, or they are not those that the result was made of.
    """
    result, kept, name = load_result(run), kept_by(run), "predictions.csv"
    try:
        task = TASKS[result.task]
        table = read_csv(io.BytesIO(kept.read(name)), dtype=dict.fromkeys(task.texts, str))
        scored = table[table["fold"].isin(result.scored)]
        everything = task.answers(table, result.classes)
        named = task.matches(scored, result.confusion)
    except (ValueError, KeyError):
        raise kept.damage(name) from None
    if not (named and np.isfinite(everything).all()):
        raise kept.damage(name)
    return table


def hash_kept(folder: Path) -> dict[str, str]:
    """File -> SHA-256 of all that a result answers for, in a run's folder."""
    paths = sorted(path for pattern in KEPT for path in folder.glob(pattern))
    return {path.relative_to(folder).as_posix(): hash_file(path, "sha256") for path in paths}


def load_scored(run: str) -> pd.DataFrame:
    """Those of a run's predictions that its result is of; raises InputError as they do."""
    table = load_predictions(run)
    return table[table["fold"].isin(load_result(run).scored)]


def headline(run: str) -> str:
    """One honest sentence: the network's score beside that of the plain model, and chance."""
    result = load_result(run)
    return TASKS[result.task].headline(result, load_scored(run))
