"""Charts of very many points as still pictures (SVG) for reports: a tenth of the interactive one.

Draws what large charts of ours are made of: heat maps and points, lines and words on linear axes.
A heat map becomes a picture of its pixels; points of one colour become one path.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.colors import get_colorscale, sample_colorscale

STEPS = 32
"""Shades of a colour scale that points are drawn in."""
MARGIN = {"l": 70, "r": 110, "t": 40, "b": 56}
LINE, TYPE, SMALL = 20, 14, 12
INK, AXIS, GRID = "#1B262C", "#9AA3A8", "#E3E7E9"
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class _Panel:
    """A pair of axes on the page: values to pixels."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, values: np.ndarray) -> np.ndarray:
        return self.left + (values - self.x[0]) / (self.x[1] - self.x[0]) * self.width

    def down(self, values: np.ndarray) -> np.ndarray:
        return self.top + (self.y[1] - values) / (self.y[1] - self.y[0]) * self.height


def draw_still(figure: go.Figure, width: int) -> str | None:
    """A figure as SVG, or None where it holds what is not drawn here: bars, boxes, logarithms.

    Args:
        figure: a chart of ours, with its height.
        width: pixels.
    """
    document = figure.to_plotly_json()
    traces, layout = document["data"], document.get("layout", {})
    drawn = [trace for trace in traces if _is_seen(trace)]
    panels = {}
    for trace in drawn:
        axes = trace.get("xaxis", "x"), trace.get("yaxis", "y")
        if trace["type"] not in ("heatmap", "scatter", "scattergl"):
            return None
        if any(_axis(layout, axis).get("type", "linear") != "linear" for axis in axes):
            return None
        if any(values.dtype.kind not in "iuf" for values in _places(trace)):
            return None
        panels.setdefault(axes, []).append(trace)
    height = int(layout.get("height") or 420)
    legend = [trace for trace in traces if trace.get("name") and trace.get("showlegend", True)]
    legend = [trace for trace in legend if trace["type"] != "heatmap"] if len(legend) > 1 else []
    parts: list[str] = []
    for axes, own in panels.items():
        panel = _place(layout, axes, own, width, height)
        parts += _draw_axes(layout, axes, panel)
        for trace in own:
            draw = _draw_heat if trace["type"] == "heatmap" else _draw_points
            parts += draw(trace, layout, panel)
    parts += _draw_words(layout, panels, width, height)
    parts += _draw_legend(legend, width, height)
    below = LINE * -(-len(legend) // 4)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + below}" '
        f'width="{width}" height="{height + below}" font-family="inherit" font-size="{SMALL}" '
        f'fill="{INK}">{"".join(parts)}</svg>'
    )


def _is_seen(trace: dict[str, Any]) -> bool:
    """Whether a trace is more than an entry of the legend or a target of the pointer."""
    if trace["type"] == "heatmap":
        return True
    places = _places(trace)
    only_markers = trace.get("mode", "markers") == "markers"
    hidden = only_markers and trace.get("marker", {}).get("opacity") == 0
    return not hidden and all(len(values) for values in places) and not _is_blank(trace)


def _is_blank(trace: dict[str, Any]) -> bool:
    return list(_array(trace.get("x", ()))) == [None]


def _array(values: Any) -> np.ndarray:
    """Numbers of a figure, which plotly may hold as text."""
    if isinstance(values, dict) and "bdata" in values:
        flat = np.frombuffer(base64.b64decode(values["bdata"]), np.dtype(values["dtype"]))
        shape = values.get("shape")
        return flat.reshape([int(n) for n in str(shape).split(",")]) if shape else flat
    return np.asarray(values)


def _places(trace: dict[str, Any]) -> list[np.ndarray]:
    """Where a trace's points or pixels stand: across, down."""
    if trace["type"] != "heatmap":
        return [_array(trace.get(name, ())) for name in ("x", "y")]
    rows, columns = _array(trace["z"]).shape
    given = [_array(trace[name]) if trace.get(name) is not None else None for name in ("x", "y")]
    # plotly puts rows with names side by side too
    return [
        np.arange(n) if each is None or each.dtype.kind not in "iuf" else each
        for each, n in zip(given, (columns, rows), strict=True)
    ]


