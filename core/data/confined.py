"""The process that reads packed and binary files: a child for each, without rights to any other.

It has the libraries loaded, waits for a line that says what to read (one JSON document), and forks
a child for it, which gives up its rights before it looks at the file. So no file meets what another
one left behind. The answer lies in a folder; on standard output stand the share that is done, in
one sentence what is wrong, and how the child ended, a JSON document each.
"""

import errno
import json
import os
import select
import sys
import tempfile
import time
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from core.confine import give_up_files, give_up_network, interpreter_files, limit_resources
from core.data.apart import NO_MEMORY, hand_over
from core.data.formats.pictures import cut_tiles, read_tiles, read_whole
from core.data.formats.readers import list_parts_here, read_here
from core.data.formats.request import Request
from core.data.formats.spatial import read_places
from core.data.formats.unpack import Archive
from core.errors import InputError

WRITTEN = 12_000_000_000
"""Bytes of the largest file that may be written."""
PATIENCE = 300
"""Seconds that it waits for the next file before it ends."""


def main() -> None:
    """Read one file after the other, until nobody asks any more."""
    while select.select([sys.stdin], [], [], PATIENCE)[0] and (line := sys.stdin.readline()):
        child = os.fork()
        if not child:
            try:
                status = _read(json.loads(line))
                sys.stdout.flush()
            except Exception as error:  # a damaged file has the libraries raise anything
                _say(wrong=f"The file can't be read: {' '.join(str(error).split())[:300]}")
                status = 2
            os._exit(status)  # without what the process would do at its own end
        _, status = os.waitpid(child, 0)
        _say(status=os.waitstatus_to_exitcode(status))


def _read(asked: dict[str, Any]) -> int:
    """Do what is asked without any rights but those that it needs; gives the exit status."""
    path, folder = Path(asked["path"]), Path(asked["folder"])
    give_up_network()
    give_up_files([path, *interpreter_files()], [folder])
    limit_resources(memory=asked["memory"], written=WRITTEN, seconds=asked["seconds"])
    tempfile.tempdir = str(folder)
    try:
        _do(asked, path, folder)
    except InputError as error:
        _say(wrong=" ".join(str(error).split()))
        return 2
    except MemoryError:
        return NO_MEMORY
    except OSError as error:
        full = f"The disk is full: {path.name} could not be unpacked. Make room on it."
        large = f"{path.name} holds more than {WRITTEN / 1e9:.0f} GB once it is unpacked."
        reasons = {errno.ENOSPC: full, errno.EDQUOT: full, errno.EFBIG: large}
        if error.errno in reasons:
            _say(wrong=reasons[error.errno])
            return 2
        if error.errno == errno.ENOMEM:
            return NO_MEMORY
        raise
    return 0


def _do(asked: dict[str, Any], path: Path, folder: Path) -> None:
    if asked["do"] == "list":
        answer = json.dumps(list_parts_here(path))
        (folder / "parts.json").write_text(answer, encoding="utf-8")
    elif asked["do"] == "unpack":
        with Archive(path, folder) as archive:
            found = {
                name: str(archive.extract(name).relative_to(folder))
                for name in archive.names
                if any(fnmatchcase(PurePosixPath(name).name, one) for one in asked["patterns"])
            }
        (folder / "unpacked.json").write_text(json.dumps(found), encoding="utf-8")
    elif asked["do"] == "tiles":
        np.save(folder / "tiles.npy", read_tiles(path), allow_pickle=False)
    elif asked["do"] == "cut":
        _cut(asked, path, folder)
    elif asked["do"] == "places":
        (folder / "places.json").write_text(json.dumps(read_places(path)), encoding="utf-8")
    elif asked["do"] == "picture":
        np.save(folder / "picture.npy", read_whole(path, asked["side"]), allow_pickle=False)
    else:
        request = Request(asked["part"], asked["metadata"], asked["all_text"], _Shown())
        hand_over(read_here(path, request), folder)


def _cut(asked: dict[str, Any], path: Path, folder: Path) -> None:
    places = np.array(asked["places"], dtype=float)
    tiles, dark, size = cut_tiles(path, asked["part"], places, asked["width"], asked["side"])
    np.save(folder / "tiles.npy", tiles, allow_pickle=False)
    np.save(folder / "dark.npy", dark, allow_pickle=False)
    (folder / "size.json").write_text(json.dumps(size), encoding="utf-8")


class _Shown:
    """Tells the share that is done, a few times a second."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self, share: float) -> None:
        if time.monotonic() - self.at > 0.2:
            self.at = time.monotonic()
            _say(share=share)


def _say(**document: Any) -> None:
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    main()
