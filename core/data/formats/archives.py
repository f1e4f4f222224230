"""Archives: one table, one table a sample (GDC, STAR, HTSeq, …), or 10x folders, one a sample."""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse

from core.data.formats.hdf5_kinds import keep_expression, take_expression
from core.data.formats.unpack import PACKED_ENDINGS, Archive, Progress, open_content
from core.data.gene_symbols import find_symbols
from core.data.matrix import Matrix, check_size
from core.data.notes import Notes
from core.data.sample_names import take_file_name
from core.data.shapes import take_sample_table
from core.data.text import read_text
from core.errors import InputError

TABLE_ENDINGS = {"csv", "tsv", "txt", "tab", "gct", "xlsx", "xls", "parquet", "feather", "h5ad",
                 "h5", "loom", "mat", "sf", "results", "counts", "count"}  # fmt: skip
NOT_TABLES = re.compile(
    r"(?i)manifest|readme|annotations\.txt|md5|filelist\.txt|SJ\.out\.tab|abundance\.h5$"
)
"""What lies beside tables, or says the same in another format, as kallisto's abundance.h5."""
OF_GENES = (("quant.sf", "quant.genes.sf"), (".isoforms.results", ".genes.results"),
            ("abundance.tsv", "abundance.gene.tsv"))  # fmt: skip
"""Endings of a sample's transcripts and of its genes."""
MATRIX = re.compile(r"(?i)matrix\.mtx(\.gz)?$")
GENES, CELLS = ("features.tsv", "genes.tsv"), ("barcodes.tsv",)
TRIED = 4
"""Files by which an archive is judged."""
BESIDE = 3
"""Files that may lie beside one table a sample, such as a sample sheet."""


@dataclass(frozen=True)
class TenX:
    """The three files that 10x's programs write for one sample."""

    matrix: str
    genes: str
    cells: str


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[Archive, list[str]]]:
    """An archive, and those of its files that may hold data; removed from the disk afterwards."""
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory())
        archive = opened.enter_context(Archive(path, Path(folder)))
        fitting = [
            name for name in archive.names
            if PACKED_ENDINGS.sub("", name).rpartition(".")[2].lower() in TABLE_ENDINGS
            and not NOT_TABLES.search(PurePosixPath(name).name)
        ]  # fmt: skip
        yield archive, _leave_transcripts(fitting or archive.names)


def _leave_transcripts(names: list[str]) -> list[str]:
    """Files without those of transcripts whose genes stand beside."""
    known = set(names)
    return [name for name in names if _name_genes(name) not in known]


def _name_genes(name: str) -> str | None:
    """What the file of a sample's genes is called; None unless this is one of its transcripts."""
    plain = PACKED_ENDINGS.sub("", name)
    for transcripts, genes in OF_GENES:
        if plain.endswith(transcripts):
            return plain.removesuffix(transcripts) + genes + name[len(plain) :]
    return None


def list_tables(path: Path) -> list[str]:
    """The files of an archive, if one of them has to be chosen."""
    with open_archive(path) as (archive, names):
        return names if len(names) > 1 and _find_whole(archive, names) is None else []


def read_whole(archive: Archive, names: list[str], progress: Progress | None) -> Matrix | None:
    """All samples of an archive together; None when it holds one table, or several to choose from.

    Raises:
        InputError: its files don't fit together.
    """
    read = _find_whole(archive, names)
    return None if read is None else read(archive, names, progress)


def _find_whole(archive: Archive, names: list[str]) -> Callable | None:
    if find_folders(archive.names):
        return _read_folders
    if len(names) < 2:
        return None
    if all(name.lower().endswith(".h5") for name in names):
        return _read_cells
    return _read_bundle if _is_bundle(archive, names) else None


# --- one table a sample ----------------------------------------------------------------------


def _is_bundle(archive: Archive, names: list[str]) -> bool:
    """Whether an archive holds one table a sample, judged by its first files."""
    found = 0
    for name in names[:TRIED]:
        try:
            place = archive.extract(name)
            found += take_sample_table(read_text(place), of_many=True) is not None
        except InputError:
            continue
    return found >= 2


