"""The processes that tests fork run what they are told to, and nothing else."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from core.processes import run_module


def test_a_page_that_was_run_here_is_not_run_again_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ModuleType("__main__")
    page.__file__ = str(tmp_path / "page.py")
    Path(page.__file__).write_text("raise RuntimeError('run again')")
    monkeypatch.setitem(sys.modules, "__main__", page)
    assert run_module("this").returncode == 0
    assert sys.modules["__main__"] is page
