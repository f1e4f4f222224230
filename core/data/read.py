"""Reading expression files: a matrix is read completely and rightly, or refused with the reason."""

import csv
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from anndata import AnnData
from scipy import sparse

from core.data.check import detect_scale
from core.data.names import (
    GENE_ANNOTATION,
    MISSING,
    NOT_GENES,
    SAMPLE_ID,
    is_metadata_name,
    share_of_genes,
    share_of_samples,
)
from core.errors import InputError

Orientation = Literal["auto", "samples_in_rows", "genes_in_rows"]

MAX_VALUES = 500_000_000
"""Largest matrix, samples x genes: 2 GB as float32."""
MAX_TEXT_BYTES = 8_000_000_000
"""Largest text file, after unpacking."""
PREVIEW_LINES = 200
"""Lines from which the kind of each column is told."""


def read_dataset(
    matrix: Path,
    labels: Path | None = None,
    *,
    orientation: Orientation = "auto",
    metadata: Sequence[str] = (),
) -> AnnData:
    """Read an expression matrix: CSV or TSV (plain or gz), Parquet, or h5ad.

    Args:
        matrix: the file; what it is is told from its content. Columns (or, with genes in rows,
            leading rows) that hold text, bear a well-known name such as `batch` or are named in
            `metadata` describe the samples; all others are genes.
        labels: a second table about the samples. The column that holds the sample ids is found by
            itself and ids are matched exactly. Samples without a row are left out.
        orientation: whether a row is a sample or a gene; auto tells it from the names.
        metadata: further columns that describe the samples though they hold numbers.

    Returns:
        X (samples, genes) float32 with NaN where a value is missing; obs of str, "" where missing;
        uns: scale (counts, linear or log2), source (file name), notes (what reading did).

    Raises:
        InputError: the file can't be read completely and without doubt; says where and what to do.
    """
    matrix = Path(matrix)
    kind = _kind_of_file(matrix)
    label_table = None if labels is None else _read_labels(Path(labels))
    if kind == "h5ad":
        data = _read_h5ad(matrix)
    else:
        table = _read_text(matrix, metadata) if kind == "text" else _read_parquet(matrix, metadata)
        data = _orient(table, orientation, label_table)
    if label_table is not None:
        data = _join_labels(data, label_table, Path(labels).name)
    data = _finish(data, matrix.name)
    return data


@dataclass
class _Table:
    """A matrix as it lies in the file, before it is known what a row is."""

    name: str
    values: np.ndarray
    """(rows, columns) float32."""
    rows: np.ndarray | None
    """(rows,) names; None where the file has none."""
    columns: np.ndarray
    """(columns,) names."""
    about_rows: pd.DataFrame
    """Columns that aren't values, one row each row."""
    about_columns: pd.DataFrame
    """Leading rows that aren't values, one row each column."""
    notes: list[str] = field(default_factory=list)


# ---------------------------------------------------------------------------------------------
# What kind of file


def _kind_of_file(path: Path) -> Literal["text", "parquet", "h5ad"]:
    """Told from the first bytes, because names lie."""
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise InputError(f"{path.name} is empty. Expected a table of samples and genes.")
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith(b"\x89HDF"):
        return "h5ad"
    if start.startswith(b"PK") or start.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError(
            f"{path.name} is an Excel or zip file. Save the sheet as CSV (UTF-8) or unpack it first."
        )
    if not start.startswith(b"\x1f\x8b"):
        _refuse_binary(start, path.name)
    return "text"


def _refuse_binary(start: bytes, name: str) -> None:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name} is UTF-16 text. Save it as CSV UTF-8.")
    if b"\0" in start:
        raise InputError(
            f"{name} isn't a text table. Expected CSV, TSV, Parquet or h5ad with samples and genes."
        )


