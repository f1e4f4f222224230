"""Reading expression files: one file in, one AnnData out, completely or not at all."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.column_names import (
    GENE_ANNOTATION,
    GENE_ID_NAMES,
    ID_NAMES,
    METADATA_NAMES,
    MISSING,
    MISSING_NUMBERS,
    SAMPLE_ID_NAMES,
)
from core.data.columns import (
    BESIDE,
    NUMBERS,
    ROWS,
    WORDS,
    Taken,
    are_row_numbers,
    check_names,
    show_values,
    sort_out_genes,
    sort_out_samples,
    warn_of_missing,
)
from core.data.formats.asking import read_any, read_descriptions
from core.data.formats.request import Request
from core.data.formats.unpack import Progress
from core.data.gene_symbols import find_symbols, use_symbols
from core.data.genes import clean_genes, merge_genes
from core.data.labels import clean_labels
from core.data.matrix import Matrix, check_size
from core.data.notes import Notes
from core.data.orientation import Orientation, find_orientation
from core.data.profile import detect_scale
from core.data.roles import (
    ABOUT_SAMPLES,
    Column,
    Role,
    assign_roles,
    check_role,
    describe_genes,
    suggest_label,
)
from core.data.sample_names import cut_barcode
from core.data.samples import add_barcode_columns, join_descriptions, join_table, shorten_paths
from core.data.shapes import turn_other_shapes
from core.data.text import Table
from core.data.text_form import number_columns, say_no_header
from core.errors import InputError

WITH_COMMA = re.compile(r"-?\d+(,\d+)+(\.\d+)?")
"""1,234 or 0,5: meant as a number, but which one isn't sure."""
FEWEST_MEASURED = 3
"""Different fractions in a column from which one or two words beside them stand for no value."""
SAID = "you said so"
SOME_NUMBERS = 0.1
"""Share of numbers from which a column of texts may have been meant as measured."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
RESERVED = {"_index", "__categories"}
"""Columns that h5ad keeps for itself."""


def read_dataset(
    matrix: Path,
    labels: Path | Sequence[Path] | None = None,
    *,
    orientation: Orientation = "auto",
    roles: Mapping[str, Role] | None = None,
    part: str | None = None,
    symbols: bool = False,
    progress: Progress | None = None,
) -> AnnData:
    """Read an expression matrix, and what is known about its samples.

    What each column is, is told from its name, its values and its likeness to the others
    (`core.data.columns`), unless `roles` says it: gene (with genes in rows: sample), class,
    patient, batch or another label, the ids of the rows, or nothing to use. Rows above the numbers
    and rows among the genes that describe samples have roles as well.
    The samples of TCGA barcodes get their patient, site and sample type from the barcode when no
    column says them.

    Args:
        matrix: the file, in any format of `core.data.formats`.
        labels: a second table with sample ids in one column; all its other columns are joined. Of
            several, one has the samples' ids, the others any column of it (such as GDC's cases).
        orientation: where the samples stand; 'auto' finds out and says why in the notes.
        roles: column (or row) -> what it is, for those that would be taken otherwise.
        part: the sheet, layer, variable or packed file to read, as `list_parts` names them.
        symbols: name genes by the symbols that the file gives beside their ids.
        progress: told the share that is read.

    Returns:
        X float32 (samples x genes) with NaN for missing values, obs text columns, and in `uns`
        scale, source, notes (sentences on what was understood), findings (`Finding`s as dicts:
        what was lost or is doubtful) and columns (`Column`s as dicts: what isn't simply a gene or
        a sample, and what it was taken for).

    Raises:
        InputError: with what is wrong, where, and what to change.
    """
    notes = Notes()
    roles = {name: check_role(name, role) for name, role in (roles or {}).items()}
    tables = [labels] if isinstance(labels, Path) else list(labels or [])
    descriptions = [one for table in tables for one in read_descriptions(table)]
    description, unused = None, {}
    if descriptions:
        joined = join_descriptions(descriptions, notes)
        description, unused = _take_labels(joined, roles, notes)
    as_text = {name.lower() for name, role in roles.items() if role in {"id", *ABOUT_SAMPLES}}
    read = read_any(matrix, Request(part, as_text, progress=progress))
    beside = read.symbols if isinstance(read, Matrix) else find_symbols(read)
    if isinstance(read, Table):
        read = turn_other_shapes(read, matrix.name, notes)
    if isinstance(read, Matrix):
        notes.add(read.notes)
        taken = _take_matrix(read, roles)
    else:
        notes.add(read.notes)
        if orientation == "auto":
            known = _find_known(read, description)
            orientation = find_orientation(read, _id_column(read), known, notes)
        take = _take_samples_in_rows if orientation == "samples_in_rows" else _take_genes_in_rows
        taken = take(read, roles, description, notes)
    del read
    names = {*map(str, taken.samples), *map(str, taken.genes), *taken.columns, *taken.obs}
    sort_out_samples(taken, roles, _known_samples(taken.samples, description), notes)
    sort_out_genes(taken, roles, notes)
    warn_of_missing(taken, notes)
    columns = taken.columns
    data = _assemble(taken, matrix.name, notes)
    del taken
    if description is not None:
        notes.add(description.notes)
        description = _take_back_header(description, data, notes)
        data = join_table(data, description, notes)
        names |= {*description.names, *unused}
    _check_values(data, matrix.name)
    _clean_columns(data, notes)
    add_barcode_columns(data, notes)
    check_names(roles, names | set(data.obs.columns), data.obs.columns, matrix.name)
    assigned = assign_roles(data, roles)
    clean_labels(data, assigned.get("class") or suggest_label(data), notes)
    data = use_symbols(data, beside, notes, wanted=symbols)
    data.uns = {
        "scale": detect_scale(data.X),
        "source": matrix.name,
        "notes": notes.said,
        "findings": [finding.model_dump() for finding in notes.found],
        "columns": [
            column.model_dump() for column in _list_columns(data, {**columns, **unused}, roles)
        ],
    }
    return data


def _take_labels(
    table: Table, roles: Mapping[str, Role], notes: Notes
) -> tuple[Table, dict[str, Column]]:
    """The table about samples, each of its columns once, and its columns that are left out."""
    names: list[str] = []
    for name in table.names:
        times = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({times + 1})" if name in names else name)
    again = [new for new, old in zip(names, table.names, strict=True) if new != old]
    if again:
        notes.warn(
            "repeated_columns",
            f"{table.source} has columns of the same name; they are now called {', '.join(again)}.",
        )
    for name in names:
        if roles.get(name) in ("id", "gene", "sample"):
            raise InputError(
                f"{name!r} of {table.source} can't be {roles[name]!r}: a table of labels has "
                "class, patient, batch, label, or ignore."
            )
    unused = {
        name: Column(
            name=name, role="ignore", why=SAID, example=show_values(table.texts(n)), can=ROWS
        )
        for n, name in enumerate(names) if roles.get(name) == "ignore"
    }  # fmt: skip
    kept = [n for n, name in enumerate(names) if name not in unused]
    used = replace(
        table,
        names=[names[n] for n in kept],
        text_at={place: table.texts(n) for place, n in enumerate(kept)},
        number_at={},
        numbers=[],
        above={name: [row[n] for n in kept] for name, row in table.above.items()},
    )
    return used, unused


def _known_samples(samples: np.ndarray, description: Table | None) -> set[str]:
    """Those of the names that stand in the table of labels as well."""
    if description is None:
        return set()
    loose = cut_barcode(12)
    texts = [description.texts(index) for index in range(len(description.names))]
    known = {loose(str(text)) for column in [*texts, description.names] for text in column} - {""}
    return {str(name) for name in samples if loose(str(name)) in known}


def _list_columns(
    data: AnnData, taken: Mapping[str, Column], roles: Mapping[str, Role]
) -> list[Column]:
    """What isn't simply a gene or a sample: what is doubtful first, then what describes samples."""
    found = {name: role for role, name in assign_roles(data, roles).items()}
    listed = [column for name, column in taken.items() if name not in data.obs.columns]
    for name in data.obs.columns:
        known = taken.get(name) or Column(
            name=name, role="label", why="describes samples", can=ROWS
        )
        role = found.get(name, "label")
        why = SAID if name in roles else known.why if role == "label" else "by its name and values"
        example = show_values(data.obs[name].unique())
        listed.append(known.model_copy(update={"role": role, "why": why, "example": example}))
    order = ["id", *ABOUT_SAMPLES, "gene", "sample", "ignore"]
    return sorted(listed, key=lambda column: (not column.doubtful, order.index(column.role)))


