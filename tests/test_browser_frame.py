"""The frame in a browser: links, themes, downloads, what is chosen stays chosen."""

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.data.simulate import simulate, write_simulated
from tests.browser import (
    Server,
    choose,
    expect_no_failure,
    new_page,
    open_page,
    press,
    set_number,
    settle,
)

DRAWER = "Dataset and layout"


def click_gene(page: Page) -> str:
    """Click a gene of the first large image; gives its name, which then stands in the link."""
    gene = click_pixel(page, 0, 0.2, 0.2)
    page.wait_for_url(re.compile(rf"gene={re.escape(gene)}(&|$)"))
    settle(page)
    return gene


def click_pixel(page: Page, image: int, x: float, y: float) -> str:
    """Click the gene nearest to a place on a large image (shares of its sides); gives its name."""
    gene, x, y = find_gene(page, image, x, y)
    assert click_at(page, image, x, y).startswith(gene)
    return gene


def find_gene(page: Page, image: int, x: float, y: float) -> tuple[str, float, float]:
    """The gene nearest to a place on a large image, and where it stands, by shares of its sides.

    Asked of the chart: which pixels are free, no test can know.
    """
    found = page.wait_for_function(
        """([image, x, y]) => {
            const of = node => node._fullData?.find(trace => trace.name == 'genes')
            const node = [...document.querySelectorAll('.js-plotly-plot')].filter(of)[image]
            if (!node) return null  // not drawn yet
            const across = node._fullLayout.xaxis.range, up = node._fullLayout.yaxis.range
            const genes = of(node)
            const places = Array.from(genes.text, (text, at) => [
                text,
                (genes.x[at] - across[0]) / (across[1] - across[0]),
                (up[1] - genes.y[at]) / (up[1] - up[0]),
            ])
            const far = place => Math.hypot(place[1] - x, place[2] - y)
            return places.reduce((one, other) => far(other) < far(one) ? other : one)
        }""",
        arg=[image, x, y],
    )
    return tuple(found.json_value())


def click_at(page: Page, chart: int, x: float, y: float) -> str:
    """Click a pixel of a chart, by shares of its sides; gives what stood under the pointer."""
    named = point_at(page, chart, x, y)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(500)
    settle(page)
    return named


def point_at(page: Page, chart: int, x: float, y: float) -> str:
    """Point at a pixel of a chart, by shares of its sides; gives what stands there.

    The pointer is moved until something does: a chart that was drawn anew meanwhile knows of no
    pointer that rests.
    """
    canvas = page.locator(".nsewdrag").nth(chart)
    label = page.locator(".hoverlayer .hovertext").first
    page.mouse.move(10, 10)
    canvas.hover()
    for attempt in range(30):
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + box["width"] * x + attempt % 2, box["y"] + box["height"] * y)
        page.wait_for_timeout(700)
        if label.count():
            break
    return label.text_content()


def test_deep_links_on_a_cold_server(server: Server, page: Page) -> None:
    for name, title in (("train", "Train"), ("images", "Gene images"), ("data", "Data")):
        open_page(page, f"{server.url}/{name}")
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
        expect(page.get_by_text("Page not found")).to_have_count(0)
        expect(page.get_by_alt_text("Logo")).to_be_visible()
        expect_no_failure(page)


def test_the_bare_address_leads_to_data(server: Server, page: Page) -> None:
    open_page(page, server.url)
    page.wait_for_url(f"{server.url}/data")
    expect(page.get_by_role("button", name="Load simulated tumours")).to_be_visible()


def test_nothing_is_fetched_from_elsewhere(server: Server, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, f"{server.url}/data")
    own = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []


COLOURS = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 24, 28)"}


@pytest.mark.parametrize(("scheme", "other"), [("light", "dark"), ("dark", "light")])
def test_light_and_dark_follow_the_system_until_they_are_switched(
    server: Server, browser: Browser, scheme: str, other: str
) -> None:
    with new_page(browser, color_scheme=scheme) as page:
        open_page(page, f"{server.url}/data")
        app = page.get_by_test_id("stApp")
        expect(app).to_have_css("background-color", COLOURS[scheme])
        page.get_by_role("button", name="Light or dark").click()
        expect(app).to_have_css("background-color", COLOURS[other])
        open_page(page, f"{server.url}/train")  # on every page from then on
        expect(app).to_have_css("background-color", COLOURS[other])


