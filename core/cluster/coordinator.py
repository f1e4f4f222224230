"""The coordinator: the one process that submits a home's jobs to a Ray cluster and ends them.

Started by `core.jobs.launch` where GENECANVAS_RAY names a cluster. It claims jobs as a worker does,
in the name of all devices of the cluster, and is alone in writing of them to the list of jobs. When
it dies Ray ends its tasks, and the next one goes on from what they have left.
"""

import json
import os
import secrets
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import ray

from core.cluster.attempt import Attempt, end_all, note
from core.cluster.nodes import Nodes
from core.cluster.post import Asked, Told, start_post
from core.cluster.task import Order, run_attempt
from core.devices import CLUSTER, cluster
from core.errors import GeneCanvasError, InputError, StoreError
from core.home import home
from core.jobs.computers import Computers
from core.jobs.job import KINDS, Lane
from core.jobs.record import JobRecord, JobState, Worker, write_listing
from core.jobs.store import JobStore
from core.jobs.worker import (
    Stop,
    StoreReporter,
    keep_quiet,
    persist,
    read_program,
    warm_seconds,
)
from core.lease import Lease

LOOK = 2.0
"""Seconds between two looks at the computers of the cluster."""
PAUSE = 0.5
"""Seconds for which nothing is done where nothing is heard."""
WORKER = Worker(CLUSTER)


class Running:
    """An attempt that was submitted."""

    def __init__(self, store: JobStore, record: JobRecord, attempt: Attempt) -> None:
        self.record, self.attempt, self.own = record, attempt, record.folder
        self.reporter = StoreReporter(store, record, keep_quiet)
        self.task: ray.ObjectRef | None = None
        self.node: str | None = None
        """Where it runs; None until it has begun."""
        self.advanced = self.forced = False


