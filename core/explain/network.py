"""Gene sets as a network: which share so many genes that they say the same."""

import math
from collections.abc import Collection, Mapping

import networkx
import pandas as pd

LINKED = 0.5
"""Sets with this overlap coefficient or more are linked, as in EnrichmentMap."""
SEED = 0


def link_sets(sets: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """Pairs of gene sets that share many genes.

    Merico et al. 2010, doi:10.1371/journal.pone.0013984, with the overlap coefficient: shared genes
    over the genes of the smaller set, so that a narrow term is linked to the broad one it is in.

    Args:
        sets: name -> genes, those on the image.

    Returns:
        One row a pair at or above LINKED: first, second, shared (number of genes), overlap.
    """
    names, rows = list(sets), []
    members = {name: set(genes) for name, genes in sets.items()}
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            shared = len(members[first] & members[second])
            overlap = shared / max(1, min(len(members[first]), len(members[second])))
            if overlap >= LINKED:
                rows.append((first, second, shared, overlap))
    return pd.DataFrame(rows, columns=["first", "second", "shared", "overlap"])


def arrange_sets(names: Collection[str], links: pd.DataFrame) -> pd.DataFrame:
    """Places in a plane that put linked sets beside each other, always the same for equal links.

    Each group by itself as networkx' spring layout (Fruchterman and Reingold 1991), the groups in
    rows: in one layout of all, groups that aren't linked push each other's sets together.

    Returns:
        One row a set, in the order of `names`: set, x, y, group (sets that are linked to each
        other, directly or through others, have the same number; 0 the largest group).
    """
    graph = networkx.Graph()
    graph.add_nodes_from(names)
    graph.add_weighted_edges_from(links[["first", "second", "overlap"]].itertuples(index=False))
    groups = sorted(
        networkx.connected_components(graph), key=lambda group: (-len(group), min(group))
    )
    places, left, top, height = {}, 0.0, 0.0, 0.0
    width = max(2 * math.sqrt(len(groups[0])), math.sqrt(6 * graph.number_of_nodes()))
    for number, group in enumerate(groups):
        half = math.sqrt(len(group))
        if left > 0 and left + 2 * half > width:
            left, top, height = 0.0, top - height, 0.0
        centre = (left + half, top - half)
        inside = networkx.spring_layout(
            graph.subgraph(sorted(group)), seed=SEED, iterations=200, scale=0.7 * half,
            center=centre,
        )  # fmt: skip
        places |= {name: (*map(float, inside[name]), number) for name in group}
        left, height = left + 2 * half, max(height, 2 * half)
    return pd.DataFrame(
        [(name, *places[name]) for name in names], columns=["set", "x", "y", "group"]
    )
