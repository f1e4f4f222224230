"""Reading: hand-known inputs, round trips through every format, and every bad input."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from scipy.sparse import csr_matrix

from core.data.read import read_dataset
from core.data.simulate import read_symbols, simulate, write_simulated
from core.data.store import add_dataset, list_datasets
from core.errors import InputError
from core.home import home

ROWS = """sample,tumour_type,batch,GATA3,TP63,NKX2-1
s1,BRCA,1,1.5,2,NA
s2,LUSC,2,0,8.25,3
s3,LUSC,1,7,,1
"""
VALUES = np.array([[1.5, 2, np.nan], [0, 8.25, 3], [7, np.nan, 1]], dtype=np.float32)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def assert_is_example(data: AnnData) -> None:
    np.testing.assert_array_equal(data.X, VALUES)
    assert data.X.dtype == np.float32
    assert list(data.obs_names) == ["s1", "s2", "s3"]
    assert list(data.var_names) == ["GATA3", "TP63", "NKX2-1"]
    assert list(data.obs["tumour_type"]) == ["BRCA", "LUSC", "LUSC"]
    assert list(data.obs["batch"]) == ["1", "2", "1"]


def test_samples_in_rows(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "a.csv", ROWS))
    assert_is_example(data)
    assert data.uns["scale"] == "log2"
    assert data.uns["source"] == "a.csv"
    assert data.uns["notes"][0].startswith("Samples are in rows")


def test_genes_in_rows_with_rows_about_samples(tmp_path: Path) -> None:
    lines = [line.split(",") for line in ROWS.splitlines()]
    turned = "\n".join("\t".join(cells) for cells in zip(*lines, strict=True))
    data = read_dataset(write(tmp_path / "a.tsv", turned))
    assert_is_example(data)
    assert data.uns["notes"][0].startswith("Genes are in rows")


def test_gz_is_told_from_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(ROWS.encode()))
    assert_is_example(read_dataset(path))


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends_of_other_systems(tmp_path: Path, newline: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + ROWS.replace("\n", newline).encode())
    assert_is_example(read_dataset(path))


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    text = ROWS.replace(",", ";").replace(".", ",")
    assert_is_example(read_dataset(write(tmp_path / "a.csv", text)))


@pytest.mark.parametrize("last", ["8", "8,000"])
def test_thousands_are_not_taken_for_decimals_or_words(tmp_path: Path, last: str) -> None:
    text = f"gene\ts1\ts2\nGATA3\t1,234\t2,345\nTP63\t5\t6,100\nSOX2\t7\t{last}\n"
    with pytest.raises(InputError, match=r"line 2.*'1,234'"):
        read_dataset(write(tmp_path / "a.tsv", text))


def test_row_names_as_r_writes_them(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "a.tsv", "s1\ts2\nGATA3\t1.5\t2\nTP63\t3\t4\n"))
    assert list(data.obs_names) == ["s1", "s2"]
    np.testing.assert_array_equal(data.X, [[1.5, 3], [2, 4]])


def test_gct(tmp_path: Path) -> None:
    text = "#1.2\n2\t2\nName\tDescription\ts1\ts2\nGATA3\tx\t1.5\t2\nTP63\ty\t3\t4\n"
    data = read_dataset(write(tmp_path / "a.gct", text))
    assert list(data.var_names) == ["GATA3", "TP63"]
    np.testing.assert_array_equal(data.X, [[1.5, 3], [2, 4]])


def test_feature_counts(tmp_path: Path) -> None:
    text = (
        "# Program:featureCounts\nGeneid\tChr\tStart\tLength\ta.bam\tb.bam\n"
        "GATA3\t10\t5\t100\t7\t8\nTP63\t3\t6\t200\t9\t10\n__no_feature\t\t\t\t99\t99\n"
    )
    data = read_dataset(write(tmp_path / "a.tsv", text))
    assert list(data.obs_names) == ["a.bam", "b.bam"]
    assert list(data.var_names) == ["GATA3", "TP63"]
    assert data.uns["scale"] == "counts"
    assert any("__no_feature" in note for note in data.uns["notes"])


def test_genes_called_na_are_genes(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "a.csv", "gene,s1,s2\nNA,1,2\nnan,3,4\nTP63,5,6\n"))
    assert list(data.var_names) == ["NA", "nan", "TP63"]


def test_repeated_genes_are_added_up_and_said(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "a.csv", "gene,s1,s2\nTP63,1,2\nSOX2,3,4\nTP63,50,60\n"))
    assert list(data.var_names) == ["TP63", "SOX2"]
    np.testing.assert_array_equal(data.X, [[51, 3], [62, 4]])
    assert [finding["code"] for finding in data.uns["findings"]] == ["repeated_genes"]
    assert "TP63" in data.uns["findings"][0]["message"]


def test_numbers_that_are_said_to_be_a_label_describe_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,weight,TP63,SOX2\na,1,2.5,3\nb,4,5,6\n")
    data = read_dataset(path, roles={"weight": "label"})
    assert list(data.obs["weight"]) == ["1", "4"]
    assert list(data.var_names) == ["TP63", "SOX2"]


def test_missing_words_are_empty(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "a.csv", ROWS.replace("BRCA", "NA")))
    assert list(data.obs["tumour_type"]) == ["", "LUSC", "LUSC"]


def test_patients_come_from_tcga_barcodes(tmp_path: Path) -> None:
    text = "barcode,TP63,SOX2\nTCGA-A7-A0CE-01A-11R,1.5,2\nTCGA-A7-A0CE-11A-21R,2,3\n"
    data = read_dataset(write(tmp_path / "a.csv", text))
    assert list(data.obs["patient"]) == ["TCGA-A7-A0CE", "TCGA-A7-A0CE"]


def test_labels_are_matched_by_id_whatever_their_order_and_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,TP63,SOX2\na,1.5,2\nb,3,4\nc,5,6\n")
    labels = write(tmp_path / "l.tsv", "class\tname\nY\tc\nX\ta\nZ\tq\n")
    data = read_dataset(path, labels)
    assert list(data.obs_names) == ["a", "c"]
    assert list(data.obs["class"]) == ["X", "Y"]
    assert "1 samples have no row" in data.uns["findings"][0]["message"]


def test_labels_tell_the_orientation(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,one,two,three\na,1.5,2,3\nb,4,5,6\n")
    labels = write(tmp_path / "l.csv", "id,class\nthree,X\none,Y\ntwo,X\n")
    assert list(read_dataset(path, labels).obs_names) == ["one", "two", "three"]


def test_real_matrix_and_labels(real_data: Path) -> None:
    data = read_dataset(real_data / "tcga11_expression.parquet", real_data / "tcga11_samples.csv")
    assert data.shape == (1204, 3556)
    assert data.uns["scale"] == "log2"
    assert int(np.isnan(data.X).sum()) == 944
    assert data.obs["patient"].nunique() == 602
    small = read_dataset(real_data / "tcga5_30genes.csv.gz")
    assert small.shape == (2574, 30)
    assert list(small.obs.columns) == ["patient_id", "acronym", "sample_type", "site"]


def test_simulated_data_are_read_back_equal(tmp_path: Path) -> None:
    data, _ = simulate(60, 200)
    write_simulated(data, tmp_path / "s.csv")
    again = read_dataset(tmp_path / "s.csv")
    np.testing.assert_array_equal(again.X, data.X)
    pd.testing.assert_frame_equal(again.obs, data.obs, check_names=False)
    assert list(again.var_names) == list(data.var_names)
    assert again.uns["scale"] == "counts"


FLOATS = st.floats(width=32, allow_infinity=False, allow_nan=True)


@st.composite
def matrices(draw: st.DrawFn) -> pd.DataFrame:
    samples = draw(st.integers(2, 5))
    genes = draw(st.lists(st.sampled_from(read_symbols()), min_size=2, max_size=6, unique=True))
    values = draw(st.lists(FLOATS, min_size=samples * len(genes), max_size=samples * len(genes)))
    x = np.array(values, dtype=np.float32).reshape(samples, len(genes))
    x[0] = np.where(np.isnan(x[0]), 0.5, x[0])
    ids = draw(
        st.lists(
            st.text("abcXYZ019-_. éß", min_size=1, max_size=6).map(lambda text: f"S{text}".strip()),
            min_size=samples, max_size=samples, unique=True,
        )
    )  # fmt: skip
    return pd.DataFrame(x, index=pd.Index(ids), columns=genes)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    name = path.name
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    elif name.endswith(".feather"):
        frame.reset_index(names="id").to_feather(path)
    elif name.endswith(".xlsx"):
        frame.to_excel(path)
    elif name.endswith(".sparse.h5ad"):
        AnnData(csr_matrix(frame.to_numpy()), frame[[]], frame.T[[]]).write_h5ad(path)
    elif name.endswith(".h5ad"):
        AnnData(frame).write_h5ad(path)
    elif name.endswith(".mat"):
        names = {"samples": np.array(frame.index, object), "gene": np.array(frame.columns, object)}
        savemat(path, {"x": frame.to_numpy(), **names})
    else:
        separators = {".tsv": "\t", ".txt": " "}
        separator = next((sep for end, sep in separators.items() if end in name), ",")
        frame.to_csv(path, sep=separator, na_rep="NA", index_label="id")


ENDINGS = ["csv", "tsv", "txt", "csv.gz", "tsv.bz2", "csv.xz", "csv.zst", "csv.zip", "csv.tar.gz",
           "parquet", "feather", "xlsx"]  # fmt: skip
NAMED = ["h5ad", "sparse.h5ad", "mat"]
"""Formats that say themselves where the samples stand; each is read in a process of its own."""


def assert_read_back(frame: pd.DataFrame, path: Path, orientation: str) -> None:
    data = read_dataset(path, orientation=orientation)
    np.testing.assert_array_equal(data.X, frame.to_numpy())
    assert list(data.obs_names) == list(frame.index)
    assert list(data.var_names) == list(frame.columns)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("orientation", ["samples_in_rows", "genes_in_rows"])
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(frame=matrices())
def test_what_was_written_is_read_back_equal(
    tmp_path: Path, ending: str, orientation: str, frame: pd.DataFrame
) -> None:
    path = tmp_path / f"m.{ending}"
    write_table(frame.T if orientation == "genes_in_rows" else frame, path)
    for asked in ("auto", orientation):
        assert_read_back(frame, path, asked)


def test_spaces_within_quotes_are_kept_where_columns_are_set_apart_by_spaces(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "m.txt", 'id   ESR1  TP53\n"S  0"   1.5    2\nS0     3  4.5\n')
    data = read_dataset(path)
    assert list(data.obs_names) == ["S  0", "S0"]
    np.testing.assert_array_equal(data.X, np.array([[1.5, 2], [3, 4.5]], np.float32))


@pytest.mark.parametrize("ending", NAMED)
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(frame=matrices())
def test_formats_with_names_of_their_own_are_read_back_equal(
    tmp_path: Path, ending: str, frame: pd.DataFrame
) -> None:
    path = tmp_path / f"m.{ending}"
    write_table(frame, path)
    assert_read_back(frame, path, "auto")


WIDE = "sample,tumour_type,TP63,SOX2\na,X,1.5,2\nb,Y,3,4\nc,Y,5,6\n"
PROSE = "Dear reader, this is a letter.\nIt has lines, of words, and no numbers.\nGoodbye.\n"
BAD = {
    "empty": ("", "is empty"),
    "blank lines only": ("\n\n", "is empty"),
    "quotes around nothing": ('""\n""\n', "is empty"),
    "half a million characters that are no letters": ("é" + "\x1f" * 500_000, "not a table"),
    "a quote": ('"', "is empty"),
    "quotes below a comment": ('#a,b\n""\n', "is empty"),
    "header only": ("sample,TP63,SOX2\n", "no rows"),
    "prose": (PROSE, "not a table"),
    "prose without commas": ("Dear reader\nno numbers here\n", "not a table"),
    "no numbers": ("sample,a,b\ns1,x,y\ns2,y,x\n", "no column of numbers"),
    "duplicate ids": (WIDE.replace("\nc,", "\na,"), "more than once: a"),
    "an empty id": (WIDE.replace("\nc,", "\n,"), "has no id"),
    "a stray word": (WIDE.replace("4", "four"), "line 3 .*column SOX2.*'four'"),
    "a short line": (WIDE.replace("b,Y,3,4", "b,Y,3"), "line 3: expected 4 columns.*got 3"),
    "a long line": (WIDE.replace("b,Y,3,4", "b,Y,3,4,5"), "line 3: expected 4 columns.*got 5"),
    "infinite": (WIDE.replace("4", "inf"), "sample b, gene SOX2 is infinite"),
    "a column without a name": (WIDE.replace("SOX2", ""), "column 4 has no name"),
    "no values": (WIDE.translate(str.maketrans("23456", "     ")).replace("1.", "").replace(
        " ", ""), "."),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_text_is_refused_and_nothing_is_stored(tmp_path: Path, name: str) -> None:
    text, message = BAD[name]
    path = write(tmp_path / "bad.csv", text)
    with pytest.raises(InputError, match=message):
        add_dataset(read_dataset(path), "bad")
    assert list_datasets() == []
    assert not list(home().glob("datasets/*"))


@pytest.mark.parametrize("ending", ["csv", "tsv.gz", "parquet", "h5ad"])
@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0",
        b"PK\x03\x04 a workbook",
        b"words",
        b"\x1f\x8b cut off",
        b"PAR1 nothing",
        b"\x89HDF\r\n\x1a\n nothing",
    ],
)
def test_other_files_are_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"bad.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\."):
        read_dataset(path)


def test_a_truncated_gz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(ROWS.encode() * 100)[:-12])
    with pytest.raises(InputError, match="complete"):
        read_dataset(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.csv"):
        read_dataset(tmp_path / "absent.csv")


def test_labels_that_match_no_sample_are_refused(tmp_path: Path) -> None:
    matrix = write(tmp_path / "a.csv", WIDE)
    labels = write(tmp_path / "l.csv", "id,class\nq1,X\nq2,Y\n")
    with pytest.raises(InputError, match=r"No sample.*'a'.*'q1'"):
        read_dataset(matrix, labels)


def test_labels_with_an_id_twice_are_refused(tmp_path: Path) -> None:
    matrix = write(tmp_path / "a.csv", WIDE)
    labels = write(tmp_path / "l.csv", "id,class\na,X\nb,Y\na,Z\n")
    with pytest.raises(InputError, match="more than once: a"):
        read_dataset(matrix, labels)
