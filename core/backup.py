"""Backup of a home as one zip file, also while jobs write to it, and a home made from one.

Homes inside it, of people, guests and the lab, are saved with it. Every file of a home but the list
of jobs is replaced as a whole, and logs only grow, so that a second name for it (a hard link) holds
what it was at that moment. SQLite copies the lists itself.

What several homes share is one file with several names (`core.sharing`). It is packed once, under
the first of them; the document says of the others whose content they are.
"""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from core import __version__
from core.errors import InputError
from core.files import (
    UNREADABLE,
    UNZIPPING,
    link,
    read_json,
    write_atomic,
    write_folder,
    write_json,
)
from core.home import at, home, homes_inside
from core.jobs.store import DOOMED, JobStore
from core.scratch import scratch

DOCUMENT, LIST = "backup.json", "runs.sqlite"
VERSION = 2
"""Of what is written: 1 packed every name with a content of its own."""
LONGEST_NAME, LONGEST_PART = 1000, 255
"""What a further name of a file may have: characters in all, bytes between two slashes."""
COMPUTED = ("estimates", "features", "layouts", "tmp")
"""Folders of what is computed again when it is needed, and of what is on its way."""


class Document(BaseModel):
    """backup.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["genecanvas backup"] = "genecanvas backup"
    version: Literal[1, 2] = VERSION
    written_by: str
    created: datetime
    """When it was begun."""
    same: dict[str, str] = {}
    """Name of a file that isn't packed -> the packed one that it is another name of."""


def write_backup(path: Path, progress: Callable[[int, int], None] = lambda *_: None) -> Path:
    """Write all that a home keeps as one zip file, atomically; jobs go on meanwhile.

    What was done when it began is in it, whole. Jobs that waited or ran then are in its list, and
    begin anew where it is restored. Left out: what is computed again when it is needed.

    Args:
        path: the zip file, which is written anew; not inside the home.
        progress: told how many of how many files are packed.

    Returns:
        Its absolute path.

    Raises:
        InputError: the home holds nothing; the file would lie in it; the list of jobs is damaged.
    """
    path, place = path.expanduser().absolute(), home()
    if path.resolve().is_relative_to(place):
        raise InputError(f"{path} lies in {place}, which it is to save. Name a place elsewhere.")
    begun = datetime.now(UTC)
    with scratch() as held:
        left_out = _copy_lists(place, held)
        for source in sorted(place.iterdir()):
            if _lasting(source):
                _hold(source, held / source.name, left_out)
        files = sorted(file for file in held.rglob("*") if file.is_file())
        if not files:
            raise InputError(f"{place} holds nothing yet.")
        packed_once, same = _tell_names_apart(files, held)
        document = Document(written_by=__version__, created=begun, same=same)
        write_json(held / DOCUMENT, document.model_dump(mode="json"))

        def pack(temporary: Path) -> None:
            with zipfile.ZipFile(
                temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False
            ) as packed:
                packed.write(held / DOCUMENT, DOCUMENT)
                for number, (name, file) in enumerate(packed_once.items(), 1):
                    packed.write(file, name)
                    progress(number, len(packed_once))

        write_atomic(path, pack)
    return path


def restore_backup(path: Path, folder: Path) -> Path:
    """Make a home from a backup, and have it there only when it is whole.

    Args:
        path: the zip file.
        folder: the new home, which must be empty or not there yet.

    Returns:
        The home's absolute path.

    Raises:
        InputError: it is no backup of this program or an earlier one, or is damaged; the folder
            isn't empty.
    """
    return write_folder(folder, lambda temporary: _unpack(path.expanduser(), temporary))


