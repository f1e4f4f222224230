"""Jobs on a Ray cluster of several computers, all on this machine's loopback."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from core.devices import CLUSTER
from core.files import read_json
from core.jobs import launch
from core.jobs.job import KINDS
from core.jobs.launch import look_after_jobs
from core.jobs.record import JobState, read_log
from core.jobs.store import JobStore
from tests.clusters import Cluster, cluster
from tests.counting import QueuedCount
from tests.workers import wait_until

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="no Ray")


@pytest.fixture(scope="module")
def ray() -> Iterator[Cluster]:
    with cluster() as started:
        for _ in range(3):
            started.add()
        yield started


@pytest.fixture(autouse=True)
def on_cluster(ray: Cluster, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Trainings of this home go to the cluster; its coordinator ends with the test."""
    monkeypatch.setenv("GENECANVAS_RAY", ray.address)
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    monkeypatch.setitem(KINDS, "queued count", "tests.counting:QueuedCount")
    yield
    if lease := launch._started.get(JobStore().lease_path(CLUSTER)):
        lease[0].kill()
        lease[0].wait()


def test_count() -> None:
    store = JobStore()
    ids = [store.submit(QueuedCount(to=to, wait=0.1))[0].id for to in range(5, 12)]
    look_after_jobs()
    wait_until(lambda: all(store.get(id).state.finished for id in ids), 60)
    for id in ids:
        assert store.get(id).state == JobState.DONE, store.get(id).reason
        print(read_log(store.get(id).folder))
        assert len(read_json(store.get(id).folder/"counted.json")) == store.get(id).job.to
