"""Histology: what an image of tissue says of genes, and how much of that is only depth."""

import streamlit as st

from core.tissue.result import load_answer
from core.tissue.store import list_tissues
from ui.parts import errors
from ui.tissue import (
    ask_question,
    bring_spots,
    is_answered,
    pick_tissue,
    show_genes,
    show_section,
    show_tissue,
    show_verdict,
)


def show_page() -> None:
    """The tissue and the question; the verdict first, then the section and the genes."""
    if not list_tissues():
        st.markdown(
            "Which genes can be read off a stained section? Bring spots of spatial "
            "transcriptomics, or look at a section whose answer is known."
        )
        bring_spots()
        return
    record = pick_tissue()
    asked = ask_question(record)
    if not is_answered(asked):
        show_tissue(record)
        return
    answer = load_answer(asked)
    show_verdict(answer)
    st.divider()
    gene = show_genes(answer)
    show_section(record, answer, gene)
    show_tissue(record)


st.title("Histology")
with errors():
    show_page()
