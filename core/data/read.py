"""Reading expression files: one file in, one AnnData out, completely or not at all."""

import re
from collections.abc import Iterable, Sequence
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
from core.data.formats import Request, read_any, read_description, take_sample_table
from core.data.genes import clean_genes, merge_genes
from core.data.matrix import Matrix, check_size
from core.data.notes import Notes
from core.data.orientation import Orientation, find_orientation
from core.data.profile import detect_scale
from core.data.samples import add_barcode_columns, cut_barcode, join_table
from core.data.text import Table
from core.data.text_form import number_columns, say_no_header
from core.data.unpack import Progress
from core.errors import InputError

WITH_COMMA = re.compile(r"-?\d+(,\d+)+(\.\d+)?")
"""1,234 or 0,5: meant as a number, but which one isn't sure."""
FEWEST_MEASURED = 3
"""Different fractions in a column from which one or two words beside them stand for no value."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
RESERVED = {"_index", "__categories"}
"""Columns that h5ad keeps for itself."""


def read_dataset(
    matrix: Path,
    labels: Path | None = None,
    *,
    orientation: Orientation = "auto",
    metadata: Sequence[str] = (),
    part: str | None = None,
    progress: Progress | None = None,
) -> AnnData:
    """Read an expression matrix, and what is known about its samples.

    Columns (with genes in rows: the rows above the numbers) that hold text, that have the name of a
    label, patient or batch, or that are named in `metadata` describe samples; all others are genes.
    The samples of TCGA barcodes get their patient, site and sample type from the barcode when no
    column says them.

    Args:
        matrix: the file, in any format of `core.data.formats`.
        labels: a second table with sample ids in one column; all its other columns are joined.
        orientation: where the samples stand; 'auto' finds out and says why in the notes.
        metadata: names of columns that describe samples although they hold numbers.
        part: the sheet, layer, variable or packed file to read, as `list_parts` names them.
        progress: told the share that is read.

    Returns:
        X float32 (samples x genes) with NaN for missing values, obs text columns, and in `uns`
        scale, source, notes (sentences on what was understood) and findings (`Finding`s as dicts:
        what was lost or is doubtful).

    Raises:
        InputError: with what is wrong, where, and what to change.
    """
    notes = Notes()
    description = None if labels is None else read_description(labels)
    request = Request(part, {name.lower() for name in metadata}, progress=progress)
    read = read_any(matrix, request)
    if isinstance(read, Table) and (one := take_sample_table(read)) is not None:
        kind, genes, values = one
        notes.say(
            f"This is {kind.title} of one sample; the column {kind.value} was taken. To read many "
            "samples, put their files into one zip file."
        )
        sample = np.array([matrix.name.partition(".")[0]])
        read = Matrix(values[None], sample, genes, pd.DataFrame(index=sample), Notes())
    if isinstance(read, Matrix):
        notes.add(read.notes)
        x, samples, genes, obs = read.x, read.samples, read.genes, read.obs
    else:
        notes.add(read.notes)
        if orientation == "auto":
            known = _find_known(read, description)
            orientation = find_orientation(read, _id_column(read), known, notes)
        take = _take_samples_in_rows if orientation == "samples_in_rows" else _take_genes_in_rows
        x, samples, genes, found = take(read, set(metadata), notes)
        obs = pd.DataFrame(found, index=range(len(samples)))
        del read
    data = _assemble(x, samples, genes, obs, matrix.name, notes)
    del x
    if description is not None:
        notes.add(description.notes)
        description = _take_back_header(description, data, notes)
        data = join_table(data, description, notes)
    _check_values(data, matrix.name)
    _clean_columns(data, notes)
    add_barcode_columns(data, notes)
    data.uns = {
        "scale": detect_scale(data.X),
        "source": matrix.name,
        "notes": notes.said,
        "findings": [finding.model_dump() for finding in notes.found],
    }
    return data


def _find_known(table: Table, description: Table | None) -> set[str]:
    """Names of a table's rows and columns that stand in the table about the samples as well."""
    if description is None:
        return set()
    loose = cut_barcode(12)
    columns = (description.texts(index) for index in range(len(description.names)))
    known = {loose(str(text)) for texts in columns for text in texts} - {""}
    ids = _id_column(table)
    names = [*table.names, *([] if ids is None else table.texts(ids))]
    return {str(name) for name in names if loose(str(name)) in known}


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


