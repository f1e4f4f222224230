"""What each column and row of a file is taken for, and how a user says it otherwise."""

from datetime import date
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from anndata import AnnData

from core.data.check import check_dataset
from core.data.choices import Choices
from core.data.cohort import Cohort
from core.data.labels import clean_labels, find_alike
from core.data.notes import Notes
from core.data.read import read_dataset
from core.data.roles import describe_genes, describes_samples
from core.data.simulate import read_symbols
from core.data.store import add_dataset, get_record
from core.errors import InputError

SAMPLES, GENES = 20, 30
CLASSES = ["LUAD"] * 10 + ["LUSC"] * 10


def expression(kind: str = "log2") -> pd.DataFrame:
    """Samples in rows: every sample is the same profile with a little noise."""
    rng = np.random.default_rng(0)
    profile = rng.uniform(1, 12, GENES)
    x = np.clip(profile + rng.normal(0, 0.5, (SAMPLES, GENES)), 0.01, None)
    values = x.round(3) if kind == "log2" else (2**x).round()
    names = [f"S{n:02}" for n in range(SAMPLES)]
    return pd.DataFrame(values, index=names, columns=list(read_symbols())[:GENES])


def samples_in_rows(tmp_path: Path, kind: str = "log2", **columns: list) -> Path:
    """A table of samples, with more columns: those called `first_…` stand before the ids."""
    table = expression(kind).rename_axis("sample").reset_index()
    table.insert(1, "cancer_type", CLASSES)
    for name, values in columns.items():
        place = 0 if name.startswith("first_") else len(table.columns)
        table.insert(place, name.removeprefix("first_"), values)
    path = tmp_path / "matrix.csv"
    table.to_csv(path, index=False)
    return path


def genes_in_rows(tmp_path: Path, kind: str = "counts", **columns: list) -> Path:
    """The same on its side, with more columns before the samples."""
    table = expression(kind).T.rename_axis("gene").reset_index()
    for place, (name, values) in enumerate(columns.items()):
        table.insert(1 + place, name, values)
    path = tmp_path / "matrix.tsv"
    table.to_csv(path, index=False, sep="\t")
    return path


def findings(data: AnnData) -> dict[str, dict]:
    return {finding["code"]: finding for finding in data.uns["findings"]}


def role(data: AnnData, column: str) -> str:
    return {found["name"]: found["role"] for found in data.uns["columns"]}[column]


# --- samples in rows: not every number is a gene -----------------------------------------------


@pytest.mark.parametrize("name", ["X", "Unnamed: 0", "Unnamed: 0.1", "index", ""])
def test_the_numbers_of_the_rows_are_no_gene(tmp_path: Path, name: str) -> None:
    data = read_dataset(samples_in_rows(tmp_path, **{f"first_{name}": list(range(SAMPLES))}))
    assert data.shape == (SAMPLES, GENES)
    assert list(data.obs_names[:2]) == ["S00", "S01"]
    assert list(data.obs.columns) == ["cancer_type"]
    assert role(data, name) == "ignore"


def test_row_numbers_of_a_frame_that_was_shuffled_and_cut_are_known_by_their_name(
    tmp_path: Path,
) -> None:
    numbers = np.random.default_rng(1).permutation(300)[:SAMPLES].tolist()
    data = read_dataset(samples_in_rows(tmp_path, **{"Unnamed: 0": numbers}))
    assert role(data, "Unnamed: 0") == "ignore"


def test_numbers_of_rows_under_another_name_are_set_aside_and_asked_about(tmp_path: Path) -> None:
    numbers = np.random.default_rng(1).permutation(SAMPLES).tolist()
    path = samples_in_rows(tmp_path, "counts", order=numbers)
    data = read_dataset(path)
    assert data.n_vars == GENES
    repair = findings(data)["not_a_gene"]["repair"]
    again = read_dataset(path, **repair["changes"])
    assert again[:, "order"].X.ravel().tolist() == numbers
    assert not findings(again)


@pytest.mark.parametrize("kind", ["log2", "counts"])
@pytest.mark.parametrize(
    "name", ["age_at_diagnosis", "OS.time", "OS", "DaysToDeath", "tumor_purity", "label_encoded"]
)
def test_what_is_known_by_its_name_to_describe_samples_is_no_gene(
    tmp_path: Path, name: str, kind: str
) -> None:
    values = [0.25 + n if name == "tumor_purity" else n % 7 * 100 for n in range(SAMPLES)]
    data = read_dataset(samples_in_rows(tmp_path, kind, **{name: values}))
    assert data.n_vars == GENES
    assert data.uns["scale"] == kind  # days would have made log2 values linear ones
    assert list(data.obs[name].astype(float)) == values


