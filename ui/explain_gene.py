"""One gene on the Explain page: its numbers, names and neighbours, its expression."""

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from core.data.catalogue import CATALOGUE
from core.data.fetched import kept_files
from core.escape import escape_markdown
from core.explain.links import GeneIds, find_ids, gene_links, read_gene_ids
from core.images.layout import GeneLayout
from core.plots.explain import expression_by_value
from core.plots.figures import expression_by_class
from core.plots.findings import say_expression
from core.runs.explain import (
    gene_expression,
)
from core.runs.spec import RunSpec
from core.runs.store import RunRecord
from core.training.tasks import TASKS
from ui.about import About
from ui.kept import cache_data, cache_resource
from ui.parts import open_dataset, show_figure


@cache_data(max_entries=20, show_spinner=False)
def read_expression(run: str, gene: str, _spec: RunSpec) -> pd.DataFrame:
    """A gene's log2 expression in the run's samples."""
    return gene_expression(run, open_dataset(_spec.cohort.dataset), gene)


@cache_resource(max_entries=1, show_spinner="Reading HGNC's names")
def _read_ids(path: str) -> dict[str, GeneIds]:
    return read_gene_ids(Path(path))


def known_ids() -> dict[str, GeneIds] | None:
    """Names and ids of all human genes; None while HGNC's complete set is not kept here."""
    files = kept_files(CATALOGUE["hgnc"])
    return _read_ids(str(files[0])) if files else None


def add_ids(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each gene's name and ids, as far as they are known."""
    known = known_ids()
    if known is None:
        return table
    found = [find_ids(gene, known) for gene in table["gene"]]
    kinds = ("symbol", "name", "ensembl", "entrez", "uniprot")
    return table.assign(**{kind: [getattr(ids, kind, "") for ids in found] for kind in kinds})


def say_gene(record: RunRecord, gene: str, table: pd.DataFrame) -> None:
    """One gene in words: its numbers, and where to read on."""
    row = table[table["gene"] == gene].iloc[0]
    if "rank" in row:
        tied = f", tied with {row['tied'] - 1} more," if row["tied"] > 1 else ""
        ranked = f"Rank {row['rank']} of {len(table)}{tied} for {escape_markdown(row['class'])}; "
    else:
        ranked = f"In {escape_markdown(row['class'])} "
    change = "" if np.isnan(row["log2fc"]) else f"{abs(row['log2fc']):.2f} log2 "
    task = TASKS[record.spec.task]
    tested = "" if np.isnan(row["fdr"]) else f" ({task.gene_test}, FDR {row['fdr']:.2g})"
    said = f"expression is {change}{row['direction']} than in the other classes{tested}. "
    if "correlation" in row:
        said = f"its correlation with the target is {row['correlation']:z.2f}{tested}. "
    st.markdown(ranked + said)
    say_links(gene)


def say_links(gene: str) -> None:
    """What HGNC calls a gene, where its names are kept here, and where to read on about it."""
    ids = find_ids(gene, known_ids() or {})
    if ids is not None:
        _name_gene(ids)
    st.markdown(" · ".join(f"[{name}]({url})" for name, url in gene_links(gene, ids).items()))


def show_gene(record: RunRecord, gene: str, table: pd.DataFrame, layout: GeneLayout) -> None:
    """One gene: what is known of it, and its expression in each class."""
    st.markdown(f"## {escape_markdown(gene)}")
    if not (table["gene"] == gene).any():
        st.caption("This gene has no score for this class.")
        return
    say_gene(record, gene, table)
    if gene in set(layout.genes):
        place = table.loc[table["gene"] == gene, "pixel"].iloc[0]
        around = layout.neighbours(gene)
        st.caption(
            f"Pixel {place} (row, column). "
            + (f"Around it: {escape_markdown(', '.join(around))}." if around else "Nothing around.")
        )
    values = read_expression(record.id, gene, record.spec)
    if TASKS[record.spec.task].has_classes:
        shown = values["log2_expression"].to_numpy(), values["class"].to_numpy(), gene
        figure, alt = expression_by_class(*shown), say_expression(*shown)
    else:
        target = str(table["class"].iloc[0])
        figure, alt = expression_by_value(values, gene, target), f"{gene} against {target}"
    show_figure(
        figure, values, f"{gene}_expression", alt=alt, key="expression",
        about=About(
            f"The log2 expression of {escape_markdown(gene)} in each sample, by what is predicted.",
            f"{values['log2_expression'].notna().sum():,} samples of the run, training samples "
            "among them.",
            "As prepared for the run (library size, log2, floor), before the scaling of genes.",
            "A gene can speak for a class by being low. A difference here need not be what the "
            "network goes by, and may come from the site of a sample.",
        ),
    )  # fmt: skip


def _name_gene(ids: GeneIds) -> None:
    """What HGNC calls a gene, with its ids."""
    parts = [ids.name, ids.symbol, ids.ensembl, ids.entrez and f"Entrez {ids.entrez}",
             ids.uniprot and f"UniProt {ids.uniprot}"]  # fmt: skip
    st.caption(escape_markdown(" · ".join(part for part in parts if part)))
