"""One reader a file format; what a file is, is told from its content and not from its name."""

import csv
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet
import python_calamine
import scipy.io
import scipy.sparse

from core.data.apart import list_apart, read_apart
from core.data.column_names import GENE_ID_NAMES
from core.data.hdf5 import list_hdf5, read_hdf5
from core.data.matrix import Matrix, as_texts, check_size
from core.data.notes import Notes
from core.data.text import Table, read_text
from core.data.unpack import (
    MAX_TEXT,
    OPENERS,
    PACKED_ENDINGS,
    UNPACKING,
    Archive,
    Progress,
    most_unpacked,
    open_content,
    read_start,
    say_too_large,
)
from core.errors import InputError

MAX_CELLS = 20_000_000
"""Largest Excel sheet."""
VALUES_AT_A_TIME = 20_000_000
ROWS_AT_A_TIME = 20_000
SAMPLE_NAMES = re.compile(r"(?i)sample|barcode|name|(^|_)ids?$")
TABLE_ENDINGS = {"csv", "tsv", "txt", "tab", "gct", "xlsx", "xls", "parquet", "feather", "h5ad",
                 "mat", "sf", "results", "counts", "count"}  # fmt: skip


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
    if start.startswith(b"%%MatrixMarket"):
        raise InputError(
            f"{path.name} is a Matrix Market file without names. Put it into one zip file together "
            "with its features.tsv (or genes.tsv) and barcodes.tsv."
        )
    if start.startswith(tuple(OPENERS)):
        return "packed"
    return "archive" if _begins_as_tar(start) else "text"


def _begins_as_tar(start: bytes) -> bool:
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
        return _read_text(path, request)
    return read_apart(
        path, request.part, sorted(request.metadata), request.progress, all_text=request.all_text
    )


def read_description(path: Path) -> Table:
    """Read a table about samples: every column as text, whatever the format."""
    table = read_any(path, Request(all_text=True))
    if isinstance(table, Matrix):
        raise InputError(f"{path.name} is an expression matrix, not a table about samples.")
    return table


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
                workbook = any(name.startswith("xl/") for name in archive.namelist())
        except UNPACKING:
            workbook = False
        kind = "excel" if workbook else "archive"
    elif kind == "packed":
        with open_content(path) as stream:
            start = stream.read(tarfile.BLOCKSIZE)
        kind = "archive" if _begins_as_tar(start) else "text"
    return READERS[kind]


# --- Parquet and Feather ---------------------------------------------------------------------


