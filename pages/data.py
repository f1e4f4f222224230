"""Data: bring an expression matrix, see what was understood, repair and prepare it."""

import streamlit as st

from core.data.simulate import simulate
from core.data.store import (
    DamagedDataset,
    DatasetRecord,
    damaged_datasets,
    list_datasets,
    mend_record,
)
from core.escape import escape_markdown, escape_message
from core.home import dataset_folder, only_looks
from core.jobs.which import Which
from core.people import is_shared
from core.runs.store import RunStore, drop_dataset
from ui.bring import offer_examples, show_catalogue, show_upload
from ui.card import show_card
from ui.forms import HOLDS
from ui.help import begin_tour
from ui.join import show_join
from ui.line import (
    Line,
    place_columns,
    say_dataset,
    show_dataset_line,
    show_line,
    show_looking,
)
from ui.mend import mending_decisions
from ui.parts import decided, download_table, errors, name_runs, pick_role
from ui.prepare import show_prepare
from ui.sample_groups import show_groups
from ui.share import offer_sharing
from ui.values import show_heat_map, show_values

VIEWS = {
    "card": ("Overview", show_card),
    "groups": ("Groups", show_groups),
    "heat": ("Heat map", show_heat_map),
    "values": ("Values", show_values),
    "prepare": ("Prepare", show_prepare),
}

DELETING = "dataset to delete"
"""Where the session keeps the dataset whose deletion is being asked about."""
NAMED_RUNS = 8
"""Runs that are named before their dataset is deleted; more are counted."""


def show_welcome() -> None:
    """What the app does, examples first, then one's own file, then public datasets."""
    st.markdown(
        "GeneCanvas paints each RNA-Seq profile as an image, fine-tunes a network on the images, "
        "and shows **which genes** tell one tumour type from another."
    )
    with st.container(border=True):
        st.markdown("## Start with an example")
        offer_examples()
        if st.button("Or look around first: five steps", type="tertiary", key="tour first"):
            begin_tour()
    with st.container(border=True):
        st.markdown("## Or bring your own data")
        show_upload()
    with st.expander("Or take a public dataset"):
        show_catalogue()


@st.dialog("Add a dataset", width="large")
def ask_for_more() -> None:
    """The same again, over the page, when there are datasets already."""
    source = st.segmented_control(
        "From", ["Your file", "A public dataset", "An example", "Cohorts that are here"],
        default="Your file",
        required=True, label_visibility="collapsed",
    )  # fmt: skip
    if source == "Your file":
        show_upload()
    elif source == "A public dataset":
        show_catalogue()
    elif source == "An example":
        offer_examples()
    else:
        show_join()


def show_dataset(record: DatasetRecord, line: Line) -> None:
    """The roles of the columns, and one of the views; what is damaged can still be deleted."""
    with mending_decisions(record.id):
        with place_columns(record, line):
            for role in ("label", "group", "batch"):
                pick_role(record, role)
        say_dataset(record, line)
        with st.container(horizontal=True):
            with st.container():  # as wide as there is room
                view = st.segmented_control(
                    "View", VIEWS, default="card", required=True,
                    format_func=lambda name: VIEWS[name][0],
                    label_visibility="collapsed", key="data view", **HOLDS,
                )  # fmt: skip
            if not only_looks() and st.button(
                "Add a dataset", icon=":material/add:", key="add dataset"
            ):
                ask_for_more()
        with mending_decisions(record.id):
            VIEWS[view][1](record, decided(record))
    offer_sharing("dataset", record.id)
    show_keeping(record)


def show_keeping(record: DatasetRecord) -> None:
    """Where a dataset is kept, and how to delete it."""
    title = "Where this dataset is stored"
    with st.expander(title if only_looks() else f"{title}, and how to delete it"):
        place = "" if is_shared() else f"`{dataset_folder(record.id)}` · "
        st.markdown(
            f"{place}{record.bytes / 1e6:.1f} MB · added {record.added[:16].replace('T', ' ')} UTC"
        )
        if record.source == "simulated":
            download_table(
                lambda: simulate()[1], "planted_genes", "Planted marker genes (CSV)", key="truth"
            )
        if not only_looks() and st.button("Delete this dataset"):
            st.session_state[DELETING] = record.id
    if st.session_state.get(DELETING) == record.id:
        ask_to_delete(record)


@st.dialog("Delete this dataset?", on_dismiss=lambda: st.session_state.pop(DELETING, None))
def ask_to_delete(record: DatasetRecord) -> None:
    """Which runs it would leave without their samples, and the button that deletes it."""
    which = Which(input=record.id)
    used, count = RunStore().list(which, most=NAMED_RUNS), RunStore().count(which)
    st.markdown(f"**{escape_markdown(record.name)}**, {record.samples:,} samples.")
    if used:
        st.markdown(
            f"{count:,} run{'s' if count > 1 else ''} used it. Results stay, but nothing can "
            "be explained or resumed:"
        )
        names = name_runs(used)
        st.markdown("\n".join(f"- {escape_markdown(names[run.id])}" for run in used))
        if count > NAMED_RUNS:
            st.caption(f"and {count - NAMED_RUNS:,} more")
    if st.button("Yes, delete it", type="primary"):
        with errors():
            drop_dataset(record.id)
            st.session_state.pop("last dataset", None)
            st.session_state.pop(DELETING, None)
            st.query_params.from_dict({})
            st.rerun()


def show_damaged(damaged: DamagedDataset) -> None:
    """A dataset whose record can't be read: why, and two ways out."""
    with st.container(border=True):
        st.error(escape_message(damaged.why))
        if only_looks():
            return
        with st.container(horizontal=True), errors():
            if st.button("Make its record again", key=f"mend {damaged.id}"):
                mend_record(damaged.id)
                st.rerun()
            if st.button("Delete this dataset", key=f"drop {damaged.id}"):
                drop_dataset(damaged.id)
                st.rerun()


with errors():
    if not list_datasets() and only_looks():
        show_looking("Data", "No dataset is shared here.")
    elif not list_datasets():
        show_line("Data")
        for damaged in damaged_datasets():
            show_damaged(damaged)
        show_welcome()
    else:
        record, line = show_dataset_line("Data", "Dataset and columns")
        for damaged in damaged_datasets():
            show_damaged(damaged)
        if record:
            show_dataset(record, line)
