"""Gene-images, and what all figures share: plotly, transparent, for light and dark pages."""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any
from urllib.parse import quote

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.escape import escape_all, escape_chart
from core.images.layout import GeneLayout

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#6A51A3",
           "#B2182B", "#4D4D4D", "#1B7837")  # fmt: skip
"""Okabe and Ito's colour-blind-safe palette (jfly.uni-koeln.de/color), and more for many."""
SEQUENTIAL = "Viridis"
DIVERGING = "RdBu_r"
FREE = (0.12, 0.45)
"""How opaque the grey fields are that show through free pixels; no colour scale is chequered."""
MANY_SAMPLES, FEW_SAMPLES = 3000, 50
"""With more than so many samples in all, classes of more than a few are drawn as boxes alone."""
NAMED = 4
"""Genes of one pixel that are named under the pointer; more are counted."""
GREY = "#888888"
INK, PAPER = "#1B262C", "#FFFFFF"
"""What marks a gene: dark with a light rim, so that it shows on every colour."""
TARGETS = "genes"
"""The trace of an image that takes hovers and clicks."""
CLICKED = "#FF1FA0"
"""The colour of the gene that was clicked, which is in none of the colour scales."""
SIDES = (
    (1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1), (1, -0.5), (-1, -0.5),
    (1, 0.5), (-1, 0.5), (-0.5, -1), (0.5, -1), (-0.5, 1), (0.5, 1),
)  # fmt: skip
"""Where a gene's name may stand beside its pixel: to the right, downwards."""
REACHES = (8, 26, 44, 64, 88)
"""Pixels between a gene and its name, the nearest that is free; from the second on a line leads
from one to the other."""
DOT = {"color": CLICKED, "size": 10}
ROOM = (760, 360)
"""Pixels that the points of a chart take at least, by which their names are placed."""


SHADES = 3
"""How many shades of each colour there are."""


def shade(index: int) -> str:
    """A colour for each of many groups: the palette, then lighter, then darker shades of it."""
    red, green, blue = (int(COLOURS[index % len(COLOURS)][at : at + 2], 16) for at in (1, 3, 5))
    turn = index // len(COLOURS) % SHADES
    target, share = ((0, 0.0), (255, 0.55), (0, 0.4))[turn]
    mixed = (round(part + (target - part) * share) for part in (red, green, blue))
    return "#" + "".join(f"{part:02X}" for part in mixed)


def class_colours(names: Iterable[str]) -> dict[str, str]:
    """Class -> its colour, by the order of the names: the same on every chart of a dataset."""
    return {name: shade(at) for at, name in enumerate(sorted({str(name) for name in names}))}


def gene_image(
    layout: GeneLayout,
    values: np.ndarray,
    *,
    name: str = "value",
    diverging: bool = False,
    limits: tuple[float, float] | None = None,
    marked: Sequence[str] = (),
    means: Mapping[str, np.ndarray] | None = None,
) -> go.Figure:
    """One gene-image with the gene under the pointer.

    A click on a heat map gives nothing back in Streamlit, so invisible square markers, one a gene
    in the order of the layout, lie over it and carry the names.

    Args:
        layout: where each gene stands.
        values: (genes,) in the order of the layout.
        name: what the values are.
        diverging: centre the colours on 0.
        limits: the lowest and highest colour; by default those of the values.
        marked: genes to circle; those that the layout lacks are left out.
        means: class -> (genes,) its mean, which stands under the pointer too.
    """
    low, high = limits or _limits(values, diverging)
    rows, columns = layout.shape
    means = means or {}
    image = layout.image(values)
    pointed = layout.image(np.stack([values, *means.values()]))[:, layout.row, layout.col]
    lines = escape_all([name, *(f"mean of {each}" for each in means)])
    figure = go.Figure()
    figure.add_heatmap(
        z=image,
        zmin=low,
        zmax=high,
        colorscale=DIVERGING if diverging else SEQUENTIAL,
        colorbar={"title": {"text": name, "side": "right"}, "thickness": 12},
        hoverinfo="skip",
    )
    place_pointers(
        figure, layout, escape_all(name_pixels(layout)),
        "<b>%{text}</b>" + "".join(
            f"<br>{line} %{{customdata[{at}]:.3g}}"
            for at, line in enumerate(lines)
        ) + "<extra></extra>",
        customdata=pointed.T,
    )  # fmt: skip
    mark_genes(figure, layout, marked)
    lay_out_image(figure, rows, columns)
    mark_free_pixels(figure, layout)
    keep_margin(figure)
    identify(figure, layout.genes, layout.row, layout.col, pointed, lines, low, high)
    return figure


