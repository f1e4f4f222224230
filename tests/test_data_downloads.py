"""What people download: carts of GDC, GEO's files, 10x, loom, ARCHS4, long tables, Firehose, R."""

import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import mmwrite
from scipy.sparse import csc_array

from core.data.formats.archives import name_samples
from core.data.formats.asking import list_parts
from core.data.read import read_dataset
from core.errors import InputError

X = np.array([[1, 0, 3], [0, 2, 4]], np.float32)
"""Two samples of three genes."""
GENES = ["TP63", "SOX2", "KRT5"]


def packed(path: Path, files: dict[str, str | bytes]) -> Path:
    """A zip or tar file."""
    contents = {n: c.encode() if isinstance(c, str) else c for n, c in files.items()}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def codes(path: Path) -> list[str]:
    return [finding["code"] for finding in read_dataset(path).uns["findings"]]


def assert_is_x(path: Path, samples: list[str], **asked: str) -> None:
    data = read_dataset(path, **asked)
    assert data.X.tolist() == X.tolist()
    assert list(data.obs_names) == samples
    assert list(data.var_names) == GENES


# --- one table a sample -----------------------------------------------------------------------

STAR = """# gene-model: GENCODE v36
gene_id	gene_name	unstranded	stranded_first
N_unmapped		9	9
ENSG00000000001.3	TP63	{}	1
ENSG00000000002.1	SOX2	{}	1
"""


def test_a_cart_of_gdc_with_its_sample_sheet(tmp_path: Path) -> None:
    ending = "rna_seq.augmented_star_gene_counts.tsv"
    cart = packed(
        tmp_path / "gdc.tar.gz",
        {
            "MANIFEST.txt": "id\tfilename\n",
            f"f1/aa.{ending}": STAR.format(5, 6),
            "f1/annotations.txt": "id\tnotes\n",
            f"f2/bb.{ending}": STAR.format(7, 8),
        },
    )
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text(
        "File ID\tFile Name\tCase ID\tSample ID\tSample Type\n"
        f"f2\tbb.{ending}\tTCGA-A1-A0SB\tTCGA-A1-A0SB-11A\tSolid Tissue Normal\n"
        f"f1\taa.{ending}\tTCGA-A1-A0SC\tTCGA-A1-A0SC-01A\tPrimary Tumor\n"
    )
    data = read_dataset(cart, sheet)
    assert list(data.obs_names) == ["TCGA-A1-A0SC-01A", "TCGA-A1-A0SB-11A"]
    assert list(data.obs["Sample Type"]) == ["Primary Tumor", "Solid Tissue Normal"]
    assert data.X.tolist() == [[5, 6], [7, 8]]
    assert list(read_dataset(cart, sheet, symbols=True).var_names) == ["TP63", "SOX2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("{}.counts.txt", "TP63\t{}\nSOX2\t{}\nKRT5\t{}\n__no_feature\t3\n"),
        ("GSM1_{}.txt", "Symbol\treads\nTP63\t{}\nSOX2\t{}\nKRT5\t{}\n"),
        ("{}.rna_seq.star_gene_counts.tsv",
         "#gene\tunstranded\tstranded_first\tstranded_second\nTP63\t{}\t1\t1\nSOX2\t{}\t1\t1\n"
         "KRT5\t{}\t1\t1\n"),
        ("{}.genes.results", "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\t"
         "TPM\tFPKM\nTP63\tt\t9\t9\t1\t{}\t1\nSOX2\tt\t9\t9\t1\t{}\t1\nKRT5\tt\t9\t9\t1\t{}\t1\n"),
        ("{}/abundance.tsv", "target_id\tlength\teff_length\test_counts\ttpm\nTP63\t9\t9\t1\t{}\n"
         "SOX2\t9\t9\t1\t{}\nKRT5\t9\t9\t1\t{}\n"),
        ("{}.txt", "Geneid\tChr\tStart\tEnd\tStrand\tLength\tx.bam\nTP63\t1\t1\t2\t+\t9\t{}\n"
         "SOX2\t1\t1\t2\t+\t9\t{}\nKRT5\t1\t1\t2\t+\t9\t{}\n"),
    ],
)  # fmt: skip
def test_one_table_a_sample(tmp_path: Path, name: str, text: str) -> None:
    values = [[int(value) for value in row] for row in X]
    files = {name.format(s): text.format(*row) for s, row in zip("AB", values, strict=True)}
    samples = [Path(name.format(s)).name.split(".")[0] if "/" not in name else s for s in "AB"]
    assert_is_x(packed(tmp_path / "all.zip", files), samples)


