"""Taking a table apart: its ids, its numbers, and what it says about samples."""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from core.data.column_names import (
    GENE_ANNOTATION,
    GENE_ID_NAMES,
    ID_NAMES,
    METADATA_NAMES,
    MISSING_NUMBERS,
    SAMPLE_ID_NAMES,
)
from core.data.columns import is_gene
from core.data.matrix import Matrix
from core.data.notes import Notes
from core.data.roles import ABOUT_SAMPLES, Role, describe_genes
from core.data.sample_names import cut_barcode
from core.data.taken import BESIDE, NUMBERS, ROWS, WORDS, Taken, are_row_numbers
from core.data.text import Table
from core.errors import InputError

WITH_COMMA = re.compile(r"-?\d+(,\d+)+(\.\d+)?")
"""1,234 or 0,5: meant as a number, but which one isn't sure."""
FEWEST_MEASURED = 3
"""Different fractions in a column from which one or two words beside them stand for no value."""
SAID = "you said so"
SOME_NUMBERS = 0.1
"""Share of numbers from which a column of texts may have been meant as measured."""


def known_samples(samples: np.ndarray, description: Table | None) -> set[str]:
    """Those of the names that stand in the table of labels as well."""
    if description is None:
        return set()
    loose = cut_barcode(12)
    texts = [description.texts(index) for index in range(len(description.names))]
    known = {loose(str(text)) for column in [*texts, description.names] for text in column} - {""}
    return {str(name) for name in samples if loose(str(name)) in known}


def id_column(
    table: Table, roles: Mapping[str, Role] | None = None, description: Table | None = None
) -> int | None:
    """The column with the rows' ids; None when there is none.

    The one that a user names, or the file; else among those with a name of ids, and the first, one
    of texts that the table of labels has, or at least of texts; the numbers of rows come last.
    """
    for index, name in enumerate(table.names):
        if (roles or {}).get(name) == "id":
            return index
    if table.index is not None:
        return table.index
    lower = [name.lower() for name in table.names]
    named = [
        index
        for names in (SAMPLE_ID_NAMES, ID_NAMES)
        for index, name in enumerate(lower)
        if name in names and (name or index == 0)
    ]
    if not named and lower[0] not in METADATA_NAMES and not _is_measured(table):
        named = [0]
    texts = {index: table.texts(index) for index in dict.fromkeys([*named, *table.text_at])}
    several = [
        index for index, values in texts.items()
        if not _are_numbers(values) and len(set(values)) == len(values)
    ]  # fmt: skip
    if description is not None and several:
        hits = {
            index: len(known_samples(texts[index], description))
            for index in several if lower[index] not in METADATA_NAMES
        }  # fmt: skip
        best = max(hits, key=hits.__getitem__, default=0)
        if hits.get(best, 0) > max((hits.get(index, 0) for index in named[:1]), default=0):
            return best
    words = [index for index in named if not _are_numbers(texts[index])]
    if words:
        return words[0]
    if named and not all(_are_row_numbers(texts[index], table.names[index]) for index in named):
        return next(i for i in named if not _are_row_numbers(texts[i], table.names[i]))
    return next(iter([*several, *named]), None)


def _is_measured(table: Table) -> bool:
    """Whether the first column holds no ids, but fractions, or numbers under the name of a gene."""
    numbers = pd.to_numeric(pd.Series(table.texts(0)), errors="coerce")
    return bool(numbers.notna().all() and (is_gene(table.names[0]) or (numbers % 1 != 0).any()))


def _are_numbers(texts: np.ndarray) -> bool:
    return _to_numbers(texts) is not None


def _are_row_numbers(texts: np.ndarray, name: str) -> bool:
    numbers = _to_numbers(texts)
    return numbers is not None and are_row_numbers(numbers, name)


def _to_numbers(texts: np.ndarray) -> np.ndarray | None:
    """Texts as float32, with NaN for words of what is missing; None when there is another word."""
    series = pd.Series(texts)
    numbers = pd.to_numeric(series, errors="coerce")
    missing = series.astype(str).str.strip().isin(MISSING_NUMBERS)
    if not (numbers.notna() | missing).all() or not numbers.notna().any():
        return None
    return numbers.to_numpy(dtype=np.float32)


