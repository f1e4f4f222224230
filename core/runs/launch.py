"""Starting workers as processes of their own, so that they outlive the page and the server."""

import os
import subprocess
import time
from pathlib import Path

from core.devices import devices
from core.lease import is_held
from core.processes import start_detached
from core.runs.store import RunStore

PATIENCE = 60
"""Seconds before another worker is started where the last one ended with an error."""

_started: dict[Path, tuple[subprocess.Popen, float]] = {}
"""The last worker that this process started for each lease, and when."""


def ensure_workers() -> None:
    """Start detached workers on free devices, as many as there are queued runs.

    A worker needs seconds until it holds its device's lease, and a page asks every second: as long
    as the worker that this process started is alive, it starts no other. Two processes may both
    start one; the second worker finds the lease taken and ends.
    """
    store = RunStore()
    if not os.access(store.path, os.W_OK):
        return  # a home that can only be looked at
    waiting = store.waiting()
    for device in devices() if waiting else ():
        lease = store.lease_path(device)
        if is_held(lease):
            continue
        if waiting == 0:
            return
        waiting -= 1
        child, when = _started.get(lease, (None, 0.0))
        if child is not None and child.poll() is None:
            continue
        if child is not None and child.returncode > 0 and time.monotonic() - when < PATIENCE:
            continue
        with store.path.with_name("worker.log").open("ab") as log:
            child = start_detached(
                "core.runs.worker", log, device, {**os.environ, "OMP_WAIT_POLICY": "passive"}
            )
        _started[lease] = child, time.monotonic()


def look_after_queue() -> None:
    """Queue again what dead workers left, and see that what is queued is trained."""
    RunStore().reconcile()
    ensure_workers()
