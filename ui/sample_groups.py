"""Named groups of samples on the Data page: kept, compared gene by gene, trained on."""

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData
from streamlit.delta_generator import DeltaGenerator

from core.data.choices import Choices, save_choices
from core.data.cohort import log_gene
from core.data.groups import SampleGroup, delete_group, divide, keep_group, list_groups, rest_of
from core.data.notes import Finding
from core.data.store import DatasetRecord, add_dataset
from core.errors import InputError
from core.escape import escape_markdown
from core.explain.differential import compare_groups, judge_groups
from core.explain.genes import has_fold_change
from core.glossary import define
from core.home import only_looks
from core.plots.data import differences
from core.plots.figures import expression_by_class
from core.plots.findings import say_differences, say_expression
from ui.about import About
from ui.bring import keep
from ui.explain_gene import say_links
from ui.find import find_name
from ui.forms import HOLDS
from ui.kept import cache_resource
from ui.parts import download_table, errors, go_to, needs_own_home, say_finding, show_figure
from ui.sample_map import show_samples, used_samples

REST = "rest"
"""What stands for all samples that are in no chosen group."""
MOST_VALUES = 60
SHOWN = 1000
"""Genes of the table on the page; the file has all."""


def show_groups(record: DatasetRecord, choices: Choices) -> None:
    """Two groups beside each other, gene by gene; and the groups, to make and to forget."""
    data = take_samples(record.id, choices.model_dump_json())
    groups = list_groups(record.id)
    picture, side = st.columns([3, 2], gap="medium")
    with side:
        pair = ask_pair(groups, data)
        if pair is None:
            st.markdown("## Compare two groups of samples, gene by gene")
            if not only_looks():
                st.markdown(
                    "Draw around samples on the map, or choose them by their labels below. The "
                    "group is then compared with another, or with all other samples: fold change, "
                    "test and false discovery rate of each gene. Two groups can be trained on as "
                    "well."
                )
        found = st.container()
        if not needs_own_home("Groups are made"):
            with st.expander("Make a group by labels", expanded=len(groups) < 2):
                make_group(record, data)
        list_kept(record, groups, data)
    with picture, errors():
        if pair is None:
            show_samples(record, choices)
        else:
            show_pair(record, choices, data, *pair, found)


def make_group(record: DatasetRecord, data: AnnData) -> None:
    """Choose values of columns; the samples that have them become a group."""
    counts = {name: data.obs[name].astype(str).value_counts() for name in data.obs}
    columns = [name for name, each in counts.items() if 1 < len(each) <= MOST_VALUES]
    if not columns:
        st.caption("No column has few enough values to choose from.")
        return
    chosen = st.multiselect(
        "Columns", columns, default=columns[:1], key=f"group columns {record.id[:12]}"
    )
    inside, words = np.ones(data.n_obs, dtype=bool), []
    for column in chosen:
        values = st.multiselect(
            f"{escape_markdown(column)} is", sorted(counts[column].index),
            key=f"group {record.id[:12]} {column}", placeholder="one value or several",
            format_func=lambda value, each=counts[column]: f"{value or 'none'} ({each[value]:,})",
        )  # fmt: skip
        inside &= data.obs[column].astype(str).isin(values).to_numpy()
        words.append("/".join(values))
    samples = data.obs_names[inside].tolist() if chosen else []
    name = st.text_input("Name", " ".join(words), key=f"group name {words}")
    if st.button(
        f"Keep these {len(samples):,} samples as a group", disabled=not samples,
        icon=":material/bookmark_add:",
    ):  # fmt: skip
        with errors():
            keep_group(record.id, name, samples)
            st.rerun()


def list_kept(record: DatasetRecord, groups: list[SampleGroup], data: AnnData) -> None:
    """The groups that are kept, each with the button that forgets it."""
    if not groups:
        return
    st.markdown("## Groups")
    for group in groups:
        here = int(data.obs_names.isin(list(group.samples)).sum())
        out = len(group.samples) - here
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{escape_markdown(group.name)}** · {here:,} samples"
                + (f", and {out:,} that are left out on this page" if out else ""),
                width="stretch",
            )
            if not only_looks() and st.button(
                "Forget", key=f"forget {group.id}", type="tertiary",
                help=f"Forgets the group {escape_markdown(group.name)}; its samples stay.",
            ):  # fmt: skip
                delete_group(record.id, group.id)
                st.rerun()


