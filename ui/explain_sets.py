"""Gene sets: over-represented among the top genes, or gathered at an end of the ranking.

Those that pass are also shown as a network of what they share.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import InputError
from core.escape import escape_markdown
from core.explain.enrichment import (
    LARGEST,
    PERMUTATIONS,
    SMALLEST,
    over_representation,
    prerank,
    running_score,
)
from core.explain.genes import top_rows
from core.explain.methods import Recipe
from core.explain.network import LINKED, arrange_sets, link_sets
from core.glossary import define
from core.images.layout import GeneLayout
from core.images.references import read_gene_sets, reference_file
from core.plots.explain import circle_genes, running_sum, set_dots, set_network
from core.plots.figures import gene_image
from core.plots.findings import say_sets
from core.runs.store import RunRecord
from ui.about import About, about_sets
from ui.explain import read_genes
from ui.explain_list import show_list
from ui.explain_statistics import ask_top
from ui.forms import ask_number
from ui.gene_sets import pick_sets
from ui.kept import cache_data
from ui.parts import download_table, show_figure

SHOWN_SETS = 20
MOST_LINKED = 100
"""Sets of lowest FDR that a network shows."""
NAMED_GENES = 3


def show_sets(record: RunRecord, recipe: Recipe, cls: str, layout: GeneLayout) -> None:
    """Bring sets, test them, look at one."""
    run, reference = record.id, pick_sets()
    if reference is None:
        return
    sets = read_gene_sets(reference_file(reference))
    table, name = read_genes(run, recipe, cls), f"{run}_{recipe.stem}_{cls}"
    known = len({gene for genes in sets.values() for gene in genes} & set(table["gene"]))
    st.caption(
        f"{len(sets):,} sets; {known:,} of their genes are among the {len(table):,} on the image. "
        f"Sets with {SMALLEST} to {LARGEST} genes on the image are tested."
    )
    test = st.segmented_control(
        "Test", ["Among the top genes", "Along the whole ranking"], default="Among the top genes",
        required=True, key="set test", label_visibility="collapsed",
    )  # fmt: skip
    if test == "Among the top genes":
        left, _ = st.columns([1, 3])
        with left:
            k = ask_top(table, key="sets top")
        found = test_list(run, recipe, cls, reference, k)
        st.caption(
            f"Hypergeometric test of the {k} top genes, with the {len(table):,} genes on the image "
            "as background; Benjamini-Hochberg over the sets."
        )
        shown = found[found["overlap"] > 0].head(SHOWN_SETS)
        show_over_represented(shown, found, name)
        genes_of = dict(zip(found["set"], found["genes"], strict=True))
    else:
        found = test_ranking(run, recipe, cls, reference)
        st.caption(
            f"GSEA on the ranking by score, {PERMUTATIONS:,} random sets of each size; "
            "Benjamini-Hochberg over the sets. NES above 0: the set's genes spoke for the class."
        )
        show_gathered(found, name)
        genes_of = dict(zip(found["set"], found["leading"], strict=True))
    show_network(found, sets, table["gene"], name)
    chosen = show_set(table, layout, sets, list(found["set"]), genes_of, name, cls)
    show_list(record, genes_of[chosen], table, f"{name}_set", key="set list")


def show_network(
    found: pd.DataFrame, sets: Mapping[str, Sequence[str]], genes: Collection[str], name: str
) -> None:
    """Sets that pass as a network: related ones lie together; a click looks at a set."""
    st.markdown("## Which of these sets are the same genes?")
    left, _ = st.columns([1, 3])
    with left:
        limit = ask_number(
            "FDR below", 0.001, 1.0, 0.05, step=0.05, format="%.3f", key="network limit"
        )
    passing = found[found["fdr"] < limit].head(MOST_LINKED)
    if len(passing) < 2:
        st.caption(
            f"{len(passing)} of the sets pass at this limit: there is nothing to link. With a "
            "higher one, what is shown is not significant and may be luck."
        )
        return
    on_image = set(genes)
    own = {one: [gene for gene in sets[one] if gene in on_image] for one in passing["set"]}
    links = link_sets(own)
    table = arrange_sets(own, links).merge(passing[["set", "size", "fdr"]], on="set")
    table["genes"] = table["set"].map(own)
    listed = table.assign(genes=table["genes"].str.join(", "))
    figure = set_network(table, links)
    show_figure(
        figure, listed, f"{name}_set_network", alt="Gene sets, linked where they share genes",
        key="set network", select=_take_set,
        about=About(
            "Gene sets that pass the limit, as points; sets that share genes are linked.",
            f"{len(table)} sets with an FDR below {limit:g}, {MOST_LINKED} at most.",
            f"Linked where two share {LINKED:.0%} or more of the smaller one's genes on the image "
            "(EnrichmentMap, Merico et al. 2010).",
            "A group of linked sets is one finding rather than several.",
        ),
    )  # fmt: skip
    groups = table["group"].nunique()
    st.caption(
        f"{len(table)} sets with an FDR below {limit:g}, in {groups} groups; linked where they "
        f"share {LINKED:.0%} or more of the smaller set's genes on the image (EnrichmentMap, "
        "Merico et al. 2010). The larger a point, the more genes. A click looks at the set below."
    )


def _take_set() -> None:
    """Look at the set that was clicked."""
    points = st.session_state["set network"]["selection"]["points"]
    names = [point["customdata"][0] for point in points if point.get("customdata")]
    if names:
        st.session_state["set"] = names[0]


def show_sets_of(genes: Sequence[str], table: pd.DataFrame, name: str) -> None:
    """Over-representation in any list of a class's genes, with all on the image as background."""
    reference = pick_sets("list ")
    if reference is None:
        return
    found = over_representation(genes, table["gene"], read_gene_sets(reference_file(reference)))
    say_significant(found)
    listed = found.assign(genes=found["genes"].str.join(", "))
    show_set_table(listed[listed["overlap"] > 0], listed, f"{name}_list_sets")


