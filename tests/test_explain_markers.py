"""Known markers and links: the table itself, and a check by hand."""

from math import comb
from pathlib import Path

import pandas as pd
import pytest

from core.errors import InputError
from core.explain.genes import rank_rows
from core.explain.links import find_ids, gene_links, read_gene_ids
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
    genes = rank_rows(pd.DataFrame({"gene": names, "score": range(10, 0, -1)}), "score")
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


HGNC = """hgnc_id\tsymbol\tname\tprev_symbol\tentrez_id\tensembl_gene_id\tuniprot_ids
HGNC:1100\tBRCA1\tBRCA1 DNA repair associated\t\t672\tENSG00000012048\tP38398|Q0
HGNC:4713\tH19\tH19 imprinted maternally expressed transcript\t\t283120\tENSG00000130600\t
"""


def test_ids_lead_to_the_genes_own_pages(tmp_path: Path) -> None:
    path = tmp_path / "hgnc.txt"
    path.write_text(HGNC)
    known = read_gene_ids(path)
    ids = find_ids("ENSG00000012048.24", known)
    assert ids == find_ids("BRCA1", known)
    assert (ids.name, ids.entrez, ids.uniprot) == ("BRCA1 DNA repair associated", "672", "P38398")
    links = gene_links("BRCA1", ids)
    assert list(links) == list(gene_links("BRCA1"))
    assert links["NCBI Gene"].endswith("/gene/672")
    assert links["HGNC"].endswith("/hgnc_id/HGNC:1100")
    assert links["UniProt"].endswith("/P38398/entry")
    assert links["Open Targets"].endswith("/target/ENSG00000012048")
    assert "cBioPortal" in gene_links("ENSG00000012048", ids)
    without = gene_links("H19", find_ids("H19", known))
    assert without["UniProt"] == gene_links("H19")["UniProt"]
    assert find_ids("no gene", known) is None
    path.write_text("symbol\tprev_symbol\nMARCHF1\tMARCH1\n")
    with pytest.raises(InputError, match=r"hgnc.txt: expected HGNC's complete set.*entrez_id"):
        read_gene_ids(path)
