"""The datasets that this installation keeps, each once, in a folder named after its content."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem
from pydantic import BaseModel, ConfigDict

from core.data.names import refuse_unseen
from core.data.notes import Finding
from core.data.quota import require_room
from core.errors import DamageError, InputError
from core.files import UNWRITABLE, describe_os_error, write_json
from core.home import DATASET_ID, dataset_folder, home, need_right_to_change
from core.people import join_files
from core.scratch import scratch

ROWS_AT_A_TIME = 256
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


class DamagedDataset(NamedTuple):
    """A dataset whose record can't be read."""

    id: str
    why: str


_checked: dict[Path, tuple[int, int]] = {}
"""Matrices whose hash this process has compared: their size and time of change then."""


def content_hash(data: AnnData) -> str:
    """SHA-256 over expression, gene ids, sample ids, sample columns and scale.

    A matrix that is not in memory is read some rows at a time.
    """
    digest = hashlib.sha256()
    parts = [data.obs_names, data.var_names, data.obs.columns]
    parts += [data.obs[column] for column in data.obs.columns]
    for part in parts:
        text = "\x1f".join(map(str, part)).encode()
        digest.update(len(text).to_bytes(8, "little") + text)
    digest.update(str(data.uns["scale"]).encode())
    for start in range(0, data.n_obs, ROWS_AT_A_TIME):
        rows = np.asarray(data.X[start : start + ROWS_AT_A_TIME], dtype="<f4")
        if np.isnan(rows.min(initial=0)):
            rows = np.where(np.isnan(rows), np.float32(np.nan), rows)  # there are many NaNs
        digest.update(np.ascontiguousarray(rows))
    return digest.hexdigest()


def add_dataset(data: AnnData, name: str) -> DatasetRecord:
    """Keep a dataset; one that is kept already is only given back.

    Everything is written to a temporary folder that is renamed into place last, so that a dataset
    is there as a whole or not at all.

    Raises:
        InputError: the name is blank, no room is left for the dataset, or a name in it holds
            characters that can't be kept.
    """
    name = " ".join(name.split())
    if not name:
        raise InputError("Expected a name for the dataset, got none.")
    refuse_unseen(data.obs_names, data.var_names, data.obs.columns, name)
    _check_values(data)
    dataset = content_hash(data)
    folder = dataset_folder(dataset)
    need_right_to_change()
    if folder.exists():
        with contextlib.suppress(InputError):
            check_dataset_file(dataset)
            return get_record(dataset)
        shutil.rmtree(folder)  # damaged; now it is added again
    require_room(_estimate_bytes(data), f"The dataset {name!r}")
    try:
        return _keep(data, name, folder)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise InputError(
            f"The dataset {name!r} could not be stored. {describe_os_error(error)}"
        ) from None


def _keep(data: AnnData, name: str, folder: Path) -> DatasetRecord:
    with scratch(folder.parent) as temporary:
        path = temporary / "data.h5ad"
        _require_disk(path, _estimate_bytes(data))
        _take_content(data).write_h5ad(path)
        record = _describe(data, name, path, folder.name)
        write_json(temporary / "record.json", record.model_dump(mode="json"))
        with path.open("rb") as file:
            os.fsync(file.fileno())
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            return get_record(folder.name)  # another process has kept it at the same moment
    join_files(folder / "data.h5ad")
    return record


def _estimate_bytes(data: AnnData) -> int:
    """About how much a dataset takes on the disk, its texts and their places in HDF5 included."""
    columns = [data.obs_names, data.var_names, *(data.obs[name] for name in data.obs.columns)]
    texts = sum(int(pd.Series(column).astype(str).str.len().sum()) for column in columns)
    return 4 * data.n_obs * data.n_vars + texts + 32 * sum(map(len, columns)) + 50_000


def _require_disk(path: Path, size: int) -> None:
    """Raise OSError unless the disk takes so much now: HDF5 ends the process when it gets full."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
    path.unlink()


def _describe(data: AnnData, name: str, path: Path, dataset: str) -> DatasetRecord:
    columns = {}
    for column in data.obs.columns:
        counts = data.obs[column].astype(str).value_counts().sort_index()
        columns[column] = counts.to_dict() if len(counts) <= COUNTED_VALUES else {}
    return DatasetRecord(
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
        findings=[  # a repair of reading needs the file, which isn't kept
            {**finding, "repair": None} for finding in data.uns.get("findings", [])
        ],
    )


def _check_values(data: AnnData) -> None:
    """Raise InputError for a value that HDF5 would cut short: one with a NUL character."""
    for column in data.obs.columns:
        for value in map(str, data.obs[column].unique()):
            if "\0" in value:
                raise InputError(
                    f"The value {value!r} of {column} holds a NUL character, which can't be kept. "
                    "Remove it from the file."
                )


def _take_content(data: AnnData) -> AnnData:
    """Only what belongs to a dataset; writing changes its argument, and this isn't the caller's."""
    return AnnData(
        np.asarray(data.X, dtype=np.float32),
        obs=data.obs.astype(str),
        var=pd.DataFrame(index=data.var_names.astype(str)),
        uns={"scale": data.uns["scale"], "source": data.uns.get("source", "")},
    )


def list_datasets() -> list[DatasetRecord]:
    """All kept datasets, the newest first, without those that `damaged_datasets` lists."""
    records = [record for record in _look_at_all() if isinstance(record, DatasetRecord)]
    return sorted(records, key=lambda record: record.added, reverse=True)


def damaged_datasets() -> list[DamagedDataset]:
    """Kept datasets whose record is missing or damaged: they can be deleted or mended."""
    return [record for record in _look_at_all() if isinstance(record, DamagedDataset)]


def _look_at_all() -> Iterator[DatasetRecord | DamagedDataset]:
    for folder in sorted(home().glob("datasets/*")):
        if DATASET_ID.fullmatch(folder.name):
            try:
                yield get_record(folder.name)
            except InputError as error:
                if folder.exists():  # not deleted at this moment
                    yield DamagedDataset(folder.name, str(error))


def get_record(dataset: str) -> DatasetRecord:
    """A dataset's record; raises InputError when it is unknown or damaged."""
    path = dataset_folder(dataset) / "record.json"
    if not path.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more. Add its file again.")
    try:
        return DatasetRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DamageError(
            f"The record of dataset {dataset[:12]}… ({path.name}) is damaged. Have it made again "
            "from the matrix: the page Data does that, and `genecanvas doctor --repair`."
        ) from None


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


