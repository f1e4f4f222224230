"""Genes that a spreadsheet turned into dates or numbers, in the languages that write them so."""

import re
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from core.data.notes import Notes

DATE_GENES = {
    **{(3, day): f"MARCHF{day}" for day in range(1, 12)},
    **{(9, day): f"SEPTIN{day}" for day in range(1, 15) if day != 13},
    (9, 15): "SELENOF",
    (12, 1): "DELEC1",
    **{(8, day): f"AGO{day}" for day in range(1, 5)},
    (5, 1): "MEI1",
    (5, 4): "MEI4",
}
"""Month and day -> the gene's symbol today (Bruford et al. 2020, Nat. Genet. 52:754; AGO and MEI
become dates in Spanish, Italian, Portuguese and Dutch: Abeysooriya et al. 2021, PLoS Comput. Biol.
17:e1008984)."""
OTHER_GENES = {(3, 1): "MTARC1", (3, 2): "MTARC2"}
"""What the same dates can have been as well."""
MONTHS = {
    1: "jan janv january januar janvier ene enero gen gennaio sty",
    2: "feb febr fév févr february februar février febrero febbraio fev lut",
    3: "mar mars march mär märz mrz marzo março maart mrt marec márc maalis март мар",
    4: "apr april avr avril abr abril aprile kwi апр",
    5: "may mai maj mei mayo maggio mag maio touko май",
    6: "jun june juni juin junio giu giugno junho cze июн",
    7: "jul july juli juil juillet julio lug luglio julho lip июл",
    8: "aug august août aout ago agosto augustus sie srp elo авг ağu",
    9: "sep sept september septembre septiembre set settembre setembro wrz szept syys eyl сен сент",
    10: "oct october okt oktober octobre octubre ott ottobre out outubro paź окт",
    11: "nov november novembre noviembre novembro lis ноя",
    12: "dec december dez dezember déc décembre dic diciembre dicembre dezembro des desember gru "
    "joulu dek дек",
}
MONTH_OF = {word: month for month, words in MONTHS.items() for word in words.split()}
"""Name of a month, short or long, in lower case -> its number."""
DAY_MONTH = re.compile(r"(\d{1,2})(?:\.?[-./ ]\s?|\. )([^\W\d_]{3,})\.?(?:[-./ ]\d{2,4})?")
MONTH_DAY = re.compile(r"([^\W\d_]{3,})\.?[-./ ](0\d)|([A-Z][a-z]+)[-./ ](1\d)")
"""Mar-01, a month and a year; sep-1 and set-11 are genes of worms."""
EASTERN = re.compile(r"(\d{1,2})(?:月|월)\s?(\d{1,2})(?:日|일)")
ISO_DATE = re.compile(r"\d{4}([-/.])(\d{1,2})\1(\d{1,2})(?:[ T]00:00:00(?:\.0+)?)?")
TWO_NUMBERS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(?:\d{2}|\d{4})(?: 0?0:00(?::00)?)?")
SERIAL = re.compile(r"\d{5}(?:\.0)?")
FIRST_DAY, FIRST_SERIAL, LAST_SERIAL = date(1899, 12, 30), 36526, 54788
"""Excel counts days from 1900; the years 2000 to 2049 are looked for."""
SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?E[+-]?\d{1,3}", re.IGNORECASE)
"""RIKEN clones such as 2310009E13, which became 2.31E+15: what they were is lost."""


def undo_dates(genes: np.ndarray, raw: np.ndarray, notes: Notes) -> np.ndarray:
    """Give the genes back that a spreadsheet turned into dates.

    Dates that two genes became are left out (as the empty text); dates that are no gene's and
    numbers with an exponent stay as they are, and are named.

    Args:
        genes: (genes,) ids.
        raw: (genes,) ids as they stand in the file: days are counted in whole cells only.
        notes: what was repaired, and what could not be.
    """
    day_first = _find_order(genes)
    dates = [_read_date(gene, day_first) for gene in genes]
    if sum(map(str.isdigit, raw)) < len(raw) / 2:  # else these are Entrez ids
        dates = [
            (_read_serial(gene) if gene == old else None) if found is None else found
            for gene, old, found in zip(genes, raw, dates, strict=True)
        ]
    repaired = np.array([DATE_GENES.get(found) for found in dates], dtype=object)
    changed = np.array([gene is not None for gene in repaired])
    lost = np.array(
        [
            gene is None and (found is not None or bool(SCIENTIFIC.fullmatch(old)))
            for gene, found, old in zip(repaired, dates, genes, strict=True)
        ]
    )
    if lost.any():
        notes.warn(
            "lost_genes",
            f"{lost.sum()} names are dates or numbers that a spreadsheet made of genes, and which "
            f"genes can't be known: {_list(genes[lost])}.",
        )
    if not changed.any():
        return genes
    return _repair(genes, repaired, changed, dates, notes)


