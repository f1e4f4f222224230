"""Runs on a page: the queue and its studies, one run while it trains, and how it ended."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.compare.gap import explain_gap
from core.devices import devices
from core.errors import DamageError, GeneCanvasError, InputError
from core.escape import escape_markdown
from core.glossary import define
from core.home import home
from core.jobs.launch import ensure_workers
from core.jobs.record import JobState
from core.jobs.schedule import Expected, expect
from core.plots.runs import confusion_matrix, learning_curves, observed_against_predicted
from core.runs.doctor import list_again, reopen
from core.runs.result import headline, load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunStore, bytes_of, read_log, unlisted_runs
from core.runs.study import take_targets
from core.training.tasks import TASKS
from ui.beside import show_side_by_side
from ui.parts import (
    decimals,
    download_table,
    errors,
    go_to,
    open_dataset,
    pick_run,
    say_finding,
    scores_table,
    show_figure,
)
from ui.whatif import show_family, show_whatif
from ui.work import BADGES, act

SAFE = "It is safe to close this tab."


def show_runs() -> None:
    """The queue, the studies, and one run in full."""
    store = RunStore()
    store.reconcile()
    records = store.list()
    st.divider()
    st.subheader("Runs")
    show_damaged(store)
    if not records:
        st.caption("No run yet.")
        return
    if waits(records):
        with st.container():
            st.fragment(show_queue, run_every=5)()
    show_studies()
    st.caption(say_disk_use(tuple(record.id for record in records)))
    record = pick_run(records)
    live = not record.state.finished
    with st.container():  # of its own: a fragment that grows would draw over what follows it
        st.fragment(watch, run_every=1 if live else None)(record.id, live)
    show_side_by_side(records, record)
    if not live:
        show_ended(record)


def show_damaged(store: RunStore) -> None:
    """Runs that can't be understood, and those that the list has lost, with what can be done."""
    for run in store.damaged():
        with st.container(border=True):
            st.error(escape_markdown(f"Run {run.id}, {run.name}: {run.why}"))
            act("Delete it", store.delete, run.id, key=f"delete {run.id}")
    if lost := unlisted_runs():
        one = len(lost) == 1
        st.warning(
            f"{len(lost)} run{' has a folder' if one else 's have folders'} but "
            f"{'is' if one else 'are'} not in the list."
        )
        act("List again", list_all_again, lost, key="list again")


def list_all_again(runs: Sequence[str]) -> None:
    """List runs again, those first that can be; says which can't."""
    damaged = []
    for run in runs:
        try:
            list_again(run)
        except GeneCanvasError as error:
            damaged.append(str(error))
    if damaged:
        raise InputError(" ".join(damaged))


@st.cache_data(ttl=60, show_spinner=False)
def say_disk_use(runs: tuple[str, ...]) -> str:
    """How much of the disk runs take, and what is kept so that frozen networks train quickly."""
    kept = sum(path.stat().st_size for path in (home() / "features").glob("*.npy"))
    return (
        f"{len(runs)} run{'s' if len(runs) > 1 else ''}, {sum(map(bytes_of, runs)) / 1e6:,.0f} MB "
        f"on disk; computed features of frozen networks take {kept / 1e6:,.0f} MB and make room by "
        "themselves."
    )


def waits(records: Sequence[RunRecord]) -> bool:
    """Whether more than one run is still to be trained: one alone has its own progress bar."""
    return sum(not record.state.finished for record in records) > 1


def show_queue() -> None:
    """What is trained and what waits, with when it will be done; one may be trained first."""
    with errors():
        store = RunStore()
        records = store.list()
        if not waits(records):
            st.rerun()
        expected = expect(records, datetime.now(UTC), len(devices()))
        listed = sorted(
            (record for record in records if record.id in expected),
            key=lambda record: (record.state != JobState.RUNNING, record.place),
        )
        ensure_workers()
        table = pd.DataFrame(
            [
                {
                    "run": record.name,
                    "id": record.id[:6],
                    "state": str(record.state),
                    "device": record.device if record.state == JobState.RUNNING else "–",
                    "done": round(record.done / max(record.total, 1), 2),
                    "starts": say_time(expected[record.id].start),
                    "ends": say_time(expected[record.id].end),
                }
                for record in listed
            ]
        )
        waiting = sum(record.state == JobState.QUEUED for record in listed)
        st.markdown(f"**Queue**: {waiting} waiting{say_end(listed, expected)}. {SAFE}")
        event = st.dataframe(
            table, hide_index=True, key="queue", on_select="rerun", selection_mode="single-row",
            height=min(36 * (len(table) + 1), 240),
            column_config={"done": st.column_config.ProgressColumn("done", format="percent")},
        )  # fmt: skip
        rows = [row for row in event["selection"]["rows"] if row < len(listed)]
        if rows and listed[rows[0]].state == JobState.QUEUED:
            chosen = listed[rows[0]].id
            act(f"Train {chosen[:6]} first", store.move_first, chosen, key="first")


