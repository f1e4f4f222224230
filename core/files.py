"""Writing files so that a reader sees the old content or the new, never half of it."""

import errno
import json
import lzma
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError
from core.home import need_right_to_change

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)
"""What reading a JSON document or an array raises when the file is damaged or another one."""
UNZIPPING = (RuntimeError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What unpacking a zip file raises when it is damaged, locked or packed in an unknown way."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LINKS = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""How a file system says that it knows no second names."""
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
UNWRITABLE = FULL + FORBIDDEN
"""Reasons of the system for not writing that the user can mend."""


@contextmanager
def unzipping(refuse: Callable[[str], Exception]) -> Iterator[None]:
    """Raise what `refuse` makes of the reason where a zip file can't be unpacked.

    bzip2 says so by an OSError without a number; one with a number is the disk's, and is passed on.
    """
    try:
        yield
    except UNZIPPING as error:
        raise refuse(f"can't be unpacked ({error!s:.200})") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise refuse(f"can't be unpacked ({error!s:.200})") from None


def describe_os_error(error: OSError) -> str:
    """Why the system refused to write, for errors of UNWRITABLE, and what to do."""
    if error.errno in FULL:
        return "The disk is full. Free some room, and try again."
    return f"{error.filename or 'The folder'} may not be opened or written by this user."


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk and rename it to `path`.

    If `write` raises, `path` is untouched and the temporary file is gone.

    Raises InputError in a home that one only looks at.
    """
    need_right_to_change(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def need_empty(folder: Path) -> Path:
    """The absolute path of a folder that is empty or not there yet; else raises InputError."""
    folder = folder.expanduser().absolute()
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and _is_empty(folder))):
        raise InputError(f"{folder} is not an empty folder. Name one that isn't there yet.")
    return folder


def write_folder(folder: Path, fill: Callable[[Path], object]) -> Path:
    """Let `fill` make a folder's files, and have it there only when all of them are.

    Args:
        folder: must be empty, or not there yet.
        fill: given a temporary folder beside it.

    Returns:
        The folder's absolute path.

    Raises:
        InputError: the folder isn't empty, or is in a home that one only looks at.
    """
    folder = need_empty(folder)
    need_right_to_change(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        fill(temporary)
        mask = os.umask(0o077)
        os.umask(mask)
        for path in temporary.rglob("*"):
            path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
        temporary.chmod(0o777 & ~mask)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def link(file: Path, new: Path) -> None:
    """Give a file a second name, or copy it where the file system knows no such thing."""
    try:
        os.link(file, new)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy2(file, new)


def _is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document atomically."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_array(path: Path, values: np.ndarray) -> None:
    """Write an array atomically, as .npy without pickle."""
    write_atomic(path, lambda temporary: np.save(temporary, values, allow_pickle=False))


def read_json(path: Path) -> Any:
    """Read a JSON document."""
    return json.loads(path.read_text(encoding="utf-8"))
