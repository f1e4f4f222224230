"""Figures of tissue: a section with its spots, and how many genes each model predicts."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.escape import escape_all, escape_chart
from core.plots.figures import COLOURS, DIVERGING, finish

HEIGHT = 470


def section_map(
    picture: np.ndarray,
    edges: tuple[float, float, float, float],
    x: np.ndarray,
    y: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
    *,
    title: str,
    limit: float,
    dot: float,
) -> go.Figure:
    """A section of tissue, its spots coloured by a value, which is centred on 0.

    Args:
        picture: (rows, columns, 3) uint8 of the tissue.
        edges: left, top, right and lower edge of the picture, in the unit of x and y.
        x: (spots,) to the right.
        y: (spots,) downwards.
        values: (spots,) what colours them; grey where it is missing.
        names: of the spots.
        title: what the values are.
        limit: the value of the strongest colour.
        dot: diameter of a spot, in the unit of x and y.
    """
    left, top, right, low = edges
    figure = go.Figure()
    figure.add_layout_image(
        source=_encode(picture), xref="x", yref="y", x=left, y=top, sizex=right - left,
        sizey=low - top, sizing="stretch", layer="below", yanchor="top",
    )  # fmt: skip
    across = max(right - left, (low - top) * 1.1)
    figure.add_scattergl(
        x=x, y=y, mode="markers", text=escape_all(list(names)), customdata=values, name="spots",
        marker={
            "color": values, "colorscale": DIVERGING, "cmin": -limit, "cmax": limit, "opacity": 0.8,
            "size": float(np.clip(0.75 * dot / across * HEIGHT, 4, 22)),
            "colorbar": {"thickness": 10, "title": {"text": "SD", "side": "right"}},
        },
        hovertemplate="%{text}<br>%{customdata:.2f} SD<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(range=[left, right], visible=False, constrain="domain")
    figure.update_yaxes(range=[low, top], visible=False, scaleanchor="x", constrain="domain")
    figure.update_layout(height=HEIGHT, showlegend=False, title=escape_chart(title))
    return finish(figure, 40)


def model_bars(table: pd.DataFrame, limit: str, titles: dict[str, str]) -> go.Figure:
    """How many genes each model predicts better than a limit, under both targets.

    Args:
        table: columns target, model and `limit`, in the order to be shown.
        limit: the column that is drawn, such as 'r > 0.3'.
        titles: target -> words.
    """
    figure = go.Figure()
    for place, (target, title) in reversed(list(enumerate(titles.items()))):  # drawn upwards
        own = table[table["target"] == target][::-1]
        figure.add_bar(
            y=escape_all(own["model"].tolist()), x=own[limit], orientation="h", name=title,
            marker={"color": COLOURS[place]}, text=own[limit], textposition="outside",
            cliponaxis=False, hovertemplate="%{y}: %{x} genes<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text=f"genes with {limit}", rangemode="tozero")
    figure.update_layout(
        height=330, barmode="group", bargap=0.25,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0,
                "traceorder": "reversed"},
    )  # fmt: skip
    return finish(figure, 50)


def _encode(picture: np.ndarray) -> str:
    """A picture as a data address, which a page may show without fetching anything."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(picture).save(held, "PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()
