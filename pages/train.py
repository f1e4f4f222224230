"""Train: start a run; the queue, and the runs to come back to."""

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
from ui.parts import errors, go_to_run, pick_dataset, say_finding, show_empty
from ui.run_form import ask_custom, ask_paper, ask_quick, ask_samples
from ui.runs import show_runs
from ui.speed import show_speed
from ui.whatif import EXPLAIN, explain_after

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
            start_study(specs, f"Paper on {record.name}, {specs[0].id[:6]}")
        return
    spec = ask_quick(record, common) if level == "quick" else ask_custom(record, choices, common)
    show_cost(spec)
    with st.expander("This run as YAML, for the command line"):
        st.code(spec.to_yaml(), language="yaml")
        st.caption("Save it as run.yaml and start it with `genecanvas run run.yaml`.")
    explain = st.checkbox(
        "Then rank its genes", True, key=EXPLAIN, persist_state="session",
        help="Integrated gradients start by themselves when the training has ended.",
    )  # fmt: skip
    if st.button("Start training", type="primary", key="start"):
        start(spec, explain)


def start(spec: RunSpec, explain: bool) -> None:
    """Check and queue a run, and open its page; one that was asked before isn't trained again."""
    with st.spinner("Checking the settings"):
        preflight_apart(spec)
    store = RunStore()
    record, new = store.submit(spec)
    if explain:
        explain_after(record)
    ensure_workers()
    if not new:
        st.toast("This question was asked before: here is its run.")
    go_to_run(record.id)


def start_study(specs: Sequence[RunSpec], study: str) -> None:
    """Check and queue the runs of a study; those that were asked before aren't trained again."""
    with st.spinner("Checking the settings"):
        for spec in specs:
            preflight_apart(spec)
    store = RunStore()
    submitted = [store.submit(spec, study=study) for spec in specs]
    ensure_workers()
    if old := sum(not new for _, new in submitted):
        st.toast(f"{old} of {len(specs)} were asked before and are not trained again.")
    st.rerun()


if "run" in st.query_params:  # links of earlier versions
    go_to_run(st.query_params["run"])
st.title("Train")
with errors():
    if list_datasets():
        show_launch()
    else:
        show_empty("Training needs a dataset.", "Bring data", "data")
with errors():
    show_runs()
with errors():
    show_speed()
