"""Layouts out of a map of the genes in the plane: t-SNE, UMAP, components, and DeepInsight."""

import warnings

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from threadpoolctl import threadpool_limits

from core.images.grid import assign, describe_genes, standardise, stretch
from core.images.places import Genes, Places

PERPLEXITY = 30
ITERATIONS = 500
EXAGGERATED = 250
"""Of t-SNE: all, and those that draw neighbours together first (scikit-learn fixes these)."""
MANY = 10_000
"""Genes up to which t-SNE is scikit-learn's; beyond, openTSNE's takes a third of the time."""
NEIGHBOURS = 15
"""Genes, itself among them, that UMAP joins to a gene: its default."""
LANDMARKS = 500
"""Genes up to which kernel principal components are exact."""


def place_by_tsne(genes: Genes, side: int, seed: int) -> Places:
    """t-SNE of the genes, then a pixel of its own for each gene near its point."""
    vectors = describe_genes(genes.x)
    return Places(*assign(embed(genes.x, vectors, seed), vectors, side, seed))


def place_by_umap(genes: Genes, side: int, seed: int) -> Places:
    """UMAP of the genes, then a pixel of its own for each gene near its point."""
    vectors = describe_genes(genes.x)
    return Places(*assign(embed_by_umap(genes.x, vectors, seed), vectors, side, seed))


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


def place_as_deepinsight_umap(genes: Genes, side: int, seed: int) -> Places:
    """`place_as_deepinsight` with UMAP in place of t-SNE."""
    return _drop(embed_by_umap(genes.x, describe_genes(genes.x), seed), side)


def place_as_deepinsight_kpca(genes: Genes, side: int, seed: int) -> Places:
    """`place_as_deepinsight` with two kernel principal components in place of t-SNE."""
    return _drop(find_kernel_components(genes.x, seed), side)


def embed(x: np.ndarray, vectors: np.ndarray, seed: int) -> np.ndarray:
    """t-SNE (genes, 2) of x (samples, genes), started at the first two components.

    On standardised genes, whose squared distance is 2 (1 - r); the start is that of Kobak and
    Linderman 2021, Nat. Biotechnol. 39:156. Up to 10 000 genes Barnes-Hut t-SNE as scikit-learn
    has it (van der Maaten 2014, JMLR 15:3221), beyond that FIt-SNE as openTSNE has it (Linderman
    et al. 2019, Nat. Methods 16:243), whose time grows with the number of genes alone.
    """
    start = vectors[:, :2] / max(vectors[:, 0].std(), 1e-12) * 1e-4
    z = standardise(x).T
    with threadpool_limits(1):  # here again, because OpenMP may have been loaded only now
        return (_embed_many if len(z) > MANY else _embed_few)(z, start, seed)


def _embed_few(z: np.ndarray, start: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE  # a second to import, and pages import this module

    method = TSNE(
        perplexity=min(PERPLEXITY, (len(z) - 1) / 3),
        init=start.astype(np.float32),
        max_iter=ITERATIONS,
        random_state=seed,
        n_jobs=1,
    )
    return method.fit_transform(z)


def _embed_many(z: np.ndarray, start: np.ndarray, seed: int) -> np.ndarray:
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    indices, distances = find_nearest(z, 3 * PERPLEXITY + 1)
    nearest = PrecomputedNeighbors(indices[:, 1:], distances[:, 1:])
    points = TSNEEmbedding(
        start,
        PerplexityBasedNN(perplexity=PERPLEXITY, knn_index=nearest, n_jobs=1),
        negative_gradient_method="fft",
        random_state=seed,
        n_jobs=1,
    )
    points.optimize(EXAGGERATED, exaggeration=12, momentum=0.5, inplace=True)
    points.optimize(ITERATIONS - EXAGGERATED, momentum=0.8, inplace=True)
    return np.asarray(points)


def find_nearest(z: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of vectors (genes, dimensions) to each, itself among them, and how far."""
    from sklearn.neighbors import NearestNeighbors

    distances, indices = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(z).kneighbors(z)
    return indices, distances


def embed_by_umap(x: np.ndarray, vectors: np.ndarray, seed: int) -> np.ndarray:
    """UMAP (genes, 2) of x (samples, genes), started at the first two components.

    McInnes et al. 2018, arXiv:1802.03426, as umap-learn has it with its own settings, on
    standardised genes. Two things are given to it: the nearest genes, which are exact here and
    the same for every order of genes, and the start, with a little noise that parts equal genes.
    """
    import umap  # brings a compiler, which takes seconds to import

    z = standardise(x).T
    near = min(NEIGHBOURS, len(z) - 1)
    if near < 2:
        return vectors[:, :2]
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=(len(z), 2))
    with threadpool_limits(1):
        method = umap.UMAP(
            n_neighbors=near,
            init=(stretch(vectors[:, :2], 11) + noise).astype(np.float32),
            precomputed_knn=find_nearest(z, near),
            random_state=seed,
            n_jobs=1,
        )
        with warnings.catch_warnings():  # that no genes can be added later
            warnings.filterwarnings("ignore", message="precomputed_knn", category=UserWarning)
            return method.fit_transform(z)


def find_kernel_components(x: np.ndarray, seed: int) -> np.ndarray:
    """Two kernel principal components (genes, 2) of x (samples, genes), signs fixed.

    Schölkopf et al. 1998, Neural Comput. 10:1299, with the Gaussian kernel exp(-d^2 / 2) of
    standardised genes, whose d^2 = 2 (1 - r) is about 2 for genes that have nothing to do with
    each other. Beyond 500 genes the kernel is that of 500 genes drawn at random and what follows
    from them (Nyström's method: Williams and Seeger 2001, NIPS 13:682).
    """
    from sklearn.decomposition import PCA
    from sklearn.kernel_approximation import Nystroem

    z = standardise(x).T.astype(np.float64)  # small eigenvalues of the kernel need the digits
    kernel = Nystroem(gamma=0.5, n_components=min(LANDMARKS, len(z)), random_state=seed)
    method = PCA(2, svd_solver="covariance_eigh")
    with threadpool_limits(1):
        return method.fit_transform(kernel.fit_transform(z))


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
