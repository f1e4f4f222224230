"""Explain: which genes spoke for a class, with what can be said about the map's trustworthiness."""

import numpy as np
import pandas as pd
import streamlit as st

from core.explain.methods import METHODS, Method, Recipe
from core.plots.figures import expression_by_class, gene_image, region_map
from core.runs.explain import (
    TOP_GENES,
    RunAttribution,
    class_genes,
    explanation_state,
    fold_layout,
    gene_expression,
    load_attribution,
    request_explanation,
)
from core.runs.result import headline, load_predictions, load_result
from core.runs.store import RunRecord
from ui.forms import ask_record
from ui.parts import (
    errors,
    finished_runs,
    open_dataset,
    pick_run,
    show_empty,
    show_figure,
)

LINKS = {
    "GeneCards": "https://www.genecards.org/cgi-bin/carddisp.pl?gene={}",
    "Ensembl": "https://www.ensembl.org/Homo_sapiens/Gene/Summary?g={}",
    "NCBI": "https://www.ncbi.nlm.nih.gov/gene/?term={}%5Bsym%5D+AND+human%5Borgn%5D",
}


@st.cache_resource(max_entries=4, show_spinner="Reading the attribution")
def read_attribution(run: str, method: str) -> RunAttribution:
    """A computed attribution, kept while it is among the last four looked at."""
    return load_attribution(run, Recipe(method))


def show_request(run: str, method: Method) -> None:
    """The button that computes an attribution, and its progress."""
    state = explanation_state(run, Recipe(method.name))
    if state.state == "failed":
        st.error(f"{method.title} could not be computed. {state.message}")
    if state.state == "working":
        st.fragment(wait_for, run_every=1)(run, method)
        return
    st.markdown(f"**{method.title}** has not been computed for this run yet.")
    st.caption("It takes seconds to a few minutes, in a process of its own.")
    if st.button(f"Compute {method.title}", type="primary", key="compute"):
        request_explanation(run, Recipe(method.name))
        st.rerun()


def wait_for(run: str, method: Method) -> None:
    """Progress of the computation; reruns the page once when it ends."""
    state = explanation_state(run, Recipe(method.name))
    if state.state != "working":
        st.rerun()
    st.progress(state.fraction, f"Computing {method.title}. It is safe to close this tab.")


def say_trust(found: RunAttribution, method: Method, cls: str, shape: tuple[int, int]) -> None:
    """What is known about how far the map can be believed, in words."""
    overlap = found.untrained_overlap[cls]
    st.markdown(
        f"{':green-badge[ok]' if overlap < 0.2 else ':orange-badge[look out]'} The same network "
        f"without training names {overlap:.0%} of the same {TOP_GENES} top genes. "
        "The less, the more the list comes from what was learned."
    )
    if found.completeness is not None:
        error = float(np.median(found.completeness[found.labels == cls]))
        st.markdown(
            f"{':green-badge[ok]' if error < 0.05 else ':orange-badge[look out]'} Completeness: "
            f"the genes' scores miss the change of the class score by {error:.1%} (median)."
        )
    if method.unit == "region":
        genes = len(found.genes) / (found.maps.shape[1] * found.maps.shape[2])
        st.warning(
            f"Region view: the map has {found.maps.shape[1]} x {found.maps.shape[2]} cells on a "
            f"canvas of {shape[0]} x {shape[1]}, so one cell covers about {genes:.0f} genes. Rank "
            "genes by integrated gradients instead."
        )
        if not np.abs(found.maps[found.labels == cls]).max() > 0:
            st.warning("The map of this class is empty: the method found nothing to show.")


def show_map(
    record: RunRecord, found: RunAttribution, method: Method, cls: str, marked: list[str]
) -> str | None:
    """The class mean or one sample as a map over the genes; gives back a clicked gene."""
    fold = int(found.folds[found.labels == cls][0])
    layout = fold_layout(record.id, fold)
    own = np.flatnonzero((found.labels == cls) & (found.folds == fold))
    predicted = load_predictions(record.id).set_index("sample")["predicted"]
    names = {"": f"Mean of {len(own)} held-out samples"}
    for row in own:
        sample = found.samples[row]
        wrong = "" if predicted[sample] == cls else f", taken for {predicted[sample]}"
        names[sample] = f"{sample}{wrong}"
    sample = st.selectbox("Shown", list(names), format_func=names.get, key=f"shown {cls}")
    rows = own if not sample else own[found.samples[own] == sample]
    at = np.searchsorted(found.genes, layout.genes)
    values = found.scores[rows][:, at].mean(axis=0)
    figure = gene_image(layout, values, name="attribution", diverging=method.signed, marked=marked)
    table = pd.DataFrame({"gene": layout.genes, "row": layout.row, "column": layout.col,
                          "attribution": values})  # fmt: skip
    points = show_figure(
        figure, table, f"{method.name}_{cls}", alt=f"{method.title} of {cls}", key="map",
        select=True,
    )  # fmt: skip
    if method.unit == "region":
        image = found.maps[rows].mean(axis=0)
        with st.expander("The map as it was computed"):
            show_figure(
                region_map(image, name="attribution", diverging=method.signed),
                pd.DataFrame(image), f"{method.name}_{cls}_map", alt=f"Raw map of {cls}", key="raw",
            )  # fmt: skip
    return str(layout.genes[points[0]["point_index"]]) if points else None


