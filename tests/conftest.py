"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.browser import browser, page, server  # noqa: F401

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

# The same examples each time, so that a commit passes or fails by what it changed.
# `pytest --hypothesis-profile=default` looks elsewhere each time.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for each test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GENECANVAS_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real TCGA data, named by GENECANVAS_DATA."""
    folder = os.environ.get("GENECANVAS_DATA")
    if not folder or not (Path(folder) / "tcga11_expression.parquet").exists():
        pytest.skip("no real data")
    return Path(folder)
