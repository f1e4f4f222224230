"""Help on every page: a tour of five steps, what the words mean, and the docs."""

import streamlit as st

from core.glossary import GLOSSARY
from ui.parts import go_to

STEPS = (
    ("data", "**Your samples.** On the left each point is a sample, on the right stands what was "
     "found in the file, the worst first. A button beside a finding repairs it."),
    ("images", "**Genes as pixels.** Each gene has its place; click one to see its expression in "
     "each class. The layout is chosen in the drawer above."),
    ("train", "**A network learns.** The first card is the recipe that did best. Each says how "
     "long it will take. Samples of one patient never stand on both sides."),
    ("run", "**What came of it.** The network beside a plain linear model, what was taken for "
     "what, and the genes that decided. Below: what if they were missing?"),
    ("explain", "**Can the genes be believed?** The list with its map, and the trust card, which "
     "says what speaks against it."),
)  # fmt: skip
"""Page and words of each step of the tour."""
TOUR = "step of the tour"
"""Where the session keeps the step that it is at."""


def show_help() -> None:
    """A button beside Work: the tour, the glossary, and the way to the docs."""
    touring = " on tour" * (TOUR in st.session_state)  # another, closed one when it begins
    with st.popover(
        "Help", key=f"help{touring}", type="tertiary", icon=":material/help:", on_change="rerun"
    ) as opened:
        if not opened.open:
            return
        if st.button("A tour of five steps", key="tour", icon=":material/explore:"):
            begin_tour()
        if st.button("Read the docs", key="docs", icon=":material/menu_book:"):
            go_to("docs")
        term = st.selectbox(
            "What does it mean?", sorted(GLOSSARY, key=str.lower), index=None, key="term",
            placeholder="a word",
        )  # fmt: skip
        if term:
            st.markdown(GLOSSARY[term])


def begin_tour() -> None:
    """Go to the first step."""
    _go(0)


def show_step() -> None:
    """The step of the tour that the session is at, above the page; nothing without one."""
    step = st.session_state.get(TOUR)
    if step is None:
        return
    with st.container(border=True, key="tour_step"):
        said, ways = st.columns([4, 1], vertical_alignment="center")
        said.markdown(f"{step + 1} of {len(STEPS)}. {STEPS[step][1]}")
        with ways, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            if step + 1 < len(STEPS) and st.button("Next", type="primary", key="tour next"):
                _go(step + 1)
            if st.button("Leave the tour", key="tour end"):
                del st.session_state[TOUR]
                st.rerun()


def _go(step: int) -> None:
    st.session_state[TOUR] = step
    go_to(STEPS[step][0])
