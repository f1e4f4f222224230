"""The page Transfer: the question with its time, and the answer."""

from pathlib import Path

from core.transfer.spec import TransferSpec
from core.transfer.transferring import TransferJob, transfer_here
from tests.pages import button, charts, open_page, words
from tests.transfers import add_pair


def test_the_page_asks_and_shows(home: Path) -> None:
    cohorts = add_pair()
    app = open_page("transfer")
    assert not app.exception
    assert "About" in words(app)
    assert "60 shared genes" in words(app)
    assert button(app, "Start")
    spec = TransferSpec.parse({**cohorts, "budgets": [10], "draws": 3})
    transfer_here(spec, lambda share, text: None)
    earlier = TransferJob(spec=spec).place.rename(home / "transfers" / ("0" * 16))
    app = open_page("transfer", id=earlier.name)  # an earlier version counted another id
    assert not app.exception
    assert "learning from S as well" in words(app)
    assert "Does this source fit?" in words(app)
    assert charts(app) == 4, "gains, scores, controls and where the source lies"
