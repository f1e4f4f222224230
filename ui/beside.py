"""Runs side by side while they train, and after."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.compare.settings import name_setup, split_settings
from core.jobs.record import JobState
from core.jobs.which import Which
from core.plots.figures import COLOURS
from core.plots.runs import curves_side_by_side
from core.runs.store import RunRecord, RunStore
from ui.about import About
from ui.parts import OFFERED, errors, name_runs, show_figure

STARTED = tuple(state for state in JobState if state.finished or state == JobState.RUNNING)
"""States of runs that may have curves."""


def show_side_by_side(chosen: RunRecord) -> None:
    """Curves of several runs in one chart: at first those that train, or are of one study."""
    store = RunStore()
    if store.count(Which(states=STARTED)) < 2:
        return
    training = store.count(Which(states=[JobState.RUNNING]))
    key = f"side by side {chosen.id}"
    with st.expander("Side by side", expanded=training > 1, key=key, on_change="rerun") as opened:
        if not opened.open:
            return
        related, started = list_started(store, chosen)
        names = name_runs(list(started.values()))
        runs = st.multiselect(
            "Runs", list(started), default=related[: len(COLOURS)], key=f"beside {chosen.id}",
            format_func=names.get, max_selections=len(COLOURS),
        )  # fmt: skip
        live = any(started[run].state == JobState.RUNNING for run in runs)
        st.fragment(draw_curves, run_every=2 if live else None)(runs, live)


def list_started(store: RunStore, chosen: RunRecord) -> tuple[list[str], dict[str, RunRecord]]:
    """A run with those that train or are of its study; these and the last others by their ids.

    Only runs that have done something, or have ended.
    """
    related = store.list(Which(states=[JobState.RUNNING]), most=OFFERED)
    if chosen.study:
        related += store.list(Which(study=chosen.study, states=STARTED), most=OFFERED)
    others = store.list(Which(states=STARTED), most=OFFERED)
    started = {
        record.id: record
        for record in (chosen, *related, *others)
        if record.done or record.state.finished
    }
    first = dict.fromkeys(record.id for record in (chosen, *related) if record.id in started)
    return [*first], started


def draw_curves(runs: Sequence[str], live: bool) -> None:
    """The chart, drawn anew while one of the runs trains; reruns the page once when none does."""
    with errors():
        store = RunStore()
        records = [store.get(run) for run in runs]
        if live and not any(record.state == JobState.RUNNING for record in records):
            st.rerun()
        names = name_curves(records)
        epochs = {name: store.epochs(run) for name, run in zip(names, runs, strict=True)}
        drawn = {name: rows for name, rows in epochs.items() if len(rows)}
        if not drawn:
            st.caption("No epoch of these runs has ended yet.")
            return
        table = pd.concat(drawn, names=["run", "row"]).reset_index("run")
        show_figure(
            curves_side_by_side(drawn), table.drop(columns="validation_confusion", errors="ignore"),
            "side_by_side", alt="Validation scores of several runs by epoch", key="side by side",
            about=About(
                "Scores on validation samples after each epoch, a line a run.",
                f"{len(drawn)} runs, each on the validation samples of its own split.",
                "Measured after each epoch on samples that aren't learned from, as they are.",
                "It says how the trainings go. Which run is better says Compare, on held-out "
                "samples and with intervals.",
            ),
        )  # fmt: skip


def name_curves(records: Sequence[RunRecord]) -> list[str]:
    """The network and the settings in which the runs differ; of equal ones also the id's start."""
    specs = [record.spec for record in records]
    differing = split_settings([spec.settings for spec in specs])[0] if specs else []
    names = [
        " · ".join(
            [name_setup(spec, differing)] + ([f"seed {spec.seed}"] if "seed" in differing else [])
        )
        for spec in specs
    ]
    return [
        f"{name} · {record.id[:6]}" if names.count(name) > 1 else name
        for name, record in zip(names, records, strict=True)
    ]