def can_be_opened(dataset: str) -> bool:
    """Whether the file of a kept dataset's matrix is there as a whole; its content isn't read."""
    try:
        with h5py.File(dataset_folder(dataset) / "data.h5ad"):
            return True
    except OSError:
        return False


def load_dataset(dataset: str) -> AnnData:
    """Read a kept dataset, and compare its hash unless this process has done so before.

    Raises InputError when it is unknown, and when its file is damaged or holds something else.
    """
    record = get_record(dataset)
    path = dataset_folder(dataset) / "data.h5ad"
    try:
        found = path.stat()
        data = anndata.read_h5ad(path)
        data.obs = data.obs.astype(str).astype(object)
    except Exception as error:  # a damaged file can fail in any way
        raise _say_unreadable(record, error) from None
    data.uns = {
        "scale": record.scale,
        "source": record.source,
        "notes": list(record.notes),
        "findings": [finding.model_dump() for finding in record.findings],
    }
    now = found.st_size, found.st_mtime_ns
    if _checked.get(path) != now:
        _compare_hash(record, data)
        _checked[path] = now
    return data


def check_dataset_file(dataset: str) -> None:
    """Compare a kept dataset's hash with its content, some rows at a time.

    Raises InputError as `load_dataset` does.
    """
    record = get_record(dataset)
    try:
        data = anndata.read_h5ad(dataset_folder(dataset) / "data.h5ad", backed="r")
        data.obs = data.obs.astype(str).astype(object)
        data.uns["scale"] = record.scale
        whole = content_hash(data) == dataset
        data.file.close()
    except Exception as error:  # a damaged file can fail in any way
        raise _say_unreadable(record, error) from None
    if not whole:
        raise _say_damaged(record, "is not what was added: its content has changed")


def mend_record(dataset: str) -> DatasetRecord:
    """Write the record of a dataset anew from its matrix; what it was called is lost.

    Raises InputError when the matrix is damaged.
    """
    path = dataset_folder(dataset) / "data.h5ad"
    try:
        data = anndata.read_h5ad(path)
        data.obs = data.obs.astype(str).astype(object)
        whole = content_hash(data) == dataset
    except MemoryError:
        raise
    except Exception:  # a damaged file can fail in any way
        whole = False
    if not whole:
        raise DamageError(
            f"The matrix of dataset {dataset[:12]}… ({path.name}) is damaged as well. Delete the "
            "dataset and add its file again."
        )
    data.uns["notes"] = ["The record of this dataset was damaged and has been made anew."]
    name = str(data.uns["source"]) or dataset[:12]
    record = _describe(data, name, path, dataset)
    write_json(path.with_name("record.json"), record.model_dump(mode="json"))
    return record


def _compare_hash(record: DatasetRecord, data: AnnData) -> None:
    if content_hash(data) != record.id:
        raise _say_damaged(record, "is not what was added: its content has changed")


def _say_unreadable(record: DatasetRecord, error: Exception) -> Exception:
    """Why a matrix couldn't be read: it is damaged, unless memory or a right was missing."""
    if isinstance(error, MemoryError):
        return error
    if isinstance(error, PermissionError):
        return InputError(
            f"The matrix of {record.name!r} (data.h5ad) may not be read by this user."
        )
    return _say_damaged(record, "can't be read: it is cut short or damaged")


def _say_damaged(record: DatasetRecord, what: str) -> DamageError:
    return DamageError(
        f"The matrix of {record.name!r} (data.h5ad) {what}. Delete the dataset and add its file "
        "again."
    )


def read_column(dataset: str, column: str) -> pd.Series:
    """A column of a kept dataset's samples, by sample id, without reading the matrix.

    Raises InputError when the dataset is gone.
    """
    path = dataset_folder(dataset) / "data.h5ad"
    if not path.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more. Add its file again.")
    return _read_column(path, column)


@lru_cache(maxsize=8)
def _read_column(path: Path, column: str) -> pd.Series:
    """The column; a dataset never changes."""
    try:
        with h5py.File(path) as file:
            table = read_elem(file["obs"])
    except Exception as error:  # a damaged file can fail in any way
        raise _say_unreadable(get_record(path.parent.name), error) from None
    table.index = table.index.astype(str)
    return table[column].astype(str)


def delete_dataset(dataset: str) -> None:
    """Delete a dataset's folder, be it damaged; `core.runs.store.drop_dataset` asks runs first."""
    folder = dataset_folder(dataset)
    if not folder.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more.")
    with scratch(folder.parent) as doomed:
        folder.rename(doomed / dataset)
