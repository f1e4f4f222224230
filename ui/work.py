"""Work: everything that runs, waits or has failed, of any kind, behind a button on every page."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import streamlit as st

from core.errors import GeneCanvasError
from core.escape import escape_markdown, escape_message
from core.jobs.job import Lane
from core.jobs.launch import at_once, cancel, ensure_workers
from core.jobs.queue import records_in_turn
from core.jobs.record import UNFINISHED, JobRecord, JobState, read_log
from core.jobs.schedule import Expected, expect
from core.jobs.store import KEPT_DAYS, RUN, JobStore
from core.jobs.which import Order, Which
from core.words import say_duration
from ui.account import show_account
from ui.help import show_help
from ui.parts import errors, go_to, go_to_run
from ui.predict_link import open_view
from ui.theme import show_switch

WAITS_OR_RUNS = Which(states=UNFINISHED)
BROKEN = (JobState.FAILED, JobState.OUT_OF_MEMORY)
"""States of jobs that have failed, not because somebody wanted it."""
MOST = 15
"""Jobs that are listed of those that wait, and of those that have failed."""
BADGES = {
    JobState.QUEUED: ":gray-badge[queued]",
    JobState.PAUSED: ":gray-badge[paused]",
    JobState.RUNNING: ":blue-badge[running]",
    JobState.DONE: ":green-badge[done]",
    JobState.FAILED: ":red-badge[failed]",
    JobState.OUT_OF_MEMORY: ":red-badge[out of memory]",
    JobState.CANCELLED: ":orange-badge[cancelled]",
}


def show_work() -> None:
    """The button, and below it the list while it is open; nothing is asked of it when it isn't."""
    with (
        errors(),
        st.container(
            horizontal=True,
            horizontal_alignment="right",
            vertical_alignment="center",
            key="work_bar",
        ),
    ):
        left = JobStore().count(WAITS_OR_RUNS) if JobStore.exists() else 0
        if left:
            st.badge(f"{left} to do", color="blue")
        show_account()
        show_switch()
        show_help()
        work = st.popover(  # of one label always: another would be another, closed one
            "Work", key="work", type="tertiary", icon=":material/pending_actions:",
            on_change="rerun",
            help="What runs, waits or has failed: trainings, explanations, layouts, calls.",
        )  # fmt: skip
        if work.open:
            with work:
                st.fragment(show_jobs, run_every=2 if left else None)()
                if st.button("Computers", key="computers", icon=":material/lan:", type="tertiary"):
                    go_to("computers")


def show_jobs() -> None:
    """All jobs that aren't done, those that run first, then the last that failed."""
    with errors():
        store = JobStore() if JobStore.exists() else None
        left, failed = (_list_left(store), _list_failed(store)) if store else ([], [])
        if not left and not failed:
            st.caption("Nothing runs, waits or has failed.")
            return
        if store.count(Which(states=[JobState.QUEUED])):
            ensure_workers()
        expected: dict[str, Expected] = {}
        for lane in Lane:
            expected |= expect(records_in_turn(store, lane), datetime.now(UTC), at_once(lane))
        for record in left:
            _show_unfinished(record, expected.get(record.id))
        _say_more(store.count(WAITS_OR_RUNS) - len(left), "wait; the page Train lists them")
        for record in failed:
            _show_failed(record)
        _say_more(sum(map(store.count, _recently_failed())) - len(failed), "have failed")


def _list_left(store: JobStore) -> list[JobRecord]:
    """The first that run or wait: those that run before the others, then answers to pages."""
    found: dict[str, JobRecord] = {}
    for states in ([JobState.RUNNING], [JobState.QUEUED, JobState.PAUSED]):
        for lane in (Lane.INTERACTIVE, Lane.QUEUE):
            for record in store.list(Which(states=states, lane=lane), Order.TURN, MOST):
                found[record.id] = record
    return [*found.values()][:MOST]


def _list_failed(store: JobStore) -> list[JobRecord]:
    """The last that failed, of the last days."""
    found = [job for which in _recently_failed() for job in store.list(which, Order.ENDED, MOST)]
    return sorted(found, key=lambda job: job.finished, reverse=True)[:MOST]