def test_a_bad_upload_then_a_good_one(server: Server, page: Page, tmp_path: Path) -> None:
    open_page(page, f"{server.url}/data")
    chooser = page.locator("input[type=file]").first
    chooser.set_input_files({"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
    settle(page)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(1)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert not list(server.home.glob("datasets/*"))

    good = tmp_path / "cohort.csv"
    write_simulated(simulate(80, 300)[0], good)
    page.get_by_test_id("stFileChipDeleteBtn").click()
    settle(page)
    chooser.set_input_files(good)
    settle(page)
    expect(page.get_by_text("80 samples x 300 genes")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    press(page, "Save this dataset")
    expect(page.get_by_text("Class sizes")).to_be_visible()
    expect_no_failure(page)
    assert len(list(server.home.glob("datasets/*/record.json"))) == 1


def test_more_data_in_a_dialog(server: Server, page: Page) -> None:
    open_page(page, f"{server.url}/data")
    press(page, "Add a dataset")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Expression matrix, and tables of labels")).to_be_visible()
    dialog.locator("input[type=file]").first.set_input_files(
        {"name": "words.csv", "mimeType": "text/csv", "buffer": b"a,b\nx,y\n"}
    )
    settle(page)
    expect(dialog.get_by_test_id("stAlertContentError")).to_have_count(1)
    dialog.get_by_text("An example", exact=True).click()
    settle(page)
    press(page, "Load simulated tumours")
    expect(dialog).to_have_count(0)
    expect(page.get_by_text("1,000", exact=True)).to_be_visible()
    assert len(list(server.home.glob("datasets/*/record.json"))) == 2


def test_a_clicked_pixel_is_a_gene_in_the_link(server: Server, page: Page) -> None:
    open_page(page, f"{server.url}/images")
    image = page.locator(".js-plotly-plot").first
    expect(image).to_be_visible()
    image.evaluate("node => { node.before = true }")
    gene = click_gene(page)
    expect(page.get_by_role("heading", name=gene, exact=True)).to_be_visible()
    expect(page.get_by_text("Neighbours:")).to_be_visible()
    settle(page)
    assert image.evaluate("node => node.before")  # drawing it anew would take most of the time
    page.reload()
    settle(page)
    expect(page.get_by_role("heading", name=gene, exact=True)).to_be_visible()
    expect_no_failure(page)


def test_a_link_holds_what_was_chosen_and_back_leads_to_the_page_before(
    server: Server, page: Page, browser: Browser
) -> None:
    open_page(page, f"{server.url}/images")
    page.get_by_role("radio", name="All classes").click()
    page.wait_for_url(re.compile(r"image\+view="))
    press(page, DRAWER)
    set_number(page, "Image size", 48)
    page.wait_for_url(re.compile("size=48"))
    settle(page)
    link = page.url
    page.get_by_role("link", name="Compare").click()
    page.wait_for_url(re.compile("/compare"))
    settle(page)
    expect(page).to_have_title("Compare – GeneCanvas")
    page.go_back()
    page.wait_for_url(link)
    settle(page)
    expect(page).to_have_title(re.compile(r"^\S.* · [\d,]+ samples · Gene images – GeneCanvas$"))
    press(page, DRAWER)
    expect(page.get_by_role("spinbutton", name="Image size")).to_have_value("48")
    with new_page(browser) as other:
        open_page(other, link)
        press(other, DRAWER)
        expect(other.get_by_role("spinbutton", name="Image size")).to_have_value("48")
        expect(other.get_by_role("radio", name="All classes")).to_be_checked()
        expect_no_failure(other)


def test_a_gene_is_found_while_its_name_is_typed(server: Server, page: Page) -> None:
    open_page(page, f"{server.url}/images")
    field = page.get_by_label("Find a gene")
    field.press_sequentially("gata")
    offered = page.get_by_role("button", name="GATA3", exact=True)
    expect(offered).to_be_visible()
    offered.click()
    heading = page.get_by_role("heading", name="GATA3", exact=True)
    expect(heading).to_be_visible()
    expect(field).to_have_value("GATA3")
    expect(page.get_by_label("GATA3 is highest in")).to_be_visible()
    field.fill("napsa")
    expect(page.get_by_role("heading", name="NAPSA", exact=True)).to_be_visible()
    field.fill("")
    expect(page.get_by_role("heading", name="One gene", exact=True)).to_be_visible()
    expect_no_failure(page)


def marked(page: Page) -> list[str | None]:
    """The gene that is marked on each large image, as the browser draws it."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].map(node => {
            const genes = node._fullData.find(trace => trace.name == 'genes')
            const sent = node._fullData.find(trace => trace.mode == 'markers+text')
            if (!genes) return undefined
            if (genes.selectedpoints?.length) return genes.text[genes.selectedpoints[0]]
            return sent ? sent.text[0] : null
        }).filter(gene => gene !== undefined)"""
    )


def expect_gene(page: Page, gene: str | None, charts: int = 1) -> None:
    """The gene is looked at, and marked on all large images; None: none is."""
    page.wait_for_timeout(300)
    settle(page)
    expect(page.get_by_role("heading", name=gene or "One gene", exact=True)).to_be_visible()
    for _ in range(200):  # the chart is drawn after the words beside it
        if marked(page) == [gene] * charts:
            break
        page.wait_for_timeout(100)
    assert marked(page) == [gene] * charts


def test_the_marked_gene_is_the_one_that_is_looked_at(server: Server, page: Page) -> None:
    open_page(page, f"{server.url}/images")
    field = page.get_by_label("Find a gene")
    first = click_pixel(page, 0, 0.2, 0.2)
    expect_gene(page, first)
    for _ in range(2):
        field.fill("gata3")
        expect(page.get_by_role("heading", name="GATA3", exact=True)).to_be_visible()
        expect_gene(page, "GATA3")
        assert click_pixel(page, 0, 0.2, 0.2) == first
        expect_gene(page, first)
    click_pixel(page, 0, 0.2, 0.2)
    expect_gene(page, first)  # a second click doesn't unmark it
    field.fill("")
    expect_gene(page, None)
    last = click_pixel(page, 0, 0.95, 0.95)
    expect_gene(page, last)
    page.reload()
    settle(page)
    expect_gene(page, last)

    page.get_by_text("Compare layouts", exact=True).click()
    settle(page)
    expect(page.locator(".nsewdrag").nth(1)).to_be_visible()
    for _ in range(2):
        expect_gene(page, click_pixel(page, 0, 0.2, 0.2), charts=2)
        expect_gene(page, click_pixel(page, 1, 0.7, 0.6), charts=2)

    page.get_by_text("Class mean", exact=True).click()
    settle(page)
    click_pixel(page, 0, 0.95, 0.95)
    press(page, DRAWER)
    set_number(page, "Genes", 50)
    expect(page.get_by_text("50 genes on").first).to_be_visible()
    expect_no_failure(page)


def test_every_small_image_names_its_genes(server: Server, page: Page) -> None:
    open_page(page, f"{server.url}/images")
    gene, x, y = find_gene(page, 0, 0.2, 0.2)
    page.get_by_text("All classes", exact=True).click()
    settle(page)
    images = page.locator(".nsewdrag")
    expect(images.nth(2)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).first.click()
    with Path(download.value.path()).open() as file:
        means = list(csv.DictReader(file))
    for number in (0, 2):  # the same place in each
        text = point_at(page, number, x, y)
        value = re.fullmatch(rf"{re.escape(gene)} ?SD from the mean (\S+)", text)[1]
        assert float(value.replace("−", "-")) == pytest.approx(float(means[number][gene]), rel=0.01)


def test_figures_come_as_svg_png_and_csv(server: Server, page: Page) -> None:
    open_page(page, f"{server.url}/images")
    expect(page.locator(".nsewdrag").first).to_be_visible()
    starts = {"SVG": b"<svg", "PNG": b"\x89PNG", "CSV": b"gene,row,column"}
    for name, start in starts.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).first.click()
        assert Path(download.value.path()).read_bytes().startswith(start)
        assert download.value.suggested_filename.endswith(name[-3:].lower())
    with page.expect_download() as download:
        page.get_by_role("button", name="Gene coordinates (CSV)").click()
    with Path(download.value.path()).open() as file:
        rows = list(csv.DictReader(file))
    assert len({(row["row"], row["column"]) for row in rows}) == len(rows) > 100


def test_what_is_chosen_goes_along(server: Server, page: Page) -> None:
    open_page(page, f"{server.url}/data")
    press(page, "Dataset and columns")
    choose(page, "Class", "batch")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Gene images").click()
    settle(page)
    press(page, DRAWER)
    choose(page, "Layout", "Random (control)")
    page.keyboard.press("Escape")
    press(page, "Train on these →")
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    page.get_by_text("This run as YAML, for the command line").click()
    yaml = page.get_by_test_id("stCode")
    expect(yaml).to_contain_text("label: batch")
    expect(yaml).to_contain_text("name: random")


def test_a_messy_file_is_repaired_by_buttons_and_prepared(server: Server, page: Page) -> None:
    data = simulate(90, 300)[0]
    table = data.to_df().T.rename_axis("gene")
    table["S90 again"] = table[data.obs_names[0]]  # a copy of the first sample
    table.loc["1-Mar"] = table.iloc[3]  # a gene that a spreadsheet made a date
    labels = data.obs[["tumour_type"]].rename(index=lambda name: name.lower().replace("-", "_"))
    labels.loc["s90_again"] = labels.iloc[0]
    open_page(page, f"{server.url}/data")
    press(page, "Add a dataset")
    messy = "\ufeff# from a pipeline\r\n" + table.to_csv(sep=";", lineterminator="\r\n")
    files = (("labels.csv", labels.to_csv()), ("messy.txt", messy))
    page.get_by_role("dialog").locator("input[type=file]").set_input_files(
        [{"name": name, "mimeType": "text/plain", "buffer": text.encode()} for name, text in files]
    )
    settle(page)
    expect(page.get_by_text("91 samples x 301 genes")).to_be_visible()
    expect(page.get_by_text("1-Mar to MARCHF1")).to_be_visible()
    press(page, "Save this dataset")
    expect(page.get_by_text("2 samples are copies of one another")).to_be_visible()
    press(page, "Keep one of each")
    expect(page.get_by_text("1 samples left out")).to_be_visible()
    expect(page.get_by_text("copies of one another")).to_have_count(0)
    expect(page.get_by_text("Draw around points")).to_be_visible()
    page.get_by_text("Prepare", exact=True).click()
    settle(page)
    set_number(page, "Genes", 100)
    press(page, "Use this preparation")
    expect(page.get_by_text("the 100 genes of highest variance")).to_be_visible()
    expect_no_failure(page)