def _axis(layout: dict[str, Any], axis: str) -> dict[str, Any]:
    return layout.get(f"{axis[0]}axis{axis[1:]}", {})


def _place(
    layout: dict[str, Any], axes: tuple[str, str], traces: list[dict], width: int, height: int
) -> _Panel:
    ranges = []
    for at, axis in enumerate(axes):
        own = _axis(layout, axis)
        found = own.get("range")
        if found is None:
            values = np.concatenate([_places(trace)[at].astype(float) for trace in traces])
            values = values[np.isfinite(values)]
            low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
            heat = any(trace["type"] == "heatmap" for trace in traces)
            room = 0.5 if heat else 0.04 * (high - low or 1)
            found = (low - room, high + room)
            found = found[::-1] if own.get("autorange") == "reversed" else found
        ranges.append((float(found[0]), float(found[1])))
    (left, right), (bottom, top) = (
        _axis(layout, axis).get("domain") or (0.0, 1.0) for axis in axes
    )
    inner = width - MARGIN["l"] - MARGIN["r"], height - MARGIN["t"] - MARGIN["b"]
    box = [MARGIN["l"] + left * inner[0], MARGIN["t"] + (1 - top) * inner[1],
           (right - left) * inner[0], (top - bottom) * inner[1]]  # fmt: skip
    if _axis(layout, axes[1]).get("scaleanchor") or _axis(layout, axes[0]).get("scaleanchor"):
        units = [abs(high - low) for low, high in ranges]
        scale = min(box[2] / units[0], box[3] / units[1])
        size = units[0] * scale, units[1] * scale
        box = [box[0] + (box[2] - size[0]) / 2, box[1] + (box[3] - size[1]) / 2, *size]
    return _Panel(*box, *ranges)


def _ticks(low: float, high: float) -> np.ndarray:
    """About five round numbers of a range."""
    low, high = min(low, high), max(low, high)
    raw = (high - low) / 5
    unit = 10.0 ** np.floor(np.log10(raw))
    step = unit * next(times for times in (1, 2, 5, 10) if unit * times >= raw)
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def _draw_axes(layout: dict[str, Any], axes: tuple[str, str], panel: _Panel) -> Iterator[str]:
    x, y = (_axis(layout, axis) for axis in axes)
    bottom, middle = panel.top + panel.height, panel.left + panel.width / 2
    if x.get("visible", True):
        values = _ticks(*panel.x)
        for value, at in zip(values, panel.across(values), strict=True):
            yield _line(at, panel.top, at, bottom, GRID)
            yield _text(at, bottom + 16, f"{value + 0:g}", "middle")
        yield _text(middle, bottom + 38, _title(x), "middle", TYPE)
    if y.get("visible", True):
        values = _ticks(*panel.y)
        for value, at in zip(values, panel.down(values), strict=True):
            yield _line(panel.left, at, panel.left + panel.width, at, GRID)
            yield _text(panel.left - 6, at + 4, f"{value + 0:g}", "end")
        place = panel.left - 48, panel.top + panel.height / 2
        turned = f' transform="rotate(-90 {place[0]:.0f} {place[1]:.0f})"'
        yield _text(*place, _title(y), "middle", TYPE, turned)


def _title(axis: dict[str, Any]) -> str:
    return str((axis.get("title") or {}).get("text") or "")


def _colours(layout: dict[str, Any], trace: dict[str, Any]) -> tuple[np.ndarray, float, float, Any]:
    """(256, 3) colours, the lowest and highest value, and the title of a heat map."""
    own = layout.get("coloraxis", {}) if trace.get("coloraxis") else trace
    low, high = own.get("cmin", own.get("zmin")), own.get("cmax", own.get("zmax"))
    z = _array(trace["z"]).astype(float)
    low = float(np.nanmin(z)) if low is None else float(low)
    high = float(np.nanmax(z)) if high is None else float(high)
    bar = own.get("colorbar", {}) if own.get("showscale", True) else None
    return _scale(own.get("colorscale") or "Viridis", 256), low, high, bar


