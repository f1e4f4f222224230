"""What HDF5 files hold: h5ad of any age, 10x, loom, ARCHS4; others are named with the way out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.sparse

from core.data.formats.hdf5 import check_declared, open_hdf5
from core.data.gene_symbols import SYMBOL_NAMES
from core.data.matrix import Matrix, as_texts, check_size
from core.data.notes import Notes
from core.errors import InputError

GENE_ROWS = ("Gene", "gene", "gene_name", "GeneName", "gene_names", "Symbol", "Accession",
             "gene_ids", "ensembl_id", "var_names")  # fmt: skip
CELL_COLUMNS = ("CellID", "cell_id", "obs_names", "CellName", "barcode", "barcodes", "Cell")
"""Names under which loom files keep genes and cells."""
ARCHS4_GENES = ("meta/genes/symbol", "meta/genes/gene_symbol", "meta/genes/genes", "meta/genes")
ARCHS4_SAMPLES = ("meta/samples/geo_accession", "meta/Sample_geo_accession", "meta/samples/sample")
ARCHS4_ABOUT = ("series_id", "title", "source_name_ch1", "characteristics_ch1")
OTHERS = {
    "est_counts": "an abundance.h5 of kallisto. Take its abundance.tsv, which lies beside it",
    "assays": "a SummarizedExperiment of R (HDF5Array). In R, write.csv(assay(x), 'counts.csv')",
    "RNA": "a Seurat file (h5Seurat or MuData). Export one table: in R, "
    "write.csv(as.matrix(GetAssayData(x)), 'counts.csv')",
    "mod": "a MuData file (h5mu). In Python, mdata['rna'].write_h5ad('rna.h5ad')",
    "entity": "a file of several 10x matrices. Export one of them",
}
"""Names in other HDF5 files -> what these are, and the way out."""


def list_expression(path: Path) -> list[str]:
    """Matrices that can be chosen in an HDF5 file; empty when there is no choice."""
    with open_hdf5(path) as file:
        parts = _find_kind(file, path.name).list_parts(file)
    return parts if len(parts) > 1 else []


def take_expression(path: Path, part: str | None) -> Matrix:
    """Read the expression in an HDF5 file.

    Raises:
        InputError: the file is of another kind, which is named with the way out, or damaged.
    """
    with open_hdf5(path) as file:
        return _find_kind(file, path.name).read(file, path, part)


@dataclass(frozen=True)
class Kind:
    """How one kind of HDF5 file is told, and read."""

    is_it: Callable[[h5py.File], bool]
    read: Callable[[h5py.File, Path, str | None], Matrix]
    list_parts: Callable[[h5py.File], list[str]] = lambda file: []


def _find_kind(file: h5py.File, name: str) -> Kind:
    for kind in KINDS:
        if kind.is_it(file):
            return kind
    for mark, words in OTHERS.items():
        if mark in file or mark in file.get("assays", {}):
            raise InputError(f"{name} is {words}.")
    listed = ", ".join(list(file)[:6]) or "nothing"
    raise InputError(
        f"{name} is an HDF5 file of a kind that isn't known here (it holds {listed}). Known are "
        "h5ad, 10x, loom and ARCHS4. Save the table as CSV or h5ad."
    )


def _dense(x: object) -> np.ndarray:
    if scipy.sparse.issparse(x):
        x = x.astype(np.float32).toarray()
    return np.ascontiguousarray(x, dtype=np.float32)


def _texts(dataset: h5py.Dataset) -> np.ndarray:
    """A dataset of texts or numbers as texts; several columns a row are not texts."""
    values = np.asarray(dataset[()]).ravel()
    if values.dtype.kind in "SO":
        values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
        return np.array(values, dtype=object)
    return as_texts(pd.Series(values)).to_numpy(dtype=object)


def _columns(group: h5py.Group, length: int, taken: tuple[str, ...] = ()) -> pd.DataFrame:
    """The datasets of a group that have one value a sample."""
    found = {
        name: _texts(thing)
        for name, thing in group.items()
        if isinstance(thing, h5py.Dataset) and thing.shape == (length,) and name not in taken
        and thing.dtype.names is None
    }  # fmt: skip
    return pd.DataFrame(found, index=range(length))


def _check_shape(x: np.ndarray, samples: int, genes: int, name: str) -> None:
    if x.shape != (samples, genes):
        raise InputError(
            f"{name}: the matrix is {x.shape[0]} x {x.shape[1]}, but there are {samples} samples "
            f"and {genes} genes."
        )


def keep_expression(
    x: np.ndarray, genes: np.ndarray, kinds: np.ndarray, notes: Notes
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out what isn't expression (antibodies, guides, peaks), where the features say so.

    Args:
        x: (cells, features).
        genes: (features,) names.
        kinds: (features,) what 10x calls the feature's type, or empty texts.
        notes: told what was left out.
    """
    expressed = kinds == "Gene Expression"
    if not expressed.any() or expressed.all():
        return x, genes
    others = ", ".join(dict.fromkeys(map(str, kinds[~expressed])))
    left_out = ", ".join(map(str, genes[~expressed][:5]))
    notes.warn(
        "other_features",
        f"{(~expressed).sum()} features are no genes ({others}: {left_out}) and were left out.",
    )
    return x[:, expressed], genes[expressed]


