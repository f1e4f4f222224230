"""The linear head, solved: shares of genes and maps, penalty and weights, without any steps."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from core.errors import InputError
from core.models.baselines import one_thread
from core.models.heads import LinearHead
from core.models.spec import IMAGE, OF_GENES
from core.models.tuned import Aim, Choice, Solution, Sources
from core.training.features import FrozenPart
from core.training.loop import predict
from core.training.objectives import Measurements, Objective


@dataclass(frozen=True)
class Solved:
    """What came of it, beside the network's head."""

    shares: dict[str, float]
    """Of the image and of each stage's map in the inner products of samples; they add up to 1."""
    model: str
    """The chosen family and its penalty, in words."""
    history: list[Measurements]
    """One row: what was measured on the inner folds."""
    answers: np.ndarray
    """(asked samples, outputs) the objective's answers by models that had not seen the sample."""
    asked: np.ndarray
    """Positions of these samples among those that were learned from."""
    tested: np.ndarray
    """(other samples, outputs) the network's answers to the other samples"""
    without: dict[str, np.ndarray]
    """`maps` or `image` (with products of genes) -> (other samples, outputs) answers to other
    samples of a head without it, whose penalty is chosen likewise."""


def solve_head(
    head: LinearHead,
    frozen: FrozenPart,
    rows: np.ndarray,
    y: np.ndarray,
    others: np.ndarray,
    strata: np.ndarray,
    groups: np.ndarray,
    aim: Aim,
    objective: Objective,
    *,
    seed: int,
    alone: Choice | None = None,
    on_step: Callable[[str], None] = lambda doing: None,
) -> Solved:
    """Give `head` the weights that follow from samples, by `core.models.tuned.Choice`.

    Computed in float64 on one thread of the CPU, so that the numbers depend neither on how many
    there are nor, beyond the last digits of the maps, on the processor.

    Args:
        head: the network's.
        frozen: the network before it.
        rows: prepared rows of the samples to learn from.
        y: (samples,) what the objective takes.
        others: prepared rows of samples to be answered, by the network and by a head without
            maps and one without the image.
        strata: (samples,) classes, or ranges of values.
        groups: (samples,) such as patients.
        aim: the task's.
        objective: the task's.
        seed: of the inner folds.
        alone: the choice of the linear model of the same samples' genes, if that has been made.
        on_step: told between steps what is being done; what it raises ends the work.

    Raises:
        InputError: too few patients to choose on.
    """
    started = time.perf_counter()
    device = head.offset.device
    names = list(head)
    outputs = len(head.offset)

    def blocks_of(x: np.ndarray) -> list[np.ndarray]:
        values = frozen.features(torch.as_tensor(x, device=device)).cpu().numpy()
        sizes = [branch.linear.in_features for branch in head.values()]
        return np.split(values, np.cumsum(sizes)[:-1], axis=1)

    blocks, unseen = blocks_of(rows), blocks_of(others)
    targets = objective.targets(torch.as_tensor(y), outputs).double().numpy()
    with one_thread():
        sources = Sources(blocks, [name == IMAGE for name in names])
        choice = Choice(sources, targets, strata, groups, aim, seed, alone, on_step)
        asked = choice.asked
        if not len(asked):
            raise InputError(
                "The linear head chooses its penalty on inner folds, and the training samples "
                "can't be divided so that each part holds two classes. Add patients, or take "
                "another head."
            )
        chosen = choice.choose()
        solution = choice.fit(chosen)
        _put(head, sources, solution)
        without = {}
        for name, shares in _leave_out(names, chosen.shares).items():
            part = solution
            if shares != chosen.shares:
                part = choice.fit(choice.judge(shares, chosen.family, doing=f"without the {name}"))
            without[name] = _answers(objective, part.score(sources, unseen))
        learned = solution.score(sources, blocks)
    row = {
        "epoch": 1,
        "train_loss": objective.measure(torch.as_tensor(learned), torch.as_tensor(y))[
            "validation_loss"
        ],
        **objective.measure(torch.as_tensor(chosen.scores), torch.as_tensor(y[asked])),
        "at_once": len(rows),
        "seconds": time.perf_counter() - started,
    }
    return Solved(
        shares=dict(zip(names, chosen.shares, strict=True)),
        model=chosen.words,
        history=[row],
        answers=_answers(objective, chosen.scores),
        asked=asked,
        tested=predict(frozen.rest, nn.Identity(), np.hstack(unseen), device, objective),
        without=without,
    )


def _leave_out(names: list[str], shares: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    """Shares without the maps, and without the genes: equal ones where no map had any."""
    of_genes = np.array([name in OF_GENES for name in names], dtype=float)
    genes, maps = of_genes * shares, (1 - of_genes) * shares
    maps = maps if maps.sum() else 1 - of_genes
    return {
        "maps": tuple((genes / genes.sum()).tolist()),
        IMAGE: tuple((maps / maps.sum()).tolist()),
    }


@torch.no_grad()
def _put(head: LinearHead, sources: Sources, solution: Solution) -> None:
    head.offset.copy_(torch.as_tensor(solution.offsets))
    for branch, mean, weights in zip(head.values(), sources.means, solution.weights, strict=True):
        branch.mean.copy_(torch.as_tensor(mean))
        branch.linear.weight.copy_(torch.as_tensor(weights.T))


def _answers(objective: Objective, scores: np.ndarray) -> np.ndarray:
    return objective.answers(torch.as_tensor(scores)).numpy()
