"""Maps of the genes in the plane: components, t-SNE, UMAP."""

import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from core.images.describe import standardise
from core.images.grid import stretch
from core.images.places import Genes

ITERATIONS = 500
EXAGGERATED = 250
"""Of t-SNE: all, and those that draw neighbours together first (scikit-learn fixes these)."""
MANY = 10_000
"""Genes up to which t-SNE is scikit-learn's; beyond, openTSNE's takes a third of the time."""
LANDMARKS = 500
"""Genes up to which kernel principal components are exact."""


def embed_by_components(genes: Genes, seed: int) -> np.ndarray:
    """The first two principal components (genes, 2)."""
    return genes.vectors[:, :2]


def embed_by_tsne(genes: Genes, seed: int, perplexity: float) -> np.ndarray:
    """t-SNE (genes, 2), started at the first two components.

    On standardised genes, whose squared distance is 2 (1 - r); the start is that of Kobak and
    Linderman 2021, Nat. Biotechnol. 39:156. Up to 10 000 genes Barnes-Hut t-SNE as scikit-learn
    has it (van der Maaten 2014, JMLR 15:3221), beyond that FIt-SNE as openTSNE has it (Linderman
    et al. 2019, Nat. Methods 16:243), whose time grows with the number of genes alone.
    """
    start = genes.vectors[:, :2] / max(genes.vectors[:, 0].std(), 1e-12) * 1e-4
    z, perplexity = standardise(genes.x).T, min(perplexity, (len(genes) - 1) / 3)
    with threadpool_limits(1):  # here again, because OpenMP may have been loaded only now
        return (_embed_many if len(z) > MANY else _embed_few)(z, start, seed, perplexity)


def _embed_few(z: np.ndarray, start: np.ndarray, seed: int, perplexity: float) -> np.ndarray:
    from sklearn.manifold import TSNE  # a second to import, and pages import this module

    method = TSNE(
        perplexity=perplexity,
        init=start.astype(np.float32),
        max_iter=ITERATIONS,
        random_state=seed,
        n_jobs=1,
    )
    return method.fit_transform(z)


def _embed_many(z: np.ndarray, start: np.ndarray, seed: int, perplexity: float) -> np.ndarray:
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    indices, distances = find_nearest(z, int(3 * perplexity) + 1)
    nearest = PrecomputedNeighbors(indices[:, 1:], distances[:, 1:])
    points = TSNEEmbedding(
        start,
        PerplexityBasedNN(perplexity=perplexity, knn_index=nearest, n_jobs=1),
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


def embed_by_umap(genes: Genes, seed: int, neighbours: int, least_distance: float) -> np.ndarray:
    """UMAP (genes, 2), started at the first two components.

    McInnes et al. 2018, arXiv:1802.03426, as umap-learn has it, on standardised genes. Two things
    are given to it: the nearest genes, which are exact here and the same for every order of genes,
    and the start, with a little noise that parts equal genes.
    """
    import umap  # brings a compiler, which takes seconds to import

    z, start = standardise(genes.x).T, genes.vectors[:, :2]
    near = min(neighbours, len(z) - 1)
    if near < 2:
        return start
    noise = np.random.default_rng(seed).normal(scale=1e-3, size=(len(z), 2))
    with threadpool_limits(1):
        method = umap.UMAP(
            n_neighbors=near,
            min_dist=least_distance,
            init=(stretch(start, 11) + noise).astype(np.float32),
            precomputed_knn=find_nearest(z, near),
            random_state=seed,
            n_jobs=1,
        )
        with warnings.catch_warnings():  # that no genes can be added later
            warnings.filterwarnings("ignore", message="precomputed_knn", category=UserWarning)
            return method.fit_transform(z)


def embed_by_kernel_components(genes: Genes, seed: int) -> np.ndarray:
    """Two kernel principal components (genes, 2), signs fixed.

    Schölkopf et al. 1998, Neural Comput. 10:1299, with the Gaussian kernel exp(-d^2 / 2) of
    standardised genes, whose d^2 = 2 (1 - r) is about 2 for genes that have nothing to do with
    each other. Beyond 500 genes the kernel is that of 500 genes drawn at random and what follows
    from them (Nyström's method: Williams and Seeger 2001, NIPS 13:682).
    """
    from sklearn.decomposition import PCA
    from sklearn.kernel_approximation import Nystroem

    z = standardise(genes.x).T.astype(np.float64)  # small eigenvalues of the kernel need the digits
    kernel = Nystroem(gamma=0.5, n_components=min(LANDMARKS, len(z)), random_state=seed)
    method = PCA(2, svd_solver="covariance_eigh")
    with threadpool_limits(1):
        return method.fit_transform(kernel.fit_transform(z))
