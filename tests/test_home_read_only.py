"""A home that can't be written to can still be looked at."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.processes import ROOT
from core.runs.store import RunStore
from tests.earlier_homes import LATEST, unpack_home

AS_USER = ["setpriv", "--bounding-set", "-dac_override"] if os.getuid() == 0 else []
"""Root may write everywhere, unless that right is taken away."""


@pytest.fixture
def closed(home: Path) -> Path:
    if AS_USER and not shutil.which("setpriv"):
        pytest.skip("no setpriv")
    unpack_home(LATEST, home)
    RunStore()  # brought up to date while it can be
    for path in [*home.rglob("*"), home]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield home
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755)


def run_command(command: list[str]) -> None:
    """Run a command as a user who may not write into the home; it must succeed."""
    ended = subprocess.run(
        [*AS_USER, sys.executable, "-m", "core", *command],
        cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr.count("Traceback")) == (0, 0), ended.stderr


@pytest.mark.parametrize("command", [["runs", "list"], ["runs", "show", "e50a"], ["doctor"]])
def test_it_is_shown_without_being_changed(closed: Path, command: list[str]) -> None:
    before = sorted(closed.rglob("*"))
    run_command(command)
    assert sorted(closed.rglob("*")) == before


def test_a_binary_file_is_read_beside_it(closed: Path, tmp_path_factory) -> None:
    """Reading it takes a private folder, which then isn't in the home."""
    path = tmp_path_factory.mktemp("files") / "cohort.parquet"
    columns = {f"G{n}": np.arange(12) * (n + 1) % 7 + 0.5 for n in range(9)}
    pd.DataFrame({"sample": [f"S{n}" for n in range(12)], **columns}).to_parquet(path)
    before = sorted(closed.rglob("*"))
    run_command(["data", "check", str(path)])
    assert sorted(closed.rglob("*")) == before
