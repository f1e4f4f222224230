"""A comparison as tables: what charts are drawn from, what stands on the screen and in files."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.compare.records import Comparison
from core.compare.settings import say_setting, say_value
from core.evaluation.metrics import METRICS
from core.runs.outcome import NETWORK, Outcome
from core.runs.spec import setting_title
from core.training.tasks import TASKS

NOTHING = (np.nan, np.nan)
"""The limits of an interval that there is not."""


def list_models(comparison: Comparison, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Models with their score and interval: setups where there are repeats, else runs.

    Args:
        comparison: of the outcomes.
        outcomes: the compared runs, in the same order.

    Returns:
        Columns model, kind (network, baseline or control), score, low, high (95 % interval),
        splits, n (samples held out); the best first.
    """
    rows = [
        (setup.name, setup.kind, setup.mean, setup.low, setup.high, setup.splits, setup.n_test)
        for setup in comparison.setups
        if setup.low is not None
    ]
    columns = ["model", "kind", "score", "low", "high", "splits", "n"]
    table = pd.DataFrame(rows or _list_single(comparison, outcomes), columns=columns)
    return _best_first(table, comparison.metric)


def _list_single(comparison: Comparison, outcomes: Sequence[Outcome]) -> list[tuple]:
    """Each run, and each of its baseline models once."""
    metric, rows, seen = comparison.metric, [], set()
    for run in comparison.runs:
        words = [
            say_setting(name, value)
            for name, value in run.settings.items()
            if name != "network.backbone"
        ]
        name = " · ".join([run.network, *words])
        kind = "control" if run.control else "network"
        limits = run.interval or NOTHING
        rows.append((name, kind, run.metrics[metric], *limits, 1, run.n_test))
    for outcome in outcomes:
        for model in outcome.proba:
            value = outcome.scores(model)[metric]
            if model == NETWORK or (model, value) in seen:
                continue
            seen.add((model, value))
            spec, limits = outcome.spec, outcome.interval(metric, model) or NOTHING
            name = f"{outcome.task.baselines[model].title} · {spec.split.title()}, seed {spec.seed}"
            rows.append((name, "baseline", value, *limits, 1, outcome.n_test))
    return rows


def _best_first(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    record = METRICS[metric]
    return table.sort_values("score", ascending=record.best < record.worst, kind="stable")


def list_runs(comparison: Comparison) -> pd.DataFrame:
    """A row a run: the settings in which they differ, all scores, and what it cost."""
    chosen = METRICS[comparison.metric]
    others = [metric for metric in TASKS[comparison.task].metrics if metric.name != chosen.name]
    against = {pair.a: pair.points for pair in comparison.against_baseline}
    task = TASKS[comparison.task]
    gap = f"{chosen.counted} to {task.baselines[comparison.reference].phrase}"
    controls = any(run.control for run in comparison.runs)
    rows = []
    for run in comparison.runs:
        low, high = run.interval or NOTHING
        rows.append(
            {
                "run": run.run[:6],
                **({"control": run.control or ""} if controls else {}),
                **{setting_title(k): say_value(k, value) for k, value in run.settings.items()},
                "n": run.n_test,
                "patients": run.patients,
                chosen.title: run.metrics[chosen.name],
                "from": low,
                "to": high,
                gap: against[run.run],
                **{metric.title: run.metrics[metric.name] for metric in others},
                "million parameters": run.parameters / 1e6,
                "seconds": round(run.seconds),
            }
        )
    return pd.DataFrame(rows)


def list_ranks(comparison: Comparison) -> pd.DataFrame:
    """Columns model, kind, rank (mean over the shared splits), best; the best rank first."""
    rows = [
        (setup.name, setup.kind, setup.rank, setup.best)
        for setup in comparison.setups
        if setup.rank is not None
    ]
    return pd.DataFrame(rows, columns=["model", "kind", "rank", "best"]).sort_values("rank")


def list_wins(comparison: Comparison) -> pd.DataFrame:
    """Columns model and `is the best`: in which share of the draws; the most often best first."""
    rows = [(setup.name, setup.first) for setup in comparison.setups if setup.first is not None]
    table = pd.DataFrame(rows, columns=["model", "is the best"])
    return table.sort_values("is the best", ascending=False, kind="stable")


def list_costs(comparison: Comparison) -> pd.DataFrame:
    """What each network costs, beside what it reaches.

    Returns:
        Columns model, kind, score, low, high, seconds, gigabytes (NaN where they were not
        measured), parameters; the best first.
    """
    intervals = {run.run: run.interval for run in comparison.runs}
    rows = []
    for setup in comparison.setups:
        if not setup.runs:
            continue
        limits = (setup.low, setup.high)
        if setup.low is None and len(setup.runs) == 1:
            limits = intervals[setup.runs[0]] or limits
        gigabytes = None if setup.peak_bytes is None else setup.peak_bytes / 1e9
        rows.append((setup.name, setup.kind, setup.mean, *limits, setup.seconds, gigabytes,
                     setup.parameters))  # fmt: skip
    columns = ["model", "kind", "score", "low", "high", "seconds", "gigabytes", "parameters"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype({"low": float, "high": float, "gigabytes": float})
    return _best_first(table, comparison.metric)


def plain_score(comparison: Comparison) -> float | None:
    """Mean score of the reference model, on the most splits; None where there is none."""
    plain = [
        setup
        for setup in comparison.setups
        if setup.kind == "baseline" and setup.model == comparison.reference
    ]
    return max(plain, key=lambda setup: setup.splits).mean if plain else None
