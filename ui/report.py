"""Reports as files to keep: of a run, of a prediction, of runs side by side, of a story."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from core.predict.request import PredictRequest
from core.report.prediction import write_prediction_report
from core.report.run import write_run_report
from core.report.story import write_story_report
from core.report.study import write_study_report
from core.report.tissue import write_tissue_report
from core.report.transfer import write_enquiry_report, write_transfer_report
from core.tissue.spec import TissueSpec
from ui.download import download_button

ANYWHERE = "It opens without a network and prints to PDF."


def offer_report(run: str) -> None:
    """A button that saves the report of a finished run."""
    _offer(
        partial(write_run_report, run), f"run_{run[:6]}",
        "One file with the result, its data, images, genes and limits, a methods text ready for a "
        f"paper, and what repeats it. {ANYWHERE} Genes stand in it once Explain has scored them.",
    )  # fmt: skip


def offer_prediction_report(asked: PredictRequest) -> None:
    """A button that saves the report of a prediction that stands."""
    _offer(
        partial(write_prediction_report, asked), f"prediction_{asked.key[:6]}",
        "One file with the calls, how right they are where that is known, whether the model fits, "
        f"and a methods text ready for a paper. {ANYWHERE}",
    )  # fmt: skip


def offer_study_report(runs: Sequence[str], metric: str) -> None:
    """A button that saves the report of finished runs side by side."""
    _offer(
        partial(write_study_report, list(runs), metric=metric), f"compared_{len(runs)}_runs",
        "One file with the scores, differences, effects of settings and costs of these runs, and "
        f"a methods text ready for a paper. {ANYWHERE}",
    )  # fmt: skip


def offer_transfer_report(key: str) -> None:
    """A button that saves the report of a transfer that stands."""
    _offer(
        partial(write_transfer_report, key), f"transfer_{key[:6]}",
        "One file with the verdicts, gains, controls, limits, a methods text and what repeats it. "
        f"{ANYWHERE}",
    )  # fmt: skip


def offer_enquiry_report(key: str) -> None:
    """A button that saves the report of an enquiry whose reply stands."""
    _offer(
        partial(write_enquiry_report, key), f"transfer_{key[:6]}",
        "One file with the verdicts, controls, tables, limits, a methods text and what repeats it. "
        f"{ANYWHERE}",
    )  # fmt: skip


def offer_tissue_report(asked: TissueSpec) -> None:
    """A button that saves the report of an answer about tissue."""
    _offer(
        partial(write_tissue_report, asked), f"tissue_{asked.tissue[:6]}",
        "One file with the verdict, all models and genes, a section, limits, a methods text and "
        f"what repeats it. {ANYWHERE}",
    )  # fmt: skip


def offer_story_report(story: str) -> None:
    """A button that saves a story with views as one file."""
    _offer(
        partial(write_story_report, story), f"story_{story[:6]}",
        f"One file with the views and their captions, without the notes. {ANYWHERE}",
    )  # fmt: skip


def _offer(write: Callable[[Path], Path], name: str, help: str) -> None:
    """The button; the report is written when it is pressed."""
    download_button(
        "Report (HTML)", lambda: _read(write), file_name=f"report_{name}.html", mime="text/html",
        on_click="ignore", key="report", icon=":material/description:", help=help,
    )  # fmt: skip


def _read(write: Callable[[Path], Path]) -> bytes:
    with TemporaryDirectory() as folder:
        return write(Path(folder) / "report.html").read_bytes()
