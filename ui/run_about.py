"""What people call a run: the line above its page, its star, name, note and tags."""

import streamlit as st

from core.errors import GeneCanvasError
from core.escape import escape_markdown, escape_message
from core.home import only_looks
from core.jobs.record import JobState
from core.jobs.store import LONGEST_NAME
from core.jobs.which import Order
from core.runs.result import load_result
from core.runs.store import RunRecord, RunStore
from core.words import say_duration
from ui.line import SHOWN
from ui.parts import go_to_run, name_dataset, name_runs, say_asked
from ui.share import offer_sharing
from ui.work import BADGES, act

OTHERS = 100
"""Other runs that are offered on a run's page."""


def show_line(record: RunRecord) -> None:
    """Star, name and state of a run, what it is of, and the way to other runs."""
    with st.container(horizontal=True, vertical_alignment="center", key="run_line"):
        if not only_looks():
            act("★" if record.starred else "☆", _star, record, key=f"star {record.id}",
                type="tertiary", help="Lists show a starred run first.")  # fmt: skip
        st.title(escape_markdown(record.name), anchor=False, width="content")
        st.session_state[SHOWN] = record.name
        if record.state.resumable:  # else the page below says it, second by second
            st.markdown(BADGES[record.state], width="content")
        if not only_looks():
            with st.popover(
                "Name and notes", icon=":material/edit:", type="tertiary", help="Name and notes"
            ):
                _ask_label(record)
        if record.state == JobState.DONE:
            offer_sharing("run", record.id)
        if len(RunStore().read(most=2)) > 1:
            with st.popover(
                "Other runs", icon=":material/list:", type="tertiary", help="Other runs"
            ):
                _pick_other(record)
        facts = (name_dataset(record.spec.cohort.dataset), record.spec.cohort.label)
        with st.container(key="page_facts", width="content"):
            st.markdown(escape_markdown(" · ".join(facts)))


def show_facts(record: RunRecord) -> None:
    """When a run was asked for and what it took, on how many samples; its tags and its note."""
    parts = [*_say_size(record), f"asked {say_asked(record)}", *_say_time(record)]
    parts += [tag.strip() for tag in record.tags.split(",") if tag.strip()]
    st.caption(escape_markdown(" · ".join(parts)) + _say_note(record))


def _star(record: RunRecord) -> None:
    RunStore().label(record.id, starred=not record.starred)


def _say_note(record: RunRecord) -> str:
    return f"  \n{escape_markdown(record.note)}" if record.note else ""


def _say_size(record: RunRecord) -> list[str]:
    try:
        result = load_result(record.id)
    except GeneCanvasError:
        return []
    return [
        f"{result.n_train + result.n_validation} samples to learn from, {result.n_test} held out"
    ]


def _say_time(record: RunRecord) -> list[str]:
    if record.state != JobState.DONE or not record.started or not record.finished:
        return []
    return [f"took {say_duration((record.finished - record.started).total_seconds())}"]


def _ask_label(record: RunRecord) -> None:
    """Name, note and tags, each kept as soon as it is changed; they are no part of the run."""

    def keep(field: str) -> None:
        try:
            RunStore().label(record.id, **{field: st.session_state[f"{field} {record.id}"]})
        except GeneCanvasError as error:
            st.toast(escape_message(str(error)))

    st.text_input(
        "Name", record.name, max_chars=LONGEST_NAME, key=f"name {record.id}",
        on_change=keep, args=("name",),
    )  # fmt: skip
    st.text_input(
        "Tags", record.tags, max_chars=LONGEST_NAME, key=f"tags {record.id}",
        placeholder="paper, figure 2", on_change=keep, args=("tags",),
    )  # fmt: skip
    st.text_area("Note", record.note, key=f"note {record.id}", on_change=keep, args=("note",))
    st.caption("What you write here changes nothing about the run, and lists are searched for it.")


def _pick_other(record: RunRecord) -> None:
    """A select box of other runs, starred ones first; choosing one leads to its page."""
    records = RunStore().list(order=Order.STARRED, most=OTHERS)
    others = [other.id for other in records if other.id != record.id]
    names = name_runs(records)
    chosen = st.selectbox(
        "Go to", others, index=None, format_func=names.get, placeholder="a run",
        key=f"from {record.id}", width=420,
    )  # fmt: skip
    if chosen:
        go_to_run(chosen)
    if len(records) == OTHERS:
        st.caption("Those with a star, and the last ones. The page Train finds any run.")
