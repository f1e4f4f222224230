"""Genes along a line, the leaves of a tree of them, and that line along a curve."""

import numpy as np

from core.images.places import Genes, Pixels, Places


def embed_by_tree(genes: Genes, seed: int) -> np.ndarray:
    """Place (genes, 1) of each gene in the leaf order of Ward's tree."""
    return np.argsort(order_leaves(genes.vectors))[:, None]


def place_along_curve(genes: Genes, points: np.ndarray, side: int, seed: int) -> Places:
    """Genes in the order of their first coordinate along a Hilbert curve.

    Neighbours in that order are neighbours on the canvas, and a branch of a tree is a patch.
    """
    order = np.argsort(points[:, 0], kind="stable")
    row, col = hilbert_curve(side)
    places = Places(np.empty(len(genes), dtype=np.int64), np.empty(len(genes), dtype=np.int64))
    places.row[order], places.col[order] = row[: len(genes)], col[: len(genes)]
    return places


def order_leaves(vectors: np.ndarray) -> np.ndarray:
    """The leaves of Ward's tree (1963, JASA 58:236) over vectors (genes, components), in order.

    The tree grows along chains of nearest neighbours (Murtagh 1983, Comput. J. 26:354), whose
    distances are computed anew from the centres of the branches: O(n^2) time but O(n) memory. Two
    branches are joined at the two ends that are most alike (Gruvaeus and Wainer 1972, Br. J. Math.
    Stat. Psychol. 25:200).
    """
    centres = vectors.astype(np.float32)
    squares = np.einsum("nd,nd->n", centres, centres)
    sizes = np.ones(len(vectors), dtype=np.float32)
    branches = [np.array([gene]) for gene in range(len(vectors))]
    chain: list[int] = []
    for last in range(len(vectors) - 1, 0, -1):  # branches are 0 to `last`
        chain = chain or [0]
        while True:
            tip = chain[-1]
            there = slice(last + 1)
            growth = squares[there] + squares[tip] - 2 * (centres[there] @ centres[tip])
            growth *= sizes[there] / (sizes[there] + sizes[tip])
            growth[tip] = np.inf
            nearest = int(growth.argmin())
            if len(chain) > 1 and (nearest == chain[-2] or growth[chain[-2]] <= growth[nearest]):
                break
            chain.append(nearest)
        one, other = sorted((chain.pop(), chain.pop()))
        branches[one] = _join(vectors, branches[one], branches[other])
        total = sizes[one] + sizes[other]
        centres[one] = (sizes[one] * centres[one] + sizes[other] * centres[other]) / total
        squares[one], sizes[one] = centres[one] @ centres[one], total
        for parts in (centres, squares, sizes, branches):
            parts[other] = parts[last]
        chain = [other if branch == last else branch for branch in chain]
    return branches[0]


def _join(vectors: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The two sequences of leaves joined, each turned round or not, at the ends most alike."""
    turned = [(first, second) for first in (one, one[::-1]) for second in (other, other[::-1])]
    gaps = [np.square(vectors[a[-1]] - vectors[b[0]]).sum() for a, b in turned]
    return np.concatenate(turned[int(np.argmin(gaps))])


def hilbert_curve(side: int) -> Pixels:
    """The pixels of a side x side canvas in the order of Hilbert's curve (1891, Math. Ann. 38:459).

    On a side that is a power of two each pixel touches the next. Other canvases take the curve of
    the next power of two and leave out what lies beyond them.
    """
    row = col = np.zeros(1, dtype=np.int64)
    length = 1
    while length < side:
        # Four copies of the curve so far: mirrored at one diagonal, as it is twice, and mirrored
        # at the other diagonal.
        row, col = (
            np.concatenate([col, row, row + length, 2 * length - 1 - col]),
            np.concatenate([row, col + length, col + length, length - 1 - row]),
        )
        length *= 2
    inside = (row < side) & (col < side)
    return row[inside], col[inside]
