"""Train: start a run; the queue, and the runs to come back to."""

from collections.abc import Sequence

import streamlit as st

from core.compare.records import REPEATS
from core.data.store import DatasetRecord
from core.errors import InputError
from core.escape import escape_message
from core.home import only_looks
from core.jobs.launch import ensure_workers, foresee
from core.runs.explaining import ExplainJob
from core.runs.preflight import preflight_apart
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.training import TrainJob
from core.runs.whatif import other_seed
from ui.card import recall_warnings
from ui.cost import show_cost
from ui.forms import HOLDS
from ui.line import place_columns, say_facts, show_dataset_line, show_looking
from ui.parts import errors, go_to_run, open_dataset, say_finding
from ui.run_form import ask_custom, ask_paper, ask_quick, ask_samples
from ui.runs import show_runs
from ui.speed import show_speed
from ui.study_form import ask_study
from ui.whatif import EXPLAIN, explain_after

CHEAP_SAMPLES = 1500
"""Up to so many, a head is solved in seconds and repeated from the start."""
LEVELS = {
    "quick": "New run: three recipes",
    "study": "Study: many runs side by side",
    "paper": "Paper: its 40 runs",
    "custom": "Custom: every setting",
}


def show_launch() -> None:
    """The form, what it will cost, and the button that starts it."""
    record, line = show_dataset_line("Train", "Dataset and class")
    if record is None:
        return
    foresee(TrainJob)
    level = st.segmented_control(
        "Recipe", list(LEVELS), format_func=LEVELS.get, default="quick", key="level",
        **HOLDS, required=True, label_visibility="collapsed",
    )  # fmt: skip
    with place_columns(record, line):
        choices, common = ask_samples(record)
    say_facts(line.facts, record.name, choices.cohort.label, f"{record.samples:,} samples")
    for finding in recall_warnings(record, choices):
        say_finding(finding)
    if level in ("paper", "study"):
        if level == "paper":
            specs, name = ask_paper(record, common), f"Paper on {record.name}"
        else:
            specs, name = ask_study(record, common)
        show_cost(max(specs, key=lambda spec: spec.network.record.parameters), len(specs))
        allowed = say_limits(specs)
        if st.button("Start the study", type="primary", key="start", disabled=not allowed):
            start_study(specs, f"{name}, {specs[0].id[:6]}")
        return
    if level == "quick":
        spec, among = ask_quick(record, common)
    else:
        spec, among = ask_custom(record, choices, common), []
    cost = st.container()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        specs = repeat(spec, record) if level == "quick" else [spec]
        explain = st.checkbox(
            "Then rank its genes", True, key=EXPLAIN, **HOLDS, width="content",
            help="Integrated gradients start by themselves when the training has ended.",
        )  # fmt: skip
        with cost:
            show_cost(spec, len(specs), among)
            allowed = say_limits(specs)
        started = st.button("Start training", type="primary", key="start", disabled=not allowed)
    with st.expander("This run as YAML, for the command line"):
        st.code(spec.to_yaml(), language="yaml")
        st.caption("Save it as run.yaml and start it with `genecanvas run run.yaml`.")
    if started:
        start(specs, explain, f"Repeats on {record.name}, {spec.id[:6]}")


def repeat(spec: RunSpec, record: DatasetRecord) -> list[RunSpec]:
    """The run, or it and the same on other splits; so from the start where that takes seconds."""
    cheap = spec.network.is_solved and record.samples <= CHEAP_SAMPLES
    if not st.checkbox(
        f"Repeat on {REPEATS} splits", cheap, key=f"repeat {record.id[:12]} {cheap}",
        persist_state="session", width="content",
        help="The same question on other held-out samples: how much of a result is luck. Compare "
        "puts the repeats together.",
    ):  # fmt: skip
        return [spec]
    return [other_seed(spec, spec.seed + more) for more in range(REPEATS)]


def say_limits(specs: Sequence[RunSpec]) -> bool:
    """Whether a person's limits let them queue these runs; says why not before they ask."""
    try:
        RunStore().need_quota_for(specs)
    except InputError as error:
        st.warning(escape_message(str(error)))
        return False
    return True


def start(specs: Sequence[RunSpec], explain: bool, study: str) -> None:
    """Check and queue a run and its repeats, and open its page; none is trained twice."""
    with st.spinner("Checking the settings"):
        preflight_apart(specs[0], open_dataset(specs[0].cohort.dataset))
    store = RunStore()
    store.need_quota_for(specs)
    record, new = store.submit(specs[0], study=study if len(specs) > 1 else None)
    if explain:
        explain_after(record)
        foresee(ExplainJob)
    for spec in specs[1:]:
        store.submit(spec, study=study)
    ensure_workers()
    if not new:
        st.toast("This question was asked before: here is its run.")
    go_to_run(record.id)


def start_study(specs: Sequence[RunSpec], study: str) -> None:
    """Check and queue the runs of a study; those that were asked before aren't trained again."""
    with st.spinner("Checking the settings"):
        for spec in specs:
            preflight_apart(spec, open_dataset(spec.cohort.dataset))
    store = RunStore()
    store.need_quota_for(specs)
    submitted = [store.submit(spec, study=study) for spec in specs]
    ensure_workers()
    if old := sum(not new for _, new in submitted):
        st.toast(f"{old} of {len(specs)} were asked before and are not trained again.")
    st.rerun()


if "run" in st.query_params:  # links of earlier versions
    go_to_run(st.query_params["run"])
with errors():
    if not show_looking("Train", "Networks are trained in a home of your own."):
        show_launch()
with errors():
    show_runs()
if not only_looks():
    with errors():
        show_speed()
