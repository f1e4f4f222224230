"""The database of jobs: one SQLite file, read and written in short transactions."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from core.errors import InputError, StoreError
from core.home import home, need_right_to_change, only_looks
from core.jobs.migrations import MIGRATIONS


class Database:
    """SQLite with a write-ahead log, brought up to date when it is opened."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "runs.sqlite"
        if self.path.exists():
            with self._reading() as db:
                if self._check_version(db) == len(MIGRATIONS):
                    return
        with self._transaction() as db:
            for statement in ";".join(MIGRATIONS[self._check_version(db) :]).split(";"):
                db.execute(statement)
            self._identify(db)
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _identify(self, db: sqlite3.Connection) -> None:
        """After an update: compute anew what this version counts in another way."""
        raise NotImplementedError

    @staticmethod
    def exists() -> bool:
        """Whether the home has a list of jobs: looking for one makes none."""
        return (home() / "runs.sqlite").exists()

    @staticmethod
    def only_read() -> bool:
        """Whether nothing may be written to the list of jobs of this home."""
        path = home() / "runs.sqlite"
        return only_looks() or not os.access(path if path.exists() else path.parent, os.W_OK)

    def check_writable(self) -> None:
        """Raise StoreError where it may not be written, or somebody keeps it locked."""
        with self._transaction(lasting=False):
            pass

    def copy(self, path: Path) -> None:
        """Write a copy to a new file, as of one moment: whoever writes meanwhile goes on."""
        with self._reading() as db, closing(sqlite3.connect(path)) as copied:
            db.backup(copied)

    def _check_version(self, db: sqlite3.Connection) -> int:
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found > len(MIGRATIONS):
            raise InputError(
                f"{self.path} has store version {found}, this program reads up to "
                f"{len(MIGRATIONS)}. Use the program that wrote it, or name another folder "
                "with GENECANVAS_HOME."
            )
        return found

    @contextmanager
    def _transaction(self, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; what is not `lasting` is not waited for until it is on the disk.

        It outlives the death of this process, but may be lost when the power fails. Where somebody
        else keeps the store locked, it fails after a second instead of 30.
        """
        need_right_to_change(self.path)
        timeout = 30 if lasting else 1
        try:
            with closing(sqlite3.connect(self.path, timeout=timeout, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA journal_mode = WAL")
                db.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise self._say_unusable(error) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that only reads; its `fold` makes large and small letters equal."""
        address = self.path.as_uri()
        if not os.access(self.path.parent, os.W_OK):
            address += "?mode=ro"
            if not self.path.with_name(f"{self.path.name}-wal").exists():
                address += "&immutable=1"  # else SQLite wants to write a file beside it
        try:
            with closing(sqlite3.connect(address, timeout=30, uri=True)) as db:
                db.row_factory = sqlite3.Row
                db.create_function("fold", 1, str.casefold, deterministic=True)
                yield db
        except sqlite3.DatabaseError as error:
            raise self._say_unusable(error) from error

    def _say_unusable(self, error: sqlite3.DatabaseError) -> StoreError:
        what = f"The list of runs {self.path} can't be used: {error}."
        if not isinstance(error, sqlite3.OperationalError):  # not locked or full, but damaged
            what += " `genecanvas doctor --repair` sets it aside and makes it from the folders."
        return StoreError(what)

    @contextmanager
    def kept_open(self) -> Iterator[Callable[[], bool]]:
        """Make many short calls cheap: without it the end of each is the end of SQLite's log.

        The last connection that closes moves the log into the database and waits for the disk.

        Yields:
            What tells whether anything was written since it was last asked; it costs microseconds.
            It raises InputError once a later version of the program has taken the store over.
        """
        with self._reading() as db:
            seen = None

            def changed() -> bool:
                nonlocal seen
                before, seen = seen, db.execute("PRAGMA data_version").fetchone()[0]
                if seen != before:
                    self._check_version(db)
                return seen != before

            changed()  # opens the log
            yield changed
