"""Damage costs the thing that is damaged and nothing else; what can be made again is mended."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from core.cli import main
from core.compare.comparison import compare_runs
from core.data.cohort import Cohort
from core.data.store import add_dataset, damaged_datasets, list_datasets, load_dataset
from core.errors import DamageError, InputError
from core.explain.methods import Recipe
from core.home import dataset_folder, run_folder
from core.jobs.record import JobState
from core.runs.doctor import examine, tidy
from core.runs.execute import Silent, execute
from core.runs.explain import load_attribution
from core.runs.fitted import load_fitted
from core.runs.outcome import keep_measures, load_outcome
from core.runs.result import hash_kept, load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore, drop_dataset
from tests.earlier_homes import LATEST, unpack_home


@pytest.fixture
def runs(home: Path) -> dict[int, str]:
    """Number of folds -> a finished run."""
    unpack_home(LATEST, home)
    return {len(load_result(record.id).folds): record.id for record in RunStore().list()}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: Path) -> None:
    path.write_text("{not what was here")


def list_json(capsys: pytest.CaptureFixture[str]) -> dict:
    assert main(["runs", "list", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("predictions.csv", cut),
        ("result.json", cut),
        ("spec.json", scramble),
        ("folds/0/fold.json", cut),
        ("folds/1/predictions.csv", Path.unlink),
    ],
)
def test_a_damaged_file_costs_its_run_only_and_is_made_again(
    name: str, damage: Callable[[Path], object], runs: dict[int, str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    damaged, whole, store = runs[2], runs[1], RunStore()
    before = load_predictions(damaged)
    damage(run_folder(damaged) / name)
    assert {row["run"] for row in list_json(capsys)["runs"]} == {damaged, whole}
    assert main(["runs", "show", whole]) == 0
    assert compare_runs([whole]).runs

    [found] = examine(repair=False)
    assert (found.thing, found.mended) == (f"Run {damaged}", False)
    assert store.get(damaged).state == JobState.DONE, "looking changes nothing"
    [found] = examine(repair=True)
    assert found.mended
    assert store.get(damaged).state == JobState.FAILED
    assert "trains fold 1 again" in found.remedy or name != "folds/0/fold.json"
    assert "needs no training" in found.remedy or name.startswith("folds")
    if not name.startswith("folds"):  # only put together anew: its weights' file is not at hand
        execute(store.get(damaged).spec, run_folder(damaged), Silent())
        after = load_predictions(damaged)
        assert after.equals(before)
        assert load_result(damaged).metrics["accuracy"] == (after.true == after.predicted).mean()


@pytest.mark.parametrize("name", ["predictions.csv", "folds/0/model.safetensors"])
def test_a_changed_number_is_found_by_its_hash(name: str, runs: dict[int, str]) -> None:
    folder = run_folder(runs[1])
    result = json.loads((folder / "result.json").read_text())
    result["files"] = hash_kept(folder)  # as runs write it from now on
    (folder / "result.json").write_text(json.dumps(result))
    assert examine(repair=False) == []
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1  # a digit of a probability; a weight
    (folder / name).write_bytes(content)
    [found] = examine(repair=False)
    assert name in found.problem
    if name == "predictions.csv":
        with pytest.raises(DamageError, match=r"predictions.csv of run"):
            load_outcome(runs[1])


def test_what_is_computed_is_computed_again(runs: dict[int, str]) -> None:
    run = runs[2]
    keep_measures(run)
    before = compare_runs([run]).headline
    for path in run_folder(run).glob("measures/*.npy"):
        cut(path)
    assert compare_runs([run]).headline == before
    assert not list(run_folder(run).glob("measures/*.npy")), "the damaged ones are gone"
    cut(run_folder(runs[1]) / f"attributions/{Recipe('saliency').stem}.npz")
    with pytest.raises(InputError, match="damaged"):
        load_attribution(runs[1], Recipe("saliency"))
    [found] = examine(repair=True)
    assert "attributions/saliency.npz is damaged" in found.problem
    assert examine(repair=False) == []


def test_a_run_that_is_not_understood_stops_no_other(
    runs: dict[int, str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RunStore()
    strange, lost = (
        RunSpec(cohort=Cohort(dataset="0" * 64, label="x")),
        RunSpec(cohort=Cohort(dataset="0" * 64, label="y")),
    )
    for spec in (strange, lost):
        store.submit(spec)
    next_one = store.submit(RunSpec(cohort=Cohort(dataset="0" * 64, label="z")))[0].id
    (run_folder(lost.id)).mkdir(parents=True)
    (run_folder(lost.id) / "spec.json").write_text(lost.model_dump_json())
    with sqlite3.connect(home / "runs.sqlite") as db:
        db.execute(
            'UPDATE jobs SET content = \'{"from": "the future"}\' WHERE id = ?', (strange.id,)
        )
        db.execute("UPDATE jobs SET content = 'torn' WHERE id = ?", (lost.id,))
    assert {run.id for run in store.damaged()} == {strange.id, lost.id}
    document = list_json(capsys)
    assert len(document["runs"]) == 3
    assert {row["id"] for row in document["damaged"]} == {strange.id, lost.id}
    with pytest.raises(DamageError, match=f"Run {strange.id} can't be used"):
        store.get(strange.id)
    assert sorted(row.mended for row in examine(repair=True)) == [False, True]
    assert store.get(lost.id).spec == lost
    assert store.claim("cpu").id == lost.id, "the one before it failed instead"
    assert store.claim("cpu").id == next_one
    assert main(["runs", "delete", strange.id]) == 0
    assert not store.damaged()


def test_a_lost_list_is_made_from_the_folders(
    runs: dict[int, str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RunStore()
    store.label(runs[2], name="Figure 2", note="ask Ana", tags="lung", starred=True)
    before, epochs = store.list(), store.epochs(runs[2])
    unfinished = RunSpec(
        cohort=Cohort(dataset=before[0].spec.cohort.dataset, label="tumour_type"), seed=5
    )
    run_folder(unfinished.id).mkdir()
    (run_folder(unfinished.id) / "spec.json").write_text(unfinished.model_dump_json())
    for path in home.glob("runs.sqlite*"):
        path.unlink()
    assert main(["runs", "list"]) == 0
    assert "3 more runs have folders" in capsys.readouterr().out
    assert main(["doctor"]) == 1
    assert RunStore().list() == []
    assert main(["doctor", "--repair"]) == 0
    store = RunStore()
    again = {record.id: record for record in store.list()}
    assert again.pop(unfinished.id).state == JobState.FAILED
    assert {record.id: (record.state, record.spec) for record in before} == {
        run: (record.state, record.spec) for run, record in again.items()
    }
    labelled = again[runs[2]]
    assert (labelled.name, labelled.note) == ("Figure 2", "ask Ana")
    assert (labelled.tags, labelled.starred) == ("lung", True)
    assert store.epochs(runs[2]).equals(epochs)
    assert main(["doctor"]) == 0


def test_a_list_that_is_no_database_is_set_aside(runs: dict[int, str], home: Path) -> None:
    (home / "runs.sqlite").write_bytes(b"no database at all" * 1000)
    [found] = examine(repair=False)
    assert found.thing == "The list of runs"
    assert all(row.mended for row in examine(repair=True))
    assert len(RunStore().list()) == 2
    assert len(list(home.glob("damaged-*runs.sqlite"))) == 1


def test_permuted_genes_are_not_taken_for_the_dataset(runs: dict[int, str]) -> None:
    [record] = list_datasets()
    with h5py.File(dataset_folder(record.id) / "data.h5ad", "r+") as file:
        index = file["var"].attrs["_index"]
        file["var"][index][...] = np.roll(file["var"][index][...], 1)
    with pytest.raises(DamageError, match="not what was added"):
        load_dataset(record.id)
    [found] = examine(repair=True)
    assert not found.mended
    assert "its content has changed" in found.problem


def test_a_change_while_the_program_runs_is_seen_too(runs: dict[int, str]) -> None:
    [record] = list_datasets()
    data = load_dataset(record.id)
    with h5py.File(dataset_folder(record.id) / "data.h5ad", "r+") as file:
        file["X"][0, 0] += 1
    with pytest.raises(DamageError, match="not what was added"):
        load_dataset(record.id)
    drop_dataset(record.id)
    assert add_dataset(data, "again").id == record.id
    assert load_dataset(record.id).n_obs == 60


def test_a_damaged_record_is_made_from_the_matrix(runs: dict[int, str]) -> None:
    [record] = list_datasets()
    cut(dataset_folder(record.id) / "record.json")
    assert list_datasets() == []
    assert [damaged.id for damaged in damaged_datasets()] == [record.id]
    [found] = examine(repair=True)
    assert found.mended
    [again] = list_datasets()
    assert (again.id, again.columns) == (record.id, record.columns)
    assert load_dataset(record.id).n_obs == 60


def test_a_dataset_that_a_waiting_run_needs_stays(runs: dict[int, str]) -> None:
    [record] = list_datasets()
    store = RunStore()
    waiting = store.submit(RunSpec(cohort=Cohort(dataset=record.id, label="tumour_type"), seed=7))[
        0
    ].id
    with pytest.raises(InputError, match=waiting):
        drop_dataset(record.id)
    store.cancel(waiting)
    drop_dataset(record.id)
    assert list_datasets() == []


def test_what_killed_processes_left_is_removed(runs: dict[int, str], home: Path) -> None:
    before = sorted(path for path in home.rglob("*") if path.suffix not in (".sqlite", ".lease"))
    old = 1_000_000_000
    (home / "datasets/.abc123").mkdir()
    (home / "datasets/.abc123/data.h5ad").write_text("half")
    (home / "tmp").mkdir(exist_ok=True)
    (home / "tmp/.upload").mkdir()
    (home / "tmp/.upload/patients.csv").write_text("patient data")
    left = [home / "layouts/.x.npz", run_folder(runs[1]) / "attributions/.y.csv"]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    checkpoint = run_folder(runs[1]) / "folds/0/checkpoint.pt"
    shutil.copy(checkpoint.with_name("layout.npz"), checkpoint)
    os.utime(left[0], (old, old))
    tidy()
    assert left[1].exists(), "it may be about to be renamed"
    os.utime(left[1], (old, old))
    tidy()
    after = sorted(path for path in home.rglob("*") if path.suffix not in (".sqlite", ".lease"))
    assert set(after) - set(before) <= {home / "tmp", home / "layouts"}
    assert set(before) <= set(after)


def test_estimates_that_hold_no_longer_are_removed(home: Path) -> None:
    folder = home / "estimates"
    folder.mkdir(parents=True)
    for name, hours in (("stale", 25), ("fresh", 23)):
        path = folder / f"{name}.json"
        path.write_text("{}")
        when = time.time() - 3600 * hours
        os.utime(path, (when, when))
    tidy()
    assert [path.stem for path in folder.iterdir()] == ["fresh"]


def test_fold_records_of_another_shape_are_damage(runs: dict[int, str]) -> None:
    (run_folder(runs[1]) / "folds/0/fold.json").write_text('{"history": []}')
    with pytest.raises(DamageError, match=r"folds/0/fold.json of run"):
        load_fitted(runs[1], 0)