@cache_data(max_entries=10, show_spinner="Testing the sets")
def test_list(run: str, recipe: Recipe, cls: str, reference: str, k: int) -> pd.DataFrame:
    """Sets over-represented among a class's k top genes."""
    table = read_genes(run, recipe, cls)
    top = top_rows(table, k)["gene"]
    if not len(top):
        raise InputError(
            f"More than {k} genes are tied for the first places: no gene is at the top."
        )
    return over_representation(top, table["gene"], read_gene_sets(reference_file(reference)))


@cache_data(max_entries=10, show_spinner="Drawing random sets")
def test_ranking(run: str, recipe: Recipe, cls: str, reference: str) -> pd.DataFrame:
    """Sets that gather at an end of a class's ranking."""
    table = read_genes(run, recipe, cls)
    return prerank(
        table["gene"], table["score"].to_numpy(), read_gene_sets(reference_file(reference))
    )


def show_over_represented(shown: pd.DataFrame, found: pd.DataFrame, name: str) -> None:
    """The dot plot and the table of over-represented sets."""
    if shown.empty:
        st.info("None of the top genes is in any of the sets. Take more top genes, or other sets.")
        return
    say_significant(found)
    shown = shown.assign(ratio=shown["overlap"] / shown["expected"])
    data = shown.assign(genes=shown["genes"].str.join(", "))
    show_figure(
        set_dots(shown, "ratio", "found / expected by chance", "overlap", "genes in common"),
        data, f"{name}_sets", alt=say_sets(found), key="set dots",
        about=about_sets(
            len(found), "Each by a hypergeometric test of the top genes against the image's genes."
        ),
    )  # fmt: skip
    all_sets = found.assign(genes=found["genes"].str.join(", "))
    show_set_table(all_sets[all_sets["overlap"] > 0], all_sets, f"{name}_all_sets")


