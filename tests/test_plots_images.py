"""Figures of gene-images, read back number by number."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.images.layout import GeneLayout
from core.plots.data import class_sizes, differences, sample_map
from core.plots.explain import volcano
from core.plots.figures import (
    ROOM,
    class_colours,
    expression_by_class,
    gene_image,
    image_grid,
    mark_clicked,
    name_genes,
    name_pixels,
    shade,
)
from core.plots.images import NO_GROUP, SEVERAL, group_image, shorten


def sharing() -> GeneLayout:
    """A and B on one pixel, C on another, two pixels free."""
    genes = np.array(["A", "B", "C"])
    return GeneLayout("test", genes, np.array([0, 0, 1]), np.array([0, 0, 1]), (2, 2))


def test_genes_on_one_pixel_are_named_together_with_their_mean() -> None:
    layout = sharing()
    assert name_pixels(layout).tolist() == [
        "A, B (one pixel, their mean)", "A, B (one pixel, their mean)", "C",
    ]  # fmt: skip
    figure = gene_image(layout, np.array([1.0, 3.0, 5.0]))
    [pointers] = [trace for trace in figure.data if trace.name == "genes"]
    assert pointers.customdata.tolist() == [[2], [2], [5]]
    [image] = [trace for trace in figure.data if trace.type == "heatmap"]
    assert np.isnan(image.z).tolist() == [[False, True], [True, False]]
    [chequer] = figure.layout.images
    assert (chequer.layer, chequer.x, chequer.y, chequer.sizex) == ("below", -0.5, -0.5, 2)
    assert "2 free pixels" in figure.layout.annotations[0].text
    grid = image_grid(layout, np.array([[1.0, 3.0, 5.0]]), ["one"])
    assert grid.layout.template.data.heatmap[0].text.tolist() == [
        ["A, B (one pixel, their mean)", "free pixel"], ["free pixel", "C"],
    ]  # fmt: skip
    assert "text" not in grid.data[0].to_plotly_json()


def test_a_found_gene_is_named_on_every_small_image() -> None:
    grid = image_grid(sharing(), np.ones((5, 3)), list("abcde"), marked=["C"], columns=2)
    named = [note.xref for note in grid.layout.annotations if note.text == "C"]
    assert named == ["x", "x2", "x3", "x4", "x5"]


def test_means_of_classes_stand_under_the_pointer_as_the_pixel_shows_them() -> None:
    means = {"a<b": np.array([1.0, 2.0, 4.0]), "%{x}": np.array([0.0, 1.0, 0.5])}
    figure = gene_image(sharing(), np.array([1.0, 3.0, 5.0]), means=means)
    [pointers] = [trace for trace in figure.data if trace.name == "genes"]
    assert pointers.customdata.tolist() == [[2, 1.5, 0.5], [2, 1.5, 0.5], [5, 4, 0.5]]
    assert pointers.customdata.dtype == np.float32
    assert pointers.hovertemplate == (
        "<b>%{text}</b><br>value %{customdata[0]:.3g}<br>mean of a&lt;b %{customdata[1]:.3g}"
        "<br>mean of %&#123;x} %{customdata[2]:.3g}<extra></extra>"
    )


def test_a_gene_is_marked_as_by_a_click_and_the_revision_tells_images_apart() -> None:
    layout = sharing()
    figure, same, other = (
        gene_image(layout, np.array([1.0, 3.0, last])) for last in (5.0, 5.0, 6.0)
    )
    assert figure.layout.datarevision == same.layout.datarevision != other.layout.datarevision
    traces = len(figure.data)
    for missing in (None, "not here"):
        mark_clicked(figure, layout, missing)
        assert len(figure.data) == traces
    mark_clicked(figure, layout, "C")
    mark = figure.data[-1]
    assert (mark.x[0], mark.y[0], mark.text[0]) == (1, 1, "C")
    assert mark.textposition == "bottom left"  # the image's edge doesn't cut the name
    assert mark.unselected.marker.opacity == 0  # a click on another gene hides it
    [pointers] = [trace for trace in figure.data if trace.name == "genes"]
    assert pointers.marker.opacity == 0
    assert pointers.selected.marker.color == mark.marker.color
    groups = [group_image(layout, np.array(["x", "y", last]), ["x", "y"]) for last in ("", "x")]
    assert groups[0].layout.datarevision != groups[1].layout.datarevision


def test_of_many_samples_only_the_boxes_are_drawn() -> None:
    values = np.concatenate([np.arange(101.0), [400.0, np.nan], np.full(2900, 7.0), [1, 2]])
    labels = np.array(["a"] * 103 + ["b"] * 2900 + ["few"] * 2)
    one, two, few = expression_by_class(values, labels, "G").data
    assert list(few.y) == [1, 2]
    assert (one.q1[0], one.median[0], one.q3[0]) == (25.25, 50.5, 75.75)
    assert (one.lowerfence[0], one.upperfence[0]) == (0, 100)  # 400 is beyond 1.5 heights
    assert one.y is None
    assert (two.lowerfence[0], two.upperfence[0]) == (7, 7)
    assert len(expression_by_class(values[:3000], labels[:3000], "G").data[0].y) == 102


def test_a_canvas_is_coloured_by_group_and_says_what_is_mixed() -> None:
    figure = group_image(sharing(), np.array(["x", "y", ""]), ["x", "y"])
    image = figure.data[0].z
    assert image[0, 0] == 3  # several
    assert image[1, 1] == 0  # none
    assert np.isnan(image[0, 1])
    legend = [trace.name for trace in figure.data if trace.type == "scatter"]
    assert legend == ["x", "y", "none of these", "several"]
    colours = [colour for _, colour in figure.data[0].colorscale]
    assert colours == [colour for colour in (NO_GROUP, shade(0), shade(1), SEVERAL) for _ in "12"]


def test_many_groups_have_different_colours_and_long_names_are_cut() -> None:
    assert len({shade(index) for index in range(33)}) == 33
    assert len(shorten("x" * 200)) == 60


def test_a_class_has_one_colour_on_every_chart() -> None:
    values, labels = np.arange(6.0), np.array(list("BABAAC"))
    coloured = class_colours(["A", "B", "C"])
    assert coloured == class_colours(labels)
    assert len(set(class_colours(map(str, range(33))).values())) == 33
    boxes = {box.name: box.marker.color for box in expression_by_class(values, labels, "G").data}
    points = {
        trace.name.split()[0]: trace.marker.color
        for trace in sample_map(values, values, list(labels), labels, ("x", "y")).data
    }
    bars = class_sizes({"C": 1, "A": 3, "B": 2}).data[0]
    assert boxes == points == dict(zip(bars.y, bars.marker.color, strict=True)) == coloured


def canvas(side: int, places: dict[str, tuple[int, int]]) -> GeneLayout:
    """Genes at (row, column) of a square canvas."""
    rows, columns = np.array(list(places.values())).T
    return GeneLayout("test", np.array(list(places)), rows, columns, (side, side))


def boxes(figure: go.Figure, side: int, scale: float) -> dict[str, tuple[float, ...]]:
    """What each name covers on the screen: left, top, right, bottom."""
    found = {}
    for note in figure.layout.annotations:
        if note.xref == "paper":  # about free pixels
            continue
        found[note.text] = box_of(note, (note.x + 0.5) * scale, (note.y + 0.5) * scale)
    return found


def box_of(note: go.layout.Annotation, x: float, y: float) -> tuple[float, ...]:
    """What a name covers whose point stands so far from the left and from the top."""
    far = note.showarrow is not False
    x += note.ax if far else note.xshift
    y += note.ay if far else -note.yshift
    return x - 4 * len(note.text), y - 8, x + 4 * len(note.text), y + 8


def expect_apart(covered: Iterable[tuple[float, ...]]) -> None:
    for one, other in combinations(covered, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart


def test_names_of_genes_side_by_side_cover_neither_each_other_nor_a_mark() -> None:
    places = {f"GENE{n}": (29 + n // 3, 29 + n % 3) for n in range(9)} | {"EDGE": (31, 0)}
    layout = canvas(32, {**places, "MARKED": (28, 31)})
    figure = gene_image(layout, np.arange(11.0), marked=["MARKED"])
    name_genes(figure, layout, ["absent", *places], side=320)
    covered = boxes(figure, 320, 10)
    assert {"MARKED", "GENE0", "GENE1", "EDGE"} <= covered.keys()
    assert len(covered) > 7, "most find room"
    expect_apart(covered.values())
    for name, (left, top, right, bottom) in covered.items():
        assert name == "MARKED" or (left >= 0 and top >= 0 and right <= 320 and bottom <= 320)
    far = [note for note in figure.layout.annotations if note.showarrow]
    assert len(far) > 1, "a line leads to a name that stands apart"


def test_names_on_a_volcano_cover_no_other_name() -> None:
    near = np.arange(12)
    table = pd.DataFrame(
        {"gene": [f"GENE{n}" for n in near] + ["FAR"], "log2fc": [*(2 + 0.01 * near), -3.0],
         "score": [*(0.9 + 0.001 * near), 0.1], "rank": range(1, 14), "tied": 1,
         "p": [*(1e-9 + 1e-10 * near), 1.0], "fdr": [*[1e-6] * 12, 1.0]}
    )  # fmt: skip
    for figure, up in (
        (volcano(table, ["GENE0"], ["GENE1"]), table["score"]),
        (differences(table, "a", "b", "log2 fold change"), -np.log10(table["p"])),
    ):
        across = [ROOM[0] / np.ptp(table["log2fc"]), ROOM[1] / np.ptp(up)]
        covered = [
            box_of(note, (note.x + 3) * across[0], (up.max() - note.y) * across[1])
            for note in figure.layout.annotations
        ]
        assert len(covered) > 6, "most find room"
        expect_apart(covered)
        assert not [trace for trace in figure.data if "text" in (trace.mode or "")]


def test_a_gene_alone_is_named_right_beside_it() -> None:
    layout = canvas(32, {"TP63": (5, 5)})
    figure = gene_image(layout, np.ones(1))
    name_genes(figure, layout, ["TP63"], side=320)
    [note] = [note for note in figure.layout.annotations if note.text == "TP63"]
    assert (note.x, note.y, note.showarrow, note.yshift) == (5, 5, False, 0)
    assert 0 < note.xshift - 4 * len("TP63") < 12
