"""The line above a page: what the page is, what is looked at, and a drawer to choose other data."""

from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.store import DatasetRecord, list_datasets
from core.escape import escape_markdown
from core.home import only_looks
from ui.parts import decided, pick_dataset, show_empty

DRAWER = 420
"""Pixels of a drawer's width: names of datasets and runs are long."""
CLOSED = "drawers closed"
"""Where the session counts how often a drawer was closed by a button in it."""
SHOWN = "shown on the tab"
"""Where the session keeps what the page shows, after which the browser's tab is titled."""


class Line(NamedTuple):
    """The parts of a page's line that are filled later."""

    facts: DeltaGenerator
    """Where `say_facts` writes what is looked at."""
    drawer: DeltaGenerator
    """What opens for what is rarely changed; the page itself where there is nothing."""
    missing: DeltaGenerator
    """Where it is said that what was chosen before isn't there: a drawer is closed."""


def show_line(title: str, drawer: str | None = None) -> Line:
    """A page's title, a drawer for what is rarely changed, and room for facts.

    The facts come last, as they do in time: what stood beside them would move.

    Args:
        title: the page's.
        drawer: what the button of the drawer says; None where there is nothing to choose.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="page_line"):
        st.title(title, anchor=False, width="content")
        if drawer:
            number = st.session_state.get(CLOSED, 0)
            opened = st.popover(
                drawer, icon=":material/tune:", type="tertiary", key=f"drawer {number}"
            ).container(width=DRAWER)
        facts, rest = st.container(key="page_facts", width="content"), st.container()
    return Line(facts, opened if drawer else rest, st.container())


def show_looking(title: str, text: str) -> bool:
    """Whether one only looks here; then the page says that, with the way on, in place of its own.

    Args:
        title: the page's.
        text: what isn't here or can't be done, as a heading.
    """
    if only_looks():
        show_line(title)
        show_empty(text, "What the lab shares", "lab")
    return only_looks()


def close_drawer() -> None:
    """Close the drawer, such as when a button in it opens a dialog, above which it would stay."""
    st.session_state[CLOSED] = st.session_state.get(CLOSED, 0) + 1  # another key, another drawer


def say_facts(place: DeltaGenerator, *facts: str | None) -> None:
    """Fill the line with what is known, and title the tab after it; what is None is left out."""
    said = " · ".join(fact for fact in facts if fact)
    place.markdown(escape_markdown(said))
    st.session_state[SHOWN] = said


def show_dataset_line(title: str, drawer: str) -> tuple[DatasetRecord | None, Line]:
    """The line of a page on a dataset, whose box is in the drawer; None, and a way out, without."""
    datasets = list_datasets()
    line = show_line(title, drawer if datasets else None)
    if not datasets:
        show_empty("There is no dataset yet.", "Bring data", "data")
        return None, line
    with line.drawer:
        return pick_dataset(datasets, line.missing), line


def place_columns(record: DatasetRecord, line: Line) -> DeltaGenerator:
    """Where the boxes of a dataset's columns stand: on the page while no class is chosen."""
    return line.drawer if decided(record).cohort.label else st.container(horizontal=True)


def say_dataset(record: DatasetRecord, line: Line) -> None:
    """Fill the line with a dataset's name, its class column and how many samples it has."""
    say_facts(line.facts, record.name, decided(record).cohort.label, f"{record.samples:,} samples")