class Coordinator:
    """Submits, listens, and ends what has ended."""

    def __init__(self, store: JobStore, address: str) -> None:
        self.store, self.address = store, address
        self.token = secrets.token_hex(8)
        self.running: dict[str, Running] = {}
        """Name of the attempt -> the attempt."""
        self.tries: dict[str, int] = {}
        # with the token, before computers look for it
        Computers(address=address, seen=datetime.now(UTC), token=self.token).save()
        self.post = start_post(home())
        self.nodes = Nodes(home(), self.token)
        self.share = self.nodes.share()
        self._heard = self.post.collect.remote(PAUSE)
        self._looked, self._saved = 0.0, ""

    def serve(self, stop: Stop) -> None:
        """Go on until there has been nothing to do for some minutes, or the program changes."""
        program, idle = read_program(), time.monotonic()
        looked_at_program = idle
        with self.store.kept_open() as changed:
            leaving = asked = False
            while not stop.asked:
                now = time.monotonic()
                if now - self._looked > LOOK:
                    self._look()
                if now - looked_at_program > LOOK:
                    leaving, looked_at_program = read_program() != program, now
                if not leaving:
                    self._submit()
                if changed() or asked:
                    asked = self._pass_on()
                self._listen()
                if self.running or (not leaving and self._waiting()):
                    idle = time.monotonic()
                elif leaving or time.monotonic() - idle >= warm_seconds():
                    return

    def _waiting(self) -> int:
        return persist(self.store, lambda: self.store.waiting(Lane.QUEUE, on_cluster=True))

    # --- the computers ----------------------------------------------------------------------

    def _look(self) -> None:
        self._looked = time.monotonic()
        if self.nodes.look():
            self.share = self.nodes.share()
        self._save()

    def _save(self) -> None:
        """Let pages know; the file is written when something has changed, and each minute."""
        computers = tuple(
            computer.model_copy(update={"jobs": self._jobs_on(id)})
            for id, computer in self.nodes.alive.items()
        )
        now = datetime.now(UTC)
        said = f"{now:%H:%M} {computers}"
        if said != self._saved:
            Computers(
                address=self.address, seen=now, token=self.token, at_once=self.share.at_once,
                computers=computers,
            ).save()  # fmt: skip
            self._saved = said

    def _jobs_on(self, node: str) -> tuple[str, ...]:
        return tuple(one.record.id for one in self.running.values() if one.node == node)

    # --- jobs -------------------------------------------------------------------------------

    def _submit(self) -> None:
        while len(self.running) < self.share.at_once:
            record = persist(self.store, lambda: self.store.claim(*WORKER))
            if record is None:
                return
            number = self.tries[record.id] = self.tries.get(record.id, 0) + 1
            attempt = Attempt.begin(record, number)
            with suppress(OSError):
                write_listing(record)
            one = self.running[attempt.name] = Running(self.store, record, attempt)
            ray.get(self.post.expect.remote(attempt.name, str(attempt.folder)))
            one.task = self._start(one)
            self._say(record.id, 0, 1, "Waits for a computer of the cluster")

    def _start(self, one: Running) -> ray.ObjectRef:
        record, place = one.record, home()
        order = Order(
            attempt=one.attempt.name, number=one.attempt.number, job=record.id, kind=record.kind,
            content=record.job.content(), name=record.name,
            own=str(one.own.relative_to(place)),
            folder=str(one.attempt.folder.relative_to(place)),
            needs=self._needs(record), home=str(place), token=self.token,
            threads=self.share.threads, kinds=dict(KINDS),
        )  # fmt: skip
        options: dict[str, Any] = {}
        if unused := self.nodes.unused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(unused)})"}
        task = ray.remote(max_retries=0, max_calls=1)(run_attempt).options(
            num_cpus=self.share.threads, num_gpus=self.share.gpus, name=record.id, **options
        )  # fmt: skip
        return task.remote(order, self.post)

    def _needs(self, record: JobRecord) -> tuple[str, ...]:
        """Paths within the home of all that a job reads, and of what jobs that it reads began with.

        What is missing is left out: the job says so.
        """
        place, found, jobs, seen = home(), [], [record.job], set()
        while jobs:
            inputs = jobs.pop().inputs()
            found += [f"datasets/{id}" for id in inputs.datasets]
            found += [f"models/{id}" for id in inputs.models]
            found += [f"tissues/{id}" for id in inputs.tissues]
            found += inputs.files
            for id in inputs.jobs:
                if id not in seen:
                    seen.add(id)
                    with suppress(GeneCanvasError):
                        needed = self.store.get(id)
                        found.append(str(needed.folder.relative_to(place)))
                        jobs.append(needed.job)
        return tuple(path for path in dict.fromkeys(found) if (place / path).exists())

    def _pass_on(self) -> bool:
        """Tell tasks what is asked of them, and end those that don't hear; whether any is asked."""
        requests = persist(self.store, self.store.all_requests)
        overdue = persist(self.store, self.store.overdue)
        asked = {}
        for name, one in self.running.items():
            if request := requests.get(one.record.id):
                asked[name] = Asked(request.cancel, request.enough)
                if request.cancel and (one.node is None or one.record.id in overdue):
                    self._force(one)
        self.post.ask.remote(asked)
        return bool(asked)

    def _force(self, one: Running) -> None:
        if not one.forced:
            one.forced = True
            ray.cancel(one.task, force=True)

    def _listen(self) -> None:
        """Wait a moment for what tasks tell, and for those that end."""
        tasks = {one.task: one for one in self.running.values()}
        ready, _ = ray.wait([self._heard, *tasks], num_returns=1, timeout=PAUSE, fetch_local=False)
        ended = [tasks[ref] for ref in ready if ref in tasks]
        if ended or self._heard in ready:
            if ended:  # what they told last is in the post by now
                others = ray.wait(list(tasks), num_returns=len(tasks), timeout=0, fetch_local=False)
                ended = [tasks[ref] for ref in others[0]]
            self._hear(ray.get(self._heard))
            if ended:
                self._hear(ray.get(self.post.collect.remote(0)))
            self._heard = self.post.collect.remote(PAUSE)
        for one in ended:
            self._end(one)

    def _hear(self, all_told: list[tuple[str, Told]]) -> None:
        latest: dict[str, tuple[int, int, str]] = {}
        for name, told in all_told:
            if one := self.running.get(name):
                one.node = told.node
                for event in told.events:
                    one.advanced = True
                    one.reporter.event(*event)
                note(one.own, told.log)
                if told.progress:
                    latest[one.record.id] = told.progress
        for job, progress in latest.items():
            self._say(job, *progress)

    def _say(self, job: str, done: int, total: int, text: str) -> None:
        with suppress(StoreError):
            self.store.set_progress(job, done, total, text)

    def _end(self, one: Running) -> None:
        """End a job whose task has ended, or have it tried again."""
        state, reason, lost = None, None, ""
        try:
            state, reason = ray.get(one.task)
        except ray.exceptions.RayTaskError as error:
            note(one.own, f"{error}\n")
            last = str(error).strip().splitlines()[-1]
            state, reason = JobState.FAILED, f"Unexpected {last}. The log has the details."
        except ray.exceptions.RayError as error:
            lost = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        ray.get(self.post.forget.remote(one.attempt.name))
        del self.running[one.attempt.name]
        if lost:
            note(one.own, f"attempt {one.attempt.number} was lost. {lost}\n")
        one.attempt.end(one.own)
        with suppress(StoreError):
            persist(self.store, one.reporter.write_events)
        job = one.record.id
        if lost:
            blamed = not one.advanced
            persist(self.store, lambda: self.store.lose(job, WORKER, blamed=blamed))
        else:
            persist(self.store, lambda: self.store.finish(job, JobState(state), reason))


def main() -> None:
    """Submit a home's jobs to the cluster that GENECANVAS_RAY names, as long as there are any.

    Returns at once where another process does. After giving the lease back the queue is looked at
    once more, as by any worker.
    """
    store, stop = JobStore(), Stop()
    address = cluster()
    if address is None:
        raise InputError("GENECANVAS_RAY isn't set, so that there is no cluster to submit to.")
    lease = Lease(store.lease_path(*WORKER))
    stop.listen()
    while lease.acquire():
        connect(address)
        persist(store, lambda: end_all(store))
        persist(store, lambda: store.take_over(*WORKER))
        Coordinator(store, address).serve(stop)
        ray.shutdown()
        lease.release()
        if stop.asked or not store.waiting(Lane.QUEUE, on_cluster=True):
            return


def connect(address: str) -> None:
    """Become a driver of the cluster; raises InputError, and lets pages know, where that fails."""
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except Exception as error:  # Ray raises whatever its parts do
        problem = (
            f"The Ray cluster {address} can't be reached from this computer: "
            f"{str(error).strip().splitlines()[0]} Start Ray on this computer as docs/cluster.md "
            "says, or unset GENECANVAS_RAY."
        )
        Computers(address=address, seen=datetime.now(UTC), problem=problem).save()
        raise InputError(problem) from error


if __name__ == "__main__":
    KINDS.update(json.loads(sys.stdin.read() or "{}").get("kinds", {}))
    try:
        main()
        code = 0
    except GeneCanvasError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    sys.stderr.flush()
    os._exit(code)
