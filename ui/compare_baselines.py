"""Baseline models beside compared runs: asked for, and waited for."""

import streamlit as st

from core.escape import escape_markdown
from core.glossary import define
from core.runs.fitting import baselines_state, request_baselines
from core.runs.outcome import missing_baselines
from core.runs.result import load_result
from core.training.tasks import TASKS


def show_request(runs: list[str], missing: int) -> None:
    """Fit the missing baseline models, which no run computes by itself, in a process of its own."""
    state, reason = baselines_state(runs)
    if state == "working":
        st.fragment(wait_for_baselines, run_every=1)(runs, missing)
        return
    if state == "failed":
        st.error(f"The baseline models could not be fitted. {escape_markdown(reason)}")
    titles = ", ".join(_extra(runs))
    text, button = st.columns([3, 1], vertical_alignment="center")
    text.caption(
        f"More baseline models can stand beside these runs: {titles}. They take some seconds for "
        "each split, in a process of their own, and are then saved.",
        help=define("baseline model"),
    )
    if button.button("Fit baseline models", key="fit"):
        request_baselines(runs)
        st.rerun()


def wait_for_baselines(runs: list[str], before: int) -> None:
    """Progress of the baseline models; reruns the page when some more stand."""
    missing = len(missing_baselines(runs))
    if missing < before or baselines_state(runs)[0] != "working":
        st.rerun()
    st.progress(
        1 - missing / (len(runs) * len(_extra(runs))),
        "Fitting baseline models. It is safe to close this tab.",
    )


def _extra(runs: list[str]) -> list[str]:
    """Titles of the baseline models that no run of this task computes by itself."""
    baselines = TASKS[load_result(runs[0]).task].baselines
    return [baseline.title for baseline in baselines if not baseline.in_every_run]
