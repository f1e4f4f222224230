"""The store of runs: one SQLite file that pages, command lines and workers share."""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.home import home, run_folder
from core.lease import is_held
from core.runs.spec import RunSpec

MIGRATIONS = [
    """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 1,
    message TEXT NOT NULL DEFAULT '',
    cancel INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_by_state ON runs (state, place);
CREATE TABLE epochs (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    fold INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (run, fold, epoch)
);
""",
    """
ALTER TABLE runs ADD COLUMN parent TEXT;
ALTER TABLE runs ADD COLUMN study TEXT;
CREATE INDEX runs_by_study ON runs (study);
""",
    """
ALTER TABLE runs ADD COLUMN enough INTEGER NOT NULL DEFAULT 0;
""",
    """
ALTER TABLE runs ADD COLUMN device TEXT;
""",
]
"""What turns a store of version 0, 1, … into one of the next version."""
DOOMED = "deleted-"
"""Begins the name of a run's folder while it is deleted."""
LOG_END = 1500
"""Characters of the log that stand in the reason of a run whose worker died."""


class RunState(StrEnum):
    """Where a run is on its way."""

    QUEUED = "queued"
    PAUSED = "paused"
    """Waits until its study goes on."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether nothing more happens by itself."""
        return self == RunState.DONE or self.resumable

    @property
    def resumable(self) -> bool:
        """Whether the run ended without a result and can go on from its last epoch."""
        return self in (RunState.FAILED, RunState.OUT_OF_MEMORY, RunState.CANCELLED)


class RunRecord(BaseModel):
    """A run as the store knows it."""

    model_config = ConfigDict(frozen=True)

    id: str
    place: int
    """Runs are trained in the order of this number."""
    name: str
    spec: RunSpec
    state: RunState
    reason: str | None
    created: datetime
    started: datetime | None
    finished: datetime | None
    done: int
    total: int
    message: str
    parent: str | None
    """The run that this one asks a what-if of."""
    study: str | None
    """The name of the study that it belongs to."""
    device: str | None
    """Where it is trained, or was trained last, such as cuda:0."""


class Requests(NamedTuple):
    """What somebody asks of a running run."""

    cancel: bool
    """Stop after the batch at hand."""
    enough: bool
    """End the training after the epoch at hand and test what it has learned."""


