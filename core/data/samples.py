"""Samples and what is known about them: barcodes, and tables matched by sample id."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.column_names import METADATA_NAMES, MISSING, SAMPLE_ID_NAMES
from core.data.notes import Notes
from core.data.roles import GROUP_NAMES, plain, suggest_group
from core.data.sample_names import WAYS, Way, find_frames, take_file_name
from core.data.text import Table
from core.errors import InputError

BARCODE = re.compile(
    r"TCGA[-._]([A-Z0-9]{2})[-._]([A-Z0-9]{4})(?:[-._](\d{2})(?![0-9]).*|[-._].*)?", re.IGNORECASE
)
"""Tissue source site, participant and sample type of a TCGA barcode (GDC, TCGA barcode); R writes
dots for its dashes."""
DONOR = re.compile(r"(GTEX-[A-Z0-9]{4,5}|TARGET-\d{2}-[A-Z0-9]{6})(?=-|$)", re.IGNORECASE)
"""The donor of a sample of GTEx, the patient of one of TARGET."""
FILE_COLUMNS = {"file_id", "file_name", "filename", "file"}
SAMPLE_COLUMNS = {"sample_id", "sample", "sample_name"}
ID_COLUMNS = {*SAMPLE_ID_NAMES, *GROUP_NAMES, "id", "index", "name", "number", "no", "nr"}
"""Names of columns by whose numbers samples may be called."""
LISTED = 20
"""Most names that a note lists."""


@dataclass(frozen=True)
class _Match:
    """How samples find their rows in a table."""

    hits: int
    way: Way
    by: str | None
    """The column of the samples whose values are looked up; None: their ids."""
    values: list[str]
    """What is looked up, one a sample."""
    column: int
    """The table's column with their names."""
    names: list[str]
    texts: list[np.ndarray]
    """The columns of the table."""

    @property
    def ids(self) -> list[str]:
        """The names in the table."""
        return [str(text) for text in self.texts[self.column]]


def join_table(data: AnnData, description: Table, notes: Notes) -> AnnData:
    """Add the columns of a second table to the samples; those without a row there are left out.

    Names are compared in the strictest of `WAYS` by which most samples find a row: their ids, else
    the values of a column that nearly tells them apart (such as ModelID), with any column of the
    table. A table with the samples in its columns is turned first.

    Raises:
        InputError: no sample has a row, or two rows that differ belong to the same sample.
    """
    samples, source = data.obs_names.to_numpy(), description.source
    names = [(None, [str(name) for name in samples]), *_columns_of_names(data.obs)]
    found = _find(names, description, notes)
    if found is None:
        first = next((str(text) for text in description.texts(0)), "")
        raise InputError(
            f"No sample of the matrix stands in {source}. The matrix has {str(samples[0])!r}, the "
            f"table has {first!r} in its first column. Give the table a column with the samples' "
            "names as the matrix writes them."
        )
    table, keys = _rows_of(found, samples, source, notes)
    kept = keys.isin(table.index) & (keys != "")
    if found.way.words != "exactly" or found.by is not None:
        by = "" if found.by is None else f"by their {found.by}, "
        notes.say(f"Samples were matched with {source} {by}{found.way.words}.")
    if not kept.all():
        notes.warn(
            "samples_without_row",
            f"{(~kept).sum()} samples have no row in {source} and were left out: "
            f"{_list(samples[~kept])}.",
        )
    _tell_shared(keys, samples, found, source, notes)
    absent = [name for name in found.ids if found.way.row(name) not in set(keys)]
    if absent:
        notes.say(
            f"{len(absent)} rows of {source} belong to no sample of the matrix: {_list(absent)}."
        )
    data = data if kept.all() else data[kept].copy()
    _add_columns(data, table.reindex(keys[kept]), source, notes)
    if _is_one_of(found.names[found.column], FILE_COLUMNS):
        _call_by_sample(data, list(table.columns), notes)
    if found.by is not None and all(name.isdigit() for name in data.obs_names):
        _call_by(data, found.by, notes)
    return data


