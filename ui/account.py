"""What stands on every page where several people share the server: who one is, whose home it is."""

import os

import streamlit as st

from core.errors import GeneCanvasError, InputError
from core.escape import escape_markdown, escape_message
from core.home import LAB, at, home, server_home
from core.jobs.job import Lane
from core.jobs.record import UNFINISHED
from core.jobs.store import JobStore
from core.jobs.which import Which
from core.people import SHARED, Quota, is_shared
from core.sharing import TOKEN, end_invitation, find_invitation, list_invitations
from core.sizes import recent_size
from ui.signin import SERVER, VISIT, find_place, is_admin, person, signed_in, visited

WIDE = 420
"""Pixels of what Account shows: names of what guests look at are long."""
PAGE_OF = {"dataset": "data", "run": "run", "story": "story"}
"""The page on which a guest looks at what their link opens."""


def let_in() -> None:
    """Go on if this session has a home to be in, else say what to do and stop here."""
    if not is_shared():
        return
    _follow_link()
    try:
        find_place()
    except GeneCanvasError as error:
        st.title("GeneCanvas")
        if visited():
            st.warning(escape_message(str(error)))
            st.session_state.pop(VISIT)
        elif signed_in() is not None:
            st.warning(escape_message(str(error)))
            _offer_sign_out("Sign in as somebody else")
        else:
            st.markdown("Several people share this server, each with a home of their own.")
            st.button("Sign in", type="primary", on_click=st.login)
        st.stop()


def _follow_link() -> None:
    """Go where the link says: to what the lab shares, or to what a guest is shown."""
    token = st.query_params.get("guest", "")
    if TOKEN.fullmatch(token):
        st.session_state[VISIT] = token
    elif st.query_params.get("in") == LAB:
        st.session_state[VISIT] = LAB


def pages_of_guest() -> tuple[str, ...] | None:
    """The pages that a guest may open; None of who has signed in and is in a home of their own."""
    if not is_shared() or not (visited() and TOKEN.fullmatch(visited())):
        return None
    with at(server_home()):
        invited = find_invitation(visited())
    page = PAGE_OF[invited.note.kind]
    return (page, "present") if page == "story" else (page,)


def show_where() -> None:
    """Say whose home is looked at, where it isn't one's own, with the way back."""
    if not is_shared() or visited() is None:
        return
    words = {
        LAB: "You are looking at what the lab shares. Nothing can be changed here; on the page Lab "
             "you can take what you want to work on.",
        SERVER: "You are in the server's own home, as one who looks after it.",
    }.get(visited(), "You are a guest: you can look at this, and change nothing.")  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", key="where"):
        st.info(words, icon=":material/visibility:")
        if signed_in() is not None:
            st.button("Back to my own", on_click=visit, args=(None,), key="own home")


def visit(place: str | None) -> None:
    """Look at another home from now on, or at one's own."""
    for name in [name for name in st.session_state if name not in (VISIT,)]:
        del st.session_state[name]  # what was chosen there isn't here
    st.query_params.clear()
    if place is None:
        st.session_state.pop(VISIT, None)
    else:
        st.session_state[VISIT] = place


def show_account() -> None:
    """Who one is, how much of what one may take is taken, one's links, and the way out."""
    if not is_shared() or signed_in() is None:
        return
    who = person()
    with st.popover(
        "Account", type="tertiary", icon=":material/person:", on_change="rerun", key="account"
    ) as opened:
        if not opened.open:
            return
        st.markdown(f"**{escape_markdown(who.name)}**")
        with at(who.home), st.container(width=WIDE):
            _show_use(who.may_take)
            _show_invitations()
        if visited() is None and is_admin():
            st.button("The server's own home", on_click=visit, args=(SERVER,), key="server home")
        _offer_sign_out("Sign out")


def _offer_sign_out(words: str) -> None:
    """The way out; where a proxy has signed people in, it is the proxy's."""
    if os.environ.get(SHARED) == "openid":
        st.button(words, on_click=st.logout, key="sign out")


def _show_use(quota: Quota) -> None:
    taken = recent_size(home(), anew=True) / 1e9
    st.caption(f"{taken:,.2f} GB on disk{_of(quota.disk_gb, 'GB')}")
    if JobStore.exists():
        store = JobStore()
        hours = store.device_hours()
        st.caption(f"{hours:,.1f} hours of a device in 7 days{_of(quota.device_hours, 'hours')}")
        queued = store.count(Which(states=UNFINISHED, lane=Lane.QUEUE))
        st.caption(f"{queued} runs wait or run{_of(quota.queued_runs, 'runs')}")


def _of(most: float | None, unit: str) -> str:
    return "" if most is None else f" of {most:g} {unit} that you may take"


def _show_invitations() -> None:
    for one in list_invitations():
        said, end = st.columns([4, 1], vertical_alignment="center")
        said.caption(
            f"Guests may look at {escape_markdown(one.note.name)} until {one.note.until:%Y-%m-%d}"
        )
        end.button("End it", key=f"end {one.key}", on_click=_end, args=(one.key,), type="tertiary")


def _end(key: str) -> None:
    with at(person().home):
        try:
            end_invitation(key)
        except InputError as error:
            st.toast(escape_message(str(error)))
