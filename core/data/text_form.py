"""The form of a text table, found from its beginning: delimiter, header, what stands above it."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from core.data.column_names import GENE_ID, ID_NAMES, METADATA_NAMES, MISSING_NUMBERS
from core.data.formats.unpack import MAX_LINE
from core.data.notes import Notes
from core.data.text_numbers import NumberForm, find_numbers, lines_with_thousands, prove_fraction
from core.errors import InputError

csv.field_size_limit(MAX_LINE)  # lines have a limit of their own
MAX_COLUMNS = 500_000
MAX_ABOVE = 1000
"""Most rows about samples in a GCT file."""
HEAD_LINES = 50
"""Lines at the beginning by which the form is judged, beside comments."""
COLUMNS = 100
"""Columns that are looked at to see how numbers are written."""
MORE_LINES = 300
"""Lines further on that are looked at when the first ones don't show it."""
MAX_TITLES = 20
"""Most lines of a title above a header."""
SEPARATOR_LINE = re.compile(r'"?sep=(\\t|[^"])"?[\t,;]*', re.IGNORECASE)
"""Excel's first line that names the delimiter."""
CORNER = re.compile(
    r"(?i)gene|symbol|transcript|probe|sample|patient|barcode|name|(^|[_ ])ids?([_ ]ref)?$"
)
"""Words of which the name of an id column is made."""

csv.field_size_limit(MAX_LINE)  # a line without this delimiter is one cell


@dataclass(frozen=True)
class TextForm:
    """How a text table is written: where the header stands, and what divides its columns."""

    delimiter: str
    numbers: NumberForm
    names: list[str]
    header_line: int
    """The line on which the header ends, or the one before the first row when there is none."""
    skipped: int
    """Lines before the first row of the table."""
    header: bytes
    """The header's line as it is written; empty when there is none or it goes over several."""
    above: list[list[str]]
    """Rows below the header that describe columns."""
    describing: frozenset[int] = frozenset()
    collapse: bool = False
    """Whether several spaces count as one delimiter, and none at the ends of lines."""
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True)
class Row:
    """The cells of one row, and the line on which it ends."""

    line: int
    cells: list[str]

    @property
    def width(self) -> int:
        """Columns without the empty ones at the end."""
        return max((place + 1 for place, cell in enumerate(self.cells) if cell), default=0)


def decode(content: bytes) -> str:
    """Text in UTF-8, else in Windows-1252, where that knows all bytes, else in Latin-1."""
    for encoding in ("utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1")


def iterate_lines(block: bytes) -> Iterator[str]:
    """Line by line, with any system's line ends, without a copy of the whole block."""
    for match in re.finditer(rb"([^\r\n]*)(?:\r\n|\r|\n)", block):
        yield decode(match[1])


