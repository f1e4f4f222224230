"""From asking to the answer of a what-if, with a cold, a foreseen and a warm worker, in one run.

    python -m benchmarks.answer [--rounds 3] [--data EXPRESSION SAMPLES] [--where COLUMN=VALUE] \
        [--weights PATH] [--backbone vgg16] [--workers warm] [--questions reused computed]

The recommended recipe on the simulated example, or on other data with the columns tumour_type and
patient: a parent run is trained first. Then, in each round, one thing is changed that the cached
features of the frozen stages outlive (the share of validation samples, from which a solved head
learns as from the others), and one that they don't (the seed, and with it the split), each asked
for when there is no worker, when a page has foreseen the question for some seconds, and when a
worker is warm; and the run is explained. The clock runs from submitting to the result in the store,
as a page sees it that looks every 20 ms, and that sees to workers each second. Where other work
runs too, the seconds of a processor that the worker took hold better than those by the clock.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["GENECANVAS_WARM_MINUTES"] = "5"

from core.data.read import read_dataset
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.devices import devices
from core.explain.methods import Recipe
from core.jobs.job import Job, Lane
from core.jobs.launch import ensure_workers, foresee, request
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.lease import holder
from core.runs.explaining import ExplainJob
from core.runs.spec import PRESETS, RunSpec
from core.runs.training import TrainJob

BEFORE_FITTING = ("", "Starting", "Reading the dataset", "Looking through the samples")
WORKERS = ("cold", "foreseen", "warm")
QUESTIONS = ("reused", "computed", "explanation")


class Answer(NamedTuple):
    """What an answer took, in seconds from asking; medians of several."""

    begun: float
    """A worker has the job."""
    fitting: float
    """Something is being fitted, or an explanation computed."""
    done: float
    processor: float
    """Seconds of a processor, from the worker's start where there was none."""


def ask(job: Job) -> Answer:
    """Ask for a job, and wait for its result."""
    before = {pid: processor_seconds(pid) for pid in workers(job.lane)}
    started, begun, fitting, store = time.perf_counter(), 0.0, 0.0, JobStore()
    id, seen_to = request(job).id, started
    while not (record := store.get(id)).state.finished:
        now = time.perf_counter() - started
        if record.state == JobState.RUNNING:
            begun = begun or now
            fitting = fitting or (now if record.message not in BEFORE_FITTING else 0.0)
        if time.perf_counter() - seen_to > 1:
            ensure_workers()
            seen_to = time.perf_counter()
        time.sleep(0.02)
    if record.state != JobState.DONE:
        raise SystemExit(f"{record.name}: {record.reason}")
    done = time.perf_counter() - started
    pid = holder(store.lease_path(record.device, record.lane, record.slot))
    return Answer(
        begun or done, fitting or done, done, processor_seconds(pid) - before.get(pid, 0.0)
    )


def prepare(worker: str, job: Job, seconds: float) -> None:
    """Let a job find a worker as it is said: cold, foreseen for so many seconds, or warm.

    A page foresees each time that it is drawn: a worker that has ended a moment ago may still be in
    the way of another.
    """
    if worker != "warm":
        end_workers(job.lane)
    if worker != "cold" and not workers(job.lane):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not workers(job.lane):
                foresee(type(job))
            time.sleep(1)


def workers(lane: Lane) -> list[int]:
    """The processes that work in a lane."""
    leases = [JobStore().lease_path(device, lane, slot) for device in devices() for slot in (0, 1)]
    return [pid for lease in leases if (pid := holder(lease)) is not None]


def processor_seconds(pid: int) -> float:
    """What a process has taken so far; Linux says so."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end_workers(lane: Lane) -> None:
    """Let the next job find no worker."""
    for pid in workers(lane):
        os.kill(pid, signal.SIGTERM)
        while pid in workers(lane):
            time.sleep(0.05)


def main() -> None:
    """Print a row for each question: medians over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", nargs=2, type=Path)
    parser.add_argument("--where", default="")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--workers", nargs="+", choices=WORKERS, default=WORKERS)
    parser.add_argument("--foreseen", type=float, default=10, metavar="SECONDS",
                        help="for which somebody fills in the form before asking")  # fmt: skip
    parser.add_argument("--questions", nargs="+", choices=QUESTIONS, default=QUESTIONS)
    options = parser.parse_args()
    rounds = options.rounds
    with tempfile.TemporaryDirectory() as home:
        os.environ["GENECANVAS_HOME"] = home
        data = simulate()[0] if options.data is None else read_dataset(*options.data)
        dataset = add_dataset(data, "Answers").id
        column, _, value = options.where.partition("=")
        weights = f"file:{options.weights}" if options.weights else "scratch"
        document = PRESETS["recommended"].fill(
            {
                "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient",
                           "where": {column: [value]} if column else {}},
                "network": {"backbone": options.backbone, "weights": weights},
                "preparation": {"genes": min(1024, data.n_vars)},
            }
        )  # fmt: skip

        def train(seed: int, validation: float) -> Job:
            changed = {"split": {"validation": validation}, "seed": seed}
            return TrainJob(spec=RunSpec.parse({**document, **changed}))

        print(f"parent run: {ask(train(0, 0.1)).done:.1f} s, load {os.getloadavg()[0]:.1f}")
        taken: dict[str, list[Answer]] = {}
        for number in range(1, rounds + 1):
            for worker in options.workers:
                seed = 3 * number + WORKERS.index(worker)
                asked = {"reused": train(0, 0.1 + seed / 100), "computed": train(seed, 0.1)}
                for question in options.questions:
                    job = asked.get(question) or ExplainJob(
                        about=asked["computed"].key, recipe=Recipe("integrated_gradients")
                    )
                    prepare(worker, job, options.foreseen)
                    taken.setdefault(f"{question}, {worker}", []).append(ask(job))
        print("\n| question, worker | begun after s | fitting after s | answered after s | "
              "processor s |\n| --- | ---: | ---: | ---: | ---: |")  # fmt: skip
        for name in sorted(taken):
            found = Answer(*map(statistics.median, zip(*taken[name], strict=True)))
            print(f"| {name} | {found.begun:.2f} | {found.fitting:.1f} | {found.done:.1f} | "
                  f"{found.processor:.1f} |")  # fmt: skip
        print(f"\nmedians of {rounds} rounds, load {os.getloadavg()[0]:.1f}")
        for lane in Lane:
            end_workers(lane)


if __name__ == "__main__":
    main()
