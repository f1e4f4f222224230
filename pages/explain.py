"""Explain: which genes spoke for a class, and how far that can be believed."""

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.escape import escape_markdown
from core.explain.genes import top_rows
from core.explain.methods import METHODS, Recipe
from core.runs.explain import RunAttribution, describe_unseen
from core.runs.explaining import explanation_state
from core.runs.fitted import load_fitted
from core.runs.result import headline, load_result
from core.runs.store import RunRecord
from core.training.tasks import TASKS
from ui.explain import (
    DRAWN,
    ask_question,
    chosen_gene,
    describe,
    read_attribution,
    read_genes,
    read_regions,
    show_request,
    warn_of_regions,
)
from ui.explain_added import show_added
from ui.explain_compare import show_side_by_side
from ui.explain_gene import add_ids, show_gene
from ui.explain_list import show_list
from ui.explain_map import show_map
from ui.explain_samples import ask_samples
from ui.explain_sets import show_sets, show_sets_of
from ui.explain_statistics import ask_top, show_markers, show_statistics
from ui.explain_table import ask_search, show_regions, show_table
from ui.forms import HOLDS
from ui.line import say_facts, show_line
from ui.mend import mending_run
from ui.parts import download_table, errors, finished_runs, link_run, pick_run, show_empty
from ui.trust import say_measured, say_skill, show_trust, warn_of_data

LABELLED = 10
"""So many of the first genes are named on the map."""
WARNING = 112
"""Pixels at the end of the row for a warning, which is known later than the rest."""
VIEWS = {
    "genes": "Genes",
    "samples": "Chosen samples",
    "trust": "Trust card",
    "statistics": "Against statistics",
    "sets": "Gene sets",
    "markers": "Known markers",
    "compare": "Side by side",
}


def show_genes(record: RunRecord, recipe: Recipe, cls: str, table: pd.DataFrame) -> None:
    """Map and table beside each other; below them the gene and the list chosen in either."""
    found = read_attribution(record.id, recipe)
    layout = load_fitted(record.id, int(found.folds[0])).layout
    table, name = add_ids(table), f"{record.id}_{recipe.stem}_{cls}"
    picture, listed = st.columns([6, 5], gap="medium")
    of_regions = METHODS[recipe.method].unit == "region"
    with listed:
        place = st.container()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if of_regions:
                regions = read_regions(record.id, recipe, cls)
                with place:
                    selected = show_regions(regions, name)
                say_folds(found)
                saved = regions.assign(genes=regions["genes"].str.join(" "))
                download_table(saved, f"{name}_regions", "Regions (CSV)", key="regions csv")
            else:
                search = ask_search(table)
                with place:
                    selected = show_table(table, search, name)
                said = say_question(record, recipe, cls)
                download_table(table, name, "Genes (CSV)", key="genes csv", finding=said)
    gene = chosen_gene(record.id, table)
    with picture:
        named = [gene] if gene else []
        if not of_regions:
            named += [name for name in selected if name != gene]
        first = top_rows(table, LABELLED)["gene"].tolist() if "rank" in table else []
        show_map(record.id, found, recipe, cls, named, first)
    left, right = st.columns([3, 2], gap="large")
    with left:
        if gene is None:
            st.caption("Click a pixel of the map: its gene is shown here.")
        else:
            show_gene(record, gene, table, layout)
    with right:
        show_chosen(record, table, selected, name)


def say_question(record: RunRecord, recipe: Recipe, cls: str) -> str:
    """What the list answers: 'Genes that spoke for BRCA rather than LUAD'."""
    has_classes = TASKS[record.spec.task].has_classes
    spoke = f"that {'spoke for' if has_classes else 'raised the prediction of'} {cls}"
    if recipe.against:
        spoke += f" rather than {recipe.against}"
    method = METHODS[recipe.method]
    if method.unit == "region":
        return f"Regions {spoke}"
    return f"Genes {spoke if method.ranks_genes else 'with their share of their sets'}"


def show_chosen(record: RunRecord, table: pd.DataFrame, selected: list[str], name: str) -> None:
    """The list of genes drawn around, or selected, or else at the top; and its gene sets."""
    known = set(table["gene"])
    drawing = st.session_state["map pointer"] == "draw"
    drawn = [gene for gene in st.session_state.get(DRAWN, []) if gene in known]
    title = st.container()
    if drawing and drawn:
        genes, words = drawn, "drawn around on the map"
    elif len(selected) > 1 or (selected and "rank" not in table):
        genes, words = selected, "selected in the table"
    elif "rank" not in table:
        st.caption("Select a row of the table: its genes become a list.")
        return
    else:
        k = ask_top(table, key="list top")
        genes, words = top_rows(table, k)["gene"].tolist(), "at the top of the table"
        if len(genes) < k:
            st.caption(f"Others are tied for the last of the first {k} places and left out.")
    title.markdown(f"## {len(genes):,} genes {words}")
    if drawing and not drawn:
        st.caption("Draw around pixels of the map with the mouse: their genes become this list.")
    show_list(record, genes, table, name, key="list")
    with st.expander("Which gene sets are they rich in?", on_change="rerun") as sets, errors():
        if sets.open:
            show_sets_of(genes, table, name)
            if genes is drawn:
                st.caption(
                    "Genes that stand together are alike to begin with where a layout learns: read "
                    "this as a description of the patch, not as evidence."
                )


