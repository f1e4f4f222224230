"""Train: launch a fine-tune, watch it, leave it, come back to it, ask what if."""

from collections.abc import Sequence

import streamlit as st

from core.data.store import list_datasets
from core.jobs.launch import ensure_workers
from core.runs.preflight import preflight_apart
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from ui.card import recall_warnings
from ui.cost import show_cost
from ui.forms import HOLDS
from ui.parts import errors, pick_dataset, say_finding, show_empty
from ui.run_form import ask_custom, ask_paper, ask_quick, ask_samples
from ui.runs import show_runs

LEVELS = {
    "quick": "Quick: the recommended recipe",
    "paper": "Paper: its 40 runs",
    "custom": "Custom: every setting",
}


def show_launch() -> None:
    """The form, what it will cost, and the button that starts it."""
    record = pick_dataset()
    if record is None:
        return
    level = st.segmented_control(
        "Recipe", list(LEVELS), format_func=LEVELS.get, default="quick", key="level",
        **HOLDS, required=True, label_visibility="collapsed",
    )  # fmt: skip
    choices, common = ask_samples(record)
    for finding in recall_warnings(record, choices):
        say_finding(finding)
    if level == "paper":
        specs = ask_paper(record, common)
        show_cost(max(specs, key=lambda spec: spec.network.record.parameters), len(specs))
        if st.button("Start the study", type="primary", key="start"):
            start(specs, study=f"Paper on {record.name}, {specs[0].id[:6]}")
        return
    spec = ask_quick(record, common) if level == "quick" else ask_custom(record, choices, common)
    show_cost(spec)
    with st.expander("This run as YAML, for the command line"):
        st.code(spec.to_yaml(), language="yaml")
        st.caption("Save it as run.yaml and start it with `genecanvas run run.yaml`.")
    if st.button("Start training", type="primary", key="start"):
        start([spec])


def start(specs: Sequence[RunSpec], study: str | None = None) -> None:
    """Check and queue runs; those that were asked before are not trained again."""
    with st.spinner("Checking the settings"):
        for spec in specs:
            preflight_apart(spec)
    store = RunStore()
    submitted = [store.submit(spec, study=study) for spec in specs]
    ensure_workers()
    old = sum(not new for _, new in submitted)
    if old == len(specs) == 1:
        st.toast("This question was asked before: here is its run.")
    elif old:
        st.toast(f"{old} of {len(specs)} were asked before and are not trained again.")
    first = submitted[0][0].id
    st.query_params["run"] = first
    st.session_state["last run"] = first
    st.rerun()


st.title("Train")
with errors():
    if list_datasets():
        show_launch()
    else:
        show_empty("Training needs a dataset.", "Bring data", "data")
with errors():
    show_runs()
