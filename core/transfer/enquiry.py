"""Questions about knowledge from elsewhere whose answer is no class of a patient, and their form.

Each sets a method beside a plain reference and beside controls whose answer is known, on the same
items (samples, gene sets, images), and says whether the method helps, makes no difference, or
harms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from core.evaluation.differences import LEVEL, holm
from core.transfer.verdict import Answer

DRAWS = 2000
"""Of items, with replacement, for intervals."""
Role = Literal["method", "reference", "control"]


class Enquiry(BaseModel):
    """What is asked. Two of equal content are the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str


class Line(BaseModel):
    """What one way of answering scores, and what it gains over the reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str
    """What is asked about, such as a measured kind of cells."""
    line: str
    """Who answers."""
    role: Role
    score: float | None = None
    low: float | None = None
    high: float | None = None
    """95 % interval of the score."""
    gain: float | None = None
    """Of a method over the reference, on the same items."""
    gain_low: float | None = None
    gain_high: float | None = None
    p: float | None = None
    """Of the gain, corrected by Holm's method for all gains of the reply."""
    note: str = ""
    """What it rests on, or why there is no score."""

    @property
    def answer(self) -> Answer | None:
        """The verdict, of a method that has a gain."""
        if self.gain is None or self.p is None:
            return None
        if self.p >= LEVEL:
            return "no difference"
        return "helps" if self.gain > 0 else "harms"


class Reply(BaseModel):
    """What came of an enquiry. Its tables stand in files of their names beside it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    measure: str
    """What scores are."""
    chance: float
    """The score of who knows nothing."""
    items: str
    """How many of what the scores are over."""
    lines: tuple[Line, ...]
    tables: dict[str, str]
    """Name of a table -> what it holds, a sentence."""
    notes: tuple[str, ...]

    @property
    def verdicts(self) -> list[str]:
        """A sentence a method and what it is asked about."""
        references = {line.of: line for line in self.lines if line.role == "reference"}
        return [
            self._say(line, references.get(line.of))
            for line in self.lines if line.role == "method"
        ]  # fmt: skip

    @property
    def headline(self) -> str:
        """The first verdict; without any, the first note."""
        return next(iter(self.verdicts), self.notes[0] if self.notes else self.title)

    def _say(self, line: Line, reference: Line | None) -> str:
        about = f"{line.of}: " if line.of else ""
        if line.score is None:
            return f"{about}{line.line} has no answer. {line.note}"
        article = "an" if self.measure[0] in "aeiou" else "a"
        said = (
            f"{about}{line.line} has {article} {self.measure} of {line.score:.2f} (95 % CI "
            f"{line.low:.2f} to {line.high:.2f})"
        )
        if line.gain is None or reference is None:
            return f"{said}."
        return (
            f"{said}, beside {reference.score:.2f} ({reference.line}); {line.gain:+.2f}, 95 % CI "
            f"{line.gain_low:+.2f} to {line.gain_high:+.2f}: {line.answer}."
        )

    def describe_controls(self) -> list[str]:
        """A sentence a control."""
        said = []
        for line in self.lines:
            if line.role != "control":
                continue
            about = f"{line.of}: {line.line}" if line.of else line.line
            span = f" ({line.low:.2f} to {line.high:.2f})" if line.low is not None else ""
            score = "has no answer" if line.score is None else f"{line.score:.2f}{span}"
            said.append(
                f"{about}: {score}{'; ' + line.note if line.note else ''}".rstrip(".") + "."
            )
        return said

    def line_table(self) -> pd.DataFrame:
        """A row a line: the fields of `Line`, and its `verdict`."""
        rows = [{**line.model_dump(), "verdict": line.answer or ""} for line in self.lines]
        return pd.DataFrame(rows, columns=[*Line.model_fields, "verdict"])


@dataclass(frozen=True)
class Preview:
    """What an enquiry would do."""

    seconds: float
    """About, on one core."""
    words: tuple[str, ...]
    """What was found, and what is left out, a sentence each."""


@dataclass(frozen=True)
class Answered:
    """A reply and its tables by their names."""

    reply: Reply
    tables: Mapping[str, pd.DataFrame]


Progress = Callable[[int, int], None]
"""Told how many parts of how many are done; what it raises ends the work."""


@dataclass(frozen=True)
class Kind:
    """One kind of enquiry."""

    name: str
    title: str
    help: str
    reference: str
    departs: str
    """What differs from the published method."""
    spec: type[Enquiry]
    datasets: Callable[[Any], tuple[str, ...]]
    """Ids of the datasets that an enquiry reads."""
    describe: Callable[[Any], str]
    """An enquiry in a few words, for lists."""
    preview: Callable[[Any], Preview]
    """Raises InputError where it can't be asked."""
    ask: Callable[[Any, Progress], Answered]
    bring: Callable[[dict[str, Any], Path], dict[str, Any]] = lambda document, folder: document
    """Keeps the files that a document of the command line names, and names what is kept."""
    version: int = 1
    """Raised when it gives other numbers."""


