"""Compare in a real browser: 200 stored runs, and baseline models fitted on a click."""

import re

import pytest
from playwright.sync_api import Page, expect

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.models.baselines import BASELINES
from tests.browser import Server, expect_first_chart, expect_no_failure, open_page, press, settle
from tests.test_runs_compare import finish_run, keep_images, leave_the_rest
from tests.workers import in_place_of_the_worker

PLAIN = tuple(record.name for record in BASELINES if not record.is_network)
"""Baseline models that are fitted here: networks take their time, and stand already."""


@pytest.fixture
def dataset(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("GENECANVAS_HOME", str(server.home))
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


def test_two_hundred_runs_and_plain_models(dataset: str, server: Server, page: Page) -> None:
    networks = ("vgg16", "vgg19", "resnet50", "resnet101", "squeezenet1_1")
    with in_place_of_the_worker():
        runs = [
            finish_run(
                dataset, 0.1 + 0.05 * place + 0.02 * (augmentation == "none"), seed=seed,
                network={"backbone": backbone}, training={"augmentation": augmentation},
            )
            for seed in range(20)
            for place, backbone in enumerate(networks)
            for augmentation in ("none", "expression")
        ]  # fmt: skip
    for run in runs[:2]:
        keep_images(run)
        leave_the_rest(run, but=PLAIN)
    open_page(page, f"{server.url}/compare")
    expect(page.get_by_text("200 runs").first).to_be_visible()
    expect(page.get_by_text("Best of 10: VGG16", exact=False)).to_be_visible()
    page.get_by_text("Differences", exact=True).click()
    expect(page.get_by_text("Ranks over splits")).to_be_visible()
    page.get_by_text("Settings", exact=True).click()
    expect(page.get_by_text("What each setting does, on runs")).to_be_visible()
    expect_first_chart(page)
    page.get_by_text("Cost", exact=True).click()
    expect(page.get_by_text("Seconds are those of the machine")).to_be_visible()
    expect_first_chart(page)
    page.get_by_text("One run", exact=True).click()
    expect(page.get_by_text("Most confused")).to_be_visible()
    expect_first_chart(page)
    expect_no_failure(page)
    page.wait_for_url(re.compile("runs=all"))

    open_page(page, f"{server.url}/compare?runs={runs[0]},{runs[1]}&metric=mcc")
    expect(page.get_by_text("in MCC", exact=False).first).to_be_visible()
    press(page, "Fit baseline models")
    expect(page.get_by_text("Linear SVM").first).to_be_visible(timeout=300_000)
    for text in ("Fitting baseline models", "More baseline models can stand"):
        expect(page.get_by_text(text, exact=False)).to_have_count(0, timeout=300_000)
    expect_no_failure(page)
    page.reload()
    settle(page)
    page.get_by_role("button", name="Runs and score").click()
    expect(page.get_by_test_id("stMultiSelect").get_by_text("VGG16").first).to_be_visible()
    expect_no_failure(page)
