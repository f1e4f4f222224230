"""The page Gene images with a large dataset: what a click takes on the server.

    python -m benchmarks.images_page --home FOLDER

Adds a simulated dataset to the folder (10 000 samples x 20 000 genes of 11 classes: 0.8 GB, and
about 2 GB of memory while the page has it open), paints all genes, and clicks. The server's part is
timed in Streamlit's AppTest, where nothing else waits for it: seconds of the processor and of the
clock for the whole script, and the size of the charts that it sends. Then the same in Chromium,
which draws without a graphics card here: seconds of the clock from the click, or from the last
letter, until the chart stands.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

CLASSES = 11
MODULES = 100
CLICKS = 4
"""Repeats of each click: the first is shown apart, since it fills caches."""


def main() -> None:
    """Print the tables; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--home", type=Path, required=True, help="where the dataset is kept")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--genes", type=int, default=20_000)
    options = parser.parse_args()
    os.environ.update(GENECANVAS_HOME=str(options.home), OMP_NUM_THREADS="1")
    started = time.perf_counter()
    add_large(options.samples, options.genes)
    say(f"the dataset stands after {time.perf_counter() - started:.0f} s")
    click_on_server(options.genes)
    click_in_browser(options.home, options.genes)


def say(text: str) -> None:
    """A line of progress."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def add_large(samples: int, genes: int) -> None:
    """Log expression whose genes follow modules; classes differ in the modules' activity."""
    from anndata import AnnData

    from core.data.store import add_dataset, list_datasets

    name = f"{samples} x {genes}"
    if name in [record.name for record in list_datasets()]:
        return
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=samples)
    activity = rng.normal(size=(samples, MODULES)) + rng.normal(size=(CLASSES, MODULES))[labels]
    module, loading = rng.integers(MODULES, size=genes), rng.uniform(0.3, 1, genes)
    level = rng.uniform(3, 11, genes)
    x = np.empty((samples, genes), np.float32)
    for part in np.array_split(np.arange(samples), 20):
        x[part] = level + activity[part][:, module] * loading
        x[part] += 0.7 * rng.standard_normal((len(part), genes))
    obs = pd.DataFrame(
        {"tumour_type": [f"type {label:02d}" for label in labels]},
        index=[f"S{number:05d}" for number in range(samples)],
    )
    var = pd.DataFrame(index=[f"GENE{number:05d}" for number in range(genes)])
    add_dataset(AnnData(np.maximum(x, 0), obs, var, uns={"scale": "log2"}), name)


