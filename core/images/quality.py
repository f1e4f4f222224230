"""How good a layout is: do genes that belong together stand together, and does it stay so?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.stats import rankdata

from core.errors import InputError
from core.images.describe import standardise
from core.images.layout import GeneLayout

NEIGHBOURS = 8
"""Nearest genes that are looked at: as many as a pixel has around it."""
PROBES = 2000
"""Genes whose neighbourhoods are looked at where a layout has more than these."""
RESAMPLES = 5
"""Bootstrap samples that stability is the mean over."""
CHUNK = 4_000_000
"""Values of a block of the gene x gene matrices; the whole is never in memory."""


@dataclass(frozen=True)
class Measure:
    """One measure in words."""

    name: str
    """The field of LayoutQuality."""
    title: str
    help: str
    best: str
    """What good is, in a word or two."""
    digits: int


@dataclass(frozen=True)
class LayoutQuality:
    """What `measure_layout` found. The distance of two genes is 1 - r, r Pearson's correlation."""

    version: ClassVar[int] = 1
    """Raised when one of them is measured otherwise."""

    genes: int
    shared: int
    """Genes that stand on a pixel with another gene."""
    neighbours: int
    """k of the two measures that follow: 8, or fewer where there are too few genes."""
    probes: int
    """Genes that trustworthiness, recall and the two rank measures looked at: all, or a seeded
    subset (their neighbours are sought among all genes)."""
    trustworthiness: float
    """1 if the k nearest genes on the canvas are the k most similar ones, about .5 at random: the
    mean penalty is the similarity rank of a neighbour beyond k (Venna and Kaski 2001, ICANN)."""
    recall: float
    """Share of the k most similar genes that are among the k nearest on the canvas."""
    rank_correlation: float
    """Spearman's correlation of the distance of two genes and that of their pixels; NaN where one
    of them is the same for all pairs."""
    rank_error: float
    """IGTD's error: the mean difference of the rank of two genes' distance and the rank of their
    pixels' distance, over its value for a random layout (Zhu et al. 2021, Sci. Rep. 11:11325)."""
    moran: float | None
    """Moran's I (1950, Biometrika 37:17) of class differences: 1 where genes that tell a class
    stand together in patches, about 0 at random; above 1 where only some pixels touch and those
    are the strongest. None without labels."""
    displacement: float | None
    """How far a gene moves when the samples are drawn again, as a share of the side; the median of
    the genes, the mean over draws. None where the layout wasn't fitted again."""


MEASURES = (
    Measure(
        "shared",
        "Genes that share a pixel",
        "The network sees only the mean of genes on one pixel, and an attribution can't tell them "
        "apart.",
        "none",
        0,
    ),
    Measure(
        "trustworthiness",
        "Trustworthiness",
        "Are the genes around a gene really similar to it? 1: the 8 nearest genes on the canvas "
        "are the 8 most similar ones; about 0.5: as at random.",
        "high",
        3,
    ),
    Measure(
        "recall",
        "Neighbours found again",
        "Of the 8 genes most similar to a gene, the share that stands among its 8 nearest.",
        "high",
        3,
    ),
    Measure(
        "rank_correlation",
        "Far apart if different",
        "Over all pairs of genes, the rank correlation of how different two genes are and how far "
        "apart they stand. 0: as at random.",
        "high",
        2,
    ),
    Measure(
        "rank_error",
        "Rank error (IGTD)",
        "The same question as IGTD asks it: the mean difference of the two ranks, 1 for a random "
        "layout.",
        "low",
        3,
    ),
    Measure(
        "moran",
        "Class patches (Moran's I)",
        "Do genes that tell a class from the rest stand together in patches? About 1 if they do, "
        "0 if they are scattered.",
        "high",
        2,
    ),
    Measure(
        "displacement",
        "Moves with other samples",
        "How far the median gene moves, as a share of the side, when the samples are drawn again. "
        "0.4 is as far as at random. A place is only worth remembering where this is low.",
        "low",
        2,
    ),
)
"""The fields of LayoutQuality that speak for or against a layout, in the order of a table."""


