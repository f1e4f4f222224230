"""Gene sets in two species, carried over by orthologs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from core.errors import InputError
from core.explain.enrichment import prerank

FEWEST = 2
"""Genes that a set keeps in the other species, at least."""


@dataclass(frozen=True)
class TwoSpecies:
    """Gene sets tested in two species, beside each other."""

    table: pd.DataFrame
    """a row a set that was tested in both, lowest p in the source first: set, size, nes, p and fdr
    in each species (columns end in _source, _target)"""
    correlation: float
    """Spearman's, of the sets' enrichment scores in the two species; NaN with fewer than three"""
    agree: int
    """sets with an FDR below .05 in both and the same direction"""


def carry_sets(
    sets: Mapping[str, Collection[str]],
    orthologs: Collection[tuple[str, str]],
    *,
    one_to_one: bool = True,
) -> dict[str, list[str]]:
    """Each set's genes in the other species.

    Args:
        sets: name -> genes of one species.
        orthologs: pairs of a gene of that species and one of the other.
        one_to_one: leave out genes that have several orthologs, on either side; otherwise a set
            gets all of them.

    Returns:
        Name -> genes of the other species, sorted; sets that keep fewer than two are left out.

    Raises:
        InputError: no gene of any set is in the table's first column.
    """
    pairs = pd.DataFrame(sorted(set(orthologs)), columns=["own", "other"])
    ours = set().union(*sets.values())
    if not pairs["own"].isin(ours).any():
        wrong = pairs["other"].isin(ours).any()
        meant = " Its second column has them: swap the two." if wrong else ""
        raise InputError(
            f"None of the {len(ours):,} genes of the sets is in the first column of the table of "
            f"orthologs, which has {len(pairs):,} pairs.{meant}"
        )
    if one_to_one:
        pairs = pairs[~pairs["own"].duplicated(keep=False) & ~pairs["other"].duplicated(keep=False)]
    others = pairs.groupby("own")["other"].agg(list)
    carried = {
        name: sorted({gene for own in members if own in others.index for gene in others[own]})
        for name, members in sets.items()
    }
    return {name: members for name, members in carried.items() if len(members) >= FEWEST}


def compare_species(
    source: tuple[Sequence[str], np.ndarray],
    target: tuple[Sequence[str], np.ndarray],
    sets: Mapping[str, Collection[str]],
    orthologs: Collection[tuple[str, str]],
    *,
    one_to_one: bool = True,
    permutations: int = 1000,
    seed: int = 0,
) -> TwoSpecies:
    """Test the source's gene sets in the source, and their orthologs in the target.

    XGSEA (Cai et al. 2021, Briefings in Bioinformatics 22:bbaa406) predicts a set's enrichment in
    a species without data from another's, by an embedding of both. Here is what that has to beat:
    the set is carried over gene by gene, and what the source says of it is set beside what the
    target's own ranking says.

    Args:
        source: gene names, and the scores that they are ranked by, such as the difference of means.
        target: the same of the other species.
        sets: name -> genes of the source's species.
        orthologs: pairs of a gene of the source's species and one of the target's.
        one_to_one: see `carry_sets`.
        permutations: random sets of each size.
        seed: of these.

    Raises:
        InputError: as `carry_sets` and `core.explain.enrichment.prerank`; or no set can be tested
            in both.
    """
    carried = carry_sets(sets, orthologs, one_to_one=one_to_one)
    if not carried:
        raise InputError(
            f"No gene set keeps {FEWEST} genes in the other species. Take a table with more "
            "orthologs, or larger sets."
        )
    columns = ["set", "size", "nes", "p", "fdr"]
    there = prerank(*source, {name: sets[name] for name in carried}, permutations, seed)[columns]
    here = prerank(*target, carried, permutations, seed)[columns]
    table = there.merge(here, on="set", suffixes=("_source", "_target"))
    if table.empty:
        raise InputError("No gene set has enough genes in both rankings.")
    both = (table[["fdr_source", "fdr_target"]] < 0.05).all(axis=1)
    same = np.sign(table["nes_source"]) == np.sign(table["nes_target"])
    correlation = (
        float(spearmanr(table["nes_source"], table["nes_target"])[0]) if len(table) > 2 else np.nan
    )
    return TwoSpecies(table, correlation, int((both & same).sum()))
