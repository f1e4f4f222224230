"""The frame around every page: title, logo, navigation."""

from pathlib import Path

import streamlit as st

from core.people import is_shared
from ui.account import let_in, pages_of_guest, show_where
from ui.help import show_step
from ui.line import SHOWN
from ui.pin import PAGE
from ui.signin import is_admin, signed_in
from ui.work import show_work

ROOT = Path(__file__).parents[2]
BACK = st.components.v2.component(
    "genecanvas_back", html="<i></i>", js=(ROOT / "assets/back.js").read_text(encoding="utf-8")
)
"""Nothing to see: it makes the browser's Back lead to the page before."""
PAGES = {
    "data": "Data",
    "images": "Gene images",
    "train": "Train",
    "run": "Run",
    "compare": "Compare",
    "explain": "Explain",
    "predict": "Predict",
    "tissue": "Histology",
    "transfer": "Transfer",
    "story": "Story",
}


def open_first_page() -> None:
    """Lead from the bare address to the first page, which so keeps a link of its own."""
    first = "data" if guest is None else guest[0]
    st.switch_page(pages[first], query_params=st.query_params.to_dict())


def title_tab(shown: str) -> None:
    """Name the browser's tab after what the page shows, as far as it has said so, and the page."""
    words = " · ".join(filter(None, (shown, page.title if page != start else "")))
    st.set_page_config(page_title=f"{words} – GeneCanvas" if words else "GeneCanvas")


st.set_page_config(page_icon=str(ROOT / "assets/icon.svg"), layout="wide")
st.logo(str(ROOT / "assets/logo.svg"), size="large")
let_in()
with st.container(key="back"):
    BACK(key="back button")
pages = {
    name: st.Page(ROOT / f"pages/{name}.py", title=title, url_path=name)
    for name, title in PAGES.items()
}
start = st.Page(open_first_page, title="GeneCanvas", default=True, visibility="hidden")
computers = st.Page(
    ROOT / "pages/computers.py", title="Computers", url_path="computers", visibility="hidden"
)
stage = st.Page(ROOT / "pages/present.py", title="Present", url_path="present", visibility="hidden")
docs = st.Page(ROOT / "pages/docs.py", title="Docs", url_path="docs", visibility="hidden")
shown = {"start": start, **pages, "computers": computers, "docs": docs, "present": stage}
if is_shared() and signed_in() is not None:
    shown["lab"] = st.Page(ROOT / "pages/lab.py", title="Lab", url_path="lab")
    if is_admin():
        shown["people"] = st.Page(ROOT / "pages/people.py", title="People", url_path="people")
guest = pages_of_guest()
if guest is not None:
    shown = {name: shown[name] for name in ("start", *guest)}
page = st.navigation(list(shown.values()), position="top")
if page.url_path != st.session_state.get(PAGE):
    title_tab("")  # not what the page before showed
st.session_state[PAGE] = page.url_path
st.session_state[SHOWN] = ""
if page != stage:
    show_where()
    show_step()
    if guest is None:  # last: it stands beside the title that follows
        show_work()
page.run()
title_tab(st.session_state[SHOWN])
