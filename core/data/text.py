"""Text tables: their numbers are read in blocks, once their form is found from their beginning.

Numbers go straight to float32, a block of lines at a time, so that a large packed matrix is never
in memory as text and never as anything wider than float32.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from core.data.column_names import ID_NAMES, METADATA_NAMES, MISSING_NUMBERS
from core.data.formats.unpack import Progress, iterate_blocks, open_content, read_ahead
from core.data.matrix import MAX_VALUES
from core.data.notes import Notes
from core.data.text_form import TextForm, decode, find_form, iterate_lines, split_cells
from core.errors import InputError

MAX_TURNED = 50
"""Columns that may turn out to hold text in the middle of a file; more are a row of text."""
CHARACTERS = 5
"""Of one value in a text, about."""
SPACES = re.compile(rb'(?<![^ ])("[^"]*")| {2,}')
"""A quoted cell, which is kept as it is, or a run of spaces between cells."""


@dataclass(frozen=True)
class Table:
    """A table as it was read: each column holds numbers or texts."""

    names: list[str]
    """Column names, not always unique."""
    source: str
    rows: int
    numbers: list[np.ndarray]
    """Blocks of rows, each (some rows, columns of numbers) float32, NaN where nothing stands."""
    number_at: dict[int, int]
    """Column -> its place in `numbers`."""
    text_at: dict[int, np.ndarray]
    """Column -> its trimmed texts; empty where nothing stands."""
    index: int | None = None
    """The column that a Parquet or Feather file says is the index."""
    above: dict[str, list[str]] = field(default_factory=dict)
    """Rows of text above the numbers, each with one value a column: what describes columns."""
    describing: frozenset[int] = frozenset()
    """Columns that the format says describe rows."""
    lines: np.ndarray | None = None
    """(rows,) line of the file in which each row stands; None: from the second on."""
    notes: Notes = field(default_factory=Notes)
    """What was understood of the form of the file."""

    def keep(self, columns: Sequence[int], names: Sequence[str], **changed: Any) -> "Table":
        """Some of the columns, under other names; `changed` are further fields."""
        new = {column: place for place, column in enumerate(columns)}
        return replace(
            self,
            names=list(names),
            number_at={new[c]: place for c, place in self.number_at.items() if c in new},
            text_at={new[c]: texts for c, texts in self.text_at.items() if c in new},
            **changed,
        )

    def line(self, row: int) -> int:
        """The line of the file in which a row stands."""
        return row + 2 if self.lines is None else int(self.lines[row])

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers (or nothing at all).

        The first column is kept as text, because it nearly always holds ids.
        """
        if column or column in self.number_at:
            return column in self.number_at
        texts = pd.Series(self.text_at[0])
        return bool(
            (pd.to_numeric(texts, errors="coerce").notna() | texts.isin(MISSING_NUMBERS)).all()
        )

    def texts(self, column: int) -> np.ndarray:
        """A column as trimmed texts."""
        if column in self.text_at:
            return self.text_at[column]
        values = np.concatenate([block[:, self.number_at[column]] for block in self.numbers])
        return write_numbers(values)

    def values(self, columns: list[int], *, turned: bool = False) -> np.ndarray:
        """Columns of numbers side by side, (rows, columns) float32; (columns, rows) if `turned`."""
        shape = (len(columns), self.rows) if turned else (self.rows, len(columns))
        try:
            x = np.empty(shape, np.float32)
        except MemoryError:
            raise _say_memory(self.source, len(columns) * self.rows) from None
        whole = x.T if turned else x
        here = [place for place, column in enumerate(columns) if column in self.number_at]
        places = [self.number_at[columns[place]] for place in here]
        every = places == here == list(range(len(columns)))
        row = 0
        for block in self.numbers:
            rows = slice(row, row + len(block))
            if every:
                whole[rows] = block[:, : len(places)]
            else:
                whole[rows, here] = block[:, places]
            row = rows.stop
        for place, column in enumerate(columns):
            if column not in self.number_at:  # the first column, should it hold numbers
                texts = pd.Series(self.text_at[column])
                whole[:, place] = pd.to_numeric(texts, errors="coerce").astype(np.float32)
        return x


def write_numbers(values: np.ndarray) -> np.ndarray:
    """Numbers as the shortest texts that are read back equal; empty where nothing stands."""
    return np.array(
        ["" if np.isnan(value) else np.format_float_positional(np.float32(value), trim="-")
         for value in values],
        dtype=object,
    )  # fmt: skip


