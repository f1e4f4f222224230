"""Stored datasets: one folder each, named by the hash of the content, there whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict, ValidationError

from core.data.limits import refuse_large
from core.errors import InputError
from core.files import read_json
from core.home import DATASET_ID, dataset_folder, home

MOST_VALUES = 60
"""Columns with more different values (ids, ages) aren't summarised in the record."""


class DatasetRecord(BaseModel):
    """What pages show of a dataset without opening its matrix."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """SHA-256 of the content."""
    name: str
    source: str
    """Name of the file it was read from."""
    samples: int
    genes: int
    scale: str
    columns: dict[str, dict[str, int]]
    """Samples by value, for each column about the samples that has at most 60 values."""
    added: str
    """ISO 8601, UTC."""
    bytes: int
    """Size on disk of the stored matrix."""
    notes: list[str]


def content_hash(data: AnnData) -> str:
    """SHA-256 in hex of all that can change a result: values, scale, gene and sample ids, obs."""
    digest = hashlib.sha256()
    names = [
        str(data.uns["scale"]),
        list(map(str, data.var_names)),
        list(map(str, data.obs_names)),
        {str(name): list(map(str, column)) for name, column in data.obs.items()},
    ]
    digest.update(json.dumps(names, ensure_ascii=False).encode())
    for row in np.asarray(data.X, dtype="<f4"):
        digest.update(np.where(np.isnan(row), np.float32(np.nan), row).astype("<f4").tobytes())
    return digest.hexdigest()


def add_dataset(data: AnnData, name: str) -> DatasetRecord:
    """Store a dataset; what is stored already, under whatever name, is not stored again.

    Args:
        data: a dataset as read or simulated.
        name: what pages call it.

    Raises:
        InputError: the name is empty, or the matrix is too large.
    """
    name = " ".join(name.split())[:100]
    if not name:
        raise InputError("A dataset needs a name.")
    refuse_large(data.n_obs, data.n_vars, name)
    identity = content_hash(data)
    folder = dataset_folder(identity)
    if folder.exists():
        return get_record(identity)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".adding-"))
    try:
        matrix = temporary / "data.h5ad"
        _plain_copy(data).write_h5ad(matrix)
        record = DatasetRecord(
            id=identity,
            name=name,
            source=str(data.uns.get("source", "")),
            samples=data.n_obs,
            genes=data.n_vars,
            scale=str(data.uns["scale"]),
            columns=_summarise(data.obs),
            added=datetime.now(UTC).isoformat(timespec="microseconds"),
            bytes=matrix.stat().st_size,
            notes=[str(note) for note in data.uns.get("notes", [])],
        )
        (temporary / "record.json").write_text(record.model_dump_json(indent=1), encoding="utf-8")
        for file in temporary.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            return get_record(identity)  # another process has just stored the same
        return record
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def list_datasets() -> list[DatasetRecord]:
    """All stored datasets, the newest first."""
    folder = home() / "datasets"
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    records = [get_record(name) for name in names if DATASET_ID.fullmatch(name)]
    return sorted(records, key=lambda record: (record.added, record.id), reverse=True)


def get_record(dataset: str) -> DatasetRecord:
    """The record of a stored dataset.

    Raises:
        InputError: `dataset` isn't an id, or nothing is stored under it, or its record is damaged.
    """
    path = dataset_folder(dataset) / "record.json"
    try:
        return DatasetRecord.model_validate(read_json(path))
    except FileNotFoundError:
        raise InputError(f"No dataset {dataset[:12]} is stored. Add its file again.") from None
    except (ValidationError, ValueError) as error:
        raise InputError(
            f"The record of dataset {dataset[:12]} is damaged. Delete the folder {path.parent} and "
            "add the file again."
        ) from error


def load_dataset(dataset: str) -> AnnData:
    """A stored dataset as it was added; raises InputError when there is none or it is damaged."""
    record = get_record(dataset)
    path = dataset_folder(dataset) / "data.h5ad"
    try:
        data = anndata.read_h5ad(path)
    except Exception as error:
        raise InputError(
            f"The stored matrix of {record.name!r} can't be read ({type(error).__name__}). Delete "
            "the dataset and add its file again."
        ) from error
    data.obs = data.obs.astype(str).astype(object)
    data.uns = {"scale": record.scale, "source": record.source, "notes": list(record.notes)}
    return data


def find_dataset(name: str) -> DatasetRecord:
    """The dataset with this id, beginning of an id, or name.

    Raises:
        InputError: none or several fit, with what is there.
    """
    records = list_datasets()
    fitting = [record for record in records if record.name == name]
    if not fitting and len(name) >= 4:
        fitting = [record for record in records if record.id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(f"{record.name} ({record.id[:12]})" for record in fitting or records)
    if fitting:
        raise InputError(f"{name!r} fits {len(fitting)} datasets: {shown}. Give the id.")
    raise InputError(f"There is no dataset {name!r}. Stored: {shown or 'none'}.")


def delete_dataset(dataset: str) -> None:
    """Delete a stored dataset; raises InputError when there is none."""
    folder = dataset_folder(dataset)
    if not folder.exists():
        raise InputError(f"No dataset {dataset[:12]} is stored.")
    doomed = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".deleting-"))
    folder.rename(doomed / dataset)
    shutil.rmtree(doomed)


def _plain_copy(data: AnnData) -> AnnData:
    """Only what is part of the content, so that nothing else can spoil the writing."""
    return AnnData(
        np.asarray(data.X, dtype=np.float32),
        obs=data.obs.astype(str),
        var=pd.DataFrame(index=data.var_names.astype(str)),
    )


def _summarise(obs: pd.DataFrame) -> dict[str, dict[str, int]]:
    counts = {str(name): column.astype(str).value_counts() for name, column in obs.items()}
    return {
        name: {str(value): int(count) for value, count in values.items()}
        for name, values in counts.items()
        if len(values) <= MOST_VALUES
    }
