"""How much disk a home may take, and a clear refusal beyond that.

Where somebody works alone datasets, downloads and weights that were brought count, each as somebody
may want to delete it; of a person who shares a server their whole home counts.
"""

import os
from pathlib import Path

from core.errors import InputError
from core.home import home
from core.people import owner_of
from core.sizes import announce, recent_size, tree_size
from core.words import say_size

BROUGHT = "brought"
"""The folder of a home for weights files that were brought."""
KINDS = ("datasets", "downloads", BROUGHT)
DEFAULT_GB = 50.0


def limit() -> int:
    """Bytes that may be taken: GENECANVAS_LIMIT_GB x 10^9, or 50 GB; a person's own limit.

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
    """Bytes that are taken now, by folder (unfinished downloads included)."""
    if _quota_of_person() is None:
        return {kind: tree_size(home() / kind) for kind in KINDS}
    folders = (path for path in sorted(home().iterdir()) if path.is_dir() and path.name != "tmp")
    return {path.name: tree_size(path) for path in folders}


def taken(*, anew: bool = False) -> int:
    """Bytes that are taken, as they were seconds ago unless `anew`."""
    return sum(recent_size(folder, anew=anew) for folder in _counted())


def require_room(size: int, what: str) -> int:
    """Raise InputError, with what is taken and what to do, when `size` more bytes are too many.

    They count from now on. Returns the bytes that there was room for.
    """
    left = limit() - taken()
    if size > left:
        left = limit() - taken(anew=True)
    if size <= left:
        announce(_counted()[0], size)
        return left
    largest = sorted(usage().items(), key=lambda one: -one[1])[:6]
    kinds = ", ".join(f"{kind} {say_size(bytes_)}" for kind, bytes_ in largest)
    alone = _quota_of_person() is None
    raise InputError(
        f"{what} needs {say_size(size)}, and {say_size(max(left, 0))} are left of the "
        f"{say_size(limit())} that may be stored{'' if alone else ' in your home'} ({kinds}). "
        "Delete what is no longer needed, or "
        + ("raise GENECANVAS_LIMIT_GB." if alone else "ask whoever looks after the server.")
    )


def _counted() -> list[Path]:
    """The folders that count together."""
    if _quota_of_person() is None:
        return [home() / kind for kind in KINDS]
    return [home()]


def _quota_of_person() -> float | None:
    person = owner_of(home())
    return None if person is None else person.may_take.disk_gb
