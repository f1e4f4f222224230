"""The coordinator: the one process that submits jobs to a Ray cluster and ends them.

Started by `core.jobs.launch` where GENECANVAS_RAY names a cluster. It claims jobs as a worker does,
in the name of all devices of the cluster, and is alone in writing of them to the list of jobs. When
it dies Ray ends its tasks, and the next one goes on from what they have left.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray

from core.cluster.attempt import Attempt, end_all, note
from core.cluster.nodes import Nodes, say_lines
from core.cluster.post import Asked, Told, start_post
from core.cluster.task import Order, run_attempt
from core.devices import CLUSTER, cluster
from core.errors import GeneCanvasError, InputError, StoreError
from core.home import at
from core.jobs.computers import Computers
from core.jobs.job import KINDS, Lane
from core.jobs.queue import Queue
from core.jobs.record import JobRecord, JobState, Worker, write_listing
from core.jobs.store import JobStore, Progress
from core.jobs.worker import Stop, persist, read_program, warm_seconds
from core.lease import Lease
from core.logs import log_event, start_log

LOOK = 2.0
"""Seconds between two looks at the computers of the cluster."""
LOOK_AT_PROGRAM = 10.0
"""Seconds between two looks at the files of this program."""
PAUSE = 0.5
"""Seconds between two passes, unless a task ends."""
WORKER = Worker(CLUSTER)
RUN_ATTEMPT = ray.remote(max_retries=0, max_calls=1)(run_attempt)
"""Made once: Ray takes some 10 ms to send a function for the first time."""


class Running:
    """An attempt that was submitted."""

    def __init__(self, store: JobStore, record: JobRecord, attempt: Attempt) -> None:
        self.store, self.record, self.attempt, self.own = store, record, attempt, record.folder
        self.progress: Progress | None = 0, 1, "Waits for a computer of the cluster"
        """What isn't in the list yet of how far it is."""
        self.events: list[tuple[int, int, dict[str, Any]]] = []
        """What isn't in the list yet of what it measured."""
        self.task: ray.ObjectRef | None = None
        self.node: str | None = None
        """Where it runs; None until it has begun."""
        self.advanced = self.forced = False


