"""Whether the time that is said to be left is right: samples what pages say, and what came.

    GENECANVAS_HOME=left python -m benchmarks.time_left [NAME ...]

In a home of its own the real example is loaded and each of `JOBS` is done by a worker, as the app
has it done. Four times a second the words are read that a page shows; a row says how far those of
the second half were from the time that was really left, as long as that was two seconds or more.
"""

import re
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np

from core.explain.methods import Recipe
from core.home import home
from core.jobs.job import Job
from core.jobs.launch import ensure_workers, request
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.runs.example import add_example
from core.runs.explaining import EvidenceJob, ExplainJob
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.training import TrainJob

EVERY = 0.25
"""Seconds between two looks."""
LEAST = 2.0
"""Seconds left below which words that round to seconds can't be right within a factor."""
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
SAID = re.compile(r"([\d.]+) (second|minute|hour|day)s? left")


def training(**changes: dict) -> Job:
    """The training of a network of the example, by steps."""
    spec = RunStore().list()[-1].spec
    network = {"backbone": "squeezenet1_1", "image_size": 32, "weights": "scratch"}
    asked = {"cohort": spec.cohort.model_dump(), "network": network, **changes}
    return TrainJob(spec=RunSpec.parse(asked))


def example_run() -> str:
    """The finished run that comes with the example."""
    return RunStore().list()[-1].id


OTHERS = Recipe(baseline="others")
JOBS: dict[str, Callable[[], Job]] = {
    "training, 12 epochs": lambda: training(training={"epochs": 12}),
    "training, 3 folds of 4 epochs": lambda: training(
        training={"epochs": 4}, split={"kind": "kfold", "folds": 3}
    ),
    "integrated gradients": lambda: ExplainJob(about=example_run(), recipe=OTHERS),
    "trust card": lambda: EvidenceJob(about=example_run(), recipe=OTHERS),
}


def read_seconds(words: str) -> float | None:
    """Seconds that are said to be left; None where nothing is said."""
    found = SAID.search(words)
    return float(found[1]) * UNITS[found[2]] if found else None


def sample(job: Job) -> tuple[float, list[tuple[float, float | None]]]:
    """Seconds that a job took, and what was said of the rest of it at which second."""
    record, said = request(job), []
    while True:
        ensure_workers()
        record, now = JobStore().get(record.id), time.time()
        if record.state.finished:
            break
        if record.state == JobState.RUNNING and record.started:
            said.append((now - record.started.timestamp(), read_seconds(record.message)))
        time.sleep(EVERY)
    if record.state != JobState.DONE:
        raise SystemExit(f"{job.title()} {record.state}: {record.reason}")
    return (record.finished - record.started).total_seconds(), said


def row(name: str, seconds: float, said: list[tuple[float, float | None]]) -> str:
    """What a page said in the second half against what came."""
    late = [(seconds - at, words) for at, words in said if at > seconds / 2]
    late = [(left, words) for left, words in late if left >= LEAST]
    ratios = np.array([words / left for left, words in late if words is not None])
    if not len(ratios):
        return f"| {name} | {seconds:.0f} | 0 of {len(late)} | | | |"
    off = np.exp(np.abs(np.log(ratios)))
    return (
        f"| {name} | {seconds:.0f} | {len(ratios)} of {len(late)} | {np.median(ratios):.2f} | "
        f"{ratios.min():.2f} to {ratios.max():.2f} | {np.mean(off <= 1.5):.0%} |"
    )


def main(*names: str) -> None:
    """Print a row for each job."""
    add_example()
    print(f"{datetime.now():%Y-%m-%d}, {Path(home()).name}\n")
    print("| what | s | said in the second half | said / came, median | lowest, highest | "
          "within 1.5 |\n| --- | ---: | --- | ---: | --- | ---: |")  # fmt: skip
    for name in names or JOBS:
        print(row(name, *sample(JOBS[name]())), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
