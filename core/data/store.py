"""The datasets that this installation keeps, each once, in a folder named after its content."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem
from pydantic import BaseModel, ConfigDict, ValidationError

from core.data.notes import Finding
from core.data.quota import require_room
from core.errors import InputError
from core.files import write_json
from core.home import DATASET_ID, dataset_folder, home

COUNTED_VALUES = 60
"""Columns with more different values than this are not counted in a record."""


class DatasetRecord(BaseModel):
    """What a page shows of a dataset without reading its matrix."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    source: str
    samples: int
    genes: int
    scale: str
    columns: dict[str, dict[str, int]]
    """Sample column -> samples by value; empty for a column with very many values."""
    added: str
    bytes: int
    notes: list[str]
    findings: list[Finding] = []
    """What reading lost or found doubtful; absent from records of before."""


def content_hash(data: AnnData) -> str:
    """SHA-256 over expression, gene ids, sample ids, sample columns and scale."""
    digest = hashlib.sha256()
    parts = [data.obs_names, data.var_names, data.obs.columns]
    parts += [data.obs[column] for column in data.obs.columns]
    for part in parts:
        text = "\x1f".join(map(str, part)).encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    digest.update(str(data.uns["scale"]).encode())
    for row in np.asarray(data.X, dtype="<f4"):
        digest.update(np.where(np.isnan(row), np.float32(np.nan), row).tobytes())
    return digest.hexdigest()


def add_dataset(data: AnnData, name: str) -> DatasetRecord:
    """Keep a dataset; one that is kept already is only given back.

    Everything is written to a temporary folder that is renamed into place last, so that a dataset
    is there as a whole or not at all.

    Raises:
        InputError: the name is blank, or no room is left for the dataset.
    """
    name = " ".join(name.split())
    if not name:
        raise InputError("Expected a name for the dataset, got none.")
    dataset = content_hash(data)
    folder = dataset_folder(dataset)
    if folder.exists():
        with contextlib.suppress(InputError):
            return get_record(dataset)
        shutil.rmtree(folder)  # damaged; now it is added again
    require_room(4 * data.n_obs * data.n_vars, f"The dataset {name!r}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        path = temporary / "data.h5ad"
        _take_content(data).write_h5ad(path)
        columns = {}
        for column in data.obs.columns:
            counts = data.obs[column].astype(str).value_counts().sort_index()
            columns[column] = counts.to_dict() if len(counts) <= COUNTED_VALUES else {}
        record = DatasetRecord(
            id=dataset,
            name=name,
            source=str(data.uns.get("source", name)),
            samples=data.n_obs,
            genes=data.n_vars,
            scale=str(data.uns["scale"]),
            columns=columns,
            added=datetime.now(UTC).isoformat(),
            bytes=path.stat().st_size,
            notes=[str(note) for note in data.uns.get("notes", [])],
            findings=[
                {**finding, "repair": None} for finding in data.uns.get("findings", [])
            ],  # a repair of reading needs the file, which isn't kept
        )
        write_json(temporary / "record.json", record.model_dump(mode="json"))
        with path.open("rb") as file:
            os.fsync(file.fileno())
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            return get_record(dataset)  # another process has kept the same at the same moment
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return record


def _take_content(data: AnnData) -> AnnData:
    """Only what belongs to a dataset; writing changes its argument, and this isn't the caller's."""
    return AnnData(
        np.asarray(data.X, dtype=np.float32),
        obs=data.obs.astype(str),
        var=pd.DataFrame(index=data.var_names.astype(str)),
        uns={"scale": data.uns["scale"], "source": data.uns.get("source", "")},
    )


def list_datasets() -> list[DatasetRecord]:
    """All kept datasets, the newest first."""
    folders = home().glob("datasets/*/record.json")
    records = [
        get_record(path.parent.name) for path in folders if DATASET_ID.fullmatch(path.parent.name)
    ]
    return sorted(records, key=lambda record: record.added, reverse=True)


def get_record(dataset: str) -> DatasetRecord:
    """A dataset's record; raises InputError when it is unknown or damaged."""
    path = dataset_folder(dataset) / "record.json"
    if not path.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more. Add its file again.")
    try:
        return DatasetRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(f"The record {path} is damaged: {error}") from None


def find_dataset(text: str) -> DatasetRecord:
    """The one dataset of that name, or whose id begins so; raises InputError otherwise."""
    records = list_datasets()
    matches = [record for record in records if text in (record.name, record.id)]
    matches = matches or [record for record in records if text and record.id.startswith(text)]
    if len(matches) != 1:
        known = ", ".join(f"{record.name} ({record.id[:12]})" for record in records) or "none"
        raise InputError(
            f"Expected one file or stored dataset {text!r}, found {len(matches)}. Stored: {known}."
        )
    return matches[0]


def load_dataset(dataset: str) -> AnnData:
    """Read a kept dataset; raises InputError when it is unknown or its file is damaged."""
    record = get_record(dataset)
    path = dataset_folder(dataset) / "data.h5ad"
    try:
        data = anndata.read_h5ad(path)
    except Exception as error:  # a damaged file can fail in any way
        raise InputError(
            f"The stored matrix of {record.name!r} can't be read ({error}). Delete the dataset and "
            "add its file again."
        ) from None
    data.obs = data.obs.astype(str).astype(object)
    data.uns = {
        "scale": record.scale,
        "source": record.source,
        "notes": list(record.notes),
        "findings": [finding.model_dump() for finding in record.findings],
    }
    return data


def read_column(dataset: str, column: str) -> pd.Series:
    """A column of a kept dataset's samples, by sample id, without reading the matrix.

    Raises InputError when the dataset is gone.
    """
    path = dataset_folder(dataset) / "data.h5ad"
    if not path.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more. Add its file again.")
    return _read_column(str(path), column)


@lru_cache(maxsize=8)
def _read_column(path: str, column: str) -> pd.Series:
    """The column; a dataset never changes."""
    with h5py.File(path) as file:
        table = read_elem(file["obs"])
    table.index = table.index.astype(str)
    return table[column].astype(str)


def delete_dataset(dataset: str) -> None:
    """Delete a dataset's folder; runs that used it keep their results but can't go on."""
    folder = dataset_folder(dataset)
    if not folder.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more.")
    doomed = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    folder.rename(doomed / dataset)
    shutil.rmtree(doomed)