def test_measured_values_without_header_keep_their_first_gene(tmp_path: Path) -> None:
    text = "ENSG00000000001.1\t0.5{0}\nENSG00000000002.1\t1.5{0}\n"
    path = packed(tmp_path / "a.zip", {f"{s}.FPKM.txt": text.format(s) for s in (1, 2)})
    np.testing.assert_allclose(read_dataset(path).X, [[0.51, 1.51], [0.52, 1.52]], rtol=1e-6)


def test_packed_tables_of_geo_in_a_tar(tmp_path: Path) -> None:
    text = "Gene\tcount\nTP63\t{}\nSOX2\t{}\nKRT5\t{}\n"
    files = {
        "GSM101_A.txt.gz": gzip.compress(text.format(1, 0, 3).encode()),
        "GSM102_B.txt.gz": gzip.compress(text.format(0, 2, 4).encode()),
    }
    tar = packed(tmp_path / "GSE1_RAW.tar", files)
    assert_is_x(tar, ["GSM101_A", "GSM102_B"])
    labels = tmp_path / "l.csv"
    labels.write_text("geo,class\nGSM102,Y\nGSM101,X\n")
    assert list(read_dataset(tar, labels).obs["class"]) == ["X", "Y"]


def test_tables_in_another_order_are_put_in_one(tmp_path: Path) -> None:
    files = {"A.txt": "gene\tn\nTP63\t1\nSOX2\t0\nKRT5\t3\n",
             "B.txt": "gene\tn\nKRT5\t4\nTP63\t0\nSOX2\t2\n"}  # fmt: skip
    assert_is_x(packed(tmp_path / "a.zip", files), ["A", "B"])


def test_a_sheet_beside_the_tables_is_told(tmp_path: Path) -> None:
    files = {"A.tab": "gene\tn\nTP63\t1\nSOX2\t2\n", "B.tab": "gene\tn\nTP63\t3\nSOX2\t4\n",
             "sheet.csv": "sample,class,x\nA,K,p\nB,L,q\n"}  # fmt: skip
    path = packed(tmp_path / "a.zip", files)
    assert read_dataset(path).X.tolist() == [[1, 2], [3, 4]]
    assert codes(path) == ["files_beside"]


def test_names_of_samples_out_of_names_of_files() -> None:
    assert name_samples(["x/A/quant.sf", "x/B/quant.sf"]).tolist() == ["A", "B"]
    assert name_samples(["A/outs/quant.sf", "B/outs/quant.sf"]).tolist() == ["A", "B"]
    assert name_samples(["P_S1.txt", "P_S2.txt"]).tolist() == ["P_S1.txt", "P_S2.txt"]


# --- 10x ---------------------------------------------------------------------------------------


def ten_x(start: str, x: np.ndarray = X, kinds: str = "Gene Expression") -> dict[str, bytes]:
    """The three files of a sample; the last feature is of the given kind."""
    stream = io.BytesIO()
    mmwrite(stream, csc_array(x.T))
    types = ["Gene Expression"] * (len(GENES) - 1) + [kinds]
    features = "".join(f"E{n}\t{g}\t{k}\n" for n, (g, k) in enumerate(zip(GENES, types)))  # noqa: B905
    return {
        f"{start}matrix.mtx.gz": gzip.compress(stream.getvalue()),
        f"{start}features.tsv.gz": gzip.compress(features.encode()),
        f"{start}barcodes.tsv.gz": gzip.compress(b"AAA\nCCC\n", mtime=0),
    }


