"""When a queue will be done, what a run costs, and the paper's study."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import InputError
from core.files import write_json
from core.jobs.here import do_here
from core.jobs.job import Lane
from core.jobs.record import JobState, Worker
from core.jobs.schedule import Expected, expect, time_left
from core.jobs.store import JobStore
from core.jobs.worker import keep_quiet
from core.runs.estimate import Estimate, ask_estimate, estimate_job
from core.runs.paper import paper_study
from core.runs.preflight import say_consequences
from core.runs.spec import PRESETS, RunSpec
from core.runs.store import RunRecord
from core.runs.training import TrainJob

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WORKER = Worker("cpu", Lane.INTERACTIVE, 0)


def record(place: int, state: JobState, epochs: int = 20, **fields: object) -> RunRecord:
    spec = RunSpec.parse(
        {
            "cohort": {"dataset": "0" * 64, "label": "x"},
            "seed": place,
            "training": {"epochs": epochs},
        }
    )
    known = {
        "started": None, "finished": None, "done": 0, "total": 1, "message": "", "parent": None,
        "study": None, "reason": None, "device": None, **fields,
    }  # fmt: skip
    return RunRecord(
        id=spec.id, kind="train", lane="queue", place=place, name="", job=TrainJob(spec=spec),
        state=state, created=NOW, slot=0, **known,
    )  # fmt: skip


def test_a_queue_ends_when_the_runs_before_are_done() -> None:
    done = record(1, JobState.DONE, started=NOW - 30 * MINUTE, finished=NOW - 20 * MINUTE)
    running = record(2, JobState.RUNNING, started=NOW - 3 * MINUTE, done=30, total=100)
    first, second = record(4, JobState.QUEUED), record(3, JobState.QUEUED)
    found = expect([first, second, running, done], NOW)
    assert found[running.id] == Expected(running.started, NOW + 7 * MINUTE)
    assert found[second.id] == Expected(NOW + 7 * MINUTE, NOW + 17 * MINUTE)
    assert found[first.id] == Expected(NOW + 17 * MINUTE, NOW + 27 * MINUTE)
    assert done.id not in found


def test_a_running_job_tells_how_long_it_goes_on() -> None:
    started = NOW - 3 * MINUTE
    running = record(1, JobState.RUNNING, started=started, done=30, total=100)
    assert time_left(running, NOW) == 7 * MINUTE
    assert time_left(record(1, JobState.RUNNING, started=started, done=3, total=100), NOW) is None
    assert time_left(record(1, JobState.QUEUED, done=30, total=100), NOW) is None


def test_what_was_measured_tells_where_no_such_job_has_ended() -> None:
    running = record(1, JobState.RUNNING, started=NOW - MINUTE)
    first, second = record(2, JobState.QUEUED), record(3, JobState.QUEUED)
    found = expect([second, first, running], NOW, measure=lambda record: 4 * MINUTE)
    assert found[first.id] == Expected(NOW + 3 * MINUTE, NOW + 7 * MINUTE)
    assert found[second.id].start == NOW + 7 * MINUTE
    assert expect([second, first, running], NOW)[first.id] == Expected(None, None)


def test_workers_share_the_queue() -> None:
    done = record(1, JobState.DONE, started=NOW - 30 * MINUTE, finished=NOW - 20 * MINUTE)
    running = record(2, JobState.RUNNING, started=NOW - 3 * MINUTE, done=30, total=100)
    queued = [record(place, JobState.QUEUED) for place in (3, 4, 5)]
    found = expect([*queued, running, done], NOW, workers=2)
    assert found[queued[0].id] == Expected(NOW, NOW + 10 * MINUTE)
    assert found[queued[1].id] == Expected(NOW + 7 * MINUTE, NOW + 17 * MINUTE)
    assert found[queued[2].id] == Expected(NOW + 10 * MINUTE, NOW + 20 * MINUTE)
    unknown = record(6, JobState.RUNNING, epochs=7, started=NOW)
    found = expect([*queued, running, unknown, done], NOW, workers=2)
    assert [found[run.id].start for run in queued] == [NOW + n * MINUTE for n in (7, 17, 27)]


def test_nothing_is_told_behind_a_run_of_an_unknown_kind() -> None:
    done = record(1, JobState.DONE, started=NOW - 30 * MINUTE, finished=NOW - 20 * MINUTE)
    unknown, behind = record(2, JobState.QUEUED, epochs=7), record(3, JobState.QUEUED)
    found = expect([behind, unknown, done], NOW)
    assert found[unknown.id] == Expected(NOW, None)
    assert found[behind.id] == Expected(None, None)


def test_the_papers_study_has_forty_runs() -> None:
    runs = paper_study(
        {"cohort": {"dataset": "0" * 64, "label": "x"}, "network": {"image_size": 64}}
    )
    assert len({run.id for run in runs}) == 40
    assert {run.network.image_size for run in runs} == {64}
    assert {run.layout.name for run in runs} == {"order"}
    assert sorted({run.split.test_size for run in runs}) == [0.1, 0.2, 0.3, 0.4]
    assert {run.training.augmentation for run in runs} == {"none", "geometric"}
    assert sum(run.network.backbone == "resnet152" for run in runs) == 8


@pytest.fixture
def tiny(home: Path) -> dict:
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    return {
        "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
        "preparation": {"genes": 60}, "network": {"image_size": 32}, "training": {"epochs": 2},
    }  # fmt: skip


def measure(document: dict) -> Estimate:
    job = estimate_job(RunSpec.parse(document))
    do_here(job, keep_quiet)
    return ask_estimate(job)


def test_a_cost_is_measured_by_training_a_few_batches(tiny: dict) -> None:
    solved = PRESETS["recommended"].fill({**tiny, "training": {}})
    for document in (tiny, solved):
        cost = measure(document)
        assert 0 < cost.seconds < 600
        assert 1e6 < cost.peak_bytes < 1e11  # of a GPU what the network takes, else the process
        assert cost.parameters > 100_000
    with pytest.raises(InputError, match="no label column"):
        estimate_job(RunSpec.parse({**tiny, "cohort": {**tiny["cohort"], "label": "grade"}}))


def test_one_cost_is_measured_after_the_other(tiny: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two side by side would measure each other; what was measured yesterday is measured again."""
    for module in ("launch", "here"):
        monkeypatch.setattr(f"core.jobs.{module}.ensure_workers", lambda: None)
    monkeypatch.setattr("core.runs.estimate.ensure_workers", lambda: None)
    first, second = (
        estimate_job(RunSpec.parse({**tiny, "network": {"image_size": size}})) for size in (32, 64)
    )
    store = JobStore()
    for _ in range(2):
        assert ask_estimate(first) is None
        assert ask_estimate(second) is None
        assert store.look_up(second) is None
    store.finish(store.claim(*WORKER).id, JobState.CANCELLED)
    assert ask_estimate(second) is None
    assert store.look_up(second).state == JobState.QUEUED
    store.finish(store.claim(*WORKER).id, JobState.FAILED, "No room.")
    with pytest.raises(InputError, match=r"at 64 pixels: it can't be measured. No room\."):
        ask_estimate(second)
    told = Estimate(seconds=1, peak_bytes=2, free_bytes=3, parameters=4, device="CPU")
    first.path.parent.mkdir(parents=True, exist_ok=True)
    write_json(first.path, told.model_dump(mode="json"))
    assert ask_estimate(first) == told
    os.utime(first.path, (0, 0))
    assert first.known() is None


def test_consequences_are_said_before_the_start(tiny: dict, home: Path) -> None:
    spec = RunSpec.parse(tiny)
    assert any("Fewer than 10 held-out samples of" in text for text in say_consequences(spec))
    large = {
        **tiny,
        "cohort": {**tiny["cohort"], "group": None},
        "network": {"backbone": "vgg16", "weights": "imagenet"},
    }
    said = "\n".join(say_consequences(RunSpec.parse(large)))
    assert "No patient column" in said
    assert "vgg16-397923af.pth (528 MB) is not here yet" in said
    assert str(home / "weights") in said
    assert "138 million parameters learn from" in said
    cost = measure(tiny).model_copy(update={"peak_bytes": 9 * 10**9, "free_bytes": 10**10})
    assert "needs about 9.0 GB of memory, and 10.0 GB are free" in "\n".join(
        say_consequences(spec, cost=cost)
    )
