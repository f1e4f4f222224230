"""Backup: what is restored is what was there, also while jobs write."""

import errno
import json
import os
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from core.backup import restore_backup, write_backup
from core.cli import main
from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.errors import InputError
from core.files import read_json
from core.home import home as open_home
from core.jobs.here import do_here
from core.jobs.job import KINDS
from core.jobs.launch import ensure_workers, look_after_jobs
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.stories import create_story, list_stories
from tests.counting import CountJob
from tests.workers import wait_until


@pytest.fixture(autouse=True)
def counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "count", "tests.counting:CountJob")


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENECANVAS_HOME", str(folder))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a home that is kept, but the list of jobs."""
    left = ("tmp/", "features/", "runs.sqlite")
    names = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*")}
    return {
        name: file.read_bytes()
        for name, file in names.items()
        if file.is_file() and not name.startswith(left) and file.suffix != ".lease"
    }


def test_a_home_comes_back_file_by_file(tmp_path: Path, monkeypatch) -> None:
    dataset = add_dataset(simulate(50, 200)[0], "Tumours").id
    create_story("Meeting")
    count = do_here(CountJob(to=3), lambda *_: None)
    (open_home() / "features").mkdir()
    (open_home() / "features/cache.npy").write_bytes(bytes(100))
    before = tree(open_home())
    path = write_backup(tmp_path / "a.zip")
    assert not any(name.startswith("features/") for name in zipfile.ZipFile(path).namelist())
    restored = restore_backup(path, tmp_path / "restored")
    assert tree(restored) == before
    enter(restored, monkeypatch)
    assert JobStore().get(count).state == JobState.DONE
    assert load_dataset(dataset).shape == (50, 200)
    assert [story.title for story in list_stories()] == ["Meeting"]


def test_a_backup_of_a_home_at_work_holds_what_was_done_and_goes_on(
    tmp_path: Path, monkeypatch
) -> None:
    store = JobStore()
    counted = [store.submit(CountJob(to=n))[0].id for n in (3, 4, 5)]
    counting, _ = store.submit(CountJob(to=100_000, wait=0.02))  # until it is told to end
    ensure_workers()
    wait_until(lambda: all(store.get(job).state == JobState.DONE for job in counted))
    wait_until(lambda: store.get(counting.id).done > 0)
    path = write_backup(tmp_path / "a.zip")
    seen = store.get(counting.id).done
    wait_until(lambda: store.get(counting.id).done > seen)
    store.stop_early(counting.id)
    wait_until(lambda: store.get(counting.id).state == JobState.DONE)
    enter(restore_backup(path, tmp_path / "restored"), monkeypatch)
    records = {record.id: record for record in JobStore().list()}
    assert records.keys() == {*counted, counting.id}
    done = [record for record in records.values() if record.state == JobState.DONE]
    assert {record.id for record in done} == set(counted)  # one was at work
    for record in records.values():
        counted = record.folder / "counted.json"
        if record in done:
            assert read_json(counted) == list(range(1, record.job.to + 1))
        else:
            assert not record.folder.exists()
    look_after_jobs()  # what was running has no worker here
    store = JobStore()
    wait_until(lambda: store.get(counting.id).state == JobState.RUNNING)
    store.stop_early(counting.id)
    wait_until(lambda: all(record.state == JobState.DONE for record in store.list()))


def test_the_list_is_of_one_moment(tmp_path: Path) -> None:
    """A writer that isn't through yet is not waited for, and none of it is there."""
    store = JobStore()
    store.submit(CountJob(to=1))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM jobs")
        store.copy(tmp_path / "copy.sqlite")
        db.execute("ROLLBACK")
    assert len(JobStore(tmp_path / "copy.sqlite").list()) == 1


def test_what_is_deleted_meanwhile_is_left_out_as_a_whole(tmp_path: Path, monkeypatch) -> None:
    for name in ("one", "two"):
        create_story(name)
    gone, kept = sorted((open_home() / "stories").iterdir())
    real = os.link

    def link(source: Path, place: Path) -> None:
        real(source, place)
        if source.parent == gone:
            gone.rename(tmp_path / "gone")

    monkeypatch.setattr(os, "link", link)
    path = write_backup(tmp_path / "a.zip")
    names = zipfile.ZipFile(path).namelist()
    assert [name for name in names if name.startswith("stories/")] == [
        f"stories/{kept.name}/story.json"
    ]


def test_a_file_system_without_second_names_is_copied(tmp_path: Path, monkeypatch) -> None:
    create_story("Meeting")

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refuse)
    restored = restore_backup(write_backup(tmp_path / "a.zip"), tmp_path / "restored")
    assert tree(restored) == tree(open_home())


