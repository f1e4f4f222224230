"""What came of a prediction as a whole, and how right it was where the classes are known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from core.evaluation.differences import mcnemar, paired_interval
from core.evaluation.intervals import Bootstrap, spread
from core.evaluation.metrics import Metric
from core.predict.model import Model

FEWEST_SCORED = 2
"""Fewer known samples have no score."""
FEWEST_LABELLED = 20
"""Fewer samples whose class is known don't calibrate sets of classes for the others."""
COVERED = 0.9
"""Share of the samples whose set of classes holds the true one."""
Limits = tuple[float, float]


class Score(BaseModel):
    """One score of one model on the new samples whose class, or value, is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """network or linear"""
    metric: str
    value: float
    interval: Limits | None
    """95 %, over patients"""
    inside: float | None
    """The same score on the samples that the model's own run held out."""


class Scores(BaseModel):
    """How right the answers are, of samples whose class or value is known.

    Samples that the model learned from are left out, and those of a class that it doesn't know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    patients: int
    scores: list[Score]
    difference: float | None
    """First score of the network minus that of the linear model; None where it isn't defined."""
    difference_interval: Limits | None
    """95 %, over patients"""
    p: float | None
    """McNemar's exact test of network against linear model; None of a regression."""
    confusion: list[list[int]]
    """Rows: known class, columns: called class, in the order of the model's classes."""
    only_model: list[str]
    """Classes that the model knows and no sample is said to be."""
    only_cohort: dict[str, int]
    """Class that the model doesn't know -> samples of it."""
    learned_from: int
    """Samples left out because the model learned from them."""


class GeneAgreement(BaseModel):
    """Whether the genes that speak for a class are those that did in the model's own cohort."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The class; of a regression the target."""
    n: int
    """Samples called so that were asked."""
    correlation: float
    """Spearman's, of how important each gene is here and there"""
    top: int
    shared: int
    """Genes that are among the `top` most important in both"""
    raised: list[str]
    """Genes that count for more here, the most first"""
    lowered: list[str]
    """Genes that count for less here"""


class Summary(BaseModel):
    """What came of the samples together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    expected: float
    """Share of samples of the model's own cohort that would be flagged."""
    flagged: int
    flagged_interval: Limits
    """95 % of the share"""
    called: dict[str, int]
    """Class -> samples called so; empty for a regression."""
    agreement: float | None
    """Share of the samples for which network and linear model name the same class."""
    held_out: int
    """Samples of the model's own cohort that say what is usual, of all its folds."""
    scores: Scores | None
    """None where nothing is known of the samples."""
    genes: list[GeneAgreement]
    notes: list[str]


def conformal_sets(
    classes: Sequence[str], known: np.ndarray, answers: np.ndarray, usable: np.ndarray
) -> np.ndarray | None:
    """Of each sample whose class isn't known, the classes that it may be.

    Split conformal prediction (Sadinle, Lei and Wasserman 2019, J. Am. Stat. Assoc. 114:223),
    calibrated on samples of the same cohort whose class is known: the set holds the true class in
    at least COVERED of the samples, if the labelled ones are a random part of all.

    Args:
        classes: the model's.
        known: (samples,) class names; empty where it isn't known.
        answers: (samples, classes) probabilities.
        usable: (samples,) which of the known ones may calibrate: not those that were learned from.

    Returns:
        (samples,) classes, the most probable first, joined by " / "; empty where the class is
        known. None where fewer than FEWEST_LABELLED samples calibrate or no class is unknown.
    """
    numbers = pd.Index(classes).get_indexer(known)
    labelled, asked = (numbers >= 0) & usable, known == ""
    n = int(labelled.sum())
    if n < FEWEST_LABELLED or not asked.any():
        return None
    own = np.sort(1 - answers[labelled, numbers[labelled]])
    limit = own[min(int(np.ceil((n + 1) * COVERED)), n) - 1]
    sets = np.full(len(known), "", dtype=object)
    for sample in np.flatnonzero(asked):
        order = np.argsort(-answers[sample], kind="stable")
        within = [classes[k] for k in order if 1 - answers[sample, k] <= limit]
        sets[sample] = " / ".join(within) or "none"
    return sets


def score_known(
    model: Model,
    known: np.ndarray,
    answers: np.ndarray,
    linear: np.ndarray,
    patients: np.ndarray,
    learned_from: np.ndarray,
) -> Scores | None:
    """Hold answers against what samples are known to be.

    Args:
        model: what answered.
        known: (samples,) class names, or values as text; empty where it isn't known.
        answers, linear: (samples, outputs) of the network and of the linear model.
        patients: (samples,) who each is from.
        learned_from: (samples,) whether the model learned from it.

    Returns:
        None where fewer than FEWEST_SCORED samples can be judged.
    """
    task, only_cohort = model.task, {}
    if task.has_classes:
        numbers = pd.Index(model.classes).get_indexer(known)
        foreign = (numbers < 0) & (known != "")
        names, counts = np.unique(known[foreign], return_counts=True)
        only_cohort = dict(zip(names.tolist(), counts.tolist(), strict=True))
        usable, y = numbers >= 0, numbers
    else:
        y = pd.to_numeric(pd.Series(known), errors="coerce").to_numpy(float)
        usable = np.isfinite(y)
    left_out = int((usable & learned_from).sum())
    usable = usable & ~learned_from
    if usable.sum() < FEWEST_SCORED:
        return None
    y, patients = y[usable], patients[usable]
    both = {"network": answers[usable], "linear": linear[usable]}
    scores, firsts = [], {}
    for metric in task.metrics:
        for name, said in both.items():
            draws = spread(partial(metric.compute, y, said), patients)
            if metric.name == task.first_metric:
                firsts[name] = draws
            if np.isfinite(draws.estimate):
                scores.append(
                    Score(
                        model=name,
                        metric=metric.name,
                        value=draws.estimate,
                        interval=_limit(metric, draws),
                        inside=_known(model.inside[name].get(metric.name)),
                    )
                )
    difference = firsts["network"] - firsts["linear"]
    bounds, p, confusion = _known(difference.interval()), None, []
    if task.has_classes:
        right = {name: said.argmax(axis=1) == y for name, said in both.items()}
        bounds = paired_interval(right["network"], right["linear"], patients)
        p = mcnemar(right["network"], right["linear"], patients)
        confusion = task.confusion(y, both["network"])
    return Scores(
        n=len(y),
        patients=len(np.unique(patients)),
        scores=scores,
        difference=_known(difference.estimate),
        difference_interval=bounds,
        p=p,
        confusion=confusion,
        only_model=sorted(set(model.classes) - set(known)) if task.has_classes else [],
        only_cohort=only_cohort,
        learned_from=left_out,
    )


def _limit(metric: Metric, draws: Bootstrap) -> Limits | None:
    """95 % interval within the score's range; None where it isn't defined."""
    limits = _known(draws.interval())
    return limits and metric.clip(limits)


def _known(number: float | Limits | None) -> float | Limits | None:
    """A number, or limits, or None where they aren't defined."""
    return None if number is None or not np.isfinite(number).all() else number
