"""Whether the intervals hold the truth and the tests keep their level, by simulation.

    python -m benchmarks.coverage [STUDIES]

Simulates studies (1 000 by default, some minutes) whose truth is known, and prints for each
statement that the Compare page makes how often it is right: the share of 95 % intervals that hold
the truth, and the share of tests at the 5 % level that see a difference where there is none.
benchmarks/results/coverage.md has the figures.
"""

import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare

from core.evaluation.differences import corrected_t, mcnemar, paired_interval, rank_models
from core.evaluation.intervals import gather, interval, weigh
from core.evaluation.metrics import METRICS

TEST_SHARE = 0.3
TEST_SETS = (
    ("60, one sample each", 60, 1, 3.2),
    ("180, one sample each", 180, 1, 3.2),
    ("180, one sample each, easy", 180, 1, 5.0),
    ("90, one to three samples", 90, 3, 3.2),
)
"""Title, patients, most samples a patient, and how clear the classes are."""


def main(studies: int) -> None:
    """Print the figures of all simulations."""
    table = pd.concat(
        [
            simulate_test_sets(studies),
            simulate_gaps(studies),
            simulate_splits(studies),
            simulate_splits(studies, models=3, splits=3),
        ]
    )
    print(table.to_string(index=False, float_format="{:.3f}".format))


def simulate_test_sets(
    studies: int, metrics: Sequence[str] = tuple(METRICS.names), seed: int = 0
) -> pd.DataFrame:
    """Scores of one test set, and differences of two models on it.

    Five classes. A sample's probabilities come from logits that favour its class by as much as its
    patient's tumours are typical, plus noise, a part of which both models share; on average the
    two models are equally good: 90 % right, or 99 % where it is easy. Truths are means over
    400 000 samples.
    """
    rows = []
    for title, patients, largest, signal in TEST_SETS:
        rng = np.random.default_rng(seed)
        truth = _measure(*_draw_patients(rng, 400_000, 1, signal)[:2], metrics)
        held = {name: [] for name in (*truth, "Wilson", "difference", "paired")}
        called = []
        for _ in range(studies):
            y, one, two, who = _draw_patients(rng, patients, largest, signal)
            weights = weigh(who)
            for name, expected in truth.items():
                metric = METRICS[name]
                drawn = gather(metric.compute(y, one, weights), len(set(who)))
                held[name].append(_holds(metric.clip(drawn.interval()), expected))
                if name == "accuracy":
                    other = gather(metric.compute(y, two, weights), len(set(who)))
                    held["difference"].append(_holds((drawn - other).interval(), 0))
            right_one, right_two = one.argmax(axis=1) == y, two.argmax(axis=1) == y
            limits = interval(right_one.sum(), len(y))
            held["Wilson"].append(_holds(limits, truth["accuracy"]))
            limits = paired_interval(right_one, right_two, who)
            held["paired"].append(_holds(limits, 0))
            called.append(mcnemar(right_one, right_two, who) < 0.05)
        titles = {name: f"{METRICS[name].title}, BCa over patients" for name in truth}
        titles |= {"Wilson": "Accuracy, Wilson over samples",
                   "difference": "Difference in accuracy, BCa over patients",
                   "paired": "Difference in accuracy, Bonett-Price"}  # fmt: skip
        rows += [(title, "coverage", titles[name], np.mean(hits)) for name, hits in held.items()]
        rows.append((title, "false positives", "exact McNemar over patients", np.mean(called)))
    return pd.DataFrame(rows, columns=["patients", "figure", "statement", "share"])


def simulate_gaps(studies: int, seed: int = 0) -> pd.DataFrame:
    """Two models on one test set, the second of which is worse: more noise in its logits."""
    rows = []
    for title, patients, largest, signal in TEST_SETS:
        rng = np.random.default_rng(seed)
        y, one, two, _ = _draw_patients(rng, 400_000, 1, signal, noises=(0.6, 1.6))
        gap = (one.argmax(axis=1) == y).mean() - (two.argmax(axis=1) == y).mean()
        held = []
        for _ in range(studies):
            y, one, two, who = _draw_patients(rng, patients, largest, signal, noises=(0.6, 1.6))
            limits = paired_interval(one.argmax(axis=1) == y, two.argmax(axis=1) == y, who)
            held.append(_holds(limits, gap))
        statement = f"Difference of {100 * gap:.1f} points, Bonett-Price"
        rows.append((title, "coverage", statement, np.mean(held)))
    return pd.DataFrame(rows, columns=["patients", "figure", "statement", "share"])


