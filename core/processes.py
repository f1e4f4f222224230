"""Processes of our own: a module that answers, and one that outlives whoever started it.

What they shall work on goes to their standard input as one JSON document, which they check as they
would check a file. Nothing that anybody brought is ever an argument, where it could be an option.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import InputError
from core.home import home

ROOT = Path(__file__).parents[1]


def run_module(module: str, document: Any = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` on a JSON document, in this thread's home, and wait for its answer."""
    return subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, input=json.dumps(document),
        env={**os.environ, "GENECANVAS_HOME": str(home())},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def read_alone(module: str, path: Path, place: Path, what: str) -> str:
    """What a module prints that reads what somebody brought (`core.confine.alone_with`).

    Args:
        module: such as "core.predict.opening".
        path: the file or folder.
        place: where the module may write.
        what: such as "model folder".

    Raises:
        InputError: in one sentence, what is wrong with it.
    """
    answer = run_module(module, {"path": str(path), "place": str(place)})
    if answer.returncode == 2:
        raise InputError(answer.stderr.strip().splitlines()[-1])
    if answer.returncode:
        raise InputError(
            f"{path.name} is damaged, or takes more memory or time than a {what} may: reading it "
            "came to no end."
        )
    return answer.stdout


def start_detached(
    module: str, log: BinaryIO, document: Any = None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """Start `python -m module` on a JSON document, in a session of its own, printing to `log`."""
    process = subprocess.Popen(
        [sys.executable, "-m", module], cwd=ROOT, env=environment, start_new_session=True,
        stdin=subprocess.PIPE, stdout=log, stderr=log,
    )  # fmt: skip
    with process.stdin as pipe:
        pipe.write(json.dumps(document).encode())
    return process
