"""Processes of our own: a module that answers, and one that outlives whoever started it."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).parents[1]


def run_module(
    arguments: Sequence[str], text: str = "", *, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m` with these arguments and this input, and wait for its answer.

    Raises subprocess.TimeoutExpired when it takes more than `timeout` seconds.
    """
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, input=text, capture_output=True, text=True,
        check=False, timeout=timeout,
    )  # fmt: skip


def start_detached(
    arguments: Sequence[str], log: BinaryIO, environment: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """Start `python -m` with these arguments, in a session of its own, printing to `log`."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
