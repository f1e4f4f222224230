"""Modules: genes that rise and fall together, to colour a canvas by."""

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from core.errors import InputError
from core.images.describe import describe_genes

TREE = 3000
"""Genes that the tree is grown from: it takes time and memory with the square of their number."""
TREE_SAMPLES = 1000
"""Samples that it is grown on: a correlation over so many is known to 0.03."""


@dataclass(frozen=True)
class ModuleTree:
    """A tree of similar genes, to be cut into modules."""

    vectors: np.ndarray
    """(genes, components) what describes a gene"""
    grown: np.ndarray
    """(leaves,) the genes that the tree is of"""
    links: np.ndarray
    """(leaves - 1, 4) as scipy's `linkage` gives them"""


def grow_tree(x: np.ndarray) -> ModuleTree:
    """Ward's tree (1963, JASA 58:236) of the genes' principal components.

    Above 3000 genes it is grown from that many, above 1000 samples on that many; both are drawn at
    random (seeded).

    Args:
        x: (samples, genes) prepared expression.
    """
    rng = np.random.default_rng(0)
    samples, genes = x.shape
    if samples > TREE_SAMPLES:
        x = x[np.sort(rng.choice(samples, TREE_SAMPLES, replace=False))]
    grown = np.arange(genes)
    if genes > TREE:
        grown = np.sort(rng.choice(genes, TREE, replace=False))
    vectors = describe_genes(x)
    return ModuleTree(vectors, grown, linkage(vectors[grown], "ward"))


def find_modules(tree: ModuleTree, modules: int) -> np.ndarray:
    """Cut the genes into modules; one that isn't in the tree joins the one with the nearest centre.

    Args:
        tree: of at least two genes.
        modules: how many; fewer come out where fewer genes differ.

    Returns:
        (genes,) the number of each gene's module, 1 the largest.

    Raises:
        InputError: fewer than two modules or more than genes.
    """
    vectors, genes = tree.vectors, len(tree.vectors)
    if not 2 <= modules <= genes:
        raise InputError(f"Expected 2 to {genes} modules for {genes} genes, got {modules}.")
    found = fcluster(tree.links, modules, "maxclust")
    if len(tree.grown) < genes:
        numbers = np.unique(found)
        leaves = vectors[tree.grown]
        centres = np.stack([leaves[found == number].mean(axis=0) for number in numbers])
        closeness = vectors @ centres.T - np.square(centres).sum(axis=1) / 2
        found = numbers[closeness.argmax(axis=1)]
    numbers, sizes = np.unique(found, return_counts=True)
    rank = np.empty(numbers.max() + 1, dtype=np.int64)
    rank[numbers[np.argsort(-sizes, kind="stable")]] = np.arange(1, len(numbers) + 1)
    return rank[found]
