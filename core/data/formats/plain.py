"""Plain text: tables, GEO's series, and other kinds of text that are no tables."""

from pathlib import Path

from core.data.formats.geo import describe_series, read_series
from core.data.formats.other_kinds import find_other_kind
from core.data.formats.request import Request
from core.data.matrix import Matrix
from core.data.text import Table, read_text
from core.errors import InputError


def read_plain(path: Path, request: Request, name: str | None = None) -> Table | Matrix:
    """Read a text file.

    Args:
        path: the file.
        request: how it shall be read.
        name: what it is called in messages, if not by its path.

    Raises:
        InputError: what is wrong, where, and what to change.
    """
    kind = find_other_kind(path)
    if kind == "series":
        return describe_series(path) if request.all_text else read_series(path, request.progress)
    if kind is not None:
        raise InputError(f"{name or path.name} is {kind}")
    return read_text(
        path, name=name, metadata=request.metadata, all_text=request.all_text,
        progress=request.progress,
    )  # fmt: skip
