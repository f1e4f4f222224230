"""Explain in a real browser: from a pixel to its gene, from a lasso to gene sets and a list."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.explain.methods import Recipe
from core.runs.explain import class_genes
from core.runs.explaining import explain_run
from core.runs.spec import RunSpec
from tests.browser import Server, open_page, press, settle
from tests.runs import guess
from tests.test_browser_frame import click_gene
from tests.test_pages_explain import train


@pytest.fixture
def run(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny run that knows nothing and is explained by saliency."""
    monkeypatch.setenv("GENECANVAS_HOME", str(server.home))
    spec = {
        "cohort": {
            "dataset": add_dataset(simulate(90, 200, seed=1)[0], "tiny").id,
            "label": "tumour_type",
        },
        "preparation": {"genes": 60},
        "network": {"image_size": 32, "pool": 2},
        "training": {"epochs": 1, "batch_size": 16, "precision": "float32"},
    }
    run = train(RunSpec.parse(spec))
    guess(run)
    explain_run(run, Recipe("saliency"), lambda *_: None)
    return run


def draw_around(page: Page, low: float, high: float) -> None:
    """Draw a lasso on the first chart: a square between two shares of its sides."""
    page.wait_for_function(  # a map that pixels are clicked on may stand there until then
        "document.querySelector('.js-plotly-plot')?._fullLayout?.dragmode == 'lasso'"
    )
    canvas = page.locator(".nsewdrag").first
    canvas.evaluate("element => element.scrollIntoView({block: 'center'})")  # not behind the header
    box = canvas.bounding_box()
    corners = [(low, low), (high, low), (high, high), (low, high), (low, low)]
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def test_from_a_pixel_and_from_a_lasso(
    run: str, server: Server, page: Page, tmp_path: Path
) -> None:
    open_page(page, f"{server.url}/explain?run={run}&method=saliency")
    gene = click_gene(page)
    expect(page.get_by_role("heading", name=gene, exact=True)).to_be_visible()
    expect(page.locator(".annotation-text").get_by_text(gene, exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="GeneCards")).to_have_attribute(
        "href", re.compile(f"gene={gene}$")
    )
    expect(page.get_by_label(f"{gene} is highest in")).to_be_visible()

    page.get_by_text("Draw around genes", exact=True).click()
    settle(page)
    draw_around(page, 0.1, 0.7)
    expect(page.get_by_text("drawn around on the map")).to_be_visible()
    settle(page)
    with page.expect_download() as download:
        press(page, "This list (CSV)")
    rows = Path(download.value.path()).read_text().splitlines()
    drawn = [row.split(",")[0] for row in rows[1:]]
    assert 5 < len(drawn) < 60
    assert set(drawn) < set(class_genes(run, Recipe("saliency"), "BRCA")["gene"])

    page.get_by_text("Which gene sets are they rich in?").click()
    settle(page)
    sets = tmp_path / "sets.gmt"
    sets.write_text("drawn ones\tx\t" + "\t".join(drawn[:6]) + "\n")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(sets)
    expect(page.get_by_text("of 1 tested sets")).to_be_visible()
    expect(page.get_by_role("button", name=f"What if without these {len(drawn)}?")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    error = page.get_by_test_id("stAlertContentError")
    expect(error).to_have_count(1)
    expect(error).to_contain_text("does not know the classes better than a guess")


def test_samples_in_a_lasso_are_explained(
    run: str, server: Server, page: Page, tmp_path: Path
) -> None:
    """From a lasso of samples to their genes, and on to gene sets."""
    open_page(page, f"{server.url}/explain?run={run}&method=saliency")
    page.get_by_text("Chosen samples", exact=True).click()
    settle(page)
    draw_around(page, 0.05, 0.95)
    heading = page.get_by_role("heading", name=re.compile(r"^\d+ samples, explained towards BRCA$"))
    expect(heading).to_be_visible()
    settle(page)
    press(page, "Compute Saliency")
    count = int(heading.inner_text().split()[0])
    assert 3 < count < 30
    map_of_them = page.get_by_label(f"Saliency of {count} chosen samples towards BRCA")
    expect(map_of_them).to_be_visible(timeout=300_000)
    settle(page)
    page.get_by_text("Which gene sets are they rich in?").click()
    settle(page)
    genes = class_genes(run, Recipe("saliency"), "BRCA")["gene"].tolist()
    sets = tmp_path / "sets.gmt"
    sets.write_text("all but one\tx\t" + "\t".join(genes[1:]) + "\n")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(sets)
    expect(page.get_by_text("of 1 tested sets")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