def find_form(
    block: bytes, name: str, metadata: Collection[str], *, labels: bool = False
) -> TextForm:
    """Find the form of a table.

    Args:
        block: its beginning, whole lines.
        name: what messages call it.
        metadata: lower-case names of columns that are texts even when they look like numbers.
        labels: it is a table about samples, not of expression.

    Raises:
        InputError: it isn't a table, or can be read in two ways.
    """
    comments, lines, start, gct = _take_lines(block)
    delimiter = None
    if lines and (found := SEPARATOR_LINE.fullmatch(lines[0].strip(" "))):
        delimiter = found[1].replace("\\t", "\t")
        lines, start = lines[1:], start + 1
    empty = InputError(f"{name} is empty. Expected a table with samples and genes.")
    if not any(line.strip() for line in lines):
        raise empty
    delimiter = delimiter or _find_delimiter(lines, name)
    collapse = delimiter == " " and any("  " in line or line != line.strip() for line in lines)
    rows = [row for row in split_cells(lines, delimiter, start, name) if row.width]
    if not rows:  # nothing but quotes around nothing
        raise empty
    hashed = [row for row in split_cells(comments, delimiter, 0, name) if row.width > 1]
    notes = Notes()
    header, body = _find_header(rows, hashed, name, notes)
    if header is None:
        names, header_line = _name_without_header(body, labels, name, notes), body[0].line - 1
    else:
        _check_is_table(header, body, delimiter, labels, name)
        body = [row for row in body if row.cells != header.cells]  # it may come again
        names, header_line = _name_columns(header, body, labels, name), header.line
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{name} has {len(names):,} columns; at most {MAX_COLUMNS:,} can be read.")
    numbers = _find_numbers(body, block, delimiter, name, names)
    if numbers.thousands:
        plain = numbers.plain(numbers.example)
        notes.say(f"Thousands are set apart in numbers: {numbers.example} was read as {plain}.")
    if gct is not None:
        count, describing = gct[1], frozenset(range(1, min(gct[0] + 1, len(names))))
    else:
        count, describing = _count_rows_above(body, numbers, metadata), frozenset()
    for row in body[:count]:
        if len(row.cells) != len(names):
            raise _say_width(row.line, len(names), len(row.cells), name)
    skipped = body[count - 1].line if count else header_line
    above = [[_unhash(row.cells[0]), *row.cells[1:]] for row in body[:count]]
    written = b""
    if header is not None:
        written = re.split(rb"\r\n|\n|\r", block, maxsplit=header_line)[-2]
    if written.count(b'"') % 2:
        written = b""
    return TextForm(
        delimiter, numbers, names, header_line, skipped, written, above, describing, collapse, notes
    )


def _take_lines(block: bytes) -> tuple[list[str], list[str], int, tuple[int, int] | None]:
    """The beginning of a table.

    Returns:
        comments: blank lines and those that begin with #, at the top.
        lines: some lines below.
        start: how many lines stand above `lines`.
        gct: of a GCT file, how many columns describe genes and how many rows describe samples.
    """
    rest = iterate_lines(block)
    comments: list[str] = []
    sizes = None
    for line in rest:
        if line.startswith(("#1.2", "#1.3")) and not any(map(str.strip, comments)):
            sizes = [int(number) for number in re.findall(r"\b\d{1,9}\b", next(rest, ""))]
            comments += ["", ""]
        elif not line.strip() or line.startswith(("#", '"#')):
            comments.append(line)
        else:
            break
    else:
        return comments, [], len(comments), None
    gct = (sizes[2], min(sizes[3], MAX_ABOVE)) if sizes and len(sizes) > 3 else None
    lines = [line, *islice(rest, HEAD_LINES + (gct[1] if gct else 0))]
    return comments, lines, len(comments), gct


def split_cells(lines: Iterable[str], delimiter: str, start: int, name: str) -> Iterator[Row]:
    """Cells of lines, trimmed; a quoted cell may go over several lines.

    Args:
        lines: without their ends.
        delimiter: what stands between cells; a space stands for several.
        start: how many lines stand before.
        name: what messages call the table.
    """
    if delimiter == " ":
        lines = (line.strip() for line in lines)
    ended = (f"{line}\n" for line in lines)
    reader = csv.reader(ended, delimiter=delimiter, skipinitialspace=delimiter == " ")
    try:
        for cells in reader:
            yield Row(start + reader.line_num, [cell.strip() for cell in cells])
    except csv.Error as error:
        raise InputError(f"{name} can't be read as a table: {error}.") from None


def _find_delimiter(lines: list[str], name: str) -> str:
    """The tab, comma or semicolon by which most lines have as many cells; else the space."""
    best, most = " ", 0
    for delimiter in "\t;,":  # the comma last: 0,5 has one, too
        widths = [len(row.cells) for row in split_cells(lines, delimiter, 0, name) if row.width]
        width = _usual(widths)
        fitting = sum(abs(other - width) <= 1 for other in widths if other > 1)
        if width > 1 and fitting > max(most, len(widths) / 2):
            best, most = delimiter, fitting
    return best


