"""MATLAB files."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse

from core.data.column_names import GENE_ID_NAMES
from core.data.formats.request import Request
from core.data.matrix import Matrix, as_texts, check_size
from core.data.notes import Notes
from core.errors import InputError

SAMPLE_NAMES = re.compile(r"(?i)sample|barcode|name|(^|_)ids?$")


def _matlab_matrices(path: Path) -> dict[str, tuple[int, ...]]:
    """Numeric tables of a MATLAB file with at least two rows and columns, the largest first."""
    try:
        found = scipy.io.whosmat(path)
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path.name} is not a MATLAB file that can be read: {error}") from None
    tables = {
        name: shape for name, shape, kind in found
        if kind in ("double", "single", "sparse") or re.fullmatch(r"u?int\d+", kind)
        if len(shape) == 2 and min(shape) > 1
    }  # fmt: skip
    return dict(sorted(tables.items(), key=lambda item: -np.prod(item[1], dtype=float)))


def list_matrices(path: Path) -> list[str]:
    """The matrices of a file with several."""
    names = list(_matlab_matrices(path))
    return names if len(names) > 1 else []


def read_matlab(path: Path, request: Request) -> Matrix:
    """Read the matrix that is asked for, or the largest; InputError for what can't be read."""
    tables = _matlab_matrices(path)
    if not tables:
        raise InputError(f"{path.name} has no matrix of numbers. Expected samples x genes.")
    name = request.part or next(iter(tables))
    check_size(*tables[name], path.name)
    try:
        small = [
            key for key, shape, _ in scipy.io.whosmat(path) if np.prod(shape, dtype=float) < 1e6
        ]
        content = scipy.io.loadmat(path, struct_as_record=True, variable_names=[name, *small])
        x = content.pop(name)
        x = (x.toarray() if scipy.sparse.issparse(x) else np.asarray(x)).astype(np.float32)
        vectors = {
            key: _as_vector(value) for key, value in content.items() if not key.startswith("__")
        }
    except InputError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(f"{path.name} can't be read: {error}") from None
    return _name_matlab(x, name, {k: v for k, v in vectors.items() if v is not None})


def _as_vector(value: Any) -> np.ndarray | None:
    """A MATLAB vector of numbers, cell array of texts, or char matrix as texts; None for others."""
    value = np.asarray(value)
    if value.dtype.kind in "US":
        return np.char.strip(value.astype(str)).ravel()
    if value.dtype == object and value.size and 1 in value.shape:
        cells = [np.asarray(cell).ravel() for cell in value.ravel()]
        if all(len(cell) == 1 for cell in cells):
            return np.array([str(cell[0]).strip() for cell in cells])
        return None
    if value.dtype.kind in "iufb" and value.size > 1 and 1 in value.shape:
        return as_texts(pd.Series(value.ravel())).to_numpy(dtype=str)
    return None


def _name_matlab(x: np.ndarray, name: str, vectors: dict[str, np.ndarray]) -> Matrix:
    """Find genes, samples and classes among the vectors, by their lengths and their contents."""
    notes = Notes([f"Expression was taken from the MATLAB variable {name}."])
    lengths = {len(texts) for texts in vectors.values() if len(set(texts)) == len(texts)}
    label = None
    if x.shape[1] - 1 in lengths and not {*x.shape} & lengths:  # one name less than columns
        x, label = _split_label(x)
    rows, columns = x.shape
    several = {key: texts for key, texts in vectors.items() if len(texts) in (rows, columns)}
    distinct = {key: len(set(texts)) == len(texts) for key, texts in several.items()}
    genes = next(
        (k for k in several if distinct[k] and (k.lower() in GENE_ID_NAMES or "gene" in k.lower())),
        None,
    ) or next((k for k in several if distinct[k] and len(several[k]) == columns), None)
    if genes is not None and rows != columns and len(several[genes]) == rows:
        x = np.ascontiguousarray(x.T)
        rows, columns = columns, rows
        notes.say(f"Genes are in rows: {genes} names the rows.")
    named = [k for k in several if k != genes and distinct[k] and len(several[k]) == rows]
    ids = next((k for k in named if SAMPLE_NAMES.search(k)), None) or next(iter(named), None)
    obs = {
        key: texts for key, texts in several.items()
        if key not in (genes, ids) and len(texts) == rows and rows != columns
    }  # fmt: skip
    if not obs and genes is None:
        x, label = _split_label(x)
    if label is not None:
        obs["label"] = label
        notes.say("The last column holds whole numbers of few kinds: taken as the class.")
    if genes is None:
        names = np.array([f"gene_{number + 1}" for number in range(x.shape[1])])
        notes.say("The file names no genes; they are numbered by their column.")
    else:
        names = several[genes]
        notes.say(f"Names of genes were taken from {genes}.")
    if ids is None:
        samples = np.array([f"sample {number + 1}" for number in range(rows)])
        notes.say("The file names no samples; they are numbered by their row.")
    else:
        samples = several[ids]
    return Matrix(x, samples, names, pd.DataFrame(obs, index=samples), notes)


def _split_label(x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Part the last column from the others when it alone holds a few whole numbers."""
    last, others = x[:, -1], x[:, :-1]
    whole = bool((last == np.round(last)).all()) and 2 <= len(np.unique(last)) <= 60
    if not whole or bool((others == np.round(others)).all()):
        return x, None
    return np.ascontiguousarray(others), last.astype(int).astype(str)
