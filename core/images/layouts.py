"""The layouts on offer, and how each finds a place for every gene."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator
from scipy.ndimage import uniform_filter
from threadpoolctl import threadpool_limits

from core.errors import InputError
from core.images.layout import GeneLayout, canvas_side
from core.records import Registry

COMPONENTS = 50
"""Principal components that describe a gene."""
ROUNDS = 10
"""Smoothings of the grid for each radius."""
SWAPS = 4
"""Drawings of pixel pairs for each smoothing."""

Places = tuple[np.ndarray, np.ndarray]


class LayoutSpec(BaseModel):
    """Which layout, on how large a canvas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("pca_grid", title="Layout")
    side: int | None = Field(
        None,
        ge=2,
        le=448,
        title="Canvas side",
        description="Pixels a side; empty: the smallest canvas that holds the genes and divides "
        "the image size.",
    )

    @field_validator("name")
    @classmethod
    def _known_layout(cls, name: str) -> str:
        try:
            return LAYOUTS[name].name
        except InputError as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True)
class LayoutMethod:
    """One way to place genes: (samples, genes) in [0, 1], side, seed -> row and column."""

    name: str
    title: str
    help: str
    reference: str
    learns: bool
    """Whether places depend on the expression, and so on the training samples."""
    place: Callable[[np.ndarray, int, int], Places]


def fit_layout(
    x: np.ndarray, genes: Sequence[str], spec: LayoutSpec, image_size: int, seed: int
) -> GeneLayout:
    """Place genes on a canvas, each on a pixel of its own.

    The result depends neither on the order of the columns (except for `order`, which is that
    order) nor on the number of threads.

    Args:
        x: (samples, genes) prepared expression of training samples.
        genes: ids of the columns.
        spec: which layout, and the canvas side if it is to be given.
        image_size: the network's input; the canvas divides it.
        seed: for layouts that draw random numbers.

    Raises:
        InputError: unknown layout, or more genes than pixels.
    """
    method = LAYOUTS[spec.name]
    genes = np.asarray(genes, dtype=str)
    side = spec.side or canvas_side(len(genes), image_size)
    if side * side < len(genes) or image_size % side:
        raise InputError(
            f"A canvas of {side} x {side} pixels does not serve {len(genes)} genes and images of "
            f"{image_size} x {image_size}: it must hold every gene and divide the image size. "
            f"Leave the side empty or take {canvas_side(len(genes), image_size)}."
        )
    order = np.arange(len(genes)) if spec.name == "order" else np.argsort(genes, kind="stable")
    with threadpool_limits(1):
        row, col = method.place(np.asarray(x, dtype=np.float32)[:, order], side, seed)
    back = np.argsort(order, kind="stable")
    return GeneLayout(spec.name, genes, row[back], col[back], (side, side))


def place_in_order(x: np.ndarray, side: int, seed: int) -> Places:
    """Row by row in the order of the matrix; the rest of the canvas stays free."""
    return np.divmod(np.arange(x.shape[1]), side)


def place_at_random(x: np.ndarray, side: int, seed: int) -> Places:
    """On random pixels of the whole canvas."""
    pixels = np.random.default_rng(seed).permutation(side * side)[: x.shape[1]]
    return np.divmod(pixels, side)


def place_by_components(x: np.ndarray, side: int, seed: int) -> Places:
    """Similar genes near each other: components, recursive bisection, refinement of the grid.

    Genes are described by their principal components over the samples. The first two are cut in
    halves, the longer side of the canvas first, until each gene has a pixel. Then pixels are
    swapped where that moves both genes towards a smoothed copy of the grid, whose smoothing
    shrinks step by step: self-sorting maps (Strong and Gong 2014, IEEE TMM 16:1045) with the
    filtered grid of FLAS (Barthel et al. 2023, Computer Graphics Forum 42:e14718).
    """
    vectors = describe_genes(x)
    row, col = bisect(vectors[:, :2], side)
    return refine(vectors, row, col, side, np.random.default_rng(seed))


def describe_genes(x: np.ndarray) -> np.ndarray:
    """Principal components (genes, at most 50) of standardised genes, signs fixed, rounded.

    Rounding to a part in 10^4 of the largest value keeps later comparisons from hanging on the
    last bits of the eigenvectors.
    """
    z = x - x.mean(axis=0)
    z /= np.maximum(np.linalg.norm(z, axis=0), 1e-12)
    if z.shape[0] <= z.shape[1]:
        values, left = np.linalg.eigh((z @ z.T).astype(np.float64))
        scores = z.T @ left[:, ::-1][:, :COMPONENTS].astype(np.float32)
    else:
        values, right = np.linalg.eigh((z.T @ z).astype(np.float64))
        top = slice(None, COMPONENTS)
        scores = right[:, ::-1][:, top] * np.sqrt(np.maximum(values[::-1][top], 0))
    strongest = np.abs(scores).argmax(axis=0)
    scores = scores * np.where(scores[strongest, np.arange(scores.shape[1])] < 0, -1, 1)
    unit = np.abs(scores).max() / 1e4 or 1.0
    return (np.round(scores / unit) * unit).astype(np.float32)


