"""Histology: what an image of tissue says of genes, and how much of it is only depth."""

import streamlit as st

from core.errors import DamageError
from core.escape import escape_message
from core.tissue.predicting import answer_as_anndata
from core.tissue.result import load_answer
from core.tissue.store import TissueRecord, list_tissues
from ui.line import say_facts, show_line, show_looking
from ui.parts import errors
from ui.report import offer_tissue_report
from ui.tissue import show_genes, show_tissue, show_verdict
from ui.tissue_ask import ask_question, bring_spots, is_answered, pick_tissue
from ui.tissue_kept import show_kept
from ui.tissue_predict import offer_h5ad, show_other_sections
from ui.tissue_section import open_tissue, show_section


def show_page() -> None:
    """The tissue and the question; the verdict first, then the section and the genes."""
    if not list_tissues():
        show_line("Histology")
        st.markdown(
            "Which genes can be read off a stained section? Bring spots of spatial "
            "transcriptomics, or look at a section whose answer is known."
        )
        bring_spots()
        return
    with st.container(gap=None):  # so that the first picture stands high
        facts, drawer, missing = show_line("Histology", "Tissue")
        with drawer:
            record = pick_tissue(missing)
        say_facts(facts, record.name, record.size)
        asked = ask_question(record) if record.has_counts else None
    if asked is None:
        st.info(
            "These spots have no counts: nothing can be learned from them. Choose another tissue, "
            "predict its genes, and open *Predict another section* there."
        )
        _show_record(record)
        return
    if not is_answered(asked):
        _show_record(record)
        return
    try:
        answer = load_answer(asked)
    except DamageError as error:
        st.error(escape_message(str(error)))
        _show_record(record)
        return
    show_verdict(answer)
    gene = show_section(record, answer)
    show_genes(answer, gene)
    with st.container(horizontal=True):
        offer_tissue_report(asked)
        offer_h5ad(
            lambda: answer_as_anndata(answer, open_tissue(record.id)), f"tissue_{record.id[:6]}",
            key="answer h5ad",
        )  # fmt: skip
    show_other_sections(answer, gene)
    _show_record(record)


def _show_record(record: TissueRecord) -> None:
    show_tissue(record)
    show_kept(record)


with errors():
    if not show_looking("Histology", "Sections are asked in a home of your own."):
        show_page()
