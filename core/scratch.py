"""Private folders for what is on its way: gone with their block, or at the next start."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.files import FORBIDDEN
from core.home import home, need_right_to_change, only_looks
from core.lease import Lease, is_held


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A folder that only this user may enter, removed with all that is in it when the block ends.

    A killed process leaves its folder behind, without the lease; `clean_scratch` removes it.

    Args:
        parent: where it is made, for what is renamed into place there; by default in the home, or,
            where that may not be written, in the system's folder for temporary files.
    """
    if parent is None and only_looks():
        with tempfile.TemporaryDirectory() as elsewhere:
            yield Path(elsewhere)
        return
    place = parent or home() / "tmp"
    need_right_to_change(place)
    try:
        place.mkdir(mode=0o777 if parent else 0o700, parents=True, exist_ok=True)
        # The lease is held before the folder is there, so that a folder without one is left over
        handle, name = tempfile.mkstemp(dir=place, prefix=".", suffix=".lease")
    except OSError as error:
        if parent is not None or error.errno not in FORBIDDEN:
            raise
        with tempfile.TemporaryDirectory() as elsewhere:
            yield Path(elsewhere)
        return
    os.close(handle)
    folder = Path(name).with_suffix("")
    lease = Lease(Path(name))
    lease.acquire()
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lease.path.unlink(missing_ok=True)
        lease.release()


def clean_scratch(parent: Path | None = None) -> None:
    """Remove the folders of `scratch` in `parent` whose processes are dead."""
    for folder in (parent or home() / "tmp").glob(".*"):
        lease = folder.with_name(f"{folder.name}.lease")
        if folder.is_dir() and not is_held(lease):
            shutil.rmtree(folder, ignore_errors=True)
            lease.unlink(missing_ok=True)
