"""Which gene sets are in use: those kept here, a file of the user's, or a public collection."""

from pathlib import Path

import streamlit as st

from core.data.catalogue import CATALOGUE, PublicDataset
from core.data.fetched import kept
from core.escape import escape_markdown
from core.home import only_looks
from core.images.references import (
    add_public_sets,
    add_reference,
    list_references,
)
from ui.bring import fetch_with_bar
from ui.parts import errors, needs_own_home
from ui.uploads import hold

IN_USE = "last sets"
"""Where the session keeps the id of the sets in use."""


def pick_sets(prefix: str = "") -> str | None:
    """The id of the gene sets in use, kept in the link; None while there are none.

    Args:
        prefix: of the widgets' keys, where a page asks twice.
    """
    now = st.session_state.get(IN_USE) or st.query_params.get("sets")
    names = {reference.id: reference.name for reference in list_references("sets")}
    if now is not None and now not in names:
        st.warning("The gene sets that the link names are not on this computer: bring that file.")
        st.session_state.pop(IN_USE, None)
        now = None
    if names:
        key = f"{prefix}sets {now}"
        options = list(names)

        def take() -> None:
            st.session_state[IN_USE] = st.session_state[key]

        st.selectbox(
            "Collection of gene sets", options, key=key, format_func=names.get, on_change=take,
            index=options.index(now) if now else None, placeholder="choose stored sets",
        )  # fmt: skip
    elif not needs_own_home("Gene sets can be brought or fetched"):
        st.info(
            "Bring a file of gene sets, or fetch a public collection. They stay on this computer."
        )
    if not only_looks():
        with st.expander("Bring or fetch gene sets", expanded=not names), errors():
            _bring(prefix)
            for entry in CATALOGUE:
                if entry.sets is not None:
                    _offer(entry, prefix)
    if now is not None:
        st.query_params["sets"] = now
    return now


def _bring(prefix: str) -> None:
    """Take a file; each upload is kept once."""
    upload = st.file_uploader(
        "Gene sets (GMT)", type=["gmt", "gz", "txt"], key=f"{prefix}gmt",
        help="One line per set: name, description, genes, with tabs between. MSigDB, Enrichr, "
        "Reactome and WikiPathways offer such files. Use the ids of your dataset, mostly symbols.",
    )  # fmt: skip
    if upload is None or st.session_state.get(f"{prefix}gmt taken") == upload.file_id:
        return
    _use(add_reference(hold(upload), Path(upload.name).name), f"{prefix}gmt taken", upload.file_id)


def _offer(entry: PublicDataset, prefix: str) -> None:
    """One public collection with its licence, and the button that fetches and uses it."""
    st.markdown(f"**{escape_markdown(entry.title)}**  \n{escape_markdown(entry.help)}")
    st.caption(
        escape_markdown(
            f"Licence: {entry.licence} · cite: {entry.citation} · {' '.join(entry.traps)} "
            f"Not confirmed: {' '.join(entry.unverified)}"
        )
        + f" · [publisher's page]({entry.page})"
    )
    words = "Use it" if kept(entry) else "Fetch and use it"
    if st.button(words, key=f"{prefix}fetch {entry.name}"):
        fetch_with_bar(entry)
        _use(add_public_sets(entry))


def _use(reference: str, *noted: str) -> None:
    """Take these sets from now on; `noted`: a key and value of the session to keep with that."""
    st.session_state[IN_USE] = reference
    if noted:
        st.session_state[noted[0]] = noted[1]
    st.rerun()
