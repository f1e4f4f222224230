"""Does the model fit these samples? What is found before anything is called."""

import numpy as np
import pandas as pd
import streamlit as st

from core.escape import escape_message
from core.glossary import define
from core.plots.predict import quantile_curves
from core.predict.matching import MatchCard
from ui.about import About
from ui.card import SCALES
from ui.parts import download_table, say_finding, show_figure

MOST_MISSING = 12
"""Missing genes that are listed, the most important first."""


def show_values(card: MatchCard) -> None:
    """The values beside those of training: whether they are on one scale."""
    curves = {"these samples": card.quantiles, "training": card.training_quantiles}
    curves = {name: np.asarray(values) for name, values in curves.items() if len(values)}
    table = pd.DataFrame(curves)
    show_figure(
        quantile_curves(curves, "log2 expression"), table, "quantiles",
        alt="Quantiles of the expression values of these samples and of training",
        about=About(
            "The quantiles of the expression values of these samples and of training.",
            f"{card.found:,} genes of the model that were found here, of all samples.",
            "log2 values after the model's preparation of the scale, all genes and samples "
            "together, before anything is done to bring the cohorts together.",
            "Lines that lie on each other are no proof that single genes agree; lines that lie "
            "apart are a warning.",
        ),
    )  # fmt: skip
    st.caption(
        "Values beside those of training: where the two lines lie apart, the cohorts were measured "
        "or processed differently, and probabilities are less to be trusted."
        if len(card.quantiles)
        else "The values of training: of the model's genes there are none in these samples."
    )


def show_match(card: MatchCard) -> None:
    """The card: its numbers, what was found, the genes that are missing."""
    numbers = st.columns(5)
    numbers[0].metric(
        "Genes found", f"{card.found:,} of {card.needed:,}", f"{card.share_found:.1%}",
        delta_color="off", delta_arrow="off",
        help="By their ids: symbols of today and of former years, Ensembl, Entrez.",
    )  # fmt: skip
    numbers[1].metric("Of the weight", f"{card.weight_found:.1%}", help=define("weight of a gene"))
    numbers[2].metric(
        "Scale", SCALES.get(card.scale, card.scale),
        f"model: {SCALES.get(card.expected_scale, card.expected_scale)}",
        delta_color="off", delta_arrow="off",
    )  # fmt: skip
    numbers[3].metric("Learned from", f"{len(card.learned_from):,} of these samples", help=
        "Samples that the model has learned from are called, but count in no score: it knows them."
    )  # fmt: skip
    numbers[4].metric("Verdict", "does not fit" if card.refused else "can be called")
    st.markdown("## What was found")
    for finding in card.findings:
        say_finding(finding)
    if not (card.findings or card.translated or card.missing):
        st.markdown("All genes are there under their names, and nothing else stands out.")
    for sentence in card.translated:
        st.markdown(f":gray-badge[:material/translate: genes] {escape_message(sentence)}")
    _show_missing(card)


def _show_missing(card: MatchCard) -> None:
    """The missing genes on which answers rest most."""
    if not card.missing:
        return
    table = pd.DataFrame(card.missing, columns=["gene", "weight"])
    with st.expander(f"{len(table):,} genes of the model are missing"):
        st.dataframe(
            table.head(MOST_MISSING), hide_index=True, height="content", key="missing genes",
            column_config={
                "weight": st.column_config.NumberColumn(
                    format="percent", help=define("weight of a gene")
                )
            },
        )  # fmt: skip
        if len(table) > MOST_MISSING:
            st.caption(f"The {MOST_MISSING} with the most weight; the file has all.")
        download_table(table, "missing_genes", "All missing genes (CSV)", key="missing csv")
