"""Which chromosome or gene set each painted gene belongs to, to colour a canvas by."""

from collections.abc import Mapping, Sequence

import numpy as np


def find_members(groups: Mapping[str, Sequence[str]], genes: Sequence[str]) -> dict[str, list[int]]:
    """Positions among the genes of each group's members; groups without any are left out.

    Args:
        groups: group -> its genes.
        genes: the genes painted.
    """
    at = {gene: index for index, gene in enumerate(genes)}
    members = {name: sorted({at[g] for g in own if g in at}) for name, own in groups.items()}
    return {name: own for name, own in members.items() if own}


def assign_groups(members: Mapping[str, Sequence[int]], order: Sequence[str], n: int) -> np.ndarray:
    """(n,) the group of each gene, empty for none; of several that it is in, the smallest.

    Args:
        members: group -> positions of its genes.
        order: the groups that count.
        n: how many genes there are.
    """
    groups = np.full(n, "", dtype=object)
    for name in sorted(order, key=lambda name: -len(members[name])):
        groups[members[name]] = name
    return groups.astype(str)
