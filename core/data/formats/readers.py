"""One reader a format, for the process that has no rights to anything but the file."""

import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.data.formats.archives import list_tables, open_archive, read_whole
from core.data.formats.asking import begins_as_tar, detect_format
from core.data.formats.columnar import read_feather, read_parquet
from core.data.formats.excel import list_sheets, read_excel
from core.data.formats.hdf5_kinds import list_expression, take_expression
from core.data.formats.matlab import list_matrices, read_matlab
from core.data.formats.plain import read_plain
from core.data.formats.request import Request
from core.data.formats.unpack import UNPACKING, open_content
from core.data.matrix import Matrix
from core.data.text import Table
from core.errors import InputError


def list_parts_here(path: Path) -> list[str]:
    """What `list_parts` gives; call it in a process of its own."""
    return _find_reader(path).list_parts(path)


def read_here(path: Path, request: Request) -> Table | Matrix:
    """What `read_any` gives, for a part that exists; call it in a process of its own."""
    return _find_reader(path).read(path, request)


def _find_reader(path: Path) -> "Reader":
    kind = detect_format(path)
    if kind == "zip":
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                workbook = "content.xml" in names or any(n.startswith("xl/") for n in names)
        except UNPACKING:
            workbook = False
        kind = "excel" if workbook else "archive"
    elif kind == "packed":
        with open_content(path) as stream:
            start = stream.read(tarfile.BLOCKSIZE)
        kind = "archive" if begins_as_tar(start) else "text"
    return READERS[kind]


def _read_archive(path: Path, request: Request) -> Table | Matrix:
    with open_archive(path) as (archive, names):
        if not names:
            raise InputError(f"{path.name} holds no file. Expected one table of samples and genes.")
        if request.part is None:
            whole = read_whole(archive, names, request.progress)
            if whole is not None:
                return whole
        if request.part is None and len(names) > 1:
            listed = ", ".join(names[:5])
            raise InputError(
                f"{path.name} holds {len(names)} files ({listed}). Choose one, or leave only the "
                "table of expression in it."
            )
        member = archive.extract(request.part or names[0])
        reader = _find_reader(member)
        if reader.read is _read_archive:
            raise InputError(f"{path.name} holds another archive. Unpack that one first.")
        return reader.read(member, replace(request, part=None))


@dataclass(frozen=True)
class Reader:
    """How one format is read, and what can be chosen in it."""

    read: Callable[[Path, Request], Table | Matrix]
    list_parts: Callable[[Path], list[str]] = lambda path: []


READERS = {
    "text": Reader(read_plain),
    "parquet": Reader(read_parquet),
    "feather": Reader(read_feather),
    "excel": Reader(read_excel, list_sheets),
    "hdf5": Reader(lambda path, request: take_expression(path, request.part), list_expression),
    "matlab": Reader(read_matlab, list_matrices),
    "archive": Reader(_read_archive, list_tables),
}