def read_text(
    path: Path,
    *,
    name: str | None = None,
    metadata: Collection[str] = (),
    all_text: bool = False,
    progress: Progress | None = None,
) -> Table:
    """Read a text table: commas, tabs, semicolons or spaces, packed or not.

    Args:
        path: the file.
        name: what messages call it, by default its own name.
        metadata: lower-case names of columns that are texts even when they look like numbers.
        all_text: keep every column as text, as in a table about samples.
        progress: told the share that is read.

    Raises:
        InputError: it isn't a table, or a line or a cell is wrong, naming which.
    """
    name = name or path.name
    collector = None
    with open_content(path) as stream:
        try:
            blocks = read_ahead(iterate_blocks(stream, name))
            first = next(blocks, None)
            if first is None or first.isspace():
                raise InputError(f"{name} is empty. Expected a table with samples and genes.")
            form = find_form(first, name, metadata, labels=all_text)
            collector = _Collector(form, name, {*metadata, *METADATA_NAMES}, all_text)
            for place, block in enumerate(_chain(first, blocks)):
                collector.add(_take_rows(block, form, place))
                if progress:
                    progress(stream.share())
        except MemoryError:
            seen = 0 if collector is None else collector.values
            values = seen / stream.share() if seen else path.stat().st_size / CHARACTERS
            raise _say_memory(name, values) from None
    if collector.turned:
        with open_content(path) as stream:
            collector.read_turned(
                _take_rows(block, form, place)
                for place, block in enumerate(iterate_blocks(stream, name))
            )
    return collector.finish()


def _say_memory(name: str, values: float) -> InputError:
    """What is said when a table doesn't fit: its values are held twice as the matrix is made."""
    return InputError(
        f"{name} needs about {8e-9 * values + 0.5:.1f} GB of memory, which isn't there. Close "
        "other programs, keep fewer genes or samples, or use a computer with more memory."
    )


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _take_rows(block: bytes, form: TextForm, place: int) -> bytes:
    """The lines of a block below the header, with blank ones where the header stands again."""
    if place == 0:
        block = _skip_lines(block, form.skipped)
    if form.header and form.header in block:
        again = re.compile(rb"(?m)(?:^|(?<=\r))%s(?=[\r\n])" % re.escape(form.header))
        block = again.sub(b"", block)
    return block


def _skip_lines(block: bytes, lines: int) -> bytes:
    position = 0
    for _ in range(lines):
        match = re.compile(rb"\r\n|\n|\r").search(block, position)
        position = match.end() if match else len(block)
    return block[position:]


def _parse(
    block: bytes,
    form: TextForm,
    kinds: dict[int, pa.DataType] | None = None,
    only: list[int] | None = None,
) -> pa.Table:
    """One block as a table with columns named 0, 1, …; columns without a kind are inferred."""
    if not block.isascii():
        block = decode(block).encode()
    if form.collapse:
        block = b"".join(
            SPACES.sub(lambda found: found[1] or b" ", line.strip()) + b"\n"
            for line in block.splitlines()
        )
    if form.numbers.thousands:
        block = form.numbers.remove_thousands(block, form.delimiter)
    types = {str(column): kind for column, kind in (kinds or {}).items()}
    if only is not None:
        types = {str(column): pa.string() for column in only}
    return pyarrow.csv.read_csv(
        pa.py_buffer(block),
        read_options=pyarrow.csv.ReadOptions(
            block_size=len(block) + 1,
            column_names=[str(column) for column in range(len(form.names))],
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=form.delimiter,
            invalid_row_handler=lambda row: "skip" if _is_nothing(row.text, form) else "error",
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=_find_missing(block),
            strings_can_be_null=False,
            true_values=[],
            false_values=[],
            timestamp_parsers=["never"],
            column_types=types,
            include_columns=None if only is None else [str(column) for column in only],
            decimal_point=form.numbers.decimal,
        ),
    )


def _find_missing(block: bytes) -> list[str]:
    """Those spellings of "missing" that may stand in a block.

    Arrow keeps those that it is told once a column: all 287 took 4 GB for 20,000 genes in columns.
    """
    letters = set(block)
    stems = {word.strip(): word.strip().encode() for word in MISSING_NUMBERS}
    found = {word for word, stem in stems.items() if letters.issuperset(stem) and stem in block}
    return [word for word in MISSING_NUMBERS if word.strip() in found]


def _is_nothing(line: str, form: TextForm) -> bool:
    """Whether a line of another width is a comment, or nothing but delimiters."""
    return line.startswith("#") or not line.strip(f'{form.delimiter} "\t')


def _trim(column: pa.ChunkedArray) -> np.ndarray:
    texts = column.to_pandas().astype("string").fillna("").str.strip()
    return texts.to_numpy(dtype=object)


