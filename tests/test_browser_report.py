"""A report in a real browser: opened from the disk without a network, looked at, and printed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.test_report import trained, written  # noqa: F401

DRAWN = "document.querySelectorAll('[data-chart] .main-svg').length > 0 && " \
    "[...document.querySelectorAll('[data-chart]')].filter(box => box.querySelector('.main-svg'))" \
    ".length"  # fmt: skip


@pytest.fixture
def offline(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def said(offline: Page) -> list[str]:
    """What the page complains of, and asks for."""
    heard: list[str] = []
    offline.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    offline.on("pageerror", lambda error: heard.append(f"error: {error}"))
    offline.on("request", lambda request: heard.append(f"request: {request.url}"))
    return heard


def test_charts_are_drawn_when_they_are_come_to(
    written: Path,  # noqa: F811
    offline: Page,
    said: list[str],
) -> None:
    offline.goto(written.as_uri())
    offline.wait_for_function(DRAWN)
    charts = offline.locator("[data-chart]")
    assert offline.evaluate(DRAWN) < charts.count()
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for()
    assert offline.evaluate("window.ran") is None
    assert offline.evaluate("document.documentElement.scrollWidth") <= 1280
    offline.locator("summary").first.click()
    with offline.expect_download() as saved:
        offline.get_by_role("button", name="Save as CSV").first.click()
    assert saved.value.path().read_text().startswith("model,kind,score")
    assert said == [f"request: {written.as_uri()}"] or said[1:] == [f"request: {saved.value.url}"]


def test_it_is_printed_with_all_of_its_charts(
    written: Path,  # noqa: F811
    offline: Page,
    said: list[str],
    tmp_path: Path,
) -> None:
    offline.goto(written.as_uri())
    printed = offline.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    assert offline.evaluate(DRAWN) == offline.locator("[data-chart]").count()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 5
    assert said == [f"request: {written.as_uri()}"]