def _read_parquet(path: Path, request: Request) -> Table:
    try:
        texts = [one.name for one in pyarrow.parquet.read_schema(path) if _is_text(one.type)]
        file = pyarrow.parquet.ParquetFile(path, read_dictionary=texts)  # texts that repeat, once
        rows = file.metadata.num_rows
        check_size(rows, len(file.schema_arrow.names), path.name)
        columns = len(file.schema_arrow.names)
        at_a_time = min(max(1, VALUES_AT_A_TIME // max(columns, 1)), ROWS_AT_A_TIME)
        return _take_batches(
            path, file.schema_arrow, rows, file.iter_batches(at_a_time), request
        )  # fmt: skip
    except (pa.ArrowInvalid, pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path.name} is not a Parquet file: {error}") from None


def _read_feather(path: Path, request: Request) -> Table:
    try:
        whole = pyarrow.feather.read_table(path, memory_map=False)
        whole.validate(full=True)
        check_size(whole.num_rows, whole.num_columns, path.name)
        return _take_batches(path, whole.schema, whole.num_rows, whole.to_batches(), request)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path.name} is not a Feather file: {error}") from None


def _take_batches(
    path: Path,
    schema: pa.Schema,
    rows: int,
    batches: Iterable[pa.RecordBatch],
    request: Request,
) -> Table:
    """Take a columnar file some rows at a time, numbers as float32, by place and not by name."""
    names = [str(name) for name in schema.names]
    if not rows:
        raise InputError(f"{path.name} has a header but no rows.")
    nested = next((field for field in schema if pa.types.is_nested(field.type)), None)
    if nested is not None:
        raise InputError(
            f"{path.name}, column {nested.name}: expected one number or text in a cell, got "
            f"{nested.type}. Store it as a flat table."
        )
    numeric = [
        column for column, field in enumerate(schema)
        if (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
            or pa.types.is_null(field.type))
        and names[column].strip().lower() not in request.metadata and not request.all_text
    ]  # fmt: skip
    texts = sorted(set(range(len(names))) - set(numeric))
    numbers = np.empty((rows, len(numeric)), dtype=np.float32)
    found: dict[int, list[pa.Array]] = {column: [] for column in texts}
    done, left = 0, most_unpacked(path.stat().st_size)
    for batch in batches:
        left -= sum(map(_unpacked_bytes, batch.columns))
        if left < 0:
            raise say_too_large(path.name, most_unpacked(path.stat().st_size))
        place = slice(done, done + batch.num_rows)
        for at, column in enumerate(numeric):
            numbers[place, at] = batch.column(column).to_numpy(zero_copy_only=False)
        for column in texts:
            found[column].append(batch.column(column))
        done = place.stop
        if request.progress:
            request.progress(min(1.0, done / rows))
    if done != rows:
        raise ValueError(f"{rows} rows are announced, {done} are there")
    described = (schema.pandas_metadata or {}).get("index_columns", [])
    indices = [names.index(name) for name in described if isinstance(name, str) and name in names]
    return Table(
        names=[name.strip() for name in names],
        source=path.name,
        rows=rows,
        numbers=[numbers],
        number_at={column: place for place, column in enumerate(numeric)},
        text_at={column: _join_texts(parts) for column, parts in found.items()},
        index=indices[0] if indices else None,
    )


def _unpacked_bytes(column: pa.Array) -> int:
    """Bytes of a column with texts that repeat counted each time."""
    words = column.dictionary if pa.types.is_dictionary(column.type) else None
    if words is None or not _is_text(words.type):
        return column.nbytes
    return pc.sum(pc.binary_length(words).take(column.indices)).as_py() or 0


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)


def _join_texts(parts: list[pa.Array]) -> np.ndarray:
    column = pa.chunked_array(parts).to_pandas()
    return as_texts(column).str.strip().to_numpy(dtype=object)


# --- Excel -----------------------------------------------------------------------------------


def _list_sheets(path: Path) -> list[str]:
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
    """A cell as text: whole numbers without a point, dates as Excel shows what was a gene."""
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime | date):
        return f"{cell.day}-{cell:%b}"
    return str(cell)


def _read_excel(path: Path, request: Request) -> Table:
    with _sheet_as_text(path, request.part) as (place, name):
        return _read_text(place, request, name)


# --- MATLAB ----------------------------------------------------------------------------------


def _matlab_matrices(path: Path) -> dict[str, tuple[int, ...]]:
    """Numeric tables of a MATLAB file with at least two rows and columns, the largest first."""
    try:
        found = scipy.io.whosmat(path)
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path.name} is not a MATLAB file that can be read: {error}") from None
    tables = {
        name: shape for name, shape, kind in found
        if kind in ("double", "single", "sparse") or re.fullmatch(r"u?int\d+", kind)
        if len(shape) == 2 and min(shape) > 1
    }  # fmt: skip
    return dict(sorted(tables.items(), key=lambda item: -np.prod(item[1], dtype=float)))


def _list_matrices(path: Path) -> list[str]:
    names = list(_matlab_matrices(path))
    return names if len(names) > 1 else []


