"""Starting the worker as a process of its own, so that it outlives the page and the server."""

import os
import subprocess
from pathlib import Path

from core.processes import start_detached
from core.runs.lease import is_held
from core.runs.store import RunStore

_started: dict[Path, subprocess.Popen] = {}
"""The last worker that this process started for each store."""


def ensure_worker() -> None:
    """Start a detached worker unless one is running or on its way.

    A worker needs seconds until it holds its lease, and a page asks every second: as long as the
    worker that this process started is alive, it starts no other. Two processes may both start
    one; the second worker finds the lease taken and ends.
    """
    store = RunStore()
    child = _started.get(store.path)
    if (child is not None and child.poll() is None) or is_held(store.lease_path):
        return
    with store.path.with_name("worker.log").open("ab") as log:
        _started[store.path] = start_detached(
            ["core.runs.worker"], log, {**os.environ, "OMP_WAIT_POLICY": "passive"}
        )
