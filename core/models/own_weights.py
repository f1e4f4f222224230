"""Weights files of one's own: brought on a page, put into the weights folder, or, for the command
line of whoever works alone, anywhere.

What was brought is kept in the home (`brought/`) as safetensors, under a name that ends with its
hash: a run that names it is of these very numbers, whoever trains it.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from core.data.quota import BROUGHT, require_room
from core.download import hash_file
from core.errors import InputError, WeightsError
from core.home import home, need_right_to_change, server_home, weights_folder
from core.jobs.record import UNFINISHED
from core.jobs.store import JobStore
from core.jobs.which import Which
from core.people import is_shared
from core.processes import read_alone
from core.scratch import scratch

SUFFIXES = (".pth", ".pt", ".safetensors")
LONGEST_STEM = 60
"""Characters of a file's own name that are kept."""


class Brought(NamedTuple):
    """A weights file that somebody brought."""

    name: str
    """As runs name it: its own name and 16 digits of the hash of what is kept."""
    bytes: int
    since: datetime


class Fitting(NamedTuple):
    """What a file that was just brought is good for."""

    name: str
    networks: Sequence[str]
    """Titles of the networks on gene-images that can start from it."""


def list_own_weights() -> list[str]:
    """The names of the files that a page may start a network from."""
    folders = [_brought(), weights_folder()]
    return sorted({path.name for folder in folders for path in folder.glob("*") if _is_one(path)})


def list_brought() -> list[Brought]:
    """What was brought into this home, the latest first."""
    found = [(path, path.stat()) for path in _brought().glob("*") if _is_one(path)]
    listed = [
        Brought(path.name, about.st_size, datetime.fromtimestamp(about.st_mtime, UTC))
        for path, about in found
    ]
    return sorted(listed, key=lambda one: one.since, reverse=True)


def bring_weights(path: Path) -> Fitting:
    """Check a weights file, and keep its tensors in this home; again, it is kept once.

    A process without rights reads it (`core.models.bringing`): it may be a stranger's.

    Raises:
        InputError: it holds no tensors, or no room is left for it; nothing is kept.
    """
    need_right_to_change()
    size = path.stat().st_size
    require_room(size, f"The weights file {path.name}")
    _brought().mkdir(parents=True, exist_ok=True)
    with scratch(_brought()) as place:
        fitting = read_alone("core.models.bringing", path, place, "weights file")
        kept = place / "weights.safetensors"
        require_room(max(kept.stat().st_size - size, 0), f"What {path.name} unpacks to")
        stem = re.sub(r"[^A-Za-z0-9_.]+", "-", path.stem).strip("-._")[:LONGEST_STEM] or "weights"
        name = f"{stem}-{hash_file(kept, 'sha256')[:16]}.safetensors"
        kept.replace(_brought() / name)
    return Fitting(name, json.loads(fitting))


def delete_brought(name: str) -> None:
    """Delete a weights file that was brought; runs that are done don't need it any more.

    Raises InputError where there is none of that name, or a run that isn't done begins with it.
    """
    need_right_to_change()
    if name not in {one.name for one in list_brought()}:
        raise InputError(f"There is no weights file {name} of yours any more.")
    path = f"{BROUGHT}/{name}"
    unfinished = Which(states=UNFINISHED)
    for record in JobStore().list(unfinished) if JobStore.exists() else []:
        if path in record.job.inputs().files:
            raise InputError(
                f"{name} is needed by {record.name}, which isn't done. Cancel it, or wait for it."
            )
    (_brought() / name).unlink(missing_ok=True)


def weights_path(name: str) -> Path:
    """The file that `file:NAME` means: one that was brought, else of the weights folder, else the
    one at that path.

    Raises WeightsError where several people share the server and it is neither of the former: the
    server's files aren't theirs.
    """
    if name in list_own_weights():
        found = _brought() / name
        return found if found.is_file() else weights_folder() / name
    if is_shared() or home() != server_home():
        require_own_weights(f"file:{name}")
    return Path(name).expanduser()


def path_at_home(name: str) -> str:
    """Where in the home, or for the weights folder the server's, the file of that name stands."""
    brought = (_brought() / Path(name).name).is_file()
    return f"{BROUGHT if brought else 'weights'}/{Path(name).name}"


def require_own_weights(weights: str) -> None:
    """Refuse a file that pages may not use; nothing else is said about any path.

    Raises:
        WeightsError: with the same words whether there is such a file or not.
    """
    kind, _, name = weights.partition(":")
    if kind == "file" and name not in list_own_weights():
        raise WeightsError(
            f"{name} is not among the weights files that pages may use. Bring it on the page "
            "Train (Custom, Initial weights)"
            + ("." if is_shared() else f", put it into {weights_folder()}, or start the run on "
               "the command line.")
        )  # fmt: skip


def _brought() -> Path:
    return home() / BROUGHT


def _is_one(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.is_file() and not path.name.startswith(".")