def _read_matlab(path: Path, request: Request) -> Matrix:
    tables = _matlab_matrices(path)
    if not tables:
        raise InputError(f"{path.name} has no matrix of numbers. Expected samples x genes.")
    name = request.part or next(iter(tables))
    check_size(*tables[name], path.name)
    try:
        small = [
            key for key, shape, _ in scipy.io.whosmat(path) if np.prod(shape, dtype=float) < 1e6
        ]
        content = scipy.io.loadmat(path, struct_as_record=True, variable_names=[name, *small])
        x = content.pop(name)
        x = (x.toarray() if scipy.sparse.issparse(x) else np.asarray(x)).astype(np.float32)
        vectors = {
            key: _as_vector(value) for key, value in content.items() if not key.startswith("__")
        }
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path.name} can't be read: {error}") from None
    return _name_matlab(x, name, {k: v for k, v in vectors.items() if v is not None})


def _as_vector(value: Any) -> np.ndarray | None:
    """A MATLAB vector of numbers, cell array of texts, or char matrix as texts; None for others."""
    value = np.asarray(value)
    if value.dtype.kind in "US":
        return np.char.strip(value.astype(str)).ravel()
    if value.dtype == object and value.size and 1 in value.shape:
        cells = [np.asarray(cell).ravel() for cell in value.ravel()]
        if all(len(cell) == 1 for cell in cells):
            return np.array([str(cell[0]).strip() for cell in cells])
        return None
    if value.dtype.kind in "iufb" and value.size > 1 and 1 in value.shape:
        return as_texts(pd.Series(value.ravel())).to_numpy(dtype=str)
    return None


def _name_matlab(x: np.ndarray, name: str, vectors: dict[str, np.ndarray]) -> Matrix:
    """Find genes, samples and classes among the vectors, by their lengths and their contents."""
    notes = Notes([f"Expression was taken from the MATLAB variable {name}."])
    lengths = {len(texts) for texts in vectors.values() if len(set(texts)) == len(texts)}
    label = None
    if x.shape[1] - 1 in lengths and not {*x.shape} & lengths:  # one name less than columns
        x, label = _split_label(x)
    rows, columns = x.shape
    several = {key: texts for key, texts in vectors.items() if len(texts) in (rows, columns)}
    distinct = {key: len(set(texts)) == len(texts) for key, texts in several.items()}
    genes = next(
        (k for k in several if distinct[k] and (k.lower() in GENE_ID_NAMES or "gene" in k.lower())),
        None,
    ) or next((k for k in several if distinct[k] and len(several[k]) == columns), None)
    if genes is not None and rows != columns and len(several[genes]) == rows:
        x = np.ascontiguousarray(x.T)
        rows, columns = columns, rows
        notes.say(f"Genes are in rows: {genes} names the rows.")
    named = [k for k in several if k != genes and distinct[k] and len(several[k]) == rows]
    ids = next((k for k in named if SAMPLE_NAMES.search(k)), None) or next(iter(named), None)
    obs = {
        key: texts for key, texts in several.items()
        if key not in (genes, ids) and len(texts) == rows and rows != columns
    }  # fmt: skip
    if not obs and genes is None:
        x, label = _split_label(x)
    if label is not None:
        obs["label"] = label
        notes.say("The last column holds whole numbers of few kinds: taken as the class.")
    if genes is None:
        names = np.array([f"gene_{number + 1}" for number in range(x.shape[1])])
        notes.say("The file names no genes; they are numbered by their column.")
    else:
        names = several[genes]
        notes.say(f"Names of genes were taken from {genes}.")
    if ids is None:
        samples = np.array([f"sample {number + 1}" for number in range(rows)])
        notes.say("The file names no samples; they are numbered by their row.")
    else:
        samples = several[ids]
    return Matrix(x, samples, names, pd.DataFrame(obs, index=samples), notes)