def ask_pair(groups: list[SampleGroup], data: AnnData) -> tuple[SampleGroup, SampleGroup] | None:
    """Two groups to compare, the second perhaps all other samples; None without any."""
    if not groups:
        return None
    by_id = {group.id: group for group in groups}
    left, right = st.columns(2)
    first = left.selectbox(
        "Compare", list(by_id), format_func=lambda id: by_id[id].name, key="group one", **HOLDS
    )
    one = by_id[first]
    others = [id for id in by_id if not set(by_id[id].samples) & set(one.samples)]
    second = right.selectbox(
        "with", [*others, REST], key=f"group other {first}", **HOLDS,
        format_func=lambda id: by_id[id].name if id in by_id else "all other samples",
        help="Groups that share a sample with the first can't be compared with it.",
    )  # fmt: skip
    if second != REST:
        return one, by_id[second]
    with errors():
        return one, rest_of(data, one)
    return None


@cache_resource(max_entries=1, show_spinner=False)
def take_samples(dataset: str, choices: str) -> AnnData:
    """The samples that are used."""
    return used_samples(dataset, Choices.model_validate_json(choices))


@cache_resource(max_entries=4, show_spinner="Comparing gene by gene")
def compare(
    dataset: str, choices: str, one: SampleGroup, other: SampleGroup
) -> tuple[pd.DataFrame, list[Finding], bool]:
    """The genes of two groups, what speaks against them, and whether there are fold changes."""
    data, cohort = take_samples(dataset, choices), Choices.model_validate_json(choices).cohort
    return (
        compare_groups(data, one, other),
        judge_groups(data, one, other, cohort.group, cohort.batch),
        has_fold_change(np.asarray(data.X), str(data.uns["scale"])),
    )


def show_pair(
    record: DatasetRecord,
    choices: Choices,
    data: AnnData,
    one: SampleGroup,
    other: SampleGroup,
    beside: DeltaGenerator,
) -> None:
    """The volcano with a gene below it; beside it what it says and what can be done next."""
    table, against, folds = compare(record.id, choices.model_dump_json(), one, other)
    unit = f"{'log2 fold change' if folds else 'difference'}, {one.name} minus {other.name}"
    finding = say_differences(table, one.name, other.name)
    points = show_figure(
        differences(table, one.name, other.name, unit), table, "differential_genes", alt=finding,
        key="volcano of groups", select=True, about=explain_test(data, one, other, table),
    )  # fmt: skip
    with beside:
        st.markdown(escape_markdown(finding))
        for found in against:
            say_finding(found)
        list_genes(table, one, other, folds)
        if not only_looks():
            offer_use(record, choices, data, one, other)
    clicked = points[0].get("customdata") if points else None
    show_gene(data, table, one, other, clicked[0] if isinstance(clicked, list) else None)


def offer_use(
    record: DatasetRecord, choices: Choices, data: AnnData, one: SampleGroup, other: SampleGroup
) -> None:
    """Buttons that train on two groups, or leave out all samples but those of the first."""
    with st.container(horizontal=True):
        if st.button(
            "Train on these two groups →", type="primary",
            help="Their samples become a dataset of their own, with a column that says each "
            "one's group.",
        ):  # fmt: skip
            train_on(record, choices, data, one, other)
        st.button(
            f"Use only {escape_markdown(one.name)} on all pages", key="use only",
            help="All other samples are left out, until that is taken back under Overview.",
            on_click=lambda: use_only(record, choices, data, one),
        )  # fmt: skip


def explain_test(data: AnnData, one: SampleGroup, other: SampleGroup, table: pd.DataFrame) -> About:
    """What stands behind the volcano."""
    sides = [int(data.obs_names.isin(list(each.samples)).sum()) for each in (one, other)]
    return About(
        shown="Each point is a gene: to the right, higher in "
        f"{escape_markdown(one.name)}; further up, more surely different.",
        n=f"{sides[0]:,} samples of {escape_markdown(one.name)}, {sides[1]:,} of "
        f"{escape_markdown(other.name)}; {len(table):,} genes with two values or more in each.",
        computed="Welch's t test on log2 expression (of counts: counts per million + 1), "
        "two-sided. The false discovery rate is Benjamini and Hochberg's over all genes tested. "
        "Missing values are left out gene by gene.",
        read="A gene may differ because of the site, the patients or the share of tumour cells. "
        "Groups that were drawn around because they lie apart on a map of the genes differ in "
        "genes by construction: their p values say which genes, not whether.",
    )