def test_a_column_of_0_and_1_called_target_is_the_class(tmp_path: Path) -> None:
    table = expression().rename_axis("id").reset_index()
    table["Target"] = [0] * 10 + [1] * 10
    table.to_csv(tmp_path / "a.csv", index=False)
    data = read_dataset(tmp_path / "a.csv")
    assert data.n_vars == GENES
    assert role(data, "Target") == "class"
    assert set(data.obs["Target"]) == {"0", "1"}


def test_a_code_of_the_class_under_any_name_is_asked_about(tmp_path: Path) -> None:
    path = samples_in_rows(tmp_path, "counts", k9=[3] * 10 + [8] * 10)
    data = read_dataset(path)
    assert data.n_vars == GENES
    assert "one number for each cancer_type" in findings(data)["not_a_gene"]["message"]


@pytest.mark.parametrize(
    ("kind", "values", "why"),
    [
        ("log2", [n % 3 for n in range(SAMPLES)], "whole numbers"),
        ("log2", [n * 40.5 for n in range(SAMPLES)], "reaches 769.5"),
        ("counts", [0.1 + n / 100 for n in range(SAMPLES)], "fractions"),
    ],
)
def test_numbers_unlike_all_others_are_set_aside_and_asked_about(
    tmp_path: Path, kind: str, values: list, why: str
) -> None:
    path = samples_in_rows(tmp_path, kind, thing=values)
    data = read_dataset(path)
    assert data.n_vars == GENES
    assert data.uns["scale"] == kind
    finding = findings(data)["not_a_gene"]
    assert why in finding["message"]
    assert read_dataset(path, **finding["repair"]["changes"]).n_vars == GENES + 1


def test_a_gene_with_odd_values_stays_a_gene_and_is_asked_about(tmp_path: Path) -> None:
    gene = list(read_symbols())[GENES]
    path = samples_in_rows(tmp_path, **{gene: [n % 2 for n in range(SAMPLES)]})
    data = read_dataset(path)
    assert gene in data.var_names
    finding = findings(data)["odd_gene"]
    again = read_dataset(path, **finding["repair"]["changes"])
    assert gene not in again.var_names
    assert set(again.obs[gene]) == {"0", "1"}


def test_rare_genes_of_a_family_of_names_stay_genes(tmp_path: Path) -> None:
    rare = {f"NOVEL{n}": [float(n % 2), *[0.0] * (SAMPLES - 1)] for n in range(8)}
    data = read_dataset(samples_in_rows(tmp_path, **rare))
    assert data.n_vars == GENES + 8
    assert not findings(data)


def test_no_gene_symbol_looks_like_a_label_but_the_one_that_is_also_a_survival() -> None:
    assert [name for name in read_symbols() if describes_samples(name)] == ["EFS"]
    assert not describe_genes(read_symbols())
    assert not any(map(describes_samples, ["RIN1", "AGER", "BMI1", "TIMP1", "STAT1", "DEK"]))


def test_ids_stand_in_the_column_of_words_that_the_labels_know(tmp_path: Path) -> None:
    columns = {
        "first_SequencingID": [f"CDS-{n}" for n in range(SAMPLES)],
        "first_": list(range(SAMPLES)),
    }
    path = samples_in_rows(tmp_path, **columns)
    table = pd.read_csv(path).drop(columns="cancer_type").rename(columns={"sample": "ModelID"})
    table = table.rename(columns={"Unnamed: 0": ""})
    table.insert(3, "IsDefaultEntry", "Yes")
    table.to_csv(path, index=False)
    labels = tmp_path / "model.csv"
    pd.DataFrame({"ModelID": expression().index, "type": CLASSES}).to_csv(labels, index=False)
    data = read_dataset(path, labels)
    assert data.shape == (SAMPLES, GENES)
    assert list(data.obs_names) == list(expression().index)
    assert data.obs["type"].tolist() == CLASSES
    assert role(data, "") == "ignore"


# --- genes in rows: not every numeric column is a sample ---------------------------------------

