"""The share of a run's time that goes into reporting: progress, log, measurements, checkpoints.

    OMP_NUM_THREADS=1 python -m benchmarks.reporting [--epochs 40] [--samples 600]

Trains two runs on simulated data as the worker does, with its reporter and its store: a head on the
cached features of a frozen backbone, whose epochs are short, first filling the cache and then out
of it, and the same network trained as a whole. Everything that is there for those who watch or
resume a run is timed: the calls of the reporter, and writing checkpoints.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="reporting")

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.home import run_folder
from core.jobs.record import JobState
from core.jobs.worker import StoreReporter, keep_quiet, print_to
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore, log_path
from core.training import loop


class Clock:
    """Adds up what calls take, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def time(self, name: str, call: Callable) -> Callable:
        """The same call, timed."""

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                taken = time.perf_counter() - started
                self.seconds[name] = self.seconds.get(name, 0) + taken
                self.calls[name] = self.calls.get(name, 0) + 1

        return timed


def train(spec: RunSpec, title: str) -> None:
    """Train a run with clocks on everything that reports, and print what they show."""
    store, clock = RunStore(), Clock()
    store.submit(spec)
    record = store.claim("cpu")
    reporter = StoreReporter(store, record, keep_quiet)
    for name in ("progress", "event", "enough", "cancelled"):
        setattr(reporter, name, clock.time(name, getattr(reporter, name)))
    write, loop.write_atomic = loop.write_atomic, clock.time("checkpoint", loop.write_atomic)
    started = time.perf_counter()
    with store.kept_open(), print_to(log_path(record.id)):
        record.job.run(run_folder(record.id), reporter, "cpu")
    whole = time.perf_counter() - started
    loop.write_atomic = write
    store.finish(record.id, JobState.DONE)
    epochs = store.epochs(record.id)["seconds"]
    print(f"{title}: {whole:.1f} s, {len(epochs)} epochs of {epochs.median():.3f} s (median), "
          f"{load_result(record.id).parameters / 1e6:.1f} million parameters")  # fmt: skip
    for name, seconds in clock.seconds.items():
        print(f"    {name:10} {clock.calls[name]:6} calls {seconds:7.3f} s "
              f"{100 * seconds / whole:6.2f} %")  # fmt: skip
    share = sum(clock.seconds.values())
    print(f"    together   {share:20.3f} s {100 * share / whole:6.2f} %   "
          f"load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip


def main() -> None:
    """Train the runs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--samples", type=int, default=600)
    options = parser.parse_args()
    dataset = add_dataset(simulate(options.samples, 1000)[0], "simulated").id

    def spec(freeze: str, number: int) -> RunSpec:
        return RunSpec.parse(
            {
                "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
                "network": {"image_size": 32, "freeze": freeze},
                "training": {"epochs": options.epochs, "weight_decay": 0.01 + number / 1000},
            }
        )  # fmt: skip

    train(spec("backbone", 0), "head on a frozen backbone, filling the cache")
    train(spec("backbone", 1), "head on a frozen backbone, from the cache")
    train(spec("nothing", 0), "the whole network")


if __name__ == "__main__":
    main()
