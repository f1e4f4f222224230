"""Samples find what is known about them, however programs have changed their names."""

import unicodedata
from pathlib import Path

import pytest
from anndata import AnnData

from core.data.check import check_dataset
from core.data.read import read_dataset
from core.data.roles import suggest_group
from core.data.sample_names import find_frames, take_file_name
from core.errors import InputError


def read(folder: Path, samples: list[str], labels: str) -> AnnData:
    """Two genes in rows with these samples, joined with a table of labels."""
    matrix, table = folder / "m.tsv", folder / "labels.csv"
    header = "\t".join(["gene", *samples])
    rows = [
        "\t".join([gene, *(str(10 * n + place) for place in range(len(samples)))])
        for n, gene in enumerate(["TP63", "SOX2"])
    ]
    matrix.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    table.write_text(labels, encoding="utf-8")
    return read_dataset(matrix, table, orientation="genes_in_rows")


def codes(data: AnnData) -> list[str]:
    return [finding["code"] for finding in data.uns["findings"]]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("/data/bam/S01.bam", "S01"),
        ("/data/run1/S01Aligned.sortedByCoord.out.bam", "S01"),
        (r"C:\reads\S01.sorted.bam", "S01"),
        ("S01_S7_L001_R1_001.fastq.gz", "S01"),
        ("run/S01.htseq.counts.gz", "S01"),
        ("1e2f-aa.rna_seq.augmented_star_gene_counts.tsv", "1e2f-aa"),
        ("S01.rna_seq.star_gene_counts.tsv", "S01"),
        ("S01ReadsPerGene.out.tab", "S01"),
        ("P1.2", "P1.2"), ("S_1", "S_1"), ("counts", "counts"), (".bam", ".bam"),
    ],
)  # fmt: skip
def test_the_sample_in_a_file_name(written: str, name: str) -> None:
    assert take_file_name(written) == name


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("/data/bam/{}.bam", "{}"),
        ("/data/run1/{}Aligned.sortedByCoord.out.bam", "{}"),
        ("{}.sorted.bam", "reads/{}_R1.fastq.gz"),
        ("X.data.run1.{}Aligned.weird.bam", "{}"),
        ("/data/{}/aligned.bam", "{}"),
        ("{}", "lab7 {} RNA"),
    ],
)
def test_samples_are_matched_by_their_files(tmp_path: Path, one: str, two: str) -> None:
    labels = f"who,class\n{two.format('S02')},Y\n{two.format('S01')},X\n{two.format('S10')},Z\n"
    data = read(tmp_path, [one.format(name) for name in ("S01", "S02")], labels)
    assert list(data.obs["class"]) == ["X", "Y"]


def test_a_name_within_another_word_is_no_match() -> None:
    assert not list(find_frames(["BRCA1", "BRCA2"], ["CA1", "CA2"]))
    assert not list(find_frames(["S1x", "S2x"], ["1", "2"]))


def test_another_column_of_the_matrix_names_the_samples(tmp_path: Path) -> None:
    matrix, labels = tmp_path / "m.csv", tmp_path / "l.csv"
    matrix.write_text("id,ModelID,TP63,SOX2\nq0,ACH-2,1.5,2\nq1,ACH-1,3,4\nq2,ACH-3,5,6\n")
    labels.write_text("ModelID,class\nACH-1,X\nACH-2,Y\nACH-3,X\n")
    data = read_dataset(matrix, labels)
    assert list(data.obs["class"]) == ["Y", "X", "X"]
    assert list(data.obs_names) == ["ACH-2", "ACH-1", "ACH-3"]
    matrix.write_text(matrix.read_text().replace("\nq", "\n"))
    data = read_dataset(matrix, labels)
    assert list(data.obs["class"]) == ["Y", "X", "X"]
    assert list(data.obs_names) == ["ACH-2", "ACH-1", "ACH-3"]  # not the numbers of the rows


