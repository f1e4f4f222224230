"""Runs on the page Train: the queue and its studies, and the list to come back to."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from core.errors import GeneCanvasError, InputError
from core.escape import escape_markdown, escape_message
from core.home import home, only_looks
from core.jobs.job import Lane
from core.jobs.launch import at_once, ensure_workers
from core.jobs.queue import records_in_turn
from core.jobs.record import UNFINISHED, DamagedJob, JobState
from core.jobs.schedule import Expected, expect
from core.jobs.which import Order, Which
from core.runs.doctor import list_again
from core.runs.store import RunRecord, RunStore, unlisted_runs, which_of
from core.sizes import tree_size
from ui.kept import cache_data
from ui.parts import errors, go_to_run, name_dataset, say_asked, say_score
from ui.run_live import SAFE, measure_run
from ui.work import act

MANY = 8
"""Runs, of more than which one is found by typing."""
PAGE = 100
"""Runs that the list shows at first, and more each time that somebody asks for more."""
MEASURED = 1000
"""Runs, of more than which isn't said what they take on the disk: that looks at all their files."""


def show_runs() -> None:
    """The queue, the studies, and every run, each of which leads to its page."""
    store = RunStore()
    store.reconcile()
    st.divider()
    st.markdown("## Runs")
    count = store.count()
    show_lost(find_unlisted())
    if not count:
        st.caption("No run yet.")
        return
    if waits(store):
        with st.container():
            st.fragment(show_queue, run_every=5)()
    show_studies(store)
    show_list(store, count)
    st.caption(say_disk_use(count))


def show_list(store: RunStore, count: int) -> None:
    """Runs, starred ones first, as many as were asked for; a click on one opens it."""
    wanted = ""
    if count > MANY:
        wanted = st.text_input(
            "Find a run",
            key="find run",
            placeholder="a part of its name, tags, note, study, state or dataset",
        ).strip()
    pages = st.session_state.get(f"pages of runs {wanted}", 1)
    found = store.read(which_of(wanted), Order.STARRED, pages * PAGE + 1)
    shown = [one for one in found[: pages * PAGE] if isinstance(one, RunRecord)]
    show_damaged(one for one in found if isinstance(one, DamagedJob))
    rows = [describe_run(record) for record in shown]
    table = pd.DataFrame(rows, columns=None if rows else ["run", "result"])
    table = table.loc[:, [name in ("run", "result") or any(table[name]) for name in table]]
    event = st.dataframe(
        table, hide_index=True, key=f"runs {wanted} {pages}", on_select="rerun",
        selection_mode="single-cell", height=min(36 * (len(table) + 1), 400),
        column_config={"★": st.column_config.TextColumn("★", width=40)},
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        more = len(found) > pages * PAGE
        first = f"The first {len(shown):,}{'' if wanted else f' of {count:,}'}. " if more else ""
        st.caption(f"{first}Click a run to open it.", width="content")
        if more:
            st.button(
                "Show more", key="more runs", type="tertiary", on_click=st.session_state.update,
                args=({f"pages of runs {wanted}": pages + 1},),
            )  # fmt: skip
    if cells := event["selection"]["cells"]:
        go_to_run(shown[cells[0][0]].id)


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


def show_damaged(damaged: Iterable[DamagedJob]) -> None:
    """Runs that can't be understood, with what can be done."""
    for run in damaged:
        with st.container(border=True):
            st.error(escape_message(f"Run {run.id}, {run.name}: {run.why}"))
            if not only_looks():
                act("Delete it", RunStore().delete, run.id, key=f"delete {run.id}")


@cache_data(ttl=60, show_spinner=False)
def find_unlisted() -> list[str]:
    """As `unlisted_runs`, looked for once a minute: it looks at the folder of each run."""
    return unlisted_runs()


def show_lost(lost: Sequence[str]) -> None:
    """Runs that the list has lost, with what can be done."""
    if lost and not only_looks():
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
    find_unlisted.clear()
    if damaged:
        raise InputError(" ".join(damaged))


@cache_data(ttl=60, show_spinner=False)
def say_disk_use(runs: int) -> str:
    """How much of the disk runs take, and what is kept so that frozen networks train quickly.

    The folders of more than `MEASURED` runs are not looked through.
    """
    kept = sum(path.stat().st_size for path in (home() / "features").glob("*.npy"))
    size = f", {tree_size(home() / 'runs') / 1e6:,.0f} MB on disk" if runs <= MEASURED else ""
    return (
        f"{runs:,} run{'s' if runs > 1 else ''}{size}; computed features of frozen networks take "
        f"{kept / 1e6:,.0f} MB and make room by themselves."
    )


def waits(store: RunStore) -> bool:
    """Whether more than one run is still to be trained: one alone has its own progress bar."""
    return store.count(Which(states=[JobState.QUEUED, JobState.RUNNING])) > 1


def show_queue() -> None:
    """What is trained and what waits, with when it will be done; one may be trained first."""
    with errors():
        store = RunStore()
        if not waits(store):
            st.rerun()
        records = records_in_turn(store, Lane.QUEUE)
        expected = expect(
            records, datetime.now(UTC), at_once(Lane.QUEUE),
            lambda record: measure_run(record) if isinstance(record, RunRecord) else None,
        )  # fmt: skip
        listed = sorted(
            (one for one in records if isinstance(one, RunRecord) and not one.state.finished),
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
        first = sum(record.state == JobState.QUEUED for record in listed)
        waiting = max(store.count(Which(states=[JobState.QUEUED])), first)
        said = say_end(listed, expected) if waiting == first else f", here the first {first}"
        st.markdown(f"**Queue**: {waiting:,} waiting{said}. {SAFE}")
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


def show_studies(store: RunStore) -> None:
    """Each study that isn't done as one thing: its progress, and a pause."""
    for study in store.unfinished_studies():
        with st.container(border=True):
            st.fragment(watch_study, run_every=2)(study)


def watch_study(study: str) -> None:
    """A study's progress, and what can be done with all that is left of it."""
    with errors():
        store = RunStore()
        counts = store.count_states(study)
        left = sum(counts.get(state, 0) for state in UNFINISHED)
        if not left:
            st.rerun()
        running = store.list(Which(study=study, states=[JobState.RUNNING]))
        failed = sum(count for state, count in counts.items() if state.resumable)
        paused = counts.get(JobState.PAUSED) == left
        name, runs = escape_markdown(study), counts.total()
        text = f"**{name}**: {runs - left:,} of {runs:,} runs have ended"
        text += f", {failed:,} of them without a result" if failed else ""
        text += ", paused" if paused else ""
        done = runs - left + sum(record.done / max(record.total, 1) for record in running)
        st.progress(min(done / runs, 1.0), text)
        with st.container(horizontal=True):
            if paused:
                act("Go on", store.unpause, study, key=f"go on {study}")
            else:
                act("Pause", store.pause, study, key=f"pause {study}",
                    help="What is trained now goes on.")  # fmt: skip
            act("Cancel the rest", store.cancel_study, study, key=f"cancel {study}")
        if not paused:
            ensure_workers()