def _usual(widths: list[int]) -> int:
    """The most frequent width; of several, that of the later rows."""
    return Counter(reversed(widths)).most_common(1)[0][0] if widths else 0


def _check_is_table(header: Row, body: list[Row], delimiter: str, labels: bool, name: str) -> None:
    columns, widths = len(header.cells), {len(row.cells) for row in body}
    one_sample = columns == 1 and widths == {2}  # row names as R writes them
    numbers = any(NumberForm().is_number(cell) for row in body for cell in row.cells[1:])
    prose = delimiter == " " and not (widths <= {columns, columns + 1} and (labels or numbers))
    if (columns == 1 or prose) and not one_sample:
        shown = delimiter.join(header.cells)[:60]
        raise InputError(
            f"{name} is not a table: its lines, such as {shown!r}, aren't made of columns. "
            "Expected columns separated by commas, tabs, semicolons or spaces."
        )


# --- which row is the header -----------------------------------------------------------------


def _find_header(
    rows: list[Row], hashed: list[Row], name: str, notes: Notes
) -> tuple[Row | None, list[Row]]:
    """The header, None when there is none, and the rows below.

    Args:
        rows: the first rows that aren't comments.
        hashed: those before that begin with #, a header perhaps.
        name: what messages call the table.
        notes: told about lines that were left out.
    """
    width = _usual([len(row.cells) for row in rows])
    least = width - _empty_at_end(rows) - 1
    hashed = [row for row in hashed if least <= row.width <= width]
    if hashed:
        first = hashed[0]
        if (
            _is_data(rows[0], rows[1:])
            or (_are_numbers(rows[0]) and not _is_corner(rows[0].cells[0]))
            or (_is_corner(first.cells[0]) and not _names_columns(rows[0]))
        ):
            return first, [*hashed[1:], *rows]
    titles = 0
    while titles < min(MAX_TITLES, len(rows) - 1) and _is_title(rows, titles, width):
        titles += 1
    header, body = rows[titles], rows[titles + 1 :]
    values = _is_data(header, body)
    if titles and (values or (_are_numbers(header) and not _is_corner(header.cells[0]))):
        short = next((row for row in rows[:titles] if row.width > 1), None)
        if short is None:
            raise _say_values(header, name)
        raise _say_width(header.line, len(short.cells), len(header.cells), name)
    if values:
        return None, rows
    if titles:
        shown = " ".join(filter(None, rows[0].cells))[:60]
        lines = "a line" if titles == 1 else f"{titles} lines"
        notes.say(f"There is {lines} of title above the header ({shown}).")
    return header, body


def _say_width(line: int, expected: int, got: int, name: str) -> InputError:
    return InputError(
        f"{name}, line {line}: expected {expected} columns like the header, got {got}. Is the file "
        "complete?"
    )


def _unhash(cell: str) -> str:
    return cell.lstrip("#").strip()


def _is_corner(cell: str) -> bool:
    """Whether a cell is a usual name of the column with ids."""
    cell = _unhash(cell)
    return cell.lower() in ID_NAMES - {""} or bool(
        CORNER.search(cell) and not re.search(r"\d", cell)
    )


def _names_columns(row: Row) -> bool:
    """Whether a well-known name of a column stands in a row."""
    known = (ID_NAMES | METADATA_NAMES) - {""}
    return _is_corner(row.cells[0]) or any(cell.lower() in known for cell in row.cells)


def _are_numbers(row: Row) -> bool:
    """Whether most cells beyond the first hold numbers."""
    filled = [cell for cell in row.cells[1:] if cell]
    numbers = NumberForm()
    return 2 * sum(numbers.is_number(cell.replace(",", ".")) for cell in filled) > len(filled)


