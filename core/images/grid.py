"""From points in the plane to pixels: assigned, sorted into a grid, or dropped on them."""

import numpy as np

from core.images.describe import STEPS
from core.images.places import Genes, Pixels, Places

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


def sort_on_grid(genes: Genes, points: np.ndarray, side: int, seed: int) -> Places:
    """Points (genes, 2) cut into a grid by recursive bisection, which is then refined.

    Points are cut in halves, the longer side of the canvas first, until each gene has a pixel.
    Then pixels are swapped where that moves both genes towards a smoothed copy of the grid, whose
    smoothing shrinks step by step: self-sorting maps (Strong and Gong 2014, IEEE TMM 16:1045) with
    the filtered grid of FLAS (Barthel et al. 2023, Computer Graphics Forum 42:e14718).
    """
    return Places(*refine(genes.vectors, *bisect(points, side), side, seed))


def place_on_own_pixels(genes: Genes, points: np.ndarray, side: int, seed: int) -> Places:
    """Points (genes, 2) moved to a pixel of its own for each gene, as `assign` does."""
    return Places(*assign(points, genes.vectors, side, seed))


def drop_on_pixels(genes: Genes, points: np.ndarray, side: int, seed: int) -> Places:
    """The smallest rectangle around points (genes, 2), and the pixel that each then falls on.

    As in the original (Sharma et al. 2019, Sci. Rep. 9:11399) genes may share a pixel.
    """
    pixels = stretch(turn_to_rectangle(points.astype(np.float64)), side)
    return Places(*np.rint(pixels).astype(np.int64).T)


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
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    pixels = np.indices((side, side)).reshape(2, -1).T
    costs = cdist(stretch(points, side), pixels, "sqeuclidean")
    _, pixel = linear_sum_assignment(costs)
    return np.divmod(pixel, side)


def stretch(points: np.ndarray, side: int) -> np.ndarray:
    """Points (genes, 2) moved and scaled, each axis by itself, to [0, side - 1]."""
    points = points.astype(np.float64) - points.min(axis=0)
    reach = points.max(axis=0)
    return points / np.where(reach > 0, reach, 1) * (side - 1)


def turn_to_rectangle(points: np.ndarray) -> np.ndarray:
    """Turn points (genes, 2) so that the smallest rectangle around them lies along the axes.

    The smallest rectangle shares a direction with an edge of the convex hull (Freeman and Shapira
    1975, CACM 18:409). Points on a line stay as they are.
    """
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return points
    edges = np.roll(hull, -1, axis=0) - hull
    angles = np.arctan2(edges[:, 1], edges[:, 0])
    turns = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]])
    areas = [np.ptp(hull @ turn, axis=0).prod() for turn in turns.transpose(2, 0, 1)]
    return points @ turns[:, :, int(np.argmin(np.round(areas, 9)))]


def refine(vectors: np.ndarray, row: np.ndarray, col: np.ndarray, side: int, seed: int) -> Pixels:
    """Swap pixels where both contents then fit their smoothed surroundings better.

    Of two pixels a and b with contents x and smoothed grid S, the contents are swapped when
    (x_a - x_b) . (S_b - S_a) > 0. Pairs are at most as far apart as the smoothing radius, which
    shrinks from a quarter of the side to one pixel. Free pixels move like genes of value 0.
    Products are rounded before they are added up, so that they are the same on every processor:
    `einsum` and matrix products would do both at once where the processor can.
    """
    from scipy.ndimage import uniform_filter

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
