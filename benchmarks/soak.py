"""Many short runs through one store while workers are killed: is anything lost, or done twice?

    OMP_NUM_THREADS=1 python -m benchmarks.soak --runs 200

Queues the runs, starts workers as the app does, and kills them at random moments; runs that lost
their worker are resumed, as a user would. At the end every run must have a result, each epoch must
stand in the store once, and the numbers of some runs must be those of undisturbed ones. A server
with the Train page open in a browser runs beside it; its memory is printed at the beginning, in
the middle and at the end.
"""

import argparse
import os
import random
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--runs", type=int, default=200)
parser.add_argument("--kill-every", type=float, default=20.0, help="seconds, in the mean")
parser.add_argument("--again", type=int, default=3, help="runs that are trained undisturbed too")
options = parser.parse_args()
HOME = Path(tempfile.mkdtemp(prefix="soak"))
os.environ["GENECANVAS_HOME"] = str(HOME)

from playwright.sync_api import sync_playwright  # noqa: E402

from core.data.simulate import simulate  # noqa: E402
from core.data.store import add_dataset  # noqa: E402
from core.jobs.launch import ensure_workers  # noqa: E402
from core.jobs.record import JobState  # noqa: E402
from core.runs.result import load_predictions, load_result  # noqa: E402
from core.runs.spec import RunSpec  # noqa: E402
from core.runs.store import RunStore  # noqa: E402
from tests.browser import Server, find_browser, settle, worker_pids  # noqa: E402

EPOCHS = 3


def specs(number: int) -> list[RunSpec]:
    """Small runs that differ in their seed."""
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "soak").id
    common = {
        "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
        "preparation": {"genes": 60}, "network": {"image_size": 32, "pool": 2},
        "training": {"epochs": EPOCHS, "precision": "float32"},
    }  # fmt: skip
    return [RunSpec.parse({**common, "seed": seed}) for seed in range(number)]


def memory_of(pid: int) -> float:
    """Resident megabytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def disturb(store: RunStore, deadline: float) -> tuple[int, int]:
    """Keep workers going and kill them until every run is done; (kills, resumed runs)."""
    rng, kills, resumed = random.Random(0), 0, 0
    next_kill = time.monotonic() + rng.expovariate(1 / options.kill_every)
    while time.monotonic() < deadline:
        records = store.list()
        if all(record.state == JobState.DONE for record in records):
            break
        for record in records:
            if record.state == JobState.FAILED:
                store.resume(record.id)
                resumed += 1
        ensure_workers()
        if time.monotonic() > next_kill:
            for pid in worker_pids(HOME):
                os.kill(pid, 9)
                kills += 1
            next_kill = time.monotonic() + rng.expovariate(1 / options.kill_every)
        time.sleep(0.3)
        store.reconcile()
    return kills, resumed


def main() -> None:
    """Soak, check, print."""
    store, wanted = RunStore(), specs(options.runs)
    server, started = Server(HOME), time.monotonic()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page()
        for spec in wanted:
            store.submit(spec)
            store.submit(spec)  # asked twice, trained once
        page.goto(f"{server.url}/train")
        settle(page)
        page.wait_for_timeout(15_000)
        memory = [memory_of(server.process.pid)]
        kills, resumed = disturb(store, time.monotonic() + 60 * options.runs)
        memory.append(memory_of(server.process.pid))
        page.wait_for_timeout(15_000)
        memory.append(memory_of(server.process.pid))
        browser.close()
    server.kill()
    records = store.list()
    print(f"{options.runs} runs, {kills} kills, {resumed} resumed, "
          f"{time.monotonic() - started:.0f} s")  # fmt: skip
    print(f"in the store: {len(records)}; done: {sum(r.state == 'done' for r in records)}; "
          f"with a result: {sum(load_result(r.id).n_test > 0 for r in records)}")  # fmt: skip
    twice = sum(store.epochs(r.id)["epoch"].tolist() != [1, 2, 3] for r in records)
    print(f"runs whose epochs are not each there once: {twice}")
    print("server MB at the beginning, after the last run, at the end: "
          + ", ".join(f"{value:.0f}" for value in memory))  # fmt: skip
    compare_with_undisturbed(store, wanted)


def compare_with_undisturbed(store: RunStore, wanted: list[RunSpec]) -> None:
    """Train some runs again, alone; every probability must be the same to the last bit."""
    chosen = random.Random(1).sample(wanted, min(options.again, len(wanted)))
    before = {spec.id: load_predictions(spec.id) for spec in chosen}
    for spec in chosen:
        store.delete(spec.id)
        store.submit(spec)
    while not all(store.get(spec.id).state.finished for spec in chosen):
        ensure_workers()
        time.sleep(0.5)
    same = sum(load_predictions(spec.id).equals(before[spec.id]) for spec in chosen)
    print(f"of {len(chosen)} runs trained again undisturbed, {same} have the same predictions")


if __name__ == "__main__":
    main()
