"""Text tables: their form is found from their beginning, their numbers are read in blocks.

Numbers go straight to float32, a block of lines at a time, so that a large packed matrix is never
in memory as text and never as anything wider than float32.
"""

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from core.data.matrix import MAX_VALUES
from core.data.roles import GROUP_NAMES, LABEL_NAMES
from core.data.unpack import Progress, iterate_blocks, open_content, read_ahead
from core.errors import InputError

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "#N/A", "."]
MISSING_NUMBERS = [*MISSING, "na", "n/a", "n.a.", "N.A.", "<NA>", "NaN ", "None", "none", "Null",
                   "ND", "nd", "N.D.", "n.d.", "N/D", "-", "--", "---", "\u2013", "\u2014", "?",
                   "#DIV/0!", "#VALUE!", "#NUM!", "#REF!", "#NAME?", "#NULL!"]  # fmt: skip
"""Words for a value that is missing, where numbers are expected."""
MAX_COLUMNS = 500_000
SAMPLE_ID_NAMES = {"sample", "samples", "sample_id", "sampleid", "sample_name", "barcode"}
GENE_ID_NAMES = {"gene", "genes", "gene_id", "geneid", "gene_name", "gene_symbol", "symbol",
                 "hugo_symbol", "hgnc_symbol", "ensembl_gene_id", "ensembl_id", "entrez",
                 "entrez_id", "entrez_gene_id", "target_id", "name"}  # fmt: skip
ID_NAMES = SAMPLE_ID_NAMES | GENE_ID_NAMES | {"", "id", "index", "unnamed: 0"}
GENE_ANNOTATION = {"chr", "chrom", "chromosome", "seqnames", "start", "end", "strand", "length",
                   "gene_length", "width", "effective_length", "biotype", "gene_biotype",
                   "gene_type", "description", "transcript_id(s)"}  # fmt: skip
METADATA_NAMES = {*LABEL_NAMES, *GROUP_NAMES, "batch", "site", "center", "centre", "plate", "age",
                  "sex", "gender", "stage", "grade", "sample_type", "tissue", "year"}  # fmt: skip
MAX_ABOVE = 1000
"""Most rows about samples in a GCT file."""
HEAD_LINES = 50
"""Lines at the beginning in which rows about the samples are looked for."""
MAX_TURNED = 50
"""Columns that may turn out to hold text in the middle of a file; more are a row of text."""
GENE_ID = re.compile(r"ENS[A-Z]*[GT]\d{6,}(\.\d+)?")
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
    first_line: int = 2
    """Line of the file in which the first row stands."""

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
        x = np.empty((len(columns), self.rows) if turned else (self.rows, len(columns)), np.float32)
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


@dataclass(frozen=True)
class TextForm:
    """How a text table is written: where the header stands, and what divides its columns."""

    delimiter: str
    decimal: str
    names: list[str]
    header_line: int
    """Lines up to the header, the header included; 0 when there is no header."""
    above: list[list[str]]
    """Rows below the header that describe columns."""
    describing: frozenset[int] = frozenset()
    collapse: bool = False
    """Whether several spaces count as one delimiter."""

    @property
    def skipped(self) -> int:
        """Lines before the first row of the table."""
        return self.header_line + len(self.above)


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
    with open_content(path) as stream:
        blocks = read_ahead(iterate_blocks(stream, name))
        first = next(blocks, None)
        if first is None or first.isspace():
            raise InputError(f"{name} is empty. Expected a table with samples and genes.")
        form = _find_form(first, name, metadata)
        collector = _Collector(form, name, {*metadata, *METADATA_NAMES}, all_text)
        line = form.skipped
        for place, block in enumerate(_chain(first, blocks)):
            if place == 0:
                block = _skip_lines(block, form.skipped)
            collector.add(block, line)
            line += block.count(b"\n") or block.count(b"\r")
            if progress:
                progress(stream.share())
    turned = collector.turned
    if turned:
        with open_content(path) as stream:
            blocks = iterate_blocks(stream, name)
            texts = [
                _parse(_skip_lines(block, form.skipped) if place == 0 else block, form, only=turned)
                for place, block in enumerate(blocks)
            ]
        for at, column in enumerate(turned):
            collector.texts[column] = [_trim(part.column(at)) for part in texts]
    return collector.finish()


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _skip_lines(block: bytes, lines: int) -> bytes:
    position = 0
    for _ in range(lines):
        match = re.compile(rb"\r\n|\n|\r").search(block, position)
        position = match.end() if match else len(block)
    return block[position:]


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _lines(block: bytes) -> Iterator[str]:
    """Line by line, with any system's line ends, without a copy of the whole block."""
    for match in re.finditer(rb"([^\r\n]*)(?:\r\n|\r|\n)", block):
        yield _decode(match[1])


