"""What a biologist does, in a browser: from the example to its genes, and when things go wrong."""

import os
import re
import signal
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Page, expect

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.jobs.launch import request
from core.runs.result import load_spec
from core.runs.training import TrainJob
from tests.browser import (
    Server,
    choose,
    expect_first_chart,
    expect_no_failure,
    expect_place,
    open_page,
    press,
    settle,
    worker_pids,
)
from tests.workers import wait_until


@pytest.fixture
def example(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated tumours are there, whichever test is the first."""
    monkeypatch.setenv("GENECANVAS_HOME", str(server.home))
    add_dataset(simulate()[0], "Simulated tumours")


def state_of(home: Path, run: str) -> str:
    with sqlite3.connect(home / "runs.sqlite") as db:
        return db.execute("SELECT state FROM jobs WHERE id = ?", (run,)).fetchone()[0]


def start_run(page: Page, server: Server, *, epochs: int, seed: int) -> str:
    """Start a small run from a link to the Train page; gives back its id.

    Each setting that is typed would have the cost of another run measured.
    """
    asked = {"level": "Custom: every setting", "network image_size": 32, "epochs": epochs,
             "seed": seed}  # fmt: skip
    open_page(page, f"{server.url}/train?{urlencode(asked, quote_via=quote)}")
    press(page, "Start training")
    page.wait_for_url(re.compile(r"/run\?id=[0-9a-f]{16}"))
    settle(page)
    return re.search(r"id=([0-9a-f]{16})", page.url)[1]


def expect_alert(page: Page, kind: str, text: str) -> None:
    """A coloured box of that kind says so (the log may hold the same words)."""
    box = page.get_by_test_id(f"stAlertContent{kind}")
    expect(box).to_contain_text(text, timeout=120_000)


def expect_first_screen(page: Page) -> None:
    """Charts, genes and the question stand on a run's first screen."""
    expect(page.get_by_text("held-out samples are right").first).to_be_visible(timeout=300_000)
    expect(page.get_by_text("Genes that spoke for")).to_be_visible(timeout=300_000)
    settle(page)
    expect_no_failure(page)
    charts, genes = page.locator(".js-plotly-plot"), page.get_by_test_id("stDataFrame").first
    asking = page.get_by_role("button", name="Ask", exact=True)
    for shown, highest in ((charts.first, 200), (charts.nth(1), 200), (genes, 300), (asking, 850)):
        expect_place(page, shown, f"box.top <= {highest} && box.bottom < 900")  # the first screen


def test_from_the_example_to_its_genes(
    server: Server, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_page(page, server.url)
    press(page, "Load simulated tumours")
    expect(page.get_by_text("600 samples").first).to_be_visible()
    press(page, "See gene-images →")
    expect(page.get_by_text("1,000 genes on 32 x 32 pixels")).to_be_visible()
    expect_no_failure(page)

    run = start_run(page, server, epochs=2, seed=1)
    expect_first_screen(page)
    monkeypatch.setenv("GENECANVAS_HOME", str(server.home))
    spec = load_spec(run)
    for seed in (2, 3):
        request(TrainJob(spec=spec.model_copy(update={"seed": seed})))
    for seed in (2, 3):
        repeated = spec.model_copy(update={"seed": seed}).id
        wait_until(lambda run=repeated: state_of(server.home, run) == "done")
    page.reload()
    settle(page)
    expect(page.get_by_text("On 3 splits:")).to_be_visible()
    expect(page.get_by_role("button", name="Compare the 3 splits →")).to_be_visible()
    expect_first_screen(page)

    choose(page, "What if it were trained", "on permuted labels (control)")
    expect(page.get_by_text(re.compile(r"about [\d.]+ (second|minute)"))).to_be_visible()
    press(page, "Ask")
    expect(page.get_by_role("button", name="Labels permuted →")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("With permuted labels")).to_be_visible(timeout=300_000)
    assert f"id={run}" in page.url, "the answer stands in place"
    expect_no_failure(page)
    press(page, "Labels permuted →")
    expect(page.get_by_text("What if: labels permuted?")).to_be_visible()
    expect_first_chart(page)
    expect(page.get_by_role("button", name=re.compile("^← SqueezeNet"))).to_be_visible()
    settle(page)
    page.go_back()
    page.wait_for_url(re.compile(rf"/run\?id={run}"))
    settle(page)
    expect(page.get_by_role("button", name="Labels permuted →")).to_be_visible()

    press(page, "More about its genes →")
    page.wait_for_url(re.compile(rf"/explain.*run={run}"))
    settle(page)
    expect(page.get_by_text("Genes that spoke for BRCA")).to_be_visible()
    expect_no_failure(page)
    with page.expect_download() as download:
        press(page, "Genes (CSV)")
    table = Path(download.value.path()).read_text().splitlines()
    assert table[0].startswith("gene,class,score,rank,tied,log2fc,fdr")
    assert len(table) > 900

    open_page(page, f"{server.url}/compare?runs={run}")
    expect(page.get_by_text(re.compile(r"tuned linear model.*95\s%\sCI")).first).to_be_visible()
    expect_no_failure(page)


def test_a_run_outlives_the_page_and_can_be_cancelled_and_resumed(
    example: None, server: Server, page: Page
) -> None:
    run = start_run(page, server, epochs=900, seed=2)
    expect(page.get_by_text(re.compile(r"Epoch \d+ of 900"))).to_be_visible(timeout=300_000)
    page.reload()
    settle(page)
    expect(page.get_by_text(re.compile(r"Epoch \d+ of 900"))).to_be_visible()
    press(page, "Cancel")
    expect_alert(page, "Info", "Cancelled by the user.")
    assert state_of(server.home, run) == "cancelled"
    press(page, "Resume")
    expect(page.get_by_text(re.compile(r"Epoch \d+ of 900"))).to_be_visible(timeout=300_000)
    press(page, "Cancel")
    expect_alert(page, "Info", "Cancelled by the user.")


def test_a_killed_worker_and_a_killed_server(example: None, server: Server, page: Page) -> None:
    run = start_run(page, server, epochs=900, seed=3)
    expect(page.get_by_text(re.compile(r"Epoch \d+ of 900"))).to_be_visible(timeout=300_000)
    server.kill()
    assert state_of(server.home, run) == "running"
    server.start()
    open_page(page, f"{server.url}/run?id={run}")
    expect(page.get_by_text(re.compile(r"Epoch \d+ of 900"))).to_be_visible()
    dead = set(worker_pids(server.home))
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    for _ in range(120):  # the server looks after the queue: another worker goes on by itself
        if set(worker_pids(server.home)) - dead:
            break
        time.sleep(1)
    assert set(worker_pids(server.home)) - dead
    expect(page.get_by_text(re.compile(r"Epoch \d+ of 900"))).to_be_visible(timeout=300_000)
    press(page, "Cancel")
    expect_alert(page, "Info", "Cancelled by the user.")
