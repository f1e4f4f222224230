"""What a run will cost, measured in the background while the form is looked at."""

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import streamlit as st

from core.errors import GeneCanvasError
from core.escape import escape_markdown
from core.jobs.record import JobState
from core.runs.estimate import Estimate, estimate_each
from core.runs.preflight import say_consequences
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.training import TrainJob
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
def _measure(costly: tuple[str, ...]) -> Future[list[Estimate]]:
    """The costs of specifications, of which only what decides them is given, as JSON."""
    specs = [RunSpec.parse(json.loads(one)) for one in costly]
    return _measuring.submit(estimate_each, specs, open_dataset(specs[0].cohort.dataset))


def _ask(specs: Sequence[RunSpec]) -> tuple[str, ...]:
    return tuple(spec.model_dump_json(include=COSTLY) for spec in specs)


def _is_wanted(asked: tuple[str, ...]) -> bool:
    """Whether it is measured: beside another training, which that makes slower, when asked for."""
    training = any(record.state == JobState.RUNNING for record in RunStore().list())
    return not training or st.session_state.get(str(asked), False)


def find_seconds(specs: Sequence[RunSpec]) -> list[float | None]:
    """How long runs of a dataset take by a few batches of each; None while that isn't known.

    `show_cost` waits for it.
    """
    asked = _ask(specs)
    if _is_wanted(asked) and _measure(asked).done() and _measure(asked).exception() is None:
        return [cost.seconds for cost in _measure(asked).result()]
    return [None] * len(specs)


def _find_like(spec: RunSpec) -> float | None:
    """Seconds of the last run that takes as long; None where there was none."""
    effort = TrainJob(spec=spec).effort()
    for record in RunStore().list():
        like = record.state == JobState.DONE and record.job.effort() == effort
        if like and record.started and record.finished:
            return (record.finished - record.started).total_seconds()
    return None


@st.cache_data(max_entries=50, show_spinner=False)
def _consequences(spec: str, _spec: RunSpec, _cost: Estimate | None, measured: bool) -> list[str]:
    return say_consequences(_spec, open_dataset(_spec.cohort.dataset), _cost)


def show_cost(spec: RunSpec, runs: int = 1, among: Sequence[RunSpec] = ()) -> None:
    """Time and memory of a run, and what to know before it is started.

    Args:
        spec: the run, or the most expensive one of a study.
        runs: how many there are.
        among: specifications that are measured together, with `spec` among them; else it alone.
    """
    together = among or [spec]
    asked, place = _ask(together), list(together).index(spec)
    try:
        # A refusal must not reach what is measured: that is kept by what costs something alone.
        said = _consequences(spec.model_dump_json(), spec, None, False)
        cost = None
        if _is_wanted(asked):
            measuring = _measure(asked)
            if measuring.done():
                cost = measuring.result()[place]
            else:
                with st.container():
                    st.fragment(_wait, run_every=1)(asked)
        else:
            st.button(
                "How long will it take?", key="measure", on_click=st.session_state.update,
                args=({str(asked): True},), icon=":material/timer:",
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
    """How long so many runs of a kind take: as one like it took, else as a few batches tell."""
    seconds, asked = _find_like(spec), _ask([spec])
    if seconds is None:
        measuring = _measure(asked)
        if not measuring.done():
            with st.container():
                st.fragment(_wait, run_every=1)(asked)
            return
        try:
            seconds = measuring.result()[0].seconds
        except GeneCanvasError as error:
            st.caption(escape_markdown(str(error)))
            return
    st.markdown(f"about **{say_duration(runs * seconds)}**", width="content")


def _wait(asked: tuple[str, ...]) -> None:
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