class RunStore:
    """Runs in SQLite (write-ahead log); every call is one short transaction."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or home() / "runs.sqlite"
        if self.path.exists():
            with self._reading() as db:
                if self._check_version(db) == len(MIGRATIONS):
                    return
        with self._transaction() as db:
            for statement in ";".join(MIGRATIONS[self._check_version(db) :]).split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

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

        It outlives the death of this process, but may be lost when the power fails.
        """
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as db:
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
            raise InputError(f"The store {self.path} can't be used: {error}.") from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=30)) as db:
                db.row_factory = sqlite3.Row
                yield db
        except sqlite3.DatabaseError as error:
            raise InputError(f"The store {self.path} can't be used: {error}.") from error

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Make many short calls cheap: without it the end of each is the end of SQLite's log.

        The last connection that closes moves the log into the database and waits for the disk.
        """
        with self._reading() as db:
            db.execute("PRAGMA user_version").fetchone()  # opens the log
            yield

    def submit(
        self,
        spec: RunSpec,
        name: str | None = None,
        *,
        parent: str | None = None,
        study: str | None = None,
    ) -> tuple[RunRecord, bool]:
        """Queue a run; an equal spec that is known already is not queued again.

        Args:
            spec: what shall be trained.
            name: what lists call it; by default its title.
            parent: the run that it asks a what-if of.
            study: the study that it belongs to; a run that is there already joins it if it
                belongs to none.

        Returns:
            The run's record, and whether it is new.
        """
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT OR IGNORE INTO runs (id, place, name, spec, state, created, parent, study) "
                "VALUES (?, (SELECT 1 + coalesce(max(place), 0) FROM runs), ?, ?, ?, ?, ?, ?)",
                (
                    spec.id, name or spec.title(), spec.model_dump_json(), RunState.QUEUED, _now(),
                    parent, study,
                ),
            )  # fmt: skip
            created = cursor.rowcount == 1
            db.execute("UPDATE runs SET study = ? WHERE id = ? AND study IS NULL", (study, spec.id))
        return self.get(spec.id), created

    def get(self, run: str) -> RunRecord:
        """One run; raises InputError when it is unknown."""
        with self._reading() as db:
            row = db.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
        if row is None:
            raise InputError(f"There is no run {run!r}. `runs list` shows those that exist.")
        return _to_record(row)

    def find(self, prefix: str) -> RunRecord:
        """The one run whose id begins so; raises InputError for none or several."""
        matches = [record for record in self.list() if record.id.startswith(prefix)]
        if len(matches) != 1 or not prefix:
            found = ", ".join(record.id for record in matches[:5]) or "none"
            raise InputError(f"Expected one run whose id begins with {prefix!r}, found {found}.")
        return matches[0]

    def list(self) -> list[RunRecord]:
        """All runs, the newest first, by order of submission: clocks may go backwards."""
        with self._reading() as db:
            rows = db.execute("SELECT * FROM runs ORDER BY rowid DESC").fetchall()
        return [_to_record(row) for row in rows]

    def studies(self) -> dict[str, Sequence[RunRecord]]:
        """Name of each study -> its runs in the order of the queue; the newest study first."""
        found: dict = {}
        for record in self.list():
            if record.study is not None:
                found.setdefault(record.study, []).insert(0, record)
        return found

    def pause(self, study: str) -> None:
        """Let the queued runs of a study wait; one that is running goes on to its end."""
        self._change_study(study, RunState.QUEUED, RunState.PAUSED)

    def unpause(self, study: str) -> None:
        """Queue the waiting runs of a study again."""
        self._change_study(study, RunState.PAUSED, RunState.QUEUED)

    def _change_study(self, study: str, old: RunState, new: RunState) -> None:
        with self._transaction() as db:
            db.execute("UPDATE runs SET state = ? WHERE study = ? AND state = ?", (new, study, old))

    def claim(self, device: str) -> RunRecord | None:
        """Take the first run of the queue and mark it as running on `device`.

        None when the queue is empty. Only for the holder of the device's lease.
        """
        with self._transaction() as db:
            row = db.execute(
                "UPDATE runs SET state = ?, started = ?, reason = NULL, message = 'Starting', "
                "device = ? "
                "WHERE id = (SELECT id FROM runs WHERE state = ? ORDER BY place LIMIT 1) "
                "RETURNING *",
                (RunState.RUNNING, _now(), device, RunState.QUEUED),
            ).fetchone()
        return None if row is None else _to_record(row)

    def set_progress(self, run: str, done: int, total: int, message: str) -> None:
        """Say how far a running run is."""
        with self._transaction(lasting=False) as db:
            db.execute(
                "UPDATE runs SET done = ?, total = ?, message = ? WHERE id = ?",
                (done, total, message, run),
            )

    def add_epoch(self, run: str, fold: int, row: dict[str, Any]) -> None:
        """Keep an epoch's measurements; an epoch that is trained again replaces itself."""
        with self._transaction(lasting=False) as db:
            db.execute(
                "INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?)",
                (run, fold, int(row["epoch"]), json.dumps(row)),
            )

    def epochs(self, run: str) -> pd.DataFrame:
        """All epochs of a run in order: fold and the columns of the training's history."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT fold, row FROM epochs WHERE run = ? ORDER BY fold, epoch", (run,)
            ).fetchall()
        return pd.DataFrame([{"fold": row["fold"], **json.loads(row["row"])} for row in rows])

    def epochs_version(self, run: str) -> int:
        """A number that changes when an epoch of the run is written; 0 while there is none.

        The exception is a run's only epoch, written again by a later attempt.
        """
        with self._reading() as db:
            return db.execute(
                "SELECT coalesce(max(rowid), 0) FROM epochs WHERE run = ?", (run,)
            ).fetchone()[0]

    def finish(self, run: str, state: RunState, reason: str | None = None) -> None:
        """End a running run; one that has ended already stays as it is."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET state = ?, reason = ?, finished = ?, cancel = 0, message = '', "
                "done = CASE WHEN ? THEN total ELSE done END WHERE id = ? AND state = ?",
                (state, reason, _now(), state == RunState.DONE, run, RunState.RUNNING),
            )

    def cancel(self, run: str) -> None:
        """Stop a run: at once while it is queued, after the batch at hand while it trains.

        Raises InputError when it has ended already.
        """
        record = self.get(run)
        with self._transaction() as db:
            queued = db.execute(
                "UPDATE runs SET state = ?, reason = ?, finished = ? "
                "WHERE id = ? AND state IN (?, ?)",
                (
                    RunState.CANCELLED,
                    "Cancelled by the user.",
                    _now(),
                    run,
                    RunState.QUEUED,
                    RunState.PAUSED,
                ),
            ).rowcount
            running = db.execute(
                "UPDATE runs SET cancel = 1 WHERE id = ? AND state = ?", (run, RunState.RUNNING)
            ).rowcount
        if not queued and not running:
            raise InputError(f"Run {run} is {record.state} and can't be cancelled any more.")

    def requests(self, run: str) -> Requests:
        """What somebody asks of a running run; one that is gone from the store shall stop."""
        with self._reading() as db:
            row = db.execute("SELECT cancel, enough FROM runs WHERE id = ?", (run,)).fetchone()
        return Requests(True, False) if row is None else Requests(*map(bool, row))

    def resume(self, run: str) -> None:
        """Queue a run that ended without a result again; it goes on from its last epoch.

        Raises InputError in any other state.
        """
        record = self.get(run)
        with self._transaction() as db:
            changed = db.execute(
                "UPDATE runs SET state = ?, reason = NULL, started = NULL, finished = NULL, "
                "cancel = 0, enough = 0, message = '', place = (SELECT 1 + max(place) FROM runs) "
                "WHERE id = ? AND state IN (?, ?, ?)",
                (RunState.QUEUED, run, *(state for state in RunState if state.resumable)),
            ).rowcount
        if not changed:
            raise InputError(
                f"Run {run} is {record.state}; only a failed or cancelled run can be resumed."
            )

    def move_first(self, run: str) -> None:
        """Train a queued run before all others that wait.

        Raises InputError when it doesn't wait.
        """
        with self._transaction() as db:
            moved = db.execute(
                "UPDATE runs SET place = (SELECT min(place) - 1 FROM runs) "
                "WHERE id = ? AND state = ?",
                (run, RunState.QUEUED),
            ).rowcount
        if not moved:
            raise InputError(f"Run {run} is {self.get(run).state}, not queued.")

    def stop_early(self, run: str) -> None:
        """End a running training after the epoch at hand and go on as if it had been the last.

        Raises InputError when it isn't running.
        """
        with self._transaction() as db:
            asked = db.execute(
                "UPDATE runs SET enough = 1 WHERE id = ? AND state = ?", (run, RunState.RUNNING)
            ).rowcount
        if not asked:
            raise InputError(f"Run {run} is {self.get(run).state}, not running.")

    def delete(self, run: str) -> None:
        """Delete a run and its folder; raises InputError while it is running."""
        folder = run_folder(self.get(run).id)
        doomed = folder.with_name(f"{DOOMED}{folder.name}")
        with self._transaction() as db:
            changed = db.execute(
                "DELETE FROM runs WHERE id = ? AND state != ?", (run, RunState.RUNNING)
            ).rowcount
            if changed and folder.exists():
                shutil.rmtree(doomed, ignore_errors=True)
                folder.rename(doomed)
        if not changed:
            raise InputError(f"Run {run} is running. Cancel it first, then delete it.")
        shutil.rmtree(doomed, ignore_errors=True)

    def clean(self) -> None:
        """Remove what interrupted deletions and killed workers left; not from runs that run."""
        for doomed in (home() / "runs").glob(f"{DOOMED}*"):
            shutil.rmtree(doomed, ignore_errors=True)
        unfinished = list((home() / "runs").glob("*/folds/*/.*"))
        with self._transaction() as db:  # nobody can claim a run meanwhile
            running = {run for run, _ in _running(db)}
            for path in unfinished:
                if path.parents[2].name not in running:
                    path.unlink(missing_ok=True)

    def position(self, run: str) -> int:
        """How many queued runs come before this one, itself included; 0 when it isn't queued."""
        with self._reading() as db:
            return db.execute(
                "SELECT count(*) FROM runs WHERE state = 'queued' AND place <= "
                "(SELECT place FROM runs WHERE id = ? AND state = 'queued')",
                (run,),
            ).fetchone()[0]

    def waiting(self) -> int:
        """How many runs are queued."""
        with self._reading() as db:
            return db.execute(
                "SELECT count(*) FROM runs WHERE state = ?", (RunState.QUEUED,)
            ).fetchone()[0]

    def reconcile(self) -> None:
        """End what dead workers left: running runs of devices whose lease nobody holds.

        A worker holds its lease from before it claims its first run, and the runs are read before
        the lease is looked at, so this can't hit a living one. Not for a worker about its own
        device; it calls `fail_running` when it takes over.
        """
        with self._reading() as db:
            running = _running(db)
        for device in {device for _, device in running}:
            if not is_held(self.lease_path(device)):
                self._fail([run for run, its in running if its == device], device)

    def fail_running(self, device: str) -> None:
        """Mark what runs on `device` as failed because its worker died, with the end of its log."""
        with self._reading() as db:
            running = _running(db)
        self._fail([run for run, its in running if its == device], device)

    def _fail(self, runs: Sequence[str], device: str | None) -> None:
        """End runs that run on `device`; what another worker has claimed meanwhile goes on."""
        for run in runs:
            reason = (
                "The worker process died. The run can be resumed from its last epoch. End of its "
                f"log:\n{read_log(run)[-LOG_END:]}"
            )
            with self._transaction() as db:
                db.execute(
                    "UPDATE runs SET state = ?, reason = ?, finished = ?, cancel = 0, message = '' "
                    "WHERE id = ? AND state = ? AND device IS ?",
                    (RunState.FAILED, reason, _now(), run, RunState.RUNNING, device),
                )

    def lease_path(self, device: str | None) -> Path:
        """The lock file that the worker of a device holds; None for workers of earlier versions."""
        name = "worker" if device is None else f"worker-{device.replace(':', '-')}"
        return self.path.with_name(f"{name}.lease")


def _running(db: sqlite3.Connection) -> list[tuple[str, str | None]]:
    """Each running run and its device."""
    rows = db.execute("SELECT id, device FROM runs WHERE state = ?", (RunState.RUNNING,))
    return [(row["id"], row["device"]) for row in rows]


def log_path(run: str) -> Path:
    """Where a run's training writes what it prints."""
    return run_folder(run) / "log.txt"


def read_log(run: str, lines: int = 40) -> str:
    """The last lines of a run's log; empty while there is none."""
    path = log_path(run)
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 200 * lines))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


UNSEEN = ("cancel", "enough")
"""Columns that only the store itself reads."""


def _to_record(row: sqlite3.Row) -> RunRecord:
    fields = {name: row[name] for name in row.keys() if name not in UNSEEN}  # noqa: SIM118
    return RunRecord(**{**fields, "spec": RunSpec.restore(json.loads(row["spec"]))})


def bytes_of(run: str) -> int:
    """Bytes that a run's folder takes."""
    total = 0
    for path in run_folder(run).rglob("*"):
        with suppress(FileNotFoundError):  # a file that was being written
            total += path.stat().st_size
    return total


def _now() -> str:
    return datetime.now(UTC).isoformat()
