"""How much folders take on the disk; a home may hold very many files, so that it isn't measured
each time somebody asks.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

FRESH = 10.0
"""Seconds for which a measured size is taken for the present one."""
_known: dict[Path, tuple[float, int]] = {}
"""Folder -> when it was measured, and its bytes then with those that were announced since."""


def tree_size(folder: Path) -> int:
    """Bytes of all files in a folder; what is deleted at this moment counts as nothing."""
    total, folders = 0, [str(folder)]
    while folders:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file():
                        total += entry.stat().st_size
    return total


def recent_size(folder: Path, *, anew: bool = False) -> int:
    """Bytes in a folder but for its `tmp`, at most FRESH seconds ago, with what is announced.

    So it may be too small by what another process has added since, and too large by what was
    announced and never came or was deleted: who would refuse something asks anew.
    """
    when, size = _known.get(folder, (float("-inf"), 0))
    if anew or time.monotonic() - when > FRESH:
        size = tree_size(folder) - tree_size(folder / "tmp")
        _known[folder] = time.monotonic(), size
    return size


def announce(folder: Path, size: int) -> None:
    """Count what is about to be written to a folder, until it is measured again."""
    if folder in _known:
        when, known = _known[folder]
        _known[folder] = when, known + size


def forget_size(folder: Path) -> None:
    """Have a folder measured when it is asked for next: much of it was deleted."""
    _known.pop(folder, None)