def take_matrix(read: Matrix, roles: Mapping[str, Role]) -> Taken:
    """What a file of named samples and genes holds, without what shall be left out."""
    taken = Taken(
        read.x, read.samples, read.genes,
        {str(name): read.obs[name].to_numpy(dtype=object) for name in read.obs.columns},
    )  # fmt: skip
    for name in [name for name in taken.obs if roles.get(name) == "ignore"]:
        taken.tell(name, "ignore", SAID, taken.obs.pop(name), ROWS)
    return taken


def take_samples_in_rows(
    table: Table, roles: Mapping[str, Role], description: Table | None, notes: Notes
) -> Taken:
    """Take a table with a sample a row apart.

    Args:
        table: as it was read.
        roles: column -> what a user says it is.
        description: the table about the samples, if there is one.
        notes: what is understood is said there.

    Raises:
        InputError: columns that are neither ids, numbers nor labels; or a role that can't be.
    """
    ids = id_column(table, roles, description)
    if ids is None:
        samples = np.array([f"sample {n + 1}" for n in range(table.rows)])
        notes.say("There is no column of sample ids; samples are numbered by their row.")
    else:
        samples = table.texts(ids)
    taken = Taken(np.empty((0, 0)), samples, np.empty(0), {})
    if ids is not None:
        taken.tell(table.names[ids], "id", "names the samples", samples, WORDS)
    genes: list[int] = []
    meant: dict[int, np.ndarray] = {}
    for index, name in enumerate(table.names):
        if index == ids:
            continue
        role = roles.get(name)
        if role in ("id", "sample"):
            raise InputError(f"{name!r} can't be {role!r}: the samples are in rows.")
        if role == "ignore":
            can = NUMBERS if table.is_number(index) else WORDS
            taken.tell(name, "ignore", SAID, table.texts(index), can)
            continue
        named = name.lower() in METADATA_NAMES
        if table.is_number(index) and not (named or role in ABOUT_SAMPLES):
            genes.append(index)
            continue
        texts = table.texts(index)
        if role not in ABOUT_SAMPLES and (role == "gene" or not named):
            numbers = _to_numbers(texts)
            if numbers is not None:
                meant[index] = numbers
                genes.append(index)
                continue
            _refuse_stray_text(texts, name, samples, table, meant=role == "gene")
        if name in taken.obs:
            raise InputError(f"{table.source} has two columns {name!r}. Rename or remove one.")
        taken.obs[name] = texts
        why = SAID if role else "its name" if named else "holds words"
        taken.tell(name, "label", why, texts, WORDS if _to_numbers(texts) is None else NUMBERS)
    _require_numbers(genes, table)
    if table.above:
        notes.say(f"Rows that describe genes and were left out: {', '.join(table.above)}.")
    if taken.obs:
        notes.say(f"Columns that describe samples: {', '.join(taken.obs)}.")
    taken.x = table.values([index for index in genes if index not in meant])
    taken.genes = np.array([table.names[index] for index in genes], dtype=object)
    for place, index in enumerate(genes):
        if index in meant:
            taken.x = np.insert(taken.x, place, meant[index], axis=1)
    return taken


