"""Finished runs side by side: what differs in their settings, and whether their scores differ."""

from itertools import combinations
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.evaluation.metrics import mcnemar
from core.files import read_json
from core.home import run_folder
from core.runs.result import load_predictions, load_result
from core.runs.spec import RunSpec


class ComparedRun(BaseModel):
    """One run's scores, with the baseline of the same split."""

    model_config = ConfigDict(frozen=True)

    run: str
    title: str
    settings: dict[str, Any]
    """Only those settings in which the compared runs differ, by dotted name."""
    n_test: int
    metrics: dict[str, float]
    accuracy_interval: tuple[float, float]
    logistic_regression: dict[str, float]
    majority: dict[str, float]
    seconds: float


class Difference(BaseModel):
    """The difference in accuracy of two runs on the same held-out samples."""

    model_config = ConfigDict(frozen=True)

    a: str
    b: str
    points: float | None
    """Accuracy of a minus accuracy of b in percentage points; None with other test samples."""
    p: float | None
    """Exact McNemar p value, not corrected for the number of comparisons."""
    note: str


class Comparison(BaseModel):
    """Several runs and the differences between them."""

    model_config = ConfigDict(frozen=True)

    runs: list[ComparedRun]
    differences: list[Difference]


def flatten_settings(spec: RunSpec) -> dict[str, Any]:
    """A spec's fields by dotted name, such as 'network.backbone'."""
    flat: dict[str, Any] = {}
    for name, value in spec.model_dump(mode="json").items():
        if isinstance(value, dict) and name != "where":
            flat |= {f"{name}.{field}": inner for field, inner in value.items()}
        else:
            flat[name] = value
    return flat


def compare_runs(runs: list[str]) -> Comparison:
    """Put finished runs side by side; raises InputError when one has no result."""
    if len(set(runs)) < len(runs):
        raise InputError("Each run can be compared only once; a run id was given twice.")
    results = {run: load_result(run) for run in runs}
    specs = {run: RunSpec.parse(read_json(run_folder(run) / "spec.json")) for run in runs}
    settings = {run: flatten_settings(spec) for run, spec in specs.items()}
    first = settings[runs[0]]
    differing = [
        name for name in first if any(flat[name] != first[name] for flat in settings.values())
    ]
    predictions = {run: load_predictions(run).set_index("sample").sort_index() for run in runs}
    return Comparison(
        runs=[
            ComparedRun(
                run=run,
                title=specs[run].title(),
                settings={name: settings[run][name] for name in differing},
                n_test=result.n_test,
                metrics=result.metrics,
                accuracy_interval=result.accuracy_interval,
                logistic_regression=result.baselines["logistic_regression"],
                majority=result.baselines["majority"],
                seconds=result.seconds,
            )
            for run, result in results.items()
        ],
        differences=[_compare_two(a, b, specs, predictions) for a, b in combinations(runs, 2)],
    )


def _compare_two(a: str, b: str, specs: dict, predictions: dict) -> Difference:
    one, other = predictions[a], predictions[b]
    same = specs[a].dataset == specs[b].dataset and specs[a].label == specs[b].label
    if not same or not one.index.equals(other.index):
        note = "Other test samples: the accuracies can't be subtracted sample by sample."
        return Difference(a=a, b=b, points=None, p=None, note=note)
    right_a = (one["predicted"] == one["true"]).to_numpy()
    right_b = (other["predicted"] == other["true"]).to_numpy()
    p = mcnemar(right_a, right_b)
    note = "More than luck on these samples." if p < 0.05 else "Can be luck with this many samples."
    return Difference(
        a=a, b=b, points=100 * float(np.mean(right_a) - np.mean(right_b)), p=p, note=note
    )
