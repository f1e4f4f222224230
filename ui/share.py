"""Handing something on, to the lab or to a guest; nothing where one person works alone."""

from urllib.parse import urlsplit

import streamlit as st

from core.errors import GeneCanvasError
from core.escape import escape_message
from core.home import LAB, at, only_looks
from core.people import is_shared
from core.sharing import (
    MOST_DAYS,
    USUAL_DAYS,
    Kind,
    invite,
    is_here,
    is_shared_with_lab,
    share,
    take,
    unshare,
)
from ui.account import PAGE_OF
from ui.signin import person, visited

LINK = "link of guest"
"""Where the session keeps a guest's link, which is shown once."""
WHAT = {
    "dataset": "all its values, columns and groups",
    "run": "its result, networks, genes and curves; not its samples' expression, nor what it was "
    "asked of other samples",
    "story": "its views, captions and notes",
}


def offer_sharing(kind: Kind, id: str) -> None:
    """A button that hands something on, or takes it from the lab; nothing where it can't be."""
    if not is_shared():
        return
    if visited() == LAB:
        offer_taking(kind, id, f"take {kind}")
    if only_looks():
        return
    with st.popover(
        "Share", icon=":material/share:", type="tertiary", key=f"share {kind} {id}",
        on_change="rerun",
    ) as opened:  # fmt: skip
        if not opened.open:
            return
        st.toggle(
            "Shared with the lab", is_shared_with_lab(kind, id), key=f"lab {kind} {id}",
            on_change=_attempt, args=(_toggle, kind, id),
            help=f"Whoever signs in can look at it and take it: {WHAT[kind]}. As it is now; whoever"
            " has taken it keeps it.",
        )  # fmt: skip
        if kind == "story" and is_shared_with_lab(kind, id):
            st.button("Share it as it is now", on_click=_attempt, args=(share, kind, id))
        if is_shared_with_lab(kind, id):
            st.caption("The link to it, for people of the lab:")
            st.code(_address(kind, f"id={id}&in={LAB}"), language=None)
        st.divider()
        days = st.number_input(
            "Days", value=USUAL_DAYS, key=f"days {kind} {id}",
            help=f"For how long the link leads here, 1 to {MOST_DAYS}. Account ends it sooner.",
        )  # fmt: skip
        st.button(
            "Make a link for a guest", key=f"invite {kind} {id}", on_click=_attempt,
            args=(_invite, kind, id, int(days)),
            help=f"Whoever has it can look at it without signing in: {WHAT[kind]}.",
        )  # fmt: skip
        if st.session_state.get(LINK, ("", ""))[0] == id:
            st.caption("Copy it now; it isn't shown again.")
            st.code(st.session_state.pop(LINK)[1], language=None)


def offer_taking(kind: Kind, id: str, key: str) -> None:
    """A button that puts what the lab shares into one's own home."""
    st.button(
        "Take it", key=key, icon=":material/download:", on_click=_attempt, args=(_take, kind, id),
        help="It is in your own home too then, to work on; whoever shared it can't take it back.",
    )  # fmt: skip


def _take(kind: Kind, id: str) -> None:
    with at(person().home):
        known = is_here(kind, id)
        take(kind, id)
    st.toast("It was in your home already." if known else "It is in your home now.")


def _toggle(kind: Kind, id: str) -> None:
    (share if st.session_state[f"lab {kind} {id}"] else unshare)(kind, id)


def _invite(kind: Kind, id: str, days: int) -> None:
    st.session_state[LINK] = id, _address(kind, f"id={id}&guest={invite(kind, id, days)}")


def _address(kind: Kind, query: str) -> str:
    here = urlsplit(st.context.url or "")
    return f"{here.scheme}://{here.netloc}/{PAGE_OF[kind]}?{query}"


def _attempt(action, *args) -> None:
    try:
        action(*args)
    except GeneCanvasError as error:
        st.toast(escape_message(str(error)))
