"""Layouts by knowledge: what files are taken, and where genes then stand."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError
from core.home import home
from core.images.layout import GeneLayout
from core.images.layouts import LayoutSpec, fit_layout
from core.images.references import (
    Reference,
    add_reference,
    list_references,
    read_gene_sets,
    read_groups,
    read_positions,
    reference_file,
)
from tests.test_images_layouts import write

POSITIONS = """symbol\tensgene\tchr\tstart
A\tE1\t2\t50
B\tE2\tchrX\t7
C\tE3\t2\t40
D\tE4\tHG1_PATCH\t1
A\tE5\t1\t9
D\tE6\t10\t3
"""


def lay_out(names: list[str], name: str, reference: str, side: int | None = None) -> GeneLayout:
    x = np.random.default_rng(0).random((4, len(names)), dtype=np.float32)
    return fit_layout(x, names, LayoutSpec(name=name, reference=reference, side=side), 60, 0)


def test_a_reference_is_named_by_its_unpacked_content(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.tsv", tmp_path / "b.tsv.gz"
    plain.write_text(POSITIONS)
    packed.write_bytes(gzip.compress(POSITIONS.encode()))
    reference = add_reference(plain)
    assert add_reference(packed) == reference
    assert reference_file(reference).read_text() == POSITIONS
    note = reference_file(reference).with_suffix(".json")
    assert set((home() / "references").iterdir()) == {reference_file(reference), note}


def test_kept_files_are_listed_by_kind_with_the_names_that_they_came_with(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_text(POSITIONS)
    positions = add_reference(upload, "positions.tsv")
    sets = write("a.gmt", "one\t\tB\tA\n")
    assert list_references("positions") == [Reference(positions, "positions.tsv", "positions")]
    assert list_references("sets") == [Reference(sets, "a.gmt", "sets")]
    assert read_groups(list_references("sets")[0]) == {"one": ["B", "A"]}
    chromosomes = read_groups(list_references("positions")[0])
    assert list(chromosomes) == ["1", "2", "10", "X"]
    assert chromosomes["2"] == ["A", "C", "E1", "E3"]
    upload.write_text("neither")
    with pytest.raises(InputError, match=r"^mine\.txt holds no gene positions"):
        add_reference(upload, "mine.txt")


def test_positions_take_the_first_line_on_a_whole_chromosome() -> None:
    found = read_positions(reference_file(write("a.tsv", POSITIONS)))
    assert found["A"] == ("2", 50)
    assert found["E5"] == ("1", 9)
    assert found["B"] == ("X", 7)
    assert found["D"] == ("10", 3)
    assert "E4" not in found


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a text file"),
        (b"\x89PNG\r\n\x00\x1a", "not a text file"),
        (b"gene,start\nA,1\n", "expected a table .* first line is 'gene,start'"),
        (b"gene,chr,start\nA,1,one\n", "line 2: expected a whole number as start, got 'one'"),
        (b"gene,chr,start\nA,scaffold_7,1\n", "no gene on a whole chromosome"),
        (b"set one\tdescription\n", "one line per set, .* line 1 is"),
        (b"s\t\tA\ns\t\tB\n", "line 2: a second set is named 's'"),
        (b"\x1f\x8bbroken", "can't be read"),
    ],
)
def test_other_files_are_refused_in_clear_words(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        add_reference(path)
    assert not (home() / "references").exists()


def test_a_layout_names_the_file_that_it_wants() -> None:
    sets = write("a.gmt", "s\t\tA\tB\n")
    with pytest.raises(InputError, match="chromosome needs a file of gene positions"):
        fit_layout(np.zeros((3, 2)), ["A", "B"], LayoutSpec(name="chromosome"), 32, 0)
    with pytest.raises(InputError, match="holds no gene positions"):
        lay_out(["A", "B"], "chromosome", sets)
    with pytest.raises(InputError, match="is not on this computer"):
        lay_out(["A", "B"], "treemap", "0" * 64)
    with pytest.raises(InputError, match="random needs no reference file"):
        lay_out(["A", "B"], "random", sets)


@pytest.mark.parametrize(
    ("name", "text"), [("chromosome", POSITIONS), ("treemap", "s\tabout\tA\tB\n")]
)
def test_genes_with_other_names_than_the_files_are_refused(name: str, text: str) -> None:
    with pytest.raises(InputError, match=r"knows none of the 2 genes: .* 'X1', .* file like 'A'"):
        lay_out(["X1", "X2"], name, write("a.txt", text))


def test_chromosomes_begin_rows_and_unknown_genes_come_last() -> None:
    reference = write("a.tsv", POSITIONS)
    layout = lay_out(["Z", "B", "E5", "A", "D", "C", "Y"], "chromosome", reference)
    image = np.full(layout.shape, "", dtype=object)
    image[layout.row, layout.col] = layout.genes
    # 5 rows: chromosome 1, 2, 10, X and the genes without a position
    assert image.tolist() == [
        ["E5", "", "", "", ""],
        ["C", "A", "", "", ""],
        ["D", "", "", "", ""],
        ["B", "", "", "", ""],
        ["Y", "Z", "", "", ""],
    ]
    assert layout.group.tolist() == ["", "X", "1", "2", "10", "2", ""]


def test_chromosomes_follow_one_another_where_there_are_no_rows_to_spare() -> None:
    layout = lay_out(["E5", "B", "A", "D", "C"], "chromosome", write("a.tsv", POSITIONS), side=3)
    order = np.lexsort((layout.col, layout.row))
    assert layout.genes[order].tolist() == ["E5", "C", "A", "D", "B"]
    assert layout.row[order].tolist() == [0, 0, 0, 1, 1]


def test_a_set_is_a_rectangle_and_sets_in_it_are_too() -> None:
    names = [f"G{number:02d}" for number in range(16)]
    lines = [
        ["outer", "", *names[:8]],
        ["inner", "", *names[4:8]],
        ["other", "", *names[8:12]],
        ["torn by the first", "", *names[7:11]],
    ]
    layout = lay_out(names, "treemap", write("a.gmt", "\n".join("\t".join(row) for row in lines)))
    assert layout.shape == (4, 4)
    assert layout.group.tolist() == ["outer"] * 8 + ["other"] * 4 + [""] * 4
    for own, pixels in ((range(8), 8), (range(4, 8), 4), (range(8, 12), 4), (range(12, 16), 4)):
        row, col = layout.row[list(own)], layout.col[list(own)]
        assert (np.ptp(row) + 1) * (np.ptp(col) + 1) == pixels
    assert (layout.row[12:].max(), layout.col[12:].max()) == (3, 3)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), genes=st.integers(2, 100))
def test_a_treemap_of_any_sets_holds_every_gene_once(data: st.DataObject, genes: int) -> None:
    names = [f"G{number:03d}" for number in range(genes)]
    sets = data.draw(st.lists(st.lists(st.sampled_from(names), min_size=1), min_size=1, max_size=9))
    lines = ["\t".join([f"set {number}", "", *own]) for number, own in enumerate(sets)]
    layout = lay_out(names, "treemap", write("a.gmt", "\n".join(lines)))
    assert layout.shared_pixels() == 0
    assert ((layout.row >= 0) & (layout.row < layout.shape[0])).all()
    assert ((layout.col >= 0) & (layout.col < layout.shape[1])).all()
    for gene, group in zip(layout.genes, layout.group, strict=True):
        assert not group or gene in sets[int(group.removeprefix("set "))]


def test_gene_sets_keep_their_order_and_lose_repeats() -> None:
    path = reference_file(write("a.gmt", "one\thttp://x\tB\tA\tB\t\n\ntwo\t\tC\n"))
    assert read_gene_sets(path) == {"one": ["B", "A"], "two": ["C"]}