def place_pointers(
    figure: go.Figure, layout: GeneLayout, texts: Sequence[str], template: str, **more: np.ndarray
) -> None:
    """Lay the invisible markers over an image: one a gene, in the order of the layout.

    A selected one is drawn as a dot with a rim, which the browser does by itself at a click.
    """
    size = max(4, 480 / layout.shape[0])
    figure.add_scattergl(
        x=layout.col,
        y=layout.row,
        mode="markers",
        name=TARGETS,
        marker={"size": size, "opacity": 0, "line": {"color": PAPER, "width": 2}},
        selected={"marker": DOT | {"opacity": 1}},
        unselected={"marker": {"opacity": 0}},
        text=texts,
        hovertemplate=template,
        showlegend=False,
        **more,
    )


def mark_clicked(figure: go.Figure, layout: GeneLayout, gene: str | None) -> None:
    """Mark a gene as a click would, and name it, until another one is clicked.

    Not by `selectedpoints`: a click on a gene that is among them takes its mark away.
    """
    if gene is None or gene not in layout.genes:
        return
    row, col = layout.pixel_of(gene)
    figure.add_scatter(
        x=[col], y=[row], mode="markers+text", text=[escape_chart(gene)], hoverinfo="skip",
        showlegend=False, textposition=_beside(row, col, layout.shape[1]),
        marker=DOT | {"line": {"color": PAPER, "width": 2}},
        textfont={"color": CLICKED, "size": 15, "shadow": f"0 0 3px {PAPER}, 0 0 3px {PAPER}"},
        unselected={"marker": {"opacity": 0}, "textfont": {"color": "rgba(0,0,0,0)"}},
    )  # fmt: skip


def _beside(row: int, col: int, columns: int) -> str:
    """Where a gene's name stands from its pixel, so that the image's edge doesn't cut it."""
    along = col / max(columns - 1, 1)
    side = "left" if along > 0.85 else "right" if along < 0.15 else "center"
    return f"{'top' if row > 2 else 'bottom'} {side}"


def let_draw(figure: go.Figure) -> int:
    """Let genes be drawn around on a figure with pointers; those inside are tinted.

    Returns the number of the trace whose selected points are the genes.
    """
    figure.update_layout(dragmode="lasso")
    number = [trace.name for trace in figure.data].index(TARGETS)
    marker = figure.data[number].marker
    figure.data[number].selected.marker.update(size=marker.size, opacity=0.5)
    return number


def mark_genes(figure: go.Figure, layout: GeneLayout, marked: Sequence[str]) -> None:
    """Circle genes and name them; those that the layout lacks are left out."""
    pixels = {gene: layout.pixel_of(gene) for gene in _painted(layout, marked)}
    figure.layout.shapes += tuple(
        ring for row, col in pixels.values() for ring in _circle(row, col)
    )
    for gene, (row, col) in pixels.items():
        figure.add_annotation(
            x=col, y=row, text=escape_chart(gene), ax=0, ay=-34 if row > 2 else 34, arrowhead=0,
            standoff=9, arrowcolor=INK, font={"color": INK, "size": 14}, bgcolor=PAPER,
            bordercolor=INK, borderpad=3,
        )  # fmt: skip


