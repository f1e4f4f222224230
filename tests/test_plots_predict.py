"""Figures of predictions show what they were given."""

import numpy as np
import pandas as pd

from core.plots.predict import novelty_bars, prediction_map, quantile_curves

TABLE = pd.DataFrame(
    {
        "sample": ["T1", "T2", "N1", "N2"],
        "kind": ["training", "training", "new", "new"],
        "group": ["A", "B", "A", "C"],
        "x": [0.0, 1.0, 0.1, 9.0],
        "y": [0.0, 1.0, 0.1, 9.0],
        "flagged": [False, False, False, True],
    }
)


def test_a_class_has_one_colour_among_training_and_new_samples() -> None:
    figure = prediction_map(TABLE, ["A", "B"], ("x", "y"))
    colours = {(t.legendgroup, t.name): t.marker.color for t in figure.data}
    assert colours["training", "A (1)"] == colours["new", "A (1)"]
    assert colours["training", "A (1)"] != colours["training", "B (1)"]
    assert colours["new", "C (1)"] not in (
        colours["training", "A (1)"],
        colours["training", "B (1)"],
    )


def test_flagged_samples_are_ringed() -> None:
    *_, rings = prediction_map(TABLE, ["A", "B"], ("x", "y")).data
    assert (list(rings.x), rings.name) == ([9.0], "unlike training (1)")
    none = TABLE.assign(flagged=False)
    assert len(prediction_map(none, ["A", "B"], ("x", "y")).data) == 4


def test_many_points_are_drawn_by_the_graphics_card() -> None:
    many = pd.concat([TABLE] * 800)
    assert {trace.type for trace in prediction_map(many, ["A"], ("x", "y")).data} == {"scattergl"}


def test_quantiles_are_drawn_from_the_lowest_to_the_highest() -> None:
    figure = quantile_curves({"a": np.array([0.0, 2.0, 5.0]), "b": np.zeros(3)}, "log2")
    assert list(figure.data[0].x) == [0, 50, 100]
    assert list(figure.data[0].y) == [0, 2, 5]
    assert figure.data[1].name == "b"


def test_samples_like_the_held_out_ones_fill_all_bars_alike() -> None:
    novelty = (np.arange(200) + 0.5) / 200
    [bars] = novelty_bars(novelty, 0.05).data
    np.testing.assert_allclose(bars.y, 0.05)
    assert len(set(bars.marker.color[:-1])) == 1
    assert bars.marker.color[-1] != bars.marker.color[0]
    [bars] = novelty_bars(np.array([0.99, 1.0, 0.0]), 0.05).data
    np.testing.assert_allclose(bars.y[[0, -1]], [1 / 3, 2 / 3])
