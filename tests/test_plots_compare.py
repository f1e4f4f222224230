"""Figures of the Compare page: what they show, read back from the figure."""

import numpy as np
import pandas as pd
import pytest

from core.evaluation.metrics import METRICS
from core.plots.compare import (
    answer_grid,
    confusion_grid,
    cost_dots,
    effect_dots,
    learning_curves,
    rank_dots,
    reliability_diagram,
    score_dots,
    score_grid,
)
from core.plots.runs import curves_side_by_side

MODELS = pd.DataFrame(
    {
        "model": ["VGG16", "Logistic regression"],
        "kind": ["network", "baseline"],
        "score": [0.9, 0.95],
        "low": [0.85, np.nan],
        "high": [0.93, np.nan],
        "rank": [2.0, 1.0],
    }
)


def test_scores_with_their_intervals() -> None:
    figure = score_dots(MODELS, "Accuracy", percent=True)
    network, baseline = figure.data
    assert network.x == (0.9,)
    assert network.error_x.array[0] == pytest.approx(0.03)
    assert network.error_x.arrayminus[0] == pytest.approx(0.05)
    assert np.isnan(baseline.error_x.array[0])
    assert figure.layout.yaxis.categoryarray == ("VGG16", "Logistic regression")
    assert figure.layout.xaxis.tickformat == ".0%"


def test_ranks_have_half_the_critical_difference_each_way() -> None:
    figure = rank_dots(MODELS, 1.4)
    assert figure.layout.yaxis.categoryarray == ("Logistic regression", "VGG16")
    assert {trace.error_x.value for trace in figure.data} == {0.7}


def test_a_grid_leaves_missing_cells_empty() -> None:
    table = pd.DataFrame([[0.5, np.nan], [0.7, 0.8]], index=["vgg16", "resnet50"],
                         columns=["none", "mixup"])  # fmt: skip
    heat = score_grid(table.rename_axis("network").rename_axis("augmentation", axis=1), "Accuracy",
                      percent=True).data[0]  # fmt: skip
    assert list(heat.x) == ["none", "mixup"]
    assert list(heat.y) == ["vgg16", "resnet50"]
    assert np.isnan(heat.z[0][1])
    assert not heat.hoverongaps


def test_effects_name_setting_and_level() -> None:
    table = pd.DataFrame(
        {"setting": ["layout.name"] * 2, "level": ["order", "random"], "effect": [1.0, -1.0],
         "low": [0.5, np.nan], "high": [1.5, np.nan]}
    )  # fmt: skip
    figure = effect_dots(table, METRICS["accuracy"])
    assert list(figure.data[0].y) == ["layout.name = order", "layout.name = random"]
    assert figure.data[0].error_x.array[0] == pytest.approx(0.5)
    assert figure.layout.xaxis.title.text.startswith("points from the mean")
    error = effect_dots(table, METRICS["mae"])  # in the unit of what is predicted
    assert "points" not in error.layout.xaxis.title.text + error.data[0].hovertemplate


def test_reliability_of_two_models_beside_the_diagonal() -> None:
    bins = pd.DataFrame({"n": [4, 12], "confidence": [0.5, 0.9], "accuracy": [0.25, 1.0],
                         "low": [0.05, 0.75], "high": [0.7, 1.0]})  # fmt: skip
    diagonal, one, two = reliability_diagram({"Network": bins, "Linear SVM": bins}).data
    assert diagonal.x == diagonal.y == (0, 1)
    assert (one.name, two.name) == ("Network", "Linear SVM")
    assert one.error_y.arrayminus[0] == pytest.approx(0.2)
    assert one.marker.size[1] > one.marker.size[0]


def test_confusion_as_counts_and_as_row_percentages() -> None:
    counts = np.array([[3, 1], [0, 0]])
    heat = confusion_grid(counts, ["a", "b"], percent=False).data[0]
    assert [list(row) for row in heat.text] == [["3", "1"], ["", ""]]
    assert [list(row) for row in heat.z] == [[0.75, 0.25], [0, 0]]
    heat = confusion_grid(counts, ["a", "b"], percent=True).data[0]
    assert list(heat.text[0]) == ["75%", "25%"]


def test_costs_in_three_panels_with_logistic_regression_as_a_line() -> None:
    table = MODELS.assign(
        kind=["network", "control"],
        seconds=[30.0, 60.0],
        gigabytes=[1.0, np.nan],
        parameters=[10**6, 10**7],
    )
    figure = cost_dots(table, "Accuracy", percent=True, plain=0.95, phrase="logistic regression")
    assert [trace.x[0] for trace in figure.data] == pytest.approx(
        [30, 1, 10**6, 60, np.nan, 10**7], nan_ok=True
    )
    assert [trace.showlegend for trace in figure.data] == [True, False, False] * 2
    assert figure.data[0].error_y.array[0] == pytest.approx(0.03)
    assert figure.data[3].marker.symbol == "x"
    [line] = figure.layout.shapes
    assert (line.y0, line.y1, line.x0, line.x1, line.xref) == (0.95, 0.95, 0, 1, "paper")
    assert not cost_dots(table, "Accuracy", percent=True, plain=None, phrase="").layout.shapes


def test_a_learning_curve_is_dashed_beyond_what_was_measured() -> None:
    points = pd.DataFrame({"n_train": [50.0, 100.0], "score": [0.8, 0.9]})
    law = pd.DataFrame({"n_train": [50.0, 100.0, 200.0], "score": [0.8, 0.9, 0.95],
                        "low": [0.7, 0.8, 0.85], "high": [0.9, 1.0, 1.0]})  # fmt: skip
    band, solid, dashed, dots = learning_curves(
        [("VGG16", points, law)], "Accuracy", percent=True
    ).data
    assert list(solid.x) == [50, 100]
    assert list(dashed.x) == [100, 200]
    assert dashed.line.dash == "dash"
    assert list(band.y) == [0.9, 1.0, 1.0, 0.85, 0.8, 0.7]
    assert list(dots.y) == [0.8, 0.9]


def test_answers_mark_the_label() -> None:
    heat = answer_grid(np.array([[0.2, 0.8]]), ["run"], ["a", "b"], "b").data[0]
    assert list(heat.x) == ["a", "▶ b"]
    assert list(heat.z[0]) == [0.2, 0.8]


def test_a_colour_a_run_and_a_line_a_fold() -> None:
    def epochs(folds: int) -> pd.DataFrame:
        rows = [(fold, 1, 0.9, 0.5, 0.4) for fold in range(folds)]
        names = ["fold", "epoch", "validation_loss", "validation_accuracy", "validation_macro_f1"]
        return pd.DataFrame(rows, columns=names)

    figure = curves_side_by_side({"one": epochs(1), "two": epochs(2)})
    assert [(line.name, line.y[0]) for line in figure.data[:3]] == [
        ("one", 0.9), ("one", 0.5), ("one", 0.4)
    ]  # fmt: skip
    assert [line.showlegend for line in figure.data] == [True, False, False] * 2 + [False] * 3
    assert len({line.line.color for line in figure.data[3:]} | {figure.data[0].line.color}) == 2
