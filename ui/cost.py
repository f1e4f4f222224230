"""What a run will cost, measured in the background while the form is looked at."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import streamlit as st

from core.errors import GeneCanvasError
from core.escape import escape_markdown
from core.jobs.record import JobState
from core.runs.estimate import Estimate, estimate
from core.runs.preflight import say_consequences
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.words import say_duration
from ui.parts import open_dataset

COSTLY = {
    "cohort": True, "task": True, "split": True,
    "preparation": {"genes"}, "layout": {"side"},
    "network": {"backbone", "head", "pool", "freeze", "image_size"},
    "training": {"epochs", "batch_size", "variants", "precision", "augmentation"},
}  # fmt: skip
"""What of a specification decides its cost."""

_measuring = ThreadPoolExecutor(1, thread_name_prefix="cost")
"""One at a time: two trainings side by side would measure each other."""


@lru_cache(50)
def _measure(costly: str) -> Future[Estimate]:
    """The cost of a specification, of which only what decides it is given, as JSON."""
    spec = RunSpec.parse(json.loads(costly))
    return _measuring.submit(estimate, spec, open_dataset(spec.cohort.dataset))


@st.cache_data(max_entries=50, show_spinner=False)
def _consequences(spec: str, _spec: RunSpec, _cost: Estimate | None, measured: bool) -> list[str]:
    return say_consequences(_spec, open_dataset(_spec.cohort.dataset), _cost)


def show_cost(spec: RunSpec, runs: int = 1) -> None:
    """Time and memory of a run, and what to know before it is started.

    Args:
        spec: the run, or the most expensive one of a study.
        runs: how many there are.
    """
    asked = spec.model_dump_json(include=COSTLY)
    training = any(record.state == JobState.RUNNING for record in RunStore().list())
    wanted = not training or st.session_state.get(asked, False)
    try:
        # A refusal must not reach what is measured: that is kept by what costs something alone.
        said = _consequences(spec.model_dump_json(), spec, None, False)
        cost = None
        if wanted:
            measuring = _measure(asked)
            if measuring.done():
                cost = measuring.result()
            else:
                with st.container():
                    st.fragment(_wait, run_every=1)(asked)
        else:
            st.button(
                "How long will it take?", key="measure", on_click=st.session_state.update,
                args=({asked: True},), icon=":material/timer:",
                help="Trains a few batches. Another run is being trained, which makes both slower.",
            )  # fmt: skip
        if cost is not None:
            st.markdown(f":material/timer: {say_cost(cost, runs)}")
            said = _consequences(spec.model_dump_json(), spec, cost, True)
        for sentence in said:
            st.caption(f":material/info: {escape_markdown(sentence)}")
    except GeneCanvasError as error:
        st.warning(escape_markdown(str(error)))


def show_duration(spec: RunSpec, runs: int) -> None:
    """How long so many runs of a kind take, by a few batches of one; it is waited for."""
    measuring = _measure(spec.model_dump_json(include=COSTLY))
    if not measuring.done():
        with st.container():
            st.fragment(_wait, run_every=1)(spec.model_dump_json(include=COSTLY))
        return
    try:
        seconds = runs * measuring.result().seconds
    except GeneCanvasError as error:
        st.caption(escape_markdown(str(error)))
        return
    st.markdown(f"about **{say_duration(seconds)}**", width="content")


def _wait(asked: str) -> None:
    if _measure(asked).done():
        st.rerun()
    st.caption(":material/timer: Measuring a few batches to tell how long this will take …")


def say_cost(cost: Estimate, runs: int) -> str:
    """Duration and memory in words."""
    one = f"About **{say_duration(cost.seconds)}** on {cost.device}"
    if runs > 1:
        one = (
            f"At most about **{say_duration(cost.seconds)}** per run and "
            f"**{say_duration(runs * cost.seconds)}** for all {runs} on {cost.device}"
        )
    return (
        f"{one}, with {cost.peak_bytes / 1e9:.1f} GB of memory; "
        f"{cost.parameters / 1e6:.1f} million parameters."
    )
