"""From asking to the answer of a what-if, with a cold, a foreseen and a warm worker, in one run.

    python -m benchmarks.answer [--rounds 3] [--data EXPRESSION SAMPLES] [--where COLUMN=VALUE] \
        [--weights PATH] [--backbone vgg16]

The recommended recipe on the simulated example, or on other data with the columns tumour_type and
patient: a parent run is trained first. Then, in each round, one thing is changed that the cached
features of the frozen stages outlive (the share of validation samples, from which a solved head
learns as from the others), and one that they don't (the seed, and with it the split), each asked
for when there is no worker, when a page has foreseen the question for ten seconds, and when a
worker is warm; and the run is explained. The clock runs from submitting to the result in the store,
as a page sees it that looks every 20 ms, and that sees to workers each second.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

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
from core.lease import holder, is_held
from core.runs.explaining import ExplainJob
from core.runs.spec import PRESETS, RunSpec
from core.runs.training import TrainJob

FORESEEN = 10
"""Seconds for which somebody fills in the form before asking."""


def ask(job: Job) -> tuple[float, float]:
    """Seconds until a job is begun, and until its result stands."""
    started, begun, store = time.perf_counter(), 0.0, JobStore()
    id, seen_to = request(job).id, started
    while not (record := store.get(id)).state.finished:
        if record.state == JobState.RUNNING and not begun:
            begun = time.perf_counter() - started
        if time.perf_counter() - seen_to > 1:
            ensure_workers()
            seen_to = time.perf_counter()
        time.sleep(0.02)
    if record.state != JobState.DONE:
        raise SystemExit(f"{record.name}: {record.reason}")
    done = time.perf_counter() - started
    return begun or done, done


def prepare(worker: str, job: Job) -> None:
    """Let a job find a worker as it is said: cold, foreseen or warm."""
    if worker != "warm":
        end_workers(job.lane)
    if worker == "foreseen":
        foresee(type(job))
        time.sleep(FORESEEN)


def end_workers(lane: Lane) -> None:
    """Let the next job find no worker."""
    for device in devices():
        for slot in range(2):
            lease = JobStore().lease_path(device, lane, slot)
            if (pid := holder(lease)) is not None:
                os.kill(pid, signal.SIGTERM)
            while is_held(lease):
                time.sleep(0.05)


def main() -> None:
    """Print a row for each question: medians over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", nargs=2, type=Path)
    parser.add_argument("--where", default="")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--backbone", default="squeezenet1_1")
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

        parent = train(0, 0.1)
        print(f"parent run: {ask(parent)[1]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
        taken: dict[str, list[tuple[float, float]]] = {}
        for number in range(1, rounds + 1):
            for state, worker in enumerate(("cold", "foreseen", "warm")):
                seed = 3 * number + state
                for what, job in (
                    ("features are reused", train(0, 0.1 + seed / 100)),
                    ("features are computed", train(seed, 0.1)),
                ):
                    prepare(worker, job)
                    taken.setdefault(f"{what}, {worker}", []).append(ask(job))
                job = ExplainJob(about=train(seed, 0.1).key, recipe=Recipe("integrated_gradients"))
                prepare(worker, job)
                taken.setdefault(f"explanation, {worker}", []).append(ask(job))
        print("\n| question, worker | begun after s | answered after s |\n| --- | ---: | ---: |")
        for name in sorted(taken):
            begun, done = (statistics.median(row[k] for row in taken[name]) for k in (0, 1))
            print(f"| {name} | {begun:.2f} | {done:.1f} |")
        print(f"\nmedians of {rounds} rounds, load {os.getloadavg()[0]:.1f}")
        for lane in Lane:
            end_workers(lane)


if __name__ == "__main__":
    main()
