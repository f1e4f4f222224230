"""Private folders: gone with their block, and after a kill at the next start."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.scratch import clean_scratch, scratch


def test_a_private_folder_is_for_its_user_alone_and_ends_with_its_block(home: Path) -> None:
    with pytest.raises(ValueError, match="wrong"), scratch() as folder:  # noqa: PT012
        (folder / "upload.csv").write_text("patient data")
        assert folder.parent == home / "tmp"
        assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700] * 2
        raise ValueError("wrong")
    assert not list((home / "tmp").iterdir())


def test_what_a_killed_process_leaves_is_removed_and_what_others_use_stays(home: Path) -> None:
    script = (
        "import sys; from core.scratch import scratch\n"
        "with scratch() as folder:\n"
        "    (folder / 'upload.csv').write_text('patient data')\n"
        "    print(folder, flush=True); sys.stdin.read()\n"
    )
    others = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    left, used = (Path(process.stdout.readline().strip()) for process in others)
    others[0].kill()
    others[0].wait()
    with scratch() as own:
        clean_scratch()
        assert not left.exists()
        assert (used / "upload.csv").exists()
        assert own.exists()
        clean_scratch()  # the first time took no lease away
        assert own.exists()
    others[1].communicate("")
    assert not list((home / "tmp").iterdir())


def test_elsewhere_a_folder_may_be_renamed_into_place(tmp_path: Path) -> None:
    with scratch(tmp_path / "datasets") as folder:
        (folder / "data").write_text("x")
        folder.rename(tmp_path / "datasets" / "kept")
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["kept"]
