"""Layouts out of a map of the genes in the plane: t-SNE, principal components, DeepInsight."""

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from threadpoolctl import threadpool_limits

from core.images.grid import assign, describe_genes, standardise, stretch
from core.images.places import Genes, Places

PERPLEXITY = 30
ITERATIONS = 500


def place_by_tsne(genes: Genes, side: int, seed: int) -> Places:
    """t-SNE of the genes, then a pixel of its own for each gene near its point."""
    vectors = describe_genes(genes.x)
    return Places(*assign(embed(genes.x, vectors, seed), vectors, side, seed))


def place_by_pca(genes: Genes, side: int, seed: int) -> Places:
    """First two principal components, then a pixel of its own for each gene near its point."""
    vectors = describe_genes(genes.x)
    return Places(*assign(vectors[:, :2], vectors, side, seed))


def place_as_deepinsight(genes: Genes, side: int, seed: int) -> Places:
    """t-SNE, the smallest rectangle around it, and the pixel that a point falls on.

    As in the original (Sharma et al. 2019, Sci. Rep. 9:11399) genes may share a pixel.
    """
    return _drop(embed(genes.x, describe_genes(genes.x), seed), side)


def place_as_deepinsight_pca(genes: Genes, side: int, seed: int) -> Places:
    """`place_as_deepinsight` with two principal components in place of t-SNE."""
    return _drop(describe_genes(genes.x)[:, :2], side)


def embed(x: np.ndarray, vectors: np.ndarray, seed: int) -> np.ndarray:
    """Barnes-Hut t-SNE (genes, 2) of x (samples, genes), started at the first two components.

    The method is van der Maaten 2014, JMLR 15:3221, as scikit-learn has it, on standardised genes,
    whose squared distance is 2 (1 - r); the start is that of Kobak and Linderman 2021, Nat.
    Biotechnol. 39:156.
    """
    from sklearn.manifold import TSNE  # a second to import, and pages import this module

    method = TSNE(
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        init=(vectors[:, :2] / max(vectors[:, 0].std(), 1e-12) * 1e-4).astype(np.float32),
        max_iter=ITERATIONS,
        random_state=seed,
        n_jobs=1,
    )
    with threadpool_limits(1):  # here again, because OpenMP may have been loaded only now
        return method.fit_transform(standardise(x).T)


def turn_to_rectangle(points: np.ndarray) -> np.ndarray:
    """Turn points (genes, 2) so that the smallest rectangle around them lies along the axes.

    The smallest rectangle shares a direction with an edge of the convex hull (Freeman and Shapira
    1975, CACM 18:409). Points on a line stay as they are.
    """
    try:
        hull = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return points
    edges = np.roll(hull, -1, axis=0) - hull
    angles = np.arctan2(edges[:, 1], edges[:, 0])
    turns = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]])
    areas = [np.ptp(hull @ turn, axis=0).prod() for turn in turns.transpose(2, 0, 1)]
    return points @ turns[:, :, int(np.argmin(np.round(areas, 9)))]


def _drop(points: np.ndarray, side: int) -> Places:
    """The pixels under the points after they were turned and stretched to the canvas."""
    pixels = stretch(turn_to_rectangle(points.astype(np.float64)), side)
    return Places(*np.rint(pixels).astype(np.int64).T)
