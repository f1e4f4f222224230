"""Explain: which genes spoke for a class, and how far that can be believed."""

import pandas as pd
import streamlit as st

from core.explain.methods import METHODS, Recipe
from core.runs.explain import explanation_state, fold_layout
from core.runs.result import headline, load_result
from core.runs.store import RunRecord
from ui.explain import (
    ask_question,
    describe,
    read_attribution,
    read_genes,
    show_gene,
    show_map,
    show_request,
    show_table,
    warn_of_regions,
)
from ui.explain_compare import show_side_by_side
from ui.explain_sets import show_sets
from ui.explain_statistics import show_markers, show_statistics
from ui.parts import download_table, errors, finished_runs, pick_run, show_empty
from ui.trust import say_trust, show_trust

VIEWS = {
    "genes": "Genes",
    "trust": "Trust card",
    "statistics": "Network or t test",
    "sets": "Gene sets",
    "markers": "Known markers",
    "compare": "Side by side",
}


def show_genes(record: RunRecord, recipe: Recipe, cls: str, table: pd.DataFrame) -> None:
    """Map and table beside each other, below them the gene that is chosen in either."""
    found = read_attribution(record.id, recipe)
    layout = fold_layout(record.id, int(found.folds[0]))
    left, right = st.columns(2, gap="large")
    with right:
        against = f" rather than {recipe.against}" if recipe.against else ""
        st.markdown(f"#### Genes that spoke for {cls}{against}")
        search = st.text_input("Find a gene", key="search", placeholder="symbol, or a part of it")
        selected = show_table(table, search)
        with st.container(horizontal=True):
            name = f"{record.id}_{recipe.stem}_{cls}"
            download_table(table, name, "Genes (CSV)", key="genes csv")
            with st.popover("Copy the gene list"):
                count = st.number_input("Top", 1, len(table), min(50, len(table)), key="top")
                st.code("\n".join(table["gene"][: int(count)]), language=None, height=300)
    with left:
        exact = [gene for gene in table["gene"] if gene.lower() == search.strip().lower()]
        marked = exact or ([selected] if selected else [str(table["gene"][0])])
        clicked = show_map(record.id, found, recipe, cls, marked)
    gene = selected or clicked or (exact[0] if exact else str(table["gene"][0]))
    show_gene(record, gene, table, layout)


def show_page() -> None:
    """Pick a run and the question; then its answer, seen from several sides."""
    records = finished_runs()
    if not records:
        show_empty("There is no finished run to explain yet.", "Train a network", "train")
        return
    record = pick_run(records)
    st.caption(headline(record.id))
    recipe, cls = ask_question(record)
    if explanation_state(record.id, recipe).state != "done":
        show_request(
            record.id, recipe, what=describe(recipe),
            button=f"Compute {METHODS[recipe.method].title}",
            duration="It takes seconds to a few minutes, in a process of its own.",
        )  # fmt: skip
        return
    found, table = read_attribution(record.id, recipe), read_genes(record.id, recipe, cls)
    layout = fold_layout(record.id, load_result(record.id).scored[0])
    say_trust(record.id, found, recipe, cls)
    warn_of_regions(found, recipe, layout, cls)
    view = st.segmented_control(
        "View", VIEWS, default="genes", required=True, format_func=VIEWS.get, key="explain view",
        label_visibility="collapsed", persist_state="session",
    )  # fmt: skip
    name = f"{record.id}_{recipe.stem}_{cls}"
    with errors():
        if view == "genes":
            show_genes(record, recipe, cls, table)
        elif view == "trust":
            show_trust(record, recipe)
        elif view == "statistics":
            show_statistics(table, name, cls)
        elif view == "sets":
            show_sets(record.id, recipe, cls, layout)
        elif view == "markers":
            show_markers(table, name, cls)
        else:
            show_side_by_side(record.id, recipe, cls)


st.title("Explain")
with errors():
    show_page()
