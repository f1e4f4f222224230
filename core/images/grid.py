"""One gene per pixel: from points in the plane to a grid, and a grid made better by swaps."""

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from core.images.places import Genes, Pixels, Places

COMPONENTS = 50
"""Principal components that describe a gene."""
EXACT_COMPONENTS = 2000
"""Samples or genes, whichever are fewer, up to which these are exact."""
SPARE = 10
PASSES = 4
"""Of a random projection: directions beyond those wanted, and looks at all samples and genes."""
STEPS = 10_000
"""Steps in the largest value of a component, to which all are rounded."""
VALUES_AT_A_TIME = 4_000_000
"""Values that are held in float64 at once."""
SMALLEST_GAIN = 1e-6 * STEPS**2
"""Of a swap: below that it may be one of rounding."""
ROUNDS = 10
"""Smoothings of the grid for each radius."""
SWAPS = 8
"""Drawings of pixel pairs for each smoothing."""
EXACT = 3000
"""Genes up to which assignment is exact: it takes time with the cube of their number."""
EXACT_COSTS = EXACT * 64**2
"""Genes x pixels up to which assignment is exact: 98 MB of costs."""


def place_by_components(genes: Genes, side: int, seed: int) -> Places:
    """Similar genes near each other: components, recursive bisection, refinement of the grid.

    Genes are described by their principal components over the samples. The first two are cut in
    halves, the longer side of the canvas first, until each gene has a pixel. Then pixels are
    swapped where that moves both genes towards a smoothed copy of the grid, whose smoothing
    shrinks step by step: self-sorting maps (Strong and Gong 2014, IEEE TMM 16:1045) with the
    filtered grid of FLAS (Barthel et al. 2023, Computer Graphics Forum 42:e14718).
    """
    vectors = describe_genes(genes.x)
    return Places(*refine(vectors, *bisect(vectors[:, :2], side), side, seed))


def standardise(x: np.ndarray) -> np.ndarray:
    """Columns of x with mean 0 and norm 1, so that products are correlations; constant ones 0."""
    z = x - x.mean(axis=0)
    norm = np.linalg.norm(z, axis=0)
    constant = norm <= 1e-6 * np.sqrt(len(x)) * np.maximum(np.abs(x).max(axis=0), 1e-30)
    z /= np.where(constant, 1, norm)
    z[:, constant] = 0
    return z


