"""Work: everything that runs, waits or has failed, of any kind, behind a button on every page."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from core.errors import GeneCanvasError
from core.escape import escape_markdown, escape_message
from core.jobs.job import Lane
from core.jobs.launch import at_once, cancel, ensure_workers
from core.jobs.queue import records_in_turn
from core.jobs.record import JobRecord, JobState, read_log
from core.jobs.schedule import Expected, expect
from core.jobs.store import KEPT_DAYS, RUN, JobStore
from core.words import say_duration
from ui.account import show_account
from ui.help import show_help
from ui.parts import errors, go_to, go_to_run
from ui.predict_link import open_view
from ui.theme import show_switch

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
        left = JobStore().unfinished() if JobStore.exists() else 0
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
        records = JobStore().list() if JobStore.exists() else []
        left = [record for record in records if not record.state.finished]
        failed = [
            record
            for record in records
            if record.state in (JobState.FAILED, JobState.OUT_OF_MEMORY) and _is_recent(record)
        ]
        if not left and not failed:
            st.caption("Nothing runs, waits or has failed.")
            return
        if any(record.state == JobState.QUEUED for record in left):
            ensure_workers()
        expected: dict[str, Expected] = {}
        for lane in Lane:
            expected |= expect(records_in_turn(JobStore(), lane), datetime.now(UTC), at_once(lane))
        left.sort(key=lambda r: (r.state != JobState.RUNNING, r.lane == Lane.QUEUE, r.place))
        for record in left[:MOST]:
            _show_unfinished(record, expected.get(record.id))
        _say_more(left, "wait; the page Train lists them")
        for record in failed[:MOST]:
            _show_failed(record)
        _say_more(failed, "have failed")


def _is_recent(record: JobRecord) -> bool:
    ended = record.finished or record.created
    return datetime.now(UTC) - ended < timedelta(days=KEPT_DAYS)


def _say_more(records: Sequence[JobRecord], what: str) -> None:
    if len(records) > MOST:
        st.caption(f"{len(records) - MOST} more {what}.")


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
