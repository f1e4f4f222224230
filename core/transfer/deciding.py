"""Which genes decide in the networks of a transfer, by the attribution methods of runs."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.explain.on_genes import ATTRIBUTION, attribute_network
from core.transfer.experiment import Plan, list_methods, make_problem
from core.transfer.problem import Problem, TransferMethod

DRAWS = 3
"""First draws whose networks are asked."""
SHOWN = 30
"""Genes of a method that are kept, those that decide most first."""


class Deciding(BaseModel):
    """How much a gene has a part in what a network answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    rank: int
    """1 is most."""
    gene: str
    share: float
    """Of all genes' scores, mean over draws."""
    draws: int


def find_deciding(plan: Plan) -> list[Deciding]:
    """The genes that decide in each method that is a network, with all labelled target samples.

    A gene's score is the mean size of its attribution over held-out samples, each for its own
    class, divided by the sum over genes; of the first draws, under the first preparation.
    """
    found = []
    n = max(plan.budgets.values())
    for method in list_methods(plan.spec):
        if method.train is None or n < max(method.min_target, 1):
            continue
        shares = []
        for number, drawn in enumerate(plan.draws[:DRAWS]):
            problem = make_problem(plan, number, plan.spec.preparations[0], n)
            scores = attribute_genes(method, problem, plan.material.target.labels[drawn.test])
            size = np.abs(scores).mean(axis=0)
            shares.append(size / max(size.sum(), 1e-12))
        mean = np.mean(shares, axis=0)
        for rank, place in enumerate(np.argsort(-mean, kind="stable")[:SHOWN], start=1):
            found.append(
                Deciding(method=method.name, rank=rank, gene=plan.material.genes[place],
                         share=float(mean[place]), draws=len(shares))
            )  # fmt: skip
    return found


def attribute_genes(
    method: TransferMethod, problem: Problem, truth: np.ndarray, attribution: str = ATTRIBUTION
) -> np.ndarray:
    """(test, genes) scores of a network's answers, each sample for its own class.

    The same functions as explain runs, from the mean of the labelled target samples.

    Args:
        method: one that is a network.
        problem: what it learns from, and the samples that are explained.
        truth: (test,) their classes.
        attribution: a name in METHODS of a method that scores genes one by one.

    Raises:
        InputError: the method is no network, or the attribution needs an image or a set.
    """
    if method.train is None:
        raise InputError(f"{method.title} is no network whose genes an attribution could score.")
    return attribute_network(
        method.train(problem), problem.test, truth, problem.target, problem.seed, attribution
    )
