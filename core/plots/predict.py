"""Figures of predictions: new samples among those of training, their values, their novelty."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.escape import escape_all, escape_chart
from core.plots.data import OTHER, draw_points
from core.plots.figures import COLOURS, class_colours, finish

TRAINING, NEW = "training", "new"
"""Kinds of samples on a map."""
MARKS = {TRAINING: ("circle", 6, 0.5), NEW: ("diamond", 10, 0.95)}
"""How a kind is drawn: symbol, size in pixels, opacity."""
FLAG = "#B2182B"
"""The ring around a sample that looks unlike training."""
BARS = 20
"""Bars of a histogram of shares: 5 % each."""


def prediction_map(table: pd.DataFrame, groups: Sequence[str], axes: tuple[str, str]) -> go.Figure:
    """New samples, as diamonds, among those that the model learned from, as pale dots.

    Args:
        table: columns sample, kind (training or new), group, x, y and flagged; the flagged are
            ringed.
        groups: values of the column group that have a colour; others are grey.
        axes: titles of the two axes.
    """
    figure = go.Figure()
    draw = draw_points(figure, len(table))
    colours = class_colours(groups)
    for kind, (symbol, size, opacity) in MARKS.items():
        rows = table[table["kind"] == kind]
        for group in [*groups, *sorted(set(rows["group"]) - set(groups))]:
            part, words = rows[rows["group"] == group], escape_chart(group)
            if part.empty:
                continue
            draw(
                x=part["x"], y=part["y"], mode="markers", name=f"{words} ({len(part)})",
                legendgroup=kind, legendgrouptitle={"text": f"{kind} samples"},
                customdata=part["sample"], text=escape_all(part["sample"]),
                marker={
                    "symbol": symbol, "size": size, "opacity": opacity,
                    "color": colours.get(group, OTHER),
                    "line": {"width": 1 if kind == NEW else 0, "color": "rgba(128,128,128,0.9)"},
                },
                hovertemplate=f"<b>%{{text}}</b><br>{kind}, {words}<extra></extra>",
            )  # fmt: skip
    flagged = table[table["flagged"]]
    if len(flagged):
        draw(
            x=flagged["x"], y=flagged["y"], mode="markers", hoverinfo="skip",
            name=f"unlike training ({len(flagged)})", legendgroup="flag",
            marker={
                "symbol": "circle-open", "size": 16, "color": FLAG, "line": {"width": 1.5},
            },
        )  # fmt: skip
    figure.update_layout(xaxis_title=axes[0], yaxis_title=axes[1], height=560)
    return finish(figure, 20)


def quantile_curves(curves: Mapping[str, np.ndarray], unit: str) -> go.Figure:
    """How expression values are spread: on like scales the curves lie over one another.

    Args:
        curves: whose values -> (quantiles,) from the lowest to the highest value.
        unit: title of the values.
    """
    figure = go.Figure()
    for number, (name, quantiles) in enumerate(curves.items()):
        share = np.linspace(0, 100, len(quantiles))
        words = escape_chart(name)
        figure.add_scatter(
            x=share, y=quantiles, mode="lines", name=words,
            line={"color": COLOURS[number % len(COLOURS)], "width": 2.5},
            hovertemplate=f"{words}: %{{x:.0f}} % of the values are below %{{y:.3g}}"
            "<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="share of the values below (%)")
    figure.update_yaxes(title_text=unit)
    figure.update_layout(height=330, legend={"orientation": "h", "y": 1, "yanchor": "bottom"})
    return finish(figure, 36)


def novelty_bars(novelty: np.ndarray, expected: float) -> go.Figure:
    """How unusual samples are, among the model's own held-out samples.

    Samples like those fill all bars alike, up to the dotted line.

    Args:
        novelty: (samples,) share of the model's held-out samples that are less unusual, 0 to 1.
        expected: the share of held-out samples beyond which one is flagged.
    """
    counts, edges = np.histogram(novelty, BARS, (0, 1))
    middle = (edges[1:] + edges[:-1]) / 2
    beyond = middle > 1 - expected
    figure = go.Figure(
        go.Bar(
            x=100 * middle, y=counts / max(len(novelty), 1), width=100 / BARS * 0.92,
            marker_color=np.where(beyond, COLOURS[1], COLOURS[0]), customdata=counts,
            hovertemplate="more unusual than %{x:.0f} % (± 2.5) of the held-out samples: "
            "%{customdata} samples<extra></extra>",
        )
    )  # fmt: skip
    figure.add_hline(1 / BARS, line={"color": "#888888", "dash": "dot"})
    figure.update_xaxes(title_text="more unusual than … % of the held-out samples", range=[0, 100])
    figure.update_yaxes(title_text="share of these samples", tickformat=".0%")
    figure.update_layout(height=330)
    return finish(figure, 20)
