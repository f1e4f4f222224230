"""Jobs that come to a moment of theirs and go no further, so that a test kills them there.

A worker that is given `held(...)` as kinds runs the real jobs of these kinds. How quick it is
doesn't matter: none of them ends.
"""

import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from core.jobs.job import KINDS, Job, Reporter
from core.jobs.record import read_log


def held(kind: str, *, events: int = 0) -> dict[str, str]:
    """Under which name a worker finds jobs of a kind that stop, as KINDS has it.

    Args:
        kind: theirs.
        events: how many are told before; 0: they stop when their first file is about to be there.
    """
    return {kind: f"{__name__}:{events} {KINDS[kind]}"}


def has_stopped(folder: Path) -> bool:
    """Whether the job of that folder has come to its moment."""
    return "held" in read_log(folder, 5000).splitlines()


def __getattr__(name: str) -> type[Job]:
    events, _, path = name.partition(" ")
    module, _, own = path.partition(":")
    if not own:
        raise AttributeError(name)

    class Held(getattr(import_module(module), own)):
        def run(self, folder: Path, reporter: Reporter, device: str) -> None:
            if int(events):
                _stop_after(reporter, int(events))
            else:
                os.fsync = os.rename = os.replace = _stop
            super().run(folder, reporter, device)

    return Held


def _stop_after(reporter: Reporter, events: int) -> None:
    tell, told = reporter.event, []

    def event(*what: Any) -> None:
        tell(*what)
        told.append(what)
        if len(told) == events:
            _stop()

    reporter.event = event


def _stop(*_: object) -> NoReturn:
    print("held", flush=True)
    while True:
        time.sleep(60)
