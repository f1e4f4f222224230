"""Reading expression files: one table in, one AnnData out, completely or not at all."""

import csv
import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from anndata import AnnData

from core.data.check import GROUP_NAMES, LABEL_NAMES, TCGA, detect_scale, suggest_group
from core.data.simulate import read_symbols
from core.errors import InputError

MAX_BYTES = 2**31 - 1
"""Largest text table, decompressed."""
MAX_VALUES = 500_000_000
"""Largest matrix, samples x genes."""
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "#N/A", "."]
SAMPLE_ID_NAMES = {"sample", "samples", "sample_id", "sampleid", "sample_name", "barcode"}
GENE_ID_NAMES = {"gene", "genes", "gene_id", "geneid", "gene_name", "gene_symbol", "symbol",
                 "hugo_symbol", "hgnc_symbol", "ensembl_gene_id", "entrez", "entrez_id",
                 "entrez_gene_id", "name"}  # fmt: skip
ID_NAMES = SAMPLE_ID_NAMES | GENE_ID_NAMES | {"", "id", "index", "unnamed: 0"}
GENE_ANNOTATION = {"chr", "chrom", "chromosome", "start", "end", "strand", "length", "gene_length",
                   "biotype", "gene_biotype", "description"}  # fmt: skip
METADATA_NAMES = {*LABEL_NAMES, *GROUP_NAMES, "batch", "site", "center", "centre", "plate", "age",
                  "sex", "gender", "stage", "grade", "sample_type", "tissue", "year"}  # fmt: skip
GENE_ID = re.compile(r"ENS[A-Z]*G\d{6,}(\.\d+)?")
NOT_GENES = re.compile(r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)")
"""Rows in which counting tools put reads without a gene."""
WITH_COMMA = re.compile(r"-?\d+(,\d+)+(\.\d+)?")
"""1,234 or 0,5: meant as a number, but which one isn't sure."""
HEAD_LINES = 50
"""Lines at the beginning in which rows about the samples are looked for."""

Orientation = Literal["auto", "samples_in_rows", "genes_in_rows"]


@dataclass(frozen=True)
class Table:
    """A table as it was read: column names (not always unique) and columns."""

    names: list[str]
    columns: list[pa.ChunkedArray]
    source: str
    index: int | None = None
    """The column that Parquet says is the index."""
    above: dict[str, list[str]] = field(default_factory=dict)
    """Rows of text above the numbers, each with one value a column: what describes columns."""
    first_line: int = 2
    """Line of the file in which the first row stands."""

    def is_number(self, index: int) -> bool:
        """Whether a column holds numbers (or nothing at all)."""
        kind = self.columns[index].type
        return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)

    def texts(self, index: int) -> np.ndarray:
        """A column as trimmed text; empty where nothing stands."""
        return _as_texts(self.columns[index].to_pandas()).str.strip().to_numpy(dtype=str)


