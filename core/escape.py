"""Words from files and links, shown and saved as they are: in Markdown, charts, spreadsheets.

A name that somebody else chose may hold a picture's address, a link, a formula. What is shown or
saved with it must not fetch, lead elsewhere or calculate.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from pandas.api.types import is_string_dtype

_MARKS = re.compile(r"([\\`*_{}\[\]<>()#+|~$:!&-])")
"""What Markdown, LaTeX, HTML and Streamlit's directives begin with."""
_PERCENT = re.compile(r"(?<=\d) (?=%)")
_NUMBERED = re.compile(r"^(\d+)\.")
_SYMBOL = re.compile(r"(?<!\S)(\\[<>~-])(?=(?:=|\\-\\>|\\[->])(?!\S))")
_EMOJI = re.compile(r"\\:(?=(?:[\w/]|\\[_+-])+\\:)")
_CODE = re.compile(r"`([^`]+)`")
_MAIL = re.compile(r"(?<=[\w.+-])@(?=\w)")
"""What GitHub's Markdown takes for an address of somebody, and makes a link."""
_NOTHING = ":red[]"
"""Markdown that shows nothing. Streamlit draws arrows, dashes, emoji and icons in text that was
escaped too, but not across a directive."""
_CHART = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "{": "&#123;"})
_CHARTED = re.compile("[&<>{]")
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")
"""What a spreadsheet takes for a formula, or would if apostrophes were taken away."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def escape_markdown(text: str) -> str:
    """Text that Streamlit's Markdown shows as it is, on one line.

    Addresses of pages in it become links that show themselves; nothing is fetched until one is
    clicked. A number stays on the line of its per cent sign.
    """
    return _escape(" ".join(text.split()))


def escape_message(text: str) -> str:
    """A sentence of the program's own as `escape_markdown`, commands in backticks as code.

    A name in it that holds backticks is plain text all the same: nothing in code is more.
    """
    parts = _CODE.split(" ".join(text.split()))  # words and code in turn
    return "".join(f"`{part}`" if at % 2 else _escape(part) for at, part in enumerate(parts))


def _escape(line: str) -> str:
    escaped = _MARKS.sub(r"\\\1", _PERCENT.sub("\xa0", line))
    escaped = _NUMBERED.sub(r"\1\\.", escaped)
    escaped = _EMOJI.sub(rf"\\:{_NOTHING}", _SYMBOL.sub(rf"\1{_NOTHING}", escaped))
    return _MAIL.sub(f"{_NOTHING}@", escaped)


def escape_chart(text: str) -> str:
    """Text that plotly shows as it is: in titles, ticks, legends, under the pointer.

    Plotly takes some HTML in all of these, and `%{…}` in the templates of hover labels.
    """
    return text.translate(_CHART) if _CHARTED.search(text) else text


def escape_all(texts: Iterable[object]) -> np.ndarray:
    """Names of a chart's points, rows or columns, each as `escape_chart` writes it."""
    return np.array([escape_chart(str(text)) for text in texts], dtype=str)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Save a table, without its index, so that a spreadsheet calculates nothing in it."""
    escape_formulas(table).to_csv(path, index=False)


def read_csv(path: Path | BinaryIO, **options: Any) -> pd.DataFrame:
    """What `write_csv` saved, with the texts that were given to it.

    Args:
        path: the file.
        options: those of pandas; no text means a missing value unless `na_values` says so.
    """
    return restore_formulas(pd.read_csv(path, keep_default_na=False, **options))


def escape_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """A table, to be saved as CSV, in which no text or header is a spreadsheet's formula.

    These get an apostrophe in front; numbers are left alone, texts that are numbers too.
    """
    return _change_texts(table, _escape_formula)


def restore_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table that `escape_formulas` was given, read back from its CSV."""
    return _change_texts(table, lambda text: text[1:] if _escaped(text) else text)


def _change_texts(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    def each(value: object) -> object:
        return change(value) if isinstance(value, str) else value

    table = table.rename(columns=each)
    for place, (_, values) in enumerate(table.items()):
        if is_string_dtype(values.dtype) or isinstance(values.dtype, pd.CategoricalDtype):
            texts = {value for value in values if isinstance(value, str)}  # few, of many rows
            if any(change(text) != text for text in texts):
                table.isetitem(place, values.astype(object).map(each))
    return table


def _escape_formula(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _escaped(text: str) -> bool:
    return text.startswith("'") and _escape_formula(text[1:]) == text