class Coordinator:
    """Submits, listens, and ends what has ended."""

    def __init__(self, queue: Queue, address: str) -> None:
        self.queue, self.address, self.place = queue, address, queue.path.parent
        self.token = secrets.token_hex(8)
        self.running: dict[str, Running] = {}
        """Name of the attempt -> the attempt."""
        self.tries: dict[tuple[Path, str], int] = {}
        # with the token, before computers look for it
        Computers(address=address, seen=datetime.now(UTC), token=self.token).save()
        self.post = start_post(self.place)
        self.nodes = Nodes(self.place, self.token)
        self.share = self.nodes.share()
        self._saved = ""
        self._asked: dict[str, Asked] = {}

    def serve(self, stop: Stop) -> None:
        """Go on until there has been nothing to do for some minutes, or the program changes."""
        program, leaving, asked = read_program(), False, False
        idle = looked_at_program = time.monotonic()
        looked = 0.0
        with self.queue.kept_open() as changed:
            while not stop.asked:
                now = time.monotonic()
                if now - looked_at_program > LOOK_AT_PROGRAM:
                    leaving, looked_at_program = read_program() != program, now
                news = changed()
                if now - looked > LOOK:
                    looked, news = now, True
                    self._look()
                    if self.running or (not leaving and self._waiting()):
                        idle = now
                    elif leaving or now - idle >= warm_seconds():
                        return
                if news and not leaving:
                    self._submit()
                if news or asked:
                    asked = self._pass_on()
                self._listen()

    def _waiting(self) -> int:
        return persist(self.queue, lambda: self.queue.waiting(Lane.QUEUE, on_cluster=True))

    # --- the computers ----------------------------------------------------------------------

    def _look(self) -> None:
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
            claimed = persist(self.queue, lambda: self.queue.claim(WORKER))
            if claimed is None:
                return
            store, record = claimed
            with at(store.path.parent):
                number = self.tries.get((store.path, record.id), 0) + 1
                self.tries[store.path, record.id] = number
                attempt = Attempt.begin(record, number)
                with suppress(OSError):
                    write_listing(record)
                one = self.running[attempt.name] = Running(store, record, attempt)
                ray.get(self.post.expect.remote(attempt.name, str(attempt.folder)))
                one.task = self._start(one)
            _write([one])
            log_event(
                "job started", job=record.id, kind=record.kind, lane=record.lane, device=CLUSTER
            )

    def _start(self, one: Running) -> ray.ObjectRef:
        record, mine = one.record, one.store.path.parent
        order = Order(
            attempt=one.attempt.name, number=one.attempt.number, job=record.id, kind=record.kind,
            content=record.job.content(), name=record.name, home=str(self.place),
            inner=str(mine.relative_to(self.place)), own=str(one.own.relative_to(mine)),
            folder=str(one.attempt.folder.relative_to(mine)), needs=find_needs(one.store, record),
            token=self.token, threads=self.share.threads, kinds=dict(KINDS),
        )  # fmt: skip
        options: dict[str, Any] = {}
        if unused := self.nodes.unused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(unused)})"}
        task = RUN_ATTEMPT.options(
            num_cpus=self.share.threads, num_gpus=self.share.gpus, name=record.id, **options
        )
        return task.remote(order, self.post)

    def _pass_on(self) -> bool:
        """Tell tasks what is asked of them, and end those that don't hear; whether any is asked."""
        asked = {}
        for several in self._by_home():
            store = several[0].store
            requests = persist(store, store.all_requests)
            overdue = persist(store, store.overdue) if requests else {}
            for one in several:
                if request := requests.get(one.record.id):
                    asked[one.attempt.name] = Asked(request.cancel, request.enough)
                    if request.cancel and (one.node is None or one.record.id in overdue):
                        self._force(one)
        if asked != self._asked:
            self.post.ask.remote(asked)
            self._asked = asked
        return bool(asked)

    def _by_home(self) -> list[list[Running]]:
        """What runs, that of each home together."""
        found: dict[Path, list[Running]] = {}
        for one in self.running.values():
            found.setdefault(one.store.path, []).append(one)
        return [*found.values()]

    def _force(self, one: Running) -> None:
        if not one.forced:
            one.forced = True
            ray.cancel(one.task, force=True)

    def _listen(self) -> None:
        """Wait until a task ends, at most a moment; then hear what all have told."""
        if not self.running:
            time.sleep(PAUSE)
            return
        tasks = {one.task: one for one in self.running.values()}
        ended, _ = ray.wait([*tasks], num_returns=1, timeout=PAUSE, fetch_local=False)
        self._hear(ray.get(self.post.collect.remote()))  # what the ended told last is there
        for task in ended:
            self._end(tasks[task])

    def _hear(self, all_told: list[tuple[str, Told]]) -> None:
        begun = False
        for name, told in all_told:
            if one := self.running.get(name):
                begun = begun or one.node is None
                one.node = told.node
                one.progress = told.progress or one.progress
                one.events += told.events
                one.advanced = one.advanced or bool(told.events)
                note(one.own, told.log)
        if begun:
            self._save()  # first: of what counts in a list it is known where it runs
        for several in self._by_home():
            _write(several)

    def _end(self, one: Running) -> None:
        """End a job whose task has ended, or have it tried again."""
        state, reason, lost = None, None, ""
        try:
            state, reason = ray.get(one.task)
        except ray.exceptions.RayTaskError as error:
            note(one.own, f"{error}\n")
            last = say_lines(error)[-1]
            state, reason = JobState.FAILED, f"Unexpected {last}. The log has the details."
        except ray.exceptions.RayError as error:
            lost = f"{type(error).__name__}: {say_lines(error)[0]}"
        ray.get(self.post.forget.remote(one.attempt.name))
        del self.running[one.attempt.name]
        if lost:
            note(one.own, f"attempt {one.attempt.number} was lost. {lost}\n")
        store, job = one.store, one.record.id
        with at(store.path.parent):
            one.attempt.end(one.own)
            _write([one], patiently=True)
            if lost:
                blamed = not one.advanced
                persist(store, lambda: store.lose(job, WORKER, blamed=blamed))
            else:
                del self.tries[store.path, job]
                persist(store, lambda: store.finish(job, JobState(state), reason))
        log_event("job ended", job=job, kind=one.record.kind, state=state or "lost")


