"""The store of jobs: one SQLite file that pages, command lines and workers share."""

import json
import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from core.devices import CLUSTER
from core.errors import DamageError, InputError
from core.home import home, server_of
from core.jobs.database import Database
from core.jobs.job import BY_USER, KINDS, Job, Lane, job_class, kinds_of
from core.jobs.record import (
    DamagedJob,
    JobRecord,
    JobState,
    Requests,
    Worker,
    read_log,
    write_listing,
)
from core.jobs.which import Order, Which
from core.lease import is_held
from core.logs import log_event
from core.people import owner_of
from core.sizes import recent_size
from core.words import say_size

DOOMED = "deleted-"
"""Begins the name of a job's folder while it is deleted."""
MOST_DEATHS = 3
"""A job whose worker died so often since it was last asked for is not tried again by itself."""
LOG_END = 1500
"""Characters of the log that stand in the reason of a job whose worker died."""
KEPT_DAYS = 7
"""Days for which an interactive job that has ended is kept."""
KEPT_SPENT_DAYS = 60
"""Days for which is known how long jobs held their devices."""
ALL = Which()
"""All jobs."""
RUN = "train"
"""The kind of jobs whose results are runs, which stay when what they began with is gone."""
LONGEST_NAME = 200
"""Characters."""
REMEMBERED = 10_000
"""Jobs of lists that a process keeps as they were read: 10 kB each."""


Record = TypeVar("Record", bound=JobRecord)
Progress = tuple[int, int, str]
"""Steps that are done, steps in all, and a message."""


