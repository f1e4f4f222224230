"""Gene images: how genes are laid out, and what samples and classes look like."""

import io

import numpy as np
import pandas as pd
import streamlit as st

from core.data.check import select_samples, suggest_label
from core.data.prepare import PreparationSpec, Preprocessor
from core.images.layout import GeneLayout, LayoutSpec
from core.images.layouts import LAYOUTS, fit_layout
from core.models.spec import NetworkSpec
from core.plots.figures import expression_by_class, gene_image, image_grid
from ui.forms import ask_field, ask_record, ask_where
from ui.parts import download_table, errors, go_to, open_dataset, pick_dataset, show_figure

SHOWN = 8
"""Samples in the grid."""


@st.cache_resource(max_entries=6, show_spinner="Laying out genes")
def paint(
    dataset: str, where: dict[str, list[str]], genes: int, scaling: str, layout: str, size: int
) -> tuple[GeneLayout, np.ndarray, np.ndarray, pd.DataFrame]:
    """Layout, prepared and log2 expression (samples, genes), and the columns of the samples."""
    data = select_samples(open_dataset(dataset), where)
    spec = PreparationSpec(genes=genes, scaling=scaling)
    x = np.asarray(data.X)
    prepared = Preprocessor.fit(x, data.var_names.to_numpy().astype(str), data.uns["scale"], spec)
    unit = prepared.transform(x)
    places = fit_layout(unit, prepared.genes, LayoutSpec(name=layout), size, seed=0)
    return places, unit, prepared.log_expression(x), data.obs


def save_layout(layout: GeneLayout) -> bytes:
    """The layout as an npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **layout.arrays())
    return buffer.getvalue()


def show_gene(gene: str, layout: GeneLayout, log: np.ndarray, labels: np.ndarray) -> None:
    """A gene's expression in each class, and its neighbours on the canvas."""
    row, col = layout.pixel_of(gene)
    values = log[:, layout.genes.tolist().index(gene)]
    st.markdown(f"#### {gene}")
    near = (np.abs(layout.row - row) <= 1) & (np.abs(layout.col - col) <= 1)
    neighbours = [name for name in layout.genes[near] if name != gene]
    st.caption(f"Row {row + 1}, column {col + 1}. Neighbours: {', '.join(neighbours) or 'none'}.")
    table = pd.DataFrame({"class": labels, "log2_expression": values})
    show_figure(
        expression_by_class(values, labels, gene), table, f"{gene}_expression",
        alt=f"Expression of {gene} in each class", key="gene expression",
    )  # fmt: skip


def show_page() -> None:
    """Settings on the left, images on the right."""
    record = pick_dataset()
    if record is None:
        return
    data = open_dataset(record.id)
    settings, view = st.columns([1, 3], gap="large")
    with settings:
        columns = [name for name, counts in record.columns.items() if len(counts) > 1]
        guess = suggest_label(data)
        label = st.selectbox(
            "Class", columns, index=columns.index(guess) if guess in columns else 0, key="class"
        )
        where = ask_where(record.columns, label, key="where")
        layout_name = ask_record(LAYOUTS, "Layout", key="layout")
        most = min(record.genes, PreparationSpec.model_fields["genes"].default)
        genes = ask_field(PreparationSpec, "genes", key="genes", default=most)
        scaling = ask_field(PreparationSpec, "scaling", key="scaling")
        size = ask_field(NetworkSpec, "image_size", key="image size")
        st.caption(
            "For this preview everything is fitted on all samples shown. In a run it is fitted on "
            "the training samples only."
        )
    layout, unit, log, obs = paint(record.id, where, int(genes), scaling, layout_name, int(size))
    labels = obs[label].to_numpy().astype(str)
    classes = np.unique(labels)
    means = np.stack([unit[labels == name].mean(axis=0) for name in classes])
    with settings:
        st.download_button(
            "Layout (npz)", lambda: save_layout(layout), f"layout_{layout.name}.npz",
            on_click="ignore",
        )  # fmt: skip
        places = pd.DataFrame({"gene": layout.genes, "row": layout.row, "column": layout.col})
        download_table(places, "gene_coordinates", "Gene coordinates (CSV)", key="coordinates")
    with view:
        shape = f"{layout.shape[0]} x {layout.shape[1]}"
        shared = layout.shared_pixels()
        st.markdown(
            f"**{len(layout.genes):,} genes on {shape} pixels**, "
            + ("each on its own" if not shared else f"{shared} share a pixel")
            + f"; the network sees {size} x {size}."
        )
        what = st.segmented_control(
            "Show", ["One class", "All classes", "Difference", "Samples"], default="One class",
            key="what", label_visibility="collapsed",
        )  # fmt: skip
        marked = st.multiselect(
            "Find genes", sorted(layout.genes), max_selections=10, key="find",
            placeholder="type a gene, or click a pixel",
        )  # fmt: skip
        points = []
        if what in ("One class", "Difference", None):
            chosen = st.selectbox("Class shown", classes, key="class shown")
            values = means[classes.tolist().index(chosen)]
            low, high = np.quantile(means, [0.005, 0.995])
            if what == "Difference":
                values = values - unit[labels != chosen].mean(axis=0)
            figure = gene_image(
                layout, values, marked=marked, diverging=what == "Difference",
                name=f"{chosen} minus all others" if what == "Difference" else f"mean of {chosen}",
                limits=None if what == "Difference" else (low, high),
            )  # fmt: skip
            table = pd.DataFrame({"gene": layout.genes, "row": layout.row, "column": layout.col,
                                  "value": values})  # fmt: skip
            points = show_figure(
                figure, table, f"gene_image_{chosen}", alt=f"Gene-image of {chosen}",
                key="gene image", select=True,
            )  # fmt: skip
        else:
            if what == "All classes":
                images = means
                titles = [f"{name} (n = {(labels == name).sum()})" for name in classes]
            else:
                one = st.selectbox("Samples of", classes, key="samples of")
                rows = np.flatnonzero(labels == one)[:SHOWN]
                images, titles = unit[rows], obs.index[rows].tolist()
            table = pd.DataFrame(images, columns=layout.genes).assign(image=titles)
            show_figure(
                image_grid(layout, images, titles), table, "gene_images", alt="Gene-images",
                key="grid",
            )  # fmt: skip
        if points:
            st.session_state["gene"] = layout.genes[points[0]["point_index"]]
        gene = marked[-1] if marked else st.session_state.get("gene")
        if gene in layout.genes:
            show_gene(gene, layout, log, labels)
        if st.button("Train on these →", type="primary"):
            go_to("train")


st.title("Gene images")
with errors():
    show_page()
