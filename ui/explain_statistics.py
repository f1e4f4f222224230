"""A class's top genes held against classical statistics and against known tissue markers."""

import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.explain.genes import compare_with_plain
from core.explain.markers import check_markers, load_markers, match_type
from core.explain.rankings import top_count
from core.glossary import define
from core.plots.explain import volcano
from core.training.tasks import Task
from ui.about import About
from ui.forms import ask_number
from ui.parts import download_table, show_figure


def ask_top(table: pd.DataFrame, *, key: str) -> int:
    """How many genes are the top ones."""
    k = ask_number(
        "Top genes", 1, len(table), top_count(len(table)), key=key, persist_state="session",
        help="How many of the first genes are looked at.",
    )  # fmt: skip
    return int(k)


def show_statistics(table: pd.DataFrame, name: str, cls: str, task: Task) -> None:
    """The volcano, and what only the network uses."""
    chart = st.container()
    left, said = st.columns([1, 3], gap="medium", vertical_alignment="center")
    with left:
        k = ask_top(table, key="statistics top")
    if table["welch"].isna().any():
        st.info(
            "A Welch test needs at least two samples of the class and two of the others; here it "
            "can't be made."
        )
        return
    found, linear = compare_with_plain(table, k), task.baselines[task.linear].phrase
    apart = f"don't differ at all between {escape_markdown(cls)} and the others"
    if not task.has_classes:
        apart = f"don't go with {escape_markdown(cls)} by themselves"
    fitted = table["logistic"].notna().any()
    said.markdown(
        f"Of the {k} top genes, **{len(found.welch)}** are also among the {k} that a "
        f"{task.gene_test} puts first"
        + (
            f", **{len(found.logistic)}** among the {k} of largest weight in {linear}"
            if fitted
            else ""
        )
        + f"; **{len(found.only_network)}** only the network puts there."
        + (
            f" Of these, {len(found.undecided)} {apart} (FDR of 5 % or more): the network uses "
            "them with other genes, or they are noise."
            if found.undecided
            else ""
        )
    )
    if not fitted:
        said.caption("An earlier version computed this, without the linear model's weights.")
    if table["log2fc"].notna().any():
        data = table[["gene", "rank", "score", "log2fc", "fdr", "welch", "logistic"]]
        with chart:
            show_figure(
                volcano(table, {*found.welch, *found.logistic}, found.only_network), data,
                f"{name}_volcano", key="volcano",
                alt=f"Scores of the genes of {cls} against their log2 fold change",
                about=About(
                    "Each gene's score against its log2 fold change between the class and the "
                    "others.",
                    f"{len(data):,} genes on the image.",
                    f"Scores are means over the explained held-out samples; fold changes and the "
                    f"{task.gene_test} are of the run's samples.",
                    "Genes of a high score without a fold change are used with other genes, or are "
                    "noise. Genes of a large fold change need not be used: others may say the "
                    "same.",
                ),
            )  # fmt: skip
    elif task.has_classes:
        said.caption("No volcano: on this scale there are no fold changes.")
    only = table[table["gene"].isin(found.only_network)]
    if len(only):
        st.markdown("## Only the network puts these first")
        st.dataframe(
            only, hide_index=True, key="only network",
            column_order=["rank", "gene", "score", "welch", "logistic", "fdr", "auroc", "log2fc"],
            column_config={
                "welch": st.column_config.NumberColumn(
                    "Welch rank", format="%.0f", help="Place in the order of the t test's p values."
                ),
                "logistic": st.column_config.NumberColumn(
                    "Logistic rank", format="%.0f", help="Place in the order of the weights' sizes."
                ),
                "rank": "Rank", "gene": "Gene", "log2fc": st.column_config.NumberColumn(
                    "log2 FC", format="%.2f", help=define("log2 fold change")),
                "score": st.column_config.NumberColumn("Score", format="%.3g"),
                "fdr": st.column_config.NumberColumn(
                    "FDR", format="%.2g", help=define("false discovery rate (FDR)")
                ),
                "auroc": st.column_config.NumberColumn("AUROC", format="%.2f"),
            },
        )  # fmt: skip
        download_table(only, f"{name}_only_network", "Save CSV", key="only csv", type="tertiary")


def show_markers(table: pd.DataFrame, name: str, cls: str) -> None:
    """How many known markers of the tumour type head the list."""
    types = sorted(set(load_markers()["type"]))
    known = match_type(cls)
    left, right, _ = st.columns([1, 1, 2])
    tumour_type = left.selectbox(
        "Markers of", types, index=types.index(known) if known else None, key=f"markers {cls}",
        placeholder="choose a tumour type",
        help="TCGA's abbreviations; chosen by itself where the class is named after one.",
    )  # fmt: skip
    with right:
        k = ask_top(table, key="markers top")
    if tumour_type is None:
        st.info(f"{escape_markdown(cls)} is not named after a tumour type of TCGA. Choose one.")
        return
    check = check_markers(table, tumour_type, k)
    total = len(check.table)
    if not check.present:
        st.info(
            f"None of the {total} known markers of {tumour_type} is on the images, so nothing can "
            "be checked. The dataset may lack them, use other ids than symbols, or they were not "
            "among the genes of highest variance."
        )
    else:
        st.markdown(
            f"**{check.found} of the {check.present}** known markers of {tumour_type} that are on "
            f"the images are among the {check.k} top genes (recall {check.recall:.0%}; a random "
            f"order would bring {check.expected:.1f}, p = {check.p:.2g}). {total - check.present} "
            f"of {total} are not on the images."
        )
    st.caption(
        "A short list of our own from pathology and tissue atlases. A network may do well with "
        "other genes: few markers are a reason to look closer, not a proof against it."
    )
    st.dataframe(
        check.table, hide_index=True, key="marker table",
        column_config={
            "gene": "Gene", "reference": st.column_config.TextColumn("Where it is written"),
            "rank": st.column_config.NumberColumn("Rank", format="%d"),
            "score": st.column_config.NumberColumn("Score", format="%.3g"),
        },
    )  # fmt: skip
    download_table(check.table, f"{name}_markers", "Save CSV", key="markers csv", type="tertiary")
