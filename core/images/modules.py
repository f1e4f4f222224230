"""Modules: genes that rise and fall together, to colour a canvas by."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from core.errors import InputError
from core.images.grid import describe_genes

TREE = 3000
"""Genes that the tree is grown from: it takes time and memory with the square of their number."""


def find_modules(x: np.ndarray, modules: int) -> np.ndarray:
    """Cut the genes into modules by Ward's tree (1963, JASA 58:236) of their principal components.

    Above 3000 genes the tree is grown from that many drawn at random (seeded), and every gene
    joins the module whose centre is nearest to it.

    Args:
        x: (samples, genes) prepared expression.
        modules: how many; fewer come out where fewer genes differ.

    Returns:
        (genes,) the number of each gene's module, 1 the largest.

    Raises:
        InputError: fewer than two modules or more than genes.
    """
    genes = x.shape[1]
    if not 2 <= modules <= genes:
        raise InputError(f"Expected 2 to {genes} modules for {genes} genes, got {modules}.")
    vectors = describe_genes(x)
    chosen = np.arange(genes)
    if genes > TREE:
        chosen = np.sort(np.random.default_rng(0).choice(genes, TREE, replace=False))
    found = fcluster(linkage(vectors[chosen], "ward"), modules, "maxclust")
    if genes > TREE:
        numbers = np.unique(found)
        centres = np.stack([vectors[chosen][found == number].mean(axis=0) for number in numbers])
        closeness = vectors @ centres.T - np.square(centres).sum(axis=1) / 2
        found = numbers[closeness.argmax(axis=1)]
    numbers, sizes = np.unique(found, return_counts=True)
    rank = np.empty(numbers.max() + 1, dtype=np.int64)
    rank[numbers[np.argsort(-sizes, kind="stable")]] = np.arange(1, len(numbers) + 1)
    return rank[found]
