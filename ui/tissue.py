"""What the page Histology shows of an answer: verdict, genes, what was read."""

import streamlit as st

from core.escape import escape_markdown
from core.explain.enrichment import over_representation
from core.glossary import define
from core.images.references import read_gene_sets, reference_file
from core.plots.tissue import gene_ranks, model_bars
from core.tissue.job import job_of
from core.tissue.result import TissueAnswer, load_answer, scores_table
from core.tissue.store import TissueRecord
from ui.explain_sets import say_significant, show_set_table
from ui.forms import ask_number
from ui.gene_sets import pick_sets
from ui.parts import decimals, download_table, say_finding, show_figure
from ui.tissue_about import about_models, about_ranks

TITLES = {
    "normalised": "divided by each spot's reads",
    "stnet": "as ST-Net published",
    "raw": "log(1 + count), as BrST-Net",
}
LIMIT = "r > 0.3"
GENE = "gene"
"""The part of the link that names the gene that is looked at."""


def show_verdict(answer: TissueAnswer) -> None:
    """The sentence to believe first, what stands beside it, and the bars of all models."""
    first, *others = answer.result.verdict()
    table = scores_table(answer.result)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"#### {escape_markdown(first)}")
        for line in others:
            st.markdown(escape_markdown(line))
        st.caption(
            "r is Pearson's correlation over the spots of a held-out section; of a gene the median "
            "over sections.", help=define("depth of a spot"),
        )  # fmt: skip
        if answer.result.spec.train:
            st.caption(say_auxiliary(answer))
    with right:
        show_figure(
            model_bars(table, LIMIT, TITLES), table, f"models_{answer.result.spec.tissue}",
            alt=f"{first} Genes with {LIMIT} by each model, under all targets.", key="models",
            about=about_models(answer),
        )  # fmt: skip
        with st.expander("All models"):
            shown = table.assign(target=table["target"].map(TITLES))
            st.dataframe(shown, hide_index=True, column_config=decimals(shown, "%.2f"))
            st.caption(
                "Genes above each limit; mean r over genes with its 95 % interval over patients, "
                "as patients differ; error: squared error as a share of the training mean's."
            )


def say_auxiliary(answer: TissueAnswer) -> str:
    """What the same training reaches without the auxiliary head, or with it, once that is known."""
    spec = answer.result.spec
    other = spec.changed(auxiliary=0.0 if spec.auxiliary else 1.0)
    without = "without" if spec.auxiliary else "with"
    if not job_of(other).stands():
        return (
            f"To see what the auxiliary head changes, ask the same {without} it (*More*, "
            f"*Auxiliary weight* {other.auxiliary:g})."
        )
    own, found = (
        result.get("trained", "normalised") for result in (answer.result, load_answer(other).result)
    )
    return (
        f"The same {without} the auxiliary head: {found.above[1]} genes above 0.3, mean r "
        f"{found.mean:.2f}; here {own.above[1]}, mean r {own.mean:.2f}."
    )


def show_genes(answer: TissueAnswer, gene: str) -> None:
    """All genes, the best predicted first, and their r beside what other models reach."""
    table = answer.genes.drop(columns="place")
    name = f"genes_{answer.result.spec.tissue}"

    def take_row() -> None:
        rows = st.session_state["tissue gene table"]["selection"]["rows"]
        if rows:
            st.query_params[GENE] = str(table["gene"].iloc[rows[0]])

    left, right = st.columns([1.1, 1], gap="large")
    with left:
        st.markdown("##### Genes", help="Search with the magnifier above the table; click a row.")
        st.dataframe(
            table, hide_index=True, height=330, key="tissue gene table", on_select=take_row,
            selection_mode="single-row",
            column_config=decimals(table, "%.2f", p="%.2g", p_beyond="%.2g"),
        )  # fmt: skip
        download_table(
            table, name, "All genes (CSV)", key="genes csv",
            finding=f"{answer.result.verdict()[0]} The best predicted genes: "
            f"{', '.join(table['gene'].head(5))}.",
        )  # fmt: skip
    with right:
        st.markdown(
            "##### Ranked", help="Where the points of reads lie as high, depth explains it."
        )
        above = int((table["r"] > table["reads"]).sum())
        show_figure(
            gene_ranks(table, gene), table, f"ranks_{answer.result.spec.tissue}", key="gene ranks",
            alt=f"Genes by the median r over held-out sections. {above} of {len(table)} have a "
            "higher r by their tiles than by the number of reads alone.", about=about_ranks(answer),
        )  # fmt: skip
    with st.expander(
        "Gene sets of the predictable genes", on_change="rerun", key="tissue sets"
    ) as part:
        if part.open:
            _show_sets(answer)


def _show_sets(answer: TissueAnswer) -> None:
    """Sets over-represented among genes above a limit, all predicted genes being the background."""
    reference = pick_sets("tissue ")
    if reference is None:
        return
    left, _ = st.columns([1, 3])
    with left:
        limit = ask_number("r above", -1.0, 1.0, 0.3, step=0.1, format="%.2f", key="sets r above")
    table = answer.genes
    listed = table["gene"][(table["r"] > limit) & (table["r"] > table["reads"])]
    st.caption(
        f"{len(listed)} genes have a higher r than that, and than by the number of reads alone; "
        f"the background are the {len(table)} genes that were predicted."
    )
    if listed.empty:
        return
    found = over_representation(listed, table["gene"], read_gene_sets(reference_file(reference)))
    say_significant(found)
    told = found.assign(genes=found["genes"].str.join(", "))
    show_set_table(told[told["overlap"] > 0], told, f"tissue_sets_{answer.result.spec.tissue}")


def show_tissue(record: TissueRecord) -> None:
    """What was read, and what is doubtful about it."""
    with st.expander("What was read", expanded=bool(record.found)):
        for finding in record.found:
            say_finding(finding)
        st.caption(escape_markdown(" ".join([f"{record.name}: {record.size}.", *record.said])))
