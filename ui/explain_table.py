"""The ranked genes on the Explain page, and the regions of methods that don't rank genes."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core.explain.links import gene_links
from core.glossary import define
from ui.explain import GENE
from ui.parts import percents


def ask_search(table: pd.DataFrame) -> str:
    """What genes are looked for; a whole symbol chooses that gene."""

    def take() -> None:
        wanted = st.session_state["search"].strip().lower()
        exact = [gene for gene in table["gene"] if gene.lower() == wanted]
        if exact:
            st.session_state[GENE] = exact[0]

    return st.text_input(
        "Find a gene", key="search", placeholder="symbol, or a part of it", on_change=take
    ).strip()


def show_table(table: pd.DataFrame, search: str, key: str) -> list[str]:
    """The ranked genes; gives back those that are selected.

    Args:
        table: the gene table, with ids where they are known.
        search: show genes with this in their symbol or name only.
        key: what the table is of; a selection holds for one table.
    """
    shown = table
    if search:
        named = [column for column in ("gene", "symbol", "name") if column in table]
        fits = [table[name].str.contains(search, case=False, regex=False) for name in named]
        shown = table[np.any(fits, axis=0)]
    shown = shown.assign(links=[gene_links(gene)["GeneCards"] for gene in shown["gene"]])
    key, genes = f"genes {key} {search}", shown["gene"].tolist()
    if "selected" in shown:
        shown["selected"] = (100 * shown["selected"]).round()
    number = st.column_config.NumberColumn
    columns = {
        "rank": number("Rank", width=55),
        "tied": number("Tied", width=55, help="So many genes share this rank."),
        "gene": st.column_config.TextColumn("Gene"),
        "score": number(
            "Score", format="%.3g",
            help=f"Mean over the class's held-out samples. {define('attribution')}",
        ),
        "sd": number("± SD", format="%.2g", help="SD of the score over these samples."),
        "selected": number(
            "In folds", format="%d %%",
            help="In how many of the folds the gene is among the top genes.",
        ),
        "consensus": number(
            "Consensus", format="%.2g",
            help="How unlikely such ranks are if the folds' lists were random (robust rank "
            "aggregation, Kolde et al. 2012): low is good. The table is ranked by it.",
        ),
        "symbol": st.column_config.TextColumn("Symbol", help="HGNC's symbol today."),
        "name": st.column_config.TextColumn("Name", width="medium"),
        "direction": st.column_config.TextColumn(
            "In class", help="Whether expression in the class is higher or lower than outside."
        ),
        "log2fc": number(
            "log2 FC", format="%.2f", help=define("log2 fold change")
        ),
        "fdr": number(
            "FDR", format="%.2g",
            help="Of a Welch t test, or of the correlation. "
            + define("false discovery rate (FDR)"),
        ),
        "correlation": number(
            "Correlation", format="%.2f", help="Pearson's, of expression with the target."
        ),
        "auroc": number(
            "AUROC", format="%.2f",
            help="How well the gene alone tells the class: 0.5 not at all; below: low in it.",
        ),
        "mean_in": number("Mean in", format="%.2f", help="Mean log2 expression in the class."),
        "mean_out": number("Mean out", format="%.2f", help="Mean log2 expression elsewhere."),
        "welch": number("Welch", format="%d", help="Rank by the p value of a Welch t test."),
        "logistic": number(
            "Logistic", format="%d",
            help="Rank by the size of the gene's weight in logistic regression with a fixed "
            "penalty (of a number: ridge regression), fitted on the same training samples; with "
            "several folds by its mean.",
        ),
        "pixel": st.column_config.TextColumn("Pixel", help="Row, column on the gene-image."),
        "ensembl": st.column_config.TextColumn("Ensembl"),
        "entrez": st.column_config.TextColumn("Entrez"),
        "uniprot": st.column_config.TextColumn("UniProt"),
        "links": st.column_config.LinkColumn("More", display_text="GeneCards"),
    }  # fmt: skip
    empty = [name for name in ("log2fc", "auroc", "welch", "logistic") if table[name].isna().all()]
    if "tied" in table and (table["tied"] == 1).all():
        empty.append("tied")
    event = st.dataframe(
        shown, hide_index=True, height=480, selection_mode="multi-row", key=key,
        on_select=partial(_take_rows, key, genes, _selected(key, genes)), column_config=columns,
        column_order=[name for name in columns if name in shown and name not in empty],
    )  # fmt: skip
    if "log2fc" in empty and "correlation" not in table:
        st.caption(
            "No fold changes: many of the file's log2 values are below 0, so its genes were "
            "centred or z-scored, and their differences are in no unit."
        )
    if "name" not in table:
        st.caption(
            "Names and ids (Ensembl, Entrez, UniProt) stand here once HGNC's list is stored: press "
            "“Look for outdated gene symbols” on the page Data while you bring a file, or run "
            "`genecanvas data fetch hgnc`."
        )
    return [genes[row] for row in event["selection"]["rows"]]


def show_regions(table: pd.DataFrame, key: str) -> list[str]:
    """A class's regions, best first; gives back the genes of the region that is selected.

    Args:
        table: of `class_regions`, one fold's.
        key: what the table is of; a selection holds for one table.
    """
    number = st.column_config.NumberColumn
    shown = table.assign(genes=table["genes"].str.join(", "))
    columns = {
        "rank": number("Rank", width=55),
        "tied": number("Tied", width=55, help="So many regions share this rank."),
        "region": st.column_config.TextColumn("Region of the map"),
        "score": number("Score", format="%.3g", help="Mean over the class's held-out samples."),
        "sd": number("± SD", format="%.2g", help="SD of the score over these samples."),
        "positive": percents(
            "Samples",
            help="Share of the samples in which the region spoke for the class.",
        ),
        "size": number("Genes", help="Genes painted on this region."),
        "genes": st.column_config.TextColumn("Which genes, by name", width="large"),
    }  # fmt: skip
    left_out = ["tied"] if (table["tied"] == 1).all() else []
    event = st.dataframe(
        shown, hide_index=True, height=480, selection_mode="single-row", on_select="rerun",
        key=f"regions {key}", column_config=columns,
        column_order=[name for name in columns if name not in left_out],
    )  # fmt: skip
    rows = event["selection"]["rows"]
    return table["genes"].iloc[rows[0]] if rows else []


def _selected(key: str, genes: Sequence[str]) -> list[str]:
    """The genes that are selected in the table of that key before it is drawn again."""
    event = st.session_state.get(key)
    return [genes[row] for row in event["selection"]["rows"]] if event else []


def _take_rows(key: str, genes: Sequence[str], before: Sequence[str]) -> None:
    """Look at the gene whose row was selected now."""
    new = [gene for gene in _selected(key, genes) if gene not in before]
    if new:
        st.session_state[GENE] = new[-1]