class _Collector:
    """Gathers blocks of rows into one array of numbers and the columns of texts."""

    def __init__(self, form: TextForm, name: str, as_text: set[str], all_text: bool) -> None:
        self.form, self.name = form, name
        self.blocks: list[np.ndarray] = []
        self.texts: dict[int, list[np.ndarray]] = {}
        self.kept: list[np.ndarray] = []
        """For each block, which of its rows hold anything."""
        self.lines: list[np.ndarray] = []
        """For each block, the lines on which its kept rows stand."""
        self.turned: list[int] = []
        """Columns that were numbers in one block and text in another."""
        self.line = form.skipped
        """Lines that were read."""
        self.values = 0
        """Numbers that were read."""
        self.foreign = False
        """Whether a block wasn't in UTF-8."""
        columns = range(len(form.names))
        ids = {0, *form.describing}
        self.kinds: dict[int, pa.DataType] = {
            column: pa.string()
            for column in columns
            if all_text
            or column in ids
            or form.names[column].lower() in (as_text | ID_NAMES) - {""}
        }
        """What each column has been so far; unknown before the first block."""

    def add(self, block: bytes) -> None:
        """Take the next lines."""
        if block and not block.isspace():
            self._tell_encoding(block)
            self._add_rows(block)
        self.line += _count_lines(block)

    def _tell_encoding(self, block: bytes) -> None:
        """Tell once, with an example, that letters aren't in UTF-8: others may be meant."""
        if self.foreign or block.isascii():
            return
        try:
            block.decode("utf-8")
        except UnicodeDecodeError as error:
            self.foreign = True
            around = re.compile(rb"[^\s,;\"]*").match
            start = re.search(rb"[^\s,;\"]*$", block[: error.start])
            word = decode(start[0] + around(block, error.start)[0])
            self.form.notes.say(
                f"{self.name} isn't written in UTF-8; its letters were read as those of Windows, "
                f"such as {word[:40]}."
            )

    def _add_rows(self, block: bytes) -> None:
        try:
            table = self._read(block)
        except MemoryError:
            raise
        except (pa.ArrowException, UnicodeError) as error:
            if "Empty CSV" in str(error):
                return
            if "thread" in str(error):  # none can be started without memory for its stack
                raise MemoryError from None
            raise self._find_bad_line(block, str(error)) from None
        for column in range(table.num_columns):
            number = not pa.types.is_string(table.column(column).type)
            known = self.kinds.get(column)
            if known is None:
                self.kinds[column] = pa.float32() if number else pa.string()
            elif pa.types.is_floating(known) and not number:
                self._turn(column, table.column(column))
        places = self._number_columns()
        values = np.empty((table.num_rows, len(places)), dtype=np.float32)
        for place, column in enumerate(places):
            if pa.types.is_string(table.column(column).type):  # turned: its texts are read again
                values[:, place] = np.nan
            else:
                with np.errstate(over="ignore"):  # too large for float32: infinite, refused later
                    values[:, place] = table.column(column).to_numpy()
        texts = {
            column: _trim(table.column(column))
            for column, kind in self.kinds.items() if pa.types.is_string(kind)
        }  # fmt: skip
        if table.num_rows < _count_lines(block):
            self._refuse_swallowed_lines(block, texts)
        kept = texts[0] != ""
        for row in np.flatnonzero(~kept):
            filled = any(texts[column][row] for column in texts)
            kept[row] = filled or not np.isnan(values[row]).all()
        if not kept.all():
            values = values[kept]
        self.blocks.append(values)
        for column, parts in texts.items():
            self.texts.setdefault(column, []).append(parts[kept])
        self.kept.append(kept)
        self.lines.append(self._find_lines(block, kept))
        self.values = sum(map(len, self.blocks)) * max(len(places), 1)
        if self.values > MAX_VALUES:
            raise InputError(
                f"{self.name} has more than {MAX_VALUES:,} values. Keep fewer genes or samples."
            )

    def _refuse_swallowed_lines(self, block: bytes, texts: Mapping[int, np.ndarray]) -> None:
        """Raise InputError where a cell goes over several lines that are rows of their own.

        So it is with 5" in a description and the next quotation mark far below.
        """
        between = len(self.form.names) - 1
        for column, cells in texts.items():
            for cell in cells:
                if cell.count(self.form.delimiter) < between or not re.search(r"[\r\n]", cell):
                    continue
                start = cell.split(self.form.delimiter, 1)[0]
                rows = split_cells(iterate_lines(block), self.form.delimiter, self.line, self.name)
                swallowed = re.split(r"\r\n|\r|\n", cell)
                line = next(row.line for row in rows if cell in row.cells) - len(swallowed) + 1
                raise InputError(
                    f"{self.name}, line {line}, column {self.form.names[column]}: a quotation mark "
                    f"before {start[:40]!r} is closed {len(swallowed) - 1} lines below only, and "
                    "the rows between would be lost. Remove it, or write it twice."
                )

    def _find_lines(self, block: bytes, kept: np.ndarray) -> np.ndarray:
        """(kept rows,) the line on which each stands; blank lines aren't among the rows."""
        if len(kept) == _count_lines(block):
            return self.line + 1 + np.flatnonzero(kept)
        rows = split_cells(iterate_lines(block), self.form.delimiter, self.line, self.name)
        width = len(self.form.names)
        found = [row.line for row in rows if row.width and len(row.cells) == width]
        return np.array(found) if len(found) == kept.sum() else self.line + 1 + np.flatnonzero(kept)

    def read_turned(self, blocks: Iterable[bytes]) -> None:
        """Read the texts of columns that turned out to hold some."""
        tables = (_parse(block, self.form, only=self.turned) for block in blocks)
        parts = [
            [_trim(column)[kept] for column in table.columns]
            for table, kept in zip(tables, self.kept, strict=True)
        ]
        for at, column in enumerate(self.turned):
            self.texts[column] = [part[at] for part in parts]

    def _read(self, block: bytes) -> pa.Table:
        """A block with every column as numbers or as string, never as anything else."""
        try:
            table = _parse(block, self.form, self.kinds)
        except pa.ArrowInvalid as error:
            if "conversion error" not in str(error):
                raise
            strings = {c: kind for c, kind in self.kinds.items() if pa.types.is_string(kind)}
            table = _parse(block, self.form, strings)  # find out anew what the others are
        others = {
            column: pa.string()
            for column in range(table.num_columns)
            if not _is_numeric(table.column(column).type)
        }
        if any(not pa.types.is_string(table.column(column).type) for column in others):
            table = _parse(block, self.form, {**self.kinds, **others})  # dates stay as written
        return table

    def _turn(self, column: int, texts: pa.ChunkedArray) -> None:
        if column in self.turned:
            return
        self.turned.append(column)
        if len(self.turned) > MAX_TURNED:
            values = _trim(texts)
            at = next(
                n for n, value in enumerate(values)
                if value not in MISSING_NUMBERS and not self.form.numbers.is_number(value)
            )  # fmt: skip
            raise InputError(
                f"{self.name}, line {self.line + at + 1}, column {self.form.names[column]}: "
                f"expected a number, got {values[at][:40]!r}, and so in {len(self.turned)} columns "
                "and more. Correct the line, or remove it."
            )

    def _number_columns(self) -> list[int]:
        return [c for c in sorted(self.kinds) if pa.types.is_floating(self.kinds[c])]

    def finish(self) -> Table:
        """The whole table."""
        form, names = self.form, self.form.names
        rows = sum(map(len, self.blocks))
        if not rows:
            raise InputError(f"{self.name} has a header but no rows.")
        places = {column: place for place, column in enumerate(self._number_columns())}
        unnamed = [column for column, name in enumerate(names) if column and not name]
        for column in unnamed:
            self._refuse_values(column, places.get(column))
        left = [column for column in range(len(names)) if column not in set(unnamed)]
        new = {column: place for place, column in enumerate(left)}
        return Table(
            names=[names[column] for column in left],
            source=self.name,
            rows=rows,
            numbers=self.blocks,
            number_at={
                new[column]: at for column, at in places.items()
                if column in new and column not in self.turned
            },
            text_at={
                new[column]: np.concatenate(parts) for column, parts in self.texts.items()
                if column in new
            },
            above={row[0]: [row[column] for column in left] for row in form.above},
            describing=frozenset(new[column] for column in form.describing),
            lines=np.concatenate(self.lines),
            notes=form.notes,
        )  # fmt: skip

    def _refuse_values(self, column: int, place: int | None) -> None:
        """Refuse a column that has values but no name; one without either is nothing."""
        parts = (
            [part != "" for part in self.texts[column]] if column in self.texts
            else [~np.isnan(block[:, place]) for block in self.blocks]
        )  # fmt: skip
        filled = np.flatnonzero(np.concatenate(parts))
        if len(filled):
            line = np.concatenate(self.lines)[filled[0]]
            raise InputError(
                f"{self.name}, line {self.form.header_line}: column {column + 1} has no name, but "
                f"a value in line {line}. Give every column a name."
            )

    def _find_bad_line(self, block: bytes, reason: str) -> InputError:
        """Say which line has another number of columns than the header."""
        expected = len(self.form.names)
        rows = split_cells(iterate_lines(block), self.form.delimiter, self.line, self.name)
        for row in rows:
            if row.width and len(row.cells) != expected and not row.cells[0].startswith("#"):
                return InputError(
                    f"{self.name}, line {row.line}: expected {expected} columns like the header, "
                    f"got {len(row.cells)}. Is the file complete?"
                )
        return InputError(f"{self.name} can't be read as a table: {reason[:200]}")


def _count_lines(block: bytes) -> int:
    return block.count(b"\n") or block.count(b"\r")


def _is_numeric(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
