"""Figures of runs: their curves while they train, and what was taken for what."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.escape import escape_all, escape_chart
from core.plots.figures import COLOURS, finish


def learning_curves(epochs: pd.DataFrame) -> go.Figure:
    """Loss and validation scores by epoch, one line a fold."""
    figure = make_subplots(
        1, 2, subplot_titles=["Loss", "On validation samples"], horizontal_spacing=0.1
    )
    lines = (
        ("train_loss", "training", COLOURS[0], "solid", 1),
        ("validation_loss", "validation", COLOURS[1], "solid", 1),
        ("validation_accuracy", "accuracy", COLOURS[2], "solid", 2),
        ("validation_macro_f1", "macro F1", COLOURS[3], "dot", 2),
        ("validation_r2", "R²", COLOURS[2], "solid", 2),
    )
    lines = [line for line in lines if line[0] in epochs]
    for number, (_, fold) in enumerate(epochs.groupby("fold")):
        for column, title, colour, dash, place in lines:
            figure.add_scatter(
                x=fold["epoch"], y=fold[column], name=title, legendgroup=title,
                showlegend=number == 0, mode="lines+markers" if len(fold) < 3 else "lines",
                line={"color": colour, "dash": dash}, row=1, col=place,
            )  # fmt: skip
    figure.update_xaxes(title_text="epoch", rangemode="tozero")
    figure.update_yaxes(rangemode="tozero", col=1)
    if "validation_r2" in epochs:
        figure.update_yaxes(range=_r2_range([epochs]), col=2)
    else:
        figure.update_yaxes(range=[0, 1.02], tickformat=".0%", col=2)
    figure.update_layout(height=340, legend={"orientation": "h", "y": -0.25})
    return finish(figure, 56)


def curves_side_by_side(runs: Mapping[str, pd.DataFrame]) -> go.Figure:
    """Validation loss and scores by epoch: a colour a run, a line a fold.

    Args:
        runs: a run's name -> its epochs, with the columns fold, epoch, validation_loss, and
            validation_accuracy and validation_macro_f1, or of a regression validation_r2.
    """
    titles = {"validation_loss": "Validation loss", "validation_accuracy": "Accuracy",
              "validation_macro_f1": "Macro F1", "validation_r2": "R²"}  # fmt: skip
    titles = {
        column: title for column, title in titles.items()
        if any(column in epochs for epochs in runs.values())
    }  # fmt: skip
    figure = make_subplots(
        1, len(titles), subplot_titles=list(titles.values()), horizontal_spacing=0.06
    )
    for number, (run, epochs) in enumerate(runs.items()):
        name = escape_chart(run)
        for fold, rows in epochs.groupby("fold"):
            for place, column in enumerate(titles, 1):
                if column not in rows:
                    continue
                figure.add_scatter(
                    x=rows["epoch"], y=rows[column], name=name, legendgroup=name,
                    showlegend=bool(place == 1 and fold == epochs["fold"].min()),
                    mode="lines+markers" if len(rows) < 3 else "lines",
                    line={"color": COLOURS[number % len(COLOURS)]}, row=1, col=place,
                )  # fmt: skip
    figure.update_xaxes(title_text="epoch", rangemode="tozero")
    figure.update_yaxes(rangemode="tozero", col=1)
    for place, column in enumerate(titles, 1):
        if column == "validation_r2":
            shown = [epochs for epochs in runs.values() if column in epochs]
            figure.update_yaxes(range=_r2_range(shown), col=place)
        elif place > 1:
            figure.update_yaxes(range=[0, 1.02], tickformat=".0%", col=place)
    legend = {"orientation": "h", "y": -0.22, "yanchor": "top"}
    figure.update_layout(height=330 + 22 * len(runs), legend=legend)
    return finish(figure, 56)


def _r2_range(runs: Sequence[pd.DataFrame]) -> list[float]:
    """From the lowest R², or -0.5, to 1: there is no bound below."""
    lowest = min(epochs["validation_r2"].min() for epochs in runs)
    return [min(-0.5, 1.05 * lowest), 1.02]


def confusion_matrix(matrix: np.ndarray, classes: Sequence[str]) -> go.Figure:
    """Counts, coloured by the share of the true class (rows)."""
    matrix = np.asarray(matrix)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = escape_all(classes)
    figure = go.Figure(
        go.Heatmap(
            z=share, x=names, y=names, zmin=0, zmax=1, colorscale="Blues",
            text=matrix, texttemplate="%{text}", showscale=False, xgap=1, ygap=1,
            hovertemplate="true %{y}, predicted %{x}: %{text} (%{z:.0%})<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", title_text="true")
    figure.update_xaxes(title_text="predicted", side="bottom")
    figure.update_layout(height=166 + 32 * len(classes))
    return finish(figure, 36)


def observed_against_predicted(table: pd.DataFrame, target: str) -> go.Figure:
    """Predicted over observed values of held-out samples, with the line on which they are equal.

    Args:
        table: columns sample, true and predicted.
        target: what is predicted.
    """
    name = escape_chart(target)
    ends = [table[["true", "predicted"]].min().min(), table[["true", "predicted"]].max().max()]
    figure = go.Figure()
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": "#888888", "dash": "dot"}, hoverinfo="skip",
        name="equal",
    )  # fmt: skip
    figure.add_scatter(
        x=table["true"], y=table["predicted"], mode="markers", name="held-out samples",
        marker={"color": COLOURS[0], "size": 7, "opacity": 0.7},
        text=escape_all(table["sample"]),
        hovertemplate="%{text}: observed %{x:.4g}, predicted %{y:.4g}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text=f"observed {name}")
    figure.update_yaxes(title_text=f"predicted {name}")
    figure.update_layout(height=420, showlegend=False)
    return finish(figure, 36)
