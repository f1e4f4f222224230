"""Enrichment: by hand, against gseapy, and on real gene sets."""

import os
from math import comb
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.explain.enrichment import over_representation, prerank, running_score
from core.images.references import read_gene_sets

LETTERS = list("abcdefghijklmnopqrst")


def test_a_hypergeometric_by_hand() -> None:
    """4 of a list of 5 lie in a set of 6, out of 20 genes; z is in no background."""
    sets = {"six": [*"abcdef", "z"], "other": list("nopqrst"), "small": list("ab")}
    table = over_representation([*"abcdm", "elsewhere"], LETTERS, sets)
    by_hand = (comb(6, 4) * comb(14, 1) + comb(6, 5)) / comb(20, 5)
    assert table["set"].tolist() == ["six", "other"]
    assert table["p"].tolist() == pytest.approx([by_hand, 1])
    assert table["fdr"].tolist() == pytest.approx([2 * by_hand, 1])
    first = table.iloc[0]
    assert (first["size"], first["overlap"], first["expected"]) == (6, 4, 1.5)
    assert first["genes"] == list("abcd")


def test_the_background_decides() -> None:
    """The same 5 of 6 genes are nothing special when the image holds little else."""
    sets = {"six": list("abcdef")}
    few = over_representation(list("abcde"), list("abcdefg"), sets)["p"][0]
    many = over_representation(list("abcde"), LETTERS, sets)["p"][0]
    assert few > 0.2 > 0.001 > many


def test_ids_of_another_kind_are_said() -> None:
    with pytest.raises(InputError, match=r"None of the 1 genes.*symbols"):
        over_representation(["ENSG0"], LETTERS, {"six": list("abcdef")})
    with pytest.raises(InputError, match=r"None of the 1 sets.*symbols"):
        over_representation(["a"], LETTERS, {"six": ["1", "2", "3", "4", "5"]})


def test_a_running_score_by_hand() -> None:
    """Hits 0 and 2 of weights 3, 1: up 3/4, down 1/3, up 1/4, down 1/3 twice."""
    weights = np.array([3.0, 2, 1, 1, 0])
    running = running_score(np.array([0, 2]), weights)
    np.testing.assert_allclose(running, [9 / 12, 5 / 12, 8 / 12, 4 / 12, 0], atol=1e-12)


def test_prerank_finds_both_ends_and_not_the_middle() -> None:
    rng = np.random.default_rng(0)
    genes = [f"g{i}" for i in range(300)]
    scores = np.linspace(1, -1, 300)
    sets = {
        "top": genes[:20],
        "bottom": genes[-20:],
        "spread": list(rng.choice(genes, 20, replace=False)),
    }
    table = prerank(genes, scores, sets, permutations=500).set_index("set")
    assert table.loc["top", "es"] == pytest.approx(1)
    assert table.loc["bottom", "es"] == pytest.approx(-1)
    assert table.loc[["top", "bottom"], "p"].max() < 0.01
    assert table.loc["spread", "p"] > 0.05
    assert table.loc["top", "leading"] == genes[:20]
    assert set(table.loc["bottom", "leading"]) == set(genes[-20:])
    again = prerank(genes, scores, sets, permutations=500).set_index("set")
    assert table.equals(again)


def test_prerank_p_values_are_uniform_by_chance() -> None:
    rng = np.random.default_rng(1)
    genes = [f"g{i}" for i in range(400)]
    sets = {f"s{i}": list(rng.choice(genes, 15, replace=False)) for i in range(200)}
    p = prerank(genes, rng.normal(size=400), sets, permutations=300)["p"]
    assert 0.4 < p.mean() < 0.6
    assert (p < 0.05).mean() < 0.1


def test_a_ranking_with_holes_is_refused() -> None:
    with pytest.raises(InputError, match="1 genes of the ranking"):
        prerank(LETTERS, np.array([np.nan, *range(19)]), {"six": list("abcdef")})


def test_prerank_agrees_with_gseapy() -> None:
    gseapy = pytest.importorskip("gseapy")
    import pandas as pd

    rng = np.random.default_rng(2)
    genes, scores = [f"g{i}" for i in range(500)], rng.normal(size=500)
    sets = {f"s{i}": list(rng.choice(genes, 10 + i, replace=False)) for i in range(30)}
    sets["planted"] = [genes[i] for i in np.argsort(-scores)[:40:2]]
    ours = prerank(genes, scores, sets, permutations=1000).set_index("set")
    theirs = gseapy.prerank(
        pd.Series(scores, genes), sets, min_size=5, max_size=500, permutation_num=1000, seed=1,
        outdir=None, threads=1,
    ).res2d.set_index("Term").loc[ours.index]  # fmt: skip
    np.testing.assert_allclose(ours["es"], theirs["ES"].astype(float), atol=1e-6)
    np.testing.assert_allclose(ours["nes"], theirs["NES"].astype(float), rtol=0.1)
    np.testing.assert_allclose(ours["p"], theirs["NOM p-val"].astype(float), atol=0.08)


def test_hallmark_sets_on_real_genes() -> None:
    folder = os.environ.get("GENECANVAS_DATA")
    if not folder or not (Path(folder) / "hallmark_v7.gmt").exists():
        pytest.skip("no real data")
    sets = read_gene_sets(Path(folder) / "hallmark_v7.gmt")
    assert len(sets) == 50
    background = sorted(set().union(*map(set, sets.values())))
    table = over_representation(sets["HALLMARK_HYPOXIA"][:60], background, sets)
    assert table["set"][0] == "HALLMARK_HYPOXIA"
    assert table["fdr"][0] < 1e-20
