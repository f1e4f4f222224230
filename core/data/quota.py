"""How much disk datasets and downloads may take together, and a clear refusal beyond that."""

import os

from core.errors import InputError
from core.files import tree_size
from core.home import home
from core.people import owner_of
from core.words import say_size

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
    return {kind: tree_size(home() / kind) for kind in kinds}


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
    taken = ", ".join(f"{kind} {say_size(bytes_)}" for kind, bytes_ in usage().items())
    raise InputError(
        f"{what} needs {say_size(size)}, and {say_size(room())} are left of the "
        f"{say_size(limit())} that may be stored ({taken}). Delete what is no longer needed, or "
        "raise GENECANVAS_LIMIT_GB."
        if _quota_of_person() is None
        else f"{what} needs {say_size(size)}, and {say_size(room())} are left of the "
        f"{say_size(limit())} that may be stored in your home ({taken}). Delete what is no longer "
        "needed, or ask whoever looks after the server."
    )
