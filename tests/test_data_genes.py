"""Gene ids: today's symbols, and what a repair says about itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.gene_symbols import (
    Symbols,
    find_ids,
    find_new_names,
    read_hgnc,
    rename_genes,
    use_symbols,
)
from core.data.genes import clean_genes, merge_genes
from core.data.notes import Notes
from core.data.read import read_dataset
from core.errors import InputError

HGNC = """hgnc_id\tsymbol\tprev_symbol\talias_symbol\tentrez_id\tensembl_gene_id
HGNC:1\tMARCHF1\tMARCH1\tRNF171\t55016\tENSG00000145416
HGNC:2\tTMEM8B\tC9orf127|NAG5\t\t51754\tENSG00000137103
HGNC:3\tAAA1\tOLD1\t\t1\tENSG00000000001
HGNC:4\tAAA2\tOLD1\t\t1\t
HGNC:5\tBBB\tTP63\t\t\t
HGNC:6\tTP63\tTP73L|TP53L\t\t8626\tENSG00000073282
"""


@pytest.fixture
def hgnc(tmp_path: Path) -> Symbols:
    path = tmp_path / "hgnc.txt"
    path.write_text(HGNC)
    return read_hgnc(path)


def clean(*names: str) -> tuple[list[str], Notes]:
    notes = Notes()
    return clean_genes(np.array(names), notes).tolist(), notes


def test_former_symbols_are_known_unless_they_are_ambiguous_or_in_use(hgnc: Symbols) -> None:
    assert hgnc.former == {
        "MARCH1": "MARCHF1", "C9orf127": "TMEM8B", "NAG5": "TMEM8B", "TP73L": "TP63",
        "TP53L": "TP63",
    }  # fmt: skip


def test_ids_of_one_gene_have_its_symbol(hgnc: Symbols) -> None:
    assert hgnc.ids["ENSG00000073282"] == hgnc.ids["8626"] == hgnc.ids["HGNC:6"] == "TP63"
    assert "1" not in hgnc.ids  # of two genes
    assert "" not in hgnc.ids


def test_only_symbols_that_make_no_double_are_renamed(hgnc: Symbols) -> None:
    genes = ["MARCH1", "C9orf127", "NAG5", "TP73L", "TP63", "SOX2"]
    assert find_new_names(genes, hgnc.former) == {"MARCH1": "MARCHF1"}
    assert find_new_names(["8626", "8627"], hgnc.ids) == {"8626": "TP63"}


def test_a_renamed_dataset_says_so(hgnc: Symbols) -> None:
    data = AnnData(
        np.ones((2, 2), np.float32), obs=pd.DataFrame(index=["a", "b"]),
        var=pd.DataFrame(index=["ENSG00000073282", "ENSG00000099999"]),
        uns={"scale": "counts", "notes": ["read"], "findings": []},
    )  # fmt: skip
    notes = Notes()
    use_symbols(data, {}, notes, wanted=False)
    data.uns["findings"] = [finding.model_dump() for finding in notes.found]
    assert [finding["code"] for finding in data.uns["findings"]] == ["ids"]
    renamed = rename_genes(data, find_new_names(data.var_names, hgnc.ids), "Ensembl ids")
    assert list(renamed.var_names) == ["TP63", "ENSG00000099999"]
    assert list(data.var_names) == ["ENSG00000073282", "ENSG00000099999"]
    assert "1 Ensembl ids" in renamed.uns["notes"][-1]
    assert "ENSG00000073282 to TP63" in renamed.uns["notes"][-1]
    assert renamed.uns["findings"] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "gene_id\tgene_name\tS1\tS2\nENSG00000000001.2\tTP63\t1\t2\n"
         "ENSG00000000002.3\tY_RNA\t3\t4\nENSG00000000003.1\tY_RNA\t5\t6\n"),
        ("a.gct", "#1.2\n3\t2\nName\tDescription\tS1\tS2\nENSG00000000001.2\tTP63\t1\t2\n"
         "ENSG00000000002.3\tY_RNA\t3\t4\nENSG00000000003.1\tY_RNA\t5\t6\n"),
    ],
)  # fmt: skip
def test_symbols_beside_ids_are_offered(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    data = read_dataset(path)
    ids = [f"ENSG0000000000{n}" for n in (1, 2, 3)]
    assert list(data.var_names) == ids
    (finding,) = data.uns["findings"]
    assert finding["code"] == "ids"
    renamed = read_dataset(path, **finding["repair"]["changes"])
    assert list(renamed.var_names) == ["TP63", *ids[1:]]  # two genes are Y_RNA
    assert renamed.X.tolist() == data.X.tolist()
    assert renamed.uns["findings"] == []
    assert any("TP63 for ENSG00000000001" in note for note in renamed.uns["notes"])


def test_another_table_is_not_taken_for_hgncs(tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match="prev_symbol"):
        read_hgnc(path)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["ENSG00000073282", "ENSG00000145416", "TP63"], "Ensembl ids"),
        (["7157", "8626"], "Entrez ids"), (["TP63", "SOX2"], None), (["0", "1", "2"], None),
    ],
)  # fmt: skip
def test_what_kind_of_ids_genes_have(names: list[str], kind: str | None) -> None:
    assert find_ids(names) == kind


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1-Mar", "MARCHF1"), ("Mar-01", "MARCHF1"), ("2021-03-01", "MARCHF1"),
        ("2021-03-01 00:00:00", "MARCHF1"), ("14-Sep", "SEPTIN14"), ("15-Sep", "SELENOF"),
        ("1-Dec", "DELEC1"), ("13-Sep", "13-Sep"), ("1-Apr", "1-Apr"), ("MARCO", "MARCO"),
        ("01. Mrz", "MARCHF1"), ("1.Mär", "MARCHF1"), ("2-sept", "SEPTIN2"), ("02/set", "SEPTIN2"),
        ("1-mars", "MARCHF1"), ("1-déc.", "DELEC1"), ("2-ago", "AGO2"), ("9月7日", "SEPTIN7"),
        ("2.сен", "SEPTIN2"), ("44256", "MARCHF1"), ("44441.0", "SEPTIN2"), ("Sep-10", "SEPTIN10"),
        ("3/1/2021", "MARCHF1"), ("14.09.2021", "SEPTIN14"), ("3/3/21", "MARCHF3"),
        ("9/3/2021", "9/3/2021"), ("44300", "44300"), ("2.31E+13", "2.31E+13"),
        ("sep-1", "sep-1"), ("set-11", "set-11"), ("14-3-3", "14-3-3"), ("7SK", "7SK"),
        ("ENSG00000141510.18", "ENSG00000141510"),
        ("ENSG00000002586.20_PAR_Y", "ENSG00000002586_PAR_Y"), ("__no_feature", ""),
        ("N_unmapped", ""), (" TP63 ", "TP63"),
        ("ENSG00000141510.18|TP53", "TP53"), ("ENSG00000000003.14_TSPAN6", "TSPAN6"),
        ("ENSG00000002586.20_PAR_Y_CD99", "CD99_PAR_Y"), ("ENSMUSG00000059552|Trp53", "Trp53"),
        ("ENSG00000141510|", "ENSG00000141510|"), ("ENSG00000141510|-", "ENSG00000141510"),
        ("TSPAN6 (7105)", "TSPAN6"), ("TSPAN6 (ENSG00000000003)", "TSPAN6"),
        ("unknown (7105)", "7105"), ("TP53|ENSG00000141510.18", "TP53"), ("MSTRG.7|NA", "MSTRG.7"),
        ("MSTRG.12|KRT5", "KRT5"), ("MSTRG.12", "MSTRG.12"), ("HLA-A", "HLA-A"),
        ("ENST00000456328.2|ENSG00000223972.5|OTTHUMG1.2|OTTHUMT1.1|DDX11L1-202|DDX11L1|1657|x|",
         "DDX11L1"),
        ("ENST00000381192.10_PAR_Y|ENSG00000182378.15_PAR_Y|-|-|PLCXD1-203|PLCXD1|5|x|",
         "PLCXD1_PAR_Y"),
    ],
)  # fmt: skip
def test_one_gene(written: str, meant: str) -> None:
    assert clean(written, "SOX2", "KRT5-AS1")[0] == [meant, "SOX2", "KRT5-AS1"]


def test_other_dates_tell_whether_the_day_comes_first() -> None:
    assert clean("9/3/2021", "9/14/2021")[0] == ["SEPTIN3", "SEPTIN14"]
    assert clean("9/3/2021", "14/9/2021")[0] == ["MARCHF9", "SEPTIN14"]


def test_numbers_among_entrez_ids_are_no_dates() -> None:
    assert clean("44256", "7157", "8626")[0] == ["44256", "7157", "8626"]
    assert clean("?|44256", "TP63|8626", "SOX2|6657")[0] == ["44256", "TP63", "SOX2"]


def test_names_that_a_spreadsheet_has_lost_are_told() -> None:
    genes, notes = clean("1-Mar", "01. Mrz", "2.31E+13", "1-Apr", "MARCHF2", "2-Mar", "SOX2")
    assert genes == ["", "", "2.31E+13", "1-Apr", "MARCHF2", "", "SOX2"]
    assert [finding.code for finding in notes.found] == ["lost_genes", "dates_of_two_genes"]
    assert "2.31E+13, 1-Apr" in notes.found[0].message
    assert "01. Mrz, 1-Mar, 2-Mar" in notes.found[1].message


def test_transcripts_are_told_and_not_taken_for_genes_in_silence() -> None:
    genes, notes = clean("ENST00000456328.2", "ENST00000450305.2", "ENSG00000223972.5")
    assert genes == ["ENST00000456328", "ENST00000450305", "ENSG00000223972"]
    assert [finding.code for finding in notes.found] == ["transcripts"]


def test_the_most_expressed_of_a_log_gene_is_kept_with_its_holes() -> None:
    x = np.array([[1.5, 9, np.nan, np.nan], [2, 8, np.nan, 3]], dtype=np.float32)
    merged, genes = merge_genes(x, np.array(["a", "a", "b", "b"]), Notes())
    np.testing.assert_array_equal(merged, [[9, np.nan], [8, 3]])
    assert genes.tolist() == ["a", "b"]
