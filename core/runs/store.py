"""The store of runs: one SQLite file that pages, command lines and workers share."""

import json
import os
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

from core.data.store import delete_dataset
from core.errors import DamageError, InputError, StoreError
from core.files import write_json
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
    """
ALTER TABLE runs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
""",
]
"""What turns a store of version 0, 1, … into one of the next version."""
DOOMED = "deleted-"
"""Begins the name of a run's folder while it is deleted."""
MOST_DEATHS = 3
"""A run whose worker died so often since it was last asked for is not tried again by itself."""
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

    def needs(self, weights: str) -> bool:
        """Whether it isn't done and begins with these weights."""
        return self.state != RunState.DONE and self.spec.network.weights == weights


class DamagedRun(NamedTuple):
    """A run whose specification this program doesn't understand: it can only be deleted."""

    id: str
    name: str
    state: str
    why: str


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

    @staticmethod
    def exists() -> bool:
        """Whether the home has a list of runs: looking for one makes none."""
        return (home() / "runs.sqlite").exists()

    def ids(self) -> set[str]:
        """All runs, the damaged ones too."""
        return {row["id"] for row in self._rows()}

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
        address = self.path.as_uri()
        if not os.access(self.path.parent, os.W_OK):
            address += "?mode=ro"
            if not self.path.with_name(f"{self.path.name}-wal").exists():
                address += "&immutable=1"  # else SQLite wants to write a file beside it
        try:
            with closing(sqlite3.connect(address, timeout=30, uri=True)) as db:
                db.row_factory = sqlite3.Row
                yield db
        except sqlite3.DatabaseError as error:
            raise self._say_unusable(error) from error

    def _say_unusable(self, error: sqlite3.DatabaseError) -> StoreError:
        what = f"The list of runs {self.path} can't be used: {error}."
        if not isinstance(error, sqlite3.OperationalError):  # not locked or full, but damaged
            what += " `genecanvas doctor --repair` sets it aside and makes it from the folders."
        return StoreError(what)

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

        Raises:
            InputError: the run's cohort has no dataset.
        """
        if spec.cohort.dataset is None:
            raise InputError("The run's cohort has no dataset: give it the id of a stored one.")
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
        """One run; raises InputError when it is unknown or damaged."""
        with self._reading() as db:
            row = db.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
        if row is None:
            raise InputError(f"There is no run {run!r}. `runs list` shows those that exist.")
        record = _to_record(row)
        if isinstance(record, DamagedRun):
            raise DamageError(f"Run {run} can't be used and should be deleted. {record.why}")
        return record

    def find(self, prefix: str) -> RunRecord:
        """The one run whose id begins so; raises InputError for none or several."""
        return self.get(self.find_id(prefix))

    def find_id(self, prefix: str) -> str:
        """The id of the one run that begins so, be it damaged; raises as `find` does."""
        matches = [row["id"] for row in self._rows() if prefix and row["id"].startswith(prefix)]
        if len(matches) != 1:
            found = ", ".join(matches[:5]) or "none"
            raise InputError(f"Expected one run whose id begins with {prefix!r}, found {found}.")
        return matches[0]

    def list(self) -> list[RunRecord]:
        """All runs, the newest first, by order of submission: clocks may go backwards.

        Without those that `damaged` lists.
        """
        found = [_to_record(row) for row in self._rows()]
        return [record for record in found if isinstance(record, RunRecord)]

    def damaged(self) -> Sequence[DamagedRun]:
        """Runs whose specification can't be understood, the newest first."""
        found = [_to_record(row) for row in self._rows()]
        return [record for record in found if isinstance(record, DamagedRun)]

    def _rows(self) -> Sequence[sqlite3.Row]:
        with self._reading() as db:
            return db.execute("SELECT * FROM runs ORDER BY rowid DESC").fetchall()

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

        None when the queue is empty. One that can't be understood fails, and the next is taken.
        Only for the holder of the device's lease.
        """
        while isinstance(record := self._claim(device), DamagedRun):
            self.finish(record.id, RunState.FAILED, record.why)
        return record

    def _claim(self, device: str) -> RunRecord | DamagedRun | None:
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

    def respecify(self, run: str, spec: RunSpec) -> None:
        """Replace a specification that can't be understood by the one in the run's folder."""
        with self._transaction() as db:
            db.execute("UPDATE runs SET spec = ? WHERE id = ?", (spec.model_dump_json(), run))

    def adopt(self, record: RunRecord) -> None:
        """List a run that the list has lost; one that is listed stays as it is."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO runs "
                "(id, place, name, spec, state, reason, created, finished, parent, study) VALUES "
                " (?, (SELECT 1 + coalesce(max(place), 0) FROM runs), ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.id, record.name, record.spec.model_dump_json(), record.state,
                    record.reason, record.created.isoformat(),
                    record.finished and record.finished.isoformat(), record.parent, record.study,
                ),
            )  # fmt: skip

    def reopen(self, run: str, reason: str) -> None:
        """Let a run that is done count as failed, so that it can be resumed."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET state = ?, reason = ? WHERE id = ? AND state = ?",
                (RunState.FAILED, reason, run, RunState.DONE),
            )

    def cancel(self, run: str) -> None:
        """Stop a run: at once while it is queued, after the batch at hand while it trains.

        Raises InputError when it has ended already.
        """
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
            raise InputError(f"Run {run} is {self.get(run).state} and can't be cancelled any more.")

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
                "cancel = 0, enough = 0, deaths = 0, message = '', "
                "place = (SELECT 1 + max(place) FROM runs) "
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
        """Delete a run and its folder, be they damaged.

        Raises InputError while it is running, and while others that are not done start from its
        weights.
        """
        folder = run_folder(self.find_id(run))
        needing = [record for record in self.list() if record.needs(f"run:{run}")]
        if needing:
            raise InputError(
                f"{_say_runs(needing)} from the weights of run {run}. Delete or finish "
                f"{'it' if len(needing) == 1 else 'them'} first."
            )
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
        for checkpoint in (home() / "runs").glob("*/folds/*/checkpoint.pt"):
            if checkpoint.with_name("fold.json").exists():  # killed before it was removed
                unfinished.append(checkpoint)
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
        """Queue again, or end, what dead workers left: runs of devices whose lease nobody holds.

        A worker holds its lease from before it claims its first run, and the runs are read before
        the lease is looked at, so this can't hit a living one. Not for a worker about its own
        device; it calls `take_over`. Does nothing where the store may only be read.
        """
        if not os.access(self.path, os.W_OK):
            return
        with self._reading() as db:
            running = _running(db)
        for device in {device for _, device in running}:
            if not is_held(self.lease_path(device)):
                self._bury([run for run, its in running if its == device], device)

    def take_over(self, device: str) -> None:
        """Queue again, or end, what runs on `device`, because its worker died."""
        with self._reading() as db:
            running = _running(db)
        self._bury([run for run, its in running if its == device], device)

    def _bury(self, runs: Sequence[str], device: str | None) -> None:
        """Queue runs of a dead worker again, or end those on which too many died.

        What another worker has claimed meanwhile goes on.
        """
        for run in runs:
            end = f"End of its log:\n{read_log(run)[-LOG_END:]}"
            with self._transaction() as db:
                row = db.execute(
                    "UPDATE runs SET deaths = deaths + 1 "
                    "WHERE id = ? AND state = ? AND device IS ? RETURNING deaths, cancel",
                    (run, RunState.RUNNING, device),
                ).fetchone()
                if row is None:
                    continue
                state, reason = RunState.QUEUED, None
                if row["cancel"]:
                    state, reason = RunState.CANCELLED, "Cancelled by the user."
                elif row["deaths"] >= MOST_DEATHS:
                    state = RunState.FAILED
                    reason = (
                        f"The worker process died {row['deaths']} times on this run, so it is not "
                        "tried again by itself. Is there enough memory? The run can be resumed "
                        f"from its last epoch. {end}"
                    )
                db.execute(
                    "UPDATE runs SET state = ?, reason = ?, finished = ?, cancel = 0, message = '' "
                    "WHERE id = ?",
                    (state, reason, None if state == RunState.QUEUED else _now(), run),
                )

    def lease_path(self, device: str | None) -> Path:
        """The lock file that the worker of a device holds; None for workers of earlier versions."""
        name = "worker" if device is None else f"worker-{device.replace(':', '-')}"
        return self.path.with_name(f"{name}.lease")


def _running(db: sqlite3.Connection) -> list[tuple[str, str | None]]:
    """Each running run and its device."""
    rows = db.execute("SELECT id, device FROM runs WHERE state = ?", (RunState.RUNNING,))
    return [(row["id"], row["device"]) for row in rows]


def drop_dataset(dataset: str) -> None:
    """Delete a dataset, unless runs that are still to be trained need it: InputError names them."""
    needing = [
        record
        for record in RunStore().list()
        if record.spec.cohort.dataset == dataset and not record.state.finished
    ]
    if needing:
        some = ", ".join(f"{record.id} ({record.state})" for record in needing[:3])
        more = f" and {len(needing) - 3} more" if len(needing) > 3 else ""
        raise InputError(
            f"The dataset is needed by runs that are not done: {some}{more}. Cancel them, or wait "
            "for them, first."
        )
    delete_dataset(dataset)


def keep_listing(record: RunRecord) -> None:
    """Write to the run's folder what only the list knows of it, so that the list can be rebuilt."""
    listing = record.model_dump(mode="json", include={"name", "created", "parent", "study"})
    write_json(run_folder(record.id) / "listing.json", listing)


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


UNSEEN = ("cancel", "enough", "deaths")
"""Columns that only the store itself reads."""


def _to_record(row: sqlite3.Row) -> RunRecord | DamagedRun:
    fields = {name: row[name] for name in row.keys() if name not in UNSEEN}  # noqa: SIM118
    try:
        return RunRecord(**{**fields, "spec": RunSpec.restore(json.loads(row["spec"]))})
    except (InputError, ValueError) as error:
        why = f"Its specification is damaged, or of another version of this program: {error}"
        return DamagedRun(row["id"], row["name"], row["state"], why)


def _say_runs(records: Sequence[RunRecord]) -> str:
    some = ", ".join(f"{record.id} ({record.state})" for record in records[:3])
    more = f" and {len(records) - 3} more" if len(records) > 3 else ""
    return f"Run {some} starts" if len(records) == 1 else f"Runs {some}{more} start"


def bytes_of(run: str) -> int:
    """Bytes that a run's folder takes."""
    total = 0
    for path in run_folder(run).rglob("*"):
        with suppress(FileNotFoundError):  # a file that was being written
            total += path.stat().st_size
    return total


def _now() -> str:
    return datetime.now(UTC).isoformat()
