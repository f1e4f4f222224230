"""Lab: what people of a server share with each other."""

import pandas as pd
import streamlit as st

from core.home import LAB, at, server_home
from core.sharing import is_here, list_shared
from ui.account import PAGE_OF, visit
from ui.line import show_line
from ui.parts import errors, go_to, pick_row
from ui.share import offer_taking
from ui.signin import VISIT, person

show_line("Lab")
with errors():
    with at(server_home()):
        notes = list_shared()
    if not notes:
        st.info(
            "Nobody shares anything yet. On the pages Data, Run and Story there is a button Share."
        )
    else:
        with at(person().home):
            own = [is_here(note.kind, note.id) for note in notes]
        table = pd.DataFrame(
            [
                {
                    "what": note.kind, "name": note.name, "shared by": note.by_name,
                    "since": f"{note.since:%Y-%m-%d %H:%M}", "in my home": "yes" if mine else "",
                }
                for note, mine in zip(notes, own, strict=True)
            ]
        )  # fmt: skip
        row = pick_row(table, "shared", why="to look at it or to take it")
        if row is not None:
            note = notes[row]
            with st.container(horizontal=True):
                if st.button("Look at it →", type="primary"):
                    visit(LAB)
                    st.session_state[VISIT] = LAB
                    go_to(PAGE_OF[note.kind], {"id": note.id})
                offer_taking(note.kind, note.id, "take shared")
