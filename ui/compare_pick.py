"""What to compare: runs of one dataset and class, a score, a view; all of it stands in the link."""

from collections.abc import Sequence

import streamlit as st

from core.evaluation.metrics import METRICS, Metric
from core.runs.store import RunRecord
from core.training.tasks import TASKS, Task
from ui.parts import name_dataset, name_runs

VIEWS = {
    "scores": "Scores",
    "differences": "Differences",
    "settings": "Settings",
    "cost": "Cost",
    "published": "Published figures",
    "run": "One run",
    "samples": "Samples",
}
OF_CLASSES = ("published", "samples")
"""Views that only runs on classes have."""


def pick_dataset_runs(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs of one dataset, label and task; the choice stands in the link."""
    questions: dict[tuple[str, str, str], list[RunRecord]] = {}
    for record in records:
        cohort = record.spec.cohort
        questions.setdefault((cohort.dataset, cohort.label, record.spec.task), []).append(record)
    wanted = st.query_params.get("runs", "").split(",")
    keys = sorted(questions, key=lambda key: all(r.id not in wanted for r in questions[key]))
    if len(keys) == 1:
        return questions[keys[0]]
    chosen = st.selectbox(
        "Dataset and class", keys, key="question",
        format_func=lambda key: f"{name_dataset(key[0])} · {key[1]} · {len(questions[key])} runs"
        + ("" if TASKS[key[2]].has_classes else f" · {TASKS[key[2]].title.lower()}"),
    )  # fmt: skip
    return questions[chosen]


def pick_study(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs of one study, or of all; the choice stands in the link."""
    names = list(dict.fromkeys(record.study for record in records if record.study))
    if not names:
        return list(records)
    wanted = st.query_params.get("study", "")
    chosen = st.selectbox(
        "Study", ["", *names], index=1 + names.index(wanted) if wanted in names else 0, key="study",
        format_func=lambda name: name or "all runs, of any study and of none",
    )  # fmt: skip
    if not chosen:
        st.query_params.pop("study", None)
        return list(records)
    st.query_params["study"] = chosen
    return [record for record in records if record.study == chosen]


def pick_runs(records: Sequence[RunRecord]) -> list[str]:
    """Which of the runs to compare: all, or a choice that stands in the link."""
    by_id, names = {record.id: record for record in records}, name_runs(records)
    wanted = st.query_params.get("runs", "")
    chosen = [run for run in wanted.split(",") if run in by_id]
    everything = st.toggle(
        ("The one run" if len(by_id) == 1 else f"All {len(by_id)} runs")
        + " of this dataset and class"
        + (" in the study" if st.query_params.get("study") else ""),
        value=wanted in ("", "all"), key="all",
    )  # fmt: skip
    if everything:
        st.query_params["runs"] = "all"
        return list(by_id)
    chosen = st.multiselect(
        "Runs", list(by_id), default=chosen or list(by_id)[:4],
        format_func=names.get, key="runs",
    )  # fmt: skip
    st.query_params["runs"] = ",".join(chosen)
    return chosen


def pick_metric(task: Task) -> Metric:
    """The score of a task that intervals and differences are of; it stands in the link."""
    names = [metric.name for metric in task.metrics if metric.has_interval]
    wanted = st.query_params.get("metric", task.first_metric)
    name = st.selectbox(
        "Score", names, index=names.index(wanted) if wanted in names else 0,
        key="metric" if task.has_classes else f"metric {task.name}",
        format_func=lambda name: METRICS[name].title,
    )  # fmt: skip
    st.query_params["metric"] = name
    st.caption(METRICS[name].help)
    return METRICS[name]


def pick_view(task: Task) -> str:
    """What to look at; it stands in the link, and a link with a sample leads to the samples."""
    wanted = st.query_params.get("view", "samples" if "sample" in st.query_params else "scores")
    views = {k: words for k, words in VIEWS.items() if task.has_classes or k not in OF_CLASSES}
    view = st.segmented_control(
        "Show", views, default=wanted if wanted in views else "scores", required=True,
        format_func=VIEWS.get, label_visibility="collapsed",
        key="compare view" if task.has_classes else f"view {task.name}",
    )  # fmt: skip
    st.query_params["view"] = view
    return view
