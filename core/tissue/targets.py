"""What is predicted of a spot: the expression of genes, with and without its depth."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.errors import InputError

Target = Literal["normalised", "stnet", "raw"]
TARGETS: dict[Target, str] = {
    "normalised": "log(1 + 10,000 count / reads): which share of the spot's reads is this gene's",
    "stnet": "log((1 + count) / (genes + reads)), as ST-Net (He et al. 2020): the 1 that is added "
    "to each gene lets depth back in where a spot has few reads for many genes",
    "raw": "log(1 + count), as BrST-Net (Rahaman et al. 2023): a spot with more reads has more of "
    "every gene, so that this is mostly depth",
}
"""Name -> what it means; the first one is the one to believe, the others are as published."""
SIZE = 10_000
"""Reads that each spot is brought to."""
SEEN = 0.1
"""Of the training spots: genes that are found in fewer are not among the auxiliary ones."""


def transform(counts: np.ndarray, reads: np.ndarray, genes: int, target: Target) -> np.ndarray:
    """(spots, some genes) counts as what is to be predicted.

    Args:
        counts: (spots, some genes).
        reads: (spots,) number of reads, of all genes.
        genes: how many genes there are in all.
        target: a name in TARGETS.
    """
    if target == "raw":
        return np.log1p(counts)
    if target == "normalised":
        return np.log1p(SIZE * counts / reads[:, None])
    if target == "stnet":
        return np.log((1 + counts) / (genes + reads)[:, None])
    raise InputError(f"Unknown target {target!r}. Known: {', '.join(TARGETS)}.")


def choose_genes(counts: np.ndarray, number: int) -> np.ndarray:
    """Positions of the genes of highest mean count, of training spots; ascending.

    Genes that never vary are left out; of genes of equal mean the first ones are taken.
    """
    means = counts.mean(axis=0, dtype=np.float64)
    means[np.ptp(counts, axis=0) == 0] = -1
    order = np.argsort(-means, kind="stable")[:number]
    return np.sort(order[means[order] >= 0])


def choose_others(counts: np.ndarray, genes: np.ndarray) -> np.ndarray:
    """Positions of the other genes that are found in at least SEEN of training spots."""
    seen = (counts > 0).mean(axis=0) >= SEEN
    seen[genes] = False
    return np.flatnonzero(seen)


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and SD of each gene on training spots."""

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> "Scaling":
        """Of (training spots, genes)."""
        sd = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(sd > 1e-9, sd, 1))

    def apply(self, values: np.ndarray) -> np.ndarray:
        """z scores of (spots, genes)."""
        return (values - self.mean) / self.sd