def name_genes(
    figure: go.Figure, layout: GeneLayout, genes: Sequence[str], *, side: int = 600
) -> None:
    """Name genes on an image, each as near to its pixel as it covers no other name and no mark.

    Args:
        figure: of `gene_image`; genes that are marked there are named already.
        layout: where each gene stands.
        genes: the most important first; those that the layout lacks are left out, and those whose
            name finds no room.
        side: pixels of the screen that the image takes.
    """
    scale = side / max(layout.shape)
    pixels = {gene: layout.pixel_of(gene) for gene in _painted(layout, genes)}
    points = {
        gene: ((col + 0.5) * scale, (row + 0.5) * scale) for gene, (row, col) in pixels.items()
    }
    taken = [_box(*point, 8, 8) for point in points.values()]
    for mark in figure.layout.annotations:
        if mark.showarrow is not False:  # of `mark_genes`: a ring, and a name in a frame
            x, y = (mark.x + 0.5) * scale, (mark.y + 0.5) * scale
            taken += [
                _box(x, y, 24, 24),
                _box(x + mark.ax, y + mark.ay, 9 * len(mark.text) + 14, 26),
            ]
    places = _place_names(points, taken, (side, side))
    for gene, place in places.items():
        row, col = pixels[gene]
        figure.add_annotation(
            x=col, y=row, text=escape_chart(gene), font={"color": INK, "size": 13},
            bgcolor="rgba(255,255,255,0.7)", borderpad=0, arrowcolor=INK, **place,
        )  # fmt: skip
    if not places:
        return
    rows, columns = zip(*(pixels[gene] for gene in places), strict=True)
    figure.add_scatter(
        x=columns, y=rows, mode="markers", text=escape_all(places), hoverinfo="skip",
        showlegend=False,
        marker={"color": INK, "size": 5, "line": {"color": PAPER, "width": 1.5}},
        unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def name_points(
    figure: go.Figure, points: Mapping[str, tuple[float, float]], x: np.ndarray, y: np.ndarray
) -> None:
    """Name points of a chart, each as near as it covers no other name and no point that is named.

    Args:
        figure: the chart.
        points: name -> x and y, the most important first; those whose name finds no room have none.
        x: of all points; finite ones say how far the axis goes.
        y: the same.
    """
    (left, right), (low, high) = ((np.nanmin(each), np.nanmax(each)) for each in (x, y))
    across, up = ROOM[0] / ((right - left) or 1), ROOM[1] / ((high - low) or 1)
    pixels = {
        name: ((at - left) * across, (high - height) * up) for name, (at, height) in points.items()
    }
    taken = [_box(*pixel, 10, 10) for pixel in pixels.values()]
    for name, place in _place_names(pixels, taken, ROOM).items():
        at, height = points[name]
        figure.add_annotation(
            x=at, y=height, text=escape_chart(name), borderpad=0, arrowcolor=GREY, **place
        )


def _place_names(
    points: Mapping[str, tuple[float, float]], taken: list[tuple], room: tuple[float, float]
) -> dict[str, dict[str, Any]]:
    """Where names stand beside their points: name -> what an annotation says of it.

    Args:
        points: name -> pixels from the left and from the top, the most important first; names that
            find no room are left out.
        taken: left, top, right and bottom of what names may not cover.
        room: width and height in pixels, over which no name reaches.
    """
    found, taken = {}, [*taken]
    for name, (x, y) in points.items():
        wide = 8 * len(name) + 4
        place = _find_place(x, y, wide, taken, room)
        if place is None:
            continue
        right, down, far = place
        taken.append(_box(x + right, y + down, wide, 16))
        found[name] = (
            {"showarrow": True, "ax": right, "ay": down, "arrowhead": 0, "arrowwidth": 1.2,
             "standoff": 3}
            if far else {"showarrow": False, "xshift": right, "yshift": -down}
        )  # fmt: skip
    return found


def _box(x: float, y: float, wide: float, high: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a box around a point."""
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _find_place(
    x: float, y: float, wide: float, taken: Sequence[tuple], room: tuple[float, float]
) -> tuple[float, float, bool] | None:
    """Where a name of that width stands from its gene, rightwards and downwards, and whether it
    needs a line; None where no place is free."""
    for number, reach in enumerate(REACHES):
        for right, down in SIDES:
            place = right * (wide / 2 + reach), down * (reach + 7)
            left, top, end, bottom = box = _box(x + place[0], y + place[1], wide, 16)
            inside = left >= 0 and end <= room[0] and top >= 0 and bottom <= room[1]
            if inside and not any(_meet(box, other) for other in taken):
                return *place, number > 0
    return None


def _meet(one: tuple, other: tuple) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def identify(figure: go.Figure, *drawn: object) -> None:
    """Give a figure the revision by which one knows whether it shows the same as another.

    Args:
        drawn: arrays and words that its traces follow from.
    """
    digest = blake2b(digest_size=8)
    for part in drawn:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    figure.layout.datarevision = digest.hexdigest()


def name_pixels(layout: GeneLayout) -> np.ndarray:
    """(genes,) what stands on the pixel of each gene: the gene, or it and those beside it."""
    if not layout.shared_pixels():
        return layout.genes
    pixel = layout.row * layout.shape[1] + layout.col
    order = np.argsort(pixel, kind="stable")
    borders = np.flatnonzero(np.diff(pixel[order])) + 1
    names = layout.genes.astype(object)
    for members in np.split(order, borders):
        if len(members) > 1:
            listed = ", ".join(layout.genes[members[:NAMED]].tolist())
            more = f" and {len(members) - NAMED} more" if len(members) > NAMED else ""
            names[members] = f"{listed}{more} (one pixel, their mean)"
    return names.astype(str)


def mark_free_pixels(figure: go.Figure, layout: GeneLayout) -> None:
    """Chequer the pixels of an image that hold no gene, and say how many they are."""
    free = layout.free_pixels()
    if not free.any():
        return
    figure.update_layout(images=[_chequer(layout.shape, "x", "y")])
    figure.add_annotation(
        text=f"chequered: {free.sum():,} free pixels, no gene", showarrow=False, x=0, y=-0.01,
        xref="paper", yref="paper", xanchor="left", yanchor="top", font={"size": 12},
    )  # fmt: skip


def _chequer(shape: tuple[int, int], xref: str, yref: str) -> dict:
    """A chequer of two by two fields a pixel (SVG, some hundred bytes) under an image with holes.

    With one field a pixel every other one looked like a gene of the middle value.
    """
    rows, columns = shape
    light, dark = (f"fill='#808080' fill-opacity='{share}'" for share in FREE)
    picture = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{8 * columns}' height='{8 * rows}' "
        f"viewBox='0 0 {columns} {rows}' preserveAspectRatio='none' shape-rendering='crispEdges'>"
        "<pattern id='fields' width='1' height='1' patternUnits='userSpaceOnUse'>"
        f"<path {light} d='M0 0h.5v1h.5v-.5h-1z'/><path {dark} d='M.5 0h.5v.5h-1v.5h.5z'/>"
        "</pattern>"
        f"<rect width='{columns}' height='{rows}' fill='url(#fields)'/></svg>"
    )
    return {
        "source": "data:image/svg+xml," + quote(picture), "xref": xref, "yref": yref, "x": -0.5,
        "y": -0.5, "sizex": columns, "sizey": rows, "sizing": "stretch", "layer": "below",
    }  # fmt: skip


def image_grid(
    layout: GeneLayout,
    values: np.ndarray,
    titles: Sequence[str],
    *,
    name: str = "value",
    diverging: bool = False,
    limits: tuple[float, float] | None = None,
    marked: Sequence[str] = (),
    columns: int = 4,
) -> go.Figure:
    """Several gene-images (images, genes) on one colour scale, so that they can be compared.

    The names under the pointer are sent once, as the template of all images. The arguments are
    those of `gene_image`.
    """
    low, high = limits or _limits(values, diverging)
    rows = -(-len(titles) // columns)
    figure = make_subplots(
        rows, columns, subplot_titles=list(escape_all(titles)), horizontal_spacing=0.02,
        vertical_spacing=0.12 / max(rows, 1),
    )  # fmt: skip
    pointed = np.full(layout.shape, "free pixel", dtype=object)
    pointed[layout.row, layout.col] = escape_all(name_pixels(layout))
    pixels = [layout.pixel_of(gene) for gene in _painted(layout, marked)]
    for index, image in enumerate(layout.image(values)):
        figure.add_heatmap(
            z=image, coloraxis="coloraxis",
            hovertemplate="<b>%{text}</b><br>" + name + " %{z:.3g}<extra></extra>",
            row=index // columns + 1, col=index % columns + 1,
        )  # fmt: skip
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed")
    axes = ["", *map(str, range(2, len(titles) + 1))]
    free = layout.free_pixels().any()
    figure.update_layout(
        {f"yaxis{axis}": {"scaleanchor": f"x{axis}", "constrain": "domain"} for axis in axes},
        images=[_chequer(layout.shape, f"x{axis}", f"y{axis}") for axis in axes if free],
        shapes=[ring for axis in axes for row, col in pixels for ring in _circle(row, col, axis)],
        coloraxis={
            "cmin": low, "cmax": high, "colorscale": DIVERGING if diverging else SEQUENTIAL,
            "colorbar": {"title": {"text": name, "side": "right"}, "thickness": 12, "x": 1},
        },
        height=60 + 260 * rows,
        margin_pad=0,
    )  # fmt: skip
    names = zip(_painted(layout, marked), pixels, strict=True)
    figure.layout.annotations += tuple(
        _name_beside(gene, row, col, axis, layout.shape[1])
        for gene, (row, col) in names
        for axis in axes
    )
    finish(figure, 40)
    figure.layout.template.data.heatmap = [{"text": pointed.astype(str)}]  # updates would copy it
    keep_margin(figure)
    return figure


def _name_beside(gene: str, row: int, col: int, axis: str, columns: int) -> dict:
    """A gene's name beside its ring on a small image, on the side that has room."""
    right = col < columns / 2
    return {
        "xref": f"x{axis}", "yref": f"y{axis}", "x": col, "y": row, "text": escape_chart(gene),
        "showarrow": False, "xanchor": "left" if right else "right", "xshift": 13 if right else -13,
        "font": {"size": 12, "color": INK}, "bgcolor": "rgba(255,255,255,0.85)", "borderpad": 1,
    }  # fmt: skip


def keep_margin(figure: go.Figure) -> None:
    """Give a colour bar its room at once: plotly else draws all, measures it, and draws again."""
    figure.update_layout(margin_r=90, margin_autoexpand=False)


def region_map(image: np.ndarray, *, name: str, diverging: bool) -> go.Figure:
    """A coarse map (rows, columns) as it was computed, over the whole image."""
    low, high = _limits(image, diverging)
    figure = go.Figure(
        go.Heatmap(
            z=image, zmin=low, zmax=high, colorscale=DIVERGING if diverging else SEQUENTIAL,
            colorbar={"title": {"text": name, "side": "right"}, "thickness": 12},
            hovertemplate="row %{y}, column %{x}: %{z:.3g}<extra></extra>",
        )
    )  # fmt: skip
    lay_out_image(figure, *image.shape)
    return figure


def expression_by_class(values: np.ndarray, labels: np.ndarray, gene: str) -> go.Figure:
    """A gene's log2 expression (samples,) in each class; up to 3000 samples each a point.

    Of more, only boxes go to the browser, but for small classes; whiskers end at the outermost
    samples within 1.5 times the box's height from it (Tukey). Missing values are left out.
    """
    figure = go.Figure()
    many = len(values) > MANY_SAMPLES
    colours = class_colours(labels)
    for name in np.unique(labels):
        own = values[(labels == name) & np.isfinite(values)]
        if not many or len(own) <= FEW_SAMPLES:
            drawn = {"y": own, "jitter": 0.5, "pointpos": 0, "boxpoints": "all"}
        else:
            low, middle, high = np.quantile(own, [0.25, 0.5, 0.75])
            inside = own[np.abs(own - (low + high) / 2) <= 2 * (high - low)]
            drawn = {"q1": [low], "median": [middle], "q3": [high], "x": [escape_chart(str(name))],
                     "lowerfence": [inside.min()], "upperfence": [inside.max()]}  # fmt: skip
        figure.add_box(
            name=escape_chart(str(name)), line={"width": 1.2},
            marker={"size": 4, "opacity": 0.55, "color": colours[str(name)]}, **drawn,
        )  # fmt: skip
    figure.update_yaxes(title_text=f"{escape_chart(gene)}, log2 expression")
    if many:
        figure.update_xaxes(title_text=f"no outliers drawn of classes above {FEW_SAMPLES} samples")
    figure.update_layout(height=366, showlegend=False)
    return finish(figure, 36)


def _limits(values: np.ndarray, diverging: bool) -> tuple[float, float]:
    finite = np.asarray(values)[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    if diverging:
        reach = float(np.quantile(np.abs(finite), 0.999)) or 1.0
        return -reach, reach
    low, high = float(finite.min()), float(finite.max())
    return low, high if high > low else low + 1.0


def _painted(layout: GeneLayout, genes: Sequence[str]) -> list[str]:
    known = set(layout.genes.tolist())
    return [gene for gene in genes if gene in known]


def _circle(row: int, col: int, axis: str = "") -> list[dict]:
    """A dark ring with a light rim, of one size at any zoom, around a pixel of an image."""
    return [
        {
            "type": "circle", "xref": f"x{axis}", "yref": f"y{axis}", "xsizemode": "pixel",
            "ysizemode": "pixel", "xanchor": col, "yanchor": row, "x0": -9, "x1": 9, "y0": -9,
            "y1": 9, "line": {"color": colour, "width": width},
        }
        for colour, width in ((PAPER, 6), (INK, 2.5))
    ]  # fmt: skip


def lay_out_image(figure: go.Figure, rows: int, columns: int) -> None:
    """Square pixels, the first row at the top, no axes."""
    figure.update_xaxes(visible=False, range=[-0.5, columns - 0.5], constrain="domain")
    figure.update_yaxes(
        visible=False, range=[rows - 0.5, -0.5], scaleanchor="x", constrain="domain"
    )
    figure.update_layout(height=640, dragmode="zoom", margin_pad=0)
    finish(figure, 10)


def finish(figure: go.Figure, top: int) -> go.Figure:
    """Make a figure transparent, for light and dark pages, with `top` pixels of room above."""
    clear = "rgba(0,0,0,0)"
    return figure.update_layout(
        margin={"l": 10, "r": 10, "t": top, "b": 30}, paper_bgcolor=clear, plot_bgcolor=clear,
        modebar_bgcolor=clear,
    )  # fmt: skip
