"""Public data on this computer: fetched once, kept, read. Also those of a user's own addresses."""

import glob
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from anndata import AnnData

from core.data.apart import unpack_apart
from core.data.catalogue import CATALOGUE, PublicDataset, PublicFile
from core.data.formats.asking import detect_format
from core.data.quota import require_room
from core.data.read import read_dataset
from core.download import MAX_BYTES, describe_digest, download, hash_file, unfinished
from core.errors import InputError
from core.files import read_json, write_json
from core.home import download_folder, home, need_right_to_change
from core.scratch import scratch

OWN = "own-"
"""Begins the name of an entry that a user's address stands behind."""
FileProgress = Callable[[str, int, int | None], None]
"""Called with a file's name, its bytes done and its bytes in all (None: not known)."""


def own_entry(url: str) -> PublicDataset:
    """The entry of a matrix at an address of one's own.

    Raises:
        InputError: not an address of http or https.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"Expected an address that begins with http:// or https://, got {url!r}.")
    last = PurePosixPath(unquote(urlsplit(url).path)).name
    file = re.sub(r"[^\w.+()-]", "_", last).lstrip(".")[-100:] or "data"
    return PublicDataset(
        name=OWN + hashlib.sha256(url.encode()).hexdigest()[:12],
        title=file,
        help=f"From {url}.",
        page=url,
        files=(PublicFile(file, url),),
        licence="not known here",
        citation=url,
        matrix=file,
        unverified=("Everything: the address is a user's own.",),
    )


def own_entries() -> list[PublicDataset]:
    """Entries of a user's own addresses of which something has been fetched."""
    notes = sorted((home() / "downloads").glob(f"{OWN}*/*.json"))
    return list({note.parent: own_entry(read_json(note)["url"]) for note in notes}.values())


def find_entry(text: str) -> PublicDataset:
    """The entry of a name or of an address; raises InputError for an unknown name."""
    if "://" in text:
        return own_entry(text)
    return next((own for own in own_entries() if own.name == text), None) or CATALOGUE[text]


def fetch(
    entry: PublicDataset,
    progress: FileProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Path]:
    """The entry's files in the folder of downloads, those that are missing downloaded first.

    A kept file is used without any network. One that a user has put there is checked like a
    download. The environment variable GENECANVAS_CATALOGUE_URL names another address to take the
    catalogue's files from, as <address>/<entry>/<file>.

    Raises:
        InputError: as `download` raises it, no room for the files, or a kept file has changed.
        Cancelled: `cancelled` said so; what has arrived is kept, and the next call goes on there.
    """
    return [_fetch_file(entry, file, progress, cancelled) for file in entry.files]


def kept_files(entry: PublicDataset) -> list[Path]:
    """The entry's files if all are kept, else none."""
    paths = [download_folder(entry.name) / file.name for file in entry.files]
    return paths if all(path.exists() and _note(path).exists() for path in paths) else []


def kept(entry: PublicDataset) -> int:
    """Bytes of the entry's files if all are kept, else 0."""
    return sum(path.stat().st_size for path in kept_files(entry))


def forget(entry: PublicDataset) -> None:
    """Delete all that was fetched of an entry."""
    need_right_to_change()
    if download_folder(entry.name).exists():
        shutil.rmtree(download_folder(entry.name))


def read_entry(entry: PublicDataset) -> AnnData:
    """The entry's kept files as one dataset; its traps stand in `uns["notes"]`.

    Raises:
        InputError: it isn't fetched, holds no expression, has changed, or can't be read.
    """
    if entry.matrix is None:
        raise InputError(f"{entry.title} holds no expression values, so it is not a dataset.")
    paths = kept_files(entry)
    if not paths:
        raise InputError(f"{entry.title} is not on this computer yet. Fetch it first.")
    for path in paths:
        _check_kept(path)
    with scratch() as folder:
        matrix = _locate(entry.matrix, paths, folder)
        labels = _locate(entry.labels, paths, folder) if entry.labels else None
        data = read_dataset(matrix, labels)
    data.uns["source"] = entry.title
    data.uns["notes"] = [*data.uns["notes"], *entry.traps]
    return data


@contextmanager
def open_sets(entry: PublicDataset) -> Iterator[Path]:
    """The entry's kept gene sets (GMT) as a file, unpacked for as long as it lasts.

    Raises:
        InputError: it holds no gene sets, isn't fetched, has changed, or can't be read.
    """
    if entry.sets is None:
        known = ", ".join(other.name for other in CATALOGUE if other.sets)
        raise InputError(f"{entry.title} holds no gene sets. These do: {known}.")
    paths = kept_files(entry)
    if not paths:
        raise InputError(
            f"{entry.title} is not on this computer yet. Fetch it first: "
            f"`genecanvas data fetch {entry.name}`, or the page Explain."
        )
    for path in paths:
        _check_kept(path)
    with scratch() as folder:
        yield _locate(entry.sets, paths, folder)


def describe_file(path: Path) -> dict[str, str | int]:
    """What was noted when a file was fetched: url, bytes, sha256, fetched."""
    return read_json(_note(path))


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _address(entry: PublicDataset, file: PublicFile) -> str:
    mirror = os.environ.get("GENECANVAS_CATALOGUE_URL")
    if not mirror or entry.name not in CATALOGUE:
        return file.url
    return f"{mirror.rstrip('/')}/{entry.name}/{quote(file.name)}"


def _fetch_file(
    entry: PublicDataset,
    file: PublicFile,
    progress: FileProgress | None,
    cancelled: Callable[[], bool] | None,
) -> Path:
    path, url = download_folder(entry.name) / file.name, _address(entry, file)
    if path.exists() and _note(path).exists():
        _check_kept(path)
        return path
    if path.exists():  # put there by hand
        sha256 = _check_by_hand(path, file)
    else:
        begun = unfinished(path)
        room = require_room(max((file.size or 0) - begun, 1), f"The download of {file.name}")
        sha256 = download(
            url,
            path,
            size=file.size,
            digest=file.digest,
            limit=min(MAX_BYTES, room + begun),
            progress=progress and (lambda done, total: progress(file.name, done, total)),
            cancelled=cancelled,
        )
    note = {
        "url": url,
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "fetched": datetime.now(UTC).isoformat(),
    }
    write_json(_note(path), note)
    return path


def _check_kept(path: Path) -> None:
    expected, got = describe_file(path)["bytes"], path.stat().st_size
    if got != expected:
        raise InputError(
            f"{path} has changed since it was fetched: expected {expected:,} bytes, got {got:,}. "
            "Delete it to have it fetched again."
        )


def _check_by_hand(path: Path, file: PublicFile) -> str:
    """Check a file that a user has put in place; returns its SHA-256."""
    size = path.stat().st_size
    wrong = describe_digest(path, file.digest) if file.digest else ""
    if file.size not in (None, size):
        wrong = f"expected {file.size:,} bytes, got {size:,}"
    if wrong:
        raise InputError(f"{path} is not the file of {file.url}: {wrong}. Delete or replace it.")
    return hash_file(path, "sha256")


def _locate(name: str, paths: list[Path], folder: Path) -> Path:
    """The kept file of that name, or the one that an archive among them holds, unpacked."""
    for path in paths:
        if path.name == name:
            return path
    for path in paths:
        if detect_format(path) == "text":
            continue
        if found := unpack_apart(path, [glob.escape(name)], folder):
            return next(iter(found.values()))
    raise InputError(
        f"Expected {name} in {', '.join(path.name for path in paths)}; it isn't there."
    )
