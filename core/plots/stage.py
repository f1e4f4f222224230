"""Charts for the stage: those of pages with type and marks that can be read from the back row."""

from typing import Any

import plotly.graph_objects as go

from core.errors import DamageError

USUAL = 13
"""Pixels of the type for which charts of pages are drawn."""


def restore_figure(document: dict[str, Any]) -> go.Figure:
    """A figure out of the JSON in which it was kept; raises DamageError if it isn't one."""
    try:
        return go.Figure(document)
    except (ValueError, TypeError):
        raise DamageError("This chart is damaged and can't be drawn. Pin it anew.") from None


def enlarge(figure: go.Figure, size: int, ink: str) -> go.Figure:
    """A copy that fills its place, with type of `size` pixels in the colour `ink`, and marks and
    lines to match."""
    figure = go.Figure(figure)
    times = size / USUAL
    font = {"font": {"size": size, "color": ink}}
    axis = {"tickfont": font["font"], "title": font, "automargin": True}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_annotations(font_size=size)
    for words in figure.layout.annotations:  # as far from what they name as their size asks
        moved = {name: getattr(words, name) for name in ("ax", "ay", "xshift", "yshift")}
        words.update({name: value * times for name, value in moved.items() if value is not None})
    figure.update_layout(
        **font, height=None, width=None, legend=font | {"title": font},
        hoverlabel_font_size=size, margin_t=max(size, figure.layout.margin.t or 0),
    )  # fmt: skip
    bars = [trace.colorbar for trace in figure.data if "colorbar" in trace]
    bars += [figure.layout.coloraxis.colorbar]
    for bar in bars:
        bar.update(tickfont=font["font"], title=font, thickness=12 * times)
    if figure.layout.margin.autoexpand is False:  # its colour bar has its room at once
        figure.update_layout(margin_r=(figure.layout.margin.r or 0) * times)
    for trace in figure.data:
        if "textfont" in trace:
            trace.textfont.size = size
        for part in ("marker", "line"):
            _scale(trace, part, "size" if part == "marker" else "width", times)
    return figure


def _scale(trace: Any, part: str, name: str, times: float) -> None:
    """Make a trace's marks larger, or its lines wider, where it has some of one size."""
    if part not in trace:
        return
    value = getattr(trace[part], name, None) if name in trace[part] else None
    if isinstance(value, int | float):
        trace[part][name] = value * times
    elif value is not None:
        trace[part][name] = [each * times for each in value]


def name_point(figure: go.Figure, curve: int, point: int) -> str | None:
    """What a point of a chart is called, such as the gene of a pixel; None where it has no name."""
    if not 0 <= curve < len(figure.data):
        return None
    names = getattr(figure.data[curve], "text", None) if "text" in figure.data[curve] else None
    if names is None or isinstance(names, str) or not 0 <= point < len(names):
        return None
    return str(names[point])
