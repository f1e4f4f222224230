"""About these numbers: what a chart shows, of how many, how it was computed, how it is read."""

from typing import NamedTuple

import streamlit as st


class About(NamedTuple):
    """What stands behind a chart, in sentences of Markdown; names from files come escaped."""

    shown: str
    """What is shown: 'How many held-out samples of each class were taken for which.'"""
    n: str
    """Of how many, with the number wherever it is known: 'Of 121 held-out samples.'"""
    computed: str
    """How the numbers came about, with what was held out and how an interval is drawn."""
    read: str
    """How to read it: what speaks for what, and what can't be concluded from it."""


def show_about(about: About, *, key: str) -> None:
    """The button that says it, beside a chart or table.

    Args:
        about: what is said.
        key: the button's, one of its own on the page.
    """
    with st.popover(
        "About", type="tertiary", icon=":material/info:", key=f"{key} about",
        help="About these numbers",
    ):  # fmt: skip
        st.markdown("**About these numbers**")
        st.markdown(
            f"**Shown.** {about.shown}\n\n**Of how many.** {about.n}\n\n"
            f"**Computed.** {about.computed}\n\n**To read it.** {about.read}"
        )