def test_a_class_of_both_tables_is_no_name_of_a_sample(tmp_path: Path) -> None:
    matrix, labels = tmp_path / "m.csv", tmp_path / "l.csv"
    matrix.write_text("id,class,TP63,SOX2\ns0,X,1.5,2\ns1,Y,3,4\n")
    labels.write_text("name,class,age\nq0,X,40\nq1,Y,50\n")
    with pytest.raises(InputError, match=r"No sample.*'s0'.*'q0'"):
        read_dataset(matrix, labels)


def test_numbers_of_samples_are_not_found_among_ages(tmp_path: Path) -> None:
    labels = "who,age,class\nA1,2,X\nA2,1,Y\nA3,1,X\n"
    with pytest.raises(InputError, match="No sample of the matrix"):
        read(tmp_path, ["1", "2", "3"], labels)


def test_accents_in_one_or_two_characters_are_the_same(tmp_path: Path) -> None:
    whole, parts = (unicodedata.normalize(form, "Müller é") for form in ("NFC", "NFD"))
    assert whole != parts
    data = read(tmp_path, [parts, "b"], f"who,class\nb,Y\n{whole},X\n")
    assert list(data.obs["class"]) == ["X", "Y"]


@pytest.mark.parametrize("mark", ["-", ".", "_"])
def test_barcodes_tell_the_same_with_dots_as_with_dashes(tmp_path: Path, mark: str) -> None:
    names = ["TCGA-A1-A0SB-01A-11R", "TCGA-A1-A0SB-11A-11R", "TCGA-B2-A0SC-01A-11R"]
    labels = "who,class\n" + "".join(f"{name},{'XXY'[n]}\n" for n, name in enumerate(names))
    data = read(tmp_path, [name.replace("-", mark) for name in names], labels)
    assert list(data.obs["class"]) == ["X", "X", "Y"]
    assert list(data.obs["patient"]) == ["TCGA-A1-A0SB", "TCGA-A1-A0SB", "TCGA-B2-A0SC"]
    assert list(data.obs["site"]) == ["A1", "A1", "B2"]
    assert list(data.obs["sample_type"]) == ["tumour", "normal", "tumour"]
    found = check_dataset(data, "class", "patient").findings
    assert "normal_tissue" in [finding.code for finding in found]


def test_the_row_of_a_tumour_says_nothing_about_normal_tissue(tmp_path: Path) -> None:
    names = ["TCGA-A1-A0SB-01A", "TCGA-A1-A0SB-11A", "TCGA-B2-A0SC-01A"]
    data = read(tmp_path, names, "who,class\nTCGA-A1-A0SB-01,X\nTCGA-B2-A0SC-01,Y\n")
    assert list(data.obs_names) == [names[0], names[2]]
    assert "samples_without_row" in codes(data)


def test_a_design_on_its_side_is_turned(tmp_path: Path) -> None:
    labels = ",S01,S02,S03\ncondition,LUAD,LUSC,LUAD\nage,50,60,70\n"
    data = read(tmp_path, ["S01", "S02", "S03"], labels)
    assert list(data.obs["condition"]) == ["LUAD", "LUSC", "LUAD"]
    assert list(data.obs["age"]) == ["50", "60", "70"]
    assert any("turned" in note for note in data.uns["notes"])


def test_a_sample_sheet_of_gdc_names_samples_and_cases(tmp_path: Path) -> None:
    sheet = (
        "File ID,File Name,Case ID,Sample ID,Sample Type\n"
        "f1,aa.rna_seq.augmented_star_gene_counts.tsv,TCGA-A1-A0SB,TCGA-A1-A0SB-01A,Primary Tumor\n"
        "f2,bb.rna_seq.augmented_star_gene_counts.tsv,TCGA-A1-A0SB,TCGA-A1-A0SB-11A,Normal\n"
    )
    data = read(tmp_path, ["bb", "aa"], sheet)
    assert list(data.obs_names) == ["TCGA-A1-A0SB-11A", "TCGA-A1-A0SB-01A"]
    assert list(data.obs["Sample Type"]) == ["Normal", "Primary Tumor"]
    assert list(data.obs["Case ID"]) == ["TCGA-A1-A0SB"] * 2
    assert list(data.obs["file"]) == ["bb", "aa"]


