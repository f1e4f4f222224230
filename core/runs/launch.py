"""Starting workers as processes of their own, so that they outlive the page and the server."""

import os
import subprocess
from pathlib import Path

from core.devices import devices
from core.lease import is_held
from core.processes import start_detached
from core.runs.store import RunStore

_started: dict[Path, subprocess.Popen] = {}
"""The last worker that this process started for each lease."""


def ensure_workers() -> None:
    """Start detached workers on free devices, as many as there are queued runs.

    A worker needs seconds until it holds its device's lease, and a page asks every second: as long
    as the worker that this process started is alive, it starts no other. Two processes may both
    start one; the second worker finds the lease taken and ends.
    """
    store = RunStore()
    waiting = store.waiting()
    for device in devices() if waiting else ():
        lease = store.lease_path(device)
        if is_held(lease):
            continue
        if waiting == 0:
            return
        waiting -= 1
        child = _started.get(lease)
        if child is not None and child.poll() is None:
            continue
        with store.path.with_name("worker.log").open("ab") as log:
            _started[lease] = start_detached(
                "core.runs.worker", log, device, {**os.environ, "OMP_WAIT_POLICY": "passive"}
            )
