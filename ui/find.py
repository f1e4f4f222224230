"""Finding one of thousands of names by typing."""

from collections.abc import Sequence

import streamlit as st

from core.escape import escape_markdown

OFFERED = 4
"""Names that are offered while somebody types."""
LINE = 56
"""Pixels that offers take, also while there are none: what is below must not jump."""


def find_name(label: str, names: Sequence[str], *, key: str, placeholder: str) -> str | None:
    """A field for one of many names, and what it finds; a select box of 20 000 takes a browser more
    than a second at every click on the page.

    Capitals don't matter. Names that begin with what is typed are offered, and those that hold it.
    It stands in the link, and in the session state under `key`, where a click elsewhere on the page
    may put a name.

    Args:
        label: above the field.
        names: all that can be found.
        key: the field's.
        placeholder: in the empty field.

    Returns:
        The name, or None while nothing, or no name, is typed.
    """
    _ask(label, names, key, placeholder)
    found = _find(st.session_state[key], names)
    st.session_state[f"{key} found"] = found
    return found


def _find(typed: str, names: Sequence[str]) -> str | None:
    """The name that is typed, or the one that differs from it in capitals only."""
    typed = typed.strip()
    if typed in names:
        return typed
    return next((name for name in names if name.upper() == typed.upper()), None)


@st.fragment
def _ask(label: str, names: Sequence[str], key: str, placeholder: str) -> None:
    """The field, by itself while somebody types; the page follows when that finds another name."""

    changed = f"{key} changed"

    def change(name: str | None = None) -> None:
        if name is not None:
            st.session_state[key] = name
        st.session_state[changed] = True

    typed = st.text_input(
        label, key=key, type="search", live=True, placeholder=placeholder, bind="query-params",
        on_change=change,
    )  # fmt: skip
    found = _find(typed, names)
    if st.session_state.pop(changed, False) and found != st.session_state.get(f"{key} found"):
        st.rerun()
    wanted = typed.strip().upper()
    held = [name for name in names if wanted in name.upper() and name != found] if wanted else []
    held.sort(key=lambda name: (not name.upper().startswith(wanted), len(name), name))
    with st.container(horizontal=True, gap="xsmall", height=LINE, border=False):
        for name in held[:OFFERED]:
            st.button(
                escape_markdown(name), key=f"{key} offer {name}", on_click=change, args=(name,),
                type="tertiary",
            )  # fmt: skip
        if len(held) > OFFERED:
            st.caption(f"and {len(held) - OFFERED:,} more")
        if wanted and not held and found is None:
            st.caption(f"No name here holds “{escape_markdown(typed.strip())}”.")
