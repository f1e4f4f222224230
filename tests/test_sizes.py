"""Sizes of folders: right when measured, remembered for seconds, never in somebody's way."""

import os
from pathlib import Path

import pytest

from core import sizes
from core.sizes import announce, forget_size, recent_size, tree_size


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(100))


def test_all_files_count_and_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b/c", "b/d/.e")
    (tmp_path / "again").symlink_to(tmp_path / "b")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    os.link(tmp_path / "a", tmp_path / "b" / "a")
    assert tree_size(tmp_path) == 400
    assert tree_size(tmp_path / "missing") == tree_size(tmp_path / "a") == 0


def test_a_size_is_measured_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(sizes.time, "monotonic", lambda: now[0])
    fill(tmp_path, "a", "tmp/on its way")
    assert recent_size(tmp_path) == 100
    fill(tmp_path, "b")
    now[0] += sizes.FRESH
    assert recent_size(tmp_path) == 100
    announce(tmp_path, 50)
    assert recent_size(tmp_path) == 150
    now[0] += 1
    assert recent_size(tmp_path) == 200  # what was announced is there, or never came
    announce(tmp_path, 50)
    assert recent_size(tmp_path, anew=True) == 200
    (tmp_path / "b").unlink()
    forget_size(tmp_path)
    assert recent_size(tmp_path) == 100
