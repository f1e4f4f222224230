"""Parquet and Feather."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet

from core.data.formats.request import Request
from core.data.formats.unpack import most_unpacked, say_too_large
from core.data.matrix import as_texts, check_size
from core.data.text import Table
from core.errors import InputError

NAMELESS = re.compile(r"__index_level_\d+__")
"""What pandas calls an index without a name."""
VALUES_AT_A_TIME = 20_000_000
ROWS_AT_A_TIME = 20_000


def read_parquet(path: Path, request: Request) -> Table:
    """Read a Parquet file; raises InputError for one that isn't right."""
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


def read_feather(path: Path, request: Request) -> Table:
    """Read a Feather file; raises InputError for one that isn't right."""
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
    if indices and NAMELESS.fullmatch(names[indices[0]]) and indices[0] in numeric:
        names[indices[0]] = "index"  # rows' numbers that are left of a table some were taken out of
        indices = []
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
