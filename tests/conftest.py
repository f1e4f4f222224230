"""Fixtures that every test may use."""

import os
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests import interpreter

# Where Streamlit or Playwright is missing, as on a node that only computes, the rest is tested.
collect_ignore_glob = []
if find_spec("streamlit") is None:
    collect_ignore_glob += ["test_pages_*", "test_browser_*"]
if find_spec("playwright") is None:
    collect_ignore_glob += ["test_browser_*"]
else:
    from tests.browser import browser, page, server  # noqa: F401

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["GENECANVAS_WARM_MINUTES"] = "0"  # no worker outlives the test that asked for work
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's way to say: on loopback only
torch.set_num_threads(1)

# The same examples each time, however long each takes, so that a commit passes or fails by what it
# changed.
# `pytest --hypothesis-profile=default` looks elsewhere each time.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


def pytest_report_header() -> list[str]:
    """Say which files are left out."""
    left_out = ", ".join(sorted(set(collect_ignore_glob)))
    return [f"left out, as Streamlit or Playwright is missing: {left_out}"] if left_out else []


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GENECANVAS_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of the app are forked where the libraries are loaded; see `slow_start`."""
    monkeypatch.setattr("core.processes.subprocess", interpreter)


@pytest.fixture
def slow_start(quick_start: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are started as the app does it, for a test that this is so."""
    monkeypatch.setattr("core.processes.subprocess", subprocess)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home that is filled once for all tests of a module; each test's own comes after it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("shared")
        patch.setenv("GENECANVAS_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real TCGA data, named by GENECANVAS_DATA."""
    folder = os.environ.get("GENECANVAS_DATA")
    if not folder or not (Path(folder) / "tcga11_expression.parquet").exists():
        pytest.skip("no real data")
    return Path(folder)