def _repair(
    genes: np.ndarray,
    repaired: np.ndarray,
    changed: np.ndarray,
    dates: Sequence[tuple[int, int] | None],
    notes: Notes,
) -> np.ndarray:
    times = pd.Series(repaired[changed]).value_counts()
    unsure = set(times.index[times > 1]) | (set(repaired[changed]) & set(genes[~changed]))
    pairs = sorted(
        {f"{old} to {new}" for old, new in zip(genes[changed], repaired[changed], strict=True)
         if new not in unsure}
    )  # fmt: skip
    if pairs:
        others = sorted(
            {OTHER_GENES[found] for found, new in zip(dates, repaired, strict=True)
             if found in OTHER_GENES and new not in unsure}
        )  # fmt: skip
        may_be = f" They may have been {' and '.join(others)} as well." if others else ""
        notes.say(
            f"{len(pairs)} genes that a spreadsheet had turned into dates were repaired: "
            f"{_list(pairs)}.{may_be}"
        )
    if unsure:
        olds = {old for old, new in zip(genes, repaired, strict=True) if new in unsure}
        notes.warn(
            "dates_of_two_genes",
            f"Left out, because two genes became the same date: {_list(sorted(olds))} (MARCHF1 and "
            "MTARC1, for instance, both become 1-Mar).",
        )
    fixed = np.where(changed, repaired, genes)
    fixed[[new in unsure for new in repaired]] = ""
    return fixed


def _read_date(text: str, day_first: bool | None) -> tuple[int, int] | None:
    """Month and day for 1-Mar, 01. Mrz, Mar-01, 2021-03-01 or 3/1/2021; None for what is none."""
    if match := DAY_MONTH.fullmatch(text):
        month, day = MONTH_OF.get(match[2].lower()), int(match[1])
    elif match := MONTH_DAY.fullmatch(text):
        month, day = MONTH_OF.get((match[1] or match[3]).lower()), int(match[2] or match[4])
    elif match := EASTERN.fullmatch(text):
        month, day = int(match[1]), int(match[2])
    elif match := ISO_DATE.fullmatch(text):
        month, day = int(match[2]), int(match[3])
    elif match := TWO_NUMBERS.fullmatch(text):
        one, two = int(match[1]), int(match[3])
        if day_first is None:
            return (0, 0)  # a date, but which day is open
        month, day = (two, one) if day_first else (one, two)
    else:
        return None
    return None if month is None else (month, day)


def _find_order(genes: np.ndarray) -> bool | None:
    """Whether dates such as 3/1/2021 begin with the day; None when that can't be told."""
    found = [match for gene in genes if (match := TWO_NUMBERS.fullmatch(gene))]
    pairs = [(int(match[1]), int(match[3])) for match in found]
    month_first = all(pair in DATE_GENES for pair in pairs)
    day_first = all(pair[::-1] in DATE_GENES for pair in pairs)
    if month_first and day_first:
        return False if all(one == two for one, two in pairs) else None
    return day_first if month_first or day_first else None


def _read_serial(text: str) -> tuple[int, int] | None:
    """Month and day of a gene out of Excel's count of days; None for other numbers."""
    if not SERIAL.fullmatch(text):
        return None
    days = int(text[:5])
    if not FIRST_SERIAL <= days <= LAST_SERIAL:
        return None
    day = FIRST_DAY + timedelta(days=days)
    return (day.month, day.day) if (day.month, day.day) in DATE_GENES else None


def _list(names: Sequence[str] | np.ndarray) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(map(str, names[:10])) + more
