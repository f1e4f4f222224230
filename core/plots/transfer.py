"""Figures of a transfer: what is gained with more and more labelled target patients."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.escape import escape_all, escape_chart
from core.plots.figures import COLOURS, finish

BAND = 0.14
"""How opaque the band of an interval is."""


def gain_curves(table: pd.DataFrame, score: str, lines: Sequence[str] = ()) -> go.Figure:
    """The gain over the target alone against the number of labelled patients, a line a method.

    Budgets are equally far apart.

    Args:
        table: columns line (the method in words), n, gain, low, high, alone, score, verdict.
        score: what the gain is of.
        lines: each has the colour of its place among these, so that a method has the same one on
            two charts; by default the table's.
    """
    sizes = sorted(set(table["n"]))
    places = {n: place for place, n in enumerate(sizes)}
    figure = go.Figure()
    figure.add_hline(y=0, line={"color": "#888888", "width": 1})
    colours = _colour(lines, table)
    for line, own in table.groupby("line", sort=False):
        own = own.sort_values("n")
        colour, x = colours[line], [places[n] for n in own["n"]]
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        figure.add_scatter(
            x=[*x, *x[::-1]], y=[*own["high"], *own["low"][::-1]], fill="toself", mode="lines",
            line={"width": 0}, fillcolor=f"rgba({red},{green},{blue},{BAND})", hoverinfo="skip",
            showlegend=False, legendgroup=str(line),
        )  # fmt: skip
        figure.add_scatter(
            x=x, y=own["gain"], mode="lines+markers", name=escape_chart(str(line)),
            legendgroup=str(line), line={"color": colour, "width": 2},
            marker={"size": 8, "symbol": [_SYMBOLS[word] for word in own["verdict"]]},
            customdata=own[["low", "high", "alone", "score", "verdict"]],
            hovertemplate="%{y:+.3f} (%{customdata[0]:+.3f} to %{customdata[1]:+.3f}), from "
            "%{customdata[2]:.3f} to %{customdata[3]:.3f}: %{customdata[4]}",
        )  # fmt: skip
    _lay_out(figure, sizes, f"gain in {score} over the target alone")
    return figure


_SYMBOLS = {"helps": "triangle-up", "no difference": "circle-open", "harms": "triangle-down"}


def score_curves(table: pd.DataFrame, score: str, lines: Sequence[str] = ()) -> go.Figure:
    """Mean scores against the number of labelled patients, a line a method.

    Args:
        table: columns line, n, score.
        score: its title.
        lines: as of `gain_curves`.
    """
    sizes = sorted(set(table["n"]))
    figure = go.Figure()
    colours = _colour(lines, table)
    for line, own in table.groupby("line", sort=False):
        own = own.sort_values("n")
        figure.add_scatter(
            x=[sizes.index(n) for n in own["n"]], y=own["score"], mode="lines+markers",
            name=escape_chart(str(line)), marker={"size": 7},
            line={"color": colours[line], "width": 2}, hovertemplate="%{y:.3f}",
        )  # fmt: skip
    _lay_out(figure, sizes, score)
    return figure


def fit_map(table: pd.DataFrame) -> go.Figure:
    """Where sources lie, seen from the target: how far, and how easily told apart.

    Args:
        table: columns source, preparation (its title), distance (in SD), domain_auroc.
    """
    figure = go.Figure()
    figure.add_hline(y=0.5, line={"color": "#888888", "width": 1, "dash": "dot"})
    symbols = ["circle", "square", "diamond", "cross", "x", "triangle-up", "star"]
    names = list(dict.fromkeys(table["source"]))
    for number, (preparation, own) in enumerate(table.groupby("preparation", sort=False)):
        figure.add_scatter(
            x=own["distance"], y=own["domain_auroc"], mode="markers", name=str(preparation),
            marker={
                "size": 12, "color": COLOURS[number % len(COLOURS)],
                "symbol": [symbols[names.index(name) % len(symbols)] for name in own["source"]],
            },
            text=escape_all(own["source"]),
            hovertemplate="%{text}: %{x:.2f} SD away, domain AUROC %{y:.2f}",
        )  # fmt: skip
    figure.update_xaxes(title_text="distance from the target (SD)", rangemode="tozero")
    figure.update_yaxes(title_text="domain AUROC", range=[0.3, 1.05])
    figure.update_layout(
        height=320,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    finish(figure, 50)
    return figure


def layer_map(table: pd.DataFrame, title: str) -> go.Figure:
    """The gain of a pretrained network by how many layers are frozen and how many are labelled.

    Args:
        table: columns frozen, n, gain.
        title: what the gain is over.
    """
    wide = table.pivot(index="frozen", columns="n", values="gain")
    most = max(float(table["gain"].abs().max()), 0.1)  # small gains look small
    figure = go.Figure(
        go.Heatmap(
            z=wide.to_numpy(), x=[str(n) for n in wide.columns],
            y=[str(frozen) for frozen in wide.index], zmin=-most, zmax=most, colorscale="RdBu",
            texttemplate="%{z:+.2f}", colorbar={"title": "gain"},
            hovertemplate="%{y} frozen, %{x} labelled: %{z:+.3f}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="labelled target patients", type="category")
    figure.update_yaxes(title_text=f"frozen layers: gain over {title}", type="category")
    figure.update_layout(height=320)
    finish(figure, 40)
    return figure


def reply_scores(table: pd.DataFrame, measure: str, chance: float) -> go.Figure:
    """What each line of a reply scores, with its interval, beside who knows nothing.

    Args:
        table: columns of, line, role, score, low, high, verdict; lines without a score are left
            out.
        measure: what scores are.
        chance: the score of who knows nothing.
    """
    own = table[table["score"].notna()].iloc[::-1]
    words = [
        f"{of}: {line}" if of else line for of, line in zip(own["of"], own["line"], strict=True)
    ]
    figure = go.Figure()
    figure.add_vline(x=chance, line={"color": "#888888", "width": 1, "dash": "dot"})
    for number, (role, title) in enumerate(_ROLES.items()):
        part = own["role"] == role
        if not part.any():
            continue
        lows, highs = own["low"][part], own["high"][part]
        figure.add_scatter(
            x=own["score"][part], y=escape_all(np.array(words)[part]),
            mode="markers", name=title, marker={"size": 9, "color": COLOURS[number]},
            error_x={
                "type": "data", "symmetric": False, "thickness": 1.5,
                "array": (highs - own["score"][part]).fillna(0),
                "arrayminus": (own["score"][part] - lows).fillna(0),
            },
            customdata=own[["low", "high", "verdict"]][part],
            hovertemplate="%{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f}) "
            "%{customdata[2]}<extra>%{y}</extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text=measure, zeroline=False)
    figure.update_yaxes(
        categoryorder="array", categoryarray=escape_all(words), automargin=True, showgrid=True
    )
    figure.update_layout(
        height=130 + 30 * len(own),
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    finish(figure, 60)
    return figure


_ROLES = {"method": "method", "reference": "plain reference", "control": "control"}


def _colour(lines: Sequence[str], table: pd.DataFrame) -> dict[str, str]:
    order = dict.fromkeys([*lines, *table["line"]])
    return {line: COLOURS[number % len(COLOURS)] for number, line in enumerate(order)}


def _lay_out(figure: go.Figure, sizes: list[int], title: str) -> None:
    ticks = list(escape_all([str(n) for n in sizes]))
    figure.update_xaxes(
        title_text="labelled target patients", tickvals=list(range(len(sizes))), ticktext=ticks,
        zeroline=False,
    )  # fmt: skip
    figure.update_yaxes(title_text=title, zeroline=False)
    figure.update_layout(
        height=400, hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )  # fmt: skip
    finish(figure, 70)
