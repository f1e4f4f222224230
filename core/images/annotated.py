"""Layouts by what is known about genes: where they lie in the genome, which sets they are in."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from core.images.layout import canvas_side
from core.images.places import Genes, Places
from core.images.references import rank_chromosome, read_gene_sets, read_positions

if TYPE_CHECKING:
    from scipy import sparse

SMALLEST_AREA = 4
"""Genes that a set must add to get an area of its own."""

Area = np.ndarray | list["Area"]
"""The genes of a set, or areas within it."""


def place_by_chromosome(genes: Genes, points: None, side: int, seed: int) -> Places:
    """Chromosome after chromosome, from left to right by position; the rest at the end.

    Each chromosome begins a row where the canvas has the rows for that. Genes without a position
    come last, in the order of their names; their group is empty.

    Raises:
        InputError: the reference file knows none of the genes.
    """
    order, group = _along_genome(genes)
    starts = np.flatnonzero(np.r_[True, group[order][1:] != group[order][:-1]])
    sizes = np.diff(np.r_[starts, len(genes)])
    if _rows(sizes, side) <= side:
        first = np.cumsum(np.r_[0, -(-sizes[:-1] // side)]) * side
        pixel = np.repeat(first - starts, sizes) + np.arange(len(genes))
    else:
        pixel = np.arange(len(genes))
    row, col = np.empty((2, len(genes)), dtype=np.int64)
    row[order], col[order] = np.divmod(pixel, side)
    return Places(row, col, group)


def chromosome_side(genes: Genes, image_size: int) -> int:
    """The smallest canvas on which each chromosome begins a row, else that holds the genes."""
    least = canvas_side(len(genes), image_size)
    _, group = _along_genome(genes)
    _, sizes = np.unique(group, return_counts=True)
    for side in range(least, image_size + 1):
        if image_size % side == 0 and _rows(sizes, side) <= side:
            return side
    return least


def _rows(sizes: np.ndarray, side: int) -> int:
    return int((-(-sizes // side)).sum())


def _along_genome(genes: Genes) -> tuple[np.ndarray, np.ndarray]:
    """The genes in the order of the genome, and the chromosome of each ("" where unknown)."""
    known = read_positions(genes.reference)
    _check_names(genes, known)
    places = [known.get(name, ("", 0)) for name in genes.names.tolist()]
    rank = [rank_chromosome(name) for name, _ in places]
    start = [start for _, start in places]
    return np.lexsort((genes.names, start, rank)), np.array([name for name, _ in places])


def place_as_treemap(genes: Genes, points: None, side: int, seed: int) -> Places:
    """An area for each gene set, and in it areas of the sets within it.

    A gene stands in one place, so sets take turns: the one with the most genes that are still
    free takes them, and inside it the same again. The group of a gene is its outermost set. The
    canvas is cut in two at the border between two sets nearest to the middle, and so on: an
    ordered treemap (Shneiderman and Wattenberg 2001, InfoVis 73) with whole pixels. Where no pixel
    is to spare a set may be torn in two. Genes of no set come last; their group is empty.

    Raises:
        InputError: the reference file knows none of the genes.
    """
    from scipy import sparse

    sets = read_gene_sets(genes.reference)
    _check_names(genes, dict.fromkeys(gene for own in sets.values() for gene in own))
    position = {name: index for index, name in enumerate(genes.names.tolist())}
    members = [[position[name] for name in own if name in position] for own in sets.values()]
    counts = [len(own) for own in members]
    table = sparse.csr_array(
        (
            np.ones(sum(counts), dtype=np.int64),
            np.array([gene for own in members for gene in own], dtype=np.int64),
            np.cumsum([0, *counts]),
        ),
        shape=(len(sets), len(genes)),
    )
    titles, group = list(sets), np.full(len(genes), "", dtype=object)
    areas: list[Area] = []
    for index, own in _take_turns(table):
        group[own] = titles[index]
        areas.append(_nest(table, own))
    free = np.flatnonzero(group == "")
    if len(free):
        areas.append(free)
    row, col = np.empty((2, len(genes)), dtype=np.int64)
    for own, pixel_row, pixel_col in _cut(areas, 0, 0, side, side):
        row[own], col[own] = pixel_row, pixel_col
    return Places(row, col, group.astype(str))


def _check_names(genes: Genes, known: Collection[str]) -> None:
    """Raise InputError when the reference file knows none of the genes."""
    if not any(name in known for name in genes.names.tolist()):
        raise InputError(
            f"The reference file knows none of the {len(genes)} genes: they are named like "
            f"{str(genes.names[0])!r}, those of the file like {next(iter(known))!r}. Use a file "
            "with the same kind of names."
        )


def _take_turns(table: sparse.csr_array) -> list[tuple[int, np.ndarray]]:
    """Sets (index, genes), each with the genes that no set before it has taken, largest first."""
    left = np.ones(table.shape[1], dtype=bool)
    count = table.sum(axis=1)
    by_gene = table.tocsc()
    taken = []
    while len(count) and count.max() >= SMALLEST_AREA:
        chosen = int(count.argmax())
        own = table.indices[table.indptr[chosen] : table.indptr[chosen + 1]]
        own = np.sort(own[left[own]])
        left[own] = False
        count = count - by_gene[:, own].sum(axis=1)
        taken.append((chosen, own))
    return taken


def _nest(table: sparse.csr_array, genes: np.ndarray) -> Area:
    """The genes, or areas of the sets that hold a part of them."""
    inside = table[:, genes]
    size = inside.sum(axis=1)
    taken = _take_turns(inside[(size >= SMALLEST_AREA) & (size < len(genes))])
    if not taken:
        return genes
    areas = [_nest(table, genes[own]) for _, own in taken]
    rest = np.setdiff1d(np.arange(len(genes)), np.concatenate([own for _, own in taken]))
    return [*areas, genes[rest]] if len(rest) else areas


def _cut(
    area: Area, top: int, left: int, height: int, width: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Genes, rows and columns of the innermost areas when `area` fills this part of the canvas."""
    if isinstance(area, np.ndarray):
        used = max(math.ceil(math.sqrt(len(area) * width / height)), 1)  # of the same shape
        row, col = np.divmod(np.arange(len(area)), used)
        yield area, top + row, left + col
    elif len(area) == 1:
        yield from _cut(area[0], top, left, height, width)
    else:
        across = width > height
        long, short = (width, height) if across else (height, width)
        genes, length = _choose_cut([_count(part) for part in area], long, short)
        first, second = _split(area, genes)
        if across:
            yield from _cut(first, top, left, height, length)
            yield from _cut(second, top, left + length, height, width - length)
        else:
            yield from _cut(first, top, left, length, width)
            yield from _cut(second, top + length, left, height - length, width)


