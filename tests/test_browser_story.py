"""A story in a browser: pinned, put in order, presented with the keyboard alone; charts saved."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.data.simulate import simulate
from core.data.store import add_dataset
from tests.browser import Server, expect_first_chart, expect_no_failure, open_page, press, settle
from tests.test_browser_frame import click_pixel


def pin(page: Page, caption: str) -> None:
    press(page, "Pin")
    page.get_by_label("Caption", exact=True).fill(caption)
    press(page, "Pin it")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_story_is_made_and_presented_with_the_keyboard(
    server: Server, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENECANVAS_HOME", str(server.home))
    add_dataset(simulate()[0], "Simulated tumours")
    open_page(page, f"{server.url}/images")
    expect(page.locator(".nsewdrag").first).to_be_visible()
    pin(page, "One class")
    page.get_by_text("All classes", exact=True).click()
    settle(page)
    pin(page, "All classes side by side")

    page.get_by_role("link", name="Story").click()
    settle(page)
    expect(page.get_by_text("Slide 2")).to_be_visible()
    expect_first_chart(page)
    press(page, "Down")
    expect(page.get_by_label("Caption", exact=True).first).to_have_value("All classes side by side")
    page.get_by_role("button", name="Present", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("slide=1"))
    title = page.get_by_role("heading", level=1)
    expect(title).to_have_text("All classes side by side")
    settle(page)
    size = page.evaluate("parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)")
    assert size >= 24
    with page.context.expect_page() as opened:
        page.keyboard.press("n")
    notes = opened.value
    page.keyboard.press("ArrowRight")  # before the notes are there to hear of it
    expect(title).to_have_text("One class")
    expect(notes.get_by_text("This is the last slide.")).to_be_visible()
    settle(page)
    gene = click_pixel(page, 0, 0.2, 0.2)
    expect(page.locator("strong").get_by_text(gene, exact=True)).to_be_visible()
    notes.keyboard.press("Home")
    expect(title).to_have_text("All classes side by side")
    settle(page)
    expect_no_failure(page)
    page.keyboard.press("o")
    page.wait_for_url(re.compile(r"/images\?.*image.view=All"))
    settle(page)
    expect(page.locator(".nsewdrag").nth(2)).to_be_visible()
    page.go_back()
    page.wait_for_url(re.compile("slide=1"))
    expect(title).to_have_text("All classes side by side")
    settle(page)
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"/story\?id="))
    expect_no_failure(page)


def test_a_chart_is_saved_on_white_with_what_it_shows(
    server: Server, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENECANVAS_HOME", str(server.home))
    add_dataset(simulate()[0], "Simulated tumours")
    page.emulate_media(color_scheme="dark")
    page.add_init_script("window.print = () => { top.printed = document.body.innerHTML }")
    open_page(page, f"{server.url}/images")
    expect(page.locator(".nsewdrag").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="SVG", exact=True).first.click()
    picture = Path(download.value.path()).read_text()
    assert re.search(r"<rect[^>]*fill: rgb\(255, 255, 255\)", picture)
    assert "Mean of" in picture
    assert "highest at" in picture
    assert "Simulated tumours, 600 samples" in picture
    sizes = {float(size) for size in re.findall(r"font-size: ?([\d.]+)px", picture)}
    assert min(sizes) >= 16
    page.get_by_role("button", name="PDF", exact=True).first.click()
    page.wait_for_function("window.printed")
    assert page.evaluate("window.printed").startswith("<svg")
    drawn = re.search(r'<svg[^>]*? width="([\d.]+)" height="([\d.]+)"', picture).groups()
    for name, times in (("PNG", 2), ("PNG ×3", 3)):
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).first.click()
        head = Path(download.value.path()).read_bytes()[:24]
        for size, pixels in zip(drawn, (head[16:20], head[20:24]), strict=True):
            assert int.from_bytes(pixels, "big") == pytest.approx(times * float(size), abs=times)
    expect_no_failure(page)