def _recently_failed() -> list[Which]:
    since = datetime.now(UTC) - timedelta(days=KEPT_DAYS)
    return [Which(states=BROKEN, lane=lane, ended_since=since) for lane in Lane]


def _say_more(count: int, what: str) -> None:
    if count > 0:
        st.caption(f"{count:,} more {what}.")


def _show_unfinished(record: JobRecord, expected: Expected | None) -> None:
    with st.container(border=True, key=f"job_{record.id}"):
        st.markdown(f"{BADGES[record.state]} {escape_markdown(record.name)}")
        if record.state == JobState.RUNNING:
            words = escape_markdown(record.message.capitalize())
            if " left" not in words:  # some jobs tell by themselves
                words += _say_left(expected)
            st.progress(min(record.done / max(record.total, 1), 1.0), words)
        else:
            st.caption("Its study is paused." if record.state == JobState.PAUSED else
                       f"Waits for its turn{_say_start(expected)}.")  # fmt: skip
        with st.container(horizontal=True):
            stopping = record.state == JobState.RUNNING and JobStore().requests(record.id).cancel
            act("Stopping" if stopping else "Cancel", cancel, record.id, disabled=stopping,
                key=f"work cancel {record.id}")  # fmt: skip
            _show_link(record)
        _show_log(record)


def _show_failed(record: JobRecord) -> None:
    with st.container(border=True, key=f"job_{record.id}"):
        st.markdown(f"{BADGES[record.state]} {escape_markdown(record.name)}")
        st.caption(escape_message(record.why))
        with st.container(horizontal=True):
            act("Try again", JobStore().resume, record.id, key=f"work again {record.id}")
            if record.kind != RUN:  # a run is deleted where its result would be
                act("Forget it", JobStore().delete, record.id, key=f"work forget {record.id}")
            _show_link(record)
        _show_log(record)


def _show_link(record: JobRecord) -> None:
    """A button that leads to where the result of a job is, or will be, of kinds that have one."""
    open_it = {
        "train": _open_training,
        "explain": _open_genes,
        "evidence": _open_genes,
        "robustness": _open_robustness,
        "match": _open_calls,
        "predict": _open_calls,
        "why": _open_calls,
        "tissue": _open_tissue,
        "tissue_train": _open_tissue,
        "tissue_predict": _open_tissue,
        "tissue_see": _open_tissue,
        "transfer": _open_transfer,
        "enquiry": _open_transfer,
    }.get(record.kind)
    if open_it and st.button("Open →", key=f"work open {record.id}"):
        open_it(record)


def _open_training(record: JobRecord) -> None:
    go_to_run(record.id)


def _open_genes(record: JobRecord) -> None:
    go_to("explain", {"run": record.job.about, "method": record.job.recipe.method})


def _open_robustness(record: JobRecord) -> None:
    go_to("predict", {"run": record.job.about, "distorted": "yes"})


def _open_tissue(record: JobRecord) -> None:
    go_to("tissue", {"tissue": record.job.asked.tissue})


def _open_calls(record: JobRecord) -> None:
    samples = getattr(record.job, "samples", ())
    open_view(record.job.asked, samples[0] if samples else None)


def _open_transfer(record: JobRecord) -> None:
    go_to("transfer", {"id": record.id})


def _show_log(record: JobRecord) -> None:
    with st.expander("Log", key=f"work_log_{record.id}", on_change="rerun") as log:
        if log.open:
            st.code(read_log(record.folder) or "nothing yet", language=None)


def _say_left(expected: Expected | None) -> str:
    if expected is None or expected.end is None:
        return ""
    seconds = max((expected.end - datetime.now(UTC)).total_seconds(), 1)
    return f", about {say_duration(seconds)} left"


def _say_start(expected: Expected | None) -> str:
    if expected is None or expected.start is None:
        return ""
    seconds = (expected.start - datetime.now(UTC)).total_seconds()
    return f", in about {say_duration(seconds)}" if seconds > 1 else ""


def act(label: str, action: Callable, *args: object, key: str, **looks: object) -> None:
    """A button for something that may have become impossible a moment ago; then it says so."""

    def attempt() -> None:
        try:
            action(*args)
        except GeneCanvasError as error:
            st.toast(escape_message(str(error)))

    st.button(label, key=key, on_click=attempt, **looks)
