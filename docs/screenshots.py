"""Takes the pictures of docs/pages from the running app on the simulated example.

    python -m docs.screenshots HOME

Trains two recommended runs in the folder HOME, explains one and puts other samples to it, unless
that stands there: some minutes. Pictures are 1280 pixels wide, in light mode, and reduced to 128
colours.
"""

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from docs.generate import DOCS
from tests.browser import ARGUMENTS, Server, find_browser

HEIGHTS = {
    "data": 1000, "images": 1000, "train": 1000, "run": 900, "compare": 1000, "explain": 1100,
    "predict": 1700, "story": 1000, "tissue": 1100, "transfer": 1000,
}  # fmt: skip
"""Page -> pixels from its top that are shown."""

RESTING = "[data-testid=stApp][data-test-script-state=notRunning]"


def fill(home: Path) -> str:
    """Two finished runs on the example, one of them asked; gives the id of that one.

    It is asked about the tumours that it held out, as with a third of the reads.
    """
    os.environ["GENECANVAS_HOME"] = str(home)
    import genecanvas as gcv
    from core.report.story import tell_run

    adata, _ = gcv.simulate()
    cohort = gcv.Cohort(label="tumour_type", group="patient")
    runs = [
        gcv.fit(
            adata,
            gcv.RunSpec(cohort=cohort, preset="recommended", seed=seed),
            name="Five simulated tumour types",
        )
        for seed in (0, 1)
    ]
    runs[0].explain("integrated_gradients")
    others = adata[runs[0].predictions["sample"].to_numpy()].copy()
    others.X = np.random.default_rng(0).binomial(others.X.astype(int), 1 / 3).astype(np.float32)
    runs[0].predict(others, cohort, name="Example: other tumours, a third of the reads")
    tell_run(runs[0].id)
    return runs[0].id


def fill_transfer() -> str:
    """A transfer between two planted clinics that share a program; gives its id."""
    from core.transfer.spec import TransferSpec
    from core.transfer.transferring import TransferJob, transfer_here
    from tests.transfers import add_cohort, make_side, program

    sides = {"Many patients elsewhere": (120, 1), "Our clinic": (80, 2)}
    source, target = (
        {"dataset": add_cohort(name, make_side(*size, program(0))), "label": "y"}
        for name, size in sides.items()
    )
    spec = TransferSpec.parse({"sources": [source], "target": target, "preparations": ["raw"]})
    transfer_here(spec, lambda share, text: None)
    return TransferJob(spec=spec).key


def fill_tissue() -> str:
    """The simulated tissue, asked what colour and texture say of its genes; gives its id."""
    from core.jobs.here import do_here
    from core.tissue.job import job_of
    from core.tissue.simulate import simulate_tissue
    from core.tissue.spec import TissueSpec
    from core.tissue.store import add_tissue

    tissue = add_tissue(simulate_tissue(), "Simulated tissue").id
    do_here(job_of(TissueSpec(tissue=tissue)), lambda share, text: None)
    return tissue


def take(page: Page, name: str, address: str) -> None:
    """One page of the app as docs/pages/NAME.png."""
    page.set_viewport_size({"width": 1280, "height": HEIGHTS[name]})
    page.goto(address)
    for _ in range(2):
        page.wait_for_selector(RESTING, timeout=300_000)
        page.wait_for_timeout(4000)  # charts draw after the script has ended
    path = DOCS / "pages" / f"{name}.png"
    page.screenshot(path=path)
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(
        path, optimize=True
    )


def main(home: Path) -> None:
    """Fill a home, start the app on it, and take every page."""
    first = fill(home)
    with sync_playwright() as playwright:
        server = Server(home)
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))
        page = browser.new_page(color_scheme="light")
        try:
            for name in HEIGHTS:
                key = {"run": "id", "explain": "run", "predict": "run"}.get(name)
                query = f"?{key}={first}" if key else ""
                if name == "tissue":
                    query = f"?tissue={fill_tissue()}"
                if name == "transfer":  # last: the pages before would show its cohorts
                    query = f"?id={fill_transfer()}"
                take(page, name, f"{server.url}/{name}{query}")
        finally:
            browser.close()
            server.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
