"""A dataset whose every name tries to fetch, to run a script or to calculate, on every page."""

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from core.cli import main
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.escape import restore_formulas
from core.explain.methods import Recipe
from core.home import run_folder
from core.jobs.record import JobState
from core.runs.execute import execute
from core.runs.explain import class_genes
from core.runs.explaining import explain_run
from core.runs.result import load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from tests.browser import Server, open_page, settle
from tests.test_explain_runs import Silent
from tests.workers import in_place_of_the_worker


@dataclass
class Listener:
    """Another server on this computer, which no page may ask for anything."""

    url: str = ""
    heard: list[str] = field(default_factory=list)
    names: int = 0

    def name(self, what: str) -> str:
        """A name that fetches from here, or runs a script; the next one does it in another way."""
        url = f"{self.url}/{what}"
        self.names += 1
        tries = (
            f"![{what}]({url})",
            f"<img src='{url}' onerror='window.ran = 1'>",
            "<script>window.ran = 1</script> %{x}",
            f"<a href='{url}'>$x^2$</a> me@lab.example",
            f"[:red[{what}]]({url})",
        )
        return f"={tries[self.names % len(tries)]}"


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    mine = Listener()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mine.heard.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    mine.url = f"http://127.0.0.1:{server.server_port}"
    yield mine
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def run(server: Server, listener: Listener) -> Iterator[str]:
    """A finished, explained run on a dataset of bad names; what it wrote is checked in passing."""
    data, bad = simulate(90, 200, seed=1)[0], listener.name
    data.obs_names = [f"{bad('sample')} {name}" for name in data.obs_names]
    data.var_names = [f"{bad('gene')} {name}" for name in data.var_names]
    data.obs = data.obs.apply(
        lambda values: values.map(
            {value: f"{bad(values.name)} {value}" for value in sorted(set(values))}
        )
    )
    data.obs.columns = [bad(f"column-{name}") for name in data.obs.columns]
    label, group, _ = data.obs.columns
    data.uns["notes"] = [bad("note")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENECANVAS_HOME", str(server.home))
        spec = RunSpec.parse(
            {
                "cohort": {
                    "dataset": add_dataset(data, bad("dataset")).id,
                    "label": label,
                    "group": group,
                },
                "preparation": {"genes": 60},
                "network": {"image_size": 32, "pool": 2},
                "training": {"epochs": 1, "batch_size": 16, "precision": "float32"},
            }
        )
        store = RunStore()
        made = []
        for seed in (0, 1):
            spec = spec.model_copy(update={"seed": seed})
            with in_place_of_the_worker():
                record, _ = store.submit(spec, bad("run"), study=bad("study"))
                store.claim("cpu")
                execute(spec, run_folder(record.id), Silent())
                store.finish(record.id, JobState.DONE)
            made.append(record.id)
        for method in ("saliency", "integrated_gradients"):
            explain_run(made[0], Recipe(method), lambda *_: None)
        store.label(made[0], note=bad("note"), tags=bad("tag"))
        yield made[0]


@pytest.fixture
def watched(page: Page, listener: Listener) -> Iterator[Page]:
    """A page of which nothing may have been fetched, run or stopped by the policy at the end."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(f"Content Security Policy {dialog.message}"))
    listener.heard.clear()
    yield page
    assert listener.heard == []
    assert [text for text in said if "Content Security Policy" in text] == []  # nothing tried to


def look(page: Page) -> None:
    """What stands on the page, under the pointer too; no part of a name has become more."""
    for canvas in page.locator(".nsewdrag").all()[:3]:
        if canvas.is_visible():
            canvas.hover(force=True)
            page.wait_for_timeout(400)
    for tip in page.get_by_test_id("stTooltipIcon").all()[:6]:
        if tip.is_visible():
            tip.hover(force=True)
            page.wait_for_timeout(100)
    page.mouse.move(5, 5)
    assert page.evaluate("window.ran") is None
    assert page.locator("main img, [role=dialog] img").count() == 0
    assert page.locator("main .katex, main script, main svg a").count() == 0
    links = page.locator("main a[href^='http://127.0.0.1']").all_text_contents()
    assert [text for text in links if not text.startswith("http://")] == []  # or show themselves
    assert page.locator("main a[href^='mailto']").count() == 0
    # A red box may say that a tiny network guesses; no page may fail.
    expect(page.get_by_test_id("stException")).to_have_count(0)


def visit(page: Page, url: str, *views: str) -> None:
    """A page, each of its views, and what can be opened there."""
    open_page(page, url)
    look(page)
    for view in views:
        page.get_by_role("radio", name=view, exact=True).or_(
            page.get_by_role("button", name=view, exact=True)
        ).first.click()
        settle(page)
        look(page)
    for fold in page.get_by_test_id("stExpander").all():
        fold.locator("summary").click()
        settle(page)
    look(page)


def test_data(run: str, server: Server, watched: Page) -> None:
    visit(watched, f"{server.url}/data", "Heat map", "Values", "Prepare", "Overview")
    expect(watched.get_by_text("Class sizes")).to_be_visible()


def test_gene_images(run: str, server: Server, watched: Page) -> None:
    views = ("Class against the rest", "All classes", "Samples", "Modules, chromosomes, sets",
             "Compare layouts")  # fmt: skip
    visit(watched, f"{server.url}/images", *views)


def test_train(run: str, server: Server, watched: Page) -> None:
    for level in ("Paper: its 40 runs", "Custom: every setting"):
        visit(watched, f"{server.url}/train", level)


def test_run(run: str, server: Server, watched: Page) -> None:
    visit(watched, f"{server.url}/run?id={run}")
    expect(watched.get_by_text("samples are right").first).to_be_visible()


def test_compare(run: str, server: Server, watched: Page) -> None:
    for view in ("scores", "differences", "settings", "cost", "published", "run", "samples"):
        visit(watched, f"{server.url}/compare?view={view}")
    sample = quote(load_held_out(server, run))
    visit(watched, f"{server.url}/compare?view=samples&sample={sample}")


def test_explain(run: str, server: Server, watched: Page) -> None:
    views = ("Genes", "Chosen samples", "Trust card", "Against statistics",
             "Gene sets", "Known markers", "Side by side")  # fmt: skip
    visit(watched, f"{server.url}/explain?run={run}&method=saliency", *views)


def test_links(run: str, server: Server, watched: Page, listener: Listener) -> None:
    """Whatever a link asks for."""
    bad = quote(listener.name("link"))
    asked = ("dataset", "run", "id", "runs", "gene", "class", "method", "sets", "sample", "study",
             "metric", "view", "detail")  # fmt: skip
    for name in ("data", "images", "train", "run", "compare", "explain"):
        open_page(watched, f"{server.url}/{name}?" + "&".join(f"{key}={bad}" for key in asked))
        look(watched)


def test_tables_offer_no_raw_csv(run: str, server: Server, watched: Page) -> None:
    open_page(watched, f"{server.url}/compare?view=scores")
    # Another table stands in a closed expander, and may be there before the one that is seen.
    watched.get_by_test_id("stDataFrame").filter(visible=True).first.hover()
    expect(watched.get_by_role("button", name="Search").first).to_be_visible()
    expect(watched.get_by_role("button", name="Download as CSV")).to_have_count(0)


def test_what_is_saved_holds_no_formula_and_reads_back(
    run: str, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GENECANVAS_HOME", str(server.home))
    classes = load_result(run).classes
    assert all(name.startswith("=") for name in classes)
    predictions = load_predictions(run)
    assert set(predictions["true"]) <= set(classes)
    assert set(predictions["predicted"]) <= set(classes)
    assert class_genes(run, Recipe("saliency"), classes[0])["gene"].str.startswith("=").all()
    out = tmp_path / "genes.csv"
    assert (
        main(["explain", run, "--method", "saliency", "--class", classes[0], "--out", str(out)])
        == 0
    )
    for path in (out, run_folder(run) / "predictions.csv"):
        cells = pd.read_csv(path, dtype=str, header=None, keep_default_na=False).to_numpy().ravel()
        assert [cell for cell in cells if cell.startswith(("=", "@", "＝"))] == []
        assert any(cell.startswith("'=") for cell in cells)


def load_held_out(server: Server, run: str) -> str:
    """A sample that a run has tested."""
    text = (server.home / "runs" / run / "predictions.csv").open()
    with text:
        return restore_formulas(pd.read_csv(text, dtype=str))["sample"].iloc[0]
