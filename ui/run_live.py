"""A run while it trains: its progress, its curves, and what stops it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.escape import escape_markdown
from core.jobs.job import Lane
from core.jobs.launch import at_once, ensure_workers
from core.jobs.queue import Queue, foreseen, position
from core.jobs.record import JobRecord, JobState
from core.jobs.schedule import expect
from core.jobs.store import RUN, JobStore
from core.jobs.which import Which
from core.plots.runs import confusion_matrix, learning_curves
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunStore
from core.runs.study import take_targets
from core.words import say_duration
from ui.about import About, about_confusion
from ui.cost import find_seconds
from ui.kept import cache_data, cache_resource
from ui.parts import errors, open_dataset, show_figure
from ui.work import act

SAFE = "It is safe to close this tab."


def watch(run: str) -> None:
    """A run's progress and curves; reruns the page once when the run ends."""
    with errors():
        store = RunStore()
        store.reconcile()
        record = store.get(run)
        if record.state.finished:
            st.rerun()
        if record.state == JobState.QUEUED:
            st.progress(0.0, f"{say_turn(record)} {SAFE}")
            ensure_workers()
        elif record.state == JobState.PAUSED:
            st.progress(0.0, "Its study is paused.")
        elif record.state == JobState.RUNNING:
            text = f"{escape_markdown(record.message.capitalize())}. {SAFE}"
            st.progress(min(record.done / max(record.total, 1), 1.0), text)
        version = see_epochs(run)
        show_stops(store, record, version)
        if version:
            show_epochs(record, draw_epochs(run, record.started, version), live=True)


def say_turn(record: RunRecord) -> str:
    """When a queued run begins, and after how many others."""
    seconds, before = foresee_start(record.id)
    words = f"after {before} other{'s' if before > 1 else ''}" if before else ""
    if seconds is not None and seconds > 1:
        words = f"in about {say_duration(seconds)}" + (f", {words}" if words else "")
    return f"Begins {words or 'in a moment'}."


@cache_data(ttl=2, max_entries=50, show_spinner=False)
def foresee_start(run: str) -> tuple[float | None, int]:
    """Seconds until a queued run begins, and how many jobs come before it.

    None where the seconds aren't known: how long work of other people takes is not looked at, nor
    when one begins that waits behind many.
    """
    store, lane, now = JobStore(), Lane.QUEUE, datetime.now(UTC)
    running = sum(worker.lane == lane for worker in Queue().running())
    place = position(store, run)
    before = running + max(place - 1, 0)
    own = store.count(Which(states=[JobState.RUNNING], lane=lane))
    if running > own or place > store.position(run):
        return None, before
    if not place:
        return 0.0, before
    expected = expect(foreseen(store, lane), now, at_once(lane), measure_run).get(run)
    start = expected and expected.start
    return (start - now).total_seconds() if start else None, before


def measure_run(record: JobRecord) -> timedelta | None:
    """How long a training takes by a few batches, where these were measured."""
    if record.kind != RUN:
        return None
    [seconds] = find_seconds([record.job.spec])
    return None if seconds is None else timedelta(seconds=seconds)


def show_curves(record: RunRecord) -> None:
    """The curves of a run that has ended, folded away; nothing where it was solved."""
    version = RunStore().events_version(record.id)
    if version:
        with st.expander("Learning curves"):
            show_epochs(record, draw_epochs(record.id, record.started, version), live=False)


def show_stops(store: RunStore, record: RunRecord, epochs: int) -> None:
    """Cancel a run, or end its training early and test what it has learned."""
    with st.container(horizontal=True):
        act("Cancel", store.cancel, record.id, key="cancel")
        one_fold = record.spec.split.kind == "holdout"
        if record.state == JobState.RUNNING and one_fold and epochs:
            asked = store.requests(record.id).enough
            kept = "best epoch" if record.spec.training.keep == "best" else "weights it has then"
            act(
                "Ending after this epoch" if asked else "End after this epoch and test",
                store.stop_early, record.id, key="enough", disabled=asked,
                help=f"Keeps the {kept}; the result says so.",
            )  # fmt: skip


