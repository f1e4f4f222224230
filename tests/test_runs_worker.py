"""Runs from queue to result with a real worker process: whole, cancelled, killed, resumed."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from core.compare.comparison import compare_runs
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.devices import devices
from core.errors import InputError
from core.explain.methods import Recipe
from core.files import read_json
from core.home import run_folder
from core.jobs import launch
from core.jobs.launch import ensure_workers
from core.jobs.record import JobState
from core.jobs.worker import explain_failure
from core.processes import ROOT
from core.runs.explain import class_genes, load_attribution
from core.runs.explaining import explain_run, explanation_state
from core.runs.result import headline, load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore, read_log
from core.runs.training import TrainJob
from tests.held import has_stopped, held
from tests.ports import free_port
from tests.workers import end_of, kill, start_worker, train_queue, wait_until

TINY = {
    "cohort": {"label": "tumour_type", "group": "patient"},
    "preparation": {"genes": 60},
    "network": {"image_size": 32, "pool": 2},
    "training": {"epochs": 2, "batch_size": 16, "precision": "float32"},
}


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


def make_spec(dataset: str, **parts: dict) -> RunSpec:
    parts["cohort"] = {**parts.get("cohort", {}), "dataset": dataset}
    merged = {name: {**TINY.get(name, {}), **fields} for name, fields in parts.items()}
    return RunSpec.parse({**TINY, **merged})


def kill_after(run: str, epochs: int) -> None:
    """Let a worker take up a run and die after so many epochs of it."""
    worker = start_worker(kinds=held("train", events=epochs))
    wait_until(lambda: has_stopped(run_folder(run)))
    kill(worker)
    assert len(RunStore().epochs(run)) == epochs


def test_a_queue_is_trained_and_the_worker_ends(dataset: str) -> None:
    store = RunStore()
    runs = [store.submit(make_spec(dataset, split={"test_size": s}))[0].id for s in (0.3, 0.4)]
    workers = [start_worker(), start_worker()]
    assert [end_of(worker) for worker in workers] == [0, 0]
    for run in runs:
        record, result = store.get(run), load_result(run)
        assert record.state == JobState.DONE, record.reason
        assert (record.done, record.finished is not None) == (record.total, True)
        assert len(store.epochs(run)) == 2
        assert result.n_train + result.n_validation + result.n_test == 90
        assert sum(map(sum, result.confusion)) == result.n_test
        predictions = load_predictions(run)
        right = (predictions["true"] == predictions["predicted"]).mean()
        assert right == pytest.approx(result.metrics["accuracy"])
        kept = [path.name for path in (run_folder(run) / "measures").iterdir()]
        assert sum(name.startswith("network-") for name in kept) == 1
        assert "held-out samples are right" in headline(run)
        assert "epoch 2 of 2" in read_log(run)
    comparison = compare_runs(runs)
    assert comparison.runs[0].settings == {"split.test_size": 0.3}
    assert comparison.differences[0].p is None


def test_k_folds_hold_every_sample_out_once(dataset: str) -> None:
    store = RunStore()
    run = store.submit(make_spec(dataset, split={"kind": "kfold", "folds": 3}))[0].id
    train_queue()
    predictions = load_predictions(run)
    assert len(predictions) == predictions["sample"].nunique() == 90
    assert len(load_result(run).folds) == 3
    explain_run(run, Recipe("saliency"), lambda *_: None)
    found = load_attribution(run, Recipe("saliency"))
    assert set(found.folds) == {0, 1, 2}
    fold_of = predictions.set_index("sample")["fold"]
    assert (fold_of[found.samples].to_numpy() == found.folds).all()


def test_a_killed_run_is_queued_again_and_ends_with_the_same_numbers(dataset: str) -> None:
    store = RunStore()
    spec = make_spec(dataset, training={"epochs": 6})
    run = store.submit(spec)[0].id
    kill_after(run, epochs=2)
    store.reconcile()
    assert store.get(run).state == JobState.QUEUED
    train_queue()
    resumed = load_predictions(run)
    assert store.get(run).state == JobState.DONE
    assert "epoch 1 of 6" not in read_log(run).partition("worker")[2].rpartition("worker")[2]

    store.delete(run)
    store.submit(spec)
    train_queue()
    undisturbed = load_predictions(run)
    numbers = [name for name in resumed if name.startswith("p_")]
    assert np.array_equal(resumed[numbers], undisturbed[numbers])


def test_a_child_goes_on_from_its_checkpoint_when_its_parent_is_gone(dataset: str) -> None:
    store = RunStore()
    parent = store.submit(make_spec(dataset))[0].id
    train_queue()
    weights = {"weights": f"run:{parent}"}
    child = store.submit(make_spec(dataset, network=weights, training={"epochs": 6}))[0].id
    with pytest.raises(InputError, match=f"Run {parent} is needed by .*{child} .queued."):
        store.delete(parent)
    kill_after(child, epochs=2)
    shutil.rmtree(run_folder(parent))
    train_queue()
    assert store.get(child).state == JobState.DONE, store.get(child).reason
    assert parent in load_result(child).weights
    store.delete(parent)  # what is done needs it no more
    resumed = load_predictions(child)

    store.delete(child)
    store.submit(make_spec(dataset))
    store.submit(make_spec(dataset, network=weights, training={"epochs": 6}))
    train_queue()
    numbers = [name for name in resumed if name.startswith("p_")]
    assert np.array_equal(resumed[numbers], load_predictions(child)[numbers])


def test_a_server_without_pages_goes_on_with_what_a_killed_worker_left(
    dataset: str, tmp_path: Path
) -> None:
    pytest.importorskip("streamlit")
    store = RunStore()
    run = store.submit(make_spec(dataset, training={"epochs": 6}))[0].id
    waiting = store.submit(make_spec(dataset, split={"test_size": 0.4}))[0].id
    kill_after(run, epochs=1)
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true",
             "--server.address", "127.0.0.1", "--server.port", str(free_port())],
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until(lambda: store.get(waiting).state.finished)
        assert {store.get(name).state for name in (run, waiting)} == {JobState.DONE}
    finally:
        server.terminate()
        server.wait()


def test_a_locked_store_ends_no_training(dataset: str, home: Path) -> None:
    """Somebody keeps the store locked from the first epoch until the result stands."""
    store = RunStore()
    run = store.submit(make_spec(dataset, training={"epochs": 3}))[0].id
    worker = start_worker()
    wait_until(lambda: len(store.epochs(run)) >= 1)
    with closing(sqlite3.connect(home / "runs.sqlite", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        wait_until(lambda: (run_folder(run) / "result.json").exists())
        lock.execute("COMMIT")
    assert end_of(worker) == 0
    assert store.get(run).state == JobState.DONE, store.get(run).reason
    assert store.epochs(run)["epoch"].tolist() == [1, 2, 3]


def test_a_checkpoint_that_finds_no_room_ends_no_training(dataset: str) -> None:
    """Files of at most 4 MB: room for the network, none for a checkpoint, which is larger."""
    store = RunStore()
    run = store.submit(make_spec(dataset))[0].id
    assert end_of(start_worker(largest_file=4 * 2**20)) == 0
    assert store.get(run).state == JobState.DONE, store.get(run).reason


def test_a_running_run_is_cancelled_and_a_stopped_worker_says_so(dataset: str) -> None:
    store = RunStore()
    cancelled, stopped = (
        store.submit(make_spec(dataset, training={"epochs": epochs}))[0].id for epochs in (900, 901)
    )
    worker = start_worker()
    wait_until(lambda: len(store.epochs(cancelled)) >= 1)
    with pytest.raises(InputError, match="Cancel it first"):
        store.delete(cancelled)
    store.cancel(cancelled)
    wait_until(lambda: store.get(cancelled).state == JobState.CANCELLED)
    store.delete(cancelled)
    assert not run_folder(cancelled).exists()
    wait_until(lambda: len(store.epochs(stopped)) >= 1)
    worker.terminate()
    assert end_of(worker) == 0
    assert store.get(stopped).state == JobState.CANCELLED
    assert "told to stop" in store.get(stopped).reason


def test_a_run_that_fails_says_why_and_the_next_one_is_trained(dataset: str) -> None:
    store = RunStore()
    missing = store.submit(make_spec(dataset, network={"weights": "file:/nowhere/net.pth"}))[0].id
    good = store.submit(make_spec(dataset))[0].id
    train_queue()
    assert store.get(missing).state == JobState.FAILED
    assert "/nowhere/net.pth" in store.get(missing).reason
    assert store.get(good).state == JobState.DONE


def test_a_full_disk_fails_the_run_and_it_resumes_when_there_is_room(dataset: str) -> None:
    """Files of at most 1 MB: room for the store, none for a checkpoint."""
    store = RunStore()
    run = store.submit(make_spec(dataset))[0].id
    assert end_of(start_worker(largest_file=1 * 2**20)) == 0
    assert store.get(run).state == JobState.FAILED
    assert "Is the disk full? It can be resumed" in store.get(run).reason
    assert not list(run_folder(run).rglob(".*"))
    store.resume(run)
    train_queue()
    assert store.get(run).state == JobState.DONE


def test_a_training_that_is_ended_by_hand_is_tested_and_says_so(dataset: str) -> None:
    store = RunStore()
    run = store.submit(make_spec(dataset, training={"epochs": 900, "keep": "best"}))[0].id
    worker = start_worker()
    wait_until(lambda: len(store.epochs(run)) >= 1)
    store.stop_early(run)
    assert end_of(worker) == 0
    assert store.get(run).state == JobState.DONE, store.get(run).reason
    epochs = len(store.epochs(run))
    assert epochs < 900
    notes = " ".join(load_result(run).notes)
    assert f"Training was ended by hand after {epochs} of 900 epochs." in notes


def test_too_little_memory_is_a_state_of_its_own() -> None:
    advice = TrainJob.when_memory_is_short
    for error in (RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()):
        state, reason = explain_failure(error, advice)
        assert state == JobState.OUT_OF_MEMORY
        assert "smaller image size" in reason
    assert explain_failure(RuntimeError("shapes differ"), advice)[0] == JobState.FAILED


def test_a_worker_started_by_the_app_trains_in_the_background(
    slow_start: None, dataset: str
) -> None:
    store = RunStore()
    run = store.submit(make_spec(dataset))[0].id
    started, [device] = [], devices()
    for _ in range(3):  # as a page that asks every second while the worker still starts
        ensure_workers()
        started.append(launch._started[store.lease_path(device)][0].pid)
    assert len(set(started)) == 1
    wait_until(lambda: store.get(run).state.finished)
    assert store.get(run).state == JobState.DONE, store.get(run).reason


@pytest.mark.parametrize(
    ("given", "expected", "refused"),
    [
        ("cpu:0, cpu:1,cpu:0", ("cpu:0", "cpu:1"), None),
        ("gpu", None, "cuda:0,cuda:1 or cpu, got 'gpu'"),
        ("cuda:99", None, "names cuda:99, but torch finds"),
    ],
)
def test_devices_can_be_named(
    given: str, expected: tuple | None, refused: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENECANVAS_DEVICES", given)
    if refused is None:
        assert devices() == expected
    else:
        with pytest.raises(InputError, match=refused):
            devices()


def test_explaining_gives_every_class_its_genes(dataset: str) -> None:
    store = RunStore()
    run = store.submit(make_spec(dataset))[0].id
    with pytest.raises(InputError, match="has no result yet"):
        explain_run(run, Recipe("integrated_gradients"), lambda *_: None)
    train_queue()
    assert explanation_state(run, Recipe("integrated_gradients")).state == "missing"
    seen: list[tuple[int, int]] = []
    explain_run(run, Recipe("integrated_gradients"), lambda *step: seen.append(step))
    assert seen[-1][0] == seen[-1][1]
    assert explanation_state(run, Recipe("integrated_gradients")).state == "done"
    table = class_genes(run, Recipe("integrated_gradients"), "KIRC")
    assert table["rank"].tolist() == list(range(1, 61))
    assert table["score"].is_monotonic_decreasing
    assert {"gene", "class", "score", "rank", "log2fc", "fdr"} <= set(table)
    found = load_attribution(run, Recipe("integrated_gradients"))
    assert np.isfinite(found.completeness).all()
    parts = read_json(run_folder(run) / "folds/0/fold.json")["parts"]
    assert set(found.samples) <= set(parts["test"])
    with pytest.raises(InputError, match="no class 'PRAD'"):
        class_genes(run, Recipe("integrated_gradients"), "PRAD")
