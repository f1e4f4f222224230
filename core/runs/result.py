"""What a run leaves behind, and how to read it: all that reads a run's folder goes through here."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from core.data.notes import Finding
from core.download import hash_file
from core.errors import DamageError, InputError
from core.escape import read_csv
from core.evaluation.differences import LEVEL, corrected_t, mcnemar, say_verdict
from core.evaluation.intervals import interval
from core.home import run_folder
from core.runs.spec import RunSpec

KEPT = ("spec.json", "predictions.csv", "folds/*/*.json", "folds/*/*.csv", "folds/*/*.npz",
        "folds/*/*.safetensors")  # fmt: skip
"""Files of a run that its result answers for."""


class RunResult(BaseModel):
    """Scores of a run on the samples that it had not seen, beside baseline models on the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    classes: list[str]
    metrics: dict[str, float]
    """Scores over all held-out samples; with k folds, pooled over the folds."""
    folds: list[dict[str, float]]
    """The same scores on each fold's test samples, and the epoch whose weights were kept."""
    scored: list[int]
    """Folds that `metrics`, `baselines` and `confusion` are of: of a learning curve the last one,
    which has all training samples; else all."""
    baselines: dict[str, dict[str, float]]
    """The same scores of baseline models on the same genes and the same samples."""
    calibration: dict[str, float] = {}
    """temperature, mean over folds; error_before and error_after dividing by it."""
    n_train: int
    n_validation: int
    n_test: int
    """Numbers of samples; with k folds, n_train and n_validation are the first fold's. A sample
    that several folds tested counts once."""
    confusion: list[list[int]]
    """Rows: true class, columns: predicted class, in the order of `classes`."""
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


def result_path(run: str) -> Path:
    """Where a run's result stands once it is finished."""
    return run_folder(run) / "result.json"


def load_result(run: str) -> RunResult:
    """Read a finished run's result; raises InputError while there is none, or it is damaged."""
    path = result_path(run)
    try:
        return RunResult.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"Run {run} has no result yet. See its state with `runs show {run}`."
        ) from None
    except (OSError, ValidationError):
        raise describe_damage(run, path.name) from None


def load_spec(run: str) -> RunSpec:
    """What a run was asked to do, from its folder; raises InputError when it can't be read."""
    try:
        return RunSpec.restore(json.loads((run_folder(run) / "spec.json").read_bytes()))
    except (OSError, ValueError, InputError):
        raise describe_damage(run, "spec.json") from None


def load_predictions(run: str) -> pd.DataFrame:
    """Held-out predictions: sample, fold, true, predicted, logistic_regression, p_<class>...

    Raises InputError when there are none yet, or they are not those that the result was made of.
    """
    result, name = load_result(run), "predictions.csv"
    try:
        texts = dict.fromkeys(("sample", "true", "predicted", "logistic_regression"), str)
        table = read_csv(io.BytesIO(read_kept(run, name)), dtype=texts)
        scored = table[table["fold"].isin(result.scored)]
        right = int((scored["true"] == scored["predicted"]).sum())
        probabilities = table[[f"p_{name}" for name in result.classes]].to_numpy(float)
    except (ValueError, KeyError):
        raise describe_damage(run, name) from None
    if (len(scored), right) != (np.sum(result.confusion), np.trace(result.confusion)) or not (
        np.isfinite(probabilities).all()
    ):
        raise describe_damage(run, name)
    return table


def check_kept(run: str, name: str) -> Path:
    """A file of a finished run's folder; raises InputError unless it is as when the run ended.

    Of results from before hashes were kept only that it is there is known.
    """
    path, expected = run_folder(run) / name, _hash_of(run, name)
    if not path.exists() or (expected and hash_file(path, "sha256") != expected):
        raise describe_damage(run, name)
    return path


def hash_kept(folder: Path) -> dict[str, str]:
    """File -> SHA-256 of all that a result answers for, in a run's folder."""
    paths = sorted(path for pattern in KEPT for path in folder.glob(pattern))
    return {path.relative_to(folder).as_posix(): hash_file(path, "sha256") for path in paths}


def read_kept(run: str, name: str) -> bytes:
    """The content of a file of a finished run's folder; raises InputError as `check_kept` does."""
    try:
        content = (run_folder(run) / name).read_bytes()
    except OSError:
        raise describe_damage(run, name) from None
    expected = _hash_of(run, name)
    if expected and hashlib.sha256(content).hexdigest() != expected:
        raise describe_damage(run, name)
    return content


def _hash_of(run: str, name: str) -> str | None:
    """A file's SHA-256 when the run ended; None where nothing answers for it."""
    try:
        return load_result(run).files.get(name)
    except InputError:
        return None


def describe_damage(run: str, name: str) -> DamageError:
    """The error for a file of a run that can't be read or isn't what the run wrote."""
    return DamageError(
        f"{name} of run {run} is missing, damaged or not what the run wrote. Delete the run, or "
        "have it made again: `genecanvas doctor --repair` says how far that goes."
    )


def headline(run: str) -> str:
    """One honest sentence: the network's accuracy beside logistic regression's and chance."""
    result, predictions = load_result(run), load_predictions(run)
    low, high = result.accuracy_interval
    network = result.metrics["accuracy"]
    plain = result.baselines["logistic_regression"]["accuracy"]
    p, test = _test_difference(result, predictions[predictions["fold"].isin(result.scored)])
    points = 100 * (network - plain)
    if np.isclose(points, 0):
        verdict = "the same as logistic regression on the same genes"
    else:
        verdict = (
            f"{abs(points):.1f} points {'above' if points > 0 else 'below'} logistic regression on "
            f"the same genes ({plain:.1%}), which with these samples "
            + say_verdict(p < LEVEL, f"{test} p = {p:.2g}")
        )
    return (
        f"{network:.1%} of {result.n_test} held-out samples are right (95 % interval {low:.1%} to "
        f"{high:.1%}): {verdict}. Always naming the largest class gives {result.chance:.1%}."
    )


def _test_difference(result: RunResult, predictions: pd.DataFrame) -> tuple[float, str]:
    """p of the network's accuracy differing from logistic regression's, and the test's name.

    Where samples were held out several times the folds are what is compared, by the corrected
    t test (Nadeau and Bengio 2003).
    """
    right = pd.DataFrame(
        {
            name: predictions[name] == predictions["true"]
            for name in ("predicted", "logistic_regression")
        }
    )
    if predictions["sample"].is_unique:
        return mcnemar(*right.to_numpy().T), "exact McNemar"
    means = right.groupby(predictions["fold"]).mean()
    tested = len(predictions) / len(means)
    difference = corrected_t(
        (means["predicted"] - means["logistic_regression"]).to_numpy(),
        tested / (result.n_train + result.n_validation),
    )
    return difference.p, "corrected t test"