def measure_layout(
    layout: GeneLayout,
    x: np.ndarray,
    labels: Sequence[str] | np.ndarray | None = None,
    refit: Callable[[np.ndarray], GeneLayout] | None = None,
    seed: int = 0,
) -> LayoutQuality:
    """Measure a layout on the expression of some samples.

    Args:
        layout: what is measured.
        x: (samples, genes) expression, columns in the order of `layout.genes`.
        labels: (samples,) classes, for Moran's I.
        refit: lays the same genes out on other samples, for the displacement; called five times.
        seed: for the genes that are probed and the samples that are drawn.

    Raises:
        InputError: fewer than three genes, fewer than two samples, or shapes that don't match.
    """
    x = np.asarray(x, dtype=np.float32)
    genes = len(layout.genes)
    if genes < 3:
        raise InputError(
            f"How good a layout of {genes} genes is can't be measured: at least 3 are needed."
        )
    if x.ndim != 2 or x.shape[1] != genes or len(x) < 2:
        raise InputError(
            f"Expected at least 2 samples of the layout's {genes} genes, "
            f"got a matrix of shape {x.shape}."
        )
    if labels is not None and len(labels) != len(x):
        raise InputError(f"Expected a class for each of {len(x)} samples, got {len(labels)}.")
    order = np.argsort(layout.genes, kind="stable")
    z = standardise(x)[:, order].T
    pixels = np.c_[layout.row, layout.col][order]
    rng = np.random.default_rng(seed)
    chosen = np.arange(genes)
    if genes > PROBES:
        chosen = np.sort(rng.choice(genes, PROBES, replace=False))
    k = min(NEIGHBOURS, (genes - 1) // 2)
    trust, recall = _compare_neighbours(z, pixels, chosen, k, rng)
    correlation, error = _compare_ranks(z[chosen], pixels[chosen])
    return LayoutQuality(
        genes=genes,
        shared=layout.shared_pixels(),
        neighbours=k,
        probes=len(chosen),
        trustworthiness=trust,
        recall=recall,
        rank_correlation=correlation,
        rank_error=error,
        moran=None if labels is None else _class_patches(layout, x, np.asarray(labels)),
        displacement=None if refit is None else _displacement(layout, x, refit, rng),
    )


def compare_with_neighbours(layout: GeneLayout, groups: np.ndarray) -> tuple[float, float]:
    """How much groups hold together on the canvas.

    Args:
        layout: where each gene stands.
        groups: (genes,) the group of each gene, empty for none.

    Returns:
        The share of neighbours (pixels that touch at a side, both with genes of a group) that are
        of the same group, and that share for genes placed at random. NaN where none touch.
    """
    names, number = np.unique(groups[groups != ""], return_inverse=True)
    canvas = np.full(layout.shape, -1, dtype=np.int64)
    inside = groups != ""
    canvas[layout.row[inside], layout.col[inside]] = number
    one = np.concatenate([canvas[1:].ravel(), canvas[:, 1:].ravel()])
    other = np.concatenate([canvas[:-1].ravel(), canvas[:, :-1].ravel()])
    touching = (one >= 0) & (other >= 0)
    if not touching.any():
        return float("nan"), float("nan")
    sizes = np.bincount(canvas[canvas >= 0], minlength=len(names)).astype(float)
    taken = sizes.sum()
    chance = (sizes * (sizes - 1)).sum() / (taken * (taken - 1))
    return float((one == other)[touching].mean()), float(chance)


def morans_i(image: np.ndarray) -> float:
    """Moran's I of a canvas (rows, columns) with the four pixels beside a pixel as neighbours.

    Free pixels are NaN and neighbours of none. 0 where nothing varies or no pixels touch.
    """
    image = image - np.nanmean(image)
    products = np.concatenate(
        [(image[1:] * image[:-1]).ravel(), (image[:, 1:] * image[:, :-1]).ravel()]
    )
    touching = np.isfinite(products)
    variance = np.nanmean(image**2)
    if not touching.any() or variance == 0:
        return 0.0
    return float(products[touching].mean() / variance)


def _compare_neighbours(
    z: np.ndarray, pixels: np.ndarray, chosen: np.ndarray, k: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Trustworthiness and recall of the chosen genes.

    A neighbour's rank is 1 more than the number of genes that are more similar. Genes equally far
    on the canvas are taken in random order.
    """
    n = len(z)
    priority = rng.permutation(n)
    penalty = found = 0
    for part in np.array_split(chosen, -(-len(chosen) * n // CHUNK)):
        own = np.arange(len(part))
        apart = (pixels[part, 0, None] - pixels[:, 0]) ** 2
        apart += (pixels[part, 1, None] - pixels[:, 1]) ** 2
        apart = apart * n + priority
        apart[own, part] = np.iinfo(apart.dtype).max
        near = np.argpartition(apart, k - 1, axis=1)[:, :k]
        similar = _correlate(z[part], z)
        similar[own, part] = -np.inf
        for neighbour in near.T:
            rank = 1 + (similar > similar[own, neighbour][:, None]).sum(axis=1)
            penalty += int(np.maximum(rank - k, 0).sum())
            found += int((rank <= k).sum())
    worst = len(chosen) * k * (2 * n - 3 * k - 1) / 2
    return 1 - penalty / worst, found / (len(chosen) * k)


def _correlate(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Correlations, rounded so that equal ones are equal whatever the order of the sums was."""
    return np.round(some @ others.T, 5)


def _compare_ranks(z: np.ndarray, pixels: np.ndarray) -> tuple[float, float]:
    """Spearman's correlation and IGTD's error over all pairs of these genes."""
    one, other = np.triu_indices(len(z), 1)
    distance = rankdata(-_correlate(z, z)[one, other])
    apart = rankdata(((pixels[one] - pixels[other]) ** 2).sum(axis=1))
    error = np.abs(distance - apart).mean() / (len(one) / 3)
    if np.ptp(distance) == 0 or np.ptp(apart) == 0:
        return float("nan"), float(error)
    return float(np.corrcoef(distance, apart)[0, 1]), float(error)


def _class_patches(layout: GeneLayout, x: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of Moran's I of the class's mean minus that of the rest, in SD."""
    z = standardise(x)
    values = [
        morans_i(layout.image(z[labels == name].mean(axis=0) - z[labels != name].mean(axis=0)))
        for name in np.unique(labels)
        if (labels != name).any()
    ]
    return float(np.mean(values)) if values else 0.0


def _displacement(
    layout: GeneLayout,
    x: np.ndarray,
    refit: Callable[[np.ndarray], GeneLayout],
    rng: np.random.Generator,
) -> float:
    """Mean over bootstrap samples of the median way of a gene, after the best turn or mirroring.

    Layouts are only defined up to these; both canvases are centred and scaled to side 1 first.
    """
    moves = []
    for _ in range(RESAMPLES):
        again = refit(x[rng.integers(len(x), size=len(x))]).reindex(layout.genes)
        first, second = _centre(layout), _centre(again)
        turn, _ = orthogonal_procrustes(second, first)
        moves.append(np.median(np.linalg.norm(second @ turn - first, axis=1)))
    return float(np.mean(moves))


def _centre(layout: GeneLayout) -> np.ndarray:
    places = np.c_[layout.row, layout.col] / max(layout.shape)
    return places - places.mean(axis=0)
