"""What the page Histology shows of an answer: verdict, genes, what was read."""

from functools import partial

import streamlit as st

from core.escape import escape_markdown
from core.explain.enrichment import over_representation
from core.glossary import define
from core.images.references import read_gene_sets, reference_file
from core.jobs.launch import answer_state, stop
from core.plots.tissue import gene_ranks, model_bars
from core.tissue.job import ask, job_of
from core.tissue.result import (
    TissueAnswer,
    TissueResult,
    find_other_auxiliary,
    other_auxiliary,
    scores_table,
)
from core.tissue.store import TissueRecord
from ui.explain_sets import say_significant, show_set_table
from ui.forms import ask_number
from ui.gene_sets import pick_sets
from ui.parts import decimals, download_table, errors, say_finding, show_figure
from ui.predict import is_working
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
    other = find_other_auxiliary(answer.result.spec)
    table = scores_table(answer.result, other)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"## {escape_markdown(first)}")
        for line in others:
            st.markdown(escape_markdown(line))
        st.caption(
            "r is Pearson's correlation over the spots of a held-out section; of a gene the median "
            "over sections.", help=define("depth of a spot"),
        )  # fmt: skip
        if answer.result.spec.train:
            _show_auxiliary(answer, other)
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


def _show_auxiliary(answer: TissueAnswer, other: TissueResult | None) -> None:
    """What the same training reaches without the auxiliary head, or a button that asks it."""
    spec = answer.result.spec
    without = "without" if spec.auxiliary else "with"
    if other is not None:
        own, found = (result.get("trained", "normalised") for result in (answer.result, other))
        st.caption(
            f"The same {without} the auxiliary head: {found.above[1]} genes above 0.3, mean r "
            f"{found.mean:.2f}; here {own.above[1]}, mean r {own.mean:.2f}. What lies within the "
            "intervals (*All models*) is no difference."
        )
        return
    job = job_of(other_auxiliary(spec))
    state, what = answer_state(job), f"Training {without} the auxiliary head"
    if not is_working(state, partial(answer_state, job), what, partial(stop, job)):
        if st.button(f"Train it {without} the auxiliary head too", key="ask auxiliary"):
            with errors():
                ask(job)
                st.rerun()
        st.caption("It takes about as long as this one, and then stands beside it.")


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
