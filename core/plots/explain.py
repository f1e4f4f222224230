"""Figures of the Explain page: volcano, trust curves, enriched gene sets."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.escape import escape_all, escape_chart
from core.explain.genes import top_rows
from core.images.layout import GeneLayout
from core.plots.figures import COLOURS, GREY, INK, PAPER, finish, name_points

BAND = "rgba(140,140,140,0.3)"
LABELLED = 12
"""So many of the first genes of a volcano are named."""
LABELLED_SETS = 25
"""With more sets in a network their names would cover each other."""
LIMITS = {"green": "#1B7837", "red": "#B2182B"}


def volcano(table: pd.DataFrame, both: Collection[str], only: Collection[str]) -> go.Figure:
    """Scores against log2 fold changes, one point a gene.

    Args:
        table: gene, score, log2fc, rank, tied.
        both: top genes that classical statistics rank high as well.
        only: top genes that they don't.
    """
    figure = go.Figure()
    named = top_rows(table, LABELLED)
    for genes, title, colour, size in (
        (None, "other genes", GREY, 5),
        (both, "top gene, of a baseline model too", COLOURS[0], 8),
        (only, "top gene of the network only", COLOURS[1], 9),
    ):
        chosen = ~table["gene"].isin({*both, *only}) if genes is None else table["gene"].isin(genes)
        part = table[chosen]
        figure.add_scatter(
            x=part["log2fc"], y=part["score"], mode="markers", name=f"{title} ({len(part)})",
            text=escape_all(part["gene"]), customdata=part["rank"],
            marker={
                "color": colour, "size": size, "opacity": 0.5 if genes is None else 0.85,
                "symbol": "diamond" if genes is only else "circle",
            },
            hovertemplate="<b>%{text}</b><br>rank %{customdata}, score %{y:.3g}, log2 fold change "
            "%{x:.2f}<extra></extra>",
        )  # fmt: skip
    points = zip(named["log2fc"], named["score"], strict=True)
    name_points(
        figure, dict(zip(named["gene"], points, strict=True)), table["log2fc"], table["score"]
    )
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="log2 fold change, class against the others")
    figure.update_yaxes(title_text="score")
    return finish(figure.update_layout(height=480), 20)


def removal_curves(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> go.Figure:
    """Class score while genes go or come, beside random orders.

    Args:
        curves: title -> share, curve, random, random_low, random_high (shares of the genes).
    """
    figure = make_subplots(1, len(curves), subplot_titles=list(curves), horizontal_spacing=0.1)
    for place, curve in enumerate(curves.values(), 1):
        share = np.asarray(curve["share"])
        figure.add_scatter(
            x=np.concatenate([share, share[::-1]]),
            y=np.concatenate([curve["random_high"], curve["random_low"][::-1]]),
            fill="toself", fillcolor=BAND, line={"width": 0}, hoverinfo="skip",
            name="range of the random orders", showlegend=place == 1, row=1, col=place,
        )  # fmt: skip
        for key, title, colour, dash in (
            ("random", "random order (mean)", GREY, "dot"),
            ("curve", "highest score first", COLOURS[0], "solid"),
        ):
            figure.add_scatter(
                x=share, y=curve[key], mode="lines+markers", name=title, showlegend=place == 1,
                line={"color": colour, "dash": dash}, row=1, col=place,
                hovertemplate="%{x:.0%} of the genes: %{y:.3g}<extra>" + title + "</extra>",
            )  # fmt: skip
    figure.update_xaxes(title_text="share of the genes", tickformat=".0%")
    figure.update_yaxes(title_text="class score", col=1)
    figure.update_layout(legend={"orientation": "h", "y": -0.28})
    return finish(figure.update_layout(height=380), 40)


def randomisation_steps(
    layers: Sequence[str], similarity: Sequence[float], green: float, red: float
) -> go.Figure:
    """How like the map stays while the network forgets, layer by layer from the head on.

    Args:
        layers: names, in the order in which they were made random.
        similarity: absolute rank correlation with the true map after each.
        green: at the end, values up to this are good.
        red: at the end, values from this on are bad.
    """
    words = ["trained", *(f"+ {layer}" if number else layer for number, layer in enumerate(layers))]
    figure = go.Figure(
        go.Scatter(
            x=words, y=[1.0, *similarity], mode="lines+markers", line={"color": COLOURS[0]},
            hovertemplate="%{x}: %{y:.2f}<extra></extra>", showlegend=False,
        )
    )  # fmt: skip
    for name, limit in (("green", green), ("red", red)):
        figure.add_hline(
            y=limit, line={"color": LIMITS[name], "dash": "dash", "width": 1.5},
            annotation_text=f"{name} {'below' if name == 'green' else 'above'} {limit:g}",
            annotation_position="top right",
        )  # fmt: skip
    figure.update_xaxes(title_text="made random, from the head to the image")
    figure.update_yaxes(title_text="similarity to the true map", range=[-0.03, 1.06])
    return finish(figure.update_layout(height=380), 40)


def set_dots(table: pd.DataFrame, x: str, title: str, count: str, words: str) -> go.Figure:
    """Gene sets as dots: how strong, how many genes, how sure.

    Args:
        table: set, fdr, and the two columns named next; the most interesting set first.
        x: column of the strength.
        title: what that is.
        count: column of the number of genes, which gives the dot's area.
        words: what these genes are.
    """
    shown = table.iloc[::-1]
    names = [_cut(name) for name in shown["set"]]
    sure = -np.log10(np.clip(shown["fdr"], 1e-10, 1))
    size = 8 + 22 * np.sqrt(shown[count] / max(shown[count].max(), 1))
    figure = go.Figure(
        go.Scatter(
            x=shown[x], y=names, mode="markers",
            customdata=np.stack([shown["fdr"], shown[count]], axis=1),
            text=escape_all(shown["set"]),
            marker={
                "size": size, "color": sure, "colorscale": "Viridis", "cmin": 0,
                "cmax": max(2.0, float(sure.max())), "line": {"width": 1, "color": GREY},
                "colorbar": {"title": {"text": "−log10 FDR", "side": "right"}, "thickness": 12},
            },
            hovertemplate="<b>%{text}</b><br>" + title + " %{x:.2f}, %{customdata[1]:.0f} " + words
            + ", FDR %{customdata[0]:.2g}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text=title)
    figure.update_yaxes(automargin=True)
    return finish(figure.update_layout(height=140 + 26 * len(shown)), 20)


def set_bars(table: pd.DataFrame, title: str) -> go.Figure:
    """Gene sets as bars: what each does to the class score, with its SD over samples.

    Args:
        table: set, score, sd, size (genes); the highest score first.
        title: what a score is.
    """
    shown = table.iloc[::-1]
    figure = go.Figure(
        go.Bar(
            x=shown["score"], y=[_cut(name) for name in shown["set"]], orientation="h",
            error_x={"type": "data", "array": shown["sd"], "color": GREY, "thickness": 1},
            marker={"color": np.where(shown["score"] >= 0, COLOURS[1], COLOURS[0])},
            customdata=shown["size"], text=escape_all(shown["set"]), textposition="none",
            hovertemplate="<b>%{text}</b><br>%{customdata} genes, score %{x:.3g}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text=f"{title}, mean ± SD over samples")
    figure.update_yaxes(automargin=True)
    return finish(figure.update_layout(height=140 + 24 * len(shown)), 20)


def set_network(table: pd.DataFrame, links: pd.DataFrame) -> go.Figure:
    """Gene sets as points, linked where they share genes.

    Args:
        table: set, x, y, size (genes), fdr, genes (a list); a point's area is its genes.
        links: first, second, shared, overlap.
    """
    at = table.set_index("set")
    figure = go.Figure()
    for width, low, high in ((1, 0, 0.75), (3, 0.75, 2)):
        part = links[(links["overlap"] >= low) & (links["overlap"] < high)]
        ends = np.stack(
            [at.loc[part[end], ["x", "y"]].to_numpy() for end in ("first", "second")], 1
        )
        gaps = np.full((len(part), 1, 2), np.nan)
        x, y = np.concatenate([ends, gaps], axis=1).reshape(-1, 2).T
        figure.add_scatter(
            x=x, y=y, mode="lines", hoverinfo="skip", line={"color": GREY, "width": width},
            opacity=0.6, name="three quarters of the smaller set or more" if low else
            "half of the smaller set or more", showlegend=bool(len(part)),
        )  # fmt: skip
    sure = -np.log10(np.clip(table["fdr"], 1e-10, 1))
    named = [_cut(name, 28) for name in table["set"]]
    figure.add_scatter(
        x=table["x"], y=table["y"], mode="markers+text" if len(table) <= LABELLED_SETS
        else "markers", text=named, textposition="top center", name="sets", showlegend=False,
        customdata=np.stack(
            [table["set"], table["size"], table["fdr"], table["genes"].map(_some_genes)], axis=1
        ),
        hovertext=escape_all(table["set"]),
        marker={
            "size": 10 + 26 * np.sqrt(table["size"] / table["size"].max()), "color": sure,
            "colorscale": "Viridis", "cmin": 0, "cmax": max(2.0, float(sure.max())), "opacity": 1,
            "line": {"width": 1, "color": GREY},
            "colorbar": {"title": {"text": "−log10 FDR", "side": "right"}, "thickness": 12},
        },
        hovertemplate="<b>%{hovertext}</b><br>%{customdata[1]} genes, FDR "
        "%{customdata[2]:.2g}<br>%{customdata[3]}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.update_layout(legend={"orientation": "h", "y": -0.02})
    return finish(figure.update_layout(height=560), 20)


def _cut(name: str, most: int = 48) -> str:
    return escape_chart(name if len(name) <= most else f"{name[: most - 1]}…")


def _some_genes(genes: Sequence[str]) -> str:
    """Genes for a hover, in lines of six."""
    shown = [*escape_all(genes[:24]), *(["…"] if len(genes) > 24 else [])]
    return "<br>".join(", ".join(shown[at : at + 6]) for at in range(0, len(shown), 6))


def running_sum(running: np.ndarray, hits: np.ndarray, genes: Sequence[str]) -> go.Figure:
    """GSEA's running sum along a ranking, with the set's genes as ticks below it.

    Args:
        running: (genes,) the sum.
        hits: positions of the set's genes.
        genes: (genes,) names in the order of the ranking.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=np.arange(1, len(running) + 1), y=running, mode="lines", line={"color": COLOURS[0]},
        showlegend=False, hoverinfo="skip",
    )  # fmt: skip
    base = float(running.min()) - 0.08
    figure.add_scatter(
        x=hits + 1, y=np.full(len(hits), base), mode="markers",
        text=escape_all(np.asarray(genes)[hits]),
        marker={"symbol": "line-ns-open", "size": 16, "color": COLOURS[1]}, showlegend=False,
        hovertemplate="<b>%{text}</b>, place %{x}<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    figure.update_xaxes(title_text="genes by score, highest first")
    figure.update_yaxes(title_text="running sum")
    return finish(figure.update_layout(height=340), 20)


def circle_genes(figure: go.Figure, layout: GeneLayout, genes: Collection[str]) -> go.Figure:
    """Circle genes on a gene-image, without their names; those that the layout lacks are left out.

    Gives back the figure that it changes.
    """
    chosen = np.isin(layout.genes, list(genes))
    size = max(8, 420 / layout.shape[0])
    for colour, width in ((PAPER, 5), (INK, 2)):
        figure.add_scatter(
            x=layout.col[chosen], y=layout.row[chosen], mode="markers", hoverinfo="skip",
            showlegend=False,
            marker={"symbol": "circle-open", "size": size, "color": colour, "line_width": width},
        )  # fmt: skip
    return figure


def expression_by_value(table: pd.DataFrame, gene: str, target: str) -> go.Figure:
    """A gene's expression against the value that is predicted.

    Args:
        table: columns sample, value, log2_expression.
        gene: its id.
        target: what is predicted.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=table["log2_expression"], y=table["value"], mode="markers",
        marker={"color": COLOURS[0], "size": 7, "opacity": 0.7}, text=escape_all(table["sample"]),
        hovertemplate="%{text}: %{x:.2f}, %{y:.4g}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title_text=f"log2 expression of {escape_chart(gene)}")
    figure.update_yaxes(title_text=escape_chart(target))
    figure.update_layout(height=320)
    return finish(figure, 36)
