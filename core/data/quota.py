"""How much disk datasets and downloads may take together, and a clear refusal beyond that."""

import os
from contextlib import suppress
from pathlib import Path

from core.errors import InputError
from core.home import home
from core.people import owner_of

KINDS = ("datasets", "downloads")
OTHERS = ("runs", "models", "tissues", "transfers", "stories", "features", "references")
"""What counts as well where a person may take so much of a server's disk."""
DEFAULT_GB = 50.0


def limit() -> int:
    """Bytes that datasets and downloads may take: GENECANVAS_LIMIT_GB x 10^9, or 50 GB.

    Of a person who shares a server, what they may take of its disk.

    Raises InputError when the variable isn't a number above 0.
    """
    if (quota := _quota_of_person()) is not None:
        return int(quota * 1e9)
    given = os.environ.get("GENECANVAS_LIMIT_GB", str(DEFAULT_GB))
    try:
        gigabytes = float(given)
        if not gigabytes > 0:
            raise ValueError
        return int(gigabytes * 1e9)
    except (ValueError, OverflowError):
        raise InputError(
            f"Expected GENECANVAS_LIMIT_GB to be a number of gigabytes above 0, got {given!r}."
        ) from None


def usage() -> dict[str, int]:
    """Bytes that are taken, by kind: datasets, downloads (unfinished ones included)."""
    kinds = KINDS if _quota_of_person() is None else (*KINDS, *OTHERS)
    return {kind: _measure(home() / kind) for kind in kinds}


def _quota_of_person() -> float | None:
    person = owner_of(home())
    return None if person is None else person.may_take.disk_gb


def room() -> int:
    """Bytes that may still be added; 0 when the limit is reached."""
    return max(limit() - sum(usage().values()), 0)


def require_room(size: int, what: str) -> None:
    """Raise InputError, with what is taken and what to do, when `size` more bytes are too many."""
    if size <= room():
        return
    taken = ", ".join(f"{kind} {_say(bytes_)}" for kind, bytes_ in usage().items())
    raise InputError(
        f"{what} needs {_say(size)}, and {_say(room())} are left of the {_say(limit())} that may "
        f"be stored ({taken}). Delete what is no longer needed, or raise GENECANVAS_LIMIT_GB."
        if _quota_of_person() is None
        else f"{what} needs {_say(size)}, and {_say(room())} are left of the {_say(limit())} that "
        f"may be stored in your home ({taken}). Delete what is no longer needed, or ask whoever "
        "looks after the server."
    )


def _measure(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # deleted at this moment
            total += path.stat().st_size if path.is_file() else 0
    return total


def _say(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
