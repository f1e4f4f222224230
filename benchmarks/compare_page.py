"""How long the Compare page takes to answer with many runs: a new score, and one seen before.

    python -m benchmarks.compare_page [--runs 200] [--samples 1200]

The runs are finished ones with made-up predictions on real splits of simulated data, stored as a
worker leaves them. First the page runs in Streamlit's AppTest: this is the server's time, without
the network and the browser. Then in Chromium, which draws without a graphics card here: from the
click until the new chart stands and the page has nothing left to do.
"""

import argparse
import os
import tempfile
import time

from playwright.sync_api import sync_playwright

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="genecanvas-")

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.evaluation.metrics import METRICS
from core.home import home
from core.runs.outcome import keep_measures
from tests import browser
from tests.pages import open_page
from tests.test_runs_compare import finish_run

SHOWN = {
    "Differences": ".st-key-ranks .point",
    "Settings": ".st-key-effects .point",
    "Cost": ".st-key-cost .point",
    "One run": ".st-key-confusion image",
    "Samples": ".st-key-wrong_samples-table canvas",
}
"""View -> what it shows at last."""


def main() -> None:
    """Print seconds of wall clock and of this process for each change of the score."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1200)
    options = parser.parse_args()
    dataset = add_dataset(simulate(options.samples, 200)[0], "simulated").id
    for k in range(options.runs):
        share = 0.1 + 0.03 * (k * 37 % 10)
        keep_measures(finish_run(dataset, share, seed=k // 10, training={"epochs": k % 10 + 1}))
    begin = time.perf_counter()
    app = open_page("compare", runs="all")
    print(f"{options.runs} runs, first look, accuracy: {time.perf_counter() - begin:.2f} s")
    names = [metric.name for metric in METRICS if metric.has_interval]
    print(f"{'score':20} {'new':>6} {'CPU':>6} {'again':>6} {'CPU':>6}   seconds")
    for name in names[1:]:
        figures = []
        for _ in range(2):
            begin, busy = time.perf_counter(), time.process_time()
            app = app.selectbox(key="metric").select(name).run()
            figures += [time.perf_counter() - begin, time.process_time() - busy]
            assert not app.exception
            app = app.selectbox(key="metric").select("accuracy").run()
        print(f"{name:20} " + " ".join(f"{figure:6.2f}" for figure in figures), flush=True)
    click_in_browser(names[1:])


def click_in_browser(names: list[str]) -> None:
    """Time a new score, and each view, in a browser with a server of its own."""
    server = browser.Server(home())
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser.find_browser(), args=browser.ARGUMENTS
        )
        page = chromium.new_page(viewport={"width": 1400, "height": 1400})
        page.set_default_timeout(600_000)
        browser.open_page(page, f"{server.url}/compare?runs=all")
        page.get_by_label("Accuracy of each model").wait_for()
        page.wait_for_timeout(3000)
        idle = "document.querySelector('[data-test-script-state=notRunning]')"
        print(f"{'in the browser':40} seconds")
        for name in names:
            title = METRICS[name].title
            page.get_by_test_id("stSelectbox").filter(has_text="Score").locator("input").click()
            page.wait_for_timeout(300)
            chart = f"document.querySelector(\"[aria-label^='{title} of each model'] .point\")"
            browser.watch(page, "pointerdown", f"{chart} && {idle}")
            page.get_by_role("option", name=title, exact=True).click()
            print(f"{title:40} {browser.waited(page):.2f}", flush=True)
            page.wait_for_timeout(2500)
        for view, shown in SHOWN.items():
            browser.watch(page, "pointerdown", f"document.querySelector('{shown}') && {idle}")
            page.get_by_text(view, exact=True).first.click()
            print(f"view {view:35} {browser.waited(page):.2f}", flush=True)
            page.wait_for_timeout(2500)
        chromium.close()
    server.kill()


if __name__ == "__main__":
    main()