def _is_title(rows: list[Row], at: int, width: int) -> bool:
    """Whether a row is no header: it has another width, or hardly a cell is filled."""
    row, following = rows[at], rows[at + 1]
    if len(row.cells) != width and row.width <= width and not _is_corner(row.cells[0]):
        corner = following.cells[0]
        words = following.width > 1 and not _are_numbers(following)
        if _is_corner(corner) or (not corner and words):  # the header comes next
            return True
    if (len(row.cells) >= width - 1 and row.width > 1) or len(row.cells) == width == 2:
        few = sum(map(bool, row.cells)) <= max(1, width // 4)
        return few and width > 2 and bool(row.cells[0])
    if width == 2:  # R writes the name of one column alone
        return False
    lacking = width - len(row.cells)
    return row.width == 1 or (row.width < width and lacking > _empty_at_end(rows[at + 1 :]) + 1)


def _empty_at_end(rows: list[Row]) -> int:
    """How many columns at the end are empty in all rows of the usual width."""
    width = _usual([len(row.cells) for row in rows])
    return min((width - row.width for row in rows if len(row.cells) == width), default=0)


def _is_data(row: Row, below: list[Row]) -> bool:
    """Whether a row holds values like the rows below it, and not the names of columns."""
    filled = [cell for cell in row.cells[1:] if cell]
    if not below or not filled or _names_columns(row):
        return False
    if not _are_numbers(row):
        others = (other.cells for other in below if other.cells != row.cells)  # it may come again
        pairs = (pair for cells in others for pair in zip(row.cells[1:], cells[1:], strict=False))
        return any(cell and cell == other and not cell.isdecimal() for cell, other in pairs)
    fractions = sum(bool(re.search(r"\d[.,]\d", cell)) for cell in filled)
    if 2 * fractions > len(filled) or GENE_ID.fullmatch(row.cells[0]):
        return True
    if len(row.cells) != len(below[0].cells) or not row.cells[0]:
        return False
    whole = [int(cell) for cell in filled if cell.isdecimal()]
    return len(filled) == 1 or sorted(set(whole)) not in (whole, whole[::-1])


# --- the names of its columns ----------------------------------------------------------------


def number_columns(columns: int) -> list[str]:
    """Names for columns without any."""
    return [f"column {number + 1}" for number in range(columns)]


def say_no_header(name: str, first: list[str]) -> str:
    """What is said of a table about samples whose first line is no header."""
    return (
        f"{name} has no line with the names of its columns: they are numbered, and its first line "
        f"({', '.join(first[:3])}) was read as a sample."
    )


def _name_without_header(rows: list[Row], labels: bool, name: str, notes: Notes) -> list[str]:
    """Names for a table without a header: counts of one sample, or labels.

    Raises:
        InputError: it is a matrix, whose samples or genes need names.
    """
    first = rows[0]
    if labels:
        notes.warn("no_header", say_no_header(name, first.cells))
        empty = _empty_at_end(rows)
        return [*number_columns(len(first.cells) - empty), *[""] * empty]
    gene = first.cells[0]
    counted = len(first.cells) == 2 or GENE_ID.fullmatch(gene) or gene.startswith(("N_", "__"))
    measured = len(first.cells) == 2 and GENE_ID.fullmatch(gene) and _are_numbers(first)
    whole = counted and all(cell.isdecimal() for cell in first.cells[1:])
    if len(first.cells) <= 4 and (whole or measured):
        return ["gene", *number_columns(len(first.cells))[1:]]
    raise _say_values(first, name)


def _say_values(row: Row, name: str) -> InputError:
    shown = ", ".join(cell[:20] for cell in row.cells[:3])
    return InputError(
        f"{name}, line {row.line}: expected the names of the columns, got values ({shown}, …). "
        "Add a line with names at the top; if these are names, call the first column gene or "
        "sample."
    )


def _name_columns(header: Row, body: list[Row], labels: bool, name: str) -> list[str]:
    """A name for each column of the rows; empty for columns that must be empty.

    Rows may be longer than the header because R doesn't name the column of row names, or because
    they end in delimiters: then their last columns are empty.

    Raises:
        InputError: which of the two it is can't be told.
    """
    cells = [" ".join(map(str.strip, re.split(r"[\r\n]+", cell))) for cell in header.cells]
    names, width = [_unhash(cells[0]), *cells[1:]], _usual([len(row.cells) for row in body])
    if len(names) != width:  # delimiters at its end are no columns of the rows
        names = names[: header.width]
    lacking, empty = width - len(names), _empty_at_end(body)
    if lacking <= 0:
        return names
    if lacking == empty + 1:
        first = [row.cells[1] for row in body if len(row.cells) > 1]
        if (
            _is_corner(names[0])
            and all(map(NumberForm().is_number, first))
            and not _are_counted(body)
        ):
            raise _say_width(body[0].line, len(names), width, name)
        return ["", *names, *[""] * empty]
    if lacking > empty:
        raise _say_width(body[0].line, len(names), width, name)
    if not labels and not _is_corner(names[0]) and _is_alike(names[0], names[1:]):
        raise InputError(
            f"{name}, line {body[0].line}: the rows have {width} columns, the header has "
            f"{len(names)}, and the last column is empty: it can't be told which value belongs to "
            f"{names[0]}. Name the first column in line {header.line}, or remove the delimiter at "
            "the end of the rows."
        )
    return [*names, *[""] * lacking]


def _are_counted(rows: list[Row]) -> bool:
    """Whether rows begin with their number, as R and pandas write it."""
    return [row.cells[0] for row in rows[:2]] in (["1", "2"], ["0", "1"])


def _is_alike(name: str, others: list[str]) -> bool:
    """Whether a name is of the same kind as most others: S01 and S02, but not Probe."""
    kinds = [_kind(other) for other in others if other]
    return bool(kinds) and 2 * kinds.count(_kind(name)) > len(kinds)


def _kind(name: str) -> str:
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", name))


# --- numbers, and rows about samples ---------------------------------------------------------


def _find_numbers(
    body: list[Row], block: bytes, delimiter: str, name: str, names: list[str]
) -> NumberForm:
    step = len(names) // COLUMNS + 1
    rows = [row.cells[::step] for row in body]
    if not prove_fraction(rows):  # the first lines may hold small numbers only
        more = map(decode, islice(lines_with_thousands(block, delimiter), MORE_LINES))
        rows += [row.cells[::step] for row in split_cells(more, delimiter, 0, name)]
    found = find_numbers(rows, delimiter)
    if found.unclear:
        where = next(
            (f", line {row.line}, column {names[row.cells.index(found.example)]}"
             for row in body if found.example in row.cells[: len(names)]), "",
        )  # fmt: skip
        raise InputError(
            f"{name}{where}: {found.example!r} can be read as "
            f"{found.example.replace(found.thousands, '')} or as "
            f"{found.example.replace(found.thousands, '.')}. Write thousands without "
            "separator, or fractions with more or fewer digits."
        )
    return found


def _count_rows_above(rows: list[Row], numbers: NumberForm, metadata: Collection[str]) -> int:
    """How many first rows describe the columns: text over numbers, or a well-known name."""
    if not rows:
        return 0
    numeric = [
        place for place, cell in enumerate(rows[-1].cells) if place and numbers.is_number(cell)
    ]
    for count, row in enumerate(rows[:-1]):
        cells = [row.cells[place] for place in numeric if place < len(row.cells)]
        words = [cell for cell in cells if _is_word(cell, numbers)]
        name = _unhash(row.cells[0]).lower()
        known = name in METADATA_NAMES or name in metadata
        if not cells or not (known or len(words) > len(cells) / 2):
            return count
    return 0


def _is_word(cell: str, numbers: NumberForm) -> bool:
    """Whether a cell holds a letter, and neither a number like 1e6 nor a word for missing."""
    return (
        bool(re.search(r"[^\W\d_]", cell))
        and cell not in MISSING_NUMBERS
        and not numbers.is_number(cell)
    )
