"""Identities: the same question has the same id, also after the program has changed.

Every record that decides numbers (a layout, an augmentation, a split, a baseline, an attribution
method, …) has a `version`, to be raised when it gives other numbers. Only versions other than the
first stand in what is hashed, so that raising one changes the ids of what rests on that record
and no others.
"""

import hashlib
import json
from typing import Any, Protocol


class Versioned(Protocol):
    """Anything that decides numbers."""

    version: int


def identify(kind: str, content: dict[str, Any]) -> str:
    """The identity of a question: 16 hexadecimal digits of a SHA-256.

    Args:
        kind: what is asked, such as 'train'.
        content: all that decides the answer, as a JSON document.
    """
    canonical = json.dumps({"kind": kind, **content}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def raised_versions(**records: Versioned) -> dict[str, dict[str, int]]:
    """{'versions': name -> version} of the records that aren't at their first; else empty."""
    raised = {name: record.version for name, record in records.items() if record.version != 1}
    return {"versions": raised} if raised else {}
