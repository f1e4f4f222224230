"""The genes that spoke for a class, on the page of their run: a map and the first ones of it."""

import numpy as np
import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.explain.genes import top_rows
from core.explain.methods import METHODS
from core.plots.figures import gene_image, name_genes
from core.plots.findings import say_attributions
from core.runs.explain import RunAttribution
from core.runs.explaining import explanation_state
from core.runs.fitted import load_fitted
from core.runs.result import load_result
from core.runs.store import RunRecord
from core.training.tasks import TASKS
from ui.about import about_map
from ui.explain import GENE, chosen_gene, read_attribution, read_genes, show_request
from ui.explain_gene import say_gene
from ui.explain_map import mean_scores
from ui.parts import go_to, show_figure
from ui.trust import say_skill
from ui.whatif import RECIPE

FIRST = 10
"""Genes that are listed."""
HEIGHT = 370


def show_genes(record: RunRecord) -> None:
    """Map and list of a class's genes; before they are there, how far they are."""
    method = METHODS[RECIPE.method].title
    if explanation_state(record.id, RECIPE).state != "done":
        st.markdown("## Which genes decided?")
        show_request(
            record.id, RECIPE, what=method, button=f"Compute {method}",
            duration="It takes seconds to a few minutes, in a process of its own.",
        )  # fmt: skip
        return
    found = read_attribution(record.id, RECIPE)
    picture, listed = st.columns([10, 9], gap="medium")
    with listed:
        cls = ask_class(record)
        table = read_genes(record.id, RECIPE, cls)
        list_first(table, f"first {record.id} {cls}")
    gene = chosen_gene(record.id, table)
    with picture:
        draw_map(record.id, found, cls, gene, top_rows(table, FIRST)["gene"].tolist())
    say_skill(record.id, cls)
    if gene is not None and (table["gene"] == gene).any():
        with st.container(gap=None):
            st.markdown(f"**{escape_markdown(gene)}**")
            say_gene(record, gene, table)


def ask_class(record: RunRecord) -> str:
    """The class that is asked about; Explain shares the choice. Of a number it is the number."""
    classes = load_result(record.id).classes
    verb = "spoke for" if TASKS[record.spec.task].has_classes else "raised"
    if len(classes) == 1:
        st.markdown(f"Genes that {verb} **{escape_markdown(classes[0])}**")
        return classes[0]
    wanted = st.query_params.get("class")
    cls = st.selectbox(
        f"Genes that {verb}", classes, index=classes.index(wanted) if wanted in classes else 0,
        key=f"class {record.id}", persist_state="session",
    )  # fmt: skip
    if cls != (wanted or classes[0]):  # what nobody chose is no step that Back would undo
        st.query_params["class"] = cls
    return cls


def list_first(table: pd.DataFrame, key: str) -> None:
    """The first genes of a class; a click on one shows it."""
    first = table.head(FIRST)
    shown = first[["rank", "gene", "score", "direction", "log2fc"]]
    shown = shown.loc[:, ~shown.isna().all()]

    def take() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells:
            st.session_state[GENE] = str(first["gene"].iloc[cells[0][0]])

    number = st.column_config.NumberColumn
    st.dataframe(
        shown, hide_index=True, key=key, on_select=take, selection_mode="single-cell",
        row_height=29,
        column_config={
            "rank": number("", width=30),
            "gene": st.column_config.TextColumn("Gene"),
            "score": number("Score", format="%.3g"),
            "direction": st.column_config.TextColumn("In class"),
            "log2fc": number("log2 FC", format="%.1f"),
        },
    )  # fmt: skip


def draw_map(run: str, found: RunAttribution, cls: str, gene: str | None, first: list[str]) -> None:
    """The mean attribution of a class's held-out samples, to click on; the first genes named."""
    rows = np.flatnonzero(found.labels == cls)
    layout = load_fitted(run, int(found.folds[rows[0]])).layout
    values = mean_scores(found, rows, layout.genes)
    figure = gene_image(
        layout, values, name="attribution", diverging=METHODS[RECIPE.method].signed,
        marked=[gene] if gene else [],
    )  # fmt: skip
    name_genes(figure, layout, [name for name in first if name != gene], side=HEIGHT - 40)
    figure.update_traces(showscale=False, selector={"type": "heatmap"})
    figure.update_layout(height=HEIGHT, margin={"t": 4, "r": 10})
    data = pd.DataFrame({"gene": layout.genes, "row": layout.row + 1, "column": layout.col + 1,
                         "attribution": values})  # fmt: skip

    def take() -> None:
        points = st.session_state["run map"]["selection"]["points"]
        if points:
            st.session_state[GENE] = str(layout.genes[points[0]["point_index"]])

    show_figure(
        figure, data, f"{RECIPE.stem}_{cls}", key="run map", select=take,
        alt=say_attributions(values, layout.genes, cls),
        about=about_map(METHODS[RECIPE.method].title, cls, len(rows)),
    )  # fmt: skip


def open_explain(record: RunRecord) -> None:
    """Change to the page Explain, on the class that is looked at."""
    cls = st.session_state.get(f"class {record.id}")
    link = {"run": record.id, "method": RECIPE.method}
    go_to("explain", link | ({"class": cls} if cls else {}))
