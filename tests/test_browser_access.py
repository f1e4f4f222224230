"""Every page for everyone: axe-core finds nothing serious on it, in light and in dark."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page

from core.runs.store import RunStore
from tests.browser import Server, open_page, settle
from tests.earlier_homes import LATEST, unpack_home

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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_barriers(
    filled: Server, browser: Browser, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENECANVAS_HOME", str(filled.home))
    run = next(record.id for record in RunStore().list() if record.state == "done")
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    found = {}
    for name in (
        "data",
        "images",
        "train",
        f"run?id={run}",
        "compare",
        "explain",
        "predict",
        "story",
        "transfer",
    ):
        open_page(page, f"{filled.url}/{name}")
        settle(page)
        if barriers := find_barriers(page):
            found[name] = barriers
    context.close()
    assert not found
