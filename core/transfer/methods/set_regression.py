"""XGSEA: what a species without data would say of gene sets, by a regression on an embedding."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.errors import InputError
from core.explain.enrichment import prerank
from core.transfer.methods.species import carry_sets

if TYPE_CHECKING:
    from torch import Tensor

DIMENSIONS = 5
SMOOTH = 0.01
"""Weight of the graph of sets, beside the discrepancy of the two species."""
ROUNDS = 60
FEWEST_SETS = 10
"""A regression on five dimensions needs more sets than that."""


@dataclass(frozen=True)
class Predicted:
    """Gene sets of the species that has data, and what is predicted for the other."""

    table: pd.DataFrame
    """a row a set of the other species, lowest predicted first: set, size (there), copied (the nes
    of the set in the species with data: plain mapping), predicted (by the regression)"""
    discrepancy: float
    """Squared maximum mean discrepancy of the two species' embedded sets, after; from 0 up"""
    before: float
    """The same of the embedding that is begun with."""


def predict_sets(
    source: tuple[Sequence[str], np.ndarray],
    sets: Mapping[str, Collection[str]],
    orthologs: Collection[tuple[str, str]],
    *,
    one_to_one: bool = True,
    permutations: int = 1000,
    seed: int = 0,
) -> Predicted:
    """Predict how gene sets are enriched in a species of which there are no data.

    Cai et al. 2021 (XGSEA, Briefings in Bioinformatics 22:bbaa406). Sets of both species are points
    in an embedding of a few dimensions, a linear map of which genes they hold, in which sets that
    overlap lie together and the two species look alike (least squared maximum mean discrepancy).
    A linear regression of the enrichment on the embedding, learned in the species that has data, is
    put to the other's sets.

    Departs from the published script: one normalised enrichment score a set is predicted, without
    its permutations; the orthonormal map is found by L-BFGS instead of conjugate gradients.

    Args:
        source: gene names, and the scores that they are ranked by, of the species with data.
        sets: name -> genes of that species.
        orthologs: pairs of a gene of that species and one of the other.
        one_to_one: see `core.transfer.methods.species.carry_sets`.
        permutations: random sets of each size.
        seed: of these.

    Raises:
        InputError: as `carry_sets` and `prerank`; or fewer than ten sets are there in both species.
    """
    carried = carry_sets(sets, orthologs, one_to_one=one_to_one)
    tested = prerank(*source, {name: sets[name] for name in carried}, permutations, seed)
    tested = tested[np.isfinite(tested["nes"])].set_index("set")
    names = [name for name in carried if name in tested.index]
    if len(names) < FEWEST_SETS:
        raise InputError(
            f"{len(names)} gene sets are there in both species, at least {FEWEST_SETS} are needed "
            "to learn from. Bring more sets, or a table with more orthologs."
        )
    here = [set(sets[name]) for name in names]
    there = [set(carried[name]) for name in names]
    embedded, before, after = _embed(here, there, orthologs)
    nes = tested.loc[names, "nes"].to_numpy()
    count = len(names)
    design = np.column_stack([np.ones(2 * count), embedded])
    weights = np.linalg.lstsq(design[:count], nes, rcond=None)[0]
    table = pd.DataFrame(
        {
            "set": names, "size": [len(own) for own in there], "copied": nes,
            "predicted": design[count:] @ weights,
        }
    )  # fmt: skip
    return Predicted(table.sort_values("predicted", ignore_index=True), after, before)


def similarity(
    here: list[set[str]], there: list[set[str]], orthologs: Collection[tuple[str, str]]
) -> np.ndarray:
    """(sets of both, sets of both) from 0 to 1: how much two sets hold of each other.

    Within a species the shared genes divided by the larger set's; across, the smaller of the two
    shares of a set whose orthologs are in the other.
    """
    pairs = pd.DataFrame(sorted(set(orthologs)), columns=["own", "other"])
    genes = [sorted(set().union(*own)) for own in (here, there)]
    places = [{gene: number for number, gene in enumerate(own)} for own in genes]
    holds = []
    for own, of in zip((here, there), places, strict=True):
        table = np.zeros((len(own), len(of)))
        for number, members in enumerate(own):
            table[number, [of[gene] for gene in members]] = 1
        holds.append(table)
    link = np.zeros((len(genes[0]), len(genes[1])))
    for one, other in pairs.itertuples(index=False):
        if one in places[0] and other in places[1]:
            link[places[0][one], places[1][other]] = 1
    within = [
        table @ table.T / np.maximum(*np.meshgrid(table.sum(1), table.sum(1)))
        for table in holds
    ]  # fmt: skip
    forward = holds[0] @ link.clip(0, 1) @ holds[1].T / holds[0].sum(1)[:, None]
    backward = holds[1] @ link.T @ holds[0].T / holds[1].sum(1)[:, None]
    across = np.minimum(forward, backward.T).clip(0, 1)
    return np.block([[within[0], across], [across.T, within[1]]])


def _embed(
    here: list[set[str]], there: list[set[str]], orthologs: Collection[tuple[str, str]]
) -> tuple[np.ndarray, float, float]:
    """(sets of both, DIMENSIONS), and the discrepancy before and after."""
    import torch

    from core.models.gene_networks import repeatable

    graph = similarity(here, there, orthologs)
    laplacian = np.diag(graph.sum(axis=1)) - graph
    blocks = []
    for own in (here, there):
        genes = sorted(set().union(*own))
        place = {gene: number for number, gene in enumerate(genes)}
        x = np.zeros((len(genes), len(own)))
        for number, members in enumerate(own):
            x[[place[gene] for gene in members], number] = 1
        blocks.append(np.linalg.qr(x / np.linalg.norm(x, axis=0))[1])
    x = np.zeros((sum(len(own) for own in blocks), len(graph)))
    x[: len(blocks[0]), : len(here)] = blocks[0]
    x[len(blocks[0]) :, len(here) :] = blocks[1]
    smooth = x @ laplacian @ x.T
    smooth /= np.linalg.norm(smooth)
    start = np.linalg.eigh(smooth)[1][:, :DIMENSIONS]
    with repeatable(0):
        sets, penalty = torch.from_numpy(x), torch.from_numpy(smooth)
        free = torch.from_numpy(start.copy()).requires_grad_()
        first = sets.T @ torch.from_numpy(start)
        squares = torch.cdist(first, first).square()
        width = squares[squares > 0].median() if (squares > 0).any() else torch.tensor(1.0)
        sign = torch.ones(len(graph), dtype=torch.float64) / len(here)
        sign[len(here) :] = -1 / len(there)

        def apart(turned: torch.Tensor) -> torch.Tensor:
            z = sets.T @ turned
            kernel = torch.exp(-_squares(z) / (2 * width))
            return sign @ kernel @ sign

        def orthonormal() -> torch.Tensor:
            return torch.linalg.qr(free)[0]

        optimiser = torch.optim.LBFGS([free], max_iter=ROUNDS, line_search_fn="strong_wolfe")

        def close() -> torch.Tensor:
            optimiser.zero_grad()
            turned = orthonormal()
            loss = apart(turned) + SMOOTH * torch.trace(turned.T @ penalty @ turned)
            loss.backward()
            return loss

        before = float(apart(torch.from_numpy(start)))
        optimiser.step(close)
        with torch.no_grad():
            turned = orthonormal()
            return (sets.T @ turned).numpy(), before, float(apart(turned))


def _squares(z: Tensor) -> Tensor:
    """Squared distances, whose gradient is finite where two points are the same."""
    norms = z.square().sum(dim=1)
    return (norms[:, None] + norms - 2 * z @ z.T).clamp(min=0)
