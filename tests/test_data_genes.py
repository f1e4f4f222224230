"""Gene ids: today's symbols, and what a repair says about itself."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.genes import clean_genes, find_outdated, merge_genes, read_hgnc, rename_genes
from core.data.notes import Notes
from core.errors import InputError

HGNC = """hgnc_id\tsymbol\tname\tprev_symbol\talias_symbol
HGNC:1\tMARCHF1\tmembrane associated ring-CH-type finger 1\tMARCH1\tRNF171
HGNC:2\tTMEM8B\ttransmembrane protein 8B\tC9orf127|NAG5\t
HGNC:3\tAAA1\tone\tOLD1\t
HGNC:4\tAAA2\ttwo\tOLD1\t
HGNC:5\tBBB\tthree\tTP63\t
HGNC:6\tTP63\ttumor protein p63\tTP73L|TP53L\t
"""


@pytest.fixture
def hgnc(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "hgnc.txt"
    path.write_text(HGNC)
    return read_hgnc(path)


def test_former_symbols_are_known_unless_they_are_ambiguous_or_in_use(hgnc: dict) -> None:
    assert hgnc == {
        "MARCH1": "MARCHF1", "C9orf127": "TMEM8B", "NAG5": "TMEM8B", "TP73L": "TP63",
        "TP53L": "TP63",
    }  # fmt: skip


def test_only_symbols_that_make_no_double_are_renamed(hgnc: dict) -> None:
    genes = ["MARCH1", "C9orf127", "NAG5", "TP73L", "TP63", "SOX2"]
    assert find_outdated(genes, hgnc) == {"MARCH1": "MARCHF1", "C9orf127": "TMEM8B"}


def test_a_renamed_dataset_says_so(hgnc: dict) -> None:
    data = AnnData(
        np.ones((2, 2), np.float32), obs=pd.DataFrame(index=["a", "b"]),
        var=pd.DataFrame(index=["MARCH1", "SOX2"]), uns={"scale": "counts", "notes": ["read"]},
    )  # fmt: skip
    renamed = rename_genes(data, find_outdated(data.var_names, hgnc))
    assert list(renamed.var_names) == ["MARCHF1", "SOX2"]
    assert list(data.var_names) == ["MARCH1", "SOX2"]
    assert "MARCH1 to MARCHF1" in renamed.uns["notes"][-1]


def test_another_table_is_not_taken_for_hgncs(tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match="prev_symbol"):
        read_hgnc(path)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1-Mar", "MARCHF1"), ("Mar-01", "MARCHF1"), ("2021-03-01", "MARCHF1"),
        ("2021-03-01 00:00:00", "MARCHF1"), ("14-Sep", "SEPTIN14"), ("15-Sep", "SELENOF"),
        ("1-Dec", "DELEC1"), ("13-Sep", "13-Sep"), ("1-Apr", "1-Apr"), ("MARCO", "MARCO"),
        ("ENSG00000141510.18", "ENSG00000141510"),
        ("ENSG00000002586.20_PAR_Y", "ENSG00000002586_PAR_Y"), ("__no_feature", ""),
        ("N_unmapped", ""), (" TP63 ", "TP63"),
    ],
)  # fmt: skip
def test_one_gene(written: str, meant: str) -> None:
    assert clean_genes(np.array([written, "SOX2"]), Notes()).tolist() == [meant, "SOX2"]


def test_the_most_expressed_of_a_log_gene_is_kept_with_its_holes() -> None:
    x = np.array([[1.5, 9, np.nan, np.nan], [2, 8, np.nan, 3]], dtype=np.float32)
    merged, genes = merge_genes(x, np.array(["a", "a", "b", "b"]), Notes())
    np.testing.assert_array_equal(merged, [[9, np.nan], [8, 3]])
    assert genes.tolist() == ["a", "b"]
