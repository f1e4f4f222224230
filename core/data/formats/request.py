"""How a file shall be read."""

from collections.abc import Collection
from dataclasses import dataclass

from core.data.formats.unpack import Progress


@dataclass(frozen=True)
class Request:
    """How a file shall be read."""

    part: str | None = None
    """Which of its parts, as `list_parts` names them; without it the largest or only one."""
    metadata: Collection[str] = ()
    """Lower-case names of columns that are texts even when they look like numbers."""
    all_text: bool = False
    """Keep every column as text, as in a table about samples."""
    progress: Progress | None = None
    """Told the share that is read."""