def _find_form(block: bytes, name: str, metadata: Collection[str]) -> TextForm:
    lines: list[str] = []
    rest = _lines(block)
    skip, gct = 0, None
    for line in rest:
        if not lines and (not line.strip() or line.startswith("#")):
            if line.startswith(("#1.2", "#1.3")):  # GCT: a line with the table's sizes follows
                gct = [int(number) for number in re.findall(r"\b\d{1,9}\b", next(rest, ""))]
                skip += 1
            skip += 1
            continue
        lines.append(line)
        if len(lines) > HEAD_LINES + (min(gct[3], MAX_ABOVE) if gct and len(gct) > 3 else 0):
            break
    if not lines:
        raise InputError(f"{name} is empty. Expected a table with samples and genes.")
    delimiter = max("\t,;", key=lines[0].count)
    if not lines[0].count(delimiter):
        delimiter = " "
    collapse = delimiter == " " and any("  " in line.strip() for line in lines)
    if delimiter == " ":
        lines = [line.strip() for line in lines]
    try:
        rows = [
            row
            for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter == " ")
            if row
        ]
    except csv.Error as error:
        raise InputError(f"{name} can't be read as a table: {error}.") from None
    names = [cell.strip() for cell in rows[0]]
    widths = {len(row) for row in rows[1:]}
    one_sample = len(names) == 1 and widths == {2}  # row names as R writes them
    prose = delimiter == " " and (
        not widths <= {len(names), len(names) + 1}
        or not any(_is_number(cell, ".") for row in rows[1:] for cell in row[1:])
    )
    if (len(names) == 1 or prose) and not one_sample:
        raise InputError(
            f"{name} is not a table: its first line has one column only ({lines[0][:60]!r}). "
            "Expected columns separated by commas, tabs, semicolons or spaces."
        )
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{name} has {len(names):,} columns; at most {MAX_COLUMNS:,} can be read.")
    body, header = rows[1:], 1
    if len(names) <= 4 and _is_counts_row(rows[0]):  # HTSeq, STAR: one sample and no header
        names, body, header = ["gene", *(f"column {n + 2}" for n in range(len(names) - 1))], rows, 0
    elif body and all(len(row) == len(names) + 1 for row in body):  # as R writes row names
        names = ["", *names]
    decimal = _find_decimal(body, delimiter)
    if gct and len(gct) > 3:
        above, describing = gct[3], frozenset(range(1, min(gct[2] + 1, len(names))))
    else:
        above, describing = _count_rows_above(body, decimal, metadata), frozenset()
    for number, row in enumerate(body[:above]):
        if len(row) != len(names):
            raise InputError(
                f"{name}, line {skip + header + number + 1}: expected {len(names)} columns like "
                f"the header, got {len(row)}. Is the file complete?"
            )
    return TextForm(delimiter, decimal, names, skip + header, body[:above], describing, collapse)


def _is_counts_row(row: list[str]) -> bool:
    """Whether a first line is already a gene with its counts."""
    gene = bool(GENE_ID.fullmatch(row[0])) or row[0].startswith("N_") or row[0].startswith("__")
    return len(row) > 1 and gene and all(re.fullmatch(r"\d+", cell.strip()) for cell in row[1:])


def _find_decimal(rows: list[list[str]], delimiter: str) -> str:
    """A comma when numbers are written 0,5 and never 0.5, and can't be thousands like 1,234."""
    cells = [cell for row in rows for cell in row[1:]]
    if delimiter == "," or any(re.fullmatch(r"-?\d+\.\d+", cell) for cell in cells):
        return "."
    commas = [cell for cell in cells if re.fullmatch(r"-?\d+,\d+", cell)]
    thousands = all(re.fullmatch(r"-?[1-9]\d{0,2},\d{3}", cell) for cell in commas)
    return "," if commas and not thousands else "."


def _count_rows_above(rows: list[list[str]], decimal: str, metadata: Collection[str]) -> int:
    """How many first rows describe the columns: text over numbers, or a well-known name."""
    if not rows:
        return 0
    numeric = [place for place, cell in enumerate(rows[-1]) if place and _is_number(cell, decimal)]
    for count, row in enumerate(rows[:-1]):
        cells = [row[place] for place in numeric if place < len(row)]
        words = [cell for cell in cells if _is_word(cell, decimal)]
        name = row[0].strip().lower()
        known = name in METADATA_NAMES or name in metadata
        if not cells or not (known or len(words) > len(cells) / 2):
            return count
    return 0


def _is_word(cell: str, decimal: str) -> bool:
    """Whether a cell holds a letter, and neither a number like 1e6 nor a word for missing."""
    return (
        bool(re.search(r"[^\W\d_]", cell))
        and cell not in MISSING_NUMBERS
        and not _is_number(cell, decimal)
    )