def join_descriptions(tables: Sequence[Table], notes: Notes) -> Table:
    """One table about samples out of several, such as GDC's sample sheet and clinical table.

    The one that names files, else the longest, is the first. Rows of the others are found by any
    column that both have, as `join_table` does; rows of the first stay without what the others
    don't know. Columns that are there already are left out.

    Raises:
        InputError: a table has no row for any of the first's.
    """
    first, *others = sorted(tables, key=_ranks_before)
    if not others:
        return first
    names, texts = _columns(first)
    about = pd.DataFrame(dict(zip(names, texts, strict=True)))
    for other in others:
        found = _find(list(_columns_of_names(about)), other, notes)
        if found is None:
            raise InputError(
                f"{other.source} names nothing that stands in {first.source}. Give both a column "
                "with the same ids of samples or patients."
            )
        rows = about[found.by].to_numpy(dtype=object)
        table, keys = _rows_of(found, rows, other.source, notes)
        notes.say(
            f"{other.source} was joined with {first.source} by {found.by}: "
            f"{keys.isin(table.index).sum()} of {len(keys)} rows have something there."
        )
        for column in table.columns.difference(about.columns, sort=False):
            about[column] = table[column].reindex(keys).fillna("").to_numpy(dtype=object)
    told = Notes()
    for table in tables:
        told.add(table.notes)
    return Table(
        names=[str(name) for name in about.columns],
        source=first.source,
        rows=len(about),
        numbers=[np.empty((len(about), 0), np.float32)],
        number_at={},
        text_at={
            place: about.iloc[:, place].to_numpy(dtype=object) for place in range(about.shape[1])
        },
        notes=told,
    )


def _ranks_before(table: Table) -> tuple[bool, int]:
    files = any(_is_one_of(name, FILE_COLUMNS) for name in table.names)
    return not files, -table.rows


def _find(
    samples: list[tuple[str | None, list[str]]], description: Table, notes: Notes
) -> _Match | None:
    """How samples find rows in a table, turned if it lies on its side."""
    names, texts = _columns(description)
    header = np.array(names[1:], dtype=object)
    upright, lying = _match(samples, names, texts), _match(samples, names[:1], [header])
    if lying is None or (upright is not None and upright.hits >= lying.hits):
        return upright
    notes.say(f"{description.source} has its samples in columns; it was turned.")
    rows = list(zip(*(column.tolist() for column in texts), strict=True))
    return replace(
        lying,
        names=[names[0], *(str(row[0]) for row in rows)],
        texts=[header, *(np.array(row[1:], dtype=object) for row in rows)],
    )


def _rows_of(
    found: _Match, samples: np.ndarray, source: str, notes: Notes
) -> tuple[pd.DataFrame, pd.Index]:
    """The table with one row a key, and the key of each sample."""
    keys = pd.Index([found.way.sample(value) for value in found.values])
    table = pd.DataFrame(
        {
            name: texts
            for place, (name, texts) in enumerate(zip(found.names, found.texts, strict=True))
            if place != found.column
        },
        index=pd.Index([found.way.row(name) for name in found.ids]),
    )
    table = table.where(~table.isin(MISSING), "")
    return _make_unique(table, dict(zip(keys, samples, strict=True)), source, notes), keys


def _columns(description: Table) -> tuple[list[str], list[np.ndarray]]:
    """Names and texts of a table's columns, its rows above the numbers among the others."""
    above = list(description.above.values())
    texts = [
        np.concatenate(
            [np.array([row[place] for row in above], dtype=object), description.texts(place)]
        )
        for place in range(len(description.names))
    ]
    return list(description.names), texts


def _match(
    samples: list[tuple[str | None, list[str]]], names: list[str], texts: list[np.ndarray]
) -> _Match | None:
    """The strictest way in which most samples find a row, or None."""
    best: _Match | None = None
    rows = {}
    for column, values in enumerate(texts):
        found = set(map(str, values)) - set(MISSING)
        called = plain(names[column]) if column < len(names) else ""
        if _may_be_names(found, len(values), first=column == 0 or called in ID_COLUMNS):
            rows[column] = found
    for by, values in samples:
        for way in _ways(values, rows.values()):
            keys = [way.sample(value) for value in values]
            if not any(keys):
                continue
            for column, found in rows.items():
                known = {way.row(text) for text in found} - {""}
                hits = sum(key in known for key in keys)
                if hits > max(best.hits if best else 0, way.least * len(values)):
                    best = _Match(hits, way, by, values, column, names, texts)
            if best and best.hits == len(values):
                return best
    return best


def _may_be_names(texts: set[str], rows: int, *, first: bool) -> bool:
    """Whether a column can name samples.

    Short numbers are ages, sizes, ranks or codes, unless they differ and stand in the first column
    or in one that is called like ids.
    """
    words = any(len(text) > 4 or not text.isdigit() for text in texts)
    return words or (len(texts) == rows and first)


def _ways(samples: Sequence[str], rows: Iterable[set[str]]) -> Iterator[Way]:
    yield from WAYS
    for column in rows:
        yield from find_frames(samples, column)