def _find_known(table: Table, description: Table | None) -> set[str]:
    """Names of a table's rows and columns that stand in the table about the samples as well."""
    if description is None:
        return set()
    loose = cut_barcode(12)
    ids = _id_column(table)
    names = {*table.names, *([] if ids is None else table.texts(ids))}
    written = {str(name): loose(str(name)) for name in names}
    columns = (description.texts(index) for index in range(len(description.names)))
    known = {loose(str(text)) for texts in columns for text in texts} - {""}
    header = {loose(name) for name in description.names[1:]}
    if len(header & set(written.values())) > len(header) / 2:  # it lies on its side
        known |= header
    return {name for name, key in written.items() if key in known}


def _take_back_header(description: Table, data: AnnData, notes: Notes) -> Table:
    """A table about samples, without a header if a sample stands where its header should be."""
    loose = cut_barcode(12)
    samples = {loose(name) for name in data.obs_names}
    columns = [description.texts(column) for column in range(len(description.names))]
    ids = any(
        loose(name) in samples and any(loose(str(text)) in samples for text in texts)
        for name, texts in zip(description.names, columns, strict=True)
    )
    if not ids:
        return description
    notes.warn("no_header", say_no_header(description.source, description.names))
    texts = {
        column: np.array([name, *columns[column]], object)
        for column, name in enumerate(description.names)
    }
    names = number_columns(len(texts))
    return replace(description, names=names, rows=description.rows + 1, text_at=texts, number_at={})


