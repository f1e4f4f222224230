"""Which jobs of a list are wanted, and in which order: what an index of the list answers."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from core.jobs.job import Lane
from core.jobs.record import JobState


class Order(StrEnum):
    """Which jobs of a list come first; of equal ones the one that was submitted last."""

    NEWEST = "rowid DESC"
    """By order of submission: clocks may go backwards."""
    STARRED = "starred DESC, rowid DESC"
    """Those with a star, then the newest."""
    TURN = "place"
    """In the order in which those of a lane are run."""
    ENDED = "finished DESC, rowid DESC"
    """What has ended last."""


@dataclass(frozen=True, kw_only=True)
class Which:
    """Jobs of which all is true that is said; what is None is not asked."""

    states: Collection[JobState] | None = None
    lane: Lane | None = None
    study: str | None = None
    parent: str | None = None
    """The job that they ask a what-if of."""
    input: str | None = None
    """A dataset or a job that they read."""
    ids: Collection[str] | None = None
    starred: bool | None = None
    ended_since: datetime | None = None
    words: str = ""
    """Part of their name, tags, note, study or state, or the beginning of their id; large and small
    letters are equal. This alone looks at each job of a list."""
    named: Collection[str] = ()
    """Inputs whose own name has these words: jobs that read one of them are found too."""

    def condition(self, kind: str | None) -> tuple[str, list[Any]]:
        """The condition in SQL on the table of jobs, with its values.

        It knows a function `fold` that makes large and small letters equal.

        Args:
            kind: the kind of jobs that are wanted; None: all.
        """
        # SQLite knows nothing of how many jobs a condition leaves: the + keeps it from beginning
        # with one that leaves most of them
        few = any(value is not None for value in (self.study, self.parent, self.input, self.ids))
        parts: list[tuple[str, list[Any]]] = []
        if kind is not None:
            parts.append((f"{'+' if few or self.lane else ''}kind = ?", [kind]))
        if self.states is not None:
            states = ", ".join("?" * len(self.states))
            other = (few and self.study is None) or self.starred is not None
            parts.append((f"{'+' if other else ''}state IN ({states})", [*self.states]))
        for name in ("lane", "study", "parent", "starred"):
            if (value := getattr(self, name)) is not None:
                parts.append((f"{name} = ?", [value]))
        if self.input is not None:
            parts.append(("id IN (SELECT job FROM needs WHERE input = ?)", [self.input]))
        if self.ids is not None:
            parts.append(("id IN (SELECT value FROM json_each(?))", [json.dumps([*self.ids])]))
        if self.ended_since is not None:
            parts.append(("finished > ?", [self.ended_since.isoformat()]))
        if words := self.words.casefold():
            parts.append(
                (
                    "(instr(fold(name || ' ' || tags || ' ' || note || ' ' || coalesce(study, '') "
                    "|| ' ' || state), ?) OR instr(id, ?) = 1 OR EXISTS (SELECT 1 FROM needs "
                    "WHERE job = jobs.id AND input IN (SELECT value FROM json_each(?))))",
                    [words, words, json.dumps([*self.named])],
                )
            )
        where = " AND ".join(sql for sql, _ in parts) or "true"
        return where, [value for _, values in parts for value in values]
