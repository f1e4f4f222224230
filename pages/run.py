"""Run: one run from its start to its result, its genes, and what if."""

import streamlit as st

from core.escape import escape_markdown
from core.jobs.which import Which
from core.runs.store import RunRecord, RunStore
from ui.line import show_line as show_title
from ui.parts import WANTED_RUN, errors, go_to, show_empty
from ui.run import show_ended, show_rest
from ui.run_about import show_facts, show_line
from ui.run_live import watch
from ui.runs import show_damaged
from ui.whatif import show_parent

MANY = 20
"""The newest runs, of which the first is shown that isn't damaged."""


def find_run(store: RunStore) -> RunRecord | None:
    """The run of the link, else the one that was looked at last, else the newest.

    None where the link names one that isn't here, or is damaged; then that is said.
    """
    wanted = st.session_state.pop(WANTED_RUN, None) or st.query_params.get("id")
    found = store.read(Which(ids=[wanted or st.session_state.get("last run", "")]))
    if wanted is None and not found:
        found = store.list(most=MANY) or store.read(most=1)
    if found and isinstance(found[0], RunRecord):
        return found[0]
    show_title("Run")
    if found:
        show_damaged(found[:1])
    else:
        st.warning(
            f"Run {escape_markdown(wanted[:20])} is not here: it was deleted, or the link is of "
            "another home."
        )
    if st.button("All runs", key="all runs"):
        go_to("train")
    return None


def show_page() -> None:
    """The run that is asked for, in whatever state it is."""
    store = RunStore()
    store.reconcile()
    if not store.count():
        show_title("Run")
        show_empty("There is no run yet.", "Train a network", "train")
        return
    record = find_run(store)
    if record is None:
        return
    st.session_state["last run"] = record.id
    if st.query_params.get("id") != record.id:
        st.query_params["id"] = record.id
    show_line(record)
    if record.state.finished:
        show_ended(record)
    else:
        with st.container():  # of its own: a fragment that grows would draw over what follows it
            st.fragment(watch, run_every=1)(record.id)
        show_parent(record)
        show_facts(record)
    show_rest(record)


with errors():
    show_page()
