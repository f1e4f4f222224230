"""What places genes, and what they get; and the two placements that look at nothing."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.images.describe import describe_genes

Pixels = tuple[np.ndarray, np.ndarray]
"""Row and column of each gene, int64."""


@dataclass(frozen=True)
class Genes:
    """What is known about the genes that want a place."""

    names: np.ndarray
    """(genes,) ids"""
    x: np.ndarray
    """(samples, genes) float32 prepared expression; no samples for a layout that doesn't learn"""
    reference: Path | None = None
    """Gene positions or gene sets, where the layout needs them."""

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def vectors(self) -> np.ndarray:
        """(genes, at most 50) principal components, as `describe_genes` gives them."""
        return describe_genes(self.x)


class Places(NamedTuple):
    """A pixel for each gene, and what stands together."""

    row: np.ndarray
    col: np.ndarray
    group: np.ndarray | None = None
    """(genes,) chromosome or set; empty for a gene that has none; None for layouts without."""


def place_in_order(genes: Genes, points: None, side: int, seed: int) -> Places:
    """Row by row in the order of the matrix; the rest of the canvas stays free."""
    return Places(*np.divmod(np.arange(len(genes)), side))


def place_at_random(genes: Genes, points: None, side: int, seed: int) -> Places:
    """On random pixels of the whole canvas."""
    pixels = np.random.default_rng(seed).permutation(side * side)[: len(genes)]
    return Places(*np.divmod(pixels, side))
