"""Known markers and links: the table itself, and a check by hand."""

from math import comb

import pandas as pd
import pytest

from core.explain.links import gene_links
from core.explain.markers import check_markers, load_markers, match_type


def test_every_marker_has_a_type_a_gene_and_a_reference() -> None:
    markers = load_markers()
    assert not markers.duplicated(["type", "gene"]).any()
    assert markers["reference"].str.fullmatch(r".+ \d{4}, .+ \d+:E?\d+").all()
    assert markers["type"].str.fullmatch(r"[A-Z]{2,4}").all()
    assert {"BRCA", "KIRC", "LUAD", "LUSC", "UCEC"} <= set(markers["type"])


@pytest.mark.parametrize(
    ("cls", "tumour_type"),
    [("LUAD", "LUAD"), ("TCGA-luad", "LUAD"), ("PRAD tumour", "PRAD"), ("lung", None),
     ("LUAD + LUSC", None), ("", None)],
)  # fmt: skip
def test_a_class_is_matched_to_its_type(cls: str, tumour_type: str | None) -> None:
    assert match_type(cls) == tumour_type


def test_recall_by_hand() -> None:
    """Of LUAD's six markers three are on an image of 10 genes, two of them among the 4 first.

    A random order finds at least two with (3 * 21 + 7) / 210 = 1/3 and 1.2 on average.
    """
    names = ["a", "NAPSA", "SFTPB", "b", "c", "NKX2-1", "d", "e", "f", "g"]
    genes = pd.DataFrame({"gene": names, "rank": range(1, 11), "score": range(10, 0, -1)})
    check = check_markers(genes, "LUAD", 4)
    assert (check.found, check.present, check.recall) == (2, 3, 2 / 3)
    assert check.expected == pytest.approx(1.2)
    assert check.p == pytest.approx((comb(3, 2) * comb(7, 2) + comb(7, 1)) / comb(10, 4))
    assert check.table["gene"].tolist()[:3] == ["NAPSA", "SFTPB", "NKX2-1"]
    assert check.table["rank"].isna().sum() == 3
    nothing = check_markers(genes, "PRAD", 4)
    assert (nothing.found, nothing.present, nothing.p) == (0, 0, 1.0)
    assert nothing.recall != nothing.recall


def test_links_by_symbol_and_by_ensembl_id() -> None:
    symbol, ensembl = gene_links("HLA-DRA"), gene_links("ENSG00000142515.16")
    assert symbol["GeneCards"].endswith("gene=HLA-DRA")
    assert ensembl["Open Targets"].endswith("/target/ENSG00000142515")
    assert "cBioPortal" not in ensembl
    assert all(address.startswith("https://") for address in [*symbol.values(), *ensembl.values()])
    assert gene_links("a&b c")["cBioPortal"].endswith("q=a%26b%20c")