def test_what_is_no_whole_backup_makes_no_home(tmp_path: Path) -> None:
    create_story("Meeting")
    path = write_backup(tmp_path / "a.zip")
    whole = path.read_bytes()
    (tmp_path / "text.zip").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("a.txt", "a")
    with zipfile.ZipFile(path) as packed:
        for info in packed.infolist():
            middle = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
            damaged = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
            (tmp_path / f"damaged {info.CRC}.zip").write_bytes(damaged)
    for file in tmp_path.glob("*.zip"):
        if file == path:
            continue
        with pytest.raises(InputError, match="backup"):
            restore_backup(file, tmp_path / "restored")
        assert not (tmp_path / "restored").exists()
    with pytest.raises(InputError, match="not an empty folder"):
        restore_backup(path, open_home())
    with pytest.raises(InputError, match="lies in"):
        write_backup(open_home() / "a.zip")


def packed(path: Path, files: dict[str, str], **document: object) -> Path:
    """A backup as anybody could write it."""
    said = {"version": 2, "written_by": "x", "created": "2030-01-01T00:00Z"} | document
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("backup.json", json.dumps(said))
        for name, text in files.items():
            file.writestr(name, text)
    return path


def test_further_names_of_a_file_are_given_again(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.zip", {"a/b.txt": "b"}, same={"a/c.txt": "a/b.txt", "d/e": "a/b.txt"}
    )
    place = restore_backup(path, tmp_path / "restored")
    assert tree(place) == {"a/b.txt": b"b", "a/c.txt": b"b", "d/e": b"b"}
    assert (place / "d/e").samefile(place / "a/b.txt")


def test_a_backup_of_the_first_version_is_restored(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.txt": "a", "b.txt": "a"}, version=1)
    assert tree(restore_backup(path, tmp_path / "restored")) == {"a.txt": b"a", "b.txt": b"a"}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("../stolen", "a.txt"), ("b.txt", "../secret"), ("b.txt", "{secret}"),
        ("{secret}", "a.txt"),
        ("folder/../../stolen", "a.txt"), ("./b.txt", "a.txt"), ("folder//b", "a.txt"),
        ("", "a.txt"), ("b.txt", ""), ("b.txt", "missing"), ("a.txt", "a.txt"), ("b.txt", "folder"),
        ("a.txt/b", "a.txt"), ("a.txt/b/c", "a.txt"), ("b\0", "a.txt"), ("x" * 256, "a.txt"),
        ("x/" * 600 + "x", "a.txt"), ("backup.json", "a.txt"), ("people/x/runs.sqlite", "a.txt"),
        ("b.txt", "\ud800"),
    ],
)  # fmt: skip
def test_further_names_stay_inside(tmp_path: Path, name: str, known: str) -> None:
    (tmp_path / "secret").write_text("secret")
    files = {"a.txt": "a", "folder/file": "f", "runs.sqlite": ""}
    name, known = (said.format(secret=tmp_path / "secret") for said in (name, known))
    path = packed(tmp_path / "a.zip", files, same={name: known})
    with pytest.raises(InputError, match="no whole backup"):
        restore_backup(path, tmp_path / "homes" / "restored")
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {"a.zip", "secret"}
    assert (tmp_path / "secret").stat().st_nlink == 1


def test_a_backup_in_a_later_form_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.txt": "a"}, version=3, written_by="9.9", more=True)
    with pytest.raises(InputError, match=r"later version, 9\.9: restore it with that"):
        restore_backup(path, tmp_path / "restored")


def test_a_backup_of_a_later_version_makes_no_home(tmp_path: Path) -> None:
    """Nor does an earlier program change a home that a later one has written."""
    store = JobStore()
    store.submit(CountJob(to=1))
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("PRAGMA user_version = 999")
    later, path = tree(open_home()), tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("backup.json", '{"written_by": "later", "created": "2030-01-01T00:00Z"}')
        packed.write(store.path, "runs.sqlite")
    with pytest.raises(InputError, match="has store version 999, this program reads up to"):
        restore_backup(path, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
    with pytest.raises(InputError, match="Use the program that wrote it"):
        JobStore()
    assert tree(open_home()) == later


def test_an_empty_home_is_said(tmp_path: Path, capsys) -> None:
    assert main(["backup", str(tmp_path / "a.zip")]) == 2
    assert "holds nothing yet" in capsys.readouterr().err


def test_the_commands(tmp_path: Path, capsys, monkeypatch) -> None:
    create_story("Meeting")
    assert main(["backup", str(tmp_path / "a.zip")]) == 0
    assert main(["restore", str(tmp_path / "a.zip"), str(tmp_path / "restored")]) == 0
    assert f"GENECANVAS_HOME={tmp_path / 'restored'}" in capsys.readouterr().out
    enter(tmp_path / "restored", monkeypatch)
    assert len(list_stories()) == 1
