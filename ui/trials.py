"""Layouts on a page: fitted at once where that is quick, else by a process that is watched."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData

from core.data.prepare import Preprocessor
from core.escape import escape_message
from core.images.layout import GeneLayout
from core.images.layouts import LAYOUTS, LayoutSpec
from core.images.quality import MEASURES, Measure
from core.images.trial import (
    Measured,
    Trial,
    forget_trial,
    load_measured,
    request_trial,
    stop_trial,
)
from ui.kept import cache_resource
from ui.parts import download_table, errors, needs_own_home, open_dataset

LOOK = {Trial: Trial.model_dump_json}
"""How Streamlit's caches tell trials apart."""


class Prepared(NamedTuple):
    """Samples as every layout of them gets them."""

    data: AnnData
    preprocessor: Preprocessor
    unit: np.ndarray
    """(samples, genes) in [0, 1]"""


def prepare(trial: Trial) -> Prepared:
    """The trial's samples, whatever its layout; kept for the last two choices of samples."""
    return _prepare(Trial(cohort=trial.cohort.unlabelled, preparation=trial.preparation))


@cache_resource(max_entries=2, show_spinner="Preparing expression", hash_funcs=LOOK)
def _prepare(trial: Trial) -> Prepared:
    return Prepared(*trial.prepare(open_dataset(trial.cohort.dataset)))


@cache_resource(max_entries=16, show_spinner="Laying out genes", hash_funcs=LOOK)
def _fit(trial: Trial) -> GeneLayout:
    prepared = prepare(trial)
    return trial.fit(prepared.unit, prepared.preprocessor.genes)


@cache_resource(max_entries=16, show_spinner=False, hash_funcs=LOOK)
def _load(trial: Trial) -> GeneLayout:
    return GeneLayout.load(trial.layout_path)


def lay_out(trial: Trial, *, key: str) -> GeneLayout | None:
    """The trial's layout; None, with its progress on the page, while a process works on it.

    Raises:
        InputError: the genes don't fit the layout or its reference file.
    """
    if trial.is_quick(len(prepare(trial).preprocessor.genes)):
        return _fit(trial.unlabelled)
    if trial.layout_path.exists():
        return _load(trial.unlabelled)
    if needs_own_home("This layout takes a while: it can be computed"):
        return None
    state = request_trial(trial)
    title = name_layout(trial.layout)
    if state.state == "failed":
        st.error(f"{title}: {escape_message(state.message)}")
        st.button("Try again", key=f"{key} again", on_click=forget_trial, args=(trial,))
    else:
        _watch(trial, key)
    return None


@st.fragment(run_every=1.0)
def _watch(trial: Trial, key: str) -> None:
    """What the process does; the whole page runs again when the layout stands."""
    state = request_trial(trial)
    if state.state in ("done", "failed") or trial.layout_path.exists():
        st.rerun()
    method = LAYOUTS[trial.layout.name]
    st.status(f"{method.title}: {escape_message(state.message)}, {state.seconds:.0f} s so far")
    st.caption(
        "It is computed beside the page: go on working, or choose another layout and come back. "
        f"Once it stands, it is saved. For n genes it takes {method.complexity}."
    )
    st.button("Stop", key=f"{key} stop", on_click=stop_trial, args=(trial,))


def name_layout(spec: LayoutSpec) -> str:
    """A layout's title, with its canvas and reference file where they were chosen."""
    title = LAYOUTS[spec.name].title
    if spec.reference:
        title += f", file {spec.reference[:6]}"
    return f"{title}, {spec.side} x {spec.side}" if spec.side else title


def show_quality(trials: list[Trial]) -> None:
    """The measures of layouts side by side; those that are still computed come in one by one."""
    st.markdown("## How good are they?")
    if all(trial.quality_path.exists() for trial in trials):
        show_measures(trials)
    elif not needs_own_home("That can be measured"):
        _watch_quality(trials)


@st.fragment(run_every=1.0)
def _watch_quality(trials: list[Trial]) -> None:
    with errors():
        states = [request_trial(trial) for trial in trials]
        if all(state.state == "done" for state in states):
            st.rerun()
        for trial, state in zip(trials, states, strict=True):
            title = name_layout(trial.layout)
            if state.state == "failed":
                st.error(f"{title}: {escape_message(state.message)}")
            elif state.state != "done":
                said = escape_message(state.message)
                st.status(f"{title}: {said}, {state.seconds:.0f} s so far")
        done = [trial for trial, state in zip(trials, states, strict=True) if state.state == "done"]
        if done:
            show_measures(done)


def show_measures(trials: list[Trial]) -> None:
    """One row a measure: each layout's figure, what good is, and what it means."""
    found = [load_measured(trial) for trial in trials]
    titles = [name_layout(trial.layout) for trial in trials]
    rows = [
        {
            "Measure": f"**{measure.title}**",
            **{
                title: say_measure(measure, trial, measured)
                for title, trial, measured in zip(titles, trials, found, strict=True)
            },
            "Good is": measure.best,
            "What it says": measure.help,
        }
        for measure in MEASURES
    ]
    st.table(pd.DataFrame(rows).set_index("Measure"))
    probed = found[0].quality
    some = (
        f" Neighbourhoods of {probed.probes:,} of {probed.genes:,} genes were looked at, drawn at "
        "random, the same in every layout."
        if probed.probes < probed.genes
        else ""
    )
    st.caption(
        "Measured on all samples shown; similarity is the correlation of two genes over them. "
        "None of these is accuracy: that a network learns better from one layout than from another "
        f"shows only when both are trained, with several splits.{some}"
    )
    table = pd.DataFrame(
        {"measure": [measure.name for measure in MEASURES]}
        | {
            title: [getattr(measured.quality, measure.name) for measure in MEASURES]
            for title, measured in zip(titles, found, strict=True)
        }
    )
    download_table(table, "layout_quality", "Save CSV", key="quality csv", type="tertiary")


def say_measure(measure: Measure, trial: Trial, measured: Measured) -> str:
    """A layout's figure, or why there is none."""
    value = getattr(measured.quality, measure.name)
    if value is not None:
        rounded = round(value, measure.digits) + 0.0  # no -0
        return f"{rounded:,.{measure.digits}f}" if value == value else "not defined"
    if measure.name == "moran":
        return "needs classes"
    return "not measured (slow)" if LAYOUTS[trial.layout.name].learns else "0 (fixed)"
