"""The first minute: clicks and seconds from one's own file to its genes, and where they stand.

    python -m benchmarks.first_minute [--size 1280x900]

In Chromium against the app as it is started by `make run`, with an empty home: the tumours of
assets/ are brought as somebody's own file, trained on by the first recipe, and their genes waited
for. Then how far down each page its first chart stands, the genes on the page Run, and how many
Backs lead from Explain to the page before. At last the example in one click, in another home.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect, sync_playwright

from core.processes import ROOT
from tests.browser import ARGUMENTS, Server, find_browser, open_page, settle

CHARTED = ("data", "images", "run", "compare", "explain")
"""Pages that show a chart at once."""
CHART = ".js-plotly-plot"
GENES = "[data-testid=stDataFrame]"
LONG = 900_000
"""Milliseconds that are waited at most: the machine may be busy."""


class Clicks:
    """Presses buttons and counts them."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def press(self, name: str) -> None:
        """Press the button of that name once it can be pressed."""
        self.page.get_by_role("button", name=name, exact=True).first.click(timeout=LONG)
        self.count += 1


def bring_own_file(page: Page, url: str) -> None:
    """From an own file to its genes; prints clicks and seconds, and leaves the run's page open."""
    open_page(page, url)
    clicks = Clicks(page)
    files = [ROOT / "assets" / name for name in ("tumours.csv", "tumours.parquet")]
    page.locator("input[type=file]").first.set_input_files(files)
    clicks.count += 1
    begin = time.perf_counter()
    clicks.press("Save this dataset")
    page.locator(CHART).first.wait_for(timeout=LONG)
    print(f"| own file to the first chart | {clicks.count} clicks, {_since(begin)} |", flush=True)
    clicks.press("Train on these →")
    clicks.press("Start training")
    page.get_by_text("held-out samples are right").first.wait_for(timeout=LONG)
    print(f"| … to the result | {clicks.count} clicks, {_since(begin)} |", flush=True)
    page.get_by_text("Genes that spoke for").first.wait_for(timeout=LONG)
    print(f"| … to the first list of genes | {clicks.count} clicks, {_since(begin)} |", flush=True)


def measure_places(page: Page, url: str) -> None:
    """Prints how far down charts and genes stand."""
    run = parse_qs(urlsplit(page.url).query)["id"][0]
    links = {"run": f"run?id={run}", "explain": f"explain?run={run}"}
    for name in CHARTED:
        open_page(page, f"{url}/{links.get(name, name)}")
        page.locator(CHART).first.wait_for(timeout=LONG)
        settle(page)
        print(f"| pixels above the first chart, {name} | {_top(page, CHART):.0f} |", flush=True)
        if name == "run":
            print(f"| pixels above the top genes | {_top(page, GENES):.0f} |", flush=True)


def count_backs(page: Page, url: str) -> None:
    """Prints how many Backs lead from Explain to Run, where its button was pressed."""
    open_page(page, f"{url}/run")
    page.get_by_role("button", name="More about its genes →").click(timeout=LONG)
    page.wait_for_url("**/explain**", timeout=LONG)
    settle(page)
    backs = 0
    while "/run" not in page.url and backs < 10:
        page.go_back()
        page.wait_for_timeout(2000)
        backs += 1
    print(f"| Backs from Explain to the run | {backs} |", flush=True)


def load_example(page: Page, url: str) -> None:
    """Prints the seconds until the example is there, and its finished run is shown."""
    open_page(page, url)
    clicks, begin = Clicks(page), time.perf_counter()
    clicks.press("Load real tumours")
    page.locator(CHART).first.wait_for(timeout=LONG)
    print(f"| example to the first chart | {clicks.count} click, {_since(begin)} |", flush=True)
    clicks.press("See its last run →")
    expect(page.get_by_text("Genes that spoke for").first).to_be_visible(timeout=LONG)
    print(f"| … to its run and genes | {clicks.count} clicks, {_since(begin)} |", flush=True)


def _since(begin: float) -> str:
    return f"{time.perf_counter() - begin:.0f} s"


def _top(page: Page, what: str) -> float:
    return page.locator(what).first.bounding_box()["y"]


def main() -> None:
    """Print a table of all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1280x900")
    width, height = map(int, parser.parse_args().size.split("x"))
    print(f"{width} x {height}, load {os.getloadavg()[0]:.1f}\n\n| what | |\n| --- | --- |")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        chromium = playwright.chromium.launch(executable_path=find_browser(), args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": width, "height": height})
        for name, steps in (
            ("own", (bring_own_file, measure_places, count_backs)),
            ("example", (load_example,)),
        ):
            server = Server(Path(folder) / name)
            try:
                for step in steps:
                    step(page, server.url)
            finally:
                server.kill()
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
