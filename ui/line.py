"""The line above a page: what the page is, what is looked at, and a drawer to choose other data."""

from collections.abc import Sequence
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.store import DatasetRecord
from core.escape import escape_markdown
from ui.parts import decided, pick_dataset, pick_role

Role = Literal["label", "group", "batch"]


def show_line(title: str, drawer: str | None = None) -> tuple[DeltaGenerator, DeltaGenerator]:
    """A page's title, with room for facts, and a drawer for what is rarely changed.

    Args:
        title: the page's.
        drawer: what the button of the drawer says; None where there is nothing to choose.

    Returns:
        Where the facts go, which `say_facts` fills, and the drawer (the page itself without one).
    """
    with st.container(horizontal=True, vertical_alignment="center", key="page_line"):
        st.title(title, anchor=False, width="content")
        facts = st.container(key="page_facts", width="content")
        opened = st.container()
        if drawer:
            opened = st.popover(drawer, icon=":material/tune:", type="tertiary")
    return facts, opened


def say_facts(place: DeltaGenerator, *facts: str | None) -> None:
    """Fill the line with what is known; what is None is left out."""
    place.markdown(escape_markdown(" · ".join(fact for fact in facts if fact)))


def show_dataset_line(
    title: str, drawer: str, roles: Sequence[Role] = ("label",)
) -> tuple[DatasetRecord | None, DeltaGenerator]:
    """The line of a page on a dataset, with the boxes of dataset and columns in the drawer.

    While no column holds the class, the columns' boxes stand on the page itself.

    Returns:
        The dataset, None without any, and the drawer.
    """
    facts, opened = show_line(title, drawer)
    with opened:
        record = pick_dataset()
    if record is None:
        return None, opened
    with opened if decided(record).cohort.label else st.container(horizontal=True):
        for role in roles:
            pick_role(record, role)
    say_facts(facts, record.name, decided(record).cohort.label, f"{record.samples:,} samples")
    return record, opened
