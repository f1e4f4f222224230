"""What a run will cost, measured in the background while the form is looked at."""

import json
from collections.abc import Sequence

import streamlit as st

from core.errors import GeneCanvasError, InputError
from core.escape import escape_markdown, escape_message
from core.jobs.queue import TOLD_BY
from core.jobs.record import JobState
from core.jobs.which import Order, Which
from core.runs.estimate import Estimate, EstimateJob, ask_estimate, estimate_job
from core.runs.preflight import say_consequences
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.training import TrainJob
from core.words import say_duration
from ui.kept import cache_data
from ui.parts import open_dataset

COSTLY = {
    "cohort": True, "task": True, "split": True,
    "preparation": {"genes"}, "layout": {"side"},
    "network": {"backbone", "head", "pool", "freeze", "image_size"},
    "training": {"epochs", "batch_size", "variants", "precision", "augmentation"},
}  # fmt: skip
"""What of a specification decides its cost."""


@cache_data(max_entries=50, show_spinner=False)
def _job(costly: str) -> EstimateJob:
    """What measures a specification, of which only what decides its cost is given, as JSON."""
    spec = RunSpec.parse(json.loads(costly))
    return estimate_job(spec, open_dataset(spec.cohort.dataset))


def _ask(specs: Sequence[RunSpec]) -> tuple[str, ...]:
    return tuple(spec.model_dump_json(include=COSTLY) for spec in specs)


def _is_wanted(asked: tuple[str, ...]) -> bool:
    """Whether it is measured: beside another training, which that makes slower, when asked for."""
    training = RunStore().count(Which(states=[JobState.RUNNING])) > 0
    return not training or st.session_state.get(str(asked), False)


def find_seconds(specs: Sequence[RunSpec]) -> list[float | None]:
    """How long runs of a dataset take by a few batches of each; None while that isn't known.

    `show_cost` waits for it.
    """
    found = []
    for asked in _ask(specs):
        try:
            known = _job(asked).known()
        except InputError:  # `show_cost` says it
            known = None
        found.append(known.seconds if known else None)
    return found


def _find_like(spec: RunSpec) -> float | None:
    """Seconds of the last run that takes as long; None where there was none of late."""
    effort = TrainJob(spec=spec).effort()
    done = Which(states=[JobState.DONE], lane=TrainJob.lane)
    for record in RunStore().list(done, Order.ENDED, TOLD_BY):
        if record.job.effort() == effort and record.started and record.finished:
            return (record.finished - record.started).total_seconds()
    return None


@cache_data(max_entries=50, show_spinner=False)
def _consequences(spec: str, _spec: RunSpec, _cost: Estimate | None, measured: bool) -> list[str]:
    return say_consequences(_spec, open_dataset(_spec.cohort.dataset), _cost)


def show_cost(spec: RunSpec, runs: int = 1, among: Sequence[RunSpec] = ()) -> None:
    """Time and memory of a run, and what to know before it is started.

    Args:
        spec: the run, or the most expensive one of a study.
        runs: how many there are.
        among: others whose seconds the page shows, and that are measured after it.
    """
    [asked], others = _ask([spec]), _ask(among)
    try:
        # A refusal must not reach what is measured: that is kept by what costs something alone.
        said = _consequences(spec.model_dump_json(), spec, None, False)
        cost = _job(asked).known()
        if _is_wanted((asked, *others)):
            cost = ask_estimate(_job(asked))
            if missing := _find_missing((asked, *others)):
                with st.container():
                    st.fragment(_wait, run_every=1)((asked, *others), len(missing))
        elif cost is None:
            st.button(
                "How long will it take?", key="measure", on_click=st.session_state.update,
                args=({str((asked, *others)): True},), icon=":material/timer:",
                help="Trains a few batches. Another run is being trained, which makes both slower.",
            )  # fmt: skip
        if cost is not None:
            st.markdown(f":material/timer: {say_cost(cost, runs)}")
            said = _consequences(spec.model_dump_json(), spec, cost, True)
        for sentence in said:
            st.caption(f":material/info: {escape_markdown(sentence)}")
    except GeneCanvasError as error:
        st.warning(escape_message(str(error)))


def show_duration(spec: RunSpec, runs: int) -> None:
    """How long so many runs of a kind take: as one like it took, else as a few batches tell."""
    seconds, [asked] = _find_like(spec), _ask([spec])
    try:
        if seconds is None:
            cost = ask_estimate(_job(asked))
            if cost is None:
                with st.container():
                    st.fragment(_wait, run_every=1)((asked,), 1)
                return
            seconds = cost.seconds
    except GeneCanvasError as error:
        st.caption(escape_message(str(error)))
        return
    st.markdown(f"about **{say_duration(runs * seconds)}**", width="content")


def _find_missing(asked: tuple[str, ...]) -> list[str]:
    """Which are still to be measured; the first of them is asked for."""
    missing = []
    for one in dict.fromkeys(asked):
        try:
            if ask_estimate(_job(one)) is None:
                missing.append(one)
        except GeneCanvasError:  # it can't be measured
            continue
    return missing


def _wait(asked: tuple[str, ...], before: int) -> None:
    if len(_find_missing(asked)) < before:
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