def _scale(name: Any, steps: int) -> np.ndarray:
    """(steps, 3) colours of a scale, from its lowest to its highest."""
    scale = get_colorscale(name) if isinstance(name, str) else [list(pair) for pair in name]
    at = np.linspace(0, 1, steps)
    texts = [colour for _, colour in scale]
    if all(str(text).startswith("#") for text in texts):
        known = np.array([[int(text[k : k + 2], 16) for k in (1, 3, 5)] for text in texts])
        edges = np.array([edge for edge, _ in scale], dtype=float)
        return np.stack([np.interp(at, edges, known[:, k]) for k in range(3)], 1).astype(np.uint8)
    found = sample_colorscale(scale, at.tolist())
    return np.array([re.findall(r"[\d.]+", each)[:3] for each in found], float).astype(np.uint8)


def _draw_heat(trace: dict[str, Any], layout: dict[str, Any], panel: _Panel) -> Iterator[str]:
    z = _array(trace["z"]).astype(float)
    colours, low, high, bar = _colours(layout, trace)
    share = np.clip((z - low) / ((high - low) or 1), 0, 1)
    picture = np.zeros((*z.shape, 4), np.uint8)
    known = np.isfinite(share)
    picture[known, :3] = colours[(share[known] * 255).astype(int)]
    picture[known, 3] = 255
    across, down = _places(trace)
    x = sorted(panel.across(np.array([across[0] - 0.5, across[-1] + 0.5])))
    y = sorted(panel.down(np.array([down[0] - 0.5, down[-1] + 0.5])))
    if panel.down(np.asarray(down[:1]))[0] > panel.down(np.asarray(down[-1:]))[0]:
        picture = picture[::-1]
    yield (
        f'<image x="{x[0]:.1f}" y="{y[0]:.1f}" width="{x[1] - x[0]:.1f}" '
        f'height="{y[1] - y[0]:.1f}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="{_png(picture)}"/>'
    )
    first = trace.get("coloraxis") is None or trace.get("xaxis", "x") == "x"
    if bar is not None and first:
        yield from _draw_bar(colours, low, high, bar, layout)


def _draw_bar(
    colours: np.ndarray, low: float, high: float, bar: dict, layout: dict
) -> Iterator[str]:
    """The scale of colours, at the right."""
    left, top, high_of = int(layout["width"]) - 96, MARGIN["t"], 200
    strip = np.dstack([colours[::-1][:, None], np.full((256, 1, 1), 255, np.uint8)])
    yield (
        f'<image x="{left}" y="{top}" width="12" height="{high_of}" preserveAspectRatio="none" '
        f'href="{_png(strip)}"/>'
    )
    for value in _ticks(low, high):
        at = top + high_of * (1 - (value - low) / ((high - low) or 1))
        yield _text(left + 18, at + 4, f"{value + 0:g}", "start")
    place = left + 62, top + high_of / 2
    turned = f' transform="rotate(90 {place[0]} {place[1]:.0f})"'
    title = str((bar.get("title") or {}).get("text") or "")
    yield _text(*place, title, "middle", SMALL, turned)


