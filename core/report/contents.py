"""What a report is made of, whatever it is about: sections of text, charts and tables.

All words are plain text, whoever chose them; `render` alone makes HTML of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import pandas as pd
import plotly.graph_objects as go

from core.report.references import Reference


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    words: str


@dataclass(frozen=True)
class Points:
    """Sentences, each by itself."""

    kind: ClassVar[str] = "points"
    sentences: Sequence[str]


@dataclass(frozen=True)
class Remark:
    """Something that a reader must not miss."""

    kind: ClassVar[str] = "remark"
    severity: Literal["error", "warning", "info"]
    words: str


@dataclass(frozen=True)
class Chart:
    """A figure with its finding and its data."""

    kind: ClassVar[str] = "chart"
    finding: str
    """What it shows, in a sentence: its caption, and its words for those who can't see it."""
    figure: go.Figure
    data: pd.DataFrame


@dataclass(frozen=True)
class Table:
    """A table to be read."""

    kind: ClassVar[str] = "table"
    title: str
    data: pd.DataFrame


@dataclass(frozen=True)
class Code:
    """Text to be copied: a specification, commands, BibTeX."""

    kind: ClassVar[str] = "code"
    title: str
    words: str


Block = Text | Points | Remark | Chart | Table | Code


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A whole report."""

    title: str
    subtitle: str
    """What it is about, in a line."""
    headline: str
    """What came of it, in one honest sentence."""
    sections: Sequence[Section]
    references: Sequence[Reference]