def take_genes_in_rows(
    table: Table, roles: Mapping[str, Role], description: Table | None, notes: Notes
) -> Taken:
    """Take a table with a gene a row apart; arguments and errors as `take_samples_in_rows`."""
    ids = id_column(table, roles)
    if ids is None:
        raise InputError(
            f"{table.source} has genes in rows but no column of gene names. Put them into the "
            "first column."
        )
    genes = table.texts(ids)
    taken = Taken(np.empty((0, 0)), np.empty(0), genes, {})
    taken.tell(table.names[ids], "id", "names the genes", genes, ("id", "ignore"))
    known = known_samples(np.array(table.names, dtype=object), description)
    about = describe_genes(table.names) | {
        name for name in table.names if name.lower() in GENE_ANNOTATION | GENE_ID_NAMES
    }
    samples, meant = [], {}
    for index, name in enumerate(table.names):
        if index == ids:
            continue
        role = roles.get(name)
        if role in ("id", "gene", *ABOUT_SAMPLES):
            raise InputError(f"The column {name!r} can't be {role!r}: the genes are in rows.")
        if role == "ignore":
            taken.tell(name, "ignore", SAID, table.texts(index), BESIDE)
            continue
        annotates = (name in about and name not in known) or index in table.describing
        if role != "sample" and annotates:
            taken.tell(name, "ignore", "its name tells about genes", table.texts(index), BESIDE)
            continue
        if not table.is_number(index):
            texts = table.texts(index)
            numbers = _to_numbers(texts)
            if numbers is None:
                sure = role == "sample" or name in known
                _refuse_stray_text(texts, name, genes, table, meant=sure)
                _tell_words(taken, name, texts, notes)
                continue
            meant[index] = numbers
        samples.append(index)
    _require_numbers(samples, table)
    dropped = [name for name, column in taken.columns.items() if column.role == "ignore"]
    if dropped:
        notes.say(f"Columns that describe genes and were left out: {', '.join(dropped)}.")
    for name, row in table.above.items():
        texts = np.array([row[i] for i in samples], dtype=object)
        role = roles.get(name)
        if role in ("id", "gene", "sample"):
            raise InputError(f"The row {name!r} can't be {role!r}: it stands above the numbers.")
        if role == "ignore":
            taken.tell(name, "ignore", SAID, texts, ROWS)
        else:
            taken.obs[name] = texts
            taken.tell(name, "label", "a row above the numbers", texts, ROWS)
    if taken.obs:
        notes.say(f"Rows that describe samples: {', '.join(taken.obs)}.")
    taken.x = table.values([index for index in samples if index not in meant], turned=True)
    taken.samples = np.array([table.names[index] for index in samples], dtype=object)
    for place, index in enumerate(samples):
        if index in meant:
            taken.x = np.insert(taken.x, place, meant[index], axis=0)
    return taken


def _tell_words(taken: Taken, name: str, texts: np.ndarray, notes: Notes) -> None:
    """Keep that a column beside the samples holds words; ask where many of its cells don't."""
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce").notna()
    some = bool(numbers.mean() >= SOME_NUMBERS)
    taken.tell(name, "ignore", "holds words", texts, BESIDE, doubtful=some)
    if some:
        word = next(
            text for text, number in zip(texts, numbers, strict=True)
            if not number and text not in MISSING_NUMBERS
        )  # fmt: skip
        notes.warn(
            "words_among_numbers",
            f"The column {name} was left out: {int(numbers.sum())} of its {len(texts)} cells are "
            f"numbers, but others are words (such as {word[:40]!r}). If it is a sample, correct "
            "these cells.",
        )


def _require_numbers(columns: list[int], table: Table) -> None:
    if not columns:
        raise InputError(
            f"{table.source} has no column of numbers. Expected expression values, one column a "
            "gene or one column a sample."
        )


def _refuse_stray_text(
    texts: np.ndarray, name: str, rows: np.ndarray, table: Table, *, meant: bool
) -> None:
    """Refuse a column of numbers with a text among them, instead of taking it for a description.

    Args:
        texts: the column's cells.
        name: the column's name.
        rows: the rows' names.
        table: where it stands.
        meant: whether it is measured for sure; else, if most cells are numbers, or if there are
            fractions and hardly another word.
    """
    missing = np.isin(texts, MISSING_NUMBERS)
    values = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy()
    strays = np.flatnonzero(np.isnan(values) & ~missing)
    like = ~np.isnan(values) | [bool(WITH_COMMA.fullmatch(text)) for text in texts]
    fractions, words = len(set(texts[values % 1 > 0])), len(set(texts[strays]))
    measured = fractions >= FEWEST_MEASURED and words <= 2
    if len(strays) and (meant or measured or like.sum() > len(texts) / 2):
        row = int(strays[0])
        raise InputError(
            f"{table.source}, line {table.line(row)} ({rows[row]}), column {name}: expected "
            f"a number, got {texts[row][:40]!r}. Correct it, or leave the cell empty if the value "
            "is missing."
        )
