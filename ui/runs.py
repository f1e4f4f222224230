"""Runs on the page Train: the queue and its studies, and the list to come back to."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import GeneCanvasError, InputError
from core.escape import escape_markdown, escape_message
from core.home import home, only_looks
from core.jobs.job import Lane
from core.jobs.launch import at_once, ensure_workers
from core.jobs.queue import records_in_turn
from core.jobs.record import JobState
from core.jobs.schedule import Expected, expect
from core.runs.doctor import list_again
from core.runs.store import RunRecord, RunStore, bytes_of, unlisted_runs
from ui.kept import cache_data
from ui.parts import errors, go_to_run, name_dataset, say_asked, say_score, starred_first
from ui.run_live import SAFE, measure_run
from ui.work import act

MANY = 8
"""Runs, of more than which one is found by typing."""


def show_runs() -> None:
    """The queue, the studies, and every run, each of which leads to its page."""
    store = RunStore()
    store.reconcile()
    records = store.list()
    st.divider()
    st.markdown("## Runs")
    show_damaged(store)
    if not records:
        st.caption("No run yet.")
        return
    if waits(records):
        with st.container():
            st.fragment(show_queue, run_every=5)()
    show_studies()
    show_list(records)
    st.caption(say_disk_use(tuple(record.id for record in records)))


def show_list(records: Sequence[RunRecord]) -> None:
    """All runs, starred ones first; a click on one opens it."""
    shown, wanted = starred_first(records), ""
    if len(records) > MANY:
        wanted = st.text_input(
            "Find a run", key="find run", placeholder="a part of its name, tags, note or dataset"
        ).strip()
    rows = [describe_run(record) for record in shown]
    found = [n for n, row in enumerate(rows) if wanted.lower() in " ".join(row.values()).lower()]
    table = pd.DataFrame([rows[n] for n in found], columns=list(rows[0]))
    table = table.loc[:, [name in ("run", "result") or any(table[name]) for name in table]]
    event = st.dataframe(
        table, hide_index=True, key=f"runs {wanted}", on_select="rerun",
        selection_mode="single-cell", height=min(36 * (len(table) + 1), 400),
        column_config={"★": st.column_config.TextColumn("★", width=40)},
    )  # fmt: skip
    st.caption("Click a run to open it.")
    if cells := event["selection"]["cells"]:
        go_to_run(shown[found[cells[0][0]]].id)


def describe_run(record: RunRecord) -> dict[str, str]:
    """A run as a row of the list."""
    done = record.state == JobState.DONE
    return {
        "★": "★" if record.starred else "",
        "run": record.name,
        "result": say_score(record) if done else str(record.state),
        "dataset": name_dataset(record.spec.cohort.dataset),
        "class": record.spec.cohort.label,
        "tags": record.tags,
        "note": record.note,
        "study": record.study or "",
        "asked": say_asked(record),
    }


def show_damaged(store: RunStore) -> None:
    """Runs that can't be understood, and those that the list has lost, with what can be done."""
    for run in store.damaged():
        with st.container(border=True):
            st.error(escape_message(f"Run {run.id}, {run.name}: {run.why}"))
            if not only_looks():
                act("Delete it", store.delete, run.id, key=f"delete {run.id}")
    if (lost := unlisted_runs()) and not only_looks():
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


@cache_data(ttl=60, show_spinner=False)
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
        expected = expect(
            records_in_turn(store, Lane.QUEUE), datetime.now(UTC), at_once(Lane.QUEUE),
            lambda record: measure_run(record) if isinstance(record, RunRecord) else None,
        )  # fmt: skip
        listed = sorted(
            (record for record in records if record.id in expected),
            key=lambda record: (record.state != JobState.RUNNING, record.place),
        )
        ensure_workers()
        table = pd.DataFrame(
            [
                {
                    "run": record.name,
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
            act("Train it first", store.move_first, chosen, key="first")


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
