"""Gene sets: over-represented in a gene list, or gathered at one end of a ranking."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from core.errors import InputError

SMALLEST, LARGEST = 5, 500
"""Sets with fewer or more genes on the image are left out: luck decides on the first, and the
second say little."""
PERMUTATIONS = 1000


def over_representation(
    genes: Collection[str], background: Collection[str], sets: Mapping[str, Collection[str]]
) -> pd.DataFrame:
    """Which sets have more of the listed genes than a random list of the background would.

    Hypergeometric test, one-sided, with Benjamini-Hochberg's correction over the sets tested.

    Args:
        genes: the list; genes outside of the background don't count.
        background: all genes that could have been on the list: those on the image. With all genes
            of the genome instead, whatever a tissue expresses would look enriched.
        sets: name -> genes.

    Returns:
        One row a set with SMALLEST to LARGEST genes in the background, lowest p first: set, size
        (in the background), overlap, expected, p, fdr, genes (those in the list, sorted).

    Raises:
        InputError: no listed gene is in the background, or no set has enough genes in it.
    """
    possible = set(background)
    listed = set(genes) & possible
    if not listed:
        raise InputError(
            f"None of the {len(set(genes))} genes of the list is among the {len(possible)} on the "
            "image. Both must use the same kind of ids, such as symbols."
        )
    rows = []
    for name, members in usable_sets(sets, possible).items():
        found = sorted(members & listed)
        p = stats.hypergeom.sf(len(found) - 1, len(possible), len(members), len(listed))
        expected = len(listed) * len(members) / len(possible)
        rows.append((name, len(members), len(found), expected, p, found))
    table = pd.DataFrame(rows, columns=["set", "size", "overlap", "expected", "p", "genes"])
    table.insert(5, "fdr", stats.false_discovery_control(table["p"]))
    return table.sort_values("p", kind="stable", ignore_index=True)


def prerank(
    genes: Sequence[str],
    scores: np.ndarray,
    sets: Mapping[str, Collection[str]],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Which sets gather at the top or the bottom of a ranking (GSEA on a ranked list).

    Subramanian et al. 2005, doi:10.1073/pnas.0506580102, with weight 1. Sets are compared with
    random sets of the same size out of the ranking. Other than there, p counts the observed score
    among the random ones, and the FDR is Benjamini-Hochberg's over the sets tested.

    Args:
        genes: gene ids.
        scores: (genes,) what they are ranked by, such as mean attributions.
        sets: name -> genes.
        permutations: random sets of each size.
        seed: where random numbers start.

    Returns:
        One row a set with SMALLEST to LARGEST genes in the ranking, lowest p first: set, size, es
        (enrichment score), nes (es over the mean of random sets of the same sign), p, fdr, leading
        (the genes up to the score's extreme, in the order of the ranking).

    Raises:
        InputError: scores that are not finite or all the same, or no set has enough genes in the
            ranking.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise InputError(f"{(~np.isfinite(scores)).sum()} genes of the ranking have no score.")
    if np.ptp(scores) == 0:
        raise InputError(f"All {len(scores):,} genes have the same score: there is no ranking.")
    order = np.argsort(-scores, kind="stable")
    names, weights = np.asarray(genes, dtype=object)[order], np.abs(scores[order])
    usable = usable_sets(sets, set(names))
    place = {gene: number for number, gene in enumerate(names)}
    hits = {name: np.sort([place[gene] for gene in members]) for name, members in usable.items()}
    rng = np.random.default_rng(seed)
    most = max(map(len, hits.values()))
    draws = np.stack(
        [rng.choice(len(names), most, replace=False) for _ in range(permutations)]
    )  # the first k of a row are a random set of k
    random = {
        size: _enrichment(np.sort(draws[:, :size], axis=1), weights)
        for size in {len(members) for members in hits.values()}
    }
    rows = []
    for name, members in hits.items():
        score = float(_enrichment(members[None], weights)[0])
        null = random[len(members)]
        null = null[null >= 0] if score >= 0 else -null[null < 0]
        p = (1 + (null >= abs(score)).sum()) / (1 + len(null))
        nes = score / null.mean() if len(null) and null.mean() > 0 else np.nan
        running = running_score(members, weights)
        peak = int(np.abs(running).argmax())
        leading = members[members <= peak] if score >= 0 else members[members >= peak]
        rows.append((name, len(members), score, nes, p, names[leading].tolist()))
    table = pd.DataFrame(rows, columns=["set", "size", "es", "nes", "p", "leading"])
    table.insert(5, "fdr", stats.false_discovery_control(table["p"]))
    return table.sort_values("p", kind="stable", ignore_index=True)


def running_score(hits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """GSEA's running sum (genes,) along a ranking.

    Args:
        hits: sorted positions of the set's genes in the ranking.
        weights: (genes,) absolute scores in the order of the ranking.
    """
    steps = np.full(len(weights), -1 / (len(weights) - len(hits)))
    own = weights[hits]
    steps[hits] = own / own.sum() if own.sum() > 0 else 1 / len(hits)
    return np.cumsum(steps)


def _enrichment(hits: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(sets,) enrichment scores of sorted positions (sets, size): the running sum's extreme.

    The sum is highest right after a gene of the set and lowest right before one.
    """
    own = weights[hits]
    total = own.sum(axis=1, keepdims=True)
    share = np.where(total > 0, own / np.where(total > 0, total, 1), 1 / hits.shape[1])
    after = np.cumsum(share, axis=1)
    missed = (hits - np.arange(hits.shape[1])) / (len(weights) - hits.shape[1])
    high, low = (after - missed).max(axis=1), (after - share - missed).min(axis=1)
    return np.where(high >= -low, high, low)


def usable_sets(sets: Mapping[str, Collection[str]], possible: set[str]) -> dict[str, set[str]]:
    """The sets' genes that are possible, for sets with SMALLEST to LARGEST of them.

    Raises InputError when no set has as many.
    """
    inside = {name: set(members) & possible for name, members in sets.items()}
    usable = {
        name: members
        for name, members in inside.items()
        if SMALLEST <= len(members) <= min(LARGEST, len(possible) - 1)
    }
    if not usable:
        raise InputError(
            f"None of the {len(sets)} sets has {SMALLEST} to {LARGEST} genes among the "
            f"{len(possible)} on the image. Both must use the same kind of ids, such as symbols."
        )
    return usable
