"""The gene that is looked at on a gene-image, and the genes that were drawn around."""

import numpy as np
import pandas as pd
import streamlit as st

from core.data.prepare import Columns
from core.data.store import DatasetRecord
from core.escape import escape_markdown
from core.explain.enrichment import over_representation
from core.glossary import define
from core.images.classes import ClassMeans
from core.images.layouts import LayoutSpec
from core.images.references import list_references, read_groups
from core.images.trial import Trial
from core.plots.figures import expression_by_class
from core.plots.findings import say_expression
from ui.about import About
from ui.explain_gene import say_links
from ui.kept import cache_data, cache_resource
from ui.layouts import ask_reference
from ui.painting import Painting
from ui.parts import download_table, errors, show_figure
from ui.trials import LOOK, prepare

LISTED = 12  # genes named in a sentence


def show_gene(painting: Painting, gene: str | None) -> None:
    """A gene's expression in each class, and its neighbours on the canvas."""
    if gene is None:
        st.markdown("## One gene")
        st.caption("Find a gene above, or click a pixel of a large image: its expression in each "
                   "class stands here.")  # fmt: skip
        return
    layout = painting.layout
    row, col = layout.pixel_of(gene)
    same = [name for name in layout.genes_at(row, col) if name != gene]
    neighbours = [name for name in layout.neighbours(gene) if name not in same]
    st.markdown(f"## {escape_markdown(gene)}")
    shares = f" **Shares its pixel with {list_genes(same)}.**" if same else ""
    say_links(gene)
    st.caption(
        f"Row {row + 1}, column {col + 1}.{shares} Neighbours: {list_genes(neighbours) or 'none'}."
    )
    samples = painting.trial.unlabelled.model_copy(update={"layout": LayoutSpec()})
    values = read_gene(samples, gene)
    table = pd.DataFrame({
        "sample": painting.prepared.data.obs_names, "class": painting.labels,
        "log2_expression": values,
    })  # fmt: skip
    show_figure(
        expression_by_class(values, painting.labels, gene), table, f"{gene}_expression",
        alt=say_expression(values, painting.labels, gene), key="gene expression",
        about=About(
            shown=f"log2 expression of {escape_markdown(gene)} in each class; a point is a sample.",
            n=f"{len(values):,} samples.",
            computed="As the Data page prepares it, before scaling; boxes are quartiles, whiskers "
            "end at the outermost samples within 1.5 times the box's height. Missing values stand "
            "at what replaces them.",
            read="Classes whose boxes lie apart differ in this gene; whether a network uses it is "
            "shown by Explain.",
        ),
    )  # fmt: skip


@cache_data(max_entries=64, show_spinner=False, hash_funcs=LOOK)
def read_gene(samples: Trial, gene: str) -> np.ndarray:
    """(samples,) log2 expression of one gene."""
    fitted = prepare(samples).preprocessor
    return read_columns(samples).filled(fitted.index[fitted.genes == gene], fitted.fill)[:, 0]


@cache_resource(max_entries=2, show_spinner=False, hash_funcs=LOOK)
def read_columns(samples: Trial) -> Columns:
    """log2 expression, a gene at a time; what it takes of whole samples is computed once."""
    prepared = prepare(samples)
    data = prepared.data
    return prepared.preprocessor.columns(np.asarray(data.X), data.var_names.to_numpy())


def list_genes(genes: list[str]) -> str:
    """Genes in a sentence, not too many."""
    more = f" and {len(genes) - LISTED} more" if len(genes) > LISTED else ""
    return escape_markdown(", ".join(genes[:LISTED])) + more


def show_drawn(painting: Painting, record: DatasetRecord, classes: ClassMeans) -> None:
    """The genes that were drawn around: to copy, to save, and which gene sets they are rich in."""
    known = set(painting.genes)
    genes = [gene for gene in st.session_state.get("drawn", []) if gene in known]
    if not genes:
        st.markdown("## Several genes")
        st.caption("Draw around pixels with the mouse: their genes are listed here.")
        return
    st.markdown(f"## {len(genes):,} genes drawn around")
    st.code("\n".join(genes), language=None, height=200)
    inside = np.isin(painting.layout.genes, genes)
    table = painting.layout.table(
        **{f"mean {name}": mean for name, mean in zip(classes.names, classes.means, strict=True)},
    )[inside]
    download_table(table, "drawn_genes", "Save CSV", key="drawn csv", type="tertiary")
    with st.expander("Which gene sets are they rich in?", on_change="rerun") as enrichment:
        if enrichment.open:
            show_enrichment(genes, painting, record)


def show_enrichment(genes: list[str], painting: Painting, record: DatasetRecord) -> None:
    """Over-representation of gene sets, with all genes on the image as background."""
    reference = ask_reference(record, "sets", key="enrichment")
    if reference is None:
        return
    [file] = [file for file in list_references("sets") if file.id == reference]
    with errors():
        found = over_representation(genes, painting.genes, read_groups(file))
        st.dataframe(
            found.head(100), hide_index=True, height=320,
            column_order=["set", "overlap", "expected", "size", "fdr"],
            column_config={
                "expected": st.column_config.NumberColumn(format="%.1f"),
                "fdr": st.column_config.NumberColumn(
                    "FDR", format="%.2g", help=define("false discovery rate (FDR)")
                ),
            },
        )  # fmt: skip
        st.caption(
            f"Against the {len(painting.genes):,} genes on this image, not the whole genome. Genes "
            "that stand together are alike to begin with where a layout learns: read this as a "
            "description of the patch, not as evidence."
        )
        download_table(found, "drawn_genes_sets", "Save CSV", key="enrichment csv", type="tertiary")
