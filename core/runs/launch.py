"""Starting the worker as a process of its own, so that it outlives the page and the server."""

import os
import subprocess
import sys
from pathlib import Path

from core.runs.lease import is_held
from core.runs.store import RunStore


def ensure_worker() -> None:
    """Start a detached worker unless one is running.

    Two callers at once may both start one; the second worker finds the lease taken and ends.
    """
    store = RunStore()
    if is_held(store.lease_path):
        return
    with store.path.with_name("worker.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "core.runs.worker"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