def simulate_splits(studies: int, models: int = 5, splits: int = 10, seed: int = 0) -> pd.DataFrame:
    """Random 70/30 splits of one dataset of 200 samples; models that don't differ.

    Each model is a nearest-centroid classifier on ten genes of its own that are equally
    informative for all, so that no model is better on average over datasets.
    """
    rng = np.random.default_rng(seed)
    scores = np.stack([_score_splits(rng, models, splits) for _ in range(studies)])
    ratio = TEST_SHARE / (1 - TEST_SHARE)
    gaps = [corrected_t(study[:, 0] - study[:, 1], ratio) for study in scores]
    naive = [corrected_t(study[:, 0] - study[:, 1], 0) for study in scores]
    levels = [corrected_t(study[:, 0], ratio) for study in scores]
    ranked = [rank_models(study, ratio) for study in scores]
    plain = [rank_models(study) for study in scores]
    classic = [friedmanchisquare(*study.T).pvalue < 0.05 for study in scores]
    rows = [
        ("coverage", "Mean accuracy, corrected t",
         [_holds(level.interval(), scores[:, :, 0].mean()) for level in levels]),
        ("coverage", "Difference, corrected t", [_holds(gap.interval(), 0) for gap in gaps]),
        ("false positives", "corrected t", [gap.p < 0.05 for gap in gaps]),
        ("false positives", "correlated Bayes, 95 % on one side",
         [max(gap.chances()[0], gap.chances()[2]) > 0.95 for gap in gaps]),
        ("false positives", "t without correction", [gap.p < 0.05 for gap in naive]),
        ("false positives", "ranks of all, corrected", [found.p < 0.05 for found in ranked]),
        ("false positives", "critical difference, any pair, corrected",
         [np.ptp(found.ranks) > found.critical_difference for found in ranked]),
        ("false positives", "critical difference, any pair, without correction",
         [np.ptp(found.ranks) > found.critical_difference for found in plain]),
        ("false positives", "Friedman (chi squared)", classic),
    ]  # fmt: skip
    title = f"{splits} splits of 200, {models} models"
    return pd.DataFrame(
        [(title, figure, statement, np.mean(hits)) for figure, statement, hits in rows],
        columns=["patients", "figure", "statement", "share"],
    )


def _draw_patients(
    rng: np.random.Generator,
    patients: int,
    largest: int,
    signal: float,
    noises: tuple[float, float] = (0.6, 0.6),
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Classes, probabilities of two models, and patients of the samples."""
    who = np.repeat(np.arange(patients), rng.integers(1, largest + 1, patients))
    y = rng.integers(0, 5, patients)[who]
    typical = rng.normal(signal, 1.2, patients)[who]
    shared = rng.normal(0, 0.8, (len(who), 5))
    models = []
    for noise in noises:
        logits = shared + rng.normal(0, noise, (len(who), 5)) + typical[:, None] * np.eye(5)[y]
        proba = np.exp(1.5 * logits)
        models.append(proba / proba.sum(axis=1, keepdims=True))
    return y, *models, who


def _measure(y: np.ndarray, proba: np.ndarray, metrics: Sequence[str]) -> dict[str, float]:
    once = np.ones((1, len(y)))
    return {name: float(METRICS[name].compute(y, proba, once)[0]) for name in metrics}


def _score_splits(rng: np.random.Generator, models: int, splits: int) -> np.ndarray:
    """(splits, models) accuracies on one new dataset."""
    y = np.arange(200) % 2
    x = rng.normal(0, 1, (models, 200, 10)) + 0.35 * y[:, None]
    scores = np.empty((splits, models))
    for split in scores:
        test = rng.permutation(200) < round(200 * TEST_SHARE)
        zero, one = (x[:, ~test & (y == k)].mean(axis=1) for k in (0, 1))
        middle, direction = (zero + one) / 2, one - zero
        named = ((x[:, test] - middle[:, None]) * direction[:, None]).sum(axis=2) > 0
        split[:] = (named == y[test]).mean(axis=1)
    return scores


def _holds(limits: tuple[float, float], truth: float) -> bool:
    return limits[0] <= truth <= limits[1]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
