"""How the numbers of a text table are written: the decimal point, and what parts thousands."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

SPACES = " \u00a0\u202f\u2009"
SEPARATORS = f".,{SPACES}'\u2019"
"""What people write between thousands."""
WITH_SEPARATOR = re.compile(rf"[-+]?\d+(?:[{SEPARATORS}]\d+)+")
IN_THREES = re.compile(rf"[-+]?[1-9]\d{{0,2}}(?:[{SEPARATORS}]\d{{3}})+")
ENOUGH = 20
"""Numbers in threes after a point from which chance can't have written all of them so."""
LARGEST_LOG2 = 50


@dataclass(frozen=True)
class NumberForm:
    """How numbers are written."""

    decimal: str = "."
    thousands: str = ""
    """What parts thousands; empty when nothing does."""
    example: str = ""
    """A number with this separator, as it is written."""
    unclear: bool = False
    """Whether `example` can be read in two ways."""

    def is_number(self, cell: str) -> bool:
        """Whether a cell holds a number."""
        try:
            float(self.plain(cell))
        except ValueError:
            return False
        return True

    def plain(self, cell: str) -> str:
        """A cell without separators of thousands, with a decimal point."""
        if self.thousands and _grouped(self.thousands, self.decimal).fullmatch(cell.strip()):
            cell = cell.replace(self.thousands, "")
        return cell.replace(self.decimal, ".")

    def remove_thousands(self, block: bytes, delimiter: str) -> bytes:
        """A block of lines whose numbers, but not the first column, have no separators more."""
        part, point, tab = (
            re.escape(text.encode()) for text in (self.thousands, self.decimal, delimiter)
        )
        cell = re.compile(
            rb"(?:(?<=%s)|(?<=%s\"))[-+]?\d{1,3}(?:%s\d{3})+(?=(?:%s\d+)?\"?(?:%s|[\r\n]|$))"
            % (tab, tab, part, point, tab)
        )
        return cell.sub(lambda found: found[0].replace(self.thousands.encode(), b""), block)


@cache
def _grouped(thousands: str, decimal: str) -> re.Pattern[str]:
    """Numbers in groups of three digits."""
    part, point = re.escape(thousands), re.escape(decimal)
    return re.compile(rf"[-+]?[1-9]\d{{0,2}}(?:{part}\d{{3}})+(?:{point}\d+)?")


def find_numbers(rows: Iterable[list[str]], delimiter: str) -> NumberForm:
    """Tell 1.234 and 1,234 with a fraction from 1.234 and 1,234 with thousands.

    Args:
        rows: cells of some rows; their first column isn't looked at.
        delimiter: what divides the columns: where it is a semicolon, a point may part thousands.
    """
    parted, whole = _take_numbers(rows)
    forms = [NumberForm("."), NumberForm(","), NumberForm(".", ","), NumberForm(",", ".")]
    forms += [NumberForm(".", mark) for mark in SEPARATORS[2:]]
    forms += [NumberForm(",", mark) for mark in SEPARATORS[2:]]
    explained = {form: [cell for cell in parted if _explains(form, cell)] for form in forms}
    most = max(map(len, explained.values()))
    if not most:
        return NumberForm()
    best = [form for form in forms if len(explained[form]) == most]
    fractions = [form for form in best if not form.thousands]
    examples = {
        form: next(cell for cell in explained[form] if form.thousands in cell)
        for form in best
        if form.thousands and any(form.thousands in cell for cell in explained[form])
    }
    if not examples:
        return fractions[0]
    form, example = next(iter(examples.items()))
    told = NumberForm(form.decimal, form.thousands, example)
    if not fractions:
        return told
    means = _mean_thousands(parted, whole, fractions[0].decimal, delimiter)
    if means is None:
        return NumberForm(form.decimal, form.thousands, example, unclear=True)
    return told if means else fractions[0]


def prove_fraction(rows: Iterable[list[str]]) -> bool:
    """Whether a number of another form than 1.234 stands somewhere, such as 0.5."""
    cells = (cell.strip() for row in rows for cell in row[1:])
    parted = (cell for cell in cells if WITH_SEPARATOR.fullmatch(cell))
    return any(not IN_THREES.fullmatch(cell) for cell in parted)


def _take_numbers(rows: Iterable[list[str]]) -> tuple[list[str], list[str]]:
    """Numbers with a separator within them, and whole numbers among them.

    Only whole numbers are taken in whose row and column others have a separator: years or ids are
    written in another way than what was measured.
    """
    cells = ((r, c, cell.strip()) for r, row in enumerate(rows) for c, cell in enumerate(row) if c)
    parted, whole = [], []
    for place in cells:
        if WITH_SEPARATOR.fullmatch(place[2]):
            parted.append(place)
        elif place[2].isdecimal():
            whole.append(place)
    mixed = {row for row, _, _ in parted}, {column for _, column, _ in parted}
    return (
        [cell for _, _, cell in parted],
        [cell for row, column, cell in whole if row in mixed[0] and column in mixed[1]],
    )


def _explains(form: NumberForm, cell: str) -> bool:
    if form.thousands and form.thousands in cell:
        return bool(_grouped(form.thousands, form.decimal).fullmatch(cell))
    before, mark, after = cell.lstrip("+-").partition(form.decimal)
    return bool(mark) and before.isdecimal() and after.isdecimal()


def _mean_thousands(parted: list[str], whole: list[str], mark: str, delimiter: str) -> bool | None:
    """Whether a mark with three digits behind it everywhere parts thousands; None: unclear.

    Counts below 1,000 stand without a mark, those above never. Of fractions, one in ten would end
    in a 0 that isn't written; written with all three digits, they would be so without exception,
    and whole numbers too.
    """
    if any(len(cell) > 3 for cell in whole):
        return False
    usual = mark == "." and delimiter != ";"
    """Whether a fraction is by far what is meant most often."""
    if any(cell != "0" for cell in whole):
        return True if len(parted) >= ENOUGH else (False if usual else None)
    first = max(abs(int(cell.partition(mark)[0])) for cell in parted)
    if usual or (first <= LARGEST_LOG2 and len(parted) >= ENOUGH):
        return False
    return None


def lines_with_thousands(block: bytes, delimiter: str) -> Iterator[bytes]:
    """Lines in which a number stands that may have separators of thousands."""
    marks = "|".join(re.escape(mark) for mark in SEPARATORS if mark != delimiter)
    before = re.escape(delimiter.encode())
    cell = re.compile(rb"%s\"?[-+]?\d{1,3}(?:%s)\d{3}" % (before, marks.encode()))
    position = 0
    while found := cell.search(block, position):
        start = max(block.rfind(b"\n", 0, found.start()), block.rfind(b"\r", 0, found.start())) + 1
        end = re.compile(rb"[\r\n]|$").search(block, found.end()).end()
        yield block[start:end]
        position = end
