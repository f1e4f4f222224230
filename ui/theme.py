"""The switch between light and dark."""

from pathlib import Path

import streamlit as st

ASSETS = Path(__file__).parents[1] / "assets"
SWITCH = st.components.v2.component(
    "genecanvas_theme",
    html='<button aria-label="Light or dark" title="Light or dark">◐</button>',
    css=(ASSETS / "theme.css").read_text(encoding="utf-8"),
    js=(ASSETS / "theme.js").read_text(encoding="utf-8"),
)
"""One button; the browser remembers what is chosen."""


def show_switch() -> None:
    """The button, which changes the colours of all pages."""
    SWITCH(key="theme", width="content")
