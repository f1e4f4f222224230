"""Every page for everyone: by eye, by keyboard, by voice, in narrow windows, in light and dark."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from core.data.groups import keep_group
from core.data.store import list_datasets, load_dataset
from core.explain.methods import Recipe
from core.images.references import add_reference
from core.jobs.here import do_here
from core.runs.explain import class_genes
from core.runs.explaining import explain_run
from core.runs.result import load_result
from core.runs.store import RunStore
from core.stories import create_story, list_stories, pin
from core.tissue.job import TissueJob
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import TissueSpec
from core.tissue.store import add_tissue
from tests.browser import (
    Server,
    expect_first_chart,
    expect_no_failure,
    expect_place,
    open_page,
    settle,
)
from tests.earlier_homes import LATEST, unpack_home
from tests.test_stories import make_view

SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app on a home with finished runs."""
    home = tmp_path_factory.mktemp("filled") / "home"
    unpack_home(LATEST, home)
    server = Server(home)
    yield server
    server.kill()


def find_barriers(page: Page) -> list[str]:
    """What axe-core calls serious or critical on a page, a line for each kind."""
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {rule['help']}: {[node['target'] for node in rule['nodes'][:3]]}"
        for rule in found["violations"]
        if rule["impact"] in SERIOUS
    ]


EXPLAIN = "explain?run={explained}&method=saliency&sets={sets}"
REGIONS = "explain?run={explained}&method=gradcam"
VIEWS = ("Chosen samples", "Trust card", "Against statistics", "Gene sets", "Known markers",
         "Side by side")  # fmt: skip
"""Views of Explain beside its first; they and a table of regions are looked at in one scheme."""
PAGES = (
    "data", "data?data+view=Groups", "data?data+view=Heat+map", "data?data+view=Values", "images",
    "images?image+view=All+classes", "train", "run?id={run}", "compare",
    EXPLAIN, "predict",
    "tissue", "computers", "docs", "transfer", "story", "present?story={story}&slide=1",
)  # fmt: skip
CHARTED = {
    "data", "data?data+view=Heat+map", "data?data+view=Values", "images",
    "images?image+view=All+classes", "run?id={run}", "compare",
}  # fmt: skip
"""Those that begin with a chart; on Explain it stands below what warns of this home's network."""
COLOUR = "getComputedStyle(document.querySelector('.stApp')).colorScheme"
PLACE = """(chart, spot) => {
    const spots = chart._fullData.find(trace => trace.name === 'spots')
    const [at, frame] = [spots.text.indexOf(spot), chart.getBoundingClientRect()]
    const { xaxis, yaxis } = chart._fullLayout
    return [frame.left + xaxis._offset + xaxis.l2p(spots.x[at]),
            frame.top + yaxis._offset + yaxis.l2p(spots.y[at])]
}"""
"""Where a spot of a chart is in the window."""
SEES = """([canvas, colour]) => {
    const side = canvas.width, drawn = canvas.getContext('2d').getImageData(0, 0, side, side).data
    return drawn.every((value, at) => Math.abs(value - [...colour, 255][at % 4]) <= 6)
}"""
"""Whether all of a canvas has about this colour."""
HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4')].filter(h => h.checkVisibility())"


