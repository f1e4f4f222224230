"""Reading expression files: one table in, one AnnData out, completely or not at all."""

import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from anndata import AnnData

from core.data.check import GROUP_NAMES, LABEL_NAMES, detect_scale
from core.errors import InputError

MAX_BYTES = 2**31 - 1
"""Largest text table, decompressed."""
MAX_VALUES = 500_000_000
"""Largest matrix, samples x genes."""
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "."]
ID_NAMES = ("", "id", "sample", "sample_id", "sampleid", "sample_name", "barcode", "gene", "genes",
            "gene_id", "gene_name", "gene_symbol", "symbol", "index", "__index_level_0__",
            "unnamed: 0")  # fmt: skip
METADATA_NAMES = (*LABEL_NAMES, *GROUP_NAMES, "batch", "site", "center", "centre", "plate", "age",
                  "sex", "gender", "stage", "grade", "sample_type", "tissue", "year")  # fmt: skip
GENE_ID = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?|[A-Z][A-Z0-9]{1,7}(-[A-Z0-9]+)?|C\d+orf\d+")

Orientation = Literal["auto", "samples_in_rows", "genes_in_rows"]


@dataclass(frozen=True)
class Table:
    """A table as it was read: column names (not always unique) and columns."""

    names: list[str]
    columns: list[pa.ChunkedArray]
    source: str

    def is_number(self, index: int) -> bool:
        """Whether a column holds numbers (or nothing at all)."""
        kind = self.columns[index].type
        return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)

    def texts(self, index: int) -> np.ndarray:
        """A column as trimmed text; empty where nothing stands."""
        values = self.columns[index].to_pandas()
        if pa.types.is_floating(self.columns[index].type) and (values.dropna() % 1 == 0).all():
            values = values.astype("Int64")
        return values.astype("string").fillna("").str.strip().to_numpy(dtype=str)


def read_dataset(
    matrix: Path,
    labels: Path | None = None,
    *,
    orientation: Orientation = "auto",
    metadata: Sequence[str] = (),
) -> AnnData:
    """Read an expression matrix, and what is known about its samples.

    CSV, TSV or semicolons (plain or gz), Parquet, h5ad. Columns that hold text, columns with the
    name of a label, patient or batch, and those named in `metadata` describe samples; all other
    columns are genes.

    Args:
        matrix: the file.
        labels: a second table with sample ids in one column; all its other columns are joined.
        orientation: where the samples stand; 'auto' finds out and says why in the notes.
        metadata: names of columns that describe samples although they hold numbers.

    Returns:
        X float32 (samples x genes) with NaN for missing values, obs text columns, and in `uns`
        scale, source, and notes: sentences on what was understood.

    Raises:
        InputError: with what is wrong, where, and what to change.
    """
    notes: list[str] = []
    description = None if labels is None else _read_table(labels)
    if matrix.suffix == ".h5ad":
        data = _read_h5ad(matrix)
    else:
        table = _read_table(matrix)
        if orientation == "auto":
            orientation, why = _find_orientation(table, description)
            notes.append(why)
        read = _take_samples_in_rows if orientation == "samples_in_rows" else _take_genes_in_rows
        x, samples, genes, obs = read(table, set(metadata), notes)
        _check_size(len(samples), len(genes))
        _check_ids(samples, matrix.name)
        x, genes = _merge_genes(x, genes, notes)
        frame = pd.DataFrame(obs, index=pd.Index(samples, dtype=str), dtype=str)
        data = AnnData(x, obs=frame, var=pd.DataFrame(index=pd.Index(genes, dtype=str)))
    if description is not None:
        data = _join(data, description, notes)
    _check_values(data, matrix.name)
    data.uns = {"scale": detect_scale(data.X), "source": matrix.name, "notes": notes}
    return data


def _read_table(path: Path) -> Table:
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty. Expected a table with samples and genes.")
    if path.suffix == ".parquet":
        try:
            table = pyarrow.parquet.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path.name} is not a Parquet file: {error}") from None
    else:
        table = _read_text(path)
    if not table.num_rows:
        raise InputError(f"{path.name} has a header but no rows.")
    return Table([str(name).strip() for name in table.column_names], table.columns, path.name)