def test_columns_in_which_rows_of_a_sample_differ_are_left_out_and_named(tmp_path: Path) -> None:
    labels = "who,class,drug\na,X,p\na,X,q\nb,Y,p\n"
    data = read(tmp_path, ["a", "b"], labels)
    assert list(data.obs.columns) == ["class"]
    assert codes(data) == ["several_rows"]
    assert "drug" in data.uns["findings"][0]["message"]


def test_two_samples_of_one_row_are_told(tmp_path: Path) -> None:
    data = read(tmp_path, ["/run1/S01.bam", "/run2/S01.bam", "/run1/S02.bam"],
                "who,class\nS01,X\nS02,Y\n")  # fmt: skip
    assert list(data.obs["class"]) == ["X", "X", "Y"]
    assert codes(data) == ["shared_row"]
    assert "/run1/S01.bam, /run2/S01.bam" in data.uns["findings"][0]["message"]


def test_a_column_that_two_tables_tell_differently_is_told(tmp_path: Path) -> None:
    matrix, labels = tmp_path / "m.csv", tmp_path / "l.csv"
    matrix.write_text("id,class,TP63,SOX2\ns0,X,1.5,2\ns1,Y,3,4\n")
    labels.write_text("id,class\ns0,X\ns1,Z\n")
    data = read_dataset(matrix, labels)
    assert list(data.obs["class"]) == ["X", "Z"]
    assert codes(data) == ["column_replaced"]


def test_paths_become_the_names_in_them_if_these_differ(tmp_path: Path) -> None:
    data = read(tmp_path, ["/run/S01.bam", "/run/S02.bam"], "who,class\nS01,X\nS02,Y\n")
    assert list(data.obs_names) == ["S01", "S02"]


def test_a_message_shows_names_as_they_are_written(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, ["a", "b"], "who,class\nq,X\nr,Y\n")
    assert "np.str_" not in str(caught.value)


def test_a_sample_sheet_and_a_clinical_table_in_one_step(tmp_path: Path) -> None:
    matrix, sheet, clinical = (tmp_path / name for name in ("m.tsv", "sheet.tsv", "clinical.tsv"))
    matrix.write_text("gene\taa.htseq.counts\tbb.htseq.counts\nTP63\t1\t2\nSOX2\t3\t4\n")
    sheet.write_text(
        "File ID\tFile Name\tCase ID\tSample ID\tSample Type\n"
        "f2\tbb.htseq.counts.gz\tTCGA-A1-A0SB\tTCGA-A1-A0SB-11A\tSolid Tissue Normal\n"
        "f1\taa.htseq.counts.gz\tTCGA-A1-A0SC\tTCGA-A1-A0SC-01A\tPrimary Tumor\n"
    )
    clinical.write_text(
        "case_submitter_id\tdiagnosis\tdrug\nTCGA-A1-A0SC\tLUSC\ta\nTCGA-A1-A0SC\tLUSC\tb\n"
        "TCGA-A1-A0SB\tLUAD\ta\nTCGA-ZZ-ZZZZ\tLUAD\ta\n"
    )
    for labels in ([sheet, clinical], [clinical, sheet]):
        data = read_dataset(matrix, labels)
        assert list(data.obs_names) == ["TCGA-A1-A0SC-01A", "TCGA-A1-A0SB-11A"]
        assert list(data.obs["diagnosis"]) == ["LUSC", "LUAD"]
        assert "drug" not in data.obs
        assert codes(data) == ["several_rows"]
        assert suggest_group(data) == "Case ID"
        found = {one.code: one for one in check_dataset(data, None, "Case ID").findings}
        where = {"Sample Type": ["Primary Tumor"]}
        assert found["normal_tissue"].repair.changes == {"where": where}


def test_a_second_table_that_names_nothing_of_the_first_is_refused(tmp_path: Path) -> None:
    for name, text in (
        ("m.csv", "id,TP63,SOX2\na,1.5,2\nb,3,4\n"),
        ("l.csv", "id,class\na,X\nb,Y\n"),
        ("other.csv", "who,age\nq,1\nr,2\n"),
    ):
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"other\.csv names nothing that stands in l\.csv"):
        read_dataset(tmp_path / "m.csv", [tmp_path / "l.csv", tmp_path / "other.csv"])
