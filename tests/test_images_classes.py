"""Class means, groups of genes and what is said of a canvas, with known answers."""

import io

import numpy as np
import pytest

from core.errors import InputError
from core.images.classes import average_classes
from core.images.groups import assign_groups, find_members
from core.images.layout import GeneLayout
from core.plots.images import share_limits

UNIT = np.array([[0, 1], [1, 1], [0.5, 0], [0.5, 0.5]], dtype=np.float32)


@pytest.fixture
def layout() -> GeneLayout:
    """A B C in the first row (A and B on one pixel), D far below."""
    return GeneLayout(
        "test", np.array(["A", "B", "C", "D"]), np.array([0, 0, 0, 3]), np.array([0, 0, 1, 3]),
        (4, 4),
    )  # fmt: skip


def test_means_of_classes_and_their_differences_from_the_rest() -> None:
    found = average_classes(UNIT, np.array(["b", "b", "a", "b"]), in_sd=False)
    assert found.names == ["a", "b"]
    assert found.sizes == [1, 3]
    assert found.mean_of("b") == pytest.approx([0.5, 2.5 / 3])
    assert found.differences[0] == pytest.approx([0, -2.5 / 3])
    assert found.differences[1] == pytest.approx([0, 2.5 / 3])
    in_sd = average_classes(UNIT, np.array(["b", "b", "a", "b"]), in_sd=True)
    assert in_sd.mean_of("a") == pytest.approx([0, -4])
    assert in_sd.differences[1] == pytest.approx([0, 8 * 2.5 / 3])


def test_one_class_has_no_rest() -> None:
    found = average_classes(UNIT, np.full(4, "all"), in_sd=False)
    assert np.isfinite(found.differences).all()


def test_a_gene_of_several_sets_has_the_colour_of_the_smallest() -> None:
    members = find_members({"big": ["A", "B", "X", "A"], "small": ["B"], "none": ["Y"]}, ["A", "B"])
    assert members == {"big": [0, 1], "small": [1]}
    assert assign_groups(members, ["small", "big"], 3).tolist() == ["big", "small", ""]
    assert assign_groups(members, ["big"], 3).tolist() == ["big", "big", ""]


def test_neighbours_share_the_pixel_or_touch_it(layout: GeneLayout) -> None:
    assert layout.neighbours("A") == ["B", "C"]
    assert layout.neighbours("D") == []
    with pytest.raises(InputError, match="not among the 4 genes"):
        layout.neighbours("E")


def test_a_canvas_in_words_and_as_a_table(layout: GeneLayout) -> None:
    assert layout.describe() == (
        "4 genes on 4 x 4 pixels, 2 share a pixel with another (up to 2 on one), "
        "13 pixels free (chequered)"
    )
    table = layout.table(value=np.arange(4))
    assert list(table) == ["gene", "row", "column", "value"]
    with np.load(io.BytesIO(layout.to_bytes()), allow_pickle=False) as file:
        assert file["genes"].tolist() == ["A", "B", "C", "D"]


def test_images_of_a_kind_share_a_scale() -> None:
    assert share_limits(np.array([[0.2, 0.4]]), diverging=False) == (0, 1)
    low, high = share_limits(np.array([[-3.0, 1], [2, 2]]), diverging=True)
    assert -low == high == pytest.approx(3, abs=0.01)
    assert share_limits(np.zeros((2, 2)), diverging=True) == (-1, 1)