def _read_text(path: Path) -> pa.Table:
    content = _decompress(path)
    if b"\0" in content[:65536]:
        raise InputError(
            f"{path.name} is not a text table: it holds binary data. Expected CSV, TSV, Parquet or "
            "h5ad, with the ending that says which."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    header = text.lstrip("\r\n").partition("\n")[0].strip("\r")
    delimiter = max("\t,;", key=header.count)
    if header.count(delimiter) == 0:
        raise InputError(
            f"{path.name} is not a table: its first line has one column only ({header[:60]!r}). "
            "Expected columns separated by commas, tabs or semicolons."
        )
    names = header.split(delimiter)
    try:
        return pyarrow.csv.read_csv(
            pa.py_buffer(text.encode()),
            read_options=pyarrow.csv.ReadOptions(block_size=MAX_BYTES),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
            convert_options=pyarrow.csv.ConvertOptions(
                null_values=MISSING,
                strings_can_be_null=False,
                true_values=[],
                false_values=[],
                timestamp_parsers=["never"],
                column_types={names[0].strip('"'): pa.string()},
                decimal_point=".",
            ),
        )
    except (pa.ArrowException, UnicodeError) as error:
        reason = str(error).removeprefix("CSV parse error: ").split(": ")[0][:200]
        raise InputError(
            f"{path.name} can't be read as a table of {len(names)} columns: {reason}. Give every "
            "line as many columns as the header."
        ) from None


def _decompress(path: Path) -> bytes:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path.name} can't be unpacked: {error}. Is it complete?") from None
    if len(content) > MAX_BYTES:
        raise InputError(
            f"{path.name} holds more than {MAX_BYTES / 1e9:.1f} GB of text. Store it as Parquet or "
            "h5ad."
        )
    if not content.strip():
        raise InputError(f"{path.name} is empty. Expected a table with samples and genes.")
    return content


def _find_orientation(table: Table, description: Table | None) -> tuple[Orientation, str]:
    """Where the samples stand, and the evidence in one sentence."""
    first = set(table.texts(_id_column(table) or 0))
    header = set(table.names)
    if description is not None:
        ids = set().union(*(description.texts(i) for i in range(len(description.names))))
        in_rows, in_columns = len(ids & first), len(ids & header)
        if in_rows or in_columns:
            place = "rows" if in_rows >= in_columns else "columns"
            found = max(in_rows, in_columns)
            text = f"Samples are in {place}: {found} of them stand in the table of labels as well."
            return ("samples_in_rows" if place == "rows" else "genes_in_rows"), text
    described = [
        name
        for index, name in enumerate(table.names)
        if index != _id_column(table) and _describes_samples(table, index, set())
    ]
    if described and len(table.names) > 2 * len(described):
        text = f"Samples are in rows: the column {described[-1]} describes them."
        return "samples_in_rows", text
    genes_first = sum(bool(GENE_ID.fullmatch(text)) for text in first) / max(len(first), 1)
    genes_header = sum(bool(GENE_ID.fullmatch(text)) for text in header) / max(len(header), 1)
    if genes_first > genes_header:
        return "genes_in_rows", "Genes are in rows: the first column looks like gene names."
    if genes_header > genes_first:
        return "samples_in_rows", "Samples are in rows: the header looks like gene names."
    if table.columns[0].length() > len(table.names):
        return "genes_in_rows", "Genes are taken to be in rows: there are more rows than columns."
    return "samples_in_rows", "Samples are taken to be in rows: there are more columns than rows."


def _id_column(table: Table) -> int | None:
    """The column with the rows' ids: one named so, else the first if it holds different texts."""
    for index, name in enumerate(table.names):
        if name.lower() in ID_NAMES and (name or index == 0):
            return index
    values = table.texts(0)
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    looks_measured = numbers.notna().all() and (numbers % 1 != 0).any()
    named = _describes_samples(table, 0, set()) and table.names[0].lower() in METADATA_NAMES
    return None if looks_measured or named else 0


def _describes_samples(table: Table, index: int, named: set[str]) -> bool:
    name = table.names[index]
    return name in named or name.lower() in METADATA_NAMES or not table.is_number(index)