SOME = [round(0.3 + n / 100, 2) for n in range(GENES)]
ABOUT_GENES = {
    "ENTREZID": [1000 + 37 * n for n in range(GENES)],
    "NCBI gene ID": [1000 + 37 * n for n in range(GENES)],
    "% GC": SOME,
    "baseMean": SOME,
    "log2FoldChange": SOME,
    "logFC.LUSCvsLUAD": SOME,
    "lfcSE": SOME,
    "adj.P.Val": SOME,
    "Gene start (bp)": [n * 10**6 for n in range(GENES)],
    "GeneLength": [n * 100 for n in range(GENES)],
}


@pytest.mark.parametrize("name", ABOUT_GENES)
def test_what_programs_tell_about_genes_is_no_sample(tmp_path: Path, name: str) -> None:
    data = read_dataset(genes_in_rows(tmp_path, **{name: ABOUT_GENES[name]}))
    assert list(data.obs_names) == list(expression().index)
    assert role(data, name) == "ignore"
    path = tmp_path / "matrix.tsv"
    assert read_dataset(path, roles={name: "sample"}).n_obs == SAMPLES + 1


def test_t_and_b_are_tests_only_beside_others_of_a_test() -> None:
    assert not describe_genes(["A", "B", "t"])
    assert describe_genes(["logFC", "t", "B", "A"]) == {"logFC", "t", "B"}


def test_a_name_that_stands_in_the_labels_is_a_sample(tmp_path: Path) -> None:
    path = genes_in_rows(tmp_path)
    path.write_text(path.read_text().replace("S00", "start"))
    labels = tmp_path / "labels.csv"
    names = ["start", *expression().index[1:]]
    pd.DataFrame({"sample": names, "type": CLASSES}).to_csv(labels, index=False)
    assert read_dataset(path, labels).n_obs == SAMPLES
    assert read_dataset(path).n_obs == SAMPLES - 1


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("counts", SOME),
        ("log2", [7 * n % 29 for n in range(GENES)]),
        ("counts", [1000 + 977 * n % 5003 for n in range(GENES)]),
        ("counts", list(range(GENES))),
    ],
    ids=["fractions", "whole", "unlike", "row numbers"],
)
def test_a_column_of_numbers_unlike_all_samples_is_left_out_and_asked_about(
    tmp_path: Path, kind: str, values: list
) -> None:
    path = genes_in_rows(tmp_path, kind, thing=values)
    data = read_dataset(path)
    assert data.n_obs == SAMPLES
    repair = findings(data)["not_a_sample"]["repair"]
    assert repair["changes"] == {"roles": {"thing": "sample"}}
    assert read_dataset(path, **repair["changes"]).n_obs == SAMPLES + 1


def test_rows_of_numbers_about_samples_are_no_genes(tmp_path: Path) -> None:
    path = genes_in_rows(tmp_path, "log2")
    lines = path.read_text().splitlines()
    lines.insert(1, "\t".join(["OS.time", *(str(100 * n) for n in range(SAMPLES))]))
    lines.append("\t".join(["tumor_purity", *("0.5" for n in range(SAMPLES))]))
    path.write_text("\n".join(lines))
    data = read_dataset(path)
    assert data.n_vars == GENES
    assert data.uns["scale"] == "log2"
    assert data.obs["OS.time"].tolist() == [str(100 * n) for n in range(SAMPLES)]
    assert role(data, "tumor_purity") == "label"


def test_gene_names_stand_in_the_column_of_words(tmp_path: Path) -> None:
    table = expression("counts").T.rename_axis("SYMBOL").reset_index()
    table.insert(0, "ENTREZID", range(1000, 1000 + GENES))
    table.to_csv(tmp_path / "a.csv")  # the numbers of the rows first, without a name
    data = read_dataset(tmp_path / "a.csv")
    assert data.shape == (SAMPLES, GENES)
    assert data.var_names[0] == table["SYMBOL"][0]


# --- nothing is lost in a note -----------------------------------------------------------------


@pytest.mark.parametrize("word", ["-", "ND", "None", "#DIV/0!", "n/a", "<NA>", "NaN "])
@pytest.mark.parametrize("some", [3, 18])
def test_words_among_numbers_are_missing_values_of_a_gene_that_stays(
    tmp_path: Path, word: str, some: int
) -> None:
    path = samples_in_rows(tmp_path)
    table = pd.read_csv(path, dtype=str)
    gene = table.columns[4]
    table.loc[: some - 1, gene] = word
    table.to_csv(path, index=False)
    data = read_dataset(path)
    assert data.n_vars == GENES
    assert np.isnan(data[:, gene].X).sum() == some
    assert ("mostly_missing_genes" in findings(data)) == (some > SAMPLES / 2)


