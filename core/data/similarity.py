"""How alike samples are: correlations over the most variable genes, and principal components."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from core.data.formats.unpack import Progress
from core.data.prepare import PreparationSpec, Preprocessor
from core.data.profile import is_centred
from core.errors import InputError

GENES = 1000
"""Most variable genes over which samples are compared."""
FEWEST_GENES = 100
"""With fewer, samples of different people are alike by chance; they aren't compared."""
NEIGHBOURS = 10
PAIRS = 200
"""Most pairs that are kept, the most alike first."""
BLOCK = 1000


@dataclass(frozen=True)
class Similarity:
    """Correlations between samples over standardised genes."""

    nearest: np.ndarray
    """(samples,) mean correlation with the ten most similar other samples."""
    pairs: list[tuple[int, int, float]]
    """(sample, later sample, correlation) of the most similar pairs, the most similar first."""


def compare_samples(x: np.ndarray, scale: str, progress: Progress | None = None) -> Similarity:
    """Correlate all samples with one another over their 1 000 most variable genes.

    Genes are standardised first, so that what all samples have in common doesn't count.

    Args:
        x: (samples, genes) expression as measured, NaN where it is missing.
        scale: counts, linear or log2.
        progress: told the share that is done.
    """
    samples = len(x)
    if samples < 3:
        return Similarity(np.ones(samples), [])
    spec = PreparationSpec(genes=GENES, floor=-20 if scale == "log2" and is_centred(x) else 0)
    try:
        genes = [f"{n}" for n in range(x.shape[1])]
        prepared = Preprocessor.fit(x, genes, scale, spec)
    except InputError:  # no two genes vary
        return Similarity(np.ones(samples), [])
    if len(prepared.index) < FEWEST_GENES:
        return Similarity(np.ones(samples), [])
    z = (prepared.transform(x, genes) - prepared.mean) / prepared.unit_sd
    z -= z.mean(axis=1, keepdims=True)
    z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
    nearest = np.empty(samples)
    found: list[tuple[int, int, float]] = []
    k = min(NEIGHBOURS, samples - 1)
    for start in range(0, samples, BLOCK):
        rows = np.arange(start, min(start + BLOCK, samples))
        r = z[rows] @ z.T
        r[np.arange(len(rows)), rows] = -np.inf
        nearest[rows] = np.partition(r, samples - k, axis=1)[:, -k:].mean(axis=1)
        r[np.arange(samples)[None] < rows[:, None]] = -np.inf  # each pair once
        top = np.argpartition(r, -min(PAIRS, r.size), axis=None)[-PAIRS:]
        found += [
            (int(rows[place // samples]), int(place % samples), float(r.flat[place]))
            for place in top
            if np.isfinite(r.flat[place])
        ]
        if progress:
            progress(rows[-1] / samples)
    found.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    return Similarity(nearest, found[:PAIRS])


def map_samples(values: np.ndarray, components: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of samples.

    Args:
        values: (samples, genes) prepared expression.
        components: how many.

    Returns:
        (samples, components) scores, the largest of each in size positive, and the share of the
        variance that each explains.
    """
    components = min(components, *values.shape)
    pca = PCA(components, svd_solver="covariance_eigh")
    scores = pca.fit_transform(values.astype(np.float64))
    signs = np.sign(scores[np.abs(scores).argmax(axis=0), np.arange(components)])
    return scores * np.where(signs == 0, 1, signs), pca.explained_variance_ratio_


def map_neighbours(values: np.ndarray) -> np.ndarray:
    """Samples in a plane with their nearest ones beside them, always the same for equal values.

    t-SNE (van der Maaten 2014, JMLR 15:3221) of 30 principal components, begun from the first two.

    Args:
        values: (samples, genes) prepared expression of at least 5 samples.

    Returns:
        (samples, 2) positions; near ones mean something, how far apart groups lie does not.
    """
    scores, _ = map_samples(values, 30)
    perplexity = min(30.0, (len(values) - 1) / 3)
    embedding = TSNE(2, perplexity=perplexity, init="pca", random_state=0)
    return embedding.fit_transform(scores.astype(np.float32))


def cluster(values: np.ndarray) -> np.ndarray:
    """(rows,) an order in which like rows stand beside each other.

    Average linkage of 1 - Pearson's correlation, its leaves turned so that neighbours are alike
    (Bar-Joseph et al. 2001, Bioinformatics 17:S22). Rows that are constant are like no other.

    Args:
        values: (rows, columns), at least two rows.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    far = np.nan_to_num(pdist(values, "correlation"), nan=1.0)
    return leaves_list(linkage(far, "average", optimal_ordering=True))