def _id_column(
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
    if not named and (lower[0] not in METADATA_NAMES and not _looks_measured(table.texts(0))):
        named = [0]
    texts = {index: table.texts(index) for index in dict.fromkeys([*named, *table.text_at])}
    several = [
        index for index, values in texts.items()
        if not _are_numbers(values) and len(set(values)) == len(values)
    ]  # fmt: skip
    if description is not None and several:
        hits = {
            index: len(_known_samples(texts[index], description))
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


def _looks_measured(texts: np.ndarray) -> bool:
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce")
    return bool(numbers.notna().all() and (numbers % 1 != 0).any())


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


def _take_matrix(read: Matrix, roles: Mapping[str, Role]) -> Taken:
    taken = Taken(
        read.x, read.samples, read.genes,
        {str(name): read.obs[name].to_numpy(dtype=object) for name in read.obs.columns},
    )  # fmt: skip
    for name in [name for name in taken.obs if roles.get(name) == "ignore"]:
        taken.tell(name, "ignore", SAID, taken.obs.pop(name), ROWS)
    return taken


def _take_samples_in_rows(
    table: Table, roles: Mapping[str, Role], description: Table | None, notes: Notes
) -> Taken:
    ids = _id_column(table, roles, description)
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


def _take_genes_in_rows(
    table: Table, roles: Mapping[str, Role], description: Table | None, notes: Notes
) -> Taken:
    ids = _id_column(table, roles)
    if ids is None:
        raise InputError(
            f"{table.source} has genes in rows but no column of gene names. Put them into the "
            "first column."
        )
    genes = table.texts(ids)
    taken = Taken(np.empty((0, 0)), np.empty(0), genes, {})
    taken.tell(table.names[ids], "id", "names the genes", genes, ("id", "ignore"))
    known = _known_samples(np.array(table.names, dtype=object), description)
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


def _assemble(taken: Taken, source: str, notes: Notes) -> AnnData:
    """One AnnData with unique ids, without rows that aren't genes and without blank words."""
    check_size(len(taken.samples), len(taken.genes), source)
    samples = shorten_paths(np.char.strip(taken.samples.astype(str)), notes)
    _check_ids(samples, source)
    for what, names in (("sample", samples), ("gene", taken.genes), ("column", taken.obs)):
        _refuse_control_characters(what, names, source)
    blank = int(sum(not str(gene).strip() for gene in taken.genes))
    if blank:
        notes.warn("unnamed_genes", f"{blank} genes without a name were left out.")
    x, genes = merge_genes(taken.x, clean_genes(taken.genes, notes), notes)
    obs = pd.DataFrame(taken.obs, index=pd.Index(samples, dtype=object), dtype=object)
    return AnnData(
        np.ascontiguousarray(x),
        obs=obs.where(~obs.isin(MISSING), ""),
        var=pd.DataFrame(index=pd.Index(genes, dtype=object)),
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


def _clean_columns(data: AnnData, notes: Notes) -> None:
    """Rename columns that h5ad can't hold, or keeps for itself."""
    new = {
        name: re.sub(r"^(\.*)$|/", r"\1_", name.strip("_") if name in RESERVED else name)
        for name in data.obs.columns
        if "/" in name or not name.strip(".") or name in RESERVED
    }
    if new:
        data.obs = data.obs.rename(columns=new)
        notes.say(f"Columns were renamed: {', '.join(f'{a} to {b}' for a, b in new.items())}.")


def _refuse_control_characters(what: str, names: Iterable[str], source: str) -> None:
    """Characters that can't be seen, NUL among them, end names early in other programs."""
    for number, name in enumerate(map(str, names)):
        if CONTROL.search(name):
            raise InputError(
                f"{source}: the name of {what} {number + 1} holds a character that can't be seen "
                f"({name[:40]!r}). Remove it."
            )


def _check_ids(samples: np.ndarray, source: str) -> None:
    ids = pd.Series(samples)
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        listed = ", ".join(map(str, twice[:5]))
        raise InputError(
            f"{source} has {len(twice)} sample ids more than once: {listed}. Give every sample an "
            "id of its own, or tell where the samples stand if these are genes."
        )
    if (ids == "").any():
        row = int(np.flatnonzero(ids == "")[0])
        raise InputError(f"{source}: sample {row + 1} has no id. Give every sample an id.")


def _check_values(data: AnnData, source: str) -> None:
    for row, values in enumerate(data.X):
        infinite = np.flatnonzero(np.isinf(values))
        if not len(infinite):
            continue
        column = infinite[0]
        raise InputError(
            f"{source}: sample {data.obs_names[row]}, gene {data.var_names[column]} is infinite. "
            "Correct it, or leave the cell empty if the value is missing."
        )
    if np.isnan(data.X).all():
        raise InputError(f"{source} has no number at all where expression is expected.")