def _id_column(table: Table) -> int | None:
    """The column with the rows' ids: one named so, else the first if it holds different texts."""
    if table.index is not None:
        return table.index
    lower = [name.lower() for name in table.names]
    for names in (SAMPLE_ID_NAMES, ID_NAMES):
        for index, name in enumerate(lower):
            if name in names and (name or index == 0):
                return index
    values = table.texts(0)
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    looks_measured = numbers.notna().all() and (numbers % 1 != 0).any()
    return None if looks_measured or lower[0] in METADATA_NAMES else 0


def _describes_samples(table: Table, index: int, named: set[str]) -> bool:
    name = table.names[index]
    return name in named or name.lower() in METADATA_NAMES or not table.is_number(index)


def _take_samples_in_rows(
    table: Table, named: set[str], notes: Notes
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    ids = _id_column(table)
    if ids is None:
        samples = np.array([f"sample {n + 1}" for n in range(table.rows)])
        notes.say("There is no column of sample ids; samples are numbered by their row.")
    else:
        samples = table.texts(ids)
    obs, genes = {}, []
    for index, name in enumerate(table.names):
        if index == ids:
            continue
        if not _describes_samples(table, index, named):
            genes.append(index)
            continue
        if name in obs:
            raise InputError(f"{table.source} has two columns {name!r}. Rename or remove one.")
        obs[name] = table.texts(index)
        if name not in named and name.lower() not in METADATA_NAMES:
            _refuse_stray_text(obs[name], name, samples, table)
    _require_numbers(genes, table)
    if table.above:
        notes.say(f"Rows that describe genes and were left out: {', '.join(table.above)}.")
    if obs:
        notes.say(f"Columns that describe samples: {', '.join(obs)}.")
    x = table.values(genes)
    return x, samples, np.array([table.names[index] for index in genes]), obs


def _take_genes_in_rows(
    table: Table, named: set[str], notes: Notes
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    ids = _id_column(table)
    if ids is None:
        raise InputError(
            f"{table.source} has genes in rows but no column of gene names. Put them into the "
            "first column."
        )
    genes = table.texts(ids)
    samples, dropped = [], []
    for index, name in enumerate(table.names):
        if index == ids:
            continue
        annotates = name.lower() in GENE_ANNOTATION | GENE_ID_NAMES or index in table.describing
        if table.is_number(index) and not annotates:
            samples.append(index)
        else:
            if not annotates:
                _refuse_stray_text(table.texts(index), name, genes, table)
            dropped.append(name)
    _require_numbers(samples, table)
    if dropped:
        notes.say(f"Columns that describe genes and were left out: {', '.join(dropped)}.")
    obs = {name: np.array([row[i] for i in samples]) for name, row in table.above.items()}
    if obs:
        notes.say(f"Rows that describe samples: {', '.join(obs)}.")
    x = table.values(samples, turned=True)
    return x, np.array([table.names[index] for index in samples]), genes, obs


def _require_numbers(columns: list[int], table: Table) -> None:
    if not columns:
        raise InputError(
            f"{table.source} has no column of numbers. Expected expression values, one column a "
            "gene or one column a sample."
        )


def _assemble(
    x: np.ndarray,
    samples: np.ndarray,
    genes: np.ndarray,
    obs: pd.DataFrame,
    source: str,
    notes: Notes,
) -> AnnData:
    """One AnnData with unique ids, without rows that aren't genes and without blank words."""
    check_size(len(samples), len(genes), source)
    samples = np.char.strip(samples.astype(str))
    _check_ids(samples, source)
    for what, names in (("sample", samples), ("gene", genes), ("column", obs.columns)):
        _refuse_control_characters(what, names, source)
    blank = int(sum(not gene.strip() for gene in genes))
    if blank:
        notes.say(f"{blank} rows without a gene's name were left out.")
    x, genes = merge_genes(x, clean_genes(genes, notes), notes)
    obs = obs.set_axis(pd.Index(samples, dtype=object)).astype(object)
    return AnnData(
        np.ascontiguousarray(x),
        obs=obs.where(~obs.isin(MISSING), ""),
        var=pd.DataFrame(index=pd.Index(genes, dtype=object)),
    )


def _refuse_stray_text(texts: np.ndarray, name: str, rows: np.ndarray, table: Table) -> None:
    """Refuse a column of numbers with a text among them, instead of taking it for a description."""
    missing = np.isin(texts, MISSING_NUMBERS)
    values = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy()
    strays = np.flatnonzero(np.isnan(values) & ~missing)
    meant = ~np.isnan(values) | [bool(WITH_COMMA.fullmatch(text)) for text in texts]
    measured = len(set(texts[values % 1 > 0])) >= FEWEST_MEASURED and len(set(texts[strays])) <= 2
    if len(strays) and (meant.sum() > len(texts) / 2 or measured):
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