def _read_bundle(archive: Archive, names: list[str], progress: Progress | None) -> Matrix:
    """One table a sample, side by side; every one must hold the same genes."""
    notes, first = Notes(), ""
    genes: np.ndarray | None = None
    symbols: dict[str, str] = {}
    columns, members, beside = [], [], []
    titles: dict[str, str] = {}
    for number, name in enumerate(names):
        place = archive.extract(name)
        table = read_text(place, name=f"{archive.name}, {name}")
        found = take_sample_table(table, of_many=True)
        place.unlink()
        if found is None:
            beside.append(name)
            continue
        title, column, these, values = found
        titles.setdefault(title, column)
        if genes is None:
            genes, first, symbols = these, name, find_symbols(table)
            check_size(len(names), len(genes), archive.name)
        columns.append(_order(genes, these, values, first, name, archive.name))
        members.append(name)
        if progress:
            progress((number + 1) / len(names))
    if len(beside) > BESIDE or len(titles) > 1:
        odd = beside[0] if len(beside) > BESIDE else " and ".join(titles)
        raise InputError(
            f"{archive.name}: {odd} is not a table of one sample like {first}. Remove it."
            if len(beside) > BESIDE
            else f"{archive.name} holds tables of several programs ({odd}). Keep those of one."
        )
    if beside:
        notes.warn(
            "files_beside",
            f"{archive.name} holds {len(columns)} tables of one sample, and other files that were "
            f"left out: {', '.join(beside)}. One that describes samples can be added as the table "
            "of labels.",
        )
    title, column = next(iter(titles.items()))
    if any(_name_genes(name) in names for name in archive.names):
        notes.say("The files of transcripts were left out for those of genes beside them.")
    notes.say(f"{len(columns)} files of {title}, one per sample; the column {column} was taken.")
    samples = name_samples(members)
    obs = pd.DataFrame(index=samples)
    return Matrix(np.stack(columns), samples, np.asarray(genes), obs, notes, symbols)


def _order(
    genes: np.ndarray, these: np.ndarray, values: np.ndarray, first: str, name: str, source: str
) -> np.ndarray:
    """The values in the order of `genes`; raises InputError for other genes."""
    if np.array_equal(genes, these):
        return values
    places = {gene: place for place, gene in enumerate(these)}
    if len(places) < len(these) or set(places) != set(genes) or len(genes) != len(these):
        other = sorted(set(these) ^ set(genes))
        raise InputError(
            f"{source}: {name} has other genes than {first} "
            f"({', '.join(other[:3]) or 'some of them several times'}). Use one annotation for "
            "all, and keep genes without reads."
        )
    return values[[places[gene] for gene in genes]]


def name_samples(names: list[str]) -> np.ndarray:
    """Sample ids out of the names of files; out of the folders when files are called alike."""
    paths = [PurePosixPath(name) for name in names]
    short = [take_file_name(path.name) for path in paths]
    if len(set(short)) == len(short):
        return np.array(short)
    whole = [PACKED_ENDINGS.sub("", path.name) for path in paths]
    if len(set(whole)) == len(whole):
        return np.array(whole)
    for depth in range(1, max(len(path.parts) for path in paths)):
        folders = [path.parts[-1 - depth] if len(path.parts) > depth else "" for path in paths]
        if len(set(folders)) == len(folders) and all(folders):
            return np.array(folders)
    return np.array(names)


# --- 10x: three files a sample, or one in HDF5 --------------------------------------------------


def find_folders(names: list[str]) -> list[TenX]:
    """The 10x samples in an archive: every matrix.mtx with its features and barcodes.

    Of a sample that is there with and without empty drops (raw), the filtered one.
    """
    known = set(names)

    def beside(start: str, wanted: tuple[str, ...]) -> str:
        places = (f"{start}{name}{packed}" for name in wanted for packed in ("", ".gz"))
        return next((place for place in places if place in known), "")

    found = []
    for name in names:
        if mark := MATRIX.search(name):
            start = name[: mark.start()]
            if (genes := beside(start, GENES)) and (cells := beside(start, CELLS)):
                found.append(TenX(name, genes, cells))
    matrices = {one.matrix for one in found}
    return [
        one for one in found
        if "raw_" not in one.matrix or one.matrix.replace("raw_", "filtered_") not in matrices
    ]  # fmt: skip


