"""Layouts tried by a process of its own: the same as here, kept, stopped, and wrong in words."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import InputError
from core.images import trial as module
from core.images.layout import GeneLayout
from core.images.layouts import LayoutSpec
from core.images.trial import (
    LayoutJob,
    Trial,
    TrialState,
    forget_trial,
    load_measured,
    request_trial,
    stop_trial,
)
from core.jobs.job import Lane
from core.jobs.store import JobStore


def wait_for(trial: Trial) -> TrialState:
    for _ in range(3000):
        state = request_trial(trial)
        if state.state != "working":
            return state
        time.sleep(0.1)
    raise AssertionError(f"The trial did not end: {state}")


@pytest.fixture
def trial() -> Trial:
    data, _ = simulate(60, 200)
    return Trial(
        cohort=Cohort(dataset=add_dataset(data, "small").id, label="tumour_type"),
        preparation=PreparationSpec(genes=50),
        layout=LayoutSpec(name="tsne"),
    )


def test_a_process_gives_what_is_computed_here_and_keeps_it(trial: Trial) -> None:
    with pytest.raises(InputError, match="not been measured"):
        load_measured(trial)
    assert request_trial(trial).state == "working"
    assert wait_for(trial).state == "done"
    measured = load_measured(trial)
    assert measured.quality.genes == 50
    assert measured.quality.shared == 0
    assert 0 < measured.quality.displacement < 1
    assert measured.seconds > 0
    data, _ = simulate(60, 200)
    _, prepared, unit = trial.prepare(data)
    here, there = trial.fit(unit, prepared.genes), GeneLayout.load(trial.layout_path)
    assert np.array_equal(here.row, there.row)
    assert np.array_equal(here.col, there.col)
    other = trial.unlabelled
    assert other.layout_path == trial.layout_path
    assert other.quality_path != trial.quality_path


def test_a_trial_that_cannot_be_done_says_why_and_can_be_asked_for_again(trial: Trial) -> None:
    wrong = trial.model_copy(update={"layout": LayoutSpec(name="chromosome")})
    state = wait_for(wrong)
    assert state.state == "failed"
    assert "needs a file of gene positions" in state.message
    assert request_trial(wrong).state == "failed"
    forget_trial(wrong)
    assert request_trial(wrong).state == "working"
    stop_trial(wrong)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen]]:
    """Processes that hold the leases of both interactive workers and do nothing."""
    monkeypatch.setenv("GENECANVAS_DEVICES", "cpu")
    code = (
        "import sys; from pathlib import Path; from core.lease import Lease\n"
        "assert Lease(Path(sys.argv[1])).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    leases = [JobStore().lease_path("cpu", Lane.INTERACTIVE, slot) for slot in range(2)]
    holders = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=-1, stdout=-1)
        for path in leases
    ]
    for holder in holders:
        assert holder.stdout.readline() == b"held\n"
    yield holders
    for holder in holders:
        holder.kill()
        holder.wait()


def test_a_stopped_trial_loses_its_worker_and_stays_stopped(
    trial: Trial, workers: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore()
    trials = [trial.model_copy(update={"image_size": 32 * (number + 1)}) for number in range(3)]
    assert [request_trial(other).state for other in trials] == ["working"] * 3
    for slot, other in enumerate(trials[:2]):
        assert store.claim("cpu", Lane.INTERACTIVE, slot).job.trial == other
    assert request_trial(trials[0]).message == "Starting"
    assert request_trial(trials[2]).message == "waiting for its turn"
    stop_trial(trials[0])
    assert workers[0].wait(100) == -signal.SIGKILL
    assert request_trial(trials[0]).message == "The computation was stopped."
    assert workers[1].poll() is None


def test_a_trial_that_nobody_asks_for_gives_way(
    trial: Trial, workers: list[subprocess.Popen], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = JobStore()
    trials = [trial.model_copy(update={"image_size": 32 * (number + 1)}) for number in range(3)]
    for slot, other in enumerate(trials[:2]):
        request_trial(other)
        store.claim("cpu", Lane.INTERACTIVE, slot)
    request_trial(trials[0])  # the second was asked for longer ago
    request_trial(trials[2])
    assert all(holder.poll() is None for holder in workers), "both were asked for just now"
    monkeypatch.setattr(module, "ASKED_SECONDS", 0)
    request_trial(trials[2])
    assert workers[1].wait(100) == -signal.SIGKILL
    assert LayoutJob(trial=trials[1]).key not in store.ids()
    assert request_trial(trials[1]).state == "working", "whoever asks again has it begun anew"


def test_old_files_make_room(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for all of one layout's files, but not for an older file of half that size as well."""
    module.run_trial(trial)
    folder = trial.layout_path.parent
    kept = sorted(folder.iterdir())
    taken = sum(path.stat().st_size for path in kept)
    old = folder / "0123456789abcdef.npz"
    old.write_bytes(b"0" * (taken // 2))
    os.utime(old, (1_000_000_000, 1_000_000_000))
    monkeypatch.setattr(module, "KEPT_BYTES", taken + taken // 4)
    trial.quality_path.unlink()
    module.run_trial(trial)
    assert sorted(folder.iterdir()) == kept