# --- h5ad ------------------------------------------------------------------------------------


def _is_h5ad(file: h5py.File) -> bool:
    return "obs" in file and "var" in file and "mod" not in file


def _list_h5ad(file: h5py.File) -> list[str]:
    parts = ["X"] if "X" in file else []
    parts += [f"layers/{name}" for name in file.get("layers", {})]
    parts += ["raw"] if _find_raw(file) else []
    return parts


def _find_raw(file: h5py.File) -> tuple[str, str] | None:
    """Where the raw values and their genes stand; before anndata 0.7 as raw.X and raw.var."""
    return next(((f"raw{mark}X", f"raw{mark}var") for mark in "/." if f"raw{mark}X" in file), None)


def _read_h5ad(file: h5py.File, path: Path, part: str | None) -> Matrix:
    from anndata.io import read_elem  # a second to import, which other formats need not wait for

    parts = _list_h5ad(file)
    if not parts:
        raise InputError(
            f"{path.name} is an h5ad file without any values: no X, no layers, no raw."
        )
    if part is None and "X" not in file and len(parts) > 1:
        raise InputError(
            f"{path.name} has no X, but several other matrices. Choose one: {', '.join(parts)}."
        )
    part = part or parts[0]
    place, names = (_find_raw(file) or ("", "")) if part == "raw" else (part, "var")
    x = file[place]
    check_declared([x, file["obs"], file[names]], path)
    check_size(*_shape(x), path.name)
    obs, var = (_read_frame(file, name, read_elem) for name in ("obs", names))
    x = _dense(read_elem(x))
    _check_shape(x, len(obs), len(var), path.name)
    texts = pd.DataFrame(
        {str(name): as_texts(column) for name, column in obs.items()}, index=obs.index
    )
    notes = Notes([] if part == "X" else [f"Expression was taken from {part}."])
    samples, genes = (frame.index.to_numpy().astype(str) for frame in (obs, var))
    named = next((name for name in SYMBOL_NAMES if name in var), None)
    symbols = {} if named is None else dict(zip(genes, as_texts(var[named]), strict=True))
    return Matrix(x, samples, genes, texts, notes, {g: s for g, s in symbols.items() if s})


def _shape(x: h5py.Group | h5py.Dataset) -> tuple[int, int]:
    """Rows and columns, as h5ad files of any age announce them for a sparse or dense matrix."""
    found = x.attrs.get("shape", x.attrs.get("h5sparse_shape")) if isinstance(x, h5py.Group) \
        else x.shape  # fmt: skip
    if found is None or len(found) != 2:
        raise InputError(f"{x.file.filename}: {x.name} is no matrix.")
    return int(found[0]), int(found[1])


def _read_frame(file: h5py.File, name: str, read_elem: Callable) -> pd.DataFrame:
    """The table about samples or genes; before anndata 0.7 it was an array of records.

    Columns of categories stood there as numbers, their words in uns.
    """
    frame = read_elem(file[name])
    if isinstance(frame, pd.DataFrame):
        return frame
    frame = pd.DataFrame(frame)
    for column in frame:
        if frame[column].dtype == object:
            frame[column] = [
                v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v)
                for v in frame[column]
            ]
        words = file.get(f"uns/{column}_categories")
        if words is not None and frame[column].dtype.kind in "iu":
            known = _texts(words)
            codes = frame[column].to_numpy()
            frame[column] = ["" if code < 0 else known[code] for code in codes]
    return frame.set_index("index" if "index" in frame else frame.columns[0])


# --- 10x, loom, ARCHS4 -----------------------------------------------------------------------


def _find_10x(file: h5py.File) -> h5py.Group | None:
    """The group of a 10x matrix: `matrix`, before Cell Ranger 3 the name of the genome."""
    needed = {"barcodes", "data", "indices", "indptr", "shape"}
    return next(
        (
            group
            for group in file.values()
            if isinstance(group, h5py.Group) and needed <= set(group)
        ),
        None,
    )


def _list_10x(file: h5py.File) -> list[str]:
    return [name for name, group in file.items() if isinstance(group, h5py.Group)
            and {"barcodes", "indptr"} <= set(group)]  # fmt: skip


