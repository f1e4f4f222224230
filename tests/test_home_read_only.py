"""A home that can't be written to can still be looked at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.processes import ROOT
from core.runs.store import RunStore
from tests.earlier_homes import LATEST, unpack_home

NOBODY = 65534
"""Root may write everywhere: then the commands are run by somebody who may not."""


@pytest.fixture
def closed(home: Path) -> Path:
    unpack_home(LATEST, home)
    RunStore()  # brought up to date while it can be
    for path in [*home.rglob("*"), home]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for folder in home.parents[:3]:
        if folder.owner() == home.owner():
            folder.chmod(folder.stat().st_mode | 0o011)
    yield home
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755)


@pytest.mark.parametrize("command", [["runs", "list"], ["runs", "show", "e50a"], ["doctor"]])
def test_it_is_shown_without_being_changed(closed: Path, command: list[str]) -> None:
    before = sorted(closed.rglob("*"))
    ended = subprocess.run(
        [sys.executable, "-m", "core", *command], cwd=ROOT, capture_output=True, text=True,
        check=False, user=NOBODY if os.getuid() == 0 else None,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "NUMBA_CACHE_DIR": "/tmp"},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr.count("Traceback")) == (0, 0), ended.stderr
    assert sorted(closed.rglob("*")) == before