def read_dataset(
    matrix: Path,
    labels: Path | None = None,
    *,
    orientation: Orientation = "auto",
    metadata: Sequence[str] = (),
) -> AnnData:
    """Read an expression matrix, and what is known about its samples.

    CSV, TSV or semicolons (plain or gz), Parquet, h5ad. Columns (with genes in rows: the rows above
    the numbers) that hold text, that have the name of a label, patient or batch, or that are named
    in `metadata` describe samples; all others are genes. The samples of TCGA barcodes get their
    patient from the barcode when no column says it.

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
        data = _read_h5ad(matrix, notes)
    else:
        table = _read_table(matrix, {name.lower() for name in metadata})
        if orientation == "auto":
            orientation, why = _find_orientation(table, description)
            notes.append(why)
        read = _take_samples_in_rows if orientation == "samples_in_rows" else _take_genes_in_rows
        x, samples, genes, obs = read(table, set(metadata), notes)
        data = _assemble(x, samples, genes, pd.DataFrame(obs), matrix.name, notes)
    if description is not None:
        data = _join(data, description, notes)
    _check_values(data, matrix.name)
    _clean_columns(data, notes)
    _add_patients(data, notes)
    data.uns = {"scale": detect_scale(data.X), "source": matrix.name, "notes": notes}
    return data


def _read_table(path: Path, metadata: Collection[str] = ()) -> Table:
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty. Expected a table with samples and genes.")
    table = _read_parquet(path) if path.suffix == ".parquet" else _read_text(path, metadata)
    if not table.columns or not len(table.columns[0]):
        raise InputError(f"{path.name} has a header but no rows.")
    return table


def _read_parquet(path: Path) -> Table:
    try:
        file = pyarrow.parquet.ParquetFile(path)
        _check_size(file.metadata.num_rows, file.metadata.num_columns)
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path.name} is not a Parquet file: {error}") from None
    names = [str(name).strip() for name in table.column_names]
    described = (table.schema.pandas_metadata or {}).get("index_columns", [])
    indices = [names.index(name) for name in described if isinstance(name, str) and name in names]
    return Table(names, table.columns, path.name, index=indices[0] if indices else None)


@dataclass(frozen=True)
class TextForm:
    """How a text table is written: where the header stands, and what divides its columns."""

    delimiter: str
    decimal: str
    names: list[str]
    header_line: int
    """Lines up to the header, the header included."""
    above: list[list[str]]
    """Rows below the header that describe columns."""


def _read_text(path: Path, metadata: Collection[str]) -> Table:
    text = _decode(_decompress(path), path.name)
    form = _find_form(text, path.name, metadata)
    skipped = form.header_line + len(form.above)
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(text.encode()),
            read_options=pyarrow.csv.ReadOptions(
                block_size=MAX_BYTES,
                skip_rows=skipped,
                column_names=[str(index) for index in range(len(form.names))],
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=form.delimiter),
            convert_options=pyarrow.csv.ConvertOptions(
                null_values=MISSING,
                strings_can_be_null=False,
                true_values=[],
                false_values=[],
                timestamp_parsers=["never"],
                column_types={"0": pa.string()},
                decimal_point=form.decimal,
            ),
        )
    except (pa.ArrowException, UnicodeError) as error:
        if "Empty CSV" in str(error):
            raise InputError(f"{path.name} has a header but no rows.") from None
        raise _find_bad_line(text, form, path.name, str(error)) from None
    names, columns = form.names, table.columns
    above = {row[0].strip(): [cell.strip() for cell in row] for row in form.above}
    if not names[-1] and columns[-1].null_count == len(columns[-1]):  # every line ends in a comma
        names, columns = names[:-1], columns[:-1]
    blank = [place for place, name in enumerate(names) if not name and place]
    if blank:
        raise InputError(
            f"{path.name}, line {form.header_line}: column {blank[0] + 1} has no name. "
            "Give every column a name."
        )
    return Table(names, columns, path.name, above=above, first_line=skipped + 1)


def _decode(content: bytes, name: str) -> str:
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputError(
            f"{name} is an Excel or zip file. Save the sheet as CSV, or unpack the file first."
        )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content[:65536]:
        raise InputError(
            f"{name} is not a text table: it holds binary data. Expected CSV, TSV, Parquet or "
            "h5ad, with the ending that says which."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _iterate_lines(text: str) -> Iterator[str]:
    """Line by line, with any system's line ends, without a copy of the whole text."""
    return (match[1] for match in re.finditer(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)", text))


def _find_form(text: str, name: str, metadata: Collection[str]) -> TextForm:
    lines = []
    rest = _iterate_lines(text)
    skip = 0
    for line in rest:
        if not lines and (not line.strip() or line.startswith("#")):
            if line.startswith("#1.2"):  # GCT: a line with the numbers of rows and columns follows
                next(rest, None)
                skip += 1
            skip += 1
            continue
        lines.append(line)
        if len(lines) > HEAD_LINES:
            break
    if not lines:
        raise InputError(f"{name} is empty. Expected a table with samples and genes.")
    delimiter = max("\t,;", key=lines[0].count)
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    names = [cell.strip() for cell in rows[0]]
    if len(names) == 1:
        raise InputError(
            f"{name} is not a table: its first line has one column only ({names[0][:60]!r}). "
            "Expected columns separated by commas, tabs or semicolons."
        )
    body = rows[1:]
    if body and all(len(row) == len(names) + 1 for row in body):  # as R writes row names
        names = ["", *names]
    decimal = _find_decimal(body, delimiter)
    count = _count_rows_above(body, decimal, metadata)
    return TextForm(delimiter, decimal, names, skip + 1, body[:count])


def _find_decimal(rows: list[list[str]], delimiter: str) -> str:
    """A comma when numbers are written 0,5 and never 0.5, and can't be thousands like 1,234."""
    cells = [cell for row in rows for cell in row[1:]]
    if delimiter == "," or any(re.fullmatch(r"-?\d+\.\d+", cell) for cell in cells):
        return "."
    commas = [cell for cell in cells if re.fullmatch(r"-?\d+,\d+", cell)]
    thousands = all(re.fullmatch(r"-?[1-9]\d{0,2},\d{3}", cell) for cell in commas)
    return "," if commas and not thousands else "."


def _count_rows_above(rows: list[list[str]], decimal: str, metadata: Collection[str]) -> int:
    """How many first rows describe the columns: text over numbers, or a well-known name."""
    if not rows:
        return 0
    numeric = [place for place, cell in enumerate(rows[-1]) if place and _is_number(cell, decimal)]
    for count, row in enumerate(rows[:-1]):
        cells = [row[place] for place in numeric if place < len(row)]
        words = [cell for cell in cells if _is_word(cell, decimal)]
        name = row[0].strip().lower()
        known = name in METADATA_NAMES or name in metadata
        if not cells or not (known or len(words) > len(cells) / 2):
            return count
    return 0


def _is_word(cell: str, decimal: str) -> bool:
    """Whether a cell holds a letter, and neither a number like 1e6 nor a word for missing."""
    return (
        bool(re.search(r"[^\W\d_]", cell)) and cell not in MISSING and not _is_number(cell, decimal)
    )


def _is_number(cell: str, decimal: str) -> bool:
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _find_bad_line(text: str, form: TextForm, name: str, reason: str) -> InputError:
    """Say which line has another number of columns than the header."""
    reader = csv.reader(_iterate_lines(text), delimiter=form.delimiter)
    for row in reader:
        if reader.line_num > form.header_line and row and len(row) != len(form.names):
            return InputError(
                f"{name}, line {reader.line_num}: expected {len(form.names)} columns like the "
                f"header, got {len(row)}. Is the file complete?"
            )
    return InputError(f"{name} can't be read as a table: {reason[:200]}")


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
    ids = _id_column(table)
    first = set() if ids is None else set(table.texts(ids))
    header = set(table.names)
    if description is not None:
        known = set().union(*(description.texts(i) for i in range(len(description.names))))
        in_rows, in_columns = len(known & first), len(known & header)
        if in_rows or in_columns:
            place = "rows" if in_rows >= in_columns else "columns"
            found = max(in_rows, in_columns)
            text = f"Samples are in {place}: {found} of them stand in the table of labels as well."
            return ("samples_in_rows" if place == "rows" else "genes_in_rows"), text
    if table.above:
        text = f"Genes are in rows: the row {next(iter(table.above))} describes the columns."
        return "genes_in_rows", text
    named = "" if ids is None else table.names[ids].lower()
    others = [name.lower() for place, name in enumerate(table.names) if place != ids]
    described = [name for name in others if name in METADATA_NAMES]
    if described:
        return "samples_in_rows", f"Samples are in rows: the column {described[-1]} describes them."
    if named in GENE_ID_NAMES - {"name"} or GENE_ANNOTATION & set(others):
        return "genes_in_rows", f"Genes are in rows: a column is called {named or 'like a gene'}."
    if named in SAMPLE_ID_NAMES:
        return "samples_in_rows", f"Samples are in rows: the first column is called {named}."
    genes_first, genes_header = _share_of_genes(first), _share_of_genes(header)
    if genes_first > genes_header:
        return "genes_in_rows", "Genes are in rows: the first column has names of genes."
    if genes_header > genes_first:
        return "samples_in_rows", "Samples are in rows: the header has names of genes."
    if len(table.columns[0]) > len(table.names):
        return "genes_in_rows", "Genes are taken to be in rows: there are more rows than columns."
    return "samples_in_rows", "Samples are taken to be in rows: there are more columns than rows."


def _share_of_genes(names: set[str]) -> float:
    known = set(read_symbols())
    found = sum(name in known or bool(GENE_ID.fullmatch(name)) for name in names)
    return found / max(len(names), 1)


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
    table: Table, named: set[str], notes: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    ids = _id_column(table)
    if ids is None:
        samples = np.array([f"sample {n + 1}" for n in range(len(table.columns[0]))])
        notes.append("There is no column of sample ids; samples are numbered by their row.")
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
        notes.append(f"Rows that describe genes and were left out: {', '.join(table.above)}.")
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
        annotates = name.lower() in GENE_ANNOTATION | GENE_ID_NAMES
        if table.is_number(index) and not annotates:
            samples.append(index)
        else:
            if not annotates:
                _refuse_stray_text(table.texts(index), name, genes, table)
            dropped.append(name)
    _require_numbers(samples, table)
    if dropped:
        notes.append(f"Columns that describe genes and were left out: {', '.join(dropped)}.")
    obs = {name: np.array([row[i] for i in samples]) for name, row in table.above.items()}
    if obs:
        notes.append(f"Rows that describe samples: {', '.join(obs)}.")
    x = np.ascontiguousarray(_to_float32(table, samples).T)
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
    notes: list[str],
) -> AnnData:
    """One AnnData with unique ids, without rows that aren't genes and without blank words."""
    _check_size(len(samples), len(genes))
    _check_ids(samples, source)
    real = np.array([bool(gene) and not NOT_GENES.fullmatch(gene) for gene in genes])
    if not real.all():
        left = sorted(set(genes[~real]) - {""})
        named = f" (such as {left[0]})" if left else ""
        notes.append(f"{(~real).sum()} rows without a gene's name were left out{named}.")
        x, genes = x[:, real], genes[real]
    x, genes = _merge_genes(x, genes, notes)
    obs = obs.set_axis(pd.Index(samples, dtype=object)).astype(object)
    return AnnData(
        np.ascontiguousarray(x),
        obs=obs.where(~obs.isin(MISSING), ""),
        var=pd.DataFrame(index=pd.Index(genes, dtype=object)),
    )