@pytest.mark.parametrize("starts", [("GSM1_P_", "GSM2_Q_"), ("a/GSM1_P/", "a/GSM2_Q/")])
def test_every_10x_sample_of_an_archive_is_read(tmp_path: Path, starts: tuple[str, str]) -> None:
    path = packed(tmp_path / "RAW.tar", {**ten_x(starts[0]), **ten_x(starts[1], X + 1)})
    data = read_dataset(path)
    assert data.X.tolist() == [*X.tolist(), *(X + 1).tolist()]
    assert list(data.obs["sample"]) == ["GSM1_P", "GSM1_P", "GSM2_Q", "GSM2_Q"]
    assert list(data.obs_names)[::2] == ["GSM1_P_AAA", "GSM2_Q_AAA"]


def test_of_raw_and_filtered_matrices_the_filtered_are_read(tmp_path: Path) -> None:
    files = {**ten_x("s/raw_feature_bc_matrix/", X + 7), **ten_x("s/filtered_feature_bc_matrix/")}
    assert_is_x(packed(tmp_path / "a.zip", files), ["AAA", "CCC"])


def test_antibodies_are_left_out_and_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", ten_x("", kinds="Antibody Capture"))
    assert list(read_dataset(path).var_names) == ["TP63", "SOX2"]
    finding = read_dataset(path).uns["findings"][0]
    assert finding["code"] == "other_features"
    assert "Antibody Capture: KRT5" in finding["message"]


def write_10x(path: Path, genes: list[str] = GENES, group: str = "matrix") -> Path:
    x = csc_array(X.T)
    with h5py.File(path, "w") as file:
        matrix = file.create_group(group)
        for name in ("data", "indices", "indptr"):
            matrix[name] = getattr(x, name)
        matrix["shape"] = x.shape
        matrix["barcodes"] = [b"AAA", b"CCC"]
        if group == "matrix":
            matrix["features/name"] = [gene.encode() for gene in genes]
            matrix["features/feature_type"] = [b"Gene Expression"] * 3
        else:
            matrix["gene_names"] = [gene.encode() for gene in genes]
    return path


@pytest.mark.parametrize("group", ["matrix", "GRCh38"])
def test_10x_in_hdf5(tmp_path: Path, group: str) -> None:
    assert_is_x(write_10x(tmp_path / "a.h5", group=group), ["AAA", "CCC"])


def test_10x_in_hdf5_one_file_a_sample(tmp_path: Path) -> None:
    content = write_10x(tmp_path / "a.h5").read_bytes()
    data = read_dataset(packed(tmp_path / "RAW.tar", {"GSM1.h5": content, "GSM2.h5": content}))
    assert data.X.tolist() == [*X.tolist(), *X.tolist()]
    assert list(data.obs["sample"]) == ["GSM1", "GSM1", "GSM2", "GSM2"]


