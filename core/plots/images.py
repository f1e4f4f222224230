"""Gene-images coloured by what genes belong to, and measures of layouts side by side."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.escape import escape_all, escape_chart
from core.images.layout import GeneLayout
from core.plots.figures import (
    identify,
    lay_out_image,
    mark_free_pixels,
    name_pixels,
    place_pointers,
    shade,
)

NO_GROUP = "#D5D8DA"
SEVERAL = "#1B262C"
LONGEST = 60
"""Letters of a group's name in the legend."""
BESIDE = 14
"""Letters up to which the legend stands beside the image rather than below."""


def group_image(
    layout: GeneLayout,
    groups: np.ndarray,
    order: Sequence[str],
) -> go.Figure:
    """The canvas coloured by chromosome, gene set or module.

    Args:
        layout: where each gene stands.
        groups: (genes,) the group of each gene, empty for none.
        order: the groups, in the order of the legend; others count as none.
    """
    number = {name: index + 1 for index, name in enumerate(order)}
    several = len(order) + 1
    own = np.array([number.get(str(name), 0) for name in groups])
    low = np.full(layout.shape, several, dtype=np.int64)
    high = np.zeros(layout.shape, dtype=np.int64)
    np.minimum.at(low, (layout.row, layout.col), own)
    np.maximum.at(high, (layout.row, layout.col), own)
    image = np.where(low == high, high, several).astype(np.float32)
    mixed = image == several
    image[layout.free_pixels()] = np.nan
    shades = [NO_GROUP, *(shade(index) for index in range(len(order))), SEVERAL]
    steps = [(edge / len(shades), colour) for index, colour in enumerate(shades)
             for edge in (index, index + 1)]  # fmt: skip
    figure = go.Figure()
    figure.add_heatmap(
        z=image, zmin=-0.5, zmax=several + 0.5, colorscale=steps, showscale=False, hoverinfo="skip"
    )
    named = np.array([*order, ""], dtype=object)[own - 1]
    texts = np.array(  # plotly looks at each element of a list
        [
            f"{gene}<br>{group or 'none of these'}"
            for gene, group in zip(escape_all(name_pixels(layout)), escape_all(named), strict=True)
        ]
    )
    place_pointers(figure, layout, texts, "<b>%{text}</b><extra></extra>")
    present = [index for index in range(len(order)) if (own == index + 1).any()]
    entries = [(shorten(order[index]), shades[index + 1]) for index in present]
    if (own == 0).any():
        entries.append(("none of these", NO_GROUP))
    if (mixed & ~layout.free_pixels()).any():
        entries.append(("several", SEVERAL))
    for title, colour in entries:
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=escape_chart(title), hoverinfo="skip",
            marker={"symbol": "square", "size": 11, "color": colour},
        )  # fmt: skip
    lay_out_image(figure, *layout.shape)
    mark_free_pixels(figure, layout)
    identify(figure, layout.genes, layout.row, layout.col, own, list(order))
    legend = {"itemclick": False, "itemdoubleclick": False}
    if max((len(title) for title, _ in entries), default=0) > BESIDE:
        legend |= {"orientation": "h", "y": -0.06, "yanchor": "top"}
        figure.update_layout(height=figure.layout.height + 22 * len(entries))
    figure.update_layout(legend=legend)
    return figure


def share_limits(images: np.ndarray, *, diverging: bool) -> tuple[float, float]:
    """One colour scale for all images of a kind, whichever of them is shown.

    Args:
        images: (images, genes) values.
        diverging: whether 0 is the middle; else they are in [0, 1].
    """
    if not diverging:
        return 0.0, 1.0
    reach = float(np.quantile(np.abs(images), 0.998)) or 1.0
    return -reach, reach


def shorten(name: str) -> str:
    """A group's name, at most as long as the legend is wide."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
