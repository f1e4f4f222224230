"""What is stored and said of a head that was solved: how much the picture adds to the genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.evaluation.intervals import gather, weigh
from core.models.spec import IMAGE, OF_GENES, PRODUCTS
from core.training.tasks import Scale, Task

if TYPE_CHECKING:
    from core.training.exact import Solved


def describe_solved(solved: Solved, task: Task, scale: Scale) -> dict[str, Any]:
    """What is stored of a solved head with its fold, beside its weights."""
    return {
        "shares": solved.shares,
        "model": solved.model,
        "without": {n: task.decode(left, scale).tolist() for n, left in solved.without.items()},
    }


def say_solved(
    task: Task,
    folds: Sequence[Mapping[str, Any]],
    y: np.ndarray,
    answers: np.ndarray,
    who: np.ndarray,
) -> list[str]:
    """A head's shares, and its score with the genes alone and with the maps alone, in a sentence.

    Args:
        task: what was predicted.
        folds: as stored; empty is given back where their head was trained by steps.
        y, answers: of the test samples of all folds.
        who: (samples,) their patients, over whom intervals are.
    """
    if any("shares" not in fold for fold in folds):
        return []
    metric = task.metrics[task.first_metric]
    weights, people = weigh(who), len(np.unique(who))
    whole = gather(metric.compute(y, answers, weights), people)
    shares = pd.DataFrame([fold["shares"] for fold in folds]).mean()
    maps, multiplied = shares.drop(list(OF_GENES), errors="ignore"), shares.get(PRODUCTS, 0.0)
    models = " or ".join(sorted({fold["model"] for fold in folds}))
    others = []
    if multiplied:
        others.append(f"{multiplied:.0%} those of each two genes multiplied")
    if maps.sum():
        told = ", ".join(f"{name} {share:.0%}" for name, share in maps.items() if share)
        others.append(f"the rest the maps' ({told})")
    said = [f"The head is {models}, of the genes alone: on inner folds the maps added nothing."]
    if others:
        of = ", ".join([f"{shares[IMAGE]:.0%} are the genes'", *others])
        said = [f"The head is {models}; of its inner products {of}."]
    alone = "the genes and their products" if multiplied else "the genes alone"
    for left_out, kept in (("maps", alone), (IMAGE, "the maps alone")):
        if left_out == "maps" and maps.sum() == 0:
            continue
        part = np.concatenate([np.array(fold["without"][left_out]) for fold in folds])
        spread = gather(metric.compute(y, part, weights), people)
        gained, limits = whole - spread, (whole - spread).interval()
        score = f"{spread.estimate:.1%}" if metric.is_share else f"{spread.estimate:z.2f}"
        between = "" if limits is None else (
            f", 95 % interval {metric.points * limits[0]:z.1f} to {metric.points * limits[1]:z.1f}"
        )  # fmt: skip
        said.append(
            f"With {kept} its {metric.title.lower()} would be {score} (with both "
            f"{metric.points * gained.estimate:+z.1f}{metric.unit}{between})."
        )
    return [" ".join(said)]
