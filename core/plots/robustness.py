"""Figures of robustness: scores under stronger and stronger distortion."""

import pandas as pd
import plotly.graph_objects as go

from core.escape import escape_all
from core.plots.figures import COLOURS, finish

LINES = {"none": ("solid", "circle", ""), "quantile": ("dot", "circle-open", ", quantiles")}
"""How values were brought to training -> dash, symbol, words."""
DODGE = 0.07
"""How far apart the marks of one level stand, of the distance between two levels."""


def distortion_curves(
    table: pd.DataFrame, models: dict[str, str], levels: list[str], unit: str, score: str, form: str
) -> go.Figure:
    """Scores with their 95 % intervals at each level of a distortion; levels are equally far apart.

    Args:
        table: columns level, together (none or quantile), model, score, low, high.
        models: values of the column model -> words, in the order of their colours.
        levels: the levels in words, in their order.
        unit: what they are counted in.
        score: title of the score.
        form: its number format.
    """
    figure = go.Figure()
    lines = [
        (model, together)
        for together in LINES
        for model in models
        if (table["together"] == together).any()
    ]
    for place, (model, together) in enumerate(lines):
        own = table[(table["model"] == model) & (table["together"] == together)]
        own = own.sort_values("level")
        dash, symbol, words = LINES[together]
        figure.add_scatter(
            x=[at + DODGE * (place - (len(lines) - 1) / 2) for at in range(len(own))],
            y=own["score"], mode="lines+markers", name=f"{models[model]}{words}",
            line={"color": COLOURS[list(models).index(model)], "dash": dash, "width": 2},
            marker={"size": 7, "symbol": symbol},
            error_y={"type": "data", "symmetric": False, "array": own["high"] - own["score"],
                     "arrayminus": own["score"] - own["low"], "thickness": 1, "width": 2},
            customdata=own[["low", "high"]].assign(level=levels),
            hovertemplate=f"%{{customdata[2]}}: %{{y:{form}}} (%{{customdata[0]:{form}}} to "
            f"%{{customdata[1]:{form}}})",
        )  # fmt: skip
    figure.update_xaxes(
        title_text=unit, tickvals=list(range(len(levels))), ticktext=list(escape_all(levels)),
        zeroline=False,
    )  # fmt: skip
    figure.update_yaxes(title_text=score, tickformat=form)
    figure.update_layout(
        height=330, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
    )
    return finish(figure, 60)