def find_needs(store: JobStore, record: JobRecord) -> tuple[str, ...]:
    """Paths within the home of all that a job reads, and of what jobs that it reads began with.

    What is missing is left out: the job says so. `weights/` is the server's.
    """
    place, found, jobs, seen = store.path.parent, [], [record.job], set()
    while jobs:
        with at(place):
            inputs = jobs.pop().inputs()
        found += [f"datasets/{id}" for id in inputs.datasets]
        found += [f"models/{id}" for id in inputs.models]
        found += [f"tissues/{id}" for id in inputs.tissues]
        found += inputs.files
        for id in inputs.jobs:
            if id not in seen:
                seen.add(id)
                with suppress(GeneCanvasError):
                    needed = store.get(id)
                    found.append(str(needed.folder.relative_to(place)))
                    jobs.append(needed.job)
    return tuple(dict.fromkeys(found))


def _write(several: Sequence[Running], *, patiently: bool = False) -> None:
    """Put into the list of a home what its running jobs told, as soon as it can be written.

    What can't is kept until the next time; `patiently` waits for it, unless it never will be.
    """
    store = several[0].store
    progress = {one.record.id: one.progress for one in several if one.progress}
    events = [(one.record.id, *event) for one in several for event in one.events]
    if progress or events:
        with suppress(StoreError):
            if patiently:
                persist(store, lambda: store.tell(progress, events))
            else:
                store.tell(progress, events)
            for one in several:
                one.progress, one.events = None, []


def main() -> None:
    """Submit jobs to the cluster that GENECANVAS_RAY names, of all homes, while there are any.

    Returns at once where another process does. After giving the lease back the queue is looked at
    once more, as by any worker.
    """
    queue, stop = Queue(), Stop()
    address = cluster()
    if address is None:
        raise InputError("GENECANVAS_RAY isn't set, so that there is no cluster to submit to.")
    lease = Lease(JobStore(queue.path).lease_path(*WORKER))
    while lease.acquire():
        connect(address)
        stop.listen()  # after Ray, which would end the process in the middle of what it does
        for store in queue.stores():
            with at(store.path.parent):
                end_all(store)
        persist(queue, lambda: queue.take_over(WORKER))
        Coordinator(queue, address).serve(stop)
        ray.shutdown()
        lease.release()
        if stop.asked or not queue.waiting(Lane.QUEUE, on_cluster=True):
            return


def connect(address: str) -> None:
    """Become a driver of the cluster; raises InputError, and lets pages know, where that fails."""
    try:
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except Exception as error:  # Ray raises whatever its parts do
        problem = (
            f"The Ray cluster {address} can't be reached from this computer: "
            f"{say_lines(error)[0]} Start Ray on this computer as docs/cluster.md "
            "says, or unset GENECANVAS_RAY."
        )
        Computers(address=address, seen=datetime.now(UTC), problem=problem).save()
        raise InputError(problem) from error


if __name__ == "__main__":
    KINDS.update(json.loads(sys.stdin.read() or "{}").get("kinds", {}))
    start_log(sys.stderr, everything=False)
    try:
        main()
        code = 0
    except GeneCanvasError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    sys.stderr.flush()
    os._exit(code)
