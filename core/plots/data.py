"""Figures about a dataset before anything is trained: samples on a map, ranges, missing values."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.escape import escape_all, escape_chart
from core.plots.figures import (
    COLOURS,
    DIVERGING,
    GREY,
    SEQUENTIAL,
    SHADES,
    class_colours,
    finish,
    name_points,
)

MANY_POINTS = 3000
"""From here on points are drawn by the graphics card."""
OTHER = "rgba(140,140,140,0.7)"
"""Values beyond the palette, and samples without a value."""
WRONG = "#B2182B"
MOST_ROWS = 100
"""Genes of a heat map up to which each is named."""
MOST_NAMED = 30
"""Values of a column beyond which a heat map has no legend of it."""
SURE, LABELLED = 0.05, 12
"""False discovery rate below which a gene is coloured, and how many of these are named."""


def draw_points(figure: go.Figure, count: int) -> Callable[..., go.Figure]:
    """What adds points to a figure that has so many of them in all."""
    return figure.add_scattergl if count > MANY_POINTS else figure.add_scatter


def sample_map(
    x: np.ndarray, y: np.ndarray, names: Sequence[str], groups: Sequence[str], axes: tuple[str, str]
) -> go.Figure:
    """Samples as points, coloured by what is known about them.

    Args:
        x: (samples,) first coordinate.
        y: (samples,) second coordinate.
        names: (samples,) ids; given back as custom data by a selection.
        groups: (samples,) values of a column; those beyond the palette share a grey.
        axes: titles of the two axes.
    """
    figure = go.Figure()
    frame = pd.DataFrame({"x": x, "y": y, "name": names, "group": groups})
    draw = draw_points(figure, len(frame))
    order = frame["group"].value_counts().index.tolist()
    named = [group for group in order if group]
    coloured = named if len(named) <= SHADES * len(COLOURS) else named[: len(COLOURS)]
    colours = class_colours(coloured)
    for group in order:
        part = frame[frame["group"] == group]
        draw(
            x=part["x"], y=part["y"], mode="markers",
            name=f"{escape_chart(group or 'none')} ({len(part)})", customdata=part["name"],
            text=escape_all(part["name"]),
            marker={
                "size": 7 if len(frame) < 2000 else 4, "opacity": 0.8,
                "color": colours.get(group, OTHER),
            },
            hovertemplate="<b>%{text}</b><br>" + f"{escape_chart(group)}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        xaxis_title=axes[0], yaxis_title=axes[1], height=550, dragmode="lasso",
        legend={"title": None},
    )  # fmt: skip
    return finish(figure, 20)


def sample_values(
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    values: np.ndarray,
    title: str,
    axes: tuple[str, str],
) -> go.Figure:
    """Samples as points, coloured by a number, such as the expression of a gene.

    Args:
        x: (samples,) first coordinate.
        y: (samples,) second coordinate.
        names: (samples,) ids; given back as custom data by a selection.
        values: (samples,) the numbers.
        title: what they are.
        axes: titles of the two axes.
    """
    figure = go.Figure()
    draw = draw_points(figure, len(x))
    draw(
        x=x, y=y, mode="markers", customdata=list(names), text=escape_all(names),
        marker={
            "size": 7 if len(x) < 2000 else 4, "color": values, "colorscale": SEQUENTIAL,
            "showscale": True,
            "colorbar": {"title": {"text": escape_chart(title), "side": "right"}, "thickness": 12},
        },
        hovertemplate="<b>%{text}</b><br>%{marker.color:.3g}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(
        xaxis_title=axes[0], yaxis_title=axes[1], height=550, dragmode="lasso", showlegend=False
    )
    return finish(figure, 20)


def heat_map(
    values: np.ndarray,
    genes: Sequence[str],
    samples: Sequence[str],
    strips: Mapping[str, Sequence[str]],
) -> go.Figure:
    """Genes x samples in SD from each gene's mean, with strips of colours above.

    Args:
        values: (genes, samples), in the order in which they are drawn.
        genes: their names.
        samples: their ids.
        strips: column -> (samples,) their values in it, a strip each.
    """
    known = list(strips.items())
    share = 18 / (18 * max(len(known), 1) + 13 * max(len(genes), 30))
    figure = make_subplots(
        len(known) + 1, 1, shared_xaxes=True, vertical_spacing=0.006,
        row_heights=[*[share] * len(known), 1 - share * len(known)],
    )  # fmt: skip
    for row, (column, groups) in enumerate(known, 1):
        _draw_strip(figure, row, column, [str(group) for group in groups], samples)
    text = escape_all(samples)
    figure.add_heatmap(
        z=values, y=escape_all(genes), zmin=-3, zmax=3, colorscale=DIVERGING,
        text=[text] * len(genes),
        hovertemplate="<b>%{y}</b>, %{text}: %{z:.2f} SD<extra></extra>",
        colorbar={
            "title": {"text": "SD from the mean", "side": "right"}, "thickness": 12,
            "len": 260, "lenmode": "pixels", "y": 0, "yanchor": "bottom",
        },
        row=len(known) + 1, col=1,
    )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(
        autorange="reversed", automargin=True, type="category", tickfont_size=10,
        dtick=1 if len(genes) <= MOST_ROWS else None, row=len(known) + 1, col=1,
    )  # fmt: skip
    figure.update_layout(
        height=70 + 18 * len(known) + 13 * max(len(genes), 30),
        legend={"y": 1, "yanchor": "top", "tracegroupgap": 8},
    )
    return finish(figure, 20)


def _draw_strip(
    figure: go.Figure, row: int, column: str, groups: list[str], samples: Sequence[str]
) -> None:
    """A row of colours, one a sample, with its legend."""
    colours = class_colours(groups)
    codes = {name: at for at, name in enumerate(colours)}
    step = 1 / len(colours)
    scale = [
        [edge, colour]
        for at, colour in enumerate(colours.values())
        for edge in (at * step, (at + 1) * step)
    ]
    text = escape_all(f"{sample}, {group}" for sample, group in zip(samples, groups, strict=True))
    figure.add_heatmap(
        z=[[codes[group] for group in groups]], y=[escape_chart(column)], zmin=-0.5,
        zmax=len(colours) - 0.5, colorscale=scale, showscale=False, text=[text],
        hovertemplate="%{text}<extra></extra>", row=row, col=1,
    )  # fmt: skip
    figure.update_yaxes(automargin=True, type="category", row=row, col=1)
    if len(colours) > MOST_NAMED:
        return
    for name, colour in colours.items():
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=escape_chart(name or "none"),
            marker={"color": colour, "symbol": "square", "size": 11},
            legendgroup=str(row), legendgrouptitle={"text": escape_chart(column)}, row=row, col=1,
        )  # fmt: skip


def mark_wrong(figure: go.Figure, x: np.ndarray, y: np.ndarray, wrong: pd.DataFrame) -> None:
    """Add crosses over misclassified samples to a map of samples.

    Args:
        figure: what `sample_map` gives.
        x: (wrong,) first coordinate.
        y: (wrong,) second coordinate.
        wrong: sample, true, predicted.
    """
    figure.add_scatter(
        x=x, y=y, mode="markers", name=f"misclassified ({len(wrong)})", customdata=wrong["sample"],
        text=[
            f"<b>{name}</b><br>{true} taken for {predicted}"
            for name, true, predicted in map(
                escape_all, wrong[["sample", "true", "predicted"]].to_numpy()
            )
        ],
        marker={"symbol": "x-thin", "size": 10, "line": {"width": 2, "color": WRONG}},
        hovertemplate="%{text}<extra></extra>",
    )  # fmt: skip


def value_ranges(quantiles: np.ndarray, groups: Sequence[str], unit: str) -> go.Figure:
    """The middle of each sample's values, samples side by side, those of one class together.

    Args:
        quantiles: (samples, 5) the 5th, 25th, 50th, 75th and 95th percentile.
        groups: (samples,) classes.
        unit: title of the values.
    """
    labels = np.asarray(groups, dtype=str)
    order = np.lexsort((quantiles[:, 2], labels))
    ordered, at = quantiles[order], np.arange(len(order))
    named = escape_all(labels[order])
    figure = go.Figure()
    for low, high, colour, name in (
        (0, 4, "rgba(0,114,178,0.2)", "5 % to 95 %"),
        (1, 3, "rgba(0,114,178,0.45)", "25 % to 75 %"),
    ):
        figure.add_scatter(
            x=np.concatenate([at, at[::-1]]),
            y=np.concatenate([ordered[:, high], ordered[::-1, low]]),
            fill="toself", fillcolor=colour, line={"width": 0}, name=name, hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        x=at, y=ordered[:, 2], mode="lines", line={"color": COLOURS[1], "width": 1}, name="median",
        text=named, hovertemplate="%{text}: median %{y:.3g}<extra></extra>",
    )  # fmt: skip
    starts = np.flatnonzero(np.r_[True, labels[order][1:] != labels[order][:-1]])
    ends = np.r_[starts[1:], len(order)]
    figure.update_layout(
        xaxis={
            "tickvals": (starts + ends) / 2, "ticktext": named[starts],
            "title": "samples, by class and median",
        },
        yaxis_title=unit, height=450, legend={"orientation": "h", "y": 1.08},
    )  # fmt: skip
    for start in starts[1:]:
        figure.add_vline(x=start - 0.5, line={"color": OTHER, "width": 1, "dash": "dot"})
    return finish(figure, 20)


def missing_by_class(missing: np.ndarray, genes: int, groups: Sequence[str]) -> go.Figure:
    """The share of values that is missing in each class, in percent.

    Args:
        missing: (samples,) missing values.
        genes: how many genes a sample has.
        groups: (samples,) classes.
    """
    share = pd.Series(missing).groupby(np.asarray(groups, dtype=str)).mean() * 100 / genes
    figure = go.Figure(
        go.Bar(
            x=escape_all(share.index), y=share.to_numpy(), marker_color=COLOURS[0],
            hovertemplate="%{x}: %{y:.3g} % missing<extra></extra>",
        )
    )  # fmt: skip
    return finish(figure.update_layout(yaxis_title="missing values (%)", height=310), 20)


def class_sizes(counts: dict[str, int]) -> go.Figure:
    """Samples in each class."""
    figure = go.Figure(
        go.Bar(
            x=list(counts.values()), y=escape_all(counts), orientation="h",
            marker_color=[class_colours(counts)[name] for name in counts],
            text=list(counts.values()), hovertemplate="%{y}: %{x} samples<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title_text="samples")
    figure.update_layout(height=116 + 28 * len(counts))
    return finish(figure, 36)


def differences(table: pd.DataFrame, one: str, other: str, unit: str) -> go.Figure:
    """A volcano of two groups: how much each gene differs, and how surely.

    Args:
        table: gene, log2fc, p, fdr; the lowest p first.
        one: the group that is above 0 where a gene is higher in it.
        other: the other group.
        unit: title of the differences.
    """
    least = table.loc[table["p"] > 0, "p"].min() if (table["p"] > 0).any() else 1e-300
    sure = -np.log10(np.maximum(table["p"], least))
    figure, colours = go.Figure(), class_colours([one, other])
    found = table["fdr"] < SURE
    for chosen, title, colour, symbol in (
        (~found, "not sure", GREY, "circle"),
        (found & (table["log2fc"] > 0), f"higher in {one}", colours[one], "triangle-up"),
        (found & (table["log2fc"] < 0), f"higher in {other}", colours[other], "triangle-down"),
    ):
        part = table[chosen]
        draw = draw_points(figure, len(table))
        draw(
            x=part["log2fc"], y=sure[chosen], mode="markers", text=escape_all(part["gene"]),
            name=f"{escape_chart(title)} ({len(part):,})", customdata=part[["gene", "fdr"]],
            marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.7},
            hovertemplate="<b>%{text}</b><br>%{x:+.2f}, FDR %{customdata[1]:.2g}<extra></extra>",
        )  # fmt: skip
    named = table[found].head(LABELLED)
    points = zip(named["log2fc"], sure[named.index], strict=True)
    name_points(figure, dict(zip(named["gene"], points, strict=True)), table["log2fc"], sure)
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text=escape_chart(unit))
    figure.update_yaxes(title_text="−log10 p")
    figure.update_layout(
        height=560, legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"}, dragmode="zoom"
    )
    return finish(figure, 36)