def _read_folders(archive: Archive, names: list[str], progress: Progress | None) -> Matrix:
    folders = find_folders(archive.names)
    if len(folders) == 1:
        return _read_mtx(archive, folders[0])
    parts = {}
    for number, (sample, one) in enumerate(zip(_name_folders(folders), folders, strict=True)):
        parts[sample] = _read_mtx(archive, one)
        if progress:
            progress((number + 1) / len(folders))
    return _join(parts, archive.name)


def _name_folders(folders: list[TenX]) -> np.ndarray:
    """A name a sample: what stands before matrix.mtx in the file's name, else its folder."""
    starts = [MATRIX.sub("", one.matrix).rstrip("_.-") for one in folders]
    return name_samples([re.sub(r"/?(filtered|raw)_[a-z_]*/?$", "", start) for start in starts])


def _read_cells(archive: Archive, names: list[str], progress: Progress | None) -> Matrix:
    """One HDF5 file of 10x a sample."""
    parts = {}
    for number, (sample, name) in enumerate(zip(name_samples(names), names, strict=True)):
        place = archive.extract(name)
        parts[sample] = take_expression(place, None)
        place.unlink()
        if progress:
            progress((number + 1) / len(names))
    return _join(parts, archive.name)


def _join(parts: dict[str, Matrix], source: str) -> Matrix:
    """The cells of several samples below one another; every one must hold the same genes."""
    first = next(iter(parts))
    genes, notes = parts[first].genes, Notes()
    check_size(sum(len(part.samples) for part in parts.values()), len(genes), source)
    for name, part in parts.items():
        if not np.array_equal(part.genes, genes):
            other = sorted(set(part.genes) ^ set(genes))
            raise InputError(
                f"{source}: {name} has other genes than {first} "
                f"({', '.join(other[:3]) or 'in another order'}). Use one reference for all."
            )
    told = {finding.message: finding for part in parts.values() for finding in part.notes.found}
    notes.found.extend(told.values())
    sizes = ", ".join(f"{name} ({len(part.samples):,})" for name, part in parts.items())
    notes.say(
        f"{len(parts)} samples of 10x with their cells were put together: {sizes}. The column "
        "sample names the sample of a cell."
    )
    cells = np.concatenate(
        [np.char.add(f"{name}_", part.samples.astype(str)) for name, part in parts.items()]
    )
    origin = np.repeat(list(parts), [len(part.samples) for part in parts.values()])
    obs = pd.concat([part.obs.reset_index(drop=True) for part in parts.values()], axis=0)
    obs = obs.set_axis(range(len(cells))).fillna("")
    obs["sample"] = origin
    return Matrix(np.concatenate([part.x for part in parts.values()]), cells, genes, obs, notes)


def _read_mtx(archive: Archive, found: TenX) -> Matrix:
    """A 10x-style folder: genes x cells as Matrix Market, with two lists of names."""
    place = archive.extract(found.matrix)
    try:
        with open_content(place) as stream:
            rows, columns, *_ = scipy.io.mminfo(stream)
        check_size(rows, columns, archive.name)
        with open_content(place) as stream:
            x = scipy.io.mmread(stream, spmatrix=False)
        x = x.toarray() if scipy.sparse.issparse(x) else np.asarray(x)
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"{archive.name}: {found.matrix} is not a matrix: {error}") from None
    features = _read_names(archive.extract(found.genes))
    cells = _read_names(archive.extract(found.cells))
    if x.shape != (len(features), len(cells)):
        raise InputError(
            f"{archive.name}: {found.matrix} is {x.shape[0]} x {x.shape[1]}, but there are "
            f"{len(features)} genes and {len(cells)} barcodes."
        )
    notes = Notes(["Matrix Market with its features and barcodes; gene names were taken."])
    genes = np.array([row[1] if len(row) > 1 and row[1] else row[0] for row in features])
    kinds = np.array([row[2] if len(row) > 2 else "" for row in features])
    x, genes = keep_expression(x.T, genes, kinds, notes)
    samples = np.array([row[0] for row in cells])
    x = np.ascontiguousarray(x, dtype=np.float32)
    return Matrix(x, samples, genes, pd.DataFrame(index=samples), notes)


def _read_names(place: Path) -> list[list[str]]:
    with open_content(place) as stream:
        content = b"".join(iter(lambda: stream.read(1 << 20), b""))
    lines = content.decode("utf-8", errors="replace").splitlines()
    return [line.split("\t") for line in lines]