def bisect(points: np.ndarray, side: int) -> Places:
    """Give each of the points (genes, 2) a pixel by cutting canvas and points in halves in turn.

    The longer side of a rectangle is cut; the points are divided in proportion to the pixels, by
    their first coordinate for rows and their second for columns.
    """
    row, col = np.zeros(len(points), dtype=np.int64), np.zeros(len(points), dtype=np.int64)
    stack = [(np.arange(len(points)), 0, side, 0, side)]
    while stack:
        members, top, bottom, left, right = stack.pop()
        if not len(members):
            continue
        height, width = bottom - top, right - left
        if height == width == 1:
            row[members], col[members] = top, left
            continue
        axis = int(width > height)
        half = (width if axis else height) // 2
        share = half / (width if axis else height)
        capacity = half * (height if axis else width)
        first = int(np.clip(round(len(members) * share), 0, capacity))
        first = max(first, len(members) - (height * width - capacity))
        members = members[np.argsort(points[members, axis], kind="stable")]
        if axis:
            stack.append((members[:first], top, bottom, left, left + half))
            stack.append((members[first:], top, bottom, left + half, right))
        else:
            stack.append((members[:first], top, top + half, left, right))
            stack.append((members[first:], top + half, bottom, left, right))
    return row, col


def refine(
    vectors: np.ndarray, row: np.ndarray, col: np.ndarray, side: int, rng: np.random.Generator
) -> Places:
    """Swap pixels where both contents then fit their smoothed surroundings better.

    Of two pixels a and b with contents x and smoothed grid S, the contents are swapped when
    (x_a - x_b) . (S_b - S_a) > 0. Pairs are drawn within blocks as wide as the smoothing radius,
    which shrinks from a quarter of the side to one pixel. Free pixels move like genes of value 0.
    """
    grid = np.zeros((side * side, vectors.shape[1]), dtype=np.float32)
    owner = np.full(side * side, -1)
    pixel = row * side + col
    grid[pixel], owner[pixel] = vectors, np.arange(len(vectors))
    rows, columns = np.divmod(np.arange(side * side), side)
    radius = max(side / 4, 1.0)
    while True:
        reach = round(radius)
        for _ in range(ROUNDS):
            smooth = uniform_filter(
                grid.reshape(side, side, -1), size=(2 * reach + 1, 2 * reach + 1, 1), mode="nearest"
            ).reshape(side * side, -1)
            for _ in range(SWAPS):
                block = reach + 1
                shift = rng.integers(block, size=2)
                blocks = (rows + shift[0]) // block * (2 * side) + (columns + shift[1]) // block
                order = np.lexsort((rng.random(side * side), blocks))
                a, b = order[: side * side // 2 * 2].reshape(-1, 2).T
                same = blocks[a] == blocks[b]
                a, b = a[same], b[same]
                gain = np.einsum("nd,nd->n", grid[a] - grid[b], smooth[b] - smooth[a])
                a, b = a[gain > 1e-6], b[gain > 1e-6]
                grid[a], grid[b] = grid[b], grid[a]
                owner[a], owner[b] = owner[b], owner[a]
        if reach == 1:
            break
        radius = max(radius * 0.7, 1.0)
    place = np.empty(len(vectors), dtype=np.int64)
    place[owner[owner >= 0]] = np.flatnonzero(owner >= 0)
    return np.divmod(place, side)


LAYOUTS = Registry(
    "layout",
    [
        LayoutMethod(
            name="pca_grid",
            title="Similar genes together (PCA grid)",
            help="Genes that rise and fall together over the training samples become neighbours, "
            "each on a pixel of its own.",
            reference="Strong and Gong 2014, IEEE TMM 16:1045; Barthel et al. 2023, CGF 42:e14718",
            learns=True,
            place=place_by_components,
        ),
        LayoutMethod(
            name="order",
            title="Order of the file (as in the paper)",
            help="Row by row in the order of the matrix, the rest of the canvas free.",
            reference="Rukhsar et al. 2022, Appl. Sci. 12:1850",
            learns=False,
            place=place_in_order,
        ),
        LayoutMethod(
            name="random",
            title="Random (control)",
            help="Every gene on a random pixel: what a layout is worth shows beside it.",
            reference="",
            learns=False,
            place=place_at_random,
        ),
    ],
)
