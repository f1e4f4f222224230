"""What more training samples would bring: runs whose split is a learning curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.compare.settings import name_setup, split_settings
from core.evaluation.curve import fit_power_law
from core.evaluation.metrics import METRICS
from core.runs.fitted import load_fitted
from core.runs.outcome import NETWORK, Outcome
from core.runs.result import load_predictions

DRAWS = 1000
"""How often patients and runs are drawn anew for the range of the extrapolation."""
REACH = 4
"""The curve is drawn up to so many times the largest number of training samples."""


@dataclass(frozen=True)
class LearningCurve:
    """Scores by the number of training samples, and the law that goes through them."""

    name: str
    model: str
    """network, or the name of the reference model"""
    points: pd.DataFrame
    """n_train (samples fitted on), score, runs: measured, mean over the runs."""
    curve: pd.DataFrame
    """n_train, score, low, high: the fitted law with its 95 % range; beyond the largest measured
    size it is an extrapolation."""

    def at(self, times: float) -> pd.Series:
        """The curve where there are `times` as many training samples as the most measured."""
        wanted = times * self.points["n_train"].max()
        return self.curve.iloc[(self.curve["n_train"] - wanted).abs().argmin()]


def measure_curves(outcomes: Sequence[Outcome], metric: str) -> list[LearningCurve]:
    """A curve for the network and one for the reference model, for each setup of such runs.

    Runs that differ in their seed only are averaged. The law is `fit_power_law` of the distance to
    the best possible score. Its range is that of fits to scores with test patients and runs drawn
    anew; that the law holds at all is taken for granted.

    Args:
        outcomes: runs of any split; those whose split isn't a learning curve are passed over.
        metric: a name in METRICS.
    """
    runs = [
        outcome
        for outcome in outcomes
        if outcome.spec.split.kind == "learning_curve" and not outcome.spec.permute_labels
    ]
    if not runs:
        return []
    # Not `shared_reference`: what is asked for later is fitted on the largest part alone.
    reference = runs[0].task.reference(*(outcome.result.baselines for outcome in runs))
    differing, _ = split_settings([outcome.settings for outcome in runs])
    setups: dict[str, list[Outcome]] = {}
    for outcome in runs:
        setups.setdefault(outcome.spec.key_without("seed"), []).append(outcome)
    found = []
    for members in setups.values():
        name = name_setup(members[0].spec, differing)
        drawn = [_draw_scores(member, metric, reference) for member in members]
        for model in (NETWORK, reference):
            found.append(_fit(name, model, [(sizes, d[model]) for sizes, d in drawn], metric))
    return found


def _draw_scores(
    outcome: Outcome, metric: str, reference: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Sizes of the fitted parts, and model -> (1 + draws, sizes) scores, the real ones first."""
    classes, task = outcome.result.classes, outcome.task
    table = load_predictions(outcome.run)
    rng = np.random.default_rng(outcome.spec.seed)
    names, number = np.unique(outcome.patients, return_inverse=True)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    weights = np.vstack([np.ones(len(number)), counts[:, number]])
    sizes, scores = [], {model: [] for model in (NETWORK, reference)}
    for fold, rows in table.groupby("fold"):
        fitted = load_fitted(outcome.run, fold)
        sizes.append(len(fitted.train) + len(fitted.validation))
        order = np.argsort(rows["sample"].to_numpy().astype(str))
        proba = {
            NETWORK: task.answers(rows, classes),
            reference: fitted.baselines[reference],
        }
        y = task.truth(rows, classes)[order]
        for model, values in proba.items():
            scores[model].append(METRICS[metric].compute(y, values[order], weights))
    return np.array(sizes), {model: np.array(columns).T for model, columns in scores.items()}


def _fit(
    name: str, model: str, runs: Sequence[tuple[np.ndarray, np.ndarray]], metric: str
) -> LearningCurve:
    sizes = np.mean([found for found, _ in runs], axis=0)
    scores = np.array([values for _, values in runs])
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(runs), size=(DRAWS, len(runs)))
    redrawn = scores[chosen, 1 + np.arange(DRAWS)[:, None]].mean(axis=1)
    measured = scores[:, 0].mean(axis=0)
    best = METRICS[metric].best
    sign = 1 if best > METRICS[metric].worst else -1
    law = fit_power_law(sizes, sign * (best - np.vstack([measured, redrawn])))
    most = sizes.max()
    grid = np.unique([*np.geomspace(sizes.min(), REACH * most, 60), most, 2 * most])
    drawn = best - sign * law.predict(grid)
    low, high = np.quantile(drawn[1:], [0.025, 0.975], axis=0)
    return LearningCurve(
        name=name,
        model=model,
        points=pd.DataFrame({"n_train": sizes, "score": measured, "runs": len(runs)}),
        curve=pd.DataFrame({"n_train": grid, "score": drawn[0], "low": low, "high": high}),
    )
