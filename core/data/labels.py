"""What is written about samples: words for missing, one number written in two ways, look-alikes."""

import re
import unicodedata
from collections.abc import Iterable

import pandas as pd
from anndata import AnnData

from core.data.notes import Notes

NOTHING = {"na", "n/a", "n.a.", "nan", "null", "nil", "none", "-", "--", "---", "\u2013", "\u2014",
           "?", ".", "unknown", "not known", "not reported", "not available", "not applicable",
           "not evaluated", "not determined", "not recorded", "not provided", "missing",
           "not allowed to collect", "discrepancy", "unspecified", "<na>"}  # fmt: skip
"""Words for what isn't known, without case, brackets and the apostrophe of GDC's '--."""
WHOLE = re.compile(r"(-?)0*(\d+)(\.0*|,00?)?")
LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u043a\u043c\u0442\u0432\u043d"
    "\u03bf\u03b1\u03c1\u03bd\u03b9\u03ba\u03c4",
    "aeopcyxijskmtbhoapvikt",
)
"""Small Cyrillic and Greek letters that look like Latin ones, as capitals or as small letters."""
LISTED = 4


def clean_labels(data: AnnData, label: str | None, notes: Notes) -> None:
    """Empty the cells that say that nothing is known; write whole numbers in one way, 1 for 1.0.

    Args:
        data: its `obs` is changed.
        label: the column of the class: what becomes missing there is a finding.
        notes: what was done is added here.
    """
    emptied: dict[str, dict[str, int]] = {}
    for column in data.obs.columns:
        values = data.obs[column].astype(str).str.strip()
        signs = {"+", "-"} <= set(values)
        words = {
            value: int(n) for value, n in values.value_counts().items()
            if value and _says_nothing(value) and not (signs and value == "-")
        }  # fmt: skip
        if words:
            emptied[column] = words
            values = values.where(~values.isin(list(words)), "")
        data.obs[column] = _unite_numbers(values).astype(object)
    if label in emptied:
        words = emptied[label]
        notes.warn(
            "missing_words",
            f"{sum(words.values())} samples have no {label}: {_list(words)} counts as missing. If "
            "such a word is a class, write it another way in the file.",
        )
    others = {column: words for column, words in emptied.items() if column != label}
    if others:
        words = sorted({word for found in others.values() for word in found})
        notes.say(f"Words that were taken for missing: {_list(words)} (in {_list(others)}).")


def _says_nothing(value: str) -> bool:
    return value.strip(" '\"[](){}").casefold() in NOTHING | {""}


def _list(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more


def _unite_numbers(values: pd.Series) -> pd.Series:
    """Whole numbers without a point, where a column holds nothing else.

    Numbers with leading zeros are codes, and stay as they are.
    """
    said = values[values != ""].unique()
    found = [WHOLE.fullmatch(value) for value in said]
    if not len(said) or not all(found) or any(re.match(r"-?0\d", value) for value in said):
        return values
    short = {value: match[1] + match[2] for value, match in zip(said, found, strict=True)}
    return values.replace({old: new for old, new in short.items() if old != new})


def find_alike(classes: Iterable[str]) -> dict[str, str]:
    """Class -> the class that it is most likely another spelling of.

    Spellings differ in case, spaces, dashes and underscores, in how accents are composed, or in
    Cyrillic and Greek letters that look like Latin ones.

    Args:
        classes: one a sample: of several spellings the most frequent counts, then the plainest.
    """
    counts = pd.Series(list(classes), dtype=object).value_counts()
    spellings: dict[str, list[str]] = {}
    for name in counts.index:
        if name:
            spellings.setdefault(_plain(name), []).append(name)
    alike = {}
    for names in spellings.values():
        best = min(names, key=lambda name: (-counts[name], *_oddity(name)))
        alike |= {name: best for name in names if name != best}
    return alike


def _oddity(name: str) -> tuple[bool, bool, bool, str]:
    """How little a spelling looks like the one that was meant: Tumor before TUMOR before tumor."""
    return not name.isascii(), name.islower(), name.isupper(), name


def _plain(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold().translate(LOOKALIKES)
    text = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    return re.sub(r"(?<=\w)[\s_\-]+(?=\w)", " ", text.strip())