def _columns_of_names(about: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """The columns that nearly tell samples apart, and so may name them or their patients."""
    known = METADATA_NAMES - set(GROUP_NAMES)
    for column in about.columns:
        values = about[column].astype(str)
        if plain(column) not in known and values.nunique() > len(about) / 3:
            yield column, values.tolist()


def _make_unique(
    table: pd.DataFrame, wanted: dict[str, str], source: str, notes: Notes
) -> pd.DataFrame:
    """One row a key; columns in which rows of one sample differ are left out, which is told.

    Raises InputError when no column is left.
    """
    table = table[table.index.isin(wanted)]
    repeated = table.index.duplicated(keep=False)
    if not repeated.any():
        return table
    differ = table[repeated].groupby(level=0).nunique() > 1
    unlike = [wanted[key] for key in differ.index[differ.any(axis=1)]]
    unsure = list(table.columns[differ.any(axis=0)])
    if len(unlike) and len(unsure) == len(table.columns):
        raise InputError(
            f"{source} has {len(unlike)} sample ids more than once: {', '.join(unlike[:5])}, with "
            "different values. Keep one row for each sample."
        )
    if unsure:
        notes.warn(
            "several_rows",
            f"{len(unlike)} samples have several rows in {source} (such as {unlike[0]}). Columns "
            f"in which these differ were left out: {_list(unsure)}.",
        )
    return table[~table.index.duplicated()].drop(columns=unsure)


def _tell_shared(
    keys: pd.Index, samples: np.ndarray, found: _Match, source: str, notes: Notes
) -> None:
    """Tell where several samples got one row, unless that row is their patient's."""
    shared = keys.duplicated(keep=False) & (keys != "")
    if found.way.shares or found.by is not None or not shared.any():
        return
    first = samples[keys == keys[shared][0]]
    notes.warn(
        "shared_row",
        f"{shared.sum()} samples share rows of {source}: {_list(first)} have the same one. If they "
        "are the same specimen, give them one patient; else write their names as in the matrix.",
    )


def _add_columns(data: AnnData, table: pd.DataFrame, source: str, notes: Notes) -> None:
    replaced = []
    for column in table.columns:
        values = table[column].to_numpy(dtype=object)
        if column in data.obs and (data.obs[column].astype(str).to_numpy() != values).any():
            replaced.append(column)
        data.obs[column] = values
    if replaced:
        notes.warn(
            "column_replaced",
            f"The matrix and {source} say different things in {_list(replaced)}; what {source} "
            "says was taken.",
        )


def _call_by_sample(data: AnnData, columns: list[str], notes: Notes) -> None:
    """Samples that are called by their files get the ids of their samples, if these are unique."""
    for column in columns:
        if _is_one_of(column, SAMPLE_COLUMNS):
            data.obs["file"] = data.obs_names.to_numpy()
            _call_by(data, column, notes)
            return


def _call_by(data: AnnData, column: str, notes: Notes) -> None:
    """Give samples the values of a column as ids, if all are there and differ."""
    ids = data.obs[column].astype(str)
    if ids.is_unique and (ids != "").all():
        data.obs_names = pd.Index(ids, dtype=object)
        notes.say(f"Samples are called by their {column}.")


def _is_one_of(name: str, names: set[str]) -> bool:
    return plain(name) in names


def _list(names: Sequence[str] | np.ndarray) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(map(str, names[:LISTED])) + more


def shorten_paths(samples: np.ndarray, notes: Notes) -> np.ndarray:
    """Samples called by paths of files get the names in these, if that keeps them apart."""
    if not all("/" in name or "\\" in name for name in samples):
        return samples
    short = np.array([take_file_name(name) for name in samples])
    if len(set(short)) < len(short):
        return samples
    notes.say(f"Samples are called by their files: {short[0]} for {samples[0]}.")
    return short


def add_barcode_columns(data: AnnData, notes: Notes) -> None:
    """Patient, site and sample type out of TCGA barcodes, where no column says them already; out of
    names of GTEx and TARGET the patient."""
    donors = [DONOR.match(name) for name in data.obs_names]
    if all(donors) and suggest_group(data) is None:
        data.obs["patient"] = [match[1] for match in donors]
        notes.say(f"Taken from the names of the samples: patient (such as {donors[0][1]}).")
    matches = [BARCODE.fullmatch(name) for name in data.obs_names]
    if not all(matches):
        return
    present = {plain(column) for column in data.obs.columns}
    added = []
    if suggest_group(data) is None:
        data.obs["patient"] = [f"TCGA-{match[1]}-{match[2]}".upper() for match in matches]
        added.append("patient (the first 12 characters)")
    if not {"site", "tissue_source_site"} & present:
        data.obs["site"] = [match[1].upper() for match in matches]
        added.append("site (the second field)")
    if "sample_type" not in present and all(match[3] for match in matches):
        data.obs["sample_type"] = [_name_sample_type(match[3]) for match in matches]
        added.append("sample_type (the fourth field)")
    if added:
        notes.say(f"Taken from the TCGA barcodes: {', '.join(added)}.")


def _name_sample_type(code: str) -> str:
    """01 to 09 are tumours, 10 to 19 normal tissue, 20 and more control samples."""
    return ["tumour", "normal", "control"][min(int(code) // 10, 2)]