def _png(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _draw_points(trace: dict[str, Any], layout: dict[str, Any], panel: _Panel) -> Iterator[str]:
    x, y = (values.astype(float) for values in _places(trace))
    across, down = panel.across(x), panel.down(y)
    mode, marker = trace.get("mode", "markers"), trace.get("marker", {})
    known = np.isfinite(across) & np.isfinite(down)
    if "lines" in mode or trace.get("fill"):
        points = " ".join(f"{a:.1f},{d:.1f}" for a, d in zip(across, down, strict=True) if a == a)
        line = trace.get("line", {})
        fill = _colour(trace.get("fillcolor")) if trace.get("fill") else "none"
        yield (
            f'<polyline points="{points}" fill="{fill}" stroke="{_colour(line.get("color"))}" '
            f'stroke-width="{float(line.get("width", 2)):g}"/>'
        )
    if "markers" in mode:
        size = marker.get("size", 6)
        size = float(size) if isinstance(size, int | float) else float(np.median(_array(size)))
        seen = marker.get("opacity", 1)
        seen = float(seen) if isinstance(seen, int | float) else 1.0
        for colour, chosen in _shades(marker, known):
            path = "".join(
                f"M{a:.1f} {d:.1f}h0" for a, d in zip(across[chosen], down[chosen], strict=True)
            )
            yield (
                f'<path d="{path}" stroke="{colour}" stroke-width="{size:g}" opacity="{seen:g}" '
                'stroke-linecap="round" fill="none"/>'
            )
    if "text" in mode:
        words = np.asarray(trace.get("text", ()), dtype=object)
        for a, d, word in zip(across, down, words, strict=False):
            yield _text(a, d - 6, str(word), "middle")


def _shades(marker: dict[str, Any], known: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """A colour, and which points are drawn in it."""
    colour = marker.get("color")
    if colour is None or isinstance(colour, str):
        yield _colour(colour), known
        return
    values = _array(colour)
    if values.dtype.kind not in "iuf":
        for name in np.unique(values.astype(str)):
            yield _colour(name), known & (values.astype(str) == name)
        return
    low, high = np.nanmin(values), np.nanmax(values)
    step = np.nan_to_num((values - low) / ((high - low) or 1) * (STEPS - 1)).astype(int)
    colours = _scale(marker.get("colorscale") or "Viridis", STEPS)
    for k in np.unique(step):
        yield "#" + "".join(f"{part:02X}" for part in colours[k]), known & (step == k)


def _colour(colour: Any) -> str:
    """A colour of ours; a stranger's figure may hold anything."""
    text = str(colour or AXIS)
    return text if re.fullmatch(r"#[0-9A-Fa-f]{3,8}|[a-z]+|rgba?\([\d., ]+\)", text) else AXIS


def _draw_words(
    layout: dict[str, Any], panels: dict[tuple[str, str], list], width: int, height: int
) -> Iterator[str]:
    """Titles and notes that stand on the chart."""
    inner = width - MARGIN["l"] - MARGIN["r"], height - MARGIN["t"] - MARGIN["b"]
    by_axis = {axes[0]: (axes, own) for axes, own in panels.items()}
    for note in layout.get("annotations", ()):
        x, y = note.get("x", 0), note.get("y", 0)
        if note.get("xref", "paper") == "paper":
            place = MARGIN["l"] + x * inner[0], MARGIN["t"] + (1 - y) * inner[1]
            place = place[0], place[1] + (12 if note.get("yanchor") == "top" else -4)
        elif note.get("xref") in by_axis and isinstance(x, int | float):
            axes, own = by_axis[note["xref"]]
            panel = _place(layout, axes, own, width, height)
            place = float(panel.across(np.array(x))), float(panel.down(np.array(y))) - 10
            if note.get("showarrow", True):
                place = place[0] + note.get("ax", 0), place[1] + note.get("ay", 0)
            else:
                place = place[0] + note.get("xshift", 0), place[1] - note.get("yshift", 0)
        else:
            continue
        anchor = {"left": "start", "right": "end"}.get(note.get("xanchor", ""), "middle")
        yield _text(*place, str(note.get("text", "")), anchor)


def _draw_legend(traces: list[dict[str, Any]], width: int, height: int) -> Iterator[str]:
    for number, trace in enumerate(traces):
        x = MARGIN["l"] + number % 4 * (width - MARGIN["l"]) / 4
        y = height + LINE * (number // 4) - 2
        marker, line = trace.get("marker", {}), trace.get("line", {})
        colour = marker.get("color") if isinstance(marker.get("color"), str) else line.get("color")
        yield f'<circle cx="{x:.0f}" cy="{y}" r="5" fill="{_colour(colour)}"/>'
        yield _text(x + 10, y + 4, str(trace["name"])[:40], "start")


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, words: str, anchor: str, size: int = SMALL, turned: str = "") -> str:
    """Words as they are: plotly's tags are left out, and all else is text."""
    plain = html.escape(html.unescape(_TAG.sub(" ", words)))
    if not plain.strip():
        return ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{turned}>'
        f"{plain}</text>"
    )