def _take_samples_in_rows(
    table: Table, named: set[str], notes: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    ids = _id_column(table)
    if ids is None:
        samples = np.array([f"sample {n + 1}" for n in range(table.columns[0].length())])
        notes.append("There is no column of sample ids; samples are numbered by their row.")
    else:
        samples = table.texts(ids)
    obs, genes = {}, []
    for index, name in enumerate(table.names):
        if index == ids:
            continue
        if _describes_samples(table, index, named):
            texts = table.texts(index)
            if name not in named and name.lower() not in METADATA_NAMES:
                _refuse_stray_text(texts, name, samples, table.source)
            obs[name] = texts
        else:
            genes.append(index)
    if not genes:
        raise InputError(
            f"{table.source} has no column of numbers. Expected expression values, one column a "
            "gene or one column a sample."
        )
    if obs:
        notes.append(f"Columns that describe samples: {', '.join(obs)}.")
    x = _to_float32(table, genes)
    return x, samples, np.array([table.names[index] for index in genes]), obs


def _take_genes_in_rows(
    table: Table, named: set[str], notes: list[str]
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
        if table.is_number(index):
            samples.append(index)
        else:
            _refuse_stray_text(table.texts(index), name, genes, table.source)
            dropped.append(name)
    if not samples:
        raise InputError(
            f"{table.source} has no column of numbers. Expected expression values, one column a "
            "gene or one column a sample."
        )
    if dropped:
        notes.append(f"Columns that describe genes and were left out: {', '.join(dropped)}.")
    x = np.ascontiguousarray(_to_float32(table, samples).T)
    return x, np.array([table.names[index] for index in samples]), genes, {}


def _to_float32(table: Table, columns: list[int]) -> np.ndarray:
    """The columns side by side, (rows, columns) float32, NaN where nothing stands."""
    x = np.empty((table.columns[0].length(), len(columns)), dtype=np.float32)
    for place, index in enumerate(columns):
        x[:, place] = table.columns[index].to_numpy()
    return x


def _refuse_stray_text(texts: np.ndarray, name: str, rows: np.ndarray, source: str) -> None:
    """Refuse a column of numbers with a text among them, instead of taking it for a description."""
    missing = np.isin(texts, MISSING)
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce").notna().to_numpy()
    strays = np.flatnonzero(~numbers & ~missing)
    if len(strays) and numbers.sum() > len(texts) / 2:
        row = int(strays[0])
        raise InputError(
            f"{source}, line {row + 2} ({rows[row]}), column {name}: expected a number, got "
            f"{texts[row]!r}. Correct it, or leave the cell empty if the value is missing."
        )


def _read_h5ad(path: Path) -> AnnData:
    try:
        read = anndata.read_h5ad(path)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path.name} is not an h5ad file: {error}") from None
    if read.X is None:
        raise InputError(f"{path.name} has no matrix X. Expected samples x genes in X.")
    _check_size(*read.shape)
    _check_ids(read.obs_names.to_numpy().astype(str), path.name)
    x = read.X.toarray() if hasattr(read.X, "toarray") else np.asarray(read.X)
    notes: list[str] = []
    x, genes = _merge_genes(x.astype(np.float32), read.var_names.to_numpy().astype(str), notes)
    obs = read.obs.astype("string").fillna("").astype(str)
    obs.index = obs.index.astype(str)
    return AnnData(x, obs=obs, var=pd.DataFrame(index=pd.Index(genes, dtype=str)))


def _check_size(samples: int, genes: int) -> None:
    if samples * genes > MAX_VALUES:
        raise InputError(
            f"{samples} samples x {genes} genes are more than {MAX_VALUES:,} values. Keep fewer "
            "genes or samples."
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


def _merge_genes(
    x: np.ndarray, genes: np.ndarray, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Make gene ids unique: sum counts and linear values, keep the most expressed of log2."""
    unique, first, inverse = np.unique(genes, return_index=True, return_inverse=True)
    if len(unique) == len(genes):
        return x, genes
    log = detect_scale(x) == "log2"
    twice = unique[np.bincount(inverse) > 1]
    keep = np.sort(first)
    merged = x[:, keep].copy()
    for gene in twice:
        columns = np.flatnonzero(genes == gene)
        place = np.searchsorted(keep, columns[0])
        if log:
            with np.errstate(invalid="ignore"):
                means = np.nan_to_num(np.nanmean(x[:, columns], axis=0), nan=-np.inf)
            merged[:, place] = x[:, columns[means.argmax()]]
        else:
            merged[:, place] = x[:, columns].sum(axis=1)
    notes.append(
        f"{len(twice)} genes stand several times (such as {twice[0]}): "
        + ("the most expressed of each was kept." if log else "their values were added up.")
    )
    return merged, genes[keep]


def _join(data: AnnData, description: Table, notes: list[str]) -> AnnData:
    """Add the columns of a second table to the samples; those without a row there are left out."""
    texts = [description.texts(index) for index in range(len(description.names))]
    names = set(data.obs_names)
    matches = [len(names & set(column)) for column in texts]
    ids = int(np.argmax(matches))
    if matches[ids] == 0:
        raise InputError(
            f"No sample of the matrix stands in {description.source}. The matrix has "
            f"{data.obs_names[0]!r}, the table has {texts[0][0]!r} in its first column."
        )
    _check_ids(texts[ids], description.source)
    table = pd.DataFrame(
        {name: texts[i] for i, name in enumerate(description.names) if i != ids},
        index=pd.Index(texts[ids]),
    )
    kept = data.obs_names.isin(table.index)
    if not kept.all():
        some = ", ".join(data.obs_names[~kept][:3])
        notes.append(
            f"{(~kept).sum()} samples have no row in {description.source} and were left out: "
            f"{some}."
        )
    absent = len(table) - int(kept.sum())
    if absent:
        notes.append(f"{absent} rows of {description.source} belong to no sample of the matrix.")
    data = data[kept].copy()
    for column in table.columns:
        data.obs[column] = table[column].reindex(data.obs_names).to_numpy()
    return data


def _check_values(data: AnnData, source: str) -> None:
    infinite = np.argwhere(np.isinf(data.X))
    if len(infinite):
        row, column = infinite[0]
        raise InputError(
            f"{source}: sample {data.obs_names[row]}, gene {data.var_names[column]} is infinite. "
            "Correct it, or leave the cell empty if the value is missing."
        )
    if np.isnan(data.X).all():
        raise InputError(f"{source} has no number at all where expression is expected.")
