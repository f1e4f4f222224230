"""Joining cohorts that are here into one dataset, so that each can be held out in turn."""

import streamlit as st

from core.data.join import COHORT, join_datasets
from core.data.store import DatasetRecord, add_dataset, list_datasets, load_dataset
from core.errors import InputError
from core.escape import escape_markdown
from ui.bring import keep
from ui.parts import errors

NONE = "(nothing to say)"
ROLES = {"class": "Class", "patient": "Patient"}
"""Columns that may bear other names in each cohort, by what they are called in the joint one."""


def show_join() -> None:
    """Choose cohorts, and which columns are one; then keep them as one dataset."""
    records = {record.id: record for record in list_datasets()}
    if len(records) < 2:
        st.caption("Joining needs two datasets that are here. Bring another one first.")
        return
    st.markdown(
        "Cohorts under each other, over the genes that all of them have. Train with the split "
        f"*leave one batch out* by the column `{COHORT}`: each cohort is tested by a network that "
        "has never seen it."
    )
    chosen = st.multiselect(
        "Cohorts", list(records), format_func=lambda id: records[id].name, key="joined cohorts"
    )
    cohorts = [records[id] for id in chosen]
    if len(cohorts) < 2:
        st.caption("Choose two or more.")
        return
    st.caption(
        "Columns that all of them have keep their names. If class or patient is called otherwise "
        "in each, say so here."
    )
    columns = {role: _ask_columns(role, cohorts) for role in ROLES}
    name = st.text_input(
        "Name", " + ".join(record.name for record in cohorts), key=f"joint name {chosen}"
    )
    if st.button("Join", type="primary"):
        with errors(), st.spinner("Joining"):
            keep(_join(cohorts, columns, name))
            st.rerun()


def _ask_columns(role: str, cohorts: list[DatasetRecord]) -> list[str]:
    """The column of a role in each cohort."""
    places = st.columns(len(cohorts))
    return [
        place.selectbox(
            f"{ROLES[role]} in {escape_markdown(record.name)}", [NONE, *record.columns],
            key=f"joined {role} {record.id}",
        )
        for place, record in zip(places, cohorts, strict=True)
    ]  # fmt: skip


def _join(cohorts: list[DatasetRecord], columns: dict[str, list[str]], name: str) -> DatasetRecord:
    told = {role: names for role, names in columns.items() if set(names) != {NONE}}
    for role, names in told.items():
        if NONE in names:
            raise InputError(
                f"{ROLES[role]} is said for some of the cohorts only. Say it for all, or for none."
            )
    if len({record.name for record in cohorts}) < len(cohorts):
        raise InputError("Two of the cohorts bear one name. Keep one of them under another.")
    shared = set.intersection(*(set(record.columns) for record in cohorts)) - {COHORT}
    kept = {column: [column] * len(cohorts) for column in cohorts[0].columns if column in shared}
    data = {record.name: load_dataset(record.id) for record in cohorts}
    return add_dataset(join_datasets(data, {**kept, **told}), name)
