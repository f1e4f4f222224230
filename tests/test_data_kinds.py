"""Files of kinds that biologists bring, each of which was once read wrongly without a word."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.read import read_dataset
from core.data.roles import describes_samples, suggest_group
from core.data.simulate import read_symbols
from core.errors import InputError

SAMPLES = [f"S{n:02}" for n in range(1, 13)]
GENES = sorted(read_symbols())[:40]
COUNTS = pd.DataFrame(
    np.random.default_rng(5).negative_binomial(2, 0.01, (40, 12)) + 30,
    index=pd.Index(GENES, name="gene"), columns=SAMPLES,
)  # fmt: skip
TPM = (COUNTS / COUNTS.sum() * 1e6).round(2)
LOG = np.log2(COUNTS + 1).round(3)


def write(path: Path, table: pd.DataFrame, **how) -> Path:
    table.to_csv(path, sep="\t" if path.suffix in {".tsv", ".txt", ".xls"} else ",", **how)
    return path


def assert_holds(data: AnnData, values: pd.DataFrame) -> None:
    """The samples and genes of `values`, and no others."""
    assert list(data.obs_names) == list(values.columns)
    assert list(data.var_names) == list(values.index)
    np.testing.assert_allclose(data.X, values.T.to_numpy(), rtol=1e-6)


def told(data: AnnData) -> str:
    return "\n".join([*data.uns["notes"], *(found["message"] for found in data.uns["findings"])])


# --- several columns a sample -----------------------------------------------------------------


def beside(*parts: pd.DataFrame) -> pd.DataFrame:
    """Tables side by side, column by column: S01 of each, then S02 of each."""
    return pd.concat([part.iloc[:, [n]] for n in range(len(SAMPLES)) for part in parts], axis=1)


KINDS = {
    "a company": (
        beside(COUNTS.add_suffix("_readcount"), TPM.add_suffix("_fpkm")).assign(
            gene_chr="1", gene_length=1500, tf_family="-"
        ),
        COUNTS,
    ),
    "words before": (beside(TPM.add_prefix("FPKM_"), COUNTS.add_prefix("Count_")), COUNTS),
    "tximport": (
        pd.concat(
            [TPM.add_prefix("abundance."), COUNTS.add_prefix("counts."),
             (COUNTS * 0 + 1500.5).add_prefix("length.")], axis=1
        ).assign(countsFromAbundance="no"),
        COUNTS,
    ),
    "Cufflinks": (
        beside(
            TPM.add_suffix("_FPKM"), (TPM / 2).add_suffix("_conf_lo"),
            (TPM * 2).add_suffix("_conf_hi"), (TPM.astype(str) + "OK").add_suffix("_status"),
        ).assign(class_code="-", coverage="-"),
        TPM,
    ),
    "GenomeStudio": (
        beside(TPM.add_suffix(".AVG_Signal"), (TPM / 1e6).add_suffix(".Detection Pval")), TPM,
    ),
    "raw and normalised": (
        beside(COUNTS.add_suffix(" raw counts"), TPM.add_suffix(" normalized counts")), COUNTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_of_several_columns_a_sample_one_is_taken(tmp_path: Path, kind: str) -> None:
    table, values = KINDS[kind]
    data = read_dataset(write(tmp_path / "a.tsv", table))
    assert_holds(data, values)
    assert "Each sample has several columns; " in told(data)


def test_intensities_of_maxquant_are_samples_in_columns(tmp_path: Path) -> None:
    proteins = pd.Index([f"P{n:05}" for n in range(40)], name="Protein IDs")
    intensity = COUNTS.set_axis(proteins)
    table = pd.concat(
        [pd.DataFrame({"Gene names": GENES, "Peptides": 5, "Score": 1.5}, proteins),
         (intensity * 0 + 3).add_prefix("Peptides "), (intensity * 3).add_prefix("Intensity "),
         intensity.add_prefix("LFQ intensity ")], axis=1,
    ).assign(id=range(40))  # fmt: skip
    assert_holds(read_dataset(write(tmp_path / "proteinGroups.txt", table)), intensity)


@pytest.mark.parametrize("form", ["{0}_{1}", "{1}_{0}"])
def test_conditions_and_replicates_are_samples_of_their_own(tmp_path: Path, form: str) -> None:
    names = [form.format(word, n) for word in ("ctrl", "count") for n in range(1, 7)]
    assert_holds(read_dataset(write(tmp_path / "a.csv", COUNTS.set_axis(names, axis=1))),
                 COUNTS.set_axis(names, axis=1))  # fmt: skip


def test_p_values_of_detection_are_no_samples(tmp_path: Path) -> None:
    table = beside(TPM, TPM.add_suffix("!") / 1e6)
    table.columns = [name if "!" not in name else "Detection Pval" for name in table.columns]
    assert_holds(read_dataset(write(tmp_path / "non-normalized.txt", table)), TPM)


def test_groups_above_the_header_describe_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", COUNTS)
    path.write_text("," + ",".join(["Control"] * 6 + ["Treated"] * 6) + "\n" + path.read_text())
    data = read_dataset(path)
    assert_holds(data, COUNTS)
    assert list(data.obs["group"]) == ["Control"] * 6 + ["Treated"] * 6


# --- sums and means, flags of classes ----------------------------------------------------------


@pytest.mark.parametrize("name", ["Total", "Sum", "Average", "grand total", "Mean (all)"])
def test_a_row_of_sums_is_no_gene(tmp_path: Path, name: str) -> None:
    table = COUNTS.copy()
    table.loc[name] = table.sum()
    data = read_dataset(write(tmp_path / "a.csv", table))
    assert_holds(data, COUNTS)
    assert f"no genes and were left out: {name}" in told(data)


def test_means_beside_samples_are_asked_about(tmp_path: Path) -> None:
    table = LOG.assign(**{"Group A mean": LOG.mean(axis=1), "B_avg": LOG.mean(axis=1), "SEM": 0.1})
    path = write(tmp_path / "a.csv", table)
    data = read_dataset(path)
    assert_holds(data, LOG)
    found = next(one for one in data.uns["findings"] if one["code"] == "not_a_sample")
    assert found["repair"]["changes"]["roles"] == {"Group A mean": "sample", "B_avg": "sample"}
    as_sample = read_dataset(path, roles={"B_avg": "sample"})
    assert list(as_sample.obs_names) == [*SAMPLES, "B_avg"]


@pytest.mark.parametrize("name", ["tumor", "is_tumor", "Cancer", "cohort", "er", "psa_level"])
def test_zeros_and_ones_among_counts_are_no_gene(tmp_path: Path, name: str) -> None:
    table = COUNTS.T.assign(**{name: [0] * 6 + [1] * 6}).rename_axis("sample")
    data = read_dataset(write(tmp_path / "a.csv", table))
    assert_holds(data, COUNTS)
    assert list(data.obs[name]) == ["0"] * 6 + ["1"] * 6


def test_a_gene_with_few_reads_stays_one(tmp_path: Path) -> None:
    table = COUNTS.copy()
    table.iloc[3] = [0, 1] * 6
    assert_holds(read_dataset(write(tmp_path / "a.csv", table)), table)


def test_a_protein_of_tumours_is_a_gene() -> None:
    assert not describes_samples("tumor protein p53")
    assert describes_samples("tumor size")


def test_probe_sets_are_genes_whatever_their_values(tmp_path: Path) -> None:
    table = COUNTS.set_axis([*[f"{n}_at" for n in range(39)], "hum_alu_at"])
    table = table.astype(float)
    table.loc["hum_alu_at", "S01"] = 27707.002
    assert "hum_alu_at" in read_dataset(write(tmp_path / "a.csv", table)).var_names


# --- patients, and whose labels they are -------------------------------------------------------


def test_a_patient_column_with_several_samples_each_is_taken_first() -> None:
    about = pd.DataFrame({
        "PatientID": [f"TCGA-AA-{n:04}-01A" for n in range(4)],
        "bcr_patient_barcode": ["TCGA-AA-0000", "TCGA-AA-0000", "TCGA-AA-0001", "TCGA-AA-0001"],
    }, index=list("abcd"))  # fmt: skip
    assert suggest_group(AnnData(obs=about)) == "bcr_patient_barcode"
    assert suggest_group(AnnData(obs=about[["PatientID"]])) == "PatientID"


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("GTEX-1117F-0226-SM-5GZZ{}", "GTEX-1117F"),
        ("TARGET-20-PAXBXU-0{}A-01R", "TARGET-20-PAXBXU"),
    ],
)
def test_donors_stand_in_names_of_gtex_and_target(tmp_path: Path, name: str, patient: str) -> None:
    table = COUNTS.iloc[:, :9].set_axis([name.format(n) for n in range(9)], axis=1)
    data = read_dataset(write(tmp_path / "a.csv", table))
    assert set(data.obs["patient"]) == {patient}
    assert f"patient (such as {patient})" in told(data)


def test_ranks_are_no_names_of_samples(tmp_path: Path) -> None:
    matrix = write(tmp_path / "a.csv", COUNTS.set_axis([str(n) for n in range(1, 13)], axis=1))
    labels = pd.DataFrame({
        "patient_no": ["1", "2", "n3", *map(str, range(4, 13))],
        "condition": ["A"] * 6 + ["B"] * 6, "rank": range(12, 0, -1),
    })  # fmt: skip
    data = read_dataset(matrix, write(tmp_path / "l.csv", labels, index=False))
    assert list(data.obs["condition"]) == ["A"] * 5 + ["B"] * 6
    assert "1 samples have no row in l.csv and were left out: 3." in told(data)


# --- how files are written ---------------------------------------------------------------------


@pytest.mark.parametrize("column", [0, 1])
def test_a_quotation_mark_that_swallows_rows_is_refused(tmp_path: Path, column: int) -> None:
    rows = [["gene", "about", *SAMPLES], *([g, "x", *map(str, COUNTS.loc[g])] for g in GENES)]
    rows[3][column] = f'"{rows[3][column]}'
    rows[9][column] = f'"{rows[9][column]}'
    path = tmp_path / "a.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    name = rows[0][column]
    with pytest.raises(InputError, match=f"a.tsv, line 4, column {name}: a quotation mark before"):
        read_dataset(path)


def test_a_cell_of_several_lines_is_read(tmp_path: Path) -> None:
    rows = [["gene", "about", *SAMPLES], *([g, "x", *map(str, COUNTS.loc[g])] for g in GENES)]
    rows[3][1] = '"a\nb, c"'
    path = tmp_path / "a.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    assert_holds(read_dataset(path), COUNTS)


def test_letters_of_windows_are_read_and_told(tmp_path: Path) -> None:
    matrix, labels = write(tmp_path / "a.csv", COUNTS), tmp_path / "l.csv"
    text = "sample,class\n" + "".join(
        f"{s},Größe–{'I' * (n % 2 + 1)}\n" for n, s in enumerate(SAMPLES)
    )
    labels.write_bytes(text.encode("cp1252"))
    data = read_dataset(matrix, labels)
    assert set(data.obs["class"]) == {"Größe–I", "Größe–II"}
    assert "l.csv isn't written in UTF-8" in told(data)
    assert "such as Größe–I." in told(data)
    labels.write_text(text, encoding="utf-8")
    assert "UTF-8" not in told(read_dataset(matrix, labels))


def test_row_numbers_that_pandas_left_are_no_names(tmp_path: Path) -> None:
    whole = COUNTS.T.reset_index(names="line").assign(cond=["A", "B"] * 6)
    part = whole[whole["line"] != "S04"]
    part.to_parquet(tmp_path / "a.parquet")
    data = read_dataset(tmp_path / "a.parquet")
    assert_holds(data, COUNTS.drop(columns="S04"))
    COUNTS.T.set_axis([9, 4, *range(20, 30)]).to_parquet(tmp_path / "b.parquet")
    nameless = read_dataset(tmp_path / "b.parquet")
    assert list(nameless.obs_names) == ["9", "4", *map(str, range(20, 30))]


def test_counts_of_the_first_gene_are_no_names(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "a.csv", COUNTS.T, index=False))
    assert_holds(data, COUNTS.set_axis([f"sample {n}" for n in range(1, 13)], axis=1))


def test_a_file_that_lies_on_its_side_is_refused(tmp_path: Path) -> None:
    names = pd.DataFrame(index=GENES), pd.DataFrame(index=SAMPLES)
    AnnData(COUNTS.to_numpy(np.float32), *names).write_h5ad(tmp_path / "a.h5ad")
    with pytest.raises(InputError, match=rf"a.h5ad has genes \({GENES[0]}.*Store it turned"):
        read_dataset(tmp_path / "a.h5ad")
    insisted = read_dataset(tmp_path / "a.h5ad", orientation="samples_in_rows")
    assert list(insisted.obs_names) == GENES


# --- folders of quantifiers --------------------------------------------------------------------


def pack(path: Path, files: dict[str, pd.DataFrame]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, table in files.items():
            archive.writestr(name, table.to_csv(sep="\t", index=False))
    return path


def salmon(names: list[str], sample: str) -> pd.DataFrame:
    about = {"Name": names, "Length": 1500, "EffectiveLength": 1300.5}
    return pd.DataFrame({**about, "TPM": TPM[sample].array, "NumReads": COUNTS[sample].array})


def test_genes_of_salmon_are_taken_for_their_transcripts(tmp_path: Path) -> None:
    transcripts = [f"ENST{n:011}.1" for n in range(40)]
    files = {f"quants/{s}/quant.sf": salmon(transcripts, s) for s in SAMPLES}
    files |= {f"quants/{s}/quant.genes.sf": salmon(GENES, s) for s in SAMPLES}
    data = read_dataset(pack(tmp_path / "a.zip", files))
    assert_holds(data, TPM)
    assert "files of transcripts were left out" in told(data)


def test_genes_of_rsem_are_taken_for_their_isoforms(tmp_path: Path) -> None:
    files = {}
    for s in SAMPLES:
        about = {"gene_id": GENES, "length": 1500, "effective_length": 1300.5}
        table = pd.DataFrame({**about, "expected_count": COUNTS[s].array, "TPM": TPM[s].array})
        files[f"{s}.genes.results"] = table
        files[f"{s}.isoforms.results"] = table.assign(transcript_id="ENST1", TPM=0.5)
    assert_holds(read_dataset(pack(tmp_path / "a.zip", files)), TPM)


def test_what_kallisto_and_star_lay_beside_is_left(tmp_path: Path) -> None:
    kallisto, star = {}, {}
    for s in SAMPLES:
        about = {"target_id": GENES, "length": 1500, "eff_length": 1300.5}
        kallisto[f"{s}/abundance.tsv"] = pd.DataFrame(
            {**about, "est_counts": COUNTS[s].array + 0.25, "tpm": TPM[s].array}
        )
        kallisto[f"{s}/abundance.h5"] = pd.DataFrame({"\x89HDF\r\n": []})
        star[f"{s}/ReadsPerGene.out.tab"] = pd.DataFrame(
            {"N_unmapped": GENES, "9": COUNTS[s].array, "30": 0, "7": COUNTS[s].array}
        )
        star[f"{s}/SJ.out.tab"] = pd.DataFrame({"chr1": ["chr1"], "5": [6], "9": [9]})
    assert_holds(read_dataset(pack(tmp_path / "k.zip", kallisto)), TPM)
    assert_holds(read_dataset(pack(tmp_path / "s.zip", star)), COUNTS)