def say_time(moment: datetime | None) -> str:
    """A time of today as 14:05, another as 'Tue 14:05'; a dash where nobody can tell."""
    if moment is None:
        return "–"
    local = moment.astimezone()
    today = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M" if today else "%a %H:%M")


def say_end(listed: Sequence[RunRecord], expected: dict[str, Expected]) -> str:
    """When the whole queue is expected to be done."""
    ends = [expected[record.id].end for record in listed]
    if not ends or None in ends:
        return "; how long it takes shows when the first runs of their kind are done"
    return f", all done at about {say_time(max(ends))}"


def show_studies() -> None:
    """Each study that isn't done as one thing: its progress, and a pause."""
    for study, records in RunStore().studies().items():
        if all(record.state.finished for record in records):
            continue
        with st.container(border=True):
            st.fragment(watch_study, run_every=2)(study)


def watch_study(study: str) -> None:
    """A study's progress, and what can be done with all that is left of it."""
    with errors():
        store = RunStore()
        records = store.studies().get(study, [])
        left = [record for record in records if not record.state.finished]
        if not left:
            st.rerun()
        shares = [
            1.0 if record.state.finished else record.done / max(record.total, 1)
            for record in records
        ]
        failed = sum(record.state.resumable for record in records)
        paused = all(record.state == JobState.PAUSED for record in left)
        name, ended = escape_markdown(study), len(records) - len(left)
        text = f"**{name}**: {ended} of {len(records)} runs have ended"
        text += f", {failed} of them without a result" if failed else ""
        text += ", paused" if paused else ""
        st.progress(float(np.mean(shares)), text)
        with st.container(horizontal=True):
            if paused:
                act("Go on", store.unpause, study, key=f"go on {study}")
            else:
                act("Pause", store.pause, study, key=f"pause {study}",
                    help="What is trained now goes on.")  # fmt: skip
            act("Cancel the rest", cancel_all, left, key=f"cancel {study}")
        if not paused:
            ensure_workers()


def cancel_all(records: Sequence[RunRecord]) -> None:
    """Cancel runs that may have ended by now."""
    for record in records:
        with suppress(GeneCanvasError):
            RunStore().cancel(record.id)


def watch(run: str, live: bool) -> None:
    """A run's state, progress and curves; reruns the page once when the run ends."""
    with errors():
        store = RunStore()
        store.reconcile()
        record = store.get(run)
        if live and record.state.finished:
            st.rerun()
        st.markdown(f"{BADGES[record.state]} **{escape_markdown(record.name)}** · `{record.id}`")
        if record.state == JobState.QUEUED:
            st.progress(0.0, f"Number {store.position(run)} in the queue. {SAFE}")
            ensure_workers()
        elif record.state == JobState.PAUSED:
            st.progress(0.0, "Its study is paused.")
        elif record.state == JobState.RUNNING:
            text = f"{escape_markdown(record.message.capitalize())}. {SAFE}"
            st.progress(min(record.done / max(record.total, 1), 1.0), text)
        version = see_epochs(run) if live else store.events_version(run)
        if live:
            show_stops(store, record, version)
        if version:
            show_epochs(record, draw_epochs(run, record.started, version), live)
        with st.expander("Log", key="log", on_change="rerun") as log:
            if log.open:
                st.code(read_log(run) or "nothing yet", language=None)


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


@st.cache_data(ttl=1, max_entries=50, show_spinner=False)
def see_epochs(run: str) -> int:
    """The version of a run's epochs that all sessions show for a second.

    However short epochs are and however many look, curves are drawn once a second at most.
    """
    return RunStore().events_version(run)


