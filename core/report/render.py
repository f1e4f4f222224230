"""A report as one HTML file that holds everything and fetches nothing.

Every word goes through Jinja's escaping, figures and tables of data through JSON in which no tag
can begin. Should a name be forgotten, the file's own Content-Security-Policy runs no script but
the two whose hashes it names, and connects to nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from plotly.offline import get_plotlyjs

from core import __version__
from core.escape import escape_formulas
from core.files import write_atomic
from core.report.contents import Chart, Report, Section, Table
from core.report.still import draw_still

WIDTH = 880
"""Pixels of a chart; printed on A4, `report.css` makes it as wide as the page."""
SHOWN_ROWS = 50
"""Rows of a figure's data that stand beside it; the file holds all of them."""
LARGE = 600_000
"""Characters of a chart beyond which it is drawn still, and of a chart's data."""
MOST_TOGETHER = 4_800_000
"""Characters of all charts and their data; Plotly takes as many, and a report shall have 10 MB."""
INK, GRID, AXIS = "#1B262C", "#E3E7E9", "#9AA3A8"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def write_report(report: Report, path: Path) -> None:
    """Write a report as HTML, atomically."""
    page = render(report)
    write_atomic(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))


def render(report: Report) -> str:
    """A report as HTML."""
    environment = Environment(
        loader=PackageLoader("core.report", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    charts = [block for section in report.sections for block in section.blocks
              if isinstance(block, Chart)]  # fmt: skip
    drawn = iter(_draw(charts))
    sections = [
        Section(section.title, [_prepare(block, drawn) for block in section.blocks])
        for section in report.sections
    ]
    scripts = [_harmless(get_plotlyjs()), _harmless(_beside("report.js"))]
    return environment.get_template("report.html.j2").render(
        report=report, sections=sections, style=Markup(_beside("report.css")),
        scripts=[Markup(script) for script in scripts], policy=_policy(scripts),
        version=__version__,
    )  # fmt: skip


def _beside(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run, nothing is fetched; plotly writes styles and saves charts."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _harmless(script: str) -> str:
    """A script that doesn't end before its end."""
    return script.replace("</script", r"<\/script").replace("<!--", r"<\!--")


def _in_script(text: str) -> Markup:
    """JSON in which no tag, comment or reference can begin."""
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


@dataclass(frozen=True)
class _Grid:
    """A table as texts."""

    names: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    left_out: int
    """Rows that aren't shown."""


@dataclass
class _Drawing:
    """A chart as the template takes it."""

    number: int
    finding: str
    height: int
    table: _Grid
    drawing: Markup
    """The chart for plotly; empty where it is still."""
    csv: Markup
    csv_rows: int
    """Rows of its data that the file holds."""
    rows: int
    """Rows of its data."""
    still: Markup | None = None
    """The chart as SVG, where it is too large to be drawn by the reader's browser."""
    kind: str = Chart.kind

    @property
    def size(self) -> int:
        """Characters that it takes."""
        return len(self.still or self.drawing) + len(self.csv)


def _draw(charts: Sequence[Chart]) -> list[_Drawing]:
    """All charts of a report, so that together they take no more than MOST_TOGETHER.

    A chart of more than LARGE is drawn still, and data of more than LARGE are cut after so many
    characters; of many charts the largest are drawn still as well, and their data cut shorter.
    """
    figures = [_dress(chart.figure) for chart in charts]
    found = [
        _Drawing(
            number, chart.finding, int(figure.layout.height), _grid(chart.data, SHOWN_ROWS),
            _in_script(figure.to_json()), *_embed(chart.data, LARGE), len(chart.data),
        )
        for number, (chart, figure) in enumerate(zip(charts, figures, strict=True), 1)
    ]  # fmt: skip
    by_size = sorted(found, key=lambda one: -len(one.drawing))
    for one in by_size:
        if len(one.drawing) <= LARGE and sum(each.size for each in found) <= MOST_TOGETHER:
            break
        picture = draw_still(figures[one.number - 1], WIDTH)
        if picture is not None and len(picture) < len(one.drawing):
            one.still, one.drawing = Markup(picture), Markup("")
    most = LARGE
    while most > 1000 and sum(each.size for each in found) > MOST_TOGETHER:
        most //= 2
        for one in found:
            one.csv, one.csv_rows = _embed(charts[one.number - 1].data, most)
    return found


def _embed(table: pd.DataFrame, most: int) -> tuple[Markup, int]:
    """A table as CSV in JSON, as many of its rows as so many characters hold, and their number."""
    rows = len(table)
    text = _csv(table)
    if len(text) > most:
        rows = max(1, int(rows * most / len(text)))
        text = _csv(table.head(rows))
    return _in_script(json.dumps(text)), rows


def _prepare(block: Any, drawn: Iterator[_Drawing]) -> Any:
    """A block as the template takes it."""
    if isinstance(block, Table):
        return {"kind": block.kind, "title": block.title, "table": _grid(block.data, None)}
    return next(drawn) if isinstance(block, Chart) else block


def _grid(table: pd.DataFrame, most: int | None) -> _Grid:
    shown = table if most is None else table.head(most)
    columns = [table.iloc[:, place] for place in range(table.shape[1])]
    return _Grid(
        [str(name) for name in table.columns],
        [is_numeric_dtype(values) and not is_bool_dtype(values) for values in columns],
        [[say_cell(value) for value in row] for row in shown.itertuples(index=False, name=None)],
        len(table) - len(shown),
    )


def say_cell(value: Any) -> str:
    """A value of a table, numbers with three digits; a dash where there is none."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return _say_number(float(value))
    return str(value)


def _say_number(value: float) -> str:
    size = abs(value)
    if size == 0 or size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1e}" if size < 0.001 else f"{value:.3f}" if size < 10 else f"{value:.1f}"


def _csv(table: pd.DataFrame) -> str:
    return escape_formulas(table).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _dress(figure: go.Figure) -> go.Figure:
    """A figure for a white page: of one width, with lines that show on white."""
    figure = go.Figure(figure)
    height = figure.layout.height or 420
    figure.update_layout(
        width=WIDTH, height=height, paper_bgcolor="#FFFFFF", plot_bgcolor="#FFFFFF",
        font={"family": FONT, "size": 14, "color": INK}, dragmode=False,
    )  # fmt: skip
    figure.update_annotations(font_size=13)
    figure.update_xaxes(title_font_size=14)
    figure.update_yaxes(title_font_size=14)
    axes = {"gridcolor": GRID, "zerolinecolor": AXIS, "linecolor": AXIS}
    figure.update_xaxes(**axes)
    figure.update_yaxes(**axes)
    return figure
