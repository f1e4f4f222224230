"""Gene images: how genes are laid out, and what samples and classes look like."""

import io
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from core.data.check import select_samples
from core.data.prepare import Z_LIMIT, PreparationSpec, Preprocessor
from core.data.store import DatasetRecord
from core.images.layout import GeneLayout
from core.images.layouts import LAYOUTS, LayoutSpec, fit_layout
from core.models.spec import NetworkSpec
from core.plots.figures import expression_by_class, gene_image, image_grid
from ui.forms import ask_field, ask_genes, ask_record
from ui.parts import (
    decided,
    download_table,
    errors,
    escape_markdown,
    go_to,
    open_dataset,
    pick_dataset,
    pick_role,
    say_samples,
    show_figure,
)

SHOWN = 8  # samples side by side
VIEWS = {
    "mean": "Class mean",
    "difference": "Class against the rest",
    "classes": "All classes",
    "samples": "Samples",
}


class Settings(NamedTuple):
    """What decides the images: the key of everything that is cached here."""

    dataset: str
    where: dict[str, list[str]]
    leave_out: tuple[str, ...]
    preparation: str
    """JSON of the specification"""
    layout: str
    size: int

    @property
    def unit(self) -> str:
        """What the values are counted in; empty for values from 0 to 1."""
        scaling = PreparationSpec.model_validate_json(self.preparation).scaling
        return "SD" if scaling in ("zscore", "robust") else ""


class Painting(NamedTuple):
    """Expression on its canvas."""

    layout: GeneLayout
    values: np.ndarray
    """(samples, genes) as the network sees them, in units that can be read: SD from the mean, or
    from 0 (lowest) to 1 (highest)"""
    log: np.ndarray
    """(samples, genes) log2 expression"""
    obs: pd.DataFrame


class Classes(NamedTuple):
    """Class means."""

    names: list[str]
    sizes: list[int]
    means: np.ndarray
    """(classes, genes)"""
    differences: np.ndarray
    """(classes, genes) mean of the class minus mean of all other samples"""


@st.cache_resource(max_entries=2, show_spinner="Laying out genes")
def paint(settings: Settings) -> Painting:
    """Prepare and lay out a dataset; everything is fitted on all of its samples."""
    data = select_samples(open_dataset(settings.dataset), settings.where, settings.leave_out)
    spec = PreparationSpec.model_validate_json(settings.preparation)
    x = np.asarray(data.X)
    prepared = Preprocessor.fit(x, data.var_names.to_numpy().astype(str), data.uns["scale"], spec)
    unit = prepared.transform(x)
    layout = fit_layout(unit, prepared.genes, LayoutSpec(name=settings.layout), settings.size, 0)
    values = (2 * unit - 1) * Z_LIMIT if settings.unit else unit
    return Painting(layout, values, prepared.log_expression(x), data.obs)


@st.cache_resource(max_entries=8, show_spinner=False)
def average(settings: Settings, label: str | None) -> Classes:
    """The mean of each class, and how it differs from all other samples."""
    painting = paint(settings)
    labels = class_of(painting, label)
    names, sizes = np.unique(labels, return_counts=True)
    means = np.stack([painting.values[labels == name].mean(axis=0) for name in names])
    rest = np.maximum(sizes.sum() - sizes, 1)[:, None]
    others = (sizes @ means - sizes[:, None] * means) / rest
    return Classes(names.tolist(), sizes.tolist(), means, means - others)


def class_of(painting: Painting, label: str | None) -> np.ndarray:
    """The class of each sample; one for all when no column is chosen."""
    if label is None:
        return np.full(len(painting.obs), "all samples")
    return painting.obs[label].to_numpy().astype(str)


def ask_settings(record: DatasetRecord) -> tuple[Settings, str | None]:
    """The column on the left: which samples, which genes, which layout."""
    label = pick_role(record, "label")
    choices = decided(record)
    layout = ask_record(LAYOUTS, "Layout", key="layout")
    genes = ask_genes(record, choices.preparation.genes)
    scaling = ask_field(
        PreparationSpec, "scaling", key=f"scaling {record.id[:12]}",
        default=choices.preparation.scaling,
    )  # fmt: skip
    size = ask_field(NetworkSpec, "image_size", key="image size")
    say_samples(record, choices)
    st.caption(
        "For this preview genes, scaling and layout are fitted on all samples shown. In a run they "
        "are fitted on the training samples only."
    )
    preparation = choices.preparation.model_copy(
        update={"genes": int(genes), "scaling": scaling}
    ).model_dump_json()
    settings = Settings(record.id, choices.where, choices.leave_out, preparation, layout, int(size))
    return settings, label


def offer_layout(layout: GeneLayout) -> None:
    """The layout as files."""
    st.download_button(
        "Layout (npz)", lambda: save_layout(layout), f"layout_{layout.name}.npz",
        on_click="ignore",
    )  # fmt: skip
    download_table(
        lambda: tabulate(layout), "gene_coordinates", "Gene coordinates (CSV)", key="coordinates"
    )