def test_10x_with_columns_beyond_its_shape_is_refused(tmp_path: Path) -> None:
    path = write_10x(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["matrix/indices"][0] = 9
    with pytest.raises(InputError, match=r"a\.h5"):
        read_dataset(path)


def test_10x_of_an_absurd_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write_10x(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["matrix/shape"][...] = [2_000_000, 2_000_000]
    with pytest.raises(InputError, match="more than 500,000,000 values"):
        read_dataset(path)


def test_loom_with_values_out_of_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(X.T.astype("<f4").tobytes())
    path = tmp_path / "a.loom"
    with h5py.File(path, "w") as file:
        outside = [(str(tmp_path / "secret"), 0, 24)]
        file.create_dataset("matrix", (3, 2), "<f4", external=outside)
        file["row_attrs/Gene"] = [gene.encode() for gene in GENES]
        file["col_attrs/CellID"] = [b"c1", b"c2"]
    with pytest.raises(InputError, match="external storage"):
        read_dataset(path)


# --- other HDF5 --------------------------------------------------------------------------------


def test_loom(tmp_path: Path) -> None:
    path = tmp_path / "a.loom"
    with h5py.File(path, "w") as file:
        file["matrix"] = X.T
        file["row_attrs/Gene"] = [gene.encode() for gene in GENES]
        file["col_attrs/CellID"] = [b"c1", b"c2"]
        file["col_attrs/Cluster"] = [3, 4]
    assert_is_x(path, ["c1", "c2"])
    assert list(read_dataset(path).obs["Cluster"]) == ["3", "4"]


@pytest.mark.parametrize("turned", [False, True])
def test_archs4(tmp_path: Path, turned: bool) -> None:
    path = tmp_path / "human.h5"
    with h5py.File(path, "w") as file:
        file["data/expression"] = X.astype(np.uint32) if turned else X.T.astype(np.uint32)
        file["meta/genes/symbol"] = [gene.encode() for gene in GENES]
        file["meta/samples/geo_accession"] = [b"GSM1", b"GSM2"]
        file["meta/samples/title"] = [b"one", b"two"]
    assert_is_x(path, ["GSM1", "GSM2"])
    assert list(read_dataset(path).obs["title"]) == ["one", "two"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["est_counts", "aux/ids"], r"abundance\.h5 of kallisto.*abundance\.tsv"),
        (["mod/rna", "obs", "var"], "MuData"), (["table/axis0"], "holds table"),
    ],
)  # fmt: skip
def test_other_hdf5_files_are_named(tmp_path: Path, names: list[str], words: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in names:
            file[name] = [1.5, 2.5]
    with pytest.raises(InputError, match=words):
        read_dataset(tmp_path / "a.h5")


def write_h5ad(path: Path, **matrices: np.ndarray) -> Path:
    """An h5ad file of today, with the matrices under these places (__ for /)."""
    with h5py.File(path, "w") as file:
        for frame, names in (("obs", ["s1", "s2"]), ("var", GENES)):
            group = file.create_group(frame)
            group.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0"})
            group.attrs.update({"_index": "_index", "column-order": np.array([], "S1")})
            group["_index"] = names
            group["_index"].attrs.update(
                {"encoding-type": "string-array", "encoding-version": "0.2.0"}
            )
        for place, x in matrices.items():
            file[place.replace("__", "/")] = x
    return path


def test_h5ad_without_x(tmp_path: Path) -> None:
    one = write_h5ad(tmp_path / "one.h5ad", layers__counts=X)
    assert_is_x(one, ["s1", "s2"])
    assert any("layers/counts" in note for note in read_dataset(one).uns["notes"])
    two = write_h5ad(tmp_path / "two.h5ad", layers__counts=X, layers__log=X + 1)
    assert list_parts(two) == ["layers/counts", "layers/log"]
    with pytest.raises(InputError, match=r"Choose one: layers/counts, layers/log"):
        read_dataset(two)
    assert_is_x(two, ["s1", "s2"], part="layers/counts")
    with pytest.raises(InputError, match="without any values"):
        read_dataset(write_h5ad(tmp_path / "none.h5ad"))


@pytest.mark.parametrize("sparse", [False, True])
def test_h5ad_of_the_first_years(tmp_path: Path, sparse: bool) -> None:
    path = tmp_path / "old.h5ad"
    with h5py.File(path, "w") as file:
        if sparse:
            group, x = file.create_group("X"), csc_array(X)
            group.attrs.update({"h5sparse_format": "csc", "h5sparse_shape": X.shape})
            for name in ("data", "indices", "indptr"):
                group[name] = getattr(x, name)
        else:
            file["X"] = X
        file["obs"] = np.array(
            [(b"s1", 1, 0.5), (b"s2", 0, 1)], [("index", "S5"), ("kind", "i1"), ("age", "f4")]
        )
        file["var"] = np.array([(gene.encode(),) for gene in GENES], [("index", "S5")])
        file["uns/kind_categories"] = [b"LUAD", b"LUSC"]
    assert_is_x(path, ["s1", "s2"])
    assert list(read_dataset(path).obs["kind"]) == ["LUSC", "LUAD"]


# --- GEO ---------------------------------------------------------------------------------------

SERIES = """!Series_title\t"Lungs"
!Series_geo_accession\t"GSE1"

!Sample_title\t"lung, 1"\t"lung, 2"
!Sample_geo_accession\t"GSM1"\t"GSM2"
!Sample_organism_ch1\t"Homo sapiens"\t"Homo sapiens"
!Sample_characteristics_ch1\t"histology: LUSC"\t"age: 60"
!Sample_characteristics_ch1\t"age: 50"\t"histology: LUAD"
!Sample_characteristics_ch1\t"smoker"\t""
!series_matrix_table_begin
"ID_REF"\t"GSM1"\t"GSM2"
"TP63"\t1\t0
"SOX2"\t0\t2
"KRT5"\t3\t4
!series_matrix_table_end
"""


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_series_matrix_with_its_characteristics(tmp_path: Path, pack: type) -> None:
    path = tmp_path / "GSE1_series_matrix.txt"
    path.write_bytes(pack(SERIES.encode()))
    assert_is_x(path, ["GSM1", "GSM2"])
    obs = read_dataset(path).obs
    assert list(obs["histology"]) == ["LUSC", "LUAD"]
    assert list(obs["age"]) == ["50", "60"]
    assert list(obs["characteristics_ch1"]) == ["smoker", ""]
    assert list(obs["title"]) == ["lung, 1", "lung, 2"]


def test_a_series_matrix_as_the_table_of_labels(tmp_path: Path) -> None:
    path, counts = tmp_path / "series.txt", tmp_path / "counts.tsv"
    lines = SERIES.splitlines()
    path.write_text("\n".join([*lines[:11], lines[-1]]))  # of sequencing: without values
    with pytest.raises(InputError, match=r"holds no expression values.*table of labels"):
        read_dataset(path)
    counts.write_text("gene\tGSM2\tGSM1\nTP63\t5\t6\nSOX2\t7\t8\n")
    assert list(read_dataset(counts, path).obs["histology"]) == ["LUAD", "LUSC"]
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    assert list(read_dataset(counts, path.with_suffix(".gz")).obs["histology"]) == ["LUAD", "LUSC"]
    counts.write_text("gene\tlung_2\tlung_1\nTP63\t5\t6\nSOX2\t7\t8\n")
    path.write_text(path.read_text().replace("lung, ", "lung "))
    assert list(read_dataset(counts, path).obs["histology"]) == ["LUAD", "LUSC"]


def test_a_series_matrix_that_is_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "series.txt"
    path.write_text(SERIES.replace('"GSM1"\t"GSM2"\n!Sample_org', '"GSM1"\n!Sample_org'))
    with pytest.raises(InputError, match="2 values for 1 samples"):
        read_dataset(path)


# --- tables of other shapes --------------------------------------------------------------------


def test_one_value_a_row_is_turned(tmp_path: Path) -> None:
    path = tmp_path / "long.tsv"
    rows = [
        f"E{g}\tG{g}\tD{s}\tK{s % 2}\tS{s}\t0.5\t{10 * s + g}\n" for g in (1, 2) for s in (3, 4)
    ]
    path.write_text("Gene\tGene name\tdonor\tkind\tSample\tTPM\traw_count\n" + "".join(rows))
    data = read_dataset(path)
    assert data.X.tolist() == [[31, 32], [41, 42]]
    assert list(data.obs_names) == ["S3", "S4"]
    assert list(data.var_names) == ["E1", "E2"]
    assert list(data.obs.columns) == ["donor", "kind"]
    assert list(data.obs["kind"]) == ["K1", "K0"]
    assert any("one value a row" in note for note in data.uns["notes"])


def test_one_value_a_row_with_holes_or_repeats(tmp_path: Path) -> None:
    path = tmp_path / "long.tsv"
    cells = [(g, s) for g in range(30) for s in range(3)]
    text = "gene\tsample\tTPM\n" + "".join(f"G{g}\tS{s}\t{g}.5\n" for g, s in cells[:-1])
    path.write_text(text)
    assert np.argwhere(np.isnan(read_dataset(path).X)).tolist() == [[2, 29]]
    path.write_text(text + "G0\tS0\t9\n")
    data = read_dataset(path)
    assert data.shape == (3, 29)
    assert [f["code"] for f in data.uns["findings"]] == ["genes_twice_a_sample"]
    path.write_text(text + "".join(f"G{g}\tS0\t9\n" for g in range(30)))
    with pytest.raises(InputError, match=r"one value a row.*several rows for G0 in S0"):
        read_dataset(path)
    some = [f"G{n % 30}\tS{n % 31}\t1.5\n" for n in range(100)]
    path.write_text("gene\tsample\tTPM\n" + "".join(dict.fromkeys(some)))
    with pytest.raises(InputError, match="one value a row"):
        read_dataset(path)


def test_of_several_columns_a_sample_one_is_taken_and_said(tmp_path: Path) -> None:
    path = tmp_path / "firehose.txt"
    path.write_text(
        "Hybridization REF\tA\tA\tA\tB\tB\tB\n"
        "gene_id\traw_count\tscaled_estimate\ttranscript_id\traw_count\tscaled_estimate\t"
        "transcript_id\n"
        "TP63|8626\t1.00\t1e-4\tu1\t0.00\t0\tu1\nSOX2|6657\t0.00\t0\tu2\t2.00\t2e-4\tu2\n"
        "KRT5|3852\t3.00\t3e-4\tu3\t4.00\t4e-4\tu3\n"
    )
    assert_is_x(path, ["A", "B"])
    notes = "\n".join(read_dataset(path).uns["notes"])
    assert "raw_count was taken, not scaled_estimate, transcript_id" in notes


def test_a_row_that_says_what_all_columns_are_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "firehose.txt"
    path.write_text("Hybridization REF\tA\tB\ngene_id\tnormalized_count\tnormalized_count\n"
                    "TP63|8626\t1\t0\nSOX2|6657\t0\t2\nKRT5|3852\t3\t4\n")  # fmt: skip
    assert_is_x(path, ["A", "B"])
    assert not list(read_dataset(path).obs.columns)


# --- files that are no tables ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"X\n\0\0\0\3\0\4", mtime=0), "R data.*write.csv"),
        (lzma.compress(b"RDX3\nX\n\0\0\0\3"), "R data"), (b"RDX2\nX\n\0\0\0\2", "R data"),
        (b"A\n3\n262657\n", "R data"), (gzip.compress(b"^DATABASE = GeoMiame\n", mtime=0), "SOFT"),
        (b"<!DOCTYPE html><html>", "web page"), (b"\x80\x04\x95\x10\0\0", "pickle"),
    ],
)  # fmt: skip
def test_files_that_are_no_tables_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_dataset(path)