def fill(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A group and a story beside the runs of a home; the ids of a run and of the story."""
    monkeypatch.setenv("GENECANVAS_HOME", str(home))
    [record] = list_datasets()
    keep_group(record.id, "first", load_dataset(record.id).obs_names[:20].tolist())
    stories = [story.id for story in list_stories()] or [create_story("Meeting").id]
    pin(stories[0], make_view(), "KRT5 is high")
    return {
        "run": next(run.id for run in RunStore().list() if run.state == "done"),
        "story": stories[0],
        "explained": next(home.glob("runs/*/attributions/saliency.npz")).parts[-3],
    }


def explain_more(run: str, folder: Path) -> str:
    """Regions beside the genes of a run, and gene sets of these, whose id is given back."""
    explain_run(run, Recipe("gradcam"), lambda *_: None)
    genes = class_genes(run, Recipe("saliency"), load_result(run).classes[0])["gene"].tolist()
    sets = folder / "sets.gmt"
    sets.write_text("FIRST\tx\t" + "\t".join(genes[:8]) + "\nOTHERS\tx\t" + "\t".join(genes[8:16]))
    return add_reference(sets, "Sets")


def switch(page: Page, scheme: str) -> None:
    """Show the page that is open in light or dark."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(f"{COLOUR} === '{scheme}'")
    settle(page)


def look_at(page: Page, schemes: Iterable[str] = ("light", "dark")) -> dict[str, list]:
    """The barriers of the page that is open: in each scheme, and in the order of its headings."""
    found = {}
    for scheme in schemes:
        switch(page, scheme)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        found[scheme] = find_barriers(page)
    levels = page.evaluate(f"{HEADINGS}.map(heading => Number(heading.tagName[1]))")
    jumps = [pair for pair in zip([0, *levels], levels, strict=False) if pair[1] > pair[0] + 1]
    found["headings"] = [levels] if jumps or levels.count(1) != 1 else []
    return {what: said for what, said in found.items() if said}


def test_no_page_has_barriers_and_charts_stand_at_the_top(
    filled: Server, page: Page, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ids = fill(filled.home, monkeypatch)
    ids["sets"] = explain_more(ids["explained"], tmp_path)
    page.set_viewport_size({"width": 1280, "height": 900})
    schemes, found = ["light", "dark"], {}
    for name in PAGES:
        page.emulate_media(color_scheme=schemes[0])
        open_page(page, f"{filled.url}/{name.format(**ids)}")
        (expect_first_chart if name in CHARTED else settle)(page)
        found |= {(name, what): said for what, said in look_at(page, schemes).items()}
        schemes.reverse()  # so that half of the pages are opened in the dark
        if name == EXPLAIN:
            for view, scheme in zip(VIEWS, 3 * schemes, strict=True):
                page.get_by_text(view, exact=True).click()
                found |= {(view, what): said for what, said in look_at(page, [scheme]).items()}
            open_page(page, f"{filled.url}/{REGIONS.format(**ids)}")
            found |= {(REGIONS, what): said for what, said in look_at(page, schemes[:1]).items()}
    assert not found


def test_narrow_windows_keep_image_and_tabs(
    filled: Server, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(filled.home, monkeypatch)
    page.set_viewport_size({"width": 900, "height": 900})
    explained = "explain?run={explained}&method=saliency"
    for name in ("data", "images", "run?id={run}", explained):
        open_page(page, f"{filled.url}/{name.format(**ids)}")
        chart = page.locator(".js-plotly-plot").first
        expect(chart).to_be_visible()
        inside = "box.right <= 900 && document.scrollingElement.scrollWidth <= 900"
        expect_place(page, chart, f"box.width >= 280 && {inside}")
        expect(page.get_by_role("link", name="Story")).to_be_visible()


def test_the_genes_of_an_image_are_one_stop_of_the_keyboard(
    filled: Server, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(filled.home, monkeypatch)
    open_page(page, f"{filled.url}/images")
    expect(page.locator(".nsewdrag").first).to_be_visible()
    expect(page.locator(".js-plotly-plot [tabindex='0']")).to_have_count(0)
    keys = page.get_by_role("button", name="Genes by arrow keys")
    keys.focus()
    for key in ("ArrowRight", "Home", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    said = page.get_by_role("application").get_by_role("status")
    expect(said).to_contain_text("row 2, column 2")
    gene = said.text_content().split(",")[0]
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=gene, exact=True)).to_be_visible()
    page.wait_for_url(re.compile(rf"gene={re.escape(gene)}(&|$)"))
    expect_no_failure(page)


def test_the_tile_of_the_spot_under_the_pointer_is_shown_at_once(
    filled: Server, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENECANVAS_HOME", str(filled.home))
    tissue = simulate_tissue(3, 20, 12, driven=4)
    colours = {"S1_1x0": (200, 40, 40), "S1_2x1": (40, 160, 40)}
    for spot, colour in colours.items():
        tissue.tiles[tissue.spots.index.get_loc(spot)] = colour
    record = add_tissue(tissue, "planted")
    do_here(TissueJob(asked=TissueSpec(tissue=record.id)), lambda *_: None)
    open_page(page, f"{filled.url}/tissue?tissue={record.id}&section=S1&spot=S1_0x0")
    shown = page.locator("figure").filter(has=page.locator("canvas"))
    drawn = page.get_by_role("img", name="under the pointer")
    address = page.url
    for number, (spot, colour) in zip((1, 2), colours.items(), strict=True):
        chart = page.locator(".js-plotly-plot").nth(number)
        chart.scroll_into_view_if_needed()
        page.mouse.move(*chart.evaluate(PLACE, spot))
        expect(shown).to_contain_text(spot)
        expect(shown).to_contain_text(re.compile(r"HUE\d, measured: -?\d\.\d\d SD"))
        expect(shown).to_contain_text(re.compile(r"HUE\d, predicted: -?\d\.\d\d SD"))
        page.wait_for_function(SEES, arg=[drawn.element_handle(), colour])
        expect_place(page, drawn, "box.width >= 160 && box.height == box.width")
    page.mouse.move(5, 5)
    expect(shown).to_be_hidden()
    assert page.url == address, "nothing was asked of the server"
