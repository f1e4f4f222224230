"""A report as one HTML file that holds everything and fetches nothing.

Every word goes through Jinja's escaping, figures and tables of data through JSON in which no tag
can begin. Should a name be forgotten, the file's own Content-Security-Policy runs no script but
the two whose hashes it names, and connects to nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
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

WIDTH = 880
"""Pixels of a chart; printed on A4, `report.css` makes it as wide as the page."""
SHOWN_ROWS = 50
"""Rows of a figure's data that stand beside it; the file holds all of them."""
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
    numbers = iter(range(1, 1000))
    sections = [
        Section(section.title, [_prepare(block, numbers) for block in section.blocks])
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


def _prepare(block: Any, numbers: Any) -> Any:
    """A block as the template takes it."""
    if isinstance(block, Table):
        return {"kind": block.kind, "title": block.title, "table": _grid(block.data, None)}
    if isinstance(block, Chart):
        figure = _dress(block.figure)
        return {
            "kind": block.kind, "finding": block.finding, "number": next(numbers),
            "height": int(figure.layout.height), "table": _grid(block.data, SHOWN_ROWS),
            "drawing": _in_script(figure.to_json()),
            "csv": _in_script(json.dumps(_csv(block.data))),
        }  # fmt: skip
    return block


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