def test_the_clinical_archive_of_gdc_is_a_table_of_labels(tmp_path: Path) -> None:
    matrix = tmp_path / "m.csv"
    matrix.write_text("id,TP63,SOX2\nTCGA-A1-A0SC-01A,1.5,2\nTCGA-A1-A0SB-01A,3,4\n")
    files = {
        "exposure.tsv": "case_submitter_id\tsmoked\nTCGA-A1-A0SC\t1\n",
        "clinical.tsv": "case_submitter_id\tdiagnosis\nTCGA-A1-A0SC\tLUSC\nTCGA-A1-A0SB\tLUAD\n",
    }
    labels = packed(tmp_path / "clinical.tar.gz", files)
    assert list(read_dataset(matrix, labels).obs["diagnosis"]) == ["LUSC", "LUAD"]


def test_tables_of_labels_in_one_archive_are_joined(tmp_path: Path) -> None:
    matrix = tmp_path / "m.csv"
    matrix.write_text("id,TP63,SOX2\na,1.5,2\nb,3,4\nc,5,6\n")
    files = {"sheet.csv": "sample,case_id\na,C1\nb,C2\nc,C3\n",
             "about.csv": "case_id,class\nC2,Y\nC1,X\nC3,X\n"}  # fmt: skip
    labels = packed(tmp_path / "labels.zip", files)
    assert list(read_dataset(matrix, labels).obs["class"]) == ["X", "Y", "X"]