@dataclass(frozen=True)
class Candidate:
    """A line before it is scored."""

    line: str
    role: Role
    values: np.ndarray | None
    """(items,) what it says of each; None where it has no answer"""
    note: str = ""


def score_lines(
    of: str,
    truth: np.ndarray,
    candidates: Sequence[Candidate],
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> list[Line]:
    """Spearman's correlation of each line with the truth, with percentile intervals.

    Items are drawn with replacement, all of a group together (Efron 1979); a gain is the difference
    on the same draw, and its p value twice the share of draws on the other side of 0.

    Args:
        of: what the lines are about.
        truth: (items,)
        candidates: the reference is one of them; methods gain over it.
        groups: (items,) such as patients; each item is its own without.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    names = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    chosen = rng.integers(len(members), size=(DRAWS, len(members)))
    if len(members) == len(truth):
        draws = [np.concatenate(members)[chosen]]
    else:
        draws = [np.concatenate([members[at] for at in row])[None] for row in chosen]
    scored: dict[str, tuple[float, np.ndarray]] = {
        one.line: (
            float(_correlate(one.values, truth)),
            np.concatenate([_correlate(one.values[rows], truth[rows]) for rows in draws]),
        )
        for one in candidates
        if one.values is not None
    }
    base = next((scored.get(one.line) for one in candidates if one.role == "reference"), None)
    lines = []
    for one in candidates:
        line = Line(of=of, line=one.line, role=one.role, note=one.note)
        if one.line in scored:
            score, drawn = scored[one.line]
            low, high = np.quantile(drawn, [0.025, 0.975])
            line = line.model_copy(
                update={"score": score, "low": float(low), "high": float(high)}
            )  # fmt: skip
            if one.role == "method" and base is not None:
                gains = drawn - base[1]
                low, high = np.quantile(gains, [0.025, 0.975])
                beyond = min((gains <= 0).sum(), (gains >= 0).sum())
                line = line.model_copy(
                    update={
                        "gain": score - base[0], "gain_low": float(low), "gain_high": float(high),
                        "p": float(min(1.0, 2 * (beyond + 1) / (DRAWS + 1))),
                    }
                )  # fmt: skip
        lines.append(line)
    return lines


def correct(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines with p values corrected for all of them that have one (Holm 1979)."""
    with_p = [number for number, line in enumerate(lines) if line.p is not None]
    found = list(lines)
    if with_p:
        for number, p in zip(with_p, holm(np.array([lines[n].p for n in with_p])), strict=True):
            found[number] = lines[number].model_copy(update={"p": float(p)})
    return tuple(found)


def _correlate(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Spearman's along the last axis; 0 where one of them never varies."""
    from scipy.stats import rankdata

    a, b = (rankdata(own, axis=-1) for own in (values, truth))
    a, b = (own - own.mean(axis=-1, keepdims=True) for own in (a, b))
    spread = np.sqrt(np.square(a).sum(axis=-1) * np.square(b).sum(axis=-1))
    return np.where(spread > 0, (a * b).sum(axis=-1) / np.where(spread > 0, spread, 1), 0.0)