class JobStore(Database, Generic[Record]):
    """Jobs in SQLite (write-ahead log); every call is one short transaction."""

    kind: ClassVar[str | None] = None
    """The kind of job that is listed and found; None: all."""
    record_type: ClassVar[type[JobRecord]] = JobRecord

    def _identify(self, db: sqlite3.Connection) -> None:
        """Give each job the key by which this version finds it, and note what it needs.

        Of several that are the same question to this version one that is done comes first, then the
        newest; the others, like damaged ones, have no key and are found by their ids alone.
        """
        db.execute("UPDATE jobs SET key = NULL")
        rows = db.execute("SELECT * FROM jobs ORDER BY state = 'done' DESC, rowid DESC").fetchall()
        for row in rows:
            with suppress(InputError, ValueError):
                _identify_one(db, row["id"], _read_job(row))

    def submit(
        self,
        job: Job,
        name: str | None = None,
        *,
        parent: str | None = None,
        study: str | None = None,
    ) -> tuple[Record, bool]:
        """Queue a job; an equal one that is known already is not queued again.

        Args:
            job: what shall be done.
            name: what lists call it; by default its title.
            parent: the job that it asks a what-if of.
            study: the study that it belongs to; a job that is there already joins it if it
                belongs to none.

        Returns:
            The job's record, and whether it is new.

        Raises:
            InputError: whose home this is has as many runs in the queue, or has used devices as
                long, as they may.
        """
        self.need_quota(job)
        with self._transaction() as db:
            id, new = _enter(db, job, name, parent, study)
        if new:
            log_event("job queued", job=id, kind=job.kind)
        return self.get(id), new

    def need_quota(self, *jobs: Job) -> None:
        """Raise InputError where whose home this is may not queue these jobs together now.

        Those that are done, wait or run already take no further place.
        """
        person = owner_of(self.path.parent)
        if person is None:
            return
        may, hours = person.may_take, 0.0
        keys = {job.key for job in jobs if job.lane == Lane.QUEUE}
        if keys and may.queued_runs is not None:
            with self._reading() as db:
                queued = db.execute(
                    "SELECT count(*) FROM jobs WHERE lane = ? "
                    "AND state IN ('queued', 'paused', 'running')",
                    (Lane.QUEUE,),
                ).fetchone()[0]
                there = db.execute(
                    "SELECT count(DISTINCT key) FROM jobs WHERE lane = ? AND state IN "
                    "('queued', 'paused', 'running', 'done') "
                    "AND key IN (SELECT value FROM json_each(?))",
                    (Lane.QUEUE, json.dumps(sorted(keys))),
                ).fetchone()[0]
            more = len(keys) - there
            if more and queued + more > may.queued_runs:
                raise InputError(
                    f"{queued} runs of yours wait or run, {more} more are asked for, and "
                    f"{may.queued_runs} may wait or run at once. Ask for fewer, wait for some, or "
                    "cancel some under Work."
                )
        if may.disk_gb is not None:
            self._need_disk(may.disk_gb)
        if may.device_hours is not None and (hours := self.device_hours()) >= may.device_hours:
            raise InputError(
                f"Your jobs took {hours:.1f} hours of a device in the last 7 days, and may take "
                f"{may.device_hours:g}. Wait until the first of them are a week ago, or ask "
                "whoever looks after the server."
            )

    def _need_disk(self, gigabytes: float) -> None:
        """Raise InputError where this home takes more than it may."""
        place, most = self.path.parent, gigabytes * 1e9
        if recent_size(place) > most and (taken := recent_size(place, anew=True)) > most:
            raise InputError(
                f"Your home takes {say_size(taken)}, and may take {say_size(int(most))}. Delete "
                "what is no longer needed, or ask whoever looks after the server."
            )

    def begin(self, job: Job, worker: Worker) -> Record:
        """List a job and claim it in the same moment, so that no other worker can take it.

        One that is known goes on if it ended without a result, or its result is gone. The record
        tells what came of it: another worker may be at it, it may wait for jobs that it needs, and
        it may be done. Only for the holder of the worker's lease.
        """
        again = [state for state in JobState if state.resumable or state == JobState.PAUSED]
        if job.stands() is False:
            again.append(JobState.DONE)
        with self._transaction() as db:
            id, _ = _enter(db, job)
            _queue_again(db, id, again)
            _claim(db, worker, id)
        return self.get(id)

    def look_up(self, job: Job) -> Record | None:
        """The record of a job, if it was submitted."""
        with self._reading() as db:
            row = db.execute("SELECT * FROM jobs WHERE key = ?", (job.key,)).fetchone()
        return None if row is None else self._to_record(row)

    def get(self, job: str) -> Record:
        """One job; raises InputError when it is unknown or damaged."""
        with self._reading() as db:
            row = db.execute(
                "SELECT * FROM jobs WHERE id = ? AND kind = coalesce(?, kind)", (job, self.kind)
            ).fetchone()
        if row is None:
            raise InputError(f"There is no {self._what} {job!r}. `runs list` shows all runs.")
        record = self._to_record(row)
        if isinstance(record, DamagedJob):
            raise DamageError(
                f"{self._what.capitalize()} {job} can't be used and should be deleted. {record.why}"
            )
        return record

    def find(self, prefix: str) -> Record:
        """The one job whose id begins so; raises InputError for none or several."""
        return self.get(self.find_id(prefix))

    def find_id(self, prefix: str) -> str:
        """The id of the one job that begins so, be it damaged; raises as `find` does."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT id FROM jobs WHERE ? != '' AND id >= ? AND id < ? "
                "AND kind = coalesce(?, kind) ORDER BY id LIMIT 5",
                (prefix, prefix, f"{prefix}\U0010ffff", self.kind),
            )
            matches = [row["id"] for row in rows]
        if len(matches) != 1:
            found = ", ".join(matches) or "none"
            raise InputError(
                f"Expected one {self._what} whose id begins with {prefix!r}, found {found}."
            )
        return matches[0]

    def ids(self) -> set[str]:
        """All jobs, the damaged ones too."""
        with self._reading() as db:
            where, values = ALL.condition(self.kind)
            return {row["id"] for row in db.execute(f"SELECT id FROM jobs WHERE {where}", values)}

    def list(
        self, which: Which = ALL, order: Order = Order.NEWEST, most: int | None = None
    ) -> list[Record]:
        """Jobs, the newest first: as `read`, without those that are damaged."""
        return [record for record in self.read(which, order, most) if isinstance(record, JobRecord)]

    def damaged(self) -> Sequence[DamagedJob]:
        """All jobs whose content can't be understood, the newest first."""
        return [record for record in self.read() if isinstance(record, DamagedJob)]

    def read(
        self, which: Which = ALL, order: Order = Order.NEWEST, most: int | None = None
    ) -> Sequence[Record | DamagedJob]:
        """Jobs, also those whose content can't be understood.

        Args:
            which: those that are wanted; by default all.
            order: which of them come first.
            most: no more than so many. Only they are read, however long the list is.
        """
        where, values = which.condition(self.kind)
        # the inner question is answered by indices, which hold the number of each row
        sql = (
            f"SELECT * FROM jobs WHERE rowid IN (SELECT rowid FROM jobs WHERE {where} "
            f"ORDER BY {order} LIMIT ?) ORDER BY {order}"
        )
        with self._reading() as db:
            rows = db.execute(sql, (*values, -1 if most is None else most)).fetchall()
        here = _look_at_datasets()
        return [self._to_record(row, here) for row in rows]

    def count(self, which: Which = ALL) -> int:
        """How many jobs there are, the damaged ones too."""
        where, values = which.condition(self.kind)
        with self._reading() as db:
            return db.execute(f"SELECT count(*) FROM jobs WHERE {where}", values).fetchone()[0]

    @property
    def _what(self) -> str:
        return "run" if self.kind == "train" else "job"

    def _to_record(
        self, row: sqlite3.Row, here: tuple[str, int] | None = None
    ) -> Record | DamagedJob:
        """The record of a row; with what `_look_at_datasets` gave its job is remembered."""
        fields = {name: row[name] for name in row.keys() if name not in UNSEEN}  # noqa: SIM118
        try:
            job = _recall_job(row["kind"], row["content"], here) if here else _read_job(row)
            return self.record_type(**fields, job=job)
        except (InputError, ValueError) as error:
            why = "What was asked of it is damaged, or of another version of this program."
            if isinstance(error, InputError):  # in our words
                why = f"{why} {error}"
            return DamagedJob(row["id"], row["name"], row["state"], why)

    def unfinished_studies(self) -> Sequence[str]:
        """Names of the studies of which a job waits or runs, the newest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT study FROM jobs WHERE study IS NOT NULL GROUP BY study "
                "HAVING max(state IN ('queued', 'paused', 'running')) ORDER BY max(rowid) DESC"
            )
            return [row["study"] for row in rows]

    def count_states(self, study: str) -> Counter[JobState]:
        """How many jobs of a study are in each state that any of them is in."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT state, count(*) FROM jobs WHERE study = ? GROUP BY state", (study,)
            )
            return Counter({JobState(state): count for state, count in rows})

    def pause(self, study: str) -> None:
        """Let the queued jobs of a study wait; one that is running goes on to its end."""
        self._change_study(study, JobState.QUEUED, JobState.PAUSED)

    def unpause(self, study: str) -> None:
        """Queue the waiting jobs of a study again."""
        self._change_study(study, JobState.PAUSED, JobState.QUEUED)

    def _change_study(self, study: str, old: JobState, new: JobState) -> None:
        with self._transaction() as db:
            db.execute("UPDATE jobs SET state = ? WHERE study = ? AND state = ?", (new, study, old))

    def cancel_study(self, study: str) -> None:
        """Stop all jobs of a study that haven't ended, as `cancel` does with one."""
        with self._transaction() as db:
            _cancel(db, "study = ?", study)

    def claim(self, device: str, lane: Lane = Lane.QUEUE, slot: int = 0) -> Record | None:
        """Take the first job of a lane that waits for no other, and mark it as running.

        None when there is none, of a kind that this program knows. One that can't be understood
        fails, and the next is taken. Only for the holder of the worker's lease.
        """
        while isinstance(record := self._claim(Worker(device, lane, slot)), DamagedJob):
            self.finish(record.id, JobState.FAILED, record.why)
        return record

    def _claim(self, worker: Worker) -> Record | DamagedJob | None:
        with self._transaction() as db:
            row = _claim(db, worker)
        return None if row is None else self._to_record(row)

    def set_progress(self, job: str, done: int, total: int, message: str) -> None:
        """Say how far a running job is."""
        self.tell({job: (done, total, message)}, [])

    def add_event(self, job: str, part: int, step: int, row: dict[str, Any]) -> None:
        """Store what was measured at a step; one that is done again replaces itself."""
        self.tell({}, [(job, part, step, row)])

    def tell(
        self,
        progress: Mapping[str, Progress],
        events: Sequence[tuple[str, int, int, dict[str, Any]]],
    ) -> None:
        """Store how far running jobs are, and what was measured, all in one transaction.

        Args:
            progress: id of a job -> steps that are done, steps in all, a message.
            events: job, part, step and what was measured; a step that is done again replaces
                itself.
        """
        with self._transaction(lasting=False) as db:
            db.executemany(
                "UPDATE jobs SET done = ?, total = ?, message = ? WHERE id = ?",
                [(*told, job) for job, told in progress.items()],
            )
            db.executemany(
                "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?)",
                [(job, part, step, json.dumps(row)) for job, part, step, row in events],
            )

    def events(self, job: str) -> Sequence[tuple[int, dict[str, Any]]]:
        """All that a job measured, in the order of parts and steps: part, row."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT part, row FROM events WHERE job = ? ORDER BY part, step", (job,)
            ).fetchall()
        return [(row["part"], json.loads(row["row"])) for row in rows]

    def events_version(self, job: str) -> int:
        """A number that changes when an event of the job is written; 0 while there is none.

        The exception is a job's only event, written again by a later attempt.
        """
        with self._reading() as db:
            return db.execute(
                "SELECT coalesce(max(rowid), 0) FROM events WHERE job = ?", (job,)
            ).fetchone()[0]

    def finish(self, job: str, state: JobState, reason: str | None = None) -> None:
        """End a running job; one that has ended already stays as it is.

        The follower of one that is done is queued in the same moment.
        """
        with self._transaction() as db:
            _count_time(db, job)
            ended = db.execute(
                "UPDATE jobs SET state = ?, reason = ?, finished = ?, cancel = NULL, message = '', "
                "done = CASE WHEN ? THEN total ELSE done END WHERE id = ? AND state = 'running' "
                "RETURNING follower",
                (state, reason, _now(), state == JobState.DONE, job),
            ).fetchone()
            if ended is not None and state == JobState.DONE and ended["follower"]:
                with suppress(InputError, ValueError):  # of another version
                    _follow(db, _restore(**json.loads(ended["follower"])))

    def let_follow(self, job: str, follower: Job) -> None:
        """Have another job queued as soon as one is done, at once where it is done already.

        It is queued by whoever ends that job, whether or not somebody looks. A job that ends
        without a result is followed when it was resumed and is done; of several followers the
        last one counts.
        """
        document = json.dumps({"kind": follower.kind, "content": follower.content()})
        with self._transaction() as db:
            row = db.execute(
                "UPDATE jobs SET follower = ? WHERE id = ? RETURNING state", (document, job)
            ).fetchone()
            if row is not None and row["state"] == JobState.DONE:
                _follow(db, follower)

    def label(
        self,
        job: str,
        *,
        name: str | None = None,
        note: str | None = None,
        tags: str | None = None,
        starred: bool | None = None,
    ) -> None:
        """Change what people call a job, and whether lists show it first; None: as it was.

        Raises InputError for a name that is empty or too long.
        """
        if name is not None and not 0 < len(name.strip()) <= LONGEST_NAME:
            raise InputError(f"A name has 1 to {LONGEST_NAME} characters, got {len(name)}.")
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET name = coalesce(?, name), note = coalesce(?, note), "
                "tags = coalesce(?, tags), starred = coalesce(?, starred) WHERE id = ?",
                (name and name.strip(), note, tags, starred, job),
            )
        record = self.get(job)
        if record.folder.exists():
            write_listing(record)

    def respecify(self, id: str, job: Job) -> None:
        """Replace a content that can't be understood by the one in the job's folder."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET content = ? WHERE id = ?", (_dump(job), id))
            _identify_one(db, id, job)

    def adopt(self, record: JobRecord) -> None:
        """List a job that the list has lost; one that is listed stays as it is."""
        finished = record.finished and record.finished.isoformat()
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM jobs WHERE id = ?", (record.id,)).fetchone() is None:
                _insert(db, record.id, record.job, name=record.name, state=record.state,
                        reason=record.reason, created=record.created.isoformat(),
                        finished=finished, parent=record.parent, study=record.study,
                        note=record.note, tags=record.tags, starred=record.starred)  # fmt: skip

    def reopen(self, job: str, reason: str) -> None:
        """Let a job that is done count as failed, so that it can be resumed."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = ?, reason = ? WHERE id = ? AND state = ?",
                (JobState.FAILED, reason, job, JobState.DONE),
            )

    def cancel(self, job: str) -> None:
        """Stop a job: at once while it waits, and when it next looks while it runs.

        Raises InputError when it has ended already.
        """
        with self._transaction() as db:
            stopped = _cancel(db, "id = ?", job)
        if not stopped:
            raise InputError(
                f"{self._what.capitalize()} {job} is {self.get(job).state} and can't be cancelled "
                "any more."
            )

    def requests(self, job: str) -> Requests:
        """What somebody asks of a running job; one that is gone from the store shall stop."""
        with self._reading() as db:
            row = db.execute("SELECT cancel, enough FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None:
            return Requests(True, False)
        return Requests(row["cancel"] is not None, bool(row["enough"]))

    def all_requests(self) -> dict[str, Requests]:
        """What somebody asks of running jobs, of those of which anything is asked."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT id, cancel, enough FROM jobs "
                "WHERE state = 'running' AND (cancel IS NOT NULL OR enough)"
            ).fetchall()
        return {row["id"]: Requests(row["cancel"] is not None, bool(row["enough"])) for row in rows}

    def resume(self, job: str, *, again: bool = False) -> None:
        """Queue a job that ended without a result again; it goes on from where it was.

        With `again` also one that is done, whose result is gone.

        Raises InputError in any other state.
        """
        record = self.get(job)
        self.need_quota(record.job)
        states = [state for state in JobState if state.resumable or (again and state.finished)]
        with self._transaction() as db:
            changed = _queue_again(db, job, states)
        if not changed:
            raise InputError(
                f"{self._what.capitalize()} {job} is {record.state}; only a failed or cancelled "
                f"{self._what} can be resumed."
            )
        log_event("job queued", job=job, kind=record.kind)

    def move_first(self, job: str) -> None:
        """Run a queued job before all others that wait.

        Raises InputError when it doesn't wait.
        """
        with self._transaction() as db:
            moved = db.execute(
                "UPDATE jobs SET place = (SELECT min(place) - 1 FROM jobs) "
                "WHERE id = ? AND state = 'queued'",
                (job,),
            ).rowcount
        if not moved:
            raise InputError(
                f"{self._what.capitalize()} {job} is {self.get(job).state}, not queued."
            )

    def stop_early(self, job: str) -> None:
        """End a running job after the step at hand, as if that had been the last.

        Raises InputError when it isn't running.
        """
        with self._transaction() as db:
            asked = db.execute(
                "UPDATE jobs SET enough = 1 WHERE id = ? AND state = 'running'", (job,)
            ).rowcount
        if not asked:
            raise InputError(
                f"{self._what.capitalize()} {job} is {self.get(job).state}, not running."
            )

    def delete(self, job: str) -> None:
        """Delete a job and its folder, be they damaged, and answers that were about it.

        Raises InputError while it is running, and while others need it.
        """
        id = self.find_id(job)
        self.check_unused(id, f"{self._what.capitalize()} {id}")
        with self._transaction() as db:
            row = db.execute("SELECT kind, state FROM jobs WHERE id = ?", (id,)).fetchone()
            deleted = row is not None and row["state"] != JobState.RUNNING
            if deleted:
                folder = job_class(row["kind"]).folder(id)
                doomed = folder.with_name(f"{DOOMED}{id}")
                db.execute("DELETE FROM jobs WHERE id = ?", (id,))
                if folder.exists():
                    shutil.rmtree(doomed, ignore_errors=True)
                    folder.rename(doomed)
        if not deleted:
            raise InputError(
                f"{self._what.capitalize()} {id} is running. Cancel it first, then delete it."
            )
        shutil.rmtree(doomed, ignore_errors=True)
        self.forget_answers(id)

    def check_unused(self, input: str, what: str) -> None:
        """Refuse to delete a dataset or a job that others need.

        A dataset is needed by jobs that wait or run; a job also by those of the queue that ended
        without a result, which may be resumed.

        Args:
            input: the id of what shall be deleted: a dataset, a job, or a model that was sent.
            what: the same in words.

        Raises:
            InputError: names who needs it.
        """
        is_job = len(input) == 16
        with self._reading() as db:
            rows = db.execute(
                "SELECT jobs.id, kind, state FROM needs JOIN jobs ON jobs.id = needs.job "
                "WHERE needs.input = ? AND state != 'done' ORDER BY jobs.rowid DESC",
                (input,),
            ).fetchall()
        needing = [
            row
            for row in rows
            if not JobState(row["state"]).finished or (is_job and row["kind"] == RUN)
        ]
        if needing:
            some = ", ".join(f"{row['kind']} {row['id']} ({row['state']})" for row in needing[:3])
            more = f" and {len(needing) - 3} more" if len(needing) > 3 else ""
            way = "Delete or finish" if is_job else "Cancel them, or wait for"
            raise InputError(
                f"{what} is needed by work that is not done: {some}{more}. {way} "
                f"{'that' if is_job else 'them,'} first."
            )

    def forget_answers(self, input: str) -> None:
        """Forget jobs, save runs, that have ended and were about a dataset or job that is gone."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT jobs.id FROM needs JOIN jobs ON jobs.id = needs.job "
                "WHERE needs.input = ? AND kind != ?",
                (input, RUN),
            ).fetchall()
        self._forget([row["id"] for row in rows])

    def _forget(self, jobs: Sequence[str]) -> None:
        everything = JobStore(self.path)
        for job in jobs:
            with suppress(InputError):  # it runs again, or is gone
                everything.delete(job)

    def clean(self) -> None:
        """Remove what interrupted deletions left, and interactive jobs that ended long ago."""
        for doomed in (*home().glob(f"runs/{DOOMED}*"), *home().glob(f"jobs/{DOOMED}*")):
            shutil.rmtree(doomed, ignore_errors=True)
        with self._reading() as db:
            rows = db.execute(
                "SELECT id FROM jobs WHERE lane = ? AND finished < ? AND state != 'running'",
                (Lane.INTERACTIVE, (_clock() - timedelta(days=KEPT_DAYS)).isoformat()),
            ).fetchall()
        self._forget([row["id"] for row in rows])

    def position(self, job: str) -> int:
        """How many queued jobs of its lane come before this one, itself included; else 0."""
        with self._reading() as db:
            return db.execute(
                "SELECT count(*) FROM jobs, (SELECT place AS own, lane AS its FROM jobs "
                "WHERE id = ? AND state = 'queued') "
                "WHERE state = 'queued' AND lane = its AND place <= own",
                (job,),
            ).fetchone()[0]

    def waiting(
        self, lane: Lane = Lane.QUEUE, *, on_cluster: bool = False, most: int | None = None
    ) -> int:
        """How many jobs of a lane could be claimed now, by this computer's workers or a cluster.

        With `most` no more than so many are counted, which is quick however many there are.
        """
        kinds = kinds_of(on_cluster=on_cluster)
        with self._reading() as db:
            return db.execute(
                # the + has SQLite begin with the kinds: most that wait may be for others
                f"SELECT count(*) FROM (SELECT 1 FROM jobs WHERE {READY} AND +lane = ? "
                f"AND {_any_of(kinds)} LIMIT ?)",
                (lane, *kinds, -1 if most is None else most),
            ).fetchone()[0]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are of each kind and state."""
        with self._reading() as db:
            rows = db.execute("SELECT kind, state, count(*) FROM jobs GROUP BY kind, state")
            return {(kind, state): count for kind, state, count in rows}

    def times(self, seconds: float) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
        """How long jobs waited and lasted, each kind's in seconds.

        Waited: those that were first asked for in the last `seconds` and have started; one that
        was resumed counts to its last start. Lasted: those that were done in the last `seconds`.
        """
        since = (_clock() - timedelta(seconds=seconds)).isoformat()
        lanes = ", ".join(f"'{lane}'" for lane in Lane)
        found: dict = {}
        with self._reading() as db:
            for place, (first, last, which) in enumerate(
                (
                    ("created", "started", "started > :since AND created > :since"),
                    ("started", "finished", "state = 'done' AND finished > :since"),
                )
            ):
                rows = db.execute(
                    f"SELECT kind, {first}, {last} FROM jobs "
                    f"WHERE lane IN ({lanes}) AND {which} AND {first} IS NOT NULL",
                    {"since": since},
                )
                for kind, begun, ended in rows:
                    lasted = datetime.fromisoformat(ended) - datetime.fromisoformat(begun)
                    found.setdefault(kind, ([], []))[place].append(lasted.total_seconds())
        return found

    def running(self) -> dict[str, Worker]:
        """Each running job and who runs it."""
        with self._reading() as db:
            rows = db.execute("SELECT id, device, lane, slot FROM jobs WHERE state = 'running'")
            return {row["id"]: Worker(row["device"], row["lane"], row["slot"]) for row in rows}

    def overdue(self) -> dict[str, Worker]:
        """Running jobs that were cancelled and don't stop, longer than their kind may take."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT id, kind, device, lane, slot, cancel FROM jobs "
                "WHERE state = 'running' AND cancel IS NOT NULL"
            ).fetchall()
        return {
            row["id"]: Worker(row["device"], row["lane"], row["slot"])
            for row in rows
            # a time in the future is that of a clock that has been set back since
            if abs(time.time() - row["cancel"]) >= job_class(row["kind"]).patience
        }

    def reconcile(self) -> None:
        """Queue again, or end, what dead workers left: jobs of workers whose lease nobody holds.

        A worker holds its lease from before it claims its first job, and the jobs are read before
        the lease is looked at, so this can't hit a living one. Not for a worker about its own
        lease; it calls `take_over`. Does nothing where the store may only be read.
        """
        if not os.access(self.path, os.W_OK):
            return
        running = self.running()
        for worker in set(running.values()):
            if not is_held(self.lease_path(*worker)):
                self._bury(running, worker)

    def take_over(self, device: str, lane: Lane = Lane.QUEUE, slot: int = 0) -> None:
        """Queue again, or end, what a worker was running, because it died."""
        self._bury(self.running(), Worker(device, lane, slot))

    def _bury(self, running: dict[str, Worker], worker: Worker) -> None:
        """Queue jobs of a dead worker again, or end those on which too many died.

        What another worker has claimed meanwhile goes on.
        """
        for job in [job for job, its in running.items() if its == worker]:
            # who submits to a cluster runs nothing itself, so that no job can be what killed it
            self.lose(job, worker, blamed=worker.device != CLUSTER)

    def lose(self, job: str, worker: Worker, *, blamed: bool) -> None:
        """Queue a job of a worker again whose process is dead, or end it; unless others have it.

        Args:
            job: its id.
            worker: who ran it.
            blamed: whether it may be what killed its process, which ends it after some times.
        """
        with self._transaction() as db:
            _count_time(db, job)
            row = db.execute(
                "UPDATE jobs SET deaths = deaths + ? WHERE id = ? AND state = 'running' "
                "AND device IS ? AND lane = ? AND slot = ? RETURNING kind, deaths, cancel",
                (blamed, job, *worker),
            ).fetchone()
            if row is None:
                return
            state, reason = JobState.QUEUED, None
            if row["cancel"] is not None:
                state, reason = JobState.CANCELLED, BY_USER
            elif row["deaths"] >= MOST_DEATHS:
                state = JobState.FAILED
                log = read_log(job_class(row["kind"]).folder(job))
                reason = (
                    f"The worker process died {row['deaths']} times on this "
                    f"{'run' if row['kind'] == 'train' else 'job'}, so it is not tried again "
                    "by itself. Is there enough memory? It can be resumed and goes on from "
                    f"where it was.\nEnd of its log:\n{log[-LOG_END:]}"
                )
            db.execute(
                "UPDATE jobs SET state = ?, reason = ?, finished = ?, cancel = NULL, "
                "message = '' WHERE id = ?",
                (state, reason, None if state == JobState.QUEUED else _now(), job),
            )

    def turn(self, lane: Lane) -> tuple[int, str]:
        """How many jobs of a lane run now, and when the last one started; "" where none did.

        The smaller, the sooner it is this home's turn.
        """
        with self._reading() as db:
            return tuple(
                db.execute(
                    "SELECT (SELECT count(*) FROM jobs WHERE state = 'running' AND lane = :lane), "
                    "max((SELECT coalesce(max(started), '') FROM jobs WHERE lane = :lane), "
                    "(SELECT coalesce(max(started), '') FROM spent WHERE lane = :lane))",
                    {"lane": lane},
                ).fetchone()
            )

    def device_hours(self, days: float = 7) -> float:
        """Hours for which jobs held a device in the last days, those that run now included.

        What was deleted since, or begun again, counts as well.
        """
        since = (_clock() - timedelta(days=days)).isoformat()
        with self._reading() as db:
            rows = db.execute(
                "SELECT started, ended FROM spent WHERE ended > ? UNION ALL "
                "SELECT started, ? FROM jobs WHERE state = 'running' AND started IS NOT NULL",
                (since, _now()),
            ).fetchall()
        spans = [
            datetime.fromisoformat(row["ended"])
            - datetime.fromisoformat(max(row["started"], since))
            for row in rows
        ]
        return sum((max(span, timedelta()) for span in spans), timedelta()) / timedelta(hours=1)

    def lease_path(self, device: str | None, lane: Lane = Lane.QUEUE, slot: int = 0) -> Path:
        """The lock file that a worker holds: one for all homes that it works in."""
        name = "worker" if device is None else f"worker-{device.replace(':', '-')}"
        if lane != Lane.QUEUE or slot:
            name += f"-{lane}-{slot}"
        return server_of(self.path.parent) / f"{name}.lease"


UNSEEN = ("key", "content", "cancel", "enough", "deaths", "follower")
"""Columns that only the store itself reads."""
READY = (
    "state = 'queued' AND NOT EXISTS (SELECT 1 FROM needs JOIN jobs AS other "
    "ON other.id = needs.input WHERE needs.job = jobs.id "
    "AND other.state IN ('queued', 'paused', 'running'))"
)
"""Waits for nothing but a worker. What needs a job that ended without a result says so itself."""


def _enter(
    db: sqlite3.Connection,
    job: Job,
    name: str | None = None,
    parent: str | None = None,
    study: str | None = None,
) -> tuple[str, bool]:
    """List a job unless it is listed; gives its id, and whether it is new."""
    known = db.execute("SELECT id FROM jobs WHERE key = ?", (job.key,)).fetchone()
    if known is None:
        _insert(db, job.key, job, name=name or job.title(), state=JobState.QUEUED,
                created=_now(), parent=parent, study=study)  # fmt: skip
    id = job.key if known is None else known["id"]
    db.execute("UPDATE jobs SET study = ? WHERE id = ? AND study IS NULL", (study, id))
    return id, known is None


def _follow(db: sqlite3.Connection, follower: Job) -> None:
    """Queue a job after the one that it follows, also where it had failed before."""
    if not follower.stands():
        id, _ = _enter(db, follower)
        _queue_again(db, id, [state for state in JobState if state.resumable])


def _count_time(db: sqlite3.Connection, job: str) -> None:
    """Note for how long a running job has held its device, and forget what is long ago."""
    db.execute(
        "INSERT INTO spent SELECT id, lane, device, started, ? FROM jobs "
        "WHERE id = ? AND state = 'running' AND started IS NOT NULL",
        (_now(), job),
    )
    then = (_clock() - timedelta(days=KEPT_SPENT_DAYS)).isoformat()
    db.execute("DELETE FROM spent WHERE ended < ?", (then,))


def _queue_again(db: sqlite3.Connection, id: str, states: Sequence[JobState]) -> int:
    """Queue a job that is in one of some states, behind all others; 1 if it was."""
    return db.execute(
        "UPDATE jobs SET state = 'queued', reason = NULL, started = NULL, finished = NULL, "
        "cancel = NULL, enough = 0, deaths = 0, done = 0, message = '', "
        "place = (SELECT 1 + max(place) FROM jobs) "
        f"WHERE id = ? AND state IN ({', '.join('?' * len(states))})",
        (id, *states),
    ).rowcount


def _claim(db: sqlite3.Connection, worker: Worker, only: str | None = None) -> sqlite3.Row | None:
    """Mark the first job that is ready for a worker, or `only` this one, as run by it."""
    kinds = [*KINDS] if only else kinds_of(on_cluster=worker.device == CLUSTER)
    return db.execute(
        "UPDATE jobs SET state = 'running', started = ?, reason = NULL, "
        "message = 'Starting', device = ?, slot = ? "
        f"WHERE id = (SELECT id FROM jobs WHERE {READY} AND lane = ? AND {_any_of(kinds)} "
        "AND id = coalesce(?, id) ORDER BY place LIMIT 1) RETURNING *",
        (_now(), worker.device, worker.slot, worker.lane, *kinds, only),
    ).fetchone()


def _cancel(db: sqlite3.Connection, which: str, value: str) -> int:
    """Stop jobs at once that wait, and ask those that run to stop; how many."""
    waiting = db.execute(
        "UPDATE jobs SET state = 'cancelled', reason = ?, finished = ? "
        f"WHERE {which} AND state IN ('queued', 'paused')",
        (BY_USER, _now(), value),
    ).rowcount
    running = db.execute(
        f"UPDATE jobs SET cancel = coalesce(cancel, ?) WHERE {which} AND state = 'running'",
        (time.time(), value),
    ).rowcount
    return waiting + running


def _any_of(kinds: Sequence[str]) -> str:
    return f"kind IN ({', '.join('?' * len(kinds))})"


def _insert(db: sqlite3.Connection, id: str, job: Job, **columns: str | bool | None) -> None:
    """Append a job to the list."""
    columns |= {"id": id, "kind": job.kind, "lane": job.lane, "content": _dump(job)}
    db.execute(
        f"INSERT INTO jobs (place, {', '.join(columns)}) VALUES "
        f"((SELECT 1 + coalesce(max(place), 0) FROM jobs), {', '.join('?' * len(columns))})",
        tuple(columns.values()),
    )
    _identify_one(db, id, job)


def _identify_one(db: sqlite3.Connection, id: str, job: Job) -> None:
    db.execute("UPDATE OR IGNORE jobs SET key = ? WHERE id = ?", (job.key, id))
    db.execute("DELETE FROM needs WHERE job = ?", (id,))
    inputs = job.inputs()
    for input in {*inputs.datasets, *inputs.jobs, *inputs.models, *inputs.tissues}:
        db.execute("INSERT INTO needs VALUES (?, ?)", (id, input))


def _read_job(row: sqlite3.Row) -> Job:
    """Raises InputError or ValueError when it can't be understood."""
    return _restore(row["kind"], json.loads(row["content"]))


def _look_at_datasets() -> tuple[str, int]:
    """What changes where a dataset comes or goes: a job is read by what is known of its dataset."""
    folder = home() / "datasets"
    with suppress(FileNotFoundError):
        return str(folder), folder.stat().st_mtime_ns
    return str(folder), 0


@lru_cache(REMEMBERED)
def _recall_job(kind: str, content: str, here: tuple[str, int]) -> Job:
    """As `_read_job`; pages read the same long list again and again."""
    return _restore(kind, json.loads(content))


def _restore(kind: str, content: dict[str, Any]) -> Job:
    return job_class(kind).restore(content)


def _dump(job: Job) -> str:
    return json.dumps(job.content(), ensure_ascii=False)


def _clock() -> datetime:
    return datetime.now(UTC)


def _now() -> str:
    return _clock().isoformat()