def save_layout(layout: GeneLayout) -> bytes:
    """The layout as an npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **layout.arrays())
    return buffer.getvalue()


def tabulate(layout: GeneLayout, **columns: np.ndarray) -> pd.DataFrame:
    """Genes, their pixels (from 0 at the top left), and more columns."""
    places = {"gene": layout.genes, "row": layout.row, "column": layout.col}
    return pd.DataFrame({**places, **columns})


def take_click(genes: np.ndarray) -> None:
    """Make the gene of a clicked pixel the one that is looked at."""
    points = st.session_state["gene image"]["selection"]["points"]
    if points:
        st.session_state["gene"] = str(genes[points[0]["point_index"]])


def show_one(
    painting: Painting, classes: Classes, chosen: str, view: str, gene: str | None, unit: str
) -> None:
    """One class as a large image; every class has the same colour scale."""
    images = classes.means if view == "mean" else classes.differences
    values = images[classes.names.index(chosen)]
    diverging = view == "difference" or images.min() < 0
    name = f"mean of {chosen}" if view == "mean" else f"{chosen} minus the rest"
    if diverging:
        reach = float(np.quantile(np.abs(images), 0.998)) or 1.0
    figure = gene_image(
        painting.layout, values, marked=[gene] if gene else [], diverging=diverging,
        name=f"{name}{unit}", limits=(-reach, reach) if diverging else (0, 1),
    )  # fmt: skip
    show_figure(
        figure, tabulate(painting.layout, **{view: values}), f"gene_image_{view}_{chosen}",
        alt=f"Gene-image: {VIEWS[view]} of {chosen}", key="gene image",
        select=partial(take_click, painting.layout.genes),
    )  # fmt: skip


def show_many(
    painting: Painting, images: np.ndarray, titles: list[str], gene: str | None, limits
) -> None:
    """Several images side by side on one colour scale."""
    figure = image_grid(
        painting.layout, images, titles, diverging=limits[0] < 0, limits=limits,
        marked=[gene] if gene else [], name="SD from the mean" if limits[0] < 0 else "value",
    )  # fmt: skip
    table = pd.DataFrame(images, columns=painting.layout.genes)
    table.insert(0, "image", titles)
    show_figure(figure, table, "gene_images", alt="Gene-images side by side", key="grid")


def show_gene(painting: Painting, gene: str | None, labels: np.ndarray) -> None:
    """A gene's expression in each class, and its neighbours on the canvas."""
    if gene is None:
        st.markdown("#### One gene")
        st.caption("Find a gene above, or click a pixel of a large image (Class mean, Class "
                   "against the rest): its expression in each class stands here.")  # fmt: skip
        return
    layout = painting.layout
    row, col = layout.pixel_of(gene)
    near = (np.abs(layout.row - row) <= 1) & (np.abs(layout.col - col) <= 1)
    neighbours = [name for name in layout.genes[near].tolist() if name != gene]
    st.markdown(f"#### {escape_markdown(gene)}")
    st.caption(
        f"Row {row + 1}, column {col + 1}. Neighbours: "
        f"{escape_markdown(', '.join(neighbours)) or 'none'}."
    )
    values = painting.log[:, layout.genes.tolist().index(gene)]
    table = pd.DataFrame({"sample": painting.obs.index, "class": labels, "log2_expression": values})
    show_figure(
        expression_by_class(values, labels, gene), table, f"{gene}_expression",
        alt=f"Expression of {gene} in each class", key="gene expression",
    )  # fmt: skip


def show_images(settings: Settings, painting: Painting, label: str | None) -> None:
    """What to look at, the image, and the gene that is looked at."""
    layout, labels = painting.layout, class_of(painting, label)
    classes = average(settings, label)
    shared = layout.shared_pixels()
    st.markdown(
        f"**{len(layout.genes):,} genes on {layout.shape[0]} x {layout.shape[1]} pixels**, "
        + ("each on its own" if not shared else f"{shared} share a pixel")
        + f"; the network sees {settings.size} x {settings.size}. "
        f"{len(labels):,} samples."
    )
    what, which, find = st.columns([5, 2, 2], vertical_alignment="bottom")
    view = what.segmented_control(
        "Show", VIEWS, default="mean", required=True, format_func=VIEWS.get, key="view",
        persist_state="session", label_visibility="collapsed",
    )  # fmt: skip
    chosen = which.selectbox(
        "Class shown", classes.names, key="class shown", disabled=view == "classes",
        persist_state="session",
    )  # fmt: skip
    gene = find.selectbox(
        "Find a gene", sorted(layout.genes.tolist()), index=None, key="gene", bind="query-params",
        placeholder="type, or click a pixel",
    )  # fmt: skip
    unit = f" ({settings.unit})" if settings.unit else ""
    if view in ("mean", "difference"):
        image, side = st.columns([3, 2], gap="medium")
        with image:
            show_one(painting, classes, chosen, view, gene, unit)
        with side:
            show_gene(painting, gene, labels)
        return
    reach = float(np.quantile(np.abs(classes.means), 0.998)) or 1.0
    if view == "classes":
        titles = [f"{name} (n = {n})" for name, n in zip(classes.names, classes.sizes, strict=True)]
        images = classes.means
    else:
        rows = np.flatnonzero(labels == chosen)
        first = st.number_input(
            "Starting with sample", 1, len(rows), 1, SHOWN, key=f"first {chosen}",
            help=f"{chosen} has {len(rows):,} samples; {SHOWN} are shown at a time.", width=240,
        )  # fmt: skip
        rows = rows[first - 1 : first - 1 + SHOWN]
        images, titles, reach = painting.values[rows], painting.obs.index[rows].tolist(), Z_LIMIT
    show_many(painting, images, titles, gene, (-reach, reach) if images.min() < 0 else (0.0, 1.0))
    show_gene(painting, gene, labels)


def show_page() -> None:
    """Settings on the left, images on the right."""
    record = pick_dataset()
    if record is None:
        return
    left, right = st.columns([1, 4], gap="large")
    with left:
        settings, label = ask_settings(record)
    with right, errors():
        painting = paint(settings)
        show_images(settings, painting, label)
        with left:
            offer_layout(painting.layout)
        if st.button("Train on these →", type="primary"):
            go_to("train")


st.title("Gene images")
with errors():
    show_page()
