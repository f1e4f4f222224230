"""Finding one of thousands of names by typing."""

from collections.abc import Sequence

import streamlit as st

from ui.parts import escape_markdown

OFFERED = 8
"""Names that are offered while what is typed is none of them."""


def find_name(label: str, names: Sequence[str], *, key: str, placeholder: str) -> str | None:
    """A field for one of many names, and what it finds; a select box of 20 000 takes a browser more
    than a second at every click on the page.

    Capitals don't matter. While what is typed is no name, those that begin with it are offered, and
    those that hold it. It stands in the link, and in the session state under `key`, where a click
    elsewhere on the page may put a name.

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

    def change(name: str | None = None) -> None:
        if name is not None:
            st.session_state[key] = name
        st.session_state[f"{key} changed"] = True

    typed = st.text_input(
        label, key=key, type="search", live=True, placeholder=placeholder, bind="query-params",
        on_change=change,
    )  # fmt: skip
    found = _find(typed, names)
    if st.session_state.pop(f"{key} changed", False) and found != st.session_state[f"{key} found"]:
        st.rerun()
    wanted = typed.strip().upper()
    if not wanted or found is not None:
        return
    held = [name for name in names if wanted in name.upper()]
    held.sort(key=lambda name: (not name.upper().startswith(wanted), len(name), name))
    if not held:
        st.caption(f"No name here holds “{escape_markdown(typed.strip())}”.")
        return
    with st.container(horizontal=True, gap="xsmall"):
        for name in held[:OFFERED]:
            st.button(
                escape_markdown(name), key=f"{key} {name}", on_click=change, args=(name,),
                type="tertiary",
            )  # fmt: skip
        if len(held) > OFFERED:
            st.caption(f"and {len(held) - OFFERED:,} more")
