"""The documentation as pages of the app: files of docs/ and benchmarks/results/, to be read."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import streamlit as st

from core.escape import escape_markdown
from ui.line import say_facts, show_line
from ui.parts import ROOT

START = "docs/README.md"
FOLDERS = ("docs", "docs/pages", "docs/methods", "benchmarks/results")
_LINK = re.compile(r"\]\(([^)#:\s]+\.md)(#[^)\s]*)?\)")
_IMAGE = re.compile(r"^!\[([^\]]*)\]\(([^)\s]+)\)$", re.MULTILINE)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


@cache
def list_docs() -> dict[str, str]:
    """Each file that can be read, by its path from the project's root -> its title."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).glob("*.md")):
            title = _TITLE.search(path.read_text(encoding="utf-8"))
            found[path.relative_to(ROOT).as_posix()] = title[1] if title else path.stem
    return found


def show_docs() -> None:
    """One file, chosen in a box or by a link of another."""
    docs = list_docs()
    facts = show_line("Docs").facts
    wanted = st.query_params.get("read", START)
    if wanted not in docs:
        st.warning(f"There is no page {escape_markdown(wanted[:80])} in the docs.")
        wanted = START
    shown = st.selectbox(
        "Page", list(docs), index=list(docs).index(wanted), format_func=docs.get,
        label_visibility="collapsed", key=f"docs {wanted}", width=420,
    )  # fmt: skip
    if shown != wanted:
        st.query_params["read"] = shown
        st.rerun()
    say_facts(facts, docs[shown])
    with st.container(width=860):
        for text, image in split_page(shown):
            st.markdown(text)
            if image is not None:
                path, alt = image
                st.image(path, alt=alt)


def split_page(name: str) -> Iterator[tuple[str, tuple[Path, str] | None]]:
    """A file's text up to each image, with that image's file and words, without its title.

    Links to other files lead to their pages here.

    Args:
        name: of `list_docs`.
    """
    path = ROOT / name
    text = _TITLE.sub("", path.read_text(encoding="utf-8"), count=1)
    text = _LINK.sub(lambda found: _lead_here(path, found), text)
    start = 0
    for found in _IMAGE.finditer(text):
        yield text[start : found.start()], (path.parent / found[2], found[1])
        start = found.end()
    yield text[start:], None


def _lead_here(path: Path, found: re.Match[str]) -> str:
    target = (path.parent / found[1]).resolve()
    name = target.relative_to(ROOT).as_posix() if target.is_relative_to(ROOT) else ""
    return f"](/docs?read={name})" if name in list_docs() else found[0]