def list_genes(table: pd.DataFrame, one: SampleGroup, other: SampleGroup, folds: bool) -> None:
    """The genes that differ, the surest first, and the whole table as a file."""
    st.markdown("## Genes, the surest first")
    number = st.column_config.NumberColumn
    st.dataframe(
        table.head(SHOWN), hide_index=True, height=320, key="differential genes",
        column_order=["gene", "log2fc", "mean_one", "mean_other", "fdr"],
        column_config={
            "gene": "Gene",
            "log2fc": number("log2 FC" if folds else "difference", format="%.2f",
                             help=define("log2 fold change") if folds else None),
            "mean_one": number(f"in {one.name}", format="%.2f"),
            "mean_other": number(f"in {other.name}", format="%.2f"),
            "fdr": number("FDR", format="%.2g", help=define("false discovery rate (FDR)")),
        },
    )  # fmt: skip
    named = {"mean_one": f"mean {one.name}", "mean_other": f"mean {other.name}"}
    download_table(
        table.rename(columns=named), "differential_genes", f"All {len(table):,} genes (CSV)",
        key="differential csv", finding=say_differences(table, one.name, other.name),
    )  # fmt: skip


def show_gene(
    data: AnnData, table: pd.DataFrame, one: SampleGroup, other: SampleGroup, clicked: str | None
) -> None:
    """One gene in both groups: the clicked one, the one that was found, or the first."""
    found = find_name("Find a gene", table["gene"].tolist(), key="differential gene",
                      placeholder="type, or click a point")  # fmt: skip
    gene = clicked or found or str(table["gene"].iloc[0])
    values = log_gene(data, int(np.flatnonzero(data.var_names == gene)[0]))
    own = np.full(data.n_obs, "", dtype=object)
    for group in (one, other):
        own[data.obs_names.isin(list(group.samples))] = group.name
    known = own != ""
    shown = pd.DataFrame({"sample": data.obs_names[known], "group": own[known],
                          "log2_expression": values[known]})  # fmt: skip
    st.markdown(f"## {escape_markdown(gene)}")
    say_links(gene)
    show_figure(
        expression_by_class(values[known], own[known].astype(str), gene), shown,
        f"{gene}_by_group", alt=say_expression(values[known], own[known], gene),
        key="gene by group",
        about=About(
            shown=f"log2 expression of {escape_markdown(gene)} in both groups; a point is a "
            "sample.",
            n=f"{int(known.sum()):,} samples.",
            computed="Of counts log2 of counts per million + 1. Boxes are quartiles, whiskers end "
            "at the outermost samples within 1.5 times the box's height; missing values are left "
            "out.",
            read="Boxes that lie apart differ. Look for a few samples that make the difference.",
        ),
    )  # fmt: skip


def train_on(
    record: DatasetRecord, choices: Choices, data: AnnData, one: SampleGroup, other: SampleGroup
) -> None:
    """Keep two groups as a dataset, with what was decided about this one, and go to train on it."""
    here = set(data.obs_names)
    one, other = (
        group.model_copy(update={"samples": tuple(s for s in group.samples if s in here)})
        for group in (one, other)
    )
    with errors(), st.spinner("Keeping the two groups as a dataset"):
        if len(here & set(one.samples)) == 0 or len(here & set(other.samples)) == 0:
            raise InputError("All samples of one of the groups are left out on this page.")
        chosen, column = divide(data, one, other)
        made = add_dataset(chosen, f"{record.name}: {one.name} and {other.name}")
        cohort = choices.cohort
        save_choices(
            made.id,
            choices.model_copy(
                update={"cohort": cohort.model_copy(update={
                    "dataset": made.id, "label": column, "where": {}, "leave_out": (), "merge": {},
                })}
            ),
        )  # fmt: skip
        keep(made)
        go_to("train", {"dataset": made.id[:12]})


def use_only(record: DatasetRecord, choices: Choices, data: AnnData, group: SampleGroup) -> None:
    """Leave out all samples but those of a group."""
    inside = set(group.samples)
    others = [name for name in data.obs_names if name not in inside]
    save_choices(record.id, choices.changed(leave_out=others))
