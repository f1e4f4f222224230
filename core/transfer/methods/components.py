"""Directions of the source that a model of the target is restricted to, and their two controls."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from core.models.gene_models import scale_of
from core.transfer.methods.linear import answer_sparsely, pool
from core.transfer.problem import Problem, TransferMethod

MOST = 20
"""Directions at most."""


@dataclass(frozen=True)
class Directions:
    """Orthonormal directions of gene space and what the target looks like along them."""

    directions: np.ndarray
    """(genes, directions)"""
    probabilities: np.ndarray
    """(test, classes)"""
    variance: float
    """Share of the standardised target's variance that lies along them."""


def restrict(problem: Problem, find: Callable[[Problem, int], np.ndarray]) -> Directions:
    """A sparse logistic regression of the target's classes along a few directions.

    Genes of source and target are standardised by themselves; the target's by the samples that may
    be learned from, never by those that are tested.

    Args:
        problem: the samples.
        find: problem and a number of directions -> (genes, directions).
    """
    known = pool(problem)
    mean, spread = scale_of(known)
    directions = find(problem, MOST)
    learned, asked, everyone = (
        (x - mean) / spread for x in (problem.target, problem.test, known)
    )  # fmt: skip
    said = answer_sparsely(
        learned @ directions, problem.target_labels, asked @ directions, problem.n_classes,
        problem.seed,
    )  # fmt: skip
    variance = np.square(everyone @ directions).sum() / np.square(everyone).sum()
    return Directions(directions, said, float(variance))


def principal_axes(x: np.ndarray, number: int) -> np.ndarray:
    """(genes, directions) principal axes of standardised samples, largest variance first."""
    mean, spread = scale_of(x)
    turned = np.linalg.svd((x - mean) / spread, full_matrices=False)[2]
    return turned[: min(number, len(x) - 1)].T


def find_source_axes(problem: Problem, number: int) -> np.ndarray:
    """Principal axes of the source."""
    return principal_axes(problem.source, number)


def find_own_axes(problem: Problem, number: int) -> np.ndarray:
    """Principal axes of all target samples that may be learned from."""
    return principal_axes(pool(problem), number)


def find_random_axes(problem: Problem, number: int) -> np.ndarray:
    """Random directions at right angles to each other, as many as of the source."""
    number = min(number, len(problem.source) - 1)
    drawn = np.random.default_rng(problem.seed).normal(size=(problem.source.shape[1], number))
    return np.linalg.qr(drawn)[0]


def _fit(problem: Problem, find: Callable[[Problem, int], np.ndarray]) -> np.ndarray:
    return restrict(problem, find).probabilities


def _examine(
    problem: Problem, hidden: np.ndarray, find: Callable[[Problem, int], np.ndarray]
) -> dict[str, float]:  # fmt: skip
    return {"share of the target's variance along them": restrict(problem, find).variance}


_BRUBAKER = (
    "Brubaker et al. 2019, Computational translation of genomic responses from experimental model "
    "systems to humans, PLoS Computational Biology 15:e1006286; Brubaker et al. 2020, Science "
    "Signaling 13:eaay3258 (TransComp-R)"
)
_DEPARTS = (
    "20 directions; the target is standardised by samples that may be learned from, where the "
    "published script uses the tested ones too; no covariates."
)
SOURCE_COMPONENTS = TransferMethod(
    name="source_components",
    title="Principal components of the source",
    description="The target is seen along the source's 20 first principal components alone (such "
    "as another species' for a human phenotype). Has to beat random directions and the target's "
    "own components.",
    scenario="unsupervised",
    reference=_BRUBAKER,
    departs=_DEPARTS,
    seconds=0.05,
    fit=partial(_fit, find=find_source_axes),
    examine=partial(_examine, find=find_source_axes),
    min_target=2,
    learns_from="samples",
)
OWN_COMPONENTS = TransferMethod(
    name="own_components",
    title="Principal components of the target",
    description="The same with the target's own components: what the source's have to beat.",
    scenario="unsupervised",
    reference=_BRUBAKER,
    departs=_DEPARTS,
    seconds=0.05,
    fit=partial(_fit, find=find_own_axes),
    examine=partial(_examine, find=find_own_axes),
    min_target=2,
    learns_from="target",
)
RANDOM_DIRECTIONS = TransferMethod(
    name="random_directions",
    title="Random directions",
    description="The same with 20 random directions: what any components have to beat.",
    scenario="unsupervised",
    reference=_BRUBAKER,
    departs=_DEPARTS,
    seconds=0.05,
    fit=partial(_fit, find=find_random_axes),
    examine=partial(_examine, find=find_random_axes),
    min_target=2,
    learns_from="target",
)
