"""The button that saves a report, on the page that shows what it is about."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from core.data.simulate import simulate
from core.data.store import add_dataset
from tests.pages import open_page, run_script
from tests.test_runs_compare import finish_run


def labels(app: AppTest) -> list[str]:
    assert not app.exception
    return [button.label for button in app.get("download_button")]


def test_runs_side_by_side_offer_their_report(home: Path) -> None:
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    for seed in (0, 1):
        finish_run(dataset, 0.1, seed=seed)
    assert labels(open_page("compare")).count("Report (HTML)") == 1


def test_a_run_offers_its_report() -> None:
    def script() -> None:
        from ui.report import offer_report

        offer_report("0" * 16)

    assert labels(run_script(script)) == ["Report (HTML)"]
