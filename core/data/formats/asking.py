"""Reading a file of any format; what it is, is told from its content and not from its name.

Plain text is read here, everything packed or binary in a process of its own (`core.data.apart`).
"""

import re
import tarfile
from pathlib import Path

from core.data.apart import list_apart, read_apart
from core.data.formats.plain import read_plain
from core.data.formats.request import Request
from core.data.formats.unpack import OPENERS, read_start
from core.data.matrix import Matrix
from core.data.text import Table
from core.errors import InputError

ARCHIVES = ("zip", "packed", "archive")
CLINICAL = re.compile(r"(^|/)clinical\.(tsv|txt|csv)$")
"""The table of patients in GDC's clinical archives, beside exposures, family history, …"""


def detect_format(path: Path) -> str:
    """What a file is: parquet, feather, hdf5, matlab, excel, archive, packed or text.

    Told from its first bytes alone, so that any file can be looked at anywhere. A packed file is a
    text table or a tar file; a workbook and other zip files are "zip" here.

    Raises InputError when there is no file, or nothing in it, or of a kind that can't be read.
    """
    start = read_start(path)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"ARROW1", b"FEA1")):
        return "feather"
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if start.startswith(b"MATLAB 5.0 MAT-file"):
        return "matlab"
    if start.startswith(b"MATLAB 7.3 MAT-file"):
        raise InputError(
            f"{path.name} is a MATLAB 7.3 file. Save it once more in MATLAB with "
            "save(…, '-v7') and add it again."
        )
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        return "excel"
    if start.startswith(b"PK"):
        return "zip"
    if start.startswith(tuple(OPENERS)):
        return "packed"
    return "archive" if begins_as_tar(start) else "text"


def begins_as_tar(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a tar archive."""
    try:
        tarfile.TarInfo.frombuf(start[: tarfile.BLOCKSIZE], "utf-8", "replace")
    except tarfile.HeaderError:
        return False
    return True


def list_parts(path: Path) -> list[str]:
    """What can be chosen in a file that holds several tables; empty when there is no choice.

    Sheets of a workbook, layers of an h5ad file, matrices of a MATLAB file, files of an archive.
    """
    return [] if detect_format(path) == "text" else list_apart(path)


def read_any(path: Path, request: Request | None = None) -> Table | Matrix:
    """Read a file of any known format; what isn't plain text in a process of its own.

    Raises:
        InputError: what is wrong, where, and what to change.
    """
    request = request or Request()
    here = detect_format(path) == "text"
    if request.part is not None:
        parts = list_parts(path)
        if request.part not in parts:
            known = ", ".join(parts[:10]) or "none"
            raise InputError(f"{path.name} has no part {request.part!r}. Parts: {known}.")
    if here:
        return read_plain(path, request)
    return read_apart(
        path, request.part, sorted(request.metadata), request.progress, all_text=request.all_text
    )


def read_description(path: Path, part: str | None = None) -> Table:
    """Read a table about samples: every column as text, whatever the format."""
    table = read_any(path, Request(part, all_text=True))
    if isinstance(table, Matrix):
        raise InputError(f"{path.name} is an expression matrix, not a table about samples.")
    return table


def read_descriptions(path: Path) -> list[Table]:
    """The tables about samples in a file: those of an archive, or the one that it is.

    Of GDC's clinical archives only the table of patients is taken.
    """
    parts = [] if detect_format(path) not in ARCHIVES else list_parts(path)
    if not all("." in part for part in parts):  # the sheets of a workbook
        parts = []
    parts = [part for part in parts if CLINICAL.search(part)] or parts
    return [read_description(path, part) for part in parts] or [read_description(path)]
