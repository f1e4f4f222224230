"""Figures of tissue: a section with its spots, and how many genes each model predicts."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.escape import escape_all, escape_chart
from core.plots.data import draw_points
from core.plots.figures import CLICKED, COLOURS, DIVERGING, finish

HEIGHT, TILE = 410, 300


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
    marked: int | None = None,
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
        marked: the position of a spot that is ringed.
    """
    left, top, right, low = edges
    figure = go.Figure()
    figure.add_layout_image(
        source=_encode(picture), xref="x", yref="y", x=left, y=top, sizex=right - left,
        sizey=low - top, sizing="stretch", layer="below", yanchor="top",
    )  # fmt: skip
    size = float(np.clip(0.75 * dot / max(right - left, (low - top) * 1.1) * HEIGHT, 4, 22))
    draw = draw_points(figure, len(x))
    draw(
        x=x, y=y, mode="markers", text=escape_all(list(names)), customdata=values, name="spots",
        marker={
            "color": values, "colorscale": DIVERGING, "cmin": -limit, "cmax": limit, "opacity": 0.8,
            "size": size,
            "colorbar": {"thickness": 10, "title": {"text": "SD", "side": "right"}},
        },
        hovertemplate="%{text}<br>%{customdata:.2f} SD<extra></extra>",
    )  # fmt: skip
    if marked is not None:
        draw(
            x=[x[marked]], y=[y[marked]], mode="markers", hoverinfo="skip", name="chosen",
            marker={"symbol": "circle-open", "size": size + 6, "color": CLICKED,
                    "line": {"width": 3}},
        )  # fmt: skip
    figure.update_xaxes(range=[left, right], visible=False, constrain="domain")
    figure.update_yaxes(range=[low, top], visible=False, scaleanchor="x", constrain="domain")
    figure.update_layout(height=HEIGHT, showlegend=False, title=escape_chart(title))
    return finish(figure, 40)


def tile_view(tile: np.ndarray, effects: np.ndarray | None) -> go.Figure:
    """A spot's tile enlarged, and over it where a model sees a gene.

    Args:
        tile: (side, side, 3) uint8.
        effects: (cells, cells) by how much the prediction falls when a cell is covered, in SD.
    """
    side = len(tile)
    figure = go.Figure()
    figure.add_layout_image(
        source=_encode(tile), xref="x", yref="y", x=0, y=0, sizex=side, sizey=side,
        sizing="stretch", layer="below", yanchor="top",
    )  # fmt: skip
    middles = np.array([0.5 * side])
    if effects is not None:
        cells = len(effects)
        middles = (np.arange(cells) + 0.5) * side / cells
        limit = max(float(np.abs(effects).max()), 1e-6)
        figure.add_heatmap(
            x=middles, y=middles, z=effects, colorscale=DIVERGING, zmin=-limit, zmax=limit,
            opacity=0.45, name="effect", hovertemplate="%{z:.3f} SD<extra></extra>",
            colorbar={"thickness": 8, "title": {"text": "SD", "side": "right"}, "nticks": 5},
        )  # fmt: skip
    else:  # without a trace plotly draws no axes, and so no image
        figure.add_scatter(x=middles, y=middles, mode="markers", marker={"opacity": 0},
                           hoverinfo="skip", name="tile")  # fmt: skip
    figure.update_xaxes(range=[0, side], visible=False, constrain="domain")
    figure.update_yaxes(range=[side, 0], visible=False, scaleanchor="x", constrain="domain")
    figure.update_layout(height=TILE, showlegend=False)
    return finish(figure, 10)


def gene_ranks(table: pd.DataFrame, marked: str) -> go.Figure:
    """r of all genes, the best predicted first, beside what other models reach on them.

    Args:
        table: columns gene, r, reads and shuffled, the highest r first.
        marked: the gene that is ringed.
    """
    rank = np.arange(1, len(table) + 1)
    figure = go.Figure()
    looks = (("shuffled", "shuffled tiles", "#9A9A9A"), ("reads", "reads, no image", COLOURS[1]),
             ("r", "tiles", COLOURS[0]))  # fmt: skip
    for column, words, colour in looks:
        figure.add_scattergl(
            x=rank, y=table[column], mode="markers", name=words, text=escape_all(table["gene"]),
            marker={"color": colour, "size": 7 if column == "r" else 4},
            hovertemplate="%{text}<br>r = %{y:.2f} (" + words + ")<extra></extra>",
        )  # fmt: skip
    place = int(np.argmax(table["gene"].to_numpy() == marked))
    figure.add_scatter(
        x=[rank[place]], y=[table["r"].iloc[place]], mode="markers+text", hoverinfo="skip",
        text=escape_all([marked]), textposition="top right", showlegend=False, name="chosen",
        marker={"symbol": "circle-open", "size": 13, "color": CLICKED, "line": {"width": 3}},
    )  # fmt: skip
    figure.add_hline(0, line_width=1, line_color="#808080")
    figure.update_xaxes(title_text="genes, the best predicted first")
    seen = table[[column for column, _, _ in looks]]
    room = [seen.min().min() - 0.05, seen.max().max() + 0.15]  # the chosen gene's name stands above
    figure.update_yaxes(title_text="median r over held-out sections", range=room)
    figure.update_layout(height=330, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom",
                                             "x": 0, "traceorder": "reversed"})  # fmt: skip
    return finish(figure, 50)


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
            textfont={"size": 10}, constraintext="none", cliponaxis=False,
            hovertemplate="%{y}: %{x} genes<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text=f"genes with {limit}", rangemode="tozero")
    figure.update_layout(
        height=100 + 50 * table["model"].nunique(), barmode="group", bargap=0.25,
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