def describe_genes(x: np.ndarray) -> np.ndarray:
    """Principal components (genes, at most 50) of standardised genes, signs fixed, in whole steps.

    A step is a ten-thousandth of the largest value. Processors add up products in orders of their
    own; in float64 their components differ by less than a millionth of a step, so that all of them
    round to the same steps, and what is compared afterwards doesn't hang on the last bits. The
    sign of a component is that of its largest value, of equal ones the first gene's.
    Beyond 2000 samples and genes components are those of a random projection (Halko et al. 2011,
    SIAM Rev. 53:217), as exact ones take time with the cube of the smaller number.
    """
    samples, genes = x.shape
    parts = np.array_split(np.arange(genes), -(-x.size // VALUES_AT_A_TIME))

    def take(part: np.ndarray) -> np.ndarray:
        return standardise(x[:, part].astype(np.float64))

    if genes < samples and genes <= EXACT_COMPONENTS:
        z = take(np.arange(genes))
        values, right = np.linalg.eigh(z.T @ z)
        scores = (right * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :COMPONENTS]
    elif samples <= EXACT_COMPONENTS:
        _, left = np.linalg.eigh(sum(z @ z.T for z in map(take, parts)))
        left = left[:, ::-1][:, :COMPONENTS]
        scores = np.concatenate([take(part).T @ left for part in parts])
    else:
        left = np.random.default_rng(0).normal(size=(samples, COMPONENTS + SPARE))
        for _ in range(PASSES):
            left, _ = np.linalg.qr(sum(z @ (z.T @ left) for z in map(take, parts)))
        spread = np.concatenate([take(part).T @ left for part in parts])
        _, turn = np.linalg.eigh(spread.T @ spread)
        scores = spread @ turn[:, ::-1][:, :COMPONENTS]
    steps = np.round(scores * (STEPS / (np.abs(scores).max() or 1.0)))
    strongest = steps[np.abs(steps).argmax(axis=0), np.arange(steps.shape[1])]
    return (steps * np.where(strongest < 0, -1, 1)).astype(np.float32)


def bisect(points: np.ndarray, side: int) -> Pixels:
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
        first = min(round(len(members) * share), capacity)
        first = max(first, len(members) - (height * width - capacity))
        members = members[np.argsort(points[members, axis], kind="stable")]
        if axis:
            stack.append((members[:first], top, bottom, left, left + half))
            stack.append((members[first:], top, bottom, left + half, right))
        else:
            stack.append((members[:first], top, top + half, left, right))
            stack.append((members[first:], top + half, bottom, left, right))
    return row, col


def assign(points: np.ndarray, vectors: np.ndarray, side: int, seed: int) -> Pixels:
    """Give each of the points (genes, 2) a pixel near it.

    Up to 3000 genes (and 64 x 64 pixels) exactly: the points are stretched to the canvas, and the
    sum of the squared distances between points and pixels is as small as it can be. Beyond that
    by bisection of the points, refined with the vectors (genes, components).
    """
    if len(points) > EXACT or len(points) * side**2 > EXACT_COSTS:
        return refine(vectors, *bisect(points, side), side, seed)
    pixels = np.indices((side, side)).reshape(2, -1).T
    costs = cdist(stretch(points, side), pixels, "sqeuclidean")
    _, pixel = linear_sum_assignment(costs)
    return np.divmod(pixel, side)


def stretch(points: np.ndarray, side: int) -> np.ndarray:
    """Points (genes, 2) moved and scaled, each axis by itself, to [0, side - 1]."""
    points = points.astype(np.float64) - points.min(axis=0)
    reach = points.max(axis=0)
    return points / np.where(reach > 0, reach, 1) * (side - 1)


def refine(vectors: np.ndarray, row: np.ndarray, col: np.ndarray, side: int, seed: int) -> Pixels:
    """Swap pixels where both contents then fit their smoothed surroundings better.

    Of two pixels a and b with contents x and smoothed grid S, the contents are swapped when
    (x_a - x_b) . (S_b - S_a) > 0. Pairs are at most as far apart as the smoothing radius, which
    shrinks from a quarter of the side to one pixel. Free pixels move like genes of value 0.
    Products are rounded before they are added up, so that they are the same on every processor:
    `einsum` and matrix products would do both at once where the processor can.
    """
    rng = np.random.default_rng(seed)
    grid = np.zeros((side * side, vectors.shape[1]), dtype=np.float32)
    owner = np.full(side * side, -1)
    pixel = row * side + col
    grid[pixel], owner[pixel] = vectors, np.arange(len(vectors))
    radius = max(side / 4, 1.0)
    while True:
        reach = round(radius)
        for _ in range(ROUNDS):
            smooth = uniform_filter(
                grid.reshape(side, side, -1), size=(2 * reach + 1, 2 * reach + 1, 1), mode="nearest"
            ).reshape(side * side, -1)
            for _ in range(SWAPS):
                a, b = draw_pairs(side, reach, rng)
                products = grid[a] - grid[b]
                products *= smooth[b] - smooth[a]
                better = products.sum(axis=1) > SMALLEST_GAIN
                a, b = a[better], b[better]
                grid[a], grid[b] = grid[b], grid[a]
                owner[a], owner[b] = owner[b], owner[a]
        if reach == 1:
            return find_owners(owner, side)
        radius = max(radius * 0.7, 1.0)


def draw_pairs(side: int, reach: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint pairs of pixels, all with one random step between them, at most `reach` each way."""
    down = int(rng.integers(reach + 1))
    across = int(rng.integers(-reach, reach + 1) if down else rng.integers(1, reach + 1))
    first = int(rng.integers(side))
    row, col = np.indices((side, side))
    stripe = (row + first) // down if down else (col + first) // across
    inside = (row + down < side) & (col + across >= 0) & (col + across < side)
    a = np.flatnonzero(inside & (stripe % 2 == 0))
    return a, a + down * side + across


def find_owners(owner: np.ndarray, side: int) -> Pixels:
    """Row and column of each gene, from the gene on each pixel (-1 where it is free)."""
    taken = np.flatnonzero(owner >= 0)
    pixel = np.empty(len(taken), dtype=np.int64)
    pixel[owner[taken]] = taken
    return np.divmod(pixel, side)
