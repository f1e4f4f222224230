"""Formats that hold more than one table, and files that attack their reader."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.io import mmwrite, savemat
from scipy.sparse import csr_matrix

from core.data.formats.asking import detect_format, list_parts
from core.data.read import read_dataset
from core.errors import InputError

TABLE = "sample,TP63,SOX2\ns1,1.5,2\ns2,3,4.25\n"
STAR = "N_unmapped\t5\t5\t5\nENSG00000141510.1\t{}\t3\t2\nENSG00000073282.2\t{}\t4\t5\n"


def zipped(path: Path, files: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_sheet_is_chosen_by_size_or_by_name(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame({"read": ["me"]}).to_excel(book, sheet_name="about", index=False)
        pd.read_csv(io.StringIO(TABLE)).to_excel(book, sheet_name="values", index=False)
    assert list_parts(path) == ["about", "values"]
    assert read_dataset(path).shape == (2, 2)
    assert read_dataset(path, part="values").shape == (2, 2)
    with pytest.raises(InputError, match=r"\[about\]"):
        read_dataset(path, part="about")
    with pytest.raises(InputError, match=r"no part 'other'.*about, values"):
        read_dataset(path, part="other")


def test_genes_that_excel_made_dates_are_read_out_of_date_cells(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    dates = [pd.Timestamp("2024-03-01"), pd.Timestamp("2024-09-07"), "TP63"]
    pd.DataFrame({"gene": dates, "s1": [1.5, 2, 3], "s2": [4, 5, 6.5]}).to_excel(path, index=False)
    assert list(read_dataset(path).var_names) == ["MARCHF1", "SEPTIN7", "TP63"]


def test_labels_may_be_a_workbook(tmp_path: Path) -> None:
    matrix, labels = tmp_path / "m.csv", tmp_path / "l.xlsx"
    matrix.write_text(TABLE)
    pd.DataFrame({"id": ["s1", "s2"], "class": [1, 2]}).to_excel(labels, index=False)
    assert list(read_dataset(matrix, labels).obs["class"]) == ["1", "2"]


def test_layers_and_raw_of_an_h5ad_file(tmp_path: Path) -> None:
    data = AnnData(np.array([[1.5, 2], [3, 4.5]], np.float32))
    data.obs_names, data.var_names = ["s1", "s2"], ["TP63", "SOX2"]
    data.raw = data.copy()
    data.layers["counts"] = csr_matrix([[1, 2], [3, 4]])
    data = data[:, ["SOX2"]].copy()
    path = tmp_path / "a.h5ad"
    data.write_h5ad(path)
    assert list_parts(path) == ["X", "layers/counts", "raw"]
    assert read_dataset(path).X.tolist() == [[2], [4.5]]
    assert read_dataset(path, part="layers/counts").X.tolist() == [[2], [4]]
    raw = read_dataset(path, part="raw")
    assert list(raw.var_names) == ["TP63", "SOX2"]
    assert raw.X.tolist() == [[1.5, 2], [3, 4.5]]


def test_one_file_a_sample_becomes_one_matrix(tmp_path: Path) -> None:
    files = {f"run1/P{n}ReadsPerGene.out.tab": STAR.format(n, 2 * n) for n in (7, 8, 9)}
    path = zipped(tmp_path / "star.zip", {**files, "MANIFEST.txt": "nothing"})
    data = read_dataset(path)
    assert list(data.obs_names) == ["P7", "P8", "P9"]
    assert list(data.var_names) == ["ENSG00000141510", "ENSG00000073282"]
    assert data.X.tolist() == [[7, 14], [8, 16], [9, 18]]
    assert data.uns["scale"] == "counts"
    assert any("3 files" in note for note in data.uns["notes"])


def test_equal_file_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    text = "Name\tLength\tEffectiveLength\tTPM\tNumReads\nTP63\t9\t9\t{}\t1\nSOX2\t9\t9\t900\t1\n"
    path = tmp_path / "salmon.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("A", "B"):
            content = text.format(1.5 if name == "A" else 2.5).encode()
            info = tarfile.TarInfo(f"{name}/quant.sf")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    data = read_dataset(path)
    assert list(data.obs_names) == ["A", "B"]
    assert data.X.tolist() == [[1.5, 900], [2.5, 900]]


def test_files_of_other_genes_are_refused(tmp_path: Path) -> None:
    other = STAR.format(1, 2).replace("ENSG00000073282.2", "ENSG00000099999.1")
    path = zipped(tmp_path / "s.zip", {"a.tab": STAR.format(1, 2), "b.tab": other})
    with pytest.raises(InputError, match=r"b\.tab has other genes than a\.tab"):
        read_dataset(path)


def test_an_archive_with_several_tables_asks_which(tmp_path: Path) -> None:
    path = zipped(tmp_path / "two.zip", {"a.csv": TABLE, "b/c.csv": TABLE.replace("s1", "q1")})
    assert list_parts(path) == ["a.csv", "b/c.csv"]
    with pytest.raises(InputError, match=r"2 files \(a\.csv, b/c\.csv\)"):
        read_dataset(path)
    assert list(read_dataset(path, part="b/c.csv").obs_names) == ["q1", "s2"]


def test_a_matrix_market_folder(tmp_path: Path) -> None:
    stream = io.BytesIO()
    mmwrite(stream, csr_matrix([[1, 0], [0, 2], [3, 4]]))
    path = zipped(
        tmp_path / "10x.zip",
        {
            "out/matrix.mtx.gz": gzip.compress(stream.getvalue()),
            "out/features.tsv.gz": gzip.compress(b"E1\tTP63\tGene\nE2\tSOX2\tGene\nE3\tKRT5\tGene"),
            "out/barcodes.tsv.gz": gzip.compress(b"AAA\nCCC\n"),
        },
    )
    data = read_dataset(path)
    assert list(data.obs_names) == ["AAA", "CCC"]
    assert list(data.var_names) == ["TP63", "SOX2", "KRT5"]
    assert data.X.tolist() == [[1, 0, 3], [0, 2, 4]]


def test_a_matlab_matrix_finds_its_names_and_classes(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    content = {
        "expression": np.array([[1.5, 2, 3], [4, 5, 6]]),
        "genes": np.array(["TP63", "SOX2", "KRT5"], object),
        "tumour": np.array([["A"], ["B"]], object),
        "ids": np.array(["s1", "s2"], object),
    }
    savemat(path, content)
    data = read_dataset(path)
    assert list(data.obs_names) == ["s1", "s2"]
    assert list(data.var_names) == ["TP63", "SOX2", "KRT5"]
    savemat(path, {**content, "expression": content["expression"].T})  # genes in rows
    np.testing.assert_array_equal(read_dataset(path).X, data.X)
    savemat(path, {**content, "more": np.ones((2, 2))})
    assert list_parts(path) == ["expression", "more"]


def test_a_last_column_of_few_whole_numbers_is_the_class(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(8, 2, (30, 5))
    savemat(tmp_path / "a.mat", {"data": np.column_stack([x, np.repeat([1, 2, 3], 10)])})
    data = read_dataset(tmp_path / "a.mat")
    assert data.shape == (30, 5)
    assert list(data.obs["label"]) == ["1"] * 10 + ["2"] * 10 + ["3"] * 10


def test_what_a_file_is_doesnt_depend_on_its_name(tmp_path: Path) -> None:
    path = tmp_path / "expression.csv"
    pd.read_csv(io.StringIO(TABLE), index_col=0).to_parquet(path)
    assert detect_format(path) == "parquet"
    assert read_dataset(path).shape == (2, 2)


@pytest.mark.parametrize(
    ("written", "asked", "way"),
    [
        ("s1 ", "s1", "spaces"),
        ("Sample_1.a", "sample-1 A", "case"),
        ("X101.2", "101-2", "case"),
        ("TCGA-A7-A0CE-01A-11R-A00Z-07", "TCGA-A7-A0CE-01A", "16 characters"),
        ("TCGA.A7.A0CE.01A.11R", "TCGA-A7-A0CE-01", "15 characters"),
        ("TCGA-A7-A0CE-01A-11R-A00Z-07", "tcga-a7-a0ce", "the patient"),
    ],
)
def test_sample_names_are_matched_as_loosely_as_needed(
    tmp_path: Path, written: str, asked: str, way: str
) -> None:
    matrix, labels = tmp_path / "m.tsv", tmp_path / "l.tsv"

    def another(name: str) -> str:
        return name.replace("1", "7").replace("A0CE", "B0CE").replace("a0ce", "b0ce")

    matrix.write_text(f"gene\t{written}\t{another(written)}\nTP63\t1.5\t2\nSOX2\t3\t4\n")
    labels.write_text(f"name\tclass\n{asked}\tX\n{another(asked)}\tY\n")
    data = read_dataset(matrix, labels)
    assert list(data.obs["class"]) == ["X", "Y"]
    if written.strip() != asked:
        assert any(way in note for note in data.uns["notes"])


def test_what_stays_unmatched_is_listed(tmp_path: Path) -> None:
    matrix, labels = tmp_path / "m.csv", tmp_path / "l.csv"
    matrix.write_text("sample,TP63,SOX2\na,1.5,2\nb,3,4\nc,5,6\n")
    labels.write_text("id,class\na,X\nb,Y\nq,X\nr,X\n")
    told = read_dataset(matrix, labels).uns
    assert [finding["code"] for finding in told["findings"]] == ["samples_without_row"]
    assert "were left out: c." in told["findings"][0]["message"]
    assert any("belong to no sample of the matrix: q, r." in note for note in told["notes"])


def test_several_samples_of_a_patient_share_its_row(tmp_path: Path) -> None:
    matrix, labels = tmp_path / "m.csv", tmp_path / "l.csv"
    matrix.write_text("id,TP63,SOX2\nTCGA-A7-A0CE-01A,1.5,2\nTCGA-A7-A0CE-11A,3,4\n")
    labels.write_text("patient,class\nTCGA-A7-A0CE,X\n")
    assert list(read_dataset(matrix, labels).obs["class"]) == ["X", "X"]


# --- attacks ----------------------------------------------------------------------------------


def test_a_zip_bomb_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w", force_zip64=True) as file,
    ):
        for _ in range(100):
            file.write(b"0" * 1_000_000)
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match="a line of more than 64 MB"):
        read_dataset(path)


def test_a_field_of_100_mb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"sample,TP63\ns1,")
        for _ in range(100):
            file.write(b"9" * 1_000_000)
    with pytest.raises(InputError, match="a line of more than 64 MB"):
        read_dataset(path)


def test_a_million_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",".join(map(str, range(1_000_000))) + "\n" + "1," * 999_999 + "1\n")
    with pytest.raises(InputError, match="1,000,000 columns"):
        read_dataset(path)


def test_zip_in_zip_and_paths_that_climb_do_no_harm(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"a.csv": TABLE})
    outer = zipped(tmp_path / "outer.zip", {"inner.zip": inner.read_bytes()})
    with pytest.raises(InputError, match="another zip file"):
        read_dataset(outer)
    climbing = zipped(tmp_path / "climb.zip", {"../../evil.csv": TABLE})
    assert read_dataset(climbing).shape == (2, 2)
    assert not list(tmp_path.parent.rglob("evil.csv"))


def test_a_torn_h5ad_is_said_in_our_words(tmp_path: Path) -> None:
    path = tmp_path / "torn.h5ad"
    AnnData(np.ones((4, 6), np.float32)).write_h5ad(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(
        InputError, match=r"^torn\.h5ad is damaged, cut short.*made it\.$"
    ) as refused:
        read_dataset(path)
    assert "eof" not in str(refused.value)


def test_nothing_in_a_matlab_file_or_h5ad_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"x": np.ones((2, 2)), "s": {"a": 1}})
    content = path.read_bytes()
    for cut in (140, 200, len(content) // 2):
        path.write_bytes(content[:cut])
        with pytest.raises(InputError, match=r"a\.mat"):
            read_dataset(path)


def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE)
    told: list[float] = []
    read_dataset(path, progress=told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)
