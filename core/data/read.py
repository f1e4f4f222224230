"""Reading expression files: one file in, one AnnData out, completely or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from anndata import AnnData

from core.data.assemble import assemble, check_values, clean_columns
from core.data.columns import check_names, sort_out_genes, sort_out_samples, warn_of_missing
from core.data.formats.asking import read_any, read_descriptions
from core.data.formats.request import Request
from core.data.formats.unpack import Progress
from core.data.gene_symbols import find_symbols, use_symbols
from core.data.labels import clean_labels
from core.data.matrix import Matrix
from core.data.notes import Notes
from core.data.orientation import Orientation, find_orientation, refuse_turned
from core.data.profile import detect_scale
from core.data.roles import (
    ABOUT_SAMPLES,
    Column,
    Role,
    assign_roles,
    check_role,
    suggest_label,
)
from core.data.sample_names import cut_barcode
from core.data.samples import add_barcode_columns, join_descriptions, join_table
from core.data.shapes import turn_other_shapes
from core.data.taken import ROWS, show_values
from core.data.taking import (
    SAID,
    id_column,
    known_samples,
    take_genes_in_rows,
    take_matrix,
    take_samples_in_rows,
)
from core.data.text import Table
from core.data.text_form import number_columns, say_no_header
from core.errors import InputError


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
        if orientation == "auto":
            refuse_turned(read.samples, read.genes, matrix.name)
        taken = take_matrix(read, roles)
    else:
        notes.add(read.notes)
        if orientation == "auto":
            known = _find_known(read, description)
            orientation = find_orientation(read, id_column(read), known, notes)
        take = take_samples_in_rows if orientation == "samples_in_rows" else take_genes_in_rows
        taken = take(read, roles, description, notes)
    del read
    names = {*map(str, taken.samples), *map(str, taken.genes), *taken.columns, *taken.obs}
    sort_out_samples(taken, roles, known_samples(taken.samples, description), notes)
    sort_out_genes(taken, roles, notes)
    warn_of_missing(taken, notes)
    columns = taken.columns
    data = assemble(taken, matrix.name, notes)
    del taken
    if description is not None:
        notes.add(description.notes)
        description = _take_back_header(description, data, notes)
        data = join_table(data, description, notes)
        names |= {*description.names, *unused}
    check_values(data, matrix.name)
    clean_columns(data, notes)
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
    ids = id_column(table)
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
