"""IGTD: pixels as far apart as their genes differ, rank by rank."""

import numpy as np

from core.images.describe import standardise
from core.images.grid import bisect, draw_pairs, find_owners
from core.images.places import Genes, Places

POOL = 1024
"""Genes whose distances to all genes are kept: 40 MB at 20 000 genes."""
LANDMARKS = 128
"""Genes of the pool against which places are judged at a time."""
ROUNDS = 12
"""Choices of landmarks for each reach."""
SWAPS = 6
"""Drawings of pixel pairs for each choice of landmarks."""
BINS = 8192
"""Steps in which correlation distances, 0 to 2, are ranked."""
LAST_RANK = 2**14
"""Ranks run from 0 to this, so that a difference fits into 16 bits."""


def place_by_rank_distance(genes: Genes, points: np.ndarray, side: int, seed: int) -> Places:
    """IGTD (Zhu et al. 2021, Sci. Rep. 11:11325): match two rankings of all pairs of genes.

    Each pair has a rank by its distance 1 - r and one by the distance of its pixels; the sum of
    the absolute differences is made smaller by swapping pixels. It departs from the publication
    in three ways. It starts from a bisection of the points (genes, 2) in place of the file's
    order. A swap is judged against 128 genes, drawn anew again and again, in place of all. Many
    disjoint swaps are made at once, between pixels whose greatest distance shrinks from the whole
    side to one, in place of the single best one.
    """
    rng = np.random.default_rng(seed)
    z = standardise(genes.x).T
    pool = rng.permutation(len(genes))[:POOL]
    ranks = _rank_gene_distances(z, pool)
    pixel_rank = _rank_pixel_distances(side)
    owner = np.full(side * side, -1)
    row, col = bisect(points, side)
    owner[row * side + col] = np.arange(len(genes))
    reach = float(side - 1)
    while True:
        for _ in range(ROUNDS):
            chosen = rng.permutation(len(pool))[:LANDMARKS]
            wanted = ranks[:, chosen]
            for _ in range(SWAPS):
                row, col = find_owners(owner, side)
                marks = row[pool[chosen]], col[pool[chosen]]
                a, b = draw_pairs(side, max(round(reach), 1), rng)
                at_a, at_b = (_look_up(pixel_rank, pixels, side, marks) for pixels in (a, b))
                gain = _gain(wanted, owner[a], at_a, at_b) + _gain(wanted, owner[b], at_b, at_a)
                a, b = a[gain > 0], b[gain > 0]
                owner[a], owner[b] = owner[b], owner[a]
        if reach <= 1:
            return Places(*find_owners(owner, side))
        reach *= 0.7


def _look_up(
    pixel_rank: np.ndarray, pixels: np.ndarray, side: int, marks: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(pixels, landmarks) ranks of their distances on the canvas."""
    down, across = (
        np.subtract.outer(here.astype(np.int32), there.astype(np.int32))
        for here, there in zip(np.divmod(pixels, side), marks, strict=True)
    )
    return pixel_rank.take(down * down + across * across)


def _gain(wanted: np.ndarray, gene: np.ndarray, now: np.ndarray, then: np.ndarray) -> np.ndarray:
    """How much smaller the error of each gene would be; 0 for a free pixel (gene -1)."""
    own = wanted[gene]
    change = np.abs(own - now) - np.abs(own - then)
    return np.where(gene < 0, 0, change.sum(axis=1, dtype=np.int32))


def _rank_gene_distances(z: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """(genes, pool) mean rank of the distance 1 - r among all pairs with a gene of the pool."""
    bins = np.empty((len(z), len(pool)), dtype=np.int16)
    for part in np.array_split(np.arange(len(z)), -(-len(z) // 2000)):
        bins[part] = np.clip((1 - z[part] @ z[pool].T) * (BINS / 2), 0, BINS - 1)
    counts = np.bincount(bins.ravel(), minlength=BINS)
    counts[0] = max(counts[0] - len(pool), 0)  # not of a gene with itself
    return _mean_ranks(counts)[bins]


def _rank_pixel_distances(side: int) -> np.ndarray:
    """Mean rank of each squared distance among all pairs of pixels of the canvas."""
    down, across = np.indices((side, side))
    pairs = (side - down) * (side - across) * np.where((down > 0) & (across > 0), 2, 1)
    pairs[0, 0] = 0
    return _mean_ranks(np.bincount((down**2 + across**2).ravel(), pairs.ravel()))


def _mean_ranks(counts: np.ndarray) -> np.ndarray:
    ranks = (np.cumsum(counts) - counts / 2) / max(counts.sum(), 1)
    return np.rint(ranks * LAST_RANK).astype(np.int16)