@dataclass(frozen=True)
class Epochs:
    """A run's epochs, read and drawn."""

    rows: pd.DataFrame
    best: pd.Series
    last: pd.Series
    curves: go.Figure


@cache_data(ttl=1, max_entries=50, show_spinner=False)
def see_epochs(run: str) -> int:
    """The version of a run's epochs that all sessions show for a second.

    However short epochs are and however many look, curves are drawn once a second at most.
    """
    return RunStore().events_version(run)


@cache_resource(max_entries=50, show_spinner=False)
def draw_epochs(run: str, started: datetime | None, version: int) -> Epochs:
    """A run's epochs, drawn when they have changed, for all sessions that look at them.

    Args:
        run: which.
        started: when this attempt to train it began.
        version: `JobStore.events_version`, not 0.
    """
    epochs = RunStore().epochs(run)
    return Epochs(
        rows=epochs.drop(columns="validation_confusion", errors="ignore"),
        best=epochs.loc[epochs["validation_loss"].idxmin()],
        last=epochs.iloc[-1],
        curves=learning_curves(epochs),
    )


def show_epochs(record: RunRecord, epochs: Epochs, live: bool) -> None:
    """The curves so far; while it trains also speed, rate, and what the best epoch mixes up."""
    best, last = epochs.best, epochs.last
    if live:
        speed, rate, score = st.columns(3)
        speed.metric("Samples a second", f"{last['samples_per_second']:.0f}")
        rate.metric("Learning rate", f"{last['learning_rate']:.2g}")
        score.metric(
            "Best epoch so far", f"{int(best['epoch'])}",
            say_epoch(best), delta_color="off",
        )  # fmt: skip
    show_figure(
        epochs.curves, epochs.rows, "learning_curves", alt="Loss and validation scores by epoch",
        key="curves", pin=not live,
        about=About(
            "Loss, and scores on validation samples, after each epoch.",
            f"{len(epochs.rows):,} epochs so far. Test samples have no part in it."
            if live else f"{len(epochs.rows):,} epochs. Test samples have no part in it.",
            "The training loss is the mean over an epoch, of augmented samples and with dropout; "
            "the validation loss is of samples that aren't learned from, as they are.",
            "A validation loss that rises while the other falls is learning by heart. The "
            "validation scores chose the epoch or the temperature, so the result on held-out "
            "samples can be lower.",
        ),
    )  # fmt: skip
    if live and "validation_confusion" in best:
        title = "What the best epoch so far mixes up (validation samples)"
        with st.expander(title, key="mixed", on_change="rerun") as mixed:
            if not mixed.open:
                return
            classes = name_classes(record.spec.model_dump_json(), record.spec)
            counts = pd.DataFrame(best["validation_confusion"], classes, classes)
            show_figure(
                confusion_matrix(counts.to_numpy(), classes),
                counts.rename_axis("true").reset_index(), "validation_confusion",
                alt="True against predicted class of validation samples", key="best confusion",
                pin=False,
                about=about_confusion(int(counts.to_numpy().sum()), "validation samples"),
            )  # fmt: skip


def say_epoch(row: pd.Series) -> str:
    """How good an epoch was on the validation samples."""
    if "validation_r2" in row:
        return f"R² {row['validation_r2']:z.2f} on validation samples"
    return f"{row['validation_accuracy']:.1%} of validation samples right"


@cache_data(max_entries=20, show_spinner=False)
def name_classes(key: str, _spec: RunSpec) -> list[str]:
    """The classes of a run's samples, sorted; kept, because a live view asks every second."""
    data = _spec.cohort.select(open_dataset(_spec.cohort.dataset))
    return take_targets(_spec, data)[1].outputs
