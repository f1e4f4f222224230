"""Workbooks."""

import csv
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time
from pathlib import Path
from typing import Any

import python_calamine

from core.data.formats.plain import read_plain
from core.data.formats.request import Request
from core.data.formats.unpack import MAX_TEXT, UNPACKING
from core.data.text import Table
from core.errors import InputError

MAX_CELLS = 20_000_000
"""Largest Excel sheet."""


def list_sheets(path: Path) -> list[str]:
    """The sheets of a workbook with several."""
    names = _open_workbook(path).sheet_names
    return names if len(names) > 1 else []


def _open_workbook(path: Path) -> python_calamine.CalamineWorkbook:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(info.file_size for info in archive.infolist())
            if size > MAX_TEXT // 4:
                raise InputError(
                    f"{path.name} holds {size / 1e9:.1f} GB once it is unpacked. Save the sheet as "
                    "CSV."
                )
        return python_calamine.CalamineWorkbook.from_path(path)
    except (python_calamine.CalamineError, *UNPACKING) as error:
        raise InputError(f"{path.name} is not an Excel file that can be read: {error}") from None


@contextmanager
def _sheet_as_text(path: Path, part: str | None) -> Iterator[tuple[Path, str]]:
    """A sheet as a temporary CSV file, so that every table is understood in the same way."""
    book = _open_workbook(path)
    try:
        sheets = [book.get_sheet_by_name(name) for name in ([part] if part else book.sheet_names)]
        if not sheets:
            raise InputError(f"{path.name} has no sheet.")
        sheet = max(sheets, key=lambda sheet: sheet.height * sheet.width)
        if sheet.height * sheet.width > MAX_CELLS:
            raise InputError(
                f"{path.name}, sheet {sheet.name} has more than {MAX_CELLS:,} cells. Save it as "
                "CSV."
            )
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "sheet.csv"
            with place.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                for row in sheet.iter_rows():
                    writer.writerow([_write_cell(cell) for cell in row])
            yield place, f"{path.name} [{sheet.name}]" if part or len(sheets) > 1 else path.name
    except python_calamine.CalamineError as error:
        raise InputError(f"{path.name} can't be read: {error}") from None


def _write_cell(cell: Any) -> str:
    """A cell as text: whole numbers without a point, dates as 2019-03-01."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        cell = cell.date()
    return str(cell)


def read_excel(path: Path, request: Request) -> Table:
    """Read the sheet that is asked for, or the largest; InputError for what can't be read."""
    with _sheet_as_text(path, request.part) as (place, name):
        return read_plain(place, request, name)
