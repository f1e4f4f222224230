"""Weights files that a network may start from: choosing one, bringing one, deleting it."""

import streamlit as st

from core.errors import GeneCanvasError, InputError
from core.escape import escape_markdown, escape_message
from core.home import only_looks
from core.models.own_weights import (
    SUFFIXES,
    bring_weights,
    delete_brought,
    list_brought,
    list_own_weights,
)
from core.words import say_size
from ui.uploads import hold

FILE, COUNT = "weights file", "weights brought"
"""Where the session keeps which file is chosen, and how many were brought."""


def ask_file() -> str:
    """The name of a weights file; raises InputError where there is none yet."""
    place = st.container()
    if not only_looks():
        with st.popover(
            "Weights files of mine", icon=":material/upload_file:", key="own weights",
            on_change="rerun", width="stretch",
        ) as opened:  # fmt: skip
            if opened.open:
                _show_own()
    files = list_own_weights()
    if not files:
        raise InputError("There is no weights file yet. Bring one: a .pth, .pt or .safetensors.")
    if st.session_state.get(FILE) not in files:
        st.session_state.pop(FILE, None)  # it was deleted
    return place.selectbox("File", files, key=FILE)


def _show_own() -> None:
    st.caption(
        "The weights of a network: a PyTorch state dict (.pth, .pt) or a .safetensors file. It is "
        "read by a process without rights, and nothing in it is run. Its numbers are kept in your "
        "home, under its name and the first digits of their hash."
    )
    count = st.session_state.setdefault(COUNT, 0)
    upload = st.file_uploader(
        "File to bring", key=f"bring weights {count}", type=[end[1:] for end in SUFFIXES],
        label_visibility="collapsed",
    )  # fmt: skip
    if upload is not None and st.button("Keep it", type="primary", key="keep weights"):
        with st.spinner("Reading the weights file"):
            try:
                fitting = bring_weights(hold(upload))
            except GeneCanvasError as error:
                st.error(escape_message(str(error)))
                return
        st.session_state[COUNT], st.session_state[FILE] = count + 1, fitting.name
        fits = ", ".join(fitting.networks)
        said = f"It fits {fits}." if fits else "It fits none of the networks on gene-images."
        st.toast(escape_markdown(f"Kept as {fitting.name}. {said}"))
        st.rerun()
    for one in list_brought():
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{escape_markdown(one.name)}, {say_size(one.bytes)}, {one.since:%d %b %Y}")
            st.button(
                "Delete", key=f"delete weights {one.name}", type="tertiary", on_click=_delete,
                args=(one.name,), help="Runs that are done don't need it any more.",
            )  # fmt: skip


def _delete(name: str) -> None:
    try:
        delete_brought(name)
    except GeneCanvasError as error:
        st.toast(escape_message(str(error)))