def _split_label(x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Part the last column from the others when it alone holds a few whole numbers."""
    last, others = x[:, -1], x[:, :-1]
    whole = bool((last == np.round(last)).all()) and 2 <= len(np.unique(last)) <= 60
    if not whole or bool((others == np.round(others)).all()):
        return x, None
    return np.ascontiguousarray(others), last.astype(int).astype(str)


# --- Archives: one table, a 10x-style folder, or one table a sample ---------------------------


@dataclass(frozen=True)
class SampleTable:
    """What a tool writes for one sample."""

    title: str
    needs: frozenset[str]
    """Lower-case columns by which it is known."""
    gene: str
    value: str
    """The column that is taken: counts where they are whole numbers, else TPM."""


SAMPLE_TABLES = [
    SampleTable("GDC STAR counts", frozenset({"gene_id", "unstranded", "stranded_first"}),
                "gene_id", "unstranded"),
    SampleTable("TARGET STAR counts", frozenset({"gene", "unstranded", "stranded_first"}),
                "gene", "unstranded"),
    SampleTable("RSEM", frozenset({"expected_count", "tpm", "effective_length"}),
                "gene_id", "tpm"),
    SampleTable("salmon", frozenset({"name", "effectivelength", "tpm", "numreads"}),
                "name", "tpm"),
    SampleTable("kallisto", frozenset({"target_id", "eff_length", "est_counts", "tpm"}),
                "target_id", "tpm"),
    SampleTable("a table of counts without header", frozenset({"gene", "column 2"}),
                "gene", "column 2"),
]  # fmt: skip


def take_sample_table(table: Table) -> tuple[SampleTable, np.ndarray, np.ndarray] | None:
    """The genes and values of a table that a tool wrote for one sample, or None."""
    lower = [name.lower() for name in table.names]
    for kind in SAMPLE_TABLES:
        if kind.needs <= set(lower):
            genes = table.texts(lower.index(kind.gene))
            return kind, genes, table.values([lower.index(kind.value)])[:, 0]
    return None


@contextmanager
def _open_archive(path: Path) -> Iterator[tuple[Archive, list[str]]]:
    """An archive, and those of its files that may hold data; removed from the disk afterwards."""
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory())
        archive = opened.enter_context(Archive(path, Path(folder)))
        names = archive.names
        fitting = [
            name for name in names
            if PACKED_ENDINGS.sub("", name).rpartition(".")[2].lower() in TABLE_ENDINGS
            and not re.search(r"(?i)manifest|readme|annotations\.txt|md5", PurePosixPath(name).name)
        ]  # fmt: skip
        found = _find_mtx(names)
        yield archive, [*found.values()] if found else fitting or names


def _list_tables(path: Path) -> list[str]:
    with _open_archive(path) as (archive, names):
        several = len(names) > 1 and not _find_mtx(names) and not _is_bundle(archive, names)
        return names if several else []


def _find_mtx(names: list[str]) -> dict[str, str]:
    """The three files of a 10x-style folder; empty unless all are there."""
    wanted = {
        "matrix": r"matrix\.mtx",
        "genes": r"(features|genes)\.tsv",
        "cells": r"barcodes\.tsv",
    }
    found = {
        role: next((n for n in names if re.search(pattern + r"(\.gz)?$", n)), "")
        for role, pattern in wanted.items()
    }
    return found if all(found.values()) else {}


def _is_bundle(archive: Archive, names: list[str]) -> bool:
    """Whether an archive holds one table a sample, judged by its first two."""
    if len(names) < 2:
        return False
    try:
        return all(
            take_sample_table(read_text(archive.extract(name))) is not None for name in names[:2]
        )
    except InputError:
        return False


def _read_archive(path: Path, request: Request) -> Table | Matrix:
    with _open_archive(path) as (archive, names):
        if not names:
            raise InputError(f"{path.name} holds no file. Expected one table of samples and genes.")
        if found := _find_mtx(names):
            return _read_mtx(archive, found)
        if request.part is None and _is_bundle(archive, names):
            return _read_bundle(archive, names, request.progress)
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


def _read_bundle(archive: Archive, names: list[str], progress: Progress | None) -> Matrix:
    """One table a sample, side by side; every one must hold the same genes."""
    genes: np.ndarray | None = None
    samples, columns = _name_samples(names), []
    for number, name in enumerate(names):
        place = archive.extract(name)
        found = take_sample_table(read_text(place, name=f"{archive.name}, {name}"))
        place.unlink()
        if found is None:
            raise InputError(
                f"{archive.name}: {name} is not a table of one sample like {names[0]}. Remove it."
            )
        kind, these, values = found
        if genes is None:
            genes = these
            check_size(len(names), len(genes), archive.name)
        if not np.array_equal(genes, these):
            other = sorted(set(these) ^ set(genes))
            raise InputError(
                f"{archive.name}: {name} has other genes than {names[0]} "
                f"({', '.join(other[:3]) or 'in another order'}). Use one annotation for all."
            )
        columns.append(values)
        if progress:
            progress((number + 1) / len(names))
    note = f"{len(names)} files of {kind.title}, one a sample; the column {kind.value} was taken."
    return Matrix(
        np.stack(columns), samples, np.asarray(genes), pd.DataFrame(index=samples), Notes([note])
    )


def _name_samples(names: list[str]) -> np.ndarray:
    """Sample ids out of file names; out of the folders when all files are called the same."""
    paths = [PurePosixPath(name) for name in names]
    if len({path.name for path in paths}) < len(paths):
        return np.array([path.parent.name for path in paths])
    stems = [PACKED_ENDINGS.sub("", path.name) for path in paths]
    common = re.compile(
        r"(\.rna_seq\.(augmented_)?star_gene_counts)?(ReadsPerGene\.out)?(\.(genes|isoforms))?"
        r"(\.htseq)?(\.counts?)?(\.(tsv|csv|txt|tab|sf|results|counts?))?$"
    )
    return np.array([common.sub("", stem) or stem for stem in stems])


def _read_mtx(archive: Archive, found: dict[str, str]) -> Matrix:
    """A 10x-style folder: genes x cells as Matrix Market, with two lists of names."""
    texts = {role: archive.extract(name) for role, name in found.items()}
    try:
        with open_content(texts["matrix"]) as stream:
            rows, columns, *_ = scipy.io.mminfo(stream)
        check_size(rows, columns, archive.name)
        with open_content(texts["matrix"]) as stream:
            x = scipy.io.mmread(stream, spmatrix=False)
        x = x.toarray() if scipy.sparse.issparse(x) else np.asarray(x)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"{archive.name}: {found['matrix']} is not a matrix: {error}") from None
    lists = {}
    for role in ("genes", "cells"):
        with open_content(texts[role]) as stream:
            content = b"".join(iter(lambda: stream.read(1 << 20), b""))
        lines = content.decode("utf-8", errors="replace").splitlines()
        lists[role] = [line.split("\t") for line in lines]
    if x.shape != (len(lists["genes"]), len(lists["cells"])):
        raise InputError(
            f"{archive.name}: the matrix is {x.shape[0]} x {x.shape[1]}, but there are "
            f"{len(lists['genes'])} genes and {len(lists['cells'])} barcodes."
        )
    genes = np.array([row[1] if len(row) > 1 and row[1] else row[0] for row in lists["genes"]])
    samples = np.array([row[0] for row in lists["cells"]])
    note = "A folder of Matrix Market with its features and barcodes; gene names were taken."
    x = np.ascontiguousarray(x.T, dtype=np.float32)
    return Matrix(x, samples, genes, pd.DataFrame(index=samples), Notes([note]))


# --- text, and the registry ------------------------------------------------------------------


def _read_text(path: Path, request: Request, name: str | None = None) -> Table:
    return read_text(
        path, name=name, metadata=request.metadata, all_text=request.all_text,
        progress=request.progress,
    )  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """How one format is read, and what can be chosen in it."""

    read: Callable[[Path, Request], Table | Matrix]
    list_parts: Callable[[Path], list[str]] = lambda path: []


READERS = {
    "text": Reader(_read_text),
    "parquet": Reader(_read_parquet),
    "feather": Reader(_read_feather),
    "excel": Reader(_read_excel, _list_sheets),
    "hdf5": Reader(lambda path, request: read_hdf5(path, request.part), list_hdf5),
    "matlab": Reader(_read_matlab, _list_matrices),
    "archive": Reader(_read_archive, _list_tables),
}
