"""Stored spots: each tissue once, in `tissues/<id>`, with the answers to what was asked of it."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy import sparse

from core.data.notes import Finding, Notes
from core.errors import DamageError, InputError
from core.escape import read_csv, write_csv
from core.files import UNREADABLE, read_json, write_folder, write_json
from core.home import RUN_ID, home, need_right_to_change
from core.jobs.store import JobStore
from core.tissue.spots import Tissue

RECORD, SPOTS, COUNTS, TILES, GENES = (
    "record.json", "spots.csv", "counts.npz", "tiles.npy", "genes.json",
)  # fmt: skip
TEXTS = ("id", "section", "patient")


class TissueRecord(BaseModel):
    """What lists show of a stored tissue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    created: datetime
    spots: int
    genes: int
    sections: dict[str, int]
    """Name -> number of spots."""
    patients: list[str]
    """None where they aren't known."""
    side: int
    """Pixels a side of a tile."""
    said: list[str]
    """What reading understood."""
    found: list[Finding]

    @property
    def size(self) -> str:
        """How much there is, in words."""
        patients = f"{len(self.patients)} patients" if self.patients else "patients unknown"
        genes = f"{self.genes:,} genes" if self.has_counts else "no counts"
        return (
            f"{self.spots:,} spots, {len(self.sections)} sections, {patients}, {genes}, tiles of "
            f"{self.side} pixels"
        )

    @property
    def has_counts(self) -> bool:
        """Whether anything can be learned from it."""
        return self.genes > 0


def tissues_folder() -> Path:
    """Where all of them stand."""
    return home() / "tissues"


def tissue_folder(tissue: str) -> Path:
    """The folder of a tissue; raises InputError unless it is an id."""
    if not RUN_ID.fullmatch(tissue):
        raise InputError(f"Expected a tissue id of 16 hexadecimal digits, got {tissue!r}.")
    return tissues_folder() / tissue


def add_tissue(tissue: Tissue, name: str) -> TissueRecord:
    """Store spots; those that are there already are not stored again."""
    table = tissue.spots.rename_axis("id").reset_index()
    digest = hashlib.sha256(table.to_csv(index=False).encode())
    for part in (tissue.counts, tissue.tiles):
        digest.update(np.ascontiguousarray(part).data)
    digest.update("\n".join(tissue.genes).encode())
    id = digest.hexdigest()[:16]
    folder = tissue_folder(id)
    if (folder / RECORD).exists():
        return get_tissue(id)
    record = TissueRecord(
        id=id, name=name, created=datetime.now(UTC), spots=len(table), genes=len(tissue.genes),
        sections={s: int((table["section"] == s).sum()) for s in tissue.sections},
        patients=tissue.patients, side=tissue.tiles.shape[1], said=tissue.notes.said,
        found=tissue.notes.found,
    )  # fmt: skip

    def fill(place: Path) -> None:
        write_csv(table, place / SPOTS)
        sparse.save_npz(place / COUNTS, sparse.csr_array(tissue.counts))
        np.save(place / TILES, tissue.tiles, allow_pickle=False)
        write_json(place / GENES, tissue.genes.tolist())
        write_json(place / RECORD, record.model_dump(mode="json"))

    write_folder(folder, fill)
    return record


def get_tissue(tissue: str) -> TissueRecord:
    """The record of a stored tissue; raises InputError where there is none."""
    path = tissue_folder(tissue) / RECORD
    try:
        return TissueRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"There is no tissue {tissue!r}. `tissue list` shows all.") from None
    except (OSError, ValidationError):
        raise _say_damaged(tissue, RECORD) from None


def find_tissue(text: str) -> TissueRecord:
    """The tissue of an id, or of its beginning; raises InputError unless there is exactly one."""
    found = [record for record in list_tissues() if text and record.id.startswith(text)]
    if len(found) != 1:
        raise InputError(
            f"{len(found)} tissues have an id that begins with {text!r}. `tissue list` shows all."
        )
    return found[0]


def list_tissues() -> list[TissueRecord]:
    """Those that are stored, the newest first; damaged ones are left out."""
    found = []
    for path in tissues_folder().glob(f"*/{RECORD}"):
        try:
            found.append(TissueRecord.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return sorted(found, key=lambda record: record.created, reverse=True)


def load_tissue(tissue: str) -> Tissue:
    """Read stored spots; raises InputError where there are none, DamageError where they broke."""
    record, folder = get_tissue(tissue), tissue_folder(tissue)
    try:
        table = read_csv(folder / SPOTS, dtype=dict.fromkeys(TEXTS, str))
        return Tissue(
            table.set_index("id"), np.array(read_json(folder / GENES), dtype=str),
            sparse.load_npz(folder / COUNTS).toarray(),
            np.load(folder / TILES, allow_pickle=False), Notes(record.said, record.found),
        )  # fmt: skip
    except (*UNREADABLE, InputError, pd.errors.ParserError):
        raise DamageError(
            f"Tissue {record.name!r} is damaged: its spots or tiles can't be read. Delete it (the "
            "page Histology does that, below Kept answers) and read its files again."
        ) from None


def delete_tissue(tissue: str) -> None:
    """Delete spots, all answers about them, and the jobs that gave these.

    Raises InputError where there are none, and while jobs that are still to be done need them.
    """
    get_tissue(tissue)
    need_right_to_change()
    store = JobStore()
    store.check_unused(tissue, "The tissue")
    shutil.rmtree(tissue_folder(tissue))
    store.forget_answers(tissue)


def say_broken(what: str) -> DamageError:
    """The error for a part of an answer that can't be read."""
    return DamageError(
        f"{what} is damaged. Delete the answer (the page Histology does that, below Kept answers) "
        "and ask again."
    )


def _say_damaged(tissue: str, name: str) -> DamageError:
    return DamageError(
        f"{name} of tissue {tissue} is damaged. Delete its folder, tissues/{tissue}, and read its "
        "files again."
    )