def _copy_lists(place: Path, held: Path) -> set[Path]:
    """Copy the lists of jobs of a home and of those inside it; gives what isn't held.

    That is the lists themselves, the folders of jobs that wait or run, and what is computed again.
    """
    left_out: set[Path] = set()
    for folder in [place, *homes_inside(place)]:
        left_out |= {folder / name for name in COMPUTED}
        with at(folder):
            if not JobStore.exists():
                continue
            copied = held / folder.relative_to(place) / LIST
            copied.parent.mkdir(parents=True, exist_ok=True)
            JobStore().copy(copied)
            records = JobStore(copied).list()
            left_out |= {record.folder for record in records if not record.state.finished}
            left_out.add(folder / LIST)
    return left_out


def _lasting(source: Path) -> bool:
    """Whether it is kept: no lease, nothing on its way in or out, and nothing of SQLite's own."""
    return not (
        source.name.startswith((".", DOOMED, f"{LIST}-"))
        or source.suffix == ".lease"
        or source.is_symlink()
    )


def _hold(source: Path, place: Path, left_out: set[Path]) -> None:
    """Give a file, or all files of a folder, a second name, without those that are left out."""
    if source in left_out:
        return
    if not source.is_dir():
        with suppress(FileNotFoundError):  # it has just been deleted
            link(source, place)
        return
    place.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):
        for inner in sorted(source.iterdir()):
            if _lasting(inner):
                _hold(inner, place / inner.name, left_out)
    if not source.exists():  # deleted meanwhile, so that half of it may be missing
        shutil.rmtree(place)


def _tell_names_apart(
    files: Sequence[Path], folder: Path
) -> tuple[dict[str, Path], dict[str, str]]:
    """The first name of each file on the disk, with the file; and further names -> the first."""
    first: dict[tuple[int, int], str] = {}
    once: dict[str, Path] = {}
    same: dict[str, str] = {}
    for file in files:
        name, found = file.relative_to(folder).as_posix(), file.stat()
        known = first.setdefault((found.st_dev, found.st_ino), name)
        if known == name:
            once[name] = file
        else:
            same[name] = known
    return once, same


def _unpack(path: Path, folder: Path) -> None:
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no zip file. Expected a backup that GeneCanvas wrote.")
    try:
        with closing(zipfile.ZipFile(path)) as packed:
            packed.extract(DOCUMENT, folder)
            document = _read_document(folder / DOCUMENT, path)
            packed.extractall(folder)
        for name, known in document.same.items():
            _name_again(folder, name, known)
    except (*UNREADABLE, *UNZIPPING, ValidationError) as error:
        if isinstance(error, OSError):
            raise
        words = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no whole backup ({words}).") from None
    (folder / DOCUMENT).unlink()
    for listed in [folder, *homes_inside(folder)]:
        if (listed / LIST).exists():
            JobStore(listed / LIST).list()


def _read_document(file: Path, path: Path) -> Document:
    said = read_json(file)
    if (
        isinstance(said, dict)
        and isinstance(said.get("version"), int)
        and said["version"] > VERSION
    ):
        by = str(said.get("written_by"))[:20]
        raise InputError(f"{path} was written by a later version, {by}: restore it with that one.")
    return Document.model_validate(said)


def _name_again(folder: Path, name: str, known: str) -> None:
    """Give an unpacked file a further name; raises ValueError unless both are names inside.

    Lists of jobs are written into, so that one is never another's.
    """
    for said in (name, known):
        parts = said.split("/")
        longest = max(len(part.encode()) for part in parts)
        if len(said) > LONGEST_NAME or longest > LONGEST_PART or {"", ".", "..", LIST} & {*parts}:
            raise ValueError(f"{said!r} is no name that a file can have here")
    new, given = folder / name, folder / known
    if new.exists() or not given.is_file():
        raise ValueError(f"{name!r} is there itself, or {known!r} isn't, whose content it has")
    with suppress(FileExistsError, NotADirectoryError):  # said below
        new.parent.mkdir(parents=True, exist_ok=True)
    if not new.parent.is_dir():
        raise ValueError(f"{name!r} lies in what is no folder")
    link(given, new)
