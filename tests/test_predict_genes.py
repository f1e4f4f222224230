"""A cohort's genes are found by their ids and by other names; what isn't clear stays as it is."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.files import write_json
from core.predict.genes import match_genes, shared_genes, written_for

HGNC = """hgnc_id\tsymbol\tprev_symbol\tentrez_id\tensembl_gene_id
HGNC:11998\tTP53\t\t7157\tENSG00000141510
HGNC:1100\tBRCA1\t\t672\tENSG00000012048
HGNC:26077\tMARCHF1\tMARCH1\t55016\tENSG00000145416
HGNC:3\tAAA1\tOLD\t1\tENSG00000000001
HGNC:4\tAAA2\tOLD\t2\tENSG00000000002
"""


@pytest.fixture
def hgnc(home: Path) -> None:
    """HGNC's list as if it had been fetched."""
    path = home / "downloads" / "hgnc" / "hgnc_complete_set.txt"
    path.parent.mkdir(parents=True)
    path.write_text(HGNC)
    write_json(
        path.with_name(path.name + ".json"), {"sha256": hashlib.sha256(HGNC.encode()).hexdigest()}
    )


def cohort(*genes: str) -> AnnData:
    x = np.arange(2 * len(genes), dtype=np.float32).reshape(2, -1)
    data = AnnData(x, var=pd.DataFrame(index=list(genes)))
    data.uns["scale"] = "log2"
    return data


def test_the_same_ids_in_another_order_need_nothing() -> None:
    match = match_genes(["TP53", "BRCA1"], cohort("BRCA1", "OTHER", "TP53"))
    assert match.translated == {}
    assert match.notes == []
    assert match.missing.tolist() == []
    assert match.data.var_names.tolist() == ["BRCA1", "OTHER", "TP53"]


def test_the_version_of_an_ensembl_id_does_not_count() -> None:
    match = match_genes(
        ["ENSG00000141510", "ENSG00000012048.3"], cohort("ENSG00000012048", "ENSG00000141510.17")
    )
    assert match.data.var_names.tolist() == ["ENSG00000012048.3", "ENSG00000141510"]
    assert match.missing.tolist() == []
    assert match.notes == [
        "2 genes have an Ensembl id of another version (such as ENSG00000012048 for "
        "ENSG00000012048.3, ENSG00000141510.17 for ENSG00000141510)."
    ]


@pytest.mark.usefixtures("hgnc")
@pytest.mark.parametrize(
    ("here", "kind"),
    [
        (["ENSG00000141510.2", "ENSG00000012048", "ENSG00000145416"], "Ensembl ids here"),
        (["7157", "672", "55016"], "Entrez ids here"),
        (["HGNC:11998", "HGNC:1100", "HGNC:26077"], "HGNC ids here"),
    ],
)
def test_ids_and_symbols_of_a_gene_are_one(here: list[str], kind: str) -> None:
    match = match_genes(["TP53", "BRCA1", "MARCH1"], cohort(*here))
    assert match.data.var_names.tolist() == ["TP53", "BRCA1", "MARCH1"]
    assert match.translated == dict(zip(here, ["TP53", "BRCA1", "MARCH1"], strict=True))
    assert match.notes == [
        f"3 genes are named by {kind}; HGNC's list says which genes these are (such as {here[0]} "
        f"for TP53, {here[1]} for BRCA1, {here[2]} for MARCH1)."
    ]
    back = match_genes(here, cohort("TP53", "BRCA1", "MARCHF1"))
    assert back.data.var_names.tolist() == here


@pytest.mark.usefixtures("hgnc")
def test_former_and_current_symbols_are_one_either_way() -> None:
    assert match_genes(["MARCH1"], cohort("MARCHF1")).translated == {"MARCHF1": "MARCH1"}
    assert match_genes(["MARCHF1"], cohort("MARCH1")).translated == {"MARCH1": "MARCHF1"}


@pytest.mark.usefixtures("hgnc")
def test_what_may_be_two_genes_is_not_translated() -> None:
    match = match_genes(["AAA1", "AAA2"], cohort("OLD"))
    assert match.translated == {}
    assert match.missing.tolist() == ["AAA1", "AAA2"]


@pytest.mark.usefixtures("hgnc")
def test_two_columns_of_a_gene_are_left_and_named() -> None:
    match = match_genes(["TP53", "BRCA1"], cohort("7157", "ENSG00000141510", "HGNC:11998", "BRCA1"))
    assert match.translated == {}
    assert match.missing.tolist() == ["TP53"]
    assert match.data.var_names.tolist() == ["7157", "ENSG00000141510", "HGNC:11998", "BRCA1"]
    assert "2 names were left as they are (such as ENSG00000141510, HGNC:11998)" in match.notes[0]


@pytest.mark.usefixtures("hgnc")
def test_the_very_same_id_comes_first() -> None:
    match = match_genes(["TP53", "AAA1"], cohort("TP53", "ENSG00000141510"))
    assert match.data.var_names.tolist() == ["TP53", "ENSG00000141510"]
    assert match.missing.tolist() == ["AAA1"]


@pytest.mark.usefixtures("hgnc")
def test_another_name_of_a_gene_that_is_there_is_left() -> None:
    """A model that has a gene twice, under two names: the same column is never both."""
    match = match_genes(["MARCHF1", "ENSG00000145416"], cohort("MARCHF1", "MARCH1"))
    assert match.translated == {}
    assert match.missing.tolist() == ["ENSG00000145416"]


@pytest.mark.usefixtures("hgnc")
def test_row_numbers_are_no_ids() -> None:
    match = match_genes(["AAA1", "AAA2", "TP53"], cohort("1", "2", "3"))
    assert match.translated == {}


def test_without_the_list_it_is_said_what_would_help() -> None:
    match = match_genes(["TP53", "BRCA1"], cohort("BRCA1"))
    assert match.missing.tolist() == ["TP53"]
    assert match.notes[0].startswith("HGNC's list of symbols and ids is not on this computer")


def test_symbols_tell_the_species() -> None:
    assert written_for(["Brca1", "Trp53", "Actb", "H2-K1"]) == "mouse or rat"
    assert written_for(["BRCA1", "TP53", "ACTB", "C1orf112"]) == "human"
    assert written_for(["ENSMUSG00000017167", "ENSMUSG00000059552"]) == "mouse or rat"
    assert written_for(["ENSG00000012048"]) == "human"
    assert written_for(["672", "7157"]) is None


def test_genes_that_both_have_bear_the_models_ids(hgnc: None) -> None:
    found = shared_genes(["TP53", "BRCA1", "AAA1"], cohort("ENSG00000012048", "TP53", "OTHER"))
    assert found == ["TP53", "BRCA1"]
