"""Text tables as people and programs write them: right, or refused with the line that is wrong."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from anndata import AnnData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.check import check_dataset
from core.data.profile import detect_scale, profile
from core.data.read import read_dataset
from core.data.simulate import read_symbols
from core.data.text import read_text
from core.data.text_numbers import find_numbers
from core.errors import InputError
from core.processes import ROOT

SAMPLES = ["s1", "s2", "s3"]
GENES = ["GATA3", "TP63", "SOX2", "KRT5"]
X = np.array([[1.5, 2, 0.25, 7], [3, 4, 5.5, 0], [6, 0.5, 8, 9]], np.float32)
GENES_IN_ROWS = [["gene", *SAMPLES], *([g, *map(str, X[:, n])] for n, g in enumerate(GENES))]
SAMPLES_IN_ROWS = [["sample", *GENES], *([s, *map(str, X[n])] for n, s in enumerate(SAMPLES))]
BOTH = pytest.mark.parametrize("rows", [GENES_IN_ROWS, SAMPLES_IN_ROWS], ids=["genes", "samples"])


def write(path: Path, rows: list[list[str]], delimiter: str = ",") -> Path:
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def assert_is_example(data: AnnData) -> None:
    assert list(data.obs_names) == SAMPLES
    assert list(data.var_names) == GENES
    np.testing.assert_array_equal(data.X, X)


def findings(data: AnnData) -> dict[str, dict]:
    return {finding["code"]: finding for finding in data.uns["findings"]}


# --- width of header and rows ----------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize(("of_header", "of_rows"), [(0, 1), (0, 3), (1, 1), (2, 2), (1, 0)])
def test_delimiters_at_the_end_of_lines_shift_nothing(
    tmp_path: Path, rows: list, delimiter: str, of_header: int, of_rows: int
) -> None:
    header, *body = rows
    longer = [header + [""] * of_header, *(row + [""] * of_rows for row in body)]
    assert_is_example(read_dataset(write(tmp_path / "a.txt", longer, delimiter)))


@BOTH
@pytest.mark.parametrize("end", [0, 1])
def test_row_names_as_r_writes_them_with_and_without_delimiters_at_the_end(
    tmp_path: Path, rows: list, end: int
) -> None:
    header, *body = rows
    shorter = [header[1:], *(row + [""] * end for row in body)]
    assert_is_example(read_dataset(write(tmp_path / "a.csv", shorter)))


def test_a_last_column_that_is_empty_under_names_of_one_kind_is_refused(tmp_path: Path) -> None:
    rows = [SAMPLES, *([*row[:-1], ""] for row in GENES_IN_ROWS[1:])]
    with pytest.raises(InputError, match=r"line 2: the rows have 4 columns.*belongs to s1"):
        read_dataset(write(tmp_path / "a.csv", rows))


def test_a_named_column_of_ids_and_one_value_too_many_are_refused(tmp_path: Path) -> None:
    rows = [GENES_IN_ROWS[0], *([*row, "1"] for row in GENES_IN_ROWS[1:])]
    with pytest.raises(InputError, match="line 2: expected 4 columns like the header, got 5"):
        read_dataset(write(tmp_path / "a.csv", rows))


def test_a_value_below_no_name_is_refused_however_late_it_comes(tmp_path: Path) -> None:
    rows = [["gene", "s1"], *([f"G{n}", "1.5", "7" if n == 80 else ""] for n in range(100))]
    with pytest.raises(InputError, match=r"line 1: column 3 has no name, but a value in line 82"):
        read_dataset(write(tmp_path / "a.csv", rows))


def test_labels_that_end_in_commas_keep_their_columns(tmp_path: Path) -> None:
    matrix = write(tmp_path / "m.csv", GENES_IN_ROWS)
    labels = tmp_path / "l.csv"
    labels.write_text("sample,condition,sex\ns1,A,m,\ns2,B,f,\ns3,A,m,\n,,,\n")
    data = read_dataset(matrix, labels)
    assert list(data.obs["condition"]) == ["A", "B", "A"]
    assert list(data.obs["sex"]) == ["m", "f", "m"]


@pytest.mark.parametrize(
    ("header", "end"),
    [("a,b", ""), ("a,b", ","), ("sample,condition", ","), ("#a,b", ","), ("condition", "")],
)
@pytest.mark.parametrize("delimiter", [",", " "])
def test_labels_of_two_columns(tmp_path: Path, header: str, end: str, delimiter: str) -> None:
    matrix, labels = write(tmp_path / "m.csv", GENES_IN_ROWS), tmp_path / "l.txt"
    text = f"{header}\ns1,A{end}\ns2,B{end}\ns3,A{end}\n"
    labels.write_text(text.replace(",", delimiter))
    obs = read_dataset(matrix, labels).obs
    assert "ABA" in ["".join(obs[column]) for column in obs]


@BOTH
def test_rows_of_delimiters_are_nothing_and_lines_are_counted_with_them(
    tmp_path: Path, rows: list
) -> None:
    header, first, *others = rows
    nothing = [""] * len(header)
    spaced = [header, nothing, first, [], *others, nothing, ["", ""], nothing]
    assert_is_example(read_dataset(write(tmp_path / "a.csv", spaced)))
    spaced[-4] = [*spaced[-4][:-1], "many"]
    line = len(spaced) - 3
    with pytest.raises(InputError, match=rf"line {line} .*'many'"):
        read_dataset(write(tmp_path / "a.csv", spaced))


# --- above the header ------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "above",
    [
        "Table S1. Expression of four genes\n",
        "Table S1, expression, of genes\n",
        "Table S1,,,,\n\nmade by us,,,,\n",
        "# a comment, with commas, and more\n# another\n\n",
        "\n\n",
    ],
)
def test_titles_and_comments_are_no_header(tmp_path: Path, rows: list, above: str) -> None:
    path = write(tmp_path / "a.csv", rows)
    path.write_text(above.replace(",,,,", "," * (len(rows[0]) - 1)) + path.read_text())
    assert_is_example(read_dataset(path))


@BOTH
@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;;"])
def test_a_line_that_names_the_delimiter(tmp_path: Path, rows: list, line: str) -> None:
    german = [rows[0], *([row[0], *(c.replace(".", ",") for c in row[1:])] for row in rows[1:])]
    path = write(tmp_path / "a.csv", german, ";")
    path.write_text(f"{line}\n{path.read_text()}")
    assert_is_example(read_dataset(path))


@BOTH
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_header_may_begin_with_a_hash(tmp_path: Path, rows: list, delimiter: str) -> None:
    marked = [[f"#{rows[0][0]}", *rows[0][1:]], *rows[1:]]
    assert_is_example(read_dataset(write(tmp_path / "a.txt", marked, delimiter)))


def test_a_row_of_classes_below_a_header_with_a_hash(tmp_path: Path) -> None:
    rows = [["#NAME", *SAMPLES], ["#CLASS:TYPE", "A", "B", "A"], *GENES_IN_ROWS[1:]]
    data = read_dataset(write(tmp_path / "a.txt", rows, "\t"))
    assert_is_example(data)
    assert list(data.obs["CLASS:TYPE"]) == ["A", "B", "A"]


def test_comments_as_wide_as_a_table_of_labels_are_no_header(tmp_path: Path) -> None:
    matrix = write(tmp_path / "m.csv", GENES_IN_ROWS)
    rows = [["#Patient", "Sample", "Type"], ["#STRING", "STRING", "STRING"], ["#1", "1", "1"],
            ["PATIENT_ID", "SAMPLE_ID", "CANCER_TYPE"],
            *([f"p{n}", s, "AB"[n % 2]] for n, s in enumerate(SAMPLES))]  # fmt: skip
    data = read_dataset(matrix, write(tmp_path / "l.txt", rows, "\t"))
    assert list(data.obs["PATIENT_ID"]) == ["p0", "p1", "p2"]
    assert list(data.obs["CANCER_TYPE"]) == ["A", "B", "A"]


def test_a_header_that_comes_again_is_left_out(tmp_path: Path) -> None:
    rows = [*GENES_IN_ROWS[:3], GENES_IN_ROWS[0], *GENES_IN_ROWS[3:]]
    assert_is_example(read_dataset(write(tmp_path / "a.tsv", rows, "\t")))


def test_a_name_in_quotes_may_hold_a_line_break(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", GENES_IN_ROWS)
    path.write_text(path.read_text().replace("s2", '"s2\n(again)"', 1))
    data = read_dataset(path)
    assert list(data.obs_names) == ["s1", "s2 (again)", "s3"]
    np.testing.assert_array_equal(data.X, X)
    path.write_text(path.read_text().replace("8.0", "many"))
    with pytest.raises(InputError, match=r"line 5 .SOX2., column s3.*'many'"):
        read_dataset(path)


# --- without a header ------------------------------------------------------------------------


@BOTH
def test_a_matrix_without_header_is_refused(tmp_path: Path, rows: list) -> None:
    with pytest.raises(InputError, match="line 1: expected the names of the columns, got values"):
        read_dataset(write(tmp_path / "a.csv", rows[1:]))


def test_counts_without_header_are_refused_or_one_sample(tmp_path: Path) -> None:
    wide = [["ACTB", "520", "31", "77", "9"], ["TP63", "4", "5", "6", "7"]]
    with pytest.raises(InputError, match="line 1: expected the names"):
        read_dataset(write(tmp_path / "a.tsv", wide, "\t"))
    one = read_dataset(write(tmp_path / "b.tsv", [row[:2] for row in wide], "\t"))
    assert list(one.var_names) == ["ACTB", "TP63"]
    assert one.X.tolist() == [[520, 4]]


@pytest.mark.parametrize("classes", [["A", "B", "A"], ["x", "y", "z"], ["0", "1", "0"]])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_labels_without_header_lose_no_sample(
    tmp_path: Path, classes: list[str], order: list[int]
) -> None:
    matrix = write(tmp_path / "m.csv", GENES_IN_ROWS)
    rows = [[SAMPLES[n], classes[n]] for n in order]
    data = read_dataset(matrix, write(tmp_path / "l.tsv", rows, "\t"))
    assert list(data.obs_names) == SAMPLES
    assert list(data.obs["column 2"]) == classes
    assert "no line with the names" in findings(data)["no_header"]["message"]


# --- what stands in cells --------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "word", ["-", "--", "None", "n/a", "N.A.", "#DIV/0!", "ND", "NaN ", " na", "<NA>", "null", ""]
)
def test_words_for_missing_are_missing_in_few_and_in_most_cells(
    tmp_path: Path, rows: list, word: str
) -> None:
    few = [rows[0], *(list(row) for row in rows[1:])]
    few[1][2] = word
    data = read_dataset(write(tmp_path / "a.csv", few))
    assert np.isnan(data.X).sum() == 1
    assert data.shape == (3, 4)
    most = [rows[0], *([row[0], word, *row[2:]] for row in rows[1:-1]), rows[-1]]
    data = read_dataset(write(tmp_path / "b.csv", most))
    assert np.isnan(data.X).sum() == len(rows) - 2
    assert data.shape == (3, 4)


def test_nd_remains_a_class(tmp_path: Path) -> None:
    rows = [["sample", "group", *GENES], *([r[0], "ND" if n else "T2D", *r[1:]]
            for n, r in enumerate(SAMPLES_IN_ROWS[1:]))]  # fmt: skip
    assert list(read_dataset(write(tmp_path / "a.csv", rows)).obs["group"]) == ["T2D", "ND", "ND"]


def test_another_word_in_most_cells_of_a_gene_is_refused(tmp_path: Path) -> None:
    rows = [["sample", "GATA3", "TP63"], *([f"s{n}", "low", "1.5"] for n in range(5)),
            *([f"t{n}", f"{n}.5", "2"] for n in range(4))]  # fmt: skip
    with pytest.raises(InputError, match=r"line 2 .s0., column GATA3: .*'low'"):
        read_dataset(write(tmp_path / "a.csv", rows))


COUNTS = [[47239, 12, 1003], [905, 3298, 10864], [0, 76, 1234567], [8633, 431, 88]] * 3


def grouped(mark: str) -> list[list[str]]:
    names = [f"G{n}" for n in range(len(COUNTS))]
    cells = [[f"{value:,}".replace(",", mark) for value in row] for row in COUNTS]
    return [["gene", *SAMPLES], *([name, *row] for name, row in zip(names, cells, strict=True))]


@pytest.mark.parametrize("mark", [".", ",", "'", " ", "\u00a0", "\u202f", "\u2019"])
@pytest.mark.parametrize("delimiter", ["\t", ";", ","])
def test_thousands_are_understood(tmp_path: Path, mark: str, delimiter: str) -> None:
    rows = [[f'"{cell}"' if delimiter in cell else cell for cell in row] for row in grouped(mark)]
    data = read_dataset(write(tmp_path / "a.txt", rows, delimiter))
    np.testing.assert_array_equal(data.X, np.array(COUNTS, np.float32).T)
    assert data.uns["scale"] == "counts"
    assert any("47239" in note for note in data.uns["notes"])


def test_thousands_that_come_late_are_understood_as_well(tmp_path: Path) -> None:
    small = [[f"A{n}", "1", "2", "3"] for n in range(200)]
    header, *body = grouped(".")
    data = read_dataset(write(tmp_path / "a.csv", [header, *small, *body * 4][:240], ";"))
    assert data["s1", "G0"].X[0, 0] % 47239 == 0


@pytest.mark.parametrize(
    ("cells", "delimiter", "expected"),
    [
        (["9.0106", "0.5"], ";", (".", "")),
        (["9,0106", "0,5"], ";", (",", "")),
        (["1.234,5", "12,25"], ";", (",", ".")),
        (["1,234.5", "12.25"], "\t", (".", ",")),
        (["9.125", "8.375"] * 20, ";", (".", "")),
        (["9,125", "8,375"] * 20, ";", (",", "")),
        (["1.125", "2", "3"], ",", (".", "")),
        (["12", "1234"], ";", (".", "")),
        (["1.5", "4,25"], ";", (".", "")),
        (["1.234", "5", "2.345"], ";", None),
        (["1,234", "5", "2,345"], "\t", None),
        (["123.456", "871.234"] * 20, ";", None),
    ],
)
def test_points_and_commas(cells: list[str], delimiter: str, expected: tuple | None) -> None:
    found = find_numbers([["gene", *cells]], delimiter)
    assert (None if found.unclear else (found.decimal, found.thousands)) == expected


def test_a_number_that_can_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    rows = [["gene", "s1", "s2"], ["A", "1.234", "5"], ["B", "2.345", "7"]]
    with pytest.raises(InputError, match=r"line 2, column s1: '1\.234' can be read as 1234 or"):
        read_dataset(write(tmp_path / "a.csv", rows, ";"))


# --- orientation -----------------------------------------------------------------------------


def table(first: list[str], header: list[str], corner: str) -> list[list[str]]:
    """Values that are alike in a row: genes in rows, as far as values say."""
    return [
        [corner, *header],
        *(
            [name, *(f"{n % 7 + (m + 1) / 50:.2f}" for m in range(len(header)))]
            for n, name in enumerate(first)
        ),
    ]


PROBES = [f"{1000 + n}{'_s' if n % 3 else ''}_at" for n in range(30)]
BARCODES = [f"TCGA-AB-{n:04d}-01" for n in range(40)]
NUMBERED = [f"S{n:02d}" for n in range(40)]


@pytest.mark.parametrize("genes", [PROBES, read_symbols()[:30], [f"MIMAT{n:07d}" for n in range(9)],
                                   [f"cg{n:08d}" for n in range(30)]])  # fmt: skip
@pytest.mark.parametrize("samples", [NUMBERED, BARCODES])
@pytest.mark.parametrize("corner", ["sample", "GENE_SYMBOL", "", "xena_sample"])
def test_names_say_more_than_the_corner(
    tmp_path: Path, genes: list[str], samples: list[str], corner: str
) -> None:
    rows = table(genes, samples, corner)
    data = read_dataset(write(tmp_path / "a.tsv", rows, "\t"))
    assert list(data.obs_names) == samples
    turned = list(map(list, zip(*rows, strict=True)))
    again = read_dataset(write(tmp_path / "b.tsv", turned, "\t"))
    assert list(again.obs_names) == samples
    np.testing.assert_array_equal(again.X, data.X)
    assert "orientation" not in findings(again)


def test_barcodes_alone_tell_the_samples(tmp_path: Path) -> None:
    data = read_dataset(write(tmp_path / "a.csv", table([f"{n}" for n in range(70, 90)],
                                                        BARCODES, "sample")))  # fmt: skip
    assert list(data.obs_names) == BARCODES


def test_where_nothing_tells_the_other_way_is_offered(tmp_path: Path) -> None:
    rows = [["", "alpha", "beta"], ["one", "1.5", "2"], ["two", "3", "4"], ["three", "5", "6.5"],
            ["four", "7", "8"]]  # fmt: skip
    path = write(tmp_path / "a.csv", rows)
    data = read_dataset(path)
    found = findings(data)["orientation"]
    assert list(data.obs_names) == ["alpha", "beta"]
    assert "alpha, beta" in found["message"]
    again = read_dataset(path, **found["repair"]["changes"])
    assert list(again.obs_names) == ["one", "two", "three", "four"]
    assert "orientation" not in findings(again)


# --- scale -----------------------------------------------------------------------------------


def reads(rng: np.random.Generator) -> np.ndarray:
    """Counts of 20 samples whose depth differs 8-fold, (20, 500)."""
    return rng.poisson(rng.gamma(0.3, 400, 500) * np.geomspace(0.5, 4, 20)[:, None])


def test_estimated_counts_are_counts() -> None:
    rng = np.random.default_rng(0)
    counts = reads(rng)
    shared = np.where(rng.random(counts.shape) < 0.6, rng.random(counts.shape).round(2), 0)
    estimated = (counts + shared * (counts > 0)).astype(np.float32)
    assert detect_scale(estimated) == "counts"
    assert "whole" in profile(estimated).evidence


@pytest.mark.parametrize("decimals", [1, 2, 4])
def test_tpm_are_linear_however_they_are_rounded(decimals: int) -> None:
    rng = np.random.default_rng(0)
    x = reads(rng) * rng.uniform(0.3, 3, 500)
    tpm = x / x.sum(axis=1, keepdims=True) * 1e6
    found = profile(tpm.round(decimals).astype(np.float32))
    assert (found.scale, found.doubt) == ("linear", "")
    digits = [[float(f"{value:.3g}") for value in row] for row in tpm]
    assert detect_scale(np.array(digits, np.float32)) == "linear"


def test_linear_values_of_unequal_depth_are_asked_about() -> None:
    rng = np.random.default_rng(0)
    x = (reads(rng) * rng.uniform(0.8, 1.2, 500)).astype(np.float32)
    data = AnnData(x, uns={"scale": detect_scale(x), "notes": [], "findings": []})
    found = next(f for f in check_dataset(data).findings if f.code == "scale")
    assert data.uns["scale"] == "linear"
    assert found.repair.changes == {"preparation": {"scale": "counts"}}


# --- all of it at once -----------------------------------------------------------------------


@st.composite
def written(draw: st.DrawFn) -> tuple[bytes, list[str], list[str], np.ndarray]:
    """A table in some form, with its samples, its genes and its values."""
    genes = draw(st.lists(st.sampled_from(read_symbols()), min_size=3, max_size=8, unique=True))
    samples = [f"S{n:02d}" for n in range(draw(st.integers(3, 8)))]
    whole = st.lists(st.integers(0, 80_000), min_size=len(genes), max_size=len(genes))
    x = np.array([draw(whole) for _ in samples], np.float32) / 4
    delimiter = draw(st.sampled_from([",", "\t", ";"]))
    mark = draw(st.sampled_from([".", ","])) if delimiter == ";" else "."
    cells = [[f"{value:.10g}".replace(".", mark) for value in row] for row in x]
    turned = draw(st.booleans())
    names, header = (genes, samples) if turned else (samples, genes)
    values = list(zip(*cells, strict=True)) if turned else cells
    head = ["gene" if turned else "sample", *header]
    rows = [[name, *row] for name, row in zip(names, values, strict=True)]
    form = draw(st.sampled_from(["plain", "rows", "both", "header", "r"]))
    extra = [""] * draw(st.integers(1, 2))
    if form in ("rows", "both"):
        rows = [row + extra for row in rows]
    if form in ("header", "both"):
        head = head + extra
    if form == "r":
        head = head[1:]
    elif draw(st.booleans()):
        head[0] = f"#{head[0]}"
    for _ in range(draw(st.integers(0, 2))):
        rows.insert(
            draw(st.integers(0, len(rows))), draw(st.sampled_from([[], [""] * len(rows[0])]))
        )
    if draw(st.booleans()):
        rows.insert(draw(st.integers(0, len(rows))), head)
    above = draw(st.sampled_from(["", "A title\n", "# a comment\n", f"sep={delimiter}\n", "\n"]))
    text = above + "".join(delimiter.join(row) + "\n" for row in [head, *rows])
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    start = draw(st.sampled_from(["", "\ufeff"]))
    return (start + text.replace("\n", end)).encode(), samples, genes, x


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(example=written())
def test_a_table_in_any_form_is_read_equal(tmp_path: Path, example: tuple) -> None:
    content, samples, genes, x = example
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    data = read_dataset(path)
    assert list(data.obs_names) == samples
    assert list(data.var_names) == genes
    np.testing.assert_array_equal(data.X, x)


def test_a_table_of_many_columns_takes_little_memory(tmp_path: Path) -> None:
    """As samples in rows have it; what is told of missing cells was kept once a column, in 4 GB."""
    path, genes = tmp_path / "wide.csv", 30_000
    rows = [["s1", *["1.5"] * genes], ["s2", "NA", *["2.5"] * (genes - 1)]]
    write(path, [["sample", *[f"G{n}" for n in range(genes)]], *rows], ",")
    code = (
        "import resource, sys; from pathlib import Path; from core.data.text import read_text\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30,) * 2)\n"
        "print(float(read_text(Path(sys.argv[1])).numbers[0][:, 1:].sum()))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert answer.stdout == f"{4.0 * (genes - 1)}\n", answer.stderr


def test_a_table_that_does_not_fit_says_how_much_memory_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 33554432 failed")

    path = write(tmp_path / "a.csv", GENES_IN_ROWS)
    monkeypatch.setattr(pyarrow.csv, "read_csv", fail)
    with pytest.raises(InputError, match=r"a\.csv needs about 0\.5 GB of memory"):
        read_text(path)