def _choose_cut(sizes: list[int], long: int, short: int) -> tuple[int, int]:
    """How many genes go first, and how much of the long side they get.

    At the border between two areas nearest to the middle at which both sides hold their genes,
    else through an area.
    """
    borders, total = np.cumsum(sizes)[:-1], sum(sizes)
    for genes in borders[np.argsort(np.abs(2 * borders - total), kind="stable")].tolist():
        least, most = -(-genes // short), long - -(-(total - genes) // short)
        if least <= most:
            return genes, min(max(round(long * genes / total), least, 1), most, long - 1)
    length = long // 2
    most, least = length * short, total - (long - length) * short
    return min(max(round(total * length / long), least), most), length


def _split(areas: list[Area], genes: int) -> tuple[list[Area], list[Area]]:
    """The first `genes` genes and the others, areas kept whole but the one at the border."""
    first: list[Area] = []
    for number, area in enumerate(areas):
        size = _count(area)
        if genes < size:
            rest = areas[number + 1 :]
            if not genes:
                return first, areas[number:]
            if isinstance(area, np.ndarray):
                return [*first, area[:genes]], [area[genes:], *rest]
            inner, outer = _split(area, genes)
            return [*first, inner], [outer, *rest]
        first.append(area)
        genes -= size
    return first, []


def _count(area: Area) -> int:
    return len(area) if isinstance(area, np.ndarray) else sum(map(_count, area))