class _Limited(io.RawIOBase):
    """A binary stream that refuses to give more than `MAX_TEXT_BYTES`."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream, self._name, self._given = stream, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        try:
            piece = self._stream.read(len(buffer))
        except (EOFError, gzip.BadGzipFile, OSError, ValueError) as error:
            raise InputError(
                f"{self._name} is damaged or ends too early ({error}). Copy it again."
            ) from error
        self._given += len(piece)
        if self._given > MAX_TEXT_BYTES:
            raise InputError(
                f"{self._name} is larger than {MAX_TEXT_BYTES / 1e9:g} GB of text. "
                "Leave out genes or samples, or use Parquet."
            )
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _open_bytes(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    stream = gzip.open(path, "rb") if packed else path.open("rb")
    return io.BufferedReader(_Limited(stream, path.name), 1 << 20)


def _open_lines(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(_open_bytes(path), encoding="utf-8-sig", newline="")


# ---------------------------------------------------------------------------------------------
# Text


@dataclass
class _Text:
    """How a text table is written."""

    path: Path
    delimiter: str
    decimal: str
    skip: int
    """Lines before the header: comments."""
    header: list[str]
    head: list[list[str]]
    """First rows after the header."""


def _look_at_text(path: Path) -> _Text:
    """Find delimiter, decimal sign, comments and header; read the first rows."""
    try:
        with closing(_open_lines(path)) as file:
            lines = [line for _, line in zip(range(PREVIEW_LINES + 20), file, strict=False)]
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path.name} isn't UTF-8 text (byte {error.start}). Save it as CSV UTF-8."
        ) from error
    _refuse_binary("".join(lines[:5]).encode(), path.name)
    skip = 0
    while skip < len(lines) and (not lines[skip].strip() or lines[skip].startswith("#")):
        skip += 2 if lines[skip].startswith("#1.2") else 1
    lines = lines[skip:]
    if not lines:
        raise InputError(f"{path.name} is empty. Expected a table of samples and genes.")
    delimiter = _find_delimiter(lines)
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    header, head = [cell.strip() for cell in rows[0]], rows[1 : PREVIEW_LINES + 1]
    if not head:
        raise InputError(f"{path.name} has one line only. Expected a header and rows of values.")
    if len(head[0]) == len(header) + 1:
        header = ["", *header]
    cells = [cell for row in head for cell in row[1:]]
    commas = sum(bool(re.fullmatch(r"-?\d+,\d+", cell.strip())) for cell in cells)
    points = sum(bool(re.fullmatch(r"-?\d+\.\d+", cell.strip())) for cell in cells)
    decimal = "," if delimiter != "," and commas > points else "."
    return _Text(path, delimiter, decimal, skip, header, head)


def _find_delimiter(lines: list[str]) -> str:
    """The delimiter that the first lines agree on with the most columns."""

    def agreed_columns(delimiter: str) -> int:
        widths = [len(row) for row in csv.reader(lines[:20], delimiter=delimiter) if row]
        widths = widths[1:] or widths
        return min(widths)

    return max("\t,; ", key=agreed_columns)


def _read_text(path: Path, metadata: Sequence[str]) -> _Table:
    text = _look_at_text(path)
    if len(text.header) < 2:
        raise InputError(
            f"{path.name} isn't a table: no commas, tabs or semicolons divide its first line "
            f"{text.header[0][:60]!r}. Expected a header and rows of values."
        )
    above = _count_metadata_rows(text, metadata)
    body = text.head[above:]
    if not body:
        raise InputError(f"{path.name} has no rows of numbers. Expected an expression matrix.")
    _check_widths(text, text.head)
    known = {name.lower() for name in metadata}
    kinds = [
        _kind_of_column(text, column, known, [row[column] for row in body])
        for column in range(len(text.header))
    ]
    if not any(kind == "number" for kind in kinds):
        raise InputError(
            f"{path.name} has no columns of numbers. Expected an expression matrix: a row a "
            "sample and a column a gene, or the other way round."
        )
    table = _parse_text(text, kinds, above)
    numeric = [i for i, kind in enumerate(kinds) if kind == "number"]
    return _make_table(
        path.name,
        table,
        text.header,
        numeric,
        about_columns=pd.DataFrame(
            {row[0].strip(): [row[i].strip() for i in numeric] for row in text.head[:above]}
        ),
    )


def _is_number(cell: str, decimal: str = ".") -> bool:
    try:
        float(cell.replace(",", ".") if decimal == "," else cell)
    except ValueError:
        return False
    return "_" not in cell


def _is_missing(cell: str) -> bool:
    return cell.strip() in MISSING


def _count_metadata_rows(text: _Text, metadata: Sequence[str]) -> int:
    """Leading rows that describe the columns: well-known names, or text above rows of numbers."""
    known = {name.lower() for name in metadata}
    last = text.head[-1]
    columns = [i for i in range(1, len(last)) if _is_number(last[i], text.decimal)]
    count = 0
    for row in text.head[:-1]:
        cells = [row[i] for i in columns if i < len(row) and not _is_missing(row[i])]
        words = sum(not _is_number(cell, text.decimal) for cell in cells)
        name = row[0].strip().lower()
        if not (name in known or is_metadata_name(name) or (cells and words == len(cells))):
            break
        count += 1
    return count


def _kind_of_column(
    text: _Text, column: int, known: set[str], cells: list[str]
) -> Literal["number", "text"]:
    """Whether a column holds expression, from its name and its first cells."""
    name = text.header[column].lower()
    if name in known or is_metadata_name(name) or (column == 0 and name in SAMPLE_ID | {""}):
        return "text"
    filled = [cell for cell in cells if not _is_missing(cell)]
    words = [cell for cell in filled if not _is_number(cell, text.decimal)]
    if not words:
        return "number"
    if column and len(words) <= 0.1 * len(filled):
        raise _wrong_cell(text)
    return "text"


def _check_widths(text: _Text, rows: list[list[str]]) -> None:
    if any(len(row) != len(text.header) for row in rows):
        raise _wrong_cell(text)


def _parse_text(text: _Text, kinds: list[str], above: int) -> pa.Table:
    """The rows below the metadata rows as an Arrow table of columns named 0, 1, 2, ..."""
    names = [str(i) for i in range(len(kinds))]
    types = {
        name: pa.float32() if kind == "number" else pa.string()
        for name, kind in zip(names, kinds, strict=True)
    }
    with closing(_open_bytes(text.path)) as file:
        for _ in range(text.skip + 1 + above):
            while not file.readline().strip():
                pass
        try:
            return pyarrow.csv.read_csv(
                pa.PythonFile(file, mode="r"),
                read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=1 << 26),
                parse_options=pyarrow.csv.ParseOptions(delimiter=text.delimiter),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=types,
                    null_values=sorted(MISSING),
                    strings_can_be_null=False,
                    decimal_point=text.decimal,
                ),
            )
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise _wrong_cell(text, kinds, str(error)) from error


def _wrong_cell(text: _Text, kinds: list[str] | None = None, reason: str = "") -> InputError:
    """Go through the file again to say in which line and column it is wrong."""
    name, width = text.path.name, len(text.header)
    for line, row in _rows_with_lines(text):
        if len(row) != width:
            return InputError(
                f"{name}, line {line}: expected {width} values as in the first lines, got "
                f"{len(row)}. Is the file cut off, or does a name hold the delimiter "
                f"{text.delimiter!r}?"
            )
        numbers = sum(_is_number(cell, text.decimal) for cell in row[1:])
        for i, cell in enumerate(row[1:], start=1):
            number = _is_number(cell, text.decimal) or _is_missing(cell)
            expected = kinds[i] == "number" if kinds else numbers > 0.5 * width
            if not number and expected and not is_metadata_name(text.header[i].lower()):
                if kinds is None and not _mostly_numbers(text, i):
                    continue
                return InputError(
                    f"{name}, line {line}, column {text.header[i] or i + 1!r}: expected a number, "
                    f"got {cell[:40]!r}. Correct it, or leave it empty if the value is missing."
                )
    return InputError(f"{name} can't be read as a table: {reason}")


def _mostly_numbers(text: _Text, column: int) -> bool:
    cells = [row[column] for row in text.head if len(row) > column]
    return sum(_is_number(cell, text.decimal) for cell in cells) > 0.5 * len(cells)


def _rows_with_lines(text: _Text) -> Iterator[tuple[int, list[str]]]:
    """Each row after the header with its line number in the file."""
    with closing(_open_lines(text.path)) as file:
        for _ in range(text.skip):
            next(file)
        reader = csv.reader(file, delimiter=text.delimiter)
        header = next(row for row in reader if row)
        del header
        for row in reader:
            if row:
                yield reader.line_num + text.skip, row
