"""Compare: finished runs side by side, beside baseline models on the same genes and samples."""

import json

import streamlit as st

from core.compare.comparison import compare
from core.compare.effects import grid_of
from core.compare.records import Comparison
from core.errors import DamageError
from core.escape import escape_markdown, escape_message
from core.runs.outcome import Outcome, kept_second, load_outcome, missing_baselines
from core.runs.result import load_result
from core.training.tasks import TASKS
from ui.compare_baselines import show_request
from ui.compare_cost import show_cost, show_published
from ui.compare_pick import pick_dataset_runs, pick_metric, pick_runs, pick_study, pick_view
from ui.compare_run import show_run
from ui.compare_samples import show_samples
from ui.compare_scores import (
    say_comparison,
    show_differences,
    show_ranks,
    show_scores,
    show_table,
    show_wins,
)
from ui.compare_settings import show_curves, show_grid
from ui.kept import cache_resource
from ui.line import say_facts, show_line
from ui.parts import errors, finished_runs, name_dataset, place_chart, say_offered, show_empty
from ui.report import offer_study_report


@cache_resource(max_entries=500, show_spinner=False)
def read_outcome(run: str, lacking: tuple[str, ...]) -> Outcome:
    """A finished run; read again when baseline models have been added to it, or fitted anew."""
    return load_outcome(run)


@cache_resource(max_entries=4, show_spinner="Reading the runs")
def read_outcomes(
    key: str, _lacking: dict[str, tuple[str, ...]]
) -> tuple[list[Outcome], list[str]]:
    """Finished runs, and what is wrong with those that are damaged.

    One key for all, because hashing one for each takes long with many runs.
    """
    outcomes, damaged = [], []
    for run, names in _lacking.items():
        try:
            outcomes.append(read_outcome(run, names))
        except DamageError as error:
            damaged.append(str(error))
    return outcomes, damaged


@cache_resource(max_entries=20, show_spinner="Comparing")
def read_comparison(key: str, metric: str, _outcomes: list[Outcome]) -> Comparison:
    """The comparison of these runs, with those baseline models that stand."""
    return compare(_outcomes, metric)


def leave_out_damaged(runs: list[str]) -> list[str]:
    """The runs whose result can be read; says what is wrong with the others."""
    whole = []
    for run in runs:
        try:
            load_result(run)
        except DamageError as error:
            st.warning(escape_message(f"Left out: {error}"))
        else:
            whole.append(run)
    return whole


def show_page() -> None:
    """Pick runs; what they reach, the sentences that follow, where they differ, and why."""
    records = finished_runs()
    facts, drawer, _ = show_line("Compare", "Runs and score" if records else None)
    if not records:
        show_empty("There is no finished run to compare yet.", "Train a network", "train")
        return
    with drawer:
        runs = pick_runs(pick_dataset_runs(pick_study(records)))
        say_offered(len(records))
    if not runs:
        st.info("Choose at least one run.")
        return
    first = next(record for record in records if record.id in runs)
    task = TASKS[first.spec.task]
    with drawer:
        metric = pick_metric(task)
    say_facts(
        facts, name_dataset(first.spec.cohort.dataset), first.spec.cohort.label,
        f"{len(runs)} run{'s' if len(runs) > 1 else ''}", metric.title,
    )  # fmt: skip
    chosen, runs = runs, leave_out_damaged(runs)
    by_run: dict[str, tuple[str, ...]] = {run: (kept_second(run) or "",) for run in runs}
    for run, name in missing_baselines(runs):
        by_run[run] += (name,)
    key = json.dumps(by_run)
    outcomes, damaged = read_outcomes(key, by_run)
    for what in damaged:
        st.warning(escape_message(f"Left out: {what}"))
    if damaged:
        read_outcomes.clear()  # they may be mended
    runs = [outcome.run for outcome in outcomes]
    if not runs:
        show_empty(
            "None of these runs can be read.", "Have one made again", "run", {"id": chosen[0]}
        )
        return
    key = json.dumps([key, runs])
    comparison = read_comparison(key, metric.name, outcomes)
    left, beside = st.columns([7, 6], vertical_alignment="center")
    with left:
        view = pick_view(task)
    headline = f"**{escape_markdown(comparison.headline)}**"
    if view == "scores":
        chart, said = place_chart()
        with chart:
            show_scores(comparison, outcomes)
        with said:
            say_comparison(comparison)
            show_request(runs)
            offer_study_report(runs, metric.name)
        show_table(comparison)
    elif view == "differences":
        st.markdown(headline)
        show_differences(comparison)
        show_ranks(comparison)
        show_wins(comparison)
    elif view == "settings":
        show_grid(grid_of(outcomes), metric, headline)
        show_curves(key, outcomes, metric)
    elif view == "cost":
        show_cost(comparison)
        st.markdown(headline)
    elif view == "published":
        st.markdown(headline)
        show_published(
            comparison if metric.name == "accuracy" else read_comparison(key, "accuracy", outcomes)
        )
    elif view == "run":
        show_run(outcomes, metric, beside)
        st.markdown(headline)
    else:
        st.markdown(headline)
        show_samples(key, outcomes)


with errors():
    show_page()
