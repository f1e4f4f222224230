"""Baseline models beside compared runs: asked for, and waited for."""

from contextlib import suppress

import streamlit as st

from core.data.store import get_record
from core.errors import InputError
from core.escape import escape_markdown, escape_message
from core.glossary import define
from core.home import only_looks
from core.jobs.launch import answer_state
from core.runs.fitting import baselines_job, request_baselines
from core.runs.outcome import kept_second, missing_baselines
from core.runs.result import load_result, load_spec
from core.training.tasks import TASKS
from ui.forms import HOLDS


def show_request(runs: list[str]) -> None:
    """Fit the baseline models that these runs didn't fit by themselves, in a process of its own."""
    if only_looks():
        return
    place = st.container()
    second = pick_second(runs)
    with place:
        show_missing(runs, second)


def pick_second(runs: list[str]) -> str | None:
    """The column that the network with two heads learns beside the class; stands in the link."""
    cohort = load_spec(runs[0]).cohort
    columns = {}
    with suppress(InputError):  # the dataset was deleted
        columns = get_record(cohort.dataset).columns
    known = [name for name, found in columns.items() if name != cohort.label and len(found) != 1]
    if not known:
        return None
    usual = kept_second(runs[0]) or cohort.batch
    with st.expander("Network with two heads"):
        chosen = st.selectbox(
            "Second label", ["", *known], key="second",
            index=1 + known.index(usual) if usual in known else 0,
            format_func=lambda name: name or "none: don't fit it",
            help="One network learns the class and, with a second head, this column, such as the "
            "batch or another label.", **HOLDS,
        )  # fmt: skip
    return chosen or None


def show_missing(runs: list[str], second: str | None) -> None:
    """The button that has them fitted; how far that is while it goes on."""
    missing = missing_baselines(runs, second)
    if not missing:
        return
    state = answer_state(baselines_job(runs, second))
    if state.state == "working":
        st.fragment(wait_for_baselines, run_every=1)(runs, second, len(missing))
        return
    if state.state == "failed":
        st.error(f"The baseline models could not be fitted. {escape_message(state.message)}")
    baselines, lacking = TASKS[load_result(runs[0]).task].baselines, {name for _, name in missing}
    titles = ", ".join(record.title for record in baselines if record.name in lacking)
    networks = any(baselines[name].is_network for name in lacking)
    st.caption(
        f"More baseline models can stand beside these runs: {titles}. They take some seconds for "
        + ("each split, networks on genes up to a minute, " if networks else "each split, ")
        + "in a process of their own, and are then saved.",
        help=define("baseline model"),
    )
    if st.button("Fit baseline models", key="fit"):
        request_baselines(runs, second)
        st.rerun()


def wait_for_baselines(runs: list[str], second: str | None, before: int) -> None:
    """Progress of the baseline models; reruns the page when some more stand."""
    state = answer_state(baselines_job(runs, second))
    if len(missing_baselines(runs, second)) < before or state.state != "working":
        st.rerun()
    said = f"Fitting baseline models: {state.message or 'waiting for its turn'}."
    st.progress(state.fraction, f"{escape_markdown(said)} It is safe to close this tab.")