def _to_float32(table: Table, columns: list[int]) -> np.ndarray:
    """The columns side by side, (rows, columns) float32, NaN where nothing stands."""
    x = np.empty((table.columns[0].length(), len(columns)), dtype=np.float32)
    for place, index in enumerate(columns):
        x[:, place] = table.columns[index].to_numpy()
    return x


def _refuse_stray_text(texts: np.ndarray, name: str, rows: np.ndarray, table: Table) -> None:
    """Refuse a column of numbers with a text among them, instead of taking it for a description."""
    missing = np.isin(texts, MISSING)
    numbers = pd.to_numeric(pd.Series(texts), errors="coerce").notna().to_numpy()
    strays = np.flatnonzero(~numbers & ~missing)
    meant = numbers | [bool(WITH_COMMA.fullmatch(text)) for text in texts]
    if len(strays) and meant.sum() > len(texts) / 2:
        row = int(strays[0])
        raise InputError(
            f"{table.source}, line {row + table.first_line} ({rows[row]}), column {name}: expected "
            f"a number, got {texts[row][:40]!r}. Correct it, or leave the cell empty if the value "
            "is missing."
        )


def _read_h5ad(path: Path, notes: list[str]) -> AnnData:
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    try:
        with h5py.File(path) as file:
            x = file["X"]
            _check_size(*(x.attrs["shape"] if isinstance(x, h5py.Group) else x.shape))
        read = anndata.read_h5ad(path)
        x = read.X.toarray() if hasattr(read.X, "toarray") else np.asarray(read.X)
        x = x.astype(np.float32)
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(
            f"{path.name} is not an h5ad file with samples x genes in X: {error}"
        ) from None
    samples, genes = (names.to_numpy().astype(str) for names in (read.obs_names, read.var_names))
    obs = pd.DataFrame(
        {str(name): _as_texts(column) for name, column in read.obs.items()}, index=read.obs.index
    )
    return _assemble(x, samples, genes, obs, path.name, notes)


def _as_texts(column: pd.Series) -> pd.Series:
    """Words for a column of any type; whole numbers without a decimal point."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return column.astype("string").fillna("")


def _clean_columns(data: AnnData, notes: list[str]) -> None:
    """Rename columns that h5ad can't hold."""
    new = {name: name.replace("/", "_") for name in data.obs.columns if "/" in name}
    if new:
        data.obs = data.obs.rename(columns=new)
        notes.append(f"Columns were renamed: {', '.join(f'{a} to {b}' for a, b in new.items())}.")


def _add_patients(data: AnnData, notes: list[str]) -> None:
    """The patient of each sample out of its TCGA barcode, when no column says it."""
    matches = [TCGA.match(name) for name in data.obs_names]
    if suggest_group(data) is None and all(matches):
        data.obs["patient"] = [match.group() for match in matches]
        notes.append("Patients were taken from the TCGA barcodes (the first 12 characters).")


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
    table = table.where(~table.isin(MISSING), "")
    for column in table.columns:
        data.obs[column] = table[column].reindex(data.obs_names).to_numpy(dtype=object)
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