def show_gathered(found: pd.DataFrame, name: str) -> None:
    """The dot plot and the table of sets along the ranking."""
    say_significant(found)
    found = found.assign(count=found["leading"].str.len(), leading=found["leading"].str.join(", "))
    shown = found[found["nes"].notna()].head(SHOWN_SETS)
    show_figure(
        set_dots(
            shown, "nes", "normalised enrichment score", "count", "genes up to the extreme"
        ), shown, f"{name}_gsea", alt=say_sets(found), key="gsea dots",
        about=about_sets(
            len(found), f"Each by GSEA on the ranking by score, with {PERMUTATIONS:,} random sets "
            "of its size.",
        ),
    )  # fmt: skip
    show_set_table(found.drop(columns="count"), found, f"{name}_all_gsea")


def say_significant(found: pd.DataFrame) -> None:
    """How many sets pass, first of all."""
    passing = int((found["fdr"] < 0.05).sum())
    st.markdown(
        f"**{passing} of {len(found)}** tested sets have an FDR below 5 %."
        + ("" if passing else " What follows is not significant and may be luck.")
    )


def show_set_table(shown: pd.DataFrame, every: pd.DataFrame, name: str) -> None:
    """Sets with their genes; all of them as CSV."""
    number = st.column_config.NumberColumn
    st.dataframe(
        shown, hide_index=True, height=300, key=name,
        column_config={
            "set": "Set", "size": number("Size", help="The set's genes on the image."),
            "overlap": "In common", "expected": number("Expected", format="%.2f"),
            "p": number("p", format="%.2g"),
            "fdr": number("FDR", format="%.2g", help=define("false discovery rate (FDR)")),
            "es": number("ES", format="%.2f"), "nes": number("NES", format="%.2f"),
            "genes": "Genes in common", "leading": "Genes up to the extreme",
        },
    )  # fmt: skip
    download_table(every, name, "Save all sets as CSV", key=f"{name} csv", type="tertiary")


def show_set(
    table: pd.DataFrame,
    layout: GeneLayout,
    sets: dict[str, list[str]],
    names: list[str],
    genes_of: dict[str, list[str]],
    name: str,
    cls: str,
) -> str:
    """One set: its genes on the image and along the ranking; gives back which it is."""
    chosen = st.selectbox("Look at a set", names, key="set")
    members = table[table["gene"].isin(sets[chosen])]
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("## On the gene-image")
        st.caption(
            f"{len(members)} of the set's {len(sets[chosen])} genes are on the image: circled, the "
            f"first {NAMED_GENES} of the ranking with their names."
        )
        scores = table.set_index("gene")["score"].reindex(layout.genes).fillna(0).to_numpy()
        diverging = bool((scores < 0).any())
        figure = gene_image(
            layout, scores, name="attribution", diverging=diverging,
            marked=members["gene"][:NAMED_GENES].tolist(),
        )  # fmt: skip
        show_figure(
            circle_genes(figure, layout, members["gene"]), members, f"{name}_set",
            alt=f"Genes of {chosen} on the gene-image", key="set map",
            about=About(
                "The class's scores on the gene-image; the set's genes are circled.",
                f"{len(members)} of the set's {len(sets[chosen])} genes are on the image.",
                "Scores are the class's means over the explained held-out samples.",
                "Genes of a set that lie together are alike in expression, where the layout puts "
                "like genes together.",
            ),
        )  # fmt: skip
    with right:
        st.markdown("## Along the ranking")
        order = table.sort_values("score", ascending=False, kind="stable")
        hits = np.flatnonzero(order["gene"].isin(sets[chosen]))
        running = running_score(hits, order["score"].abs().to_numpy())
        show_figure(
            running_sum(running, hits, order["gene"].to_numpy()),
            pd.DataFrame({"gene": order["gene"], "running_sum": running}),
            f"{name}_running", alt=f"Running sum of {chosen}", key="running",
            about=About(
                "The running sum of GSEA along the ranking: it rises at each gene of the set.",
                f"{len(hits)} genes of the set among {len(order):,} on the image.",
                "A rise is in proportion to the size of the gene's score (Subramanian et al. "
                "2005).",
                "A peak at the left says that the set's genes gather at the top. Whether that is "
                "more than luck says the FDR in the table.",
            ),
        )  # fmt: skip
        st.markdown(
            f"Genes that count for {escape_markdown(cls)}: "
            + (escape_markdown(", ".join(genes_of[chosen])) or "none")
        )
    return chosen