def show_table(table: pd.DataFrame, search: str) -> str | None:
    """The ranked genes; gives back a selected gene."""
    shown = table[table["gene"].str.contains(search, case=False, regex=False)] if search else table
    shown = shown.assign(links=[LINKS["GeneCards"].format(gene) for gene in shown["gene"]])
    event = st.dataframe(
        shown,
        hide_index=True,
        height=430,
        on_select="rerun",
        selection_mode="single-row",
        key="genes",
        column_order=["rank", "gene", "score", "log2fc", "fdr", "auroc", "links"],
        column_config={
            "rank": st.column_config.NumberColumn("Rank"),
            "gene": st.column_config.TextColumn("Gene"),
            "score": st.column_config.NumberColumn(
                "Score", format="%.3g", help="Mean attribution over the class's held-out samples."
            ),
            "log2fc": st.column_config.NumberColumn(
                "log2 fold change", format="%.2f", help="Mean in the class minus mean elsewhere."
            ),
            "fdr": st.column_config.NumberColumn(
                "FDR", format="%.2g", help="Welch t test, Benjamini-Hochberg."
            ),
            "auroc": st.column_config.NumberColumn(
                "AUROC", format="%.2f", help="How well the gene alone tells the class."
            ),
            "links": st.column_config.LinkColumn("More", display_text="GeneCards"),
        },
    )
    rows = event["selection"]["rows"]
    return str(shown.iloc[rows[0]]["gene"]) if rows else None


def show_gene(record: RunRecord, gene: str, table: pd.DataFrame) -> None:
    """One gene: its expression in each class, its numbers, and where to read on."""
    st.markdown(f"#### {gene}")
    links = " · ".join(f"[{name}]({url.format(gene)})" for name, url in LINKS.items())
    row = table[table["gene"] == gene].iloc[0]
    st.markdown(
        f"Rank {row['rank']} of {len(table)} for {row['class']}; {abs(row['log2fc']):.2f} log2 "
        f"{'higher' if row['log2fc'] > 0 else 'lower'} than in the other classes. {links}"
    )
    values = gene_expression(record.spec, open_dataset(record.spec.dataset), gene)
    figure = expression_by_class(
        values["log2_expression"].to_numpy(), values["class"].to_numpy(), gene
    )
    show_figure(figure, values, f"{gene}_expression", alt=f"{gene} by class", key="expression")


def show_page() -> None:
    """Pick a run, a method and a class; then map, table, gene."""
    records = finished_runs()
    if not records:
        show_empty("There is no finished run to explain yet.", "Train a network", "train")
        return
    first, second, third = st.columns([3, 2, 1])
    with first:
        record = pick_run(records)
    with second:
        method = METHODS[ask_record(METHODS, "Method", key="method")]
    classes = load_result(record.id).classes
    cls = third.selectbox("Class", classes, key=f"class {record.id}")
    st.caption(headline(record.id))
    if explanation_state(record.id, Recipe(method.name)).state != "done":
        show_request(record.id, method)
        return
    found, table = (
        read_attribution(record.id, method.name),
        class_genes(record.id, Recipe(method.name), cls),
    )
    say_trust(found, method, cls, fold_layout(record.id, 0).shape)
    left, right = st.columns(2, gap="large")
    with right:
        st.markdown(f"#### Genes that spoke for {cls}")
        search = st.text_input("Find a gene", key="search", placeholder="symbol, or a part of it")
        selected = show_table(table, search)
        tools = st.container(horizontal=True)
        with tools:
            name = f"{record.id}_{method.name}_{cls}"
            st.download_button(
                "Genes (CSV)", lambda: table.to_csv(index=False).encode(), f"{name}.csv",
                on_click="ignore",
            )  # fmt: skip
            with st.popover("Copy the gene list"):
                count = st.number_input("Top", 1, len(table), min(50, len(table)), key="top")
                st.code("\n".join(table["gene"][: int(count)]), language=None, height=300)
    with left:
        exact = [gene for gene in table["gene"] if gene.lower() == search.strip().lower()]
        marked = exact or ([selected] if selected else [str(table["gene"][0])])
        clicked = show_map(record, found, method, cls, marked)
    gene = selected or clicked or (exact[0] if exact else str(table["gene"][0]))
    show_gene(record, gene, table)


st.title("Explain")
with errors():
    show_page()
