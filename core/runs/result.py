"""What a finished run leaves behind: result.json and predictions.csv, and how to read them."""

from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from core.data.notes import Finding
from core.errors import InputError
from core.escape import read_csv
from core.evaluation.differences import LEVEL, corrected_t, mcnemar, say_verdict
from core.evaluation.intervals import interval
from core.home import run_folder


class RunResult(BaseModel):
    """Scores of a run on the samples that it had not seen, beside plain models on the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    classes: list[str]
    metrics: dict[str, float]
    """Scores over all held-out samples; with k folds, pooled over the folds."""
    folds: list[dict[str, float]]
    """The same scores on each fold's test samples, and the epoch whose weights were kept."""
    scored: list[int] = [0]
    """Folds that `metrics`, `baselines` and `confusion` are of: of a learning curve the last one,
    which has all training samples; else all."""
    baselines: dict[str, dict[str, float]]
    """The same scores of plain models on the same genes, trained and tested on the same samples."""
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
    """Read a finished run's result; raises InputError while there is none."""
    path = result_path(run)
    if not path.exists():
        raise InputError(f"Run {run} has no result yet. See its state with `runs show {run}`.")
    try:
        return RunResult.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(f"The result file {path} can't be read: {error}") from None


def load_predictions(run: str) -> pd.DataFrame:
    """Held-out predictions: sample, fold, true, predicted, logistic_regression, p_<class>..."""
    path = run_folder(run) / "predictions.csv"
    if not path.exists():
        raise InputError(f"Run {run} has no predictions yet.")
    texts = dict.fromkeys(("sample", "true", "predicted", "logistic_regression"), str)
    return read_csv(path, dtype=texts)


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
