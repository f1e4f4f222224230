"""The report of a finished run, as a file to keep."""

from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from core.report.run import write_run_report


def offer_report(run: str) -> None:
    """A button that writes a finished run's report and saves it; it is written when pressed."""
    st.download_button(
        "Report (HTML)", lambda: _write(run), file_name=f"report_{run[:6]}.html",
        mime="text/html", on_click="ignore", key="report", icon=":material/description:",
        help="One file with the result, its data, images, genes and limits, a methods text ready "
        "for a paper, and what repeats it. It opens without a network and prints to PDF. Genes "
        "stand in it once Explain has scored them.",
    )  # fmt: skip


def _write(run: str) -> bytes:
    with TemporaryDirectory() as folder:
        return write_run_report(run, Path(folder) / "report.html").read_bytes()
