"""Layouts tried by a process of its own: the same as here, kept, stopped, and wrong in words."""

import os
import time

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
    Trial,
    TrialState,
    forget_trial,
    load_measured,
    request_trial,
    stop_trial,
)


def wait_for(trial: Trial) -> TrialState:
    for _ in range(600):
        state = request_trial(trial)
        if state.state not in ("working", "waiting"):
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


def test_a_stopped_trial_stays_stopped_and_more_than_two_wait(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [trial.model_copy(update={"image_size": 32 * (number + 1)}) for number in range(3)]
    assert [request_trial(other).state for other in trials] == ["working", "working", "waiting"]
    stop_trial(trials[0])
    assert request_trial(trials[0]).message == "The computation was stopped."
    assert request_trial(trials[2]).state == "working"
    monkeypatch.setattr(module, "ASKED_SECONDS", 0)
    fourth = trial.model_copy(update={"image_size": 128})
    assert request_trial(fourth).state == "working"  # nobody waits for the second any more
    assert request_trial(trials[1]).state == "working"
    for other in (*trials, fourth):
        stop_trial(other)


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