def test_a_sample_of_dashes_stays_is_named_and_can_go(tmp_path: Path) -> None:
    path = genes_in_rows(tmp_path, "log2")
    table = pd.read_csv(path, sep="\t", dtype=str)
    table.loc[: GENES - 3, "S03"] = "ND"
    table.to_csv(path, sep="\t", index=False)
    data = read_dataset(path)
    assert data.n_obs == SAMPLES
    finding = findings(data)["mostly_missing_samples"]
    assert "S03" in finding["message"]
    assert "S03" not in read_dataset(path, **finding["repair"]["changes"]).obs_names


def test_a_sample_with_other_words_is_told(tmp_path: Path) -> None:
    path = genes_in_rows(tmp_path, "log2")
    table = pd.read_csv(path, sep="\t", dtype=str)
    table.loc[: GENES - 10, "S03"] = [f"low{n % 5}" for n in range(GENES - 9)]
    table.to_csv(path, sep="\t", index=False)
    finding = findings(read_dataset(path))["words_among_numbers"]
    assert "S03" in finding["message"]
    assert "'low0'" in finding["message"]
    with pytest.raises(InputError, match=r"line 2 .*column S03: expected a number, got 'low0'"):
        read_dataset(path, roles={"S03": "sample"})


def test_the_second_of_two_equal_columns_of_labels_is_kept_and_told(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    rows = [f"S{n:02},{CLASSES[n]},{n % 2}" for n in range(SAMPLES)]
    labels.write_text("\n".join(["sample,type,type", *rows]))
    data = read_dataset(genes_in_rows(tmp_path), labels)
    assert data.obs["type"].tolist() == CLASSES
    assert data.obs["type (2)"].tolist() == [str(n % 2) for n in range(SAMPLES)]
    assert "repeated_columns" in findings(data)


def test_a_kept_dataset_tells_what_reading_found_but_can_t_read_again(tmp_path: Path) -> None:
    record = add_dataset(read_dataset(genes_in_rows(tmp_path, thing=SOME)), "a")
    kept = get_record(record.id).findings
    assert [finding.code for finding in kept] == ["not_a_sample"]
    assert kept[0].repair is None


# --- what a user says --------------------------------------------------------------------------


def test_roles_hold_whatever_names_and_values_say(tmp_path: Path) -> None:
    path = samples_in_rows(tmp_path, other=["a", "b"] * 10, stage=["I", "II"] * 10)
    gene = next(iter(read_symbols()))
    data = read_dataset(
        path, roles={"cancer_type": "label", "stage": "class", "other": "ignore", gene: "label"}
    )
    assert role(data, "stage") == "class"
    assert role(data, "cancer_type") == "label"
    assert "other" not in data.obs
    assert role(data, "other") == "ignore"
    assert gene in data.obs
    assert gene not in data.var_names


def test_a_column_of_ids_can_be_said(tmp_path: Path) -> None:
    path = samples_in_rows(tmp_path, name=[f"N{n}" for n in range(SAMPLES)])
    assert read_dataset(path, roles={"name": "id"}).obs_names[3] == "N3"


def test_long_numbers_keep_every_digit_when_their_column_is_said_to_be_a_label(
    tmp_path: Path,
) -> None:
    dates = [20190301 + n for n in range(SAMPLES)]
    path = samples_in_rows(tmp_path, collected_date=dates)
    finding = findings(read_dataset(path))["long_numbers"]
    data = read_dataset(path, **finding["repair"]["changes"])
    assert data.obs["collected_date"].tolist() == [str(number) for number in dates]


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"cancer_typ": "class"}, "no label column 'cancer_typ'.*'cancer_type'"),
        ({"cancer_type": "genes"}, "can't be 'genes'. A column is one of: id, class"),
        ({"cancer_type": "gene"}, "line 2 .*expected a number, got 'LUAD'"),
        ({"cancer_type": "sample"}, "can't be 'sample': the samples are in rows"),
    ],
)
def test_a_role_that_can_t_be_is_refused(tmp_path: Path, roles: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_dataset(samples_in_rows(tmp_path), roles=roles)


# --- what is written about samples -------------------------------------------------------------


def labelled(tmp_path: Path, values: list[str]) -> AnnData:
    labels = tmp_path / "labels.csv"
    table = pd.DataFrame({"sample": expression().index, "condition": values})
    table.to_csv(labels, index=False)
    return read_dataset(genes_in_rows(tmp_path), labels)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1", "1.0", "0", "0.0"], ["1", "1", "0", "0"]),
        (["1.0", "1.0", "2.0", ""], ["1", "1", "2", ""]),
        (["01", "01", "1", "2.0"], ["01", "01", "1", "2.0"]),
        (["0.5", "1.0", "1.0", "2.0"], ["0.5", "1.0", "1.0", "2.0"]),
    ],
)
def test_whole_numbers_are_written_in_one_way(
    tmp_path: Path, written: list[str], read: list[str]
) -> None:
    assert labelled(tmp_path, written * 5).obs["condition"].tolist() == read * 5