def _read_10x(file: h5py.File, path: Path, part: str | None) -> Matrix:
    group = _find_10x(file) if part is None else file[part]
    check_declared([group], path)
    rows, columns = (int(size) for size in group["shape"][()])
    check_size(rows, columns, path.name)
    x = scipy.sparse.csc_array(
        (group["data"][()], group["indices"][()], group["indptr"][()]), shape=(rows, columns)
    )
    x.check_format(full_check=True)
    features = group.get("features", group)
    names = next(features[name] for name in ("name", "gene_names", "id", "genes")
                 if name in features)  # fmt: skip
    genes, cells = _texts(names), _texts(group["barcodes"])
    kinds = _texts(features["feature_type"]) if "feature_type" in features else \
        np.full(len(genes), "")  # fmt: skip
    x = _dense(x.T)
    _check_shape(x, len(cells), len(genes), path.name)
    notes = Notes(["This is a matrix of 10x; its gene names were taken, a row is a cell."])
    x, genes = keep_expression(x, genes, kinds, notes)
    return Matrix(np.ascontiguousarray(x), cells, genes, pd.DataFrame(index=cells), notes)


def _is_loom(file: h5py.File) -> bool:
    return isinstance(file.get("matrix"), h5py.Dataset) and "row_attrs" in file


def _list_loom(file: h5py.File) -> list[str]:
    return ["matrix", *(f"layers/{name}" for name in file.get("layers", {}))]


def _read_loom(file: h5py.File, path: Path, part: str | None) -> Matrix:
    x = file[part or "matrix"]
    check_declared([x, file["row_attrs"], file["col_attrs"]], path)
    check_size(*_shape(x), path.name)
    columns = _shape(x)[1]
    about, described = file["row_attrs"], file["col_attrs"]
    gene = next((name for name in GENE_ROWS if name in about), None)
    if gene is None:
        listed = ", ".join(about) or "none"
        raise InputError(
            f"{path.name} is a loom file without names of genes (rows have: {listed})."
        )
    cell = next((name for name in CELL_COLUMNS if name in described), None)
    names = np.array([f"cell {n + 1}" for n in range(columns)]) if cell is None else \
        _texts(described[cell])  # fmt: skip
    genes = _texts(about[gene])
    x = _dense(x[()].T)
    _check_shape(x, len(names), len(genes), path.name)
    taken = () if cell is None else (cell,)
    notes = Notes([f"This is a loom file; its rows are genes ({gene}), its columns cells."])
    return Matrix(x, names, genes, _columns(described, columns, taken), notes)


def _is_archs4(file: h5py.File) -> bool:
    return "data/expression" in file and "meta" in file


def _read_archs4(file: h5py.File, path: Path, part: str | None) -> Matrix:
    x = file["data/expression"]
    genes, ids = (
        next((file[place] for place in places if isinstance(file.get(place), h5py.Dataset)), None)
        for places in (ARCHS4_GENES, ARCHS4_SAMPLES)
    )
    if genes is None or ids is None:
        raise InputError(f"{path.name} looks like a file of ARCHS4 without its genes or samples.")
    if x.size > 0 and x.nbytes > LARGEST_ARCHS4:
        raise InputError(
            f"{path.name} is the whole of ARCHS4 ({x.shape[0]:,} x {x.shape[1]:,}). Take the "
            "samples of your series out of it first: in Python, archs4py.data.series(file, 'GSE…')."
        )
    check_declared([x, genes, ids], path)
    check_size(*_shape(x), path.name)
    genes, ids, x = _texts(genes), _texts(ids), x[()]
    x = _dense(x.T if x.shape == (len(genes), len(ids)) else x)
    _check_shape(x, len(ids), len(genes), path.name)
    obs = pd.DataFrame(index=range(len(ids)))
    if isinstance(file.get("meta/samples"), h5py.Group):
        about = {name: file[f"meta/samples/{name}"] for name in ARCHS4_ABOUT
                 if name in file["meta/samples"]}  # fmt: skip
        check_declared(list(about.values()), path)
        obs = pd.DataFrame({name: _texts(thing) for name, thing in about.items()}, obs.index)
    notes = Notes(["This is a file of ARCHS4: counts of genes, a row is a sample of GEO."])
    return Matrix(x, ids, genes, obs, notes)


LARGEST_ARCHS4 = 4_000_000_000
"""Bytes of values from which an ARCHS4 file is not read."""
KINDS = [
    Kind(_is_h5ad, _read_h5ad, _list_h5ad),
    Kind(lambda file: _find_10x(file) is not None, _read_10x, _list_10x),
    Kind(_is_loom, _read_loom, _list_loom),
    Kind(_is_archs4, _read_archs4),
]
