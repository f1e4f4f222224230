"""The real app in a real browser: what the browser tests start and how they wait."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.ports import free_port

ROOT = Path(__file__).parents[1]
ARGUMENTS = ("--no-sandbox", "--use-gl=swiftshader", "--enable-unsafe-swiftshader",
             "--disable-background-networking")  # fmt: skip
expect.set_options(timeout=60_000)  # a machine that runs other tests too is slow


def find_browser() -> str | None:
    """Path of an installed Chromium; None lets Playwright take its own."""
    return shutil.which("chromium") or shutil.which("google-chrome")


class Server:
    """The app on a free port of the loopback address, with a home of its own.

    Args:
        home: the folder.
        entry: the module that starts it, and its arguments.
    """

    def __init__(self, home: Path, entry: Sequence[str] = ("streamlit", "run", "app.py")) -> None:
        self.home, self.entry = home, entry
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.entry, "--server.port", str(self.port)],
            cwd=ROOT,
            env={**os.environ, "GENECANVAS_HOME": str(self.home), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(900):
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError("The app did not start within three minutes.")

    def kill(self) -> None:
        """End the server as a power cut would."""
        self.process.kill()
        self.process.wait()


LISTEN = """
// A page has its script run when it is opened and whenever it asks for that (BackMsg.rerun_script,
// field 11). `awaited` until the server has begun such a run (ForwardMsg.new_session, 4) and ended
// it (script_finished, 6), unless early for the sake of another (2).
window.awaited = true
let begun = false
function number(bytes, at) {
    let value = 0, shift = 0, byte
    do { byte = bytes[at++]; value += (byte & 127) * 2 ** shift; shift += 7 } while (byte > 127)
    return [value, at]
}
function hear(bytes) {
    for (let at = 0, tag, value; at < bytes.length;) {
        [tag, at] = number(bytes, at);
        [value, at] = number(bytes, at)
        if (tag >> 3 == 4) window.awaited = begun = true
        if (tag >> 3 == 6 && begun && value != 2) window.awaited = false
        if ((tag & 7) == 2) at += value
    }
}
window.WebSocket = class extends WebSocket {
    constructor(...given) {
        super(...given)
        this.addEventListener('message', event => hear(new Uint8Array(event.data)))
    }
    send(data) {
        const tag = data[0] ?? new Uint8Array(data)[0]
        if (tag >> 3 == 11) [window.awaited, begun] = [true, false]
        super.send(data)
    }
}
"""
AT_REST = """() => !window.awaited &&
    document.querySelector('[data-testid=stApp]')?.dataset.testScriptState == 'notRunning'"""


def settle(page: Page) -> None:
    """Wait until the page's script has run for all that was asked of it, and it is drawn."""
    page.wait_for_function(AT_REST, timeout=120_000)
    page.wait_for_timeout(300)  # what was done in this moment has been asked for then
    page.wait_for_function(AT_REST, timeout=120_000)


def watch(page: Page, event: str, ready: str) -> None:
    """Let the page measure by itself how long after an event `ready` (JavaScript) holds."""
    page.evaluate(
        """([event, ready]) => {
            window.waited = new Promise(done => addEventListener(event, () => {
                const begin = performance.now()
                const look = () => eval(ready) ? done(performance.now() - begin)
                    : requestAnimationFrame(look)
                look()
            }, {once: true, capture: true}))
        }""",
        [event, ready],
    )


def waited(page: Page) -> float:
    """Seconds that `watch` measured, to a frame."""
    return page.evaluate("window.waited") / 1000


def open_page(page: Page, url: str) -> None:
    """Go to an address and wait for the page."""
    page.goto(url)
    settle(page)


def press(page: Page, name: str) -> None:
    """Press the button of that exact name."""
    page.get_by_role("button", name=name, exact=True).first.click()
    settle(page)


def set_number(page: Page, label: str, value: int | float) -> None:
    """Type into a number input."""
    field = page.get_by_label(label, exact=True).first
    field.fill(str(value))
    field.press("Enter")
    settle(page)


def expect_place(page: Page, thing: Locator, holds: str) -> None:
    """A thing comes to stand where `holds` says: JavaScript about its `box` in the window."""
    page.wait_for_function(
        f"thing => {{ const box = thing.getBoundingClientRect(); return {holds} }}",
        arg=thing.element_handle(),
    )


def expect_first_chart(page: Page) -> None:
    """The first chart stands at the top of the page, which is not scrolled."""
    settle(page)
    expect_place(page, page.locator(".js-plotly-plot").first, "0 < box.top && box.top <= 200")


def expect_no_failure(page: Page) -> None:
    """No traceback and no red box stands on the page."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_browser(),
            args=ARGUMENTS,
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("app"), ("tests.served",))
    yield server
    server.kill()
    for pid in worker_pids(server.home):
        os.kill(pid, signal.SIGTERM)


@contextmanager
def new_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page of somebody else; the options are those of a browser's context."""
    context = browser.new_context(**options)
    context.set_default_timeout(60_000)
    context.add_init_script(LISTEN)
    yield context.new_page()
    context.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with new_page(browser, viewport={"width": 1280, "height": 1000}) as page:
        yield page


def choose(page: Page, label: str, option: str) -> None:
    """Choose an option of a select box."""
    box = page.get_by_test_id("stSelectbox").filter(has_text=label).first
    box.locator("input").click()
    page.get_by_role("option", name=option, exact=True).click()
    settle(page)


def worker_pids(home: Path) -> list[int]:
    """The workers of this home, from the first line of each job's log."""
    logs = [*home.glob("runs/*/log.txt"), *home.glob("jobs/*/log.txt")]
    found = {int(n) for log in logs for n in re.findall(r"^worker (\d+):", log.read_text(), re.M)}
    return [pid for pid in found if belongs_to(pid, home)]


def belongs_to(pid: int, home: Path) -> bool:
    """Whether that process lives and has this home."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"GENECANVAS_HOME={home}".encode() in environment
