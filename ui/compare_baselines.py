"""Baseline models beside compared runs: asked for, and waited for."""

import streamlit as st

from core.escape import escape_markdown
from core.glossary import define
from core.runs.fitting import baselines_state, request_baselines
from core.runs.outcome import extra_baselines, missing_baselines
from core.runs.result import load_result
from core.training.tasks import TASKS


def show_request(runs: list[str], missing: int) -> None:
    """Fit the baseline models that these runs didn't fit by themselves, in a process of its own."""
    state, reason = baselines_state(runs)
    if state == "working":
        st.fragment(wait_for_baselines, run_every=1)(runs, missing)
        return
    if state == "failed":
        st.error(f"The baseline models could not be fitted. {escape_markdown(reason)}")
    baselines = TASKS[load_result(runs[0]).task].baselines
    extra = {name for run in runs for name in extra_baselines(run)}
    titles = ", ".join(baseline.title for baseline in baselines if baseline.name in extra)
    st.caption(
        f"More baseline models can stand beside these runs: {titles}. They take some seconds for "
        "each split, in a process of their own, and are then saved.",
        help=define("baseline model"),
    )
    if st.button("Fit baseline models", key="fit"):
        request_baselines(runs)
        st.rerun()


def wait_for_baselines(runs: list[str], before: int) -> None:
    """Progress of the baseline models; reruns the page when some more stand."""
    missing = len(missing_baselines(runs))
    if missing < before or baselines_state(runs)[0] != "working":
        st.rerun()
    st.progress(
        1 - missing / sum(len(extra_baselines(run)) for run in runs),
        "Fitting baseline models. It is safe to close this tab.",
    )