@pytest.mark.parametrize(
    "word", ["None", "n/a", "'--", "--", "[Not Available]", "[Unknown]", "not reported", "-"]
)
def test_words_for_what_is_not_known_are_no_class(tmp_path: Path, word: str) -> None:
    data = labelled(tmp_path, [word, "Tumor", "Normal", "Normal"] * 5)
    assert set(data.obs["condition"]) == {"", "Tumor", "Normal"}
    assert f"5 samples have no condition: {word}" in findings(data)["missing_words"]["message"]


def test_minus_is_a_class_beside_plus(tmp_path: Path) -> None:
    assert set(labelled(tmp_path, ["+", "-"] * 10).obs["condition"]) == {"+", "-"}


SPELLINGS = ["Tumor", "Tumor", "tumor", "TUMOR", "Tum\u043er", "Tu\u200bmor", "Normal", "Normal"]


def test_other_spellings_of_a_class_are_found() -> None:
    alike = find_alike([*SPELLINGS, "Stage I", "stage_I", "stage-I", "Grade 1", "Grade 2"])
    assert alike == {
        "tumor": "Tumor", "TUMOR": "Tumor", "Tum\u043er": "Tumor", "Tu\u200bmor": "Tumor",
        "stage_I": "Stage I", "stage-I": "Stage I",
    }  # fmt: skip
    assert find_alike(["\u00e9t\u00e9", "e\u0301te\u0301"]).keys() < {
        "\u00e9t\u00e9",
        "e\u0301te\u0301",
    }
    assert not find_alike(["A1", "A2", "A+", "A-", "1.5", "15"])


def test_classes_that_look_alike_are_asked_about_and_counted_as_one(tmp_path: Path) -> None:
    data = labelled(tmp_path, [*SPELLINGS, "Normal", "Tumor"] * 2)
    card = check_dataset(data, "condition")
    finding = next(finding for finding in card.findings if finding.code == "alike_classes")
    assert "U+043E" in finding.message
    choices = Choices(cohort=Cohort(label="condition")).changed(**finding.repair.changes)
    again = check_dataset(choices.cohort.select(data), "condition")
    assert again.classes == {"Normal": 6, "Tumor": 14}
    assert "alike_classes" not in [finding.code for finding in again.findings]
    assert choices.changed(label="other").cohort.merge == {}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([f"P{n}" for n in range(SAMPLES)], "label_ids"),
        ([f"P{n // 2}" for n in range(SAMPLES)], "label_ids"),
        ([f"{n / 7:.2f}" for n in range(SAMPLES)], "label_numbers"),
    ],
)
def test_a_class_that_is_an_id_or_measured_is_said_to_look_like_one(
    tmp_path: Path, values: list[str], code: str
) -> None:
    card = check_dataset(labelled(tmp_path, values), "condition")
    codes = [finding.code for finding in card.findings]
    assert code in codes
    assert "small_class" not in codes  # no wall of names


def test_dates_in_a_workbook_of_labels_keep_their_year(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["sample", "type", "surgery"])
    for n, name in enumerate(expression().index):
        book.active.append([name, CLASSES[n], date(2019 + n % 2, 3, 1)])
    book.save(tmp_path / "labels.xlsx")
    data = read_dataset(genes_in_rows(tmp_path), tmp_path / "labels.xlsx")
    assert data.obs["surgery"].tolist() == ["2019-03-01", "2020-03-01"] * 10


def test_cleaning_tells_what_it_emptied_in_other_columns() -> None:
    obs = pd.DataFrame({"a": ["x", "None"], "b": ["1.0", "unknown"]}, index=["s", "t"])
    data, notes = AnnData(np.zeros((2, 1)), obs=obs), Notes()
    clean_labels(data, None, notes)
    assert data.obs.to_numpy().tolist() == [["x", "1"], ["", ""]]
    assert "None, unknown (in a, b)" in notes.said[0]