@st.cache_resource(max_entries=50, show_spinner=False)
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
        key="curves",
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
            )  # fmt: skip


def say_epoch(row: pd.Series) -> str:
    """How good an epoch was on the validation samples."""
    if "validation_r2" in row:
        return f"R² {row['validation_r2']:z.2f} on validation samples"
    return f"{row['validation_accuracy']:.1%} of validation samples right"


@st.cache_data(max_entries=20, show_spinner=False)
def name_classes(key: str, _spec: RunSpec) -> list[str]:
    """The classes of a run's samples, sorted; kept, because a live view asks every second."""
    data = _spec.cohort.select(open_dataset(_spec.cohort.dataset))
    return take_targets(_spec, data)[1].outputs


def show_ended(record: RunRecord) -> None:
    """The result of a finished run, or why there is none and what to do."""
    store = RunStore()
    if record.state == JobState.DONE:
        try:
            show_result(record)
        except DamageError as error:
            st.error(escape_markdown(str(error)))
            act("Prepare it for being made again", reopen, record.id, key="reopen",
                help="What is damaged is set aside; then the run can be resumed.")  # fmt: skip
    else:
        show = st.info if record.state == JobState.CANCELLED else st.error
        reason, _, log = (record.reason or "").partition("\n")
        show(escape_markdown(reason))
        if log:
            st.code(log, language=None)
        if st.button("Resume", type="primary", key="resume"):
            store.resume(record.id)
            ensure_workers()
            st.rerun()
    with errors():
        show_family(record)
    with st.popover("Delete this run"):
        st.markdown(
            f"Its network, predictions and gene tables go too ({bytes_of(record.id) / 1e6:,.0f} "
            "MB)."
        )
        if st.button("Yes, delete", key="delete"):
            with errors():
                store.delete(record.id)
                st.session_state.pop("last run", None)
                del st.query_params["run"]
                st.rerun()


def show_result(record: RunRecord) -> None:
    """Scores beside the baseline models, confusion, predictions, and where to go on."""
    result, predictions = load_result(record.id), load_predictions(record.id)
    st.markdown(f"#### {escape_markdown(headline(record.id))}")
    for finding in result.findings or []:
        say_finding(finding)
    for sentence in explain_gap(record.id):
        st.markdown(f"- {escape_markdown(sentence)}")
    left, right = st.columns(2, gap="large")
    with left:
        table = scores_table(result)
        st.dataframe(table, width="stretch", column_config=decimals(table))
        download_table(table.reset_index(), "scores", "CSV", key="scores")
        task = TASKS[result.task]
        plain = task.baselines[task.reference(result.baselines)]
        st.caption(f"{plain.title}: {plain.help}", help=define("baseline model"))
        for note in result.notes:
            st.caption(escape_markdown(note))
        st.caption(
            f"{result.n_train} training, {result.n_validation} validation, {result.n_test} "
            f"held-out samples · {result.parameters / 1e6:.1f} million parameters · "
            f"{result.seconds:.0f} s on {result.device}, {result.precision} · "
            f"{escape_markdown(result.weights)}"
        )
    with right:
        if result.confusion:
            counts = pd.DataFrame(result.confusion, result.classes, result.classes)
            show_figure(
                confusion_matrix(counts.to_numpy(), result.classes),
                counts.rename_axis("true").reset_index(), "confusion_matrix",
                alt="True against predicted class", key="confusion",
            )  # fmt: skip
        else:
            scored = predictions[predictions["fold"].isin(result.scored)]
            show_figure(
                observed_against_predicted(scored, result.classes[0]), scored,
                "observed_predicted", alt="Predicted against observed values", key="confusion",
            )  # fmt: skip
    with st.expander("Predictions of the held-out samples"):
        wrong = bool(result.confusion) and st.toggle("Only wrong ones", key="wrong")
        shown = (
            predictions[predictions["true"] != predictions["predicted"]] if wrong else predictions
        )
        st.dataframe(shown, hide_index=True)
        download_table(predictions, "predictions", "All predictions (CSV)", key="predictions")
    explain, compare, _ = st.columns([1, 1, 3])
    if explain.button("Which genes decided? →", type="primary"):
        go_to("explain")
    if compare.button("Compare runs →"):
        go_to("compare")
    show_whatif(record)
