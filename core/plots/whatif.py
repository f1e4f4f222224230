"""Figures of what-ifs: recall before and after, accuracy without more and more genes."""

import pandas as pd
import plotly.graph_objects as go

from core.escape import escape_all, escape_chart
from core.plots.figures import COLOURS, class_colours, finish

GREY = "#888888"


def recall_changes(table: pd.DataFrame) -> go.Figure:
    """A line a class from its recall before to its recall after.

    Args:
        table: columns class, samples, before, after.
    """
    names = escape_all(f"{row['class']} ({row['samples']})" for _, row in table.iterrows())
    figure = go.Figure()
    for name, (_, row) in zip(names, table.iterrows(), strict=True):
        figure.add_scatter(
            x=[row["before"], row["after"]], y=[name, name], mode="lines", showlegend=False,
            line={"color": GREY, "width": 2}, hoverinfo="skip",
        )  # fmt: skip
    for number, column in enumerate(("before", "after")):
        figure.add_scatter(
            x=table[column], y=names, name=column, mode="markers",
            marker={"color": COLOURS[number], "size": 11,
                    "symbol": ("circle-open", "circle")[number]},
            hovertemplate=f"%{{y}} {column}: %{{x:.1%}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="recall", tickformat=".0%", range=[-0.03, 1.03])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=170 + 26 * len(table), legend={"orientation": "h", "y": 1.1})
    return finish(figure, 20)


def drop_curves(table: pd.DataFrame) -> go.Figure:
    """Accuracy with its 95 % interval over the number of genes left out.

    Args:
        table: columns class, kind, genes, accuracy, low, high.
    """
    figure, colours = go.Figure(), class_colours(table["class"])
    for (name, kind), curve in table.groupby(["class", "kind"], sort=False):
        cls = escape_chart(name)
        figure.add_scatter(
            x=curve["genes"], y=curve["accuracy"], mode="lines+markers",
            name=f"{kind} genes of {cls}" if kind == "top" else f"random genes ({cls})",
            line={"color": colours[str(name)] if kind == "top" else GREY,
                  "dash": "solid" if kind == "top" else "dot"},
            error_y={"type": "data", "symmetric": False,
                     "array": curve["high"] - curve["accuracy"],
                     "arrayminus": curve["accuracy"] - curve["low"]},
        )  # fmt: skip
    figure.update_xaxes(title_text="genes left out", type="category")
    figure.update_yaxes(title_text="held-out accuracy", tickformat=".0%")
    return finish(figure.update_layout(height=380), 20)
