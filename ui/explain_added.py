"""What each gene set adds to a class, by the methods that ask the network about sets."""

import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.explain.gene_sets import REST
from core.explain.methods import METHODS, Recipe
from core.images.layout import GeneLayout
from core.plots.explain import circle_genes, set_bars
from core.plots.figures import gene_image
from core.runs.explain import class_sets
from core.runs.store import RunRecord
from ui.about import About
from ui.explain import read_genes
from ui.explain_list import show_list
from ui.kept import cache_data
from ui.parts import percents, show_figure

SHOWN = 15
"""Sets at each end of the list that are drawn."""


@cache_data(max_entries=10, show_spinner="Reading the sets' scores")
def read_sets(run: str, recipe: Recipe, cls: str) -> pd.DataFrame:
    """What each set adds to a class."""
    return class_sets(run, recipe, cls)


def show_added(record: RunRecord, recipe: Recipe, cls: str, layout: GeneLayout) -> None:
    """The sets by their scores, as bars and a table; one of them on the gene-image."""
    table, name = read_sets(record.id, recipe, cls), f"{record.id}_{recipe.stem}_{cls}"
    if METHODS[recipe.method].partition:
        title = "part of the class score"
        how = (
            "Scores of the sets add up to the change of the class score; a gene counts in the "
            "smallest of its sets only."
        )
    else:
        title = "fall of the class score without the set"
        how = "Each set by itself; sets share genes, so the falls don't add up."
    named, rest = table[table["set"] != REST], table[table["set"] == REST]
    held = "".join(
        f" The {row.size} genes in none of the sets: {row.score:+.3g}."
        for row in rest.itertuples(index=False)
    )
    st.caption(f"{how} Mean ± SD over the samples explained.{held}")
    listed = table.assign(genes=table["genes"].str.join(", "))
    ends = named if len(named) <= 2 * SHOWN else pd.concat([named[:SHOWN], named[-SHOWN:]])
    show_figure(
        set_bars(ends, title), listed, f"{name}_added", alt=f"What gene sets add to {cls}",
        key="added",
        about=About(
            f"What each gene set adds to the score of {escape_markdown(cls)}: the highest and the "
            "lowest.",
            f"{len(named)} sets. Mean and standard deviation over the explained held-out samples.",
            how,
            "A set's score is of its genes together; which of them it comes from is not known.",
        ),
    )  # fmt: skip
    number = st.column_config.NumberColumn
    st.dataframe(
        listed, hide_index=True, height=300, key=f"{name} added",
        column_order=["rank", "set", "score", "sd", "positive", "size", "folds", "genes"],
        column_config={
            "rank": number("Rank", width=55), "set": "Set",
            "score": number("Score", format="%.3g"), "sd": number("± SD", format="%.2g"),
            "positive": percents(
                "Samples", help="Share of the samples in which the set speaks for the class."
            ),
            "size": number("Genes switched"), "folds": number("Folds"), "genes": "Genes",
        },
    )  # fmt: skip
    chosen = st.selectbox("Look at a set", named["set"].tolist(), key="added set")
    members = table.loc[table["set"] == chosen, "genes"].item()
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"## {escape_markdown(chosen)} on the gene-image")
        st.caption("Each gene in the colour of its share of its sets' scores; the set is circled.")
        genes = read_genes(record.id, recipe, cls)
        scores = genes.set_index("gene")["score"].reindex(layout.genes).fillna(0).to_numpy()
        figure = gene_image(layout, scores, name="share of the score", diverging=True)
        show_figure(
            circle_genes(figure, layout, members), genes, f"{name}_set",
            alt=f"Genes of {chosen} on the gene-image", key="added map",
            about=About(
                "Each gene in the colour of its share of its sets' scores; the set is circled.",
                f"{len(members)} genes of the set, of {len(layout.genes):,} on the image.",
                "A set's score is divided among its genes alike.",
                "No gene of a set comes before another here.",
            ),
        )  # fmt: skip
    with right:
        st.markdown(f"## Its {len(members)} genes")
        show_list(record, members, genes, f"{name}_set", key="added list")
