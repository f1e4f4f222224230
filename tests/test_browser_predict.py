"""Predict in a real browser: from a file to the match card, the calls and their CSV."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from core.data.simulate import simulate, write_simulated
from core.data.store import add_dataset
from tests.browser import Server, expect_no_failure, open_page, press, settle
from tests.runs import make
from tests.test_pages_explain import train


@pytest.fixture
def run(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny run on three of five of the simulated samples."""
    monkeypatch.setenv("GENECANVAS_HOME", str(server.home))
    data, _ = simulate(150, 200, seed=1)
    learned = data[np.arange(150) % 5 >= 2].copy()
    return train(
        make(
            add_dataset(learned, "tiny").id, label="tumour_type", group="patient",
            preparation={"genes": 60},
        )
    )  # fmt: skip


def test_from_a_file_to_its_calls(run: str, server: Server, page: Page, tmp_path: Path) -> None:
    data, _ = simulate(150, 200, seed=1)
    others = data[np.arange(150) % 5 < 2].copy()
    write_simulated(others, tmp_path / "others.csv")

    open_page(page, f"{server.url}/predict?run={run}")
    press(page, "Model and samples")
    press(page, "Bring samples")
    page.get_by_test_id("stFileUploaderDropzoneInput").first.set_input_files(
        tmp_path / "others.csv"
    )
    expect(page.get_by_text("60 samples x 200 genes")).to_be_visible()
    press(page, "Save this dataset")
    expect(page.get_by_text("on others.csv, 60 samples")).to_be_visible()
    settle(page)
    page.keyboard.press("Escape")
    press(page, "Does the model fit?")
    expect(page.get_by_text("What was found")).to_be_visible(timeout=300_000)
    expect(page.get_by_text("look unlike everything")).to_have_count(0)
    settle(page)
    press(page, "Predict")
    expect(page.get_by_text("of 60 samples")).to_be_visible(timeout=300_000)
    settle(page)
    expect_no_failure(page)

    with page.expect_download() as download:
        press(page, "All calls (CSV)")
    calls = pd.read_csv(Path(download.value.path()), dtype={"sample": str})
    assert sorted(calls["sample"]) == sorted(others.obs_names)
    assert {"called", "probability", "novelty", "flagged", "linear_called", "true"} <= set(calls)

    link = page.url
    page.goto("about:blank")
    open_page(page, link)
    expect(page.get_by_text("of 60 samples")).to_be_visible()
