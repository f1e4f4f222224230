"""On the page Histology: answers that are kept, how large they are, and deleting them."""

import pandas as pd
import streamlit as st

from core.tissue.answers import KeptAnswer, delete_answer, list_answers
from core.tissue.store import TissueRecord, delete_tissue
from ui.parts import errors


def show_kept(record: TissueRecord) -> None:
    """A closed list of all answers about a tissue; each can be deleted, and the tissue too."""
    with st.expander("Kept answers", on_change="rerun", key="kept answers") as part:
        if not part.open:
            return
        found = list_answers(record.id)
        if found:
            _show_answers(record, found)
        else:
            st.caption("Nothing has been asked of this tissue yet.")
        with st.popover("Delete this tissue", icon=":material/delete:"):
            st.markdown("Its spots, tiles and all answers about it go.")
            if st.button("Yes, delete the tissue", key="delete tissue"):
                with errors():
                    delete_tissue(record.id)
                    st.query_params.clear()
                    st.session_state.pop("last tissue", None)
                    st.rerun()


def _show_answers(record: TissueRecord, found: list[KeptAnswer]) -> None:
    table = pd.DataFrame(
        {
            "question": [answer.words for answer in found],
            "when": [answer.when for answer in found],
            "MB": [answer.bytes / 1e6 for answer in found],
        }
    )
    chosen = st.dataframe(
        table, hide_index=True, key=f"answers {record.id[:6]} {len(found)}", on_select="rerun",
        selection_mode="single-row",
        column_config={
            "when": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "MB": st.column_config.NumberColumn(format="%.1f"),
        },
    )["selection"]["rows"]  # fmt: skip
    if not chosen:
        st.caption("Choose a row to delete an answer, with its networks and what they predicted.")
    elif st.button("Delete this answer", key="delete answer", icon=":material/delete:"):
        with errors():
            delete_answer(record.id, found[chosen[0]].key)
            st.rerun()