def click_on_server(genes: int) -> None:
    """Time the script for each kind of click."""
    from tests.pages import open_page

    started = time.perf_counter()
    app = open_page("images")
    app.default_timeout = 600
    app.number_input(key="image size").set_value(284)
    fields = [field for field in app.number_input if field.label == "Genes"]
    fields[0].set_value(genes).run()
    while not app.get("plotly_chart"):
        time.sleep(1)
        app.run()
    say(f"the first image stands after {time.perf_counter() - started:.0f} s")
    names = [f"GENE{number:05d}" for number in range(genes)]
    classes = app.selectbox(key="class shown").options
    rng = np.random.default_rng(1)

    def find_gene() -> None:
        app.text_input(key="gene").input(names[rng.integers(len(names))])

    def choose_class() -> None:
        app.selectbox(key="class shown").select(classes[rng.integers(len(classes))])

    def draw() -> None:
        first = int(rng.integers(len(names) - 200))
        app.session_state["drawn"] = names[first : first + 200]

    print("| click | first, s | then, s | of it CPU s | charts, MB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    show_clicks(app, "mean: another gene", find_gene)
    show_clicks(app, "mean: another class", choose_class)
    for view in ("difference", "classes", "samples", "groups"):
        app.session_state["view"] = view
        show_clicks(app, f"{view}: opened", lambda: None, repeats=1)
        show_clicks(app, f"{view}: another gene", find_gene)
    app.session_state["view"] = "mean"
    app.session_state["pointer"] = "draw"
    show_clicks(app, "mean: 200 genes drawn around", draw)
    memory = Path("/proc/self/status").read_text()
    for name in ("VmRSS", "VmHWM"):
        print(f"{name}: {int(memory.split(name + ':')[1].split()[0]) / 2**20:.1f} GB")


def click_in_browser(home: Path, genes: int) -> None:
    """Time a few clicks from the mouse to the drawn image, with a server of its own."""
    from playwright.sync_api import expect, sync_playwright

    from tests import browser

    expect.set_options(timeout=600_000)
    server = browser.Server(home)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser.find_browser(), args=browser.ARGUMENTS
        )
        page = chromium.new_page(viewport={"width": 1400, "height": 1400})
        page.set_default_timeout(600_000)
        page.goto(f"{server.url}/images")
        images = page.locator(".nsewdrag")
        expect(images.first).to_be_visible()
        browser.set_number(page, "Image size", 284)
        browser.set_number(page, "Genes", genes)
        expect(page.get_by_text(f"{genes:,} genes on").first).to_be_visible()
        browser.settle(page)
        print("\n| in the browser | s |\n| --- | ---: |")
        for at in (0.2, 0.35, 0.6, 0.75, 0.5):
            page.mouse.move(10, 10)
            expect(page.locator(".hoverlayer .hovertext")).to_have_count(0)
            box = images.first.bounding_box()
            page.mouse.move(box["x"] + box["width"] * at, box["y"] + box["height"] * at)
            label = page.locator(".hoverlayer .hovertext").first
            expect(label).to_contain_text("GENE")
            page.wait_for_timeout(1000)
            gene = label.text_content()[:9]
            browser.watch(page, "pointerdown", count_of(f"[aria-label*='{gene}'] .box", CLASSES))
            page.mouse.down()
            page.mouse.up()
            print(f"| mean: click on {gene} | {browser.waited(page):.2f} |", flush=True)
            page.wait_for_timeout(3000)
        field = page.get_by_label("Find a gene")
        for number in range(3):
            gene = f"GENE{1234 * (number + 1):05d}"
            browser.watch(page, "input", count_of(f"[aria-label*='{gene}'] .box", CLASSES))
            field.fill(gene)
            print(f"| mean: {gene} typed | {browser.waited(page):.2f} |", flush=True)
            page.wait_for_timeout(3000)
        for view, drawn in (("All classes", CLASSES), ("Samples", 8), ("Class mean", 1)):
            browser.watch(page, "pointerdown", count_of(".heatmaplayer image", drawn))
            page.get_by_text(view, exact=True).click()
            print(f"| {view}: opened | {browser.waited(page):.2f} |", flush=True)
            browser.settle(page)
            page.wait_for_timeout(3000)
        chromium.close()
    server.kill()


def count_of(selector: str, count: int) -> str:
    """JavaScript that says whether the page has so many elements."""
    return f'document.querySelectorAll("{selector}").length == {count}'


def show_clicks(app, title: str, click, repeats: int = CLICKS) -> None:
    """A row: the first click, the median of the others, and what the last sent."""
    seconds, processor = [], []
    for _ in range(repeats):
        click()
        clock, own = time.perf_counter(), time.process_time()
        app.run()
        seconds.append(time.perf_counter() - clock)
        processor.append(time.process_time() - own)
        assert not app.exception, app.exception
    sent = sum(len(chart.proto.spec) for chart in app.get("plotly_chart")) / 1e6
    then = (
        f"{np.median(seconds[1:]):.2f} | {np.median(processor[1:]):.2f}" if repeats > 1 else " | "
    )
    print(f"| {title} | {seconds[0]:.2f} | {then} | {sent:.2f} |", flush=True)


if __name__ == "__main__":
    main()
