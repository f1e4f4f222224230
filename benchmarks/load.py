"""Many browsers look at a run that is trained: is the page quick, and is the training slowed?

    OMP_NUM_THREADS=1 python -m benchmarks.load --sessions 20

Trains one long run with the app's own worker, first alone, then with that many pages that poll it.
The browser runs at the lowest priority, so that what slows the training is the server and the
store, not the drawing of twenty pages. Prints the seconds of the middle epoch in both halves, the
processor time that the server takes, and how long a page takes to answer a click on the server.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--sessions", type=int, default=20)
parser.add_argument("--seconds", type=float, default=60)
options = parser.parse_args()
HOME = Path(tempfile.mkdtemp(prefix="load"))
os.environ["GENECANVAS_HOME"] = str(HOME)

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from core.data.simulate import simulate  # noqa: E402
from core.data.store import add_dataset  # noqa: E402
from core.runs.launch import ensure_worker  # noqa: E402
from core.runs.spec import RunSpec  # noqa: E402
from core.runs.store import RunStore  # noqa: E402
from tests.browser import Server, find_browser, settle  # noqa: E402


def processor_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def epoch_seconds(store: RunStore, run: str, seconds: float) -> float:
    """The middle one of the epochs that end within some seconds from now."""
    before = len(store.epochs(run))
    time.sleep(seconds)
    return median(store.epochs(run)["seconds"][before:])


def answer_seconds(page: Page) -> float:
    """From a click to the end of the script on the server, the middle one of five."""
    taken = []
    for level in ("Paper: its 40 runs", "Quick: the recommended recipe") * 3:
        started = time.perf_counter()
        page.get_by_text(level, exact=True).click()
        page.wait_for_timeout(50)
        page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        taken.append(time.perf_counter() - started)
    return median(taken[1:])


def main() -> None:
    """Measure, print."""
    dataset = add_dataset(simulate(600, 1000, seed=1)[0], "load").id
    spec = RunSpec.parse(
        {"dataset": dataset, "label": "tumour_type", "group": "patient",
         "training": {"epochs": 1000}}
    )  # fmt: skip
    store, server = RunStore(), Server(HOME)
    store.submit(spec)
    ensure_worker()
    while len(store.epochs(spec.id)) < 3:
        time.sleep(0.5)
    alone = epoch_seconds(store, spec.id, options.seconds)
    nice = HOME / "browser"
    nice.write_text(f'#!/bin/sh\nexec nice -n 19 {find_browser()} "$@"\n')
    nice.chmod(0o700)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=nice, args=["--no-sandbox"])
        pages = [browser.new_page() for _ in range(options.sessions)]
        for page in pages:
            page.set_default_timeout(300_000)
            page.goto(f"{server.url}/train?run={spec.id}")
            settle(page)
        used = processor_seconds(server.process.pid)
        watched = epoch_seconds(store, spec.id, options.seconds)
        used = processor_seconds(server.process.pid) - used
        answer = answer_seconds(pages[0])
        browser.close()
    store.cancel(spec.id)
    server.kill()
    print(f"seconds an epoch: {alone:.2f} alone, {watched:.2f} with {options.sessions} sessions "
          f"({watched / alone - 1:+.1%})")  # fmt: skip
    print(f"the server takes {used / options.seconds:.0%} of a core; a click is answered after "
          f"{answer:.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()