def _is_number(cell: str, decimal: str) -> bool:
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _parse(
    block: bytes,
    form: TextForm,
    kinds: dict[int, pa.DataType] | None = None,
    only: list[int] | None = None,
) -> pa.Table:
    """One block as a table with columns named 0, 1, …; columns without a kind are inferred."""
    if not block.isascii():
        block = _decode(block).encode()
    if form.collapse:
        block = b"".join(
            SPACES.sub(lambda found: found[1] or b" ", line.strip()) + b"\n"
            for line in block.splitlines()
        )
    types = {str(column): kind for column, kind in (kinds or {}).items()}
    if only is not None:
        types = {str(column): pa.string() for column in only}
    return pyarrow.csv.read_csv(
        pa.py_buffer(block),
        read_options=pyarrow.csv.ReadOptions(
            block_size=len(block) + 1,
            column_names=[str(column) for column in range(len(form.names))],
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=form.delimiter),
        convert_options=pyarrow.csv.ConvertOptions(
            null_values=MISSING_NUMBERS,
            strings_can_be_null=False,
            true_values=[],
            false_values=[],
            timestamp_parsers=["never"],
            column_types=types,
            include_columns=None if only is None else [str(column) for column in only],
            decimal_point=form.decimal,
        ),
    )


def _trim(column: pa.ChunkedArray) -> np.ndarray:
    texts = column.to_pandas().astype("string").fillna("").str.strip()
    return texts.to_numpy(dtype=object)


class _Collector:
    """Gathers blocks of rows into one array of numbers and the columns of texts."""

    def __init__(self, form: TextForm, name: str, as_text: set[str], all_text: bool) -> None:
        self.form, self.name = form, name
        self.blocks: list[np.ndarray] = []
        self.texts: dict[int, list[np.ndarray]] = {}
        self.turned: list[int] = []
        """Columns that were numbers in one block and text in another."""
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

    def add(self, block: bytes, lines_before: int) -> None:
        """Take the next lines."""
        if not block or block.isspace():
            return
        try:
            table = self._read(block)
        except (pa.ArrowException, UnicodeError) as error:
            if "Empty CSV" in str(error):
                return
            raise self._find_bad_line(block, lines_before, str(error)) from None
        for column in range(table.num_columns):
            number = not pa.types.is_string(table.column(column).type)
            known = self.kinds.get(column)
            if known is None:
                self.kinds[column] = pa.float32() if number else pa.string()
            elif pa.types.is_floating(known) and not number:
                self._turn(column, table.column(column), lines_before)
        places = self._number_columns()
        values = np.empty((table.num_rows, len(places)), dtype=np.float32)
        for place, column in enumerate(places):
            if pa.types.is_string(table.column(column).type):  # turned: its texts are read again
                values[:, place] = np.nan
            else:
                with np.errstate(over="ignore"):  # too large for float32: infinite, refused later
                    values[:, place] = table.column(column).to_numpy()
        self.blocks.append(values)
        for column, kind in self.kinds.items():
            if pa.types.is_string(kind):
                self.texts.setdefault(column, []).append(_trim(table.column(column)))
        if sum(map(len, self.blocks)) * max(len(places), 1) > MAX_VALUES:
            raise InputError(
                f"{self.name} has more than {MAX_VALUES:,} values. Keep fewer genes or samples."
            )

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

    def _turn(self, column: int, texts: pa.ChunkedArray, lines_before: int) -> None:
        if column in self.turned:
            return
        self.turned.append(column)
        if len(self.turned) > MAX_TURNED:
            values = _trim(texts)
            at = next(
                n for n, value in enumerate(values)
                if value not in MISSING_NUMBERS and not _is_number(value, self.form.decimal)
            )  # fmt: skip
            raise InputError(
                f"{self.name}, line {lines_before + at + 1}, column {self.form.names[column]}: "
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
        last = len(names) - 1
        if (
            not names[-1]
            and last in places
            and all(np.isnan(block[:, places[last]]).all() for block in self.blocks)
        ):
            names = names[:-1]  # every line ends in a comma
            del places[last]
        blank = [place for place, name in enumerate(names) if not name and place]
        if blank:
            raise InputError(
                f"{self.name}, line {form.header_line}: column {blank[0] + 1} has no name. "
                "Give every column a name."
            )
        return Table(
            names=names,
            source=self.name,
            rows=rows,
            numbers=self.blocks,
            number_at={column: at for column, at in places.items() if column not in self.turned},
            text_at={column: np.concatenate(parts) for column, parts in self.texts.items()},
            above={row[0].strip(): [cell.strip() for cell in row] for row in form.above},
            describing=form.describing,
            first_line=form.skipped + 1,
        )

    def _find_bad_line(self, block: bytes, lines_before: int, reason: str) -> InputError:
        """Say which line has another number of columns than the header."""
        reader = csv.reader(_lines(block), delimiter=self.form.delimiter)
        expected = len(self.form.names)
        try:
            for row in reader:
                if row and len(row) != expected:
                    return InputError(
                        f"{self.name}, line {lines_before + reader.line_num}: expected {expected} "
                        f"columns like the header, got {len(row)}. Is the file complete?"
                    )
        except csv.Error:
            pass
        return InputError(f"{self.name} can't be read as a table: {reason[:200]}")


def _is_numeric(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
