"""A run trained by the process that asks for it, or waited for; it is listed as any other run."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from anndata import AnnData

from core.data.store import add_dataset, content_hash
from core.errors import InputError
from core.home import run_folder
from core.jobs.launch import ensure_workers, find
from core.jobs.record import JobState, write_listing
from core.lease import Lease
from core.runs.preflight import preflight
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunStore
from core.runs.training import TrainJob

Say = Callable[[float, str], None]
"""Told the share that is done, 0 to 1, and what happens, in words."""


class _Teller:
    """A reporter that tells progress and never stops a run."""

    def __init__(self, say: Say) -> None:
        self.say = say

    def progress(self, done: int, total: int, text: str) -> None:
        self.say(done / total, text)

    def epoch(self, fold: int, row: dict[str, Any]) -> None:
        """Nothing: it stands in the result."""

    def enough(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False


def store_data(spec: RunSpec, data: AnnData, name: str) -> RunSpec:
    """The specification of a run on `data`, which is checked first and then stored.

    Raises:
        InputError: the cohort is of another dataset, `data` isn't as `read_dataset` gives it, or
            the run can't work on it.
    """
    if "scale" not in data.uns:
        raise InputError(
            "Expected an AnnData that was read by GeneCanvas, got one without uns['scale']. Write "
            "it with adata.write_h5ad(PATH), and read that file."
        )
    dataset, named = content_hash(data), spec.cohort.dataset
    if named not in (None, dataset):
        raise InputError(
            f"The cohort is of dataset {named[:12]}…, the AnnData is {dataset[:12]}…. Leave the "
            "cohort's dataset out, or give the AnnData that it names."
        )
    cohort = spec.cohort.model_copy(update={"dataset": dataset})
    spec = spec.model_copy(update={"cohort": cohort})
    preflight(spec, data)
    add_dataset(data, name)
    return spec


def train_here(spec: RunSpec, say: Say) -> str:
    """Train and test a run in this process, unless it is there already; gives its id.

    One that was interrupted goes on from its last epoch. One that waits in the queue, or is being
    trained by a worker, is waited for.

    Raises:
        GeneCanvasError: the run failed, or another process trains it at this moment.
    """
    from core.runs.execute import execute

    store = RunStore()
    job = TrainJob(spec=spec)
    if known := find(job):
        if known.state.resumable:
            store.resume(known.id)
        return wait_for(known.id, say)
    lease = Lease(run_folder(spec.id) / "here.lease")
    if not lease.acquire():
        raise InputError(f"Another process trains run {spec.id}. Wait for it, then ask again.")
    try:
        with quick_threads():
            execute(spec, run_folder(spec.id), _Teller(say))
    finally:
        lease.release()
    record = RunRecord(
        id=spec.id, kind=job.kind, lane=job.lane, place=0, name=spec.title(), job=job,
        state=JobState.DONE, reason=None, created=datetime.now(UTC), started=None,
        finished=datetime.now(UTC), done=1, total=1, message="", parent=None, study=None,
        device=None, slot=0,
    )  # fmt: skip
    write_listing(record)
    store.adopt(record)
    return spec.id


@contextmanager
def quick_threads() -> Iterator[None]:
    """Let torch take as many threads as are quick at this moment, as a worker does."""
    import torch

    from core.jobs.processor import choose_threads

    before = torch.get_num_threads()
    torch.set_num_threads(choose_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def wait_for(run: str, say: Say) -> str:
    """Wait until a run of the queue is done, with a worker for it; gives its id.

    Raises InputError with the reason when it ends otherwise.
    """
    store = RunStore()
    while not (record := store.get(run)).state.finished:
        if record.state == JobState.QUEUED:
            ensure_workers()
        say(record.done / record.total, record.message or str(record.state))
        time.sleep(0.2)
        store.reconcile()
    if record.state != JobState.DONE:
        raise InputError(f"Run {run} {record.state}: {record.reason}")
    return run
