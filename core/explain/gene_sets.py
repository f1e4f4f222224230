"""Gene sets as what a network is asked about: which genes go together, and each gene's share."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from core.errors import InputError
from core.explain.enrichment import usable_sets
from core.explain.methods import METHODS, Recipe
from core.images.references import read_gene_sets, reference_file

REST = "(in none of the sets)"
"""What the genes are called that no set holds."""


def group_genes(recipe: Recipe, genes: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The recipe's gene sets over the genes on an image, as `form_groups` gives them."""
    method = METHODS[recipe.method]
    return form_groups(
        read_gene_sets(reference_file(recipe.sets)), genes, partition=method.partition,
        most=method.most_sets,
    )  # fmt: skip


def form_groups(
    sets: Mapping[str, Collection[str]],
    genes: Sequence[str],
    *,
    partition: bool,
    most: int,
) -> tuple[list[str], np.ndarray]:
    """The sets as rows over the genes on an image.

    Sets that are too small or too large there are left out, as in `over_representation`. The last
    row holds the genes that are in none of the others.

    Args:
        sets: name -> genes.
        genes: the genes on the image.
        partition: give each gene to one set only, the one with fewest genes on the image (by name
            among equals), since that says most about it; sets that keep no gene are left out.
            Otherwise sets overlap as they do.
        most: how many rows there may be.

    Returns:
        The rows' names, and (rows, genes) which genes each holds.

    Raises:
        InputError: no set has enough genes on the image, or more sets than `most`.
    """
    place = {gene: number for number, gene in enumerate(genes)}
    usable = usable_sets(sets, set(place))
    if len(usable) >= most:
        raise InputError(
            f"{len(usable):,} sets have enough genes on the image, and this method asks the "
            f"network about each: it is offered for fewer than {most:,}. Take a smaller "
            "collection, such as Hallmark's 50 sets."
        )
    names = sorted(usable, key=lambda name: (len(usable[name]), name))
    rows = np.zeros((len(names), len(genes)), dtype=bool)
    for row, name in zip(rows, names, strict=True):
        row[[place[gene] for gene in usable[name]]] = True
    if partition:
        rows &= rows.cumsum(axis=0) == 1  # the first, so smallest, that holds the gene
    rest = ~rows.any(axis=0)
    kept = rows.any(axis=1)
    names = [name for name, some in zip(names, kept, strict=True) if some]
    rows = rows[kept]
    if rest.any():
        names, rows = [*names, REST], np.vstack([rows, rest])
    return names, rows


def share_out(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Give each gene its part of its sets' values: an equal share, the mean over its sets.

    Where each gene is in one set the shares add up to the values' sum.

    Args:
        values: (samples, sets).
        members: (sets, genes) which genes each set holds.

    Returns:
        (samples, genes) float32; 0 for a gene in no set.
    """
    shares = values / members.sum(axis=1)
    return (shares @ members / np.maximum(members.sum(axis=0), 1)).astype(np.float32)
