"""Leases: a file lock that the system takes back when its holder dies, however it dies."""

import errno
import fcntl
import os
import platform
import time
from contextlib import suppress
from pathlib import Path


class Lease:
    """An exclusive claim on a path, held until `release` or the end of the process.

    POSIX record locks (fcntl.lockf) belong to the process: children don't inherit them, so a lease
    is free the moment its holder is killed. The same rule has a trap: a process that opens and
    closes the file a second time drops its own lock. So each process knows those that it holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        """Take the lease; False when somebody holds it, here or in another process.

        Tries for a tenth of a second, because `is_held` of another process is in the way for a
        moment.
        """
        if self.path in _own:
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        for _ in range(10):
            if _lock(file, fcntl.LOCK_EX):
                self._file = file
                _own.add(self.path)
                with suppress(OSError):  # on a full disk nobody learns who holds it
                    os.ftruncate(file, 0)
                    os.write(file, f"{platform.node()} {os.getpid()}".encode())
                return True
            time.sleep(0.01)
        os.close(file)
        return False

    def stands(self) -> bool:
        """Whether it is held and its file is where it was: not deleted, with a home or alone."""
        try:
            return self._file is not None and os.path.samestat(
                os.fstat(self._file), os.stat(self.path)
            )
        except OSError:
            return False

    def release(self) -> None:
        """Give the lease back; the file stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            _own.discard(self.path)


_own: set[Path] = set()
"""Paths of the leases that this process holds."""


def is_held(path: Path) -> bool:
    """Whether somebody holds the lease at `path`."""
    if path in _own:
        return True
    try:
        file = os.open(path, os.O_RDONLY)  # also where nothing may be written
    except FileNotFoundError:
        return False
    try:
        return not _lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def holder(path: Path) -> int | None:
    """The process of this machine that holds the lease at `path`; None where nobody does."""
    if not is_held(path):
        return None
    with suppress(OSError, ValueError):
        machine, _, process = path.read_text().rpartition(" ")
        if machine == platform.node():
            return int(process)
    return None


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.lockf(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True