def say_folds(found: RunAttribution) -> None:
    """Of which fold's map regions are, where there are several."""
    if len(np.unique(found.folds)) > 1:
        st.caption(
            f"Of fold {found.folds.min() + 1}: each fold has a layout, and so regions, of its own. "
            "`genecanvas explain` gives those of all folds."
        )


def needs_ranks(recipe: Recipe) -> bool:
    """Whether the method ranks genes; else says what to do."""
    method = METHODS[recipe.method]
    if not method.ranks_genes:
        st.info(
            f"{method.title} scores {method.unit}s: the genes of a {method.unit} are tied, so "
            "there is no ranking of genes to look at here. Choose integrated gradients above."
        )
    return method.ranks_genes


def is_computed(record: RunRecord, recipe: Recipe) -> bool:
    """Whether the attribution stands; else offers to compute it, or shows how far that is."""
    if explanation_state(record.id, recipe).state == "done":
        return True
    method = METHODS[recipe.method]
    often = "It asks the network some hundred times per sample: minutes to an hour on a CPU"
    show_request(
        record.id, recipe, what=describe(recipe), button=f"Compute {method.title}",
        duration=f"{often if method.asks_often else 'It takes seconds to a few minutes'}, in a "
        "process of its own.",
    )  # fmt: skip
    return False


def show_page() -> None:
    """Pick a run and the question; then its answer, seen from several sides."""
    records = finished_runs()
    facts, drawer, missing = show_line("Explain", "Run and method" if records else None)
    if not records:
        show_empty("There is no finished run to explain yet.", "Train a network", "train")
        return
    with drawer:
        record = pick_run(records, missing)
    with mending_run(record.id):
        show_run(record, facts, drawer)


def show_run(record: RunRecord, facts: DeltaGenerator, drawer: DeltaGenerator) -> None:
    """The question, and its answer once that is computed."""
    row = st.container(horizontal=True, vertical_alignment="bottom", key="explain_row")
    with row:
        recipe, cls = ask_question(record, drawer)
        with st.container():  # as wide as there is room
            view = st.segmented_control(
                "View", VIEWS, default="genes", required=True, format_func=VIEWS.get,
                key="explain view", label_visibility="collapsed", **HOLDS,
            )  # fmt: skip
        warning = st.container(width=WARNING)
    if recipe is not None:
        say_facts(facts, say_question(record, recipe, cls), record.name)
    if recipe is not None and is_computed(record, recipe):
        show_answer(record, recipe, cls, view, warning)


def show_answer(
    record: RunRecord, recipe: Recipe, cls: str, view: str, warning: DeltaGenerator
) -> None:
    """The answer from one side; what warns of it in its place in the row above."""
    found, table = read_attribution(record.id, recipe), read_genes(record.id, recipe, cls)
    layout = load_fitted(record.id, load_result(record.id).scored[0]).layout
    with warning:
        warn_of_data(record.id)
    say_skill(record.id, cls)
    warn_of_regions(record.spec, found, recipe, layout, cls)
    if unseen := describe_unseen(record.id):
        st.warning(escape_markdown(unseen))
    name = f"{record.id}_{recipe.stem}_{cls}"
    with mending_run(record.id):
        if view == "genes":
            show_genes(record, recipe, cls, table)
        elif view == "trust":
            show_trust(record, recipe)
        elif view == "statistics":
            if needs_ranks(recipe):
                show_statistics(table, name, cls, TASKS[record.spec.task])
        elif view == "samples":
            chosen = ask_samples(record, recipe, cls)
            if chosen is not None and is_computed(record, chosen):
                show_genes(record, chosen, cls, read_genes(record.id, chosen, cls))
        elif view == "sets" and METHODS[recipe.method].uses_sets:
            show_added(record, recipe, cls, layout)
        elif view == "sets":
            if needs_ranks(recipe):
                show_sets(record, recipe, cls, layout)
        elif view == "markers":
            if needs_ranks(recipe):
                show_markers(table, name, cls)
        else:
            show_side_by_side(record.id, recipe, cls)
    if view != "trust":
        say_measured(record.id, found, recipe, cls)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(escape_markdown(headline(record.id)), width="stretch")
        link_run(record.id)


with errors():
    show_page()
