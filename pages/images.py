"""Gene images: how genes are laid out, how good that is, and what samples and classes look like."""

import streamlit as st

from core.data.prepare import PreparationSpec
from core.data.store import DatasetRecord
from core.home import only_looks
from core.images.layout import GeneLayout
from core.images.layouts import LayoutSpec
from core.images.trial import Trial
from core.models.spec import NetworkSpec
from core.plots.images import share_limits
from ui.download import download_button
from ui.find import find_name
from ui.forms import HOLDS, ask_field, ask_genes, check_fields
from ui.image_genes import show_drawn, show_gene
from ui.image_groups import show_groups
from ui.layouts import ask_layout
from ui.line import place_columns, say_dataset, show_dataset_line
from ui.painting import (
    VIEWS,
    Painting,
    average,
    class_of,
    show_compared,
    show_many,
    show_one,
    show_samples,
)
from ui.parts import decided, download_table, errors, go_to, pick_role, say_samples
from ui.trials import lay_out, prepare, show_quality

POINTERS = {"click": "Click a gene", "draw": "Draw around genes"}


def ask_trial(record: DatasetRecord) -> Trial:
    """What stands in the drawer: which samples, which genes, which layout."""
    choices = decided(record)
    above = st.container()
    genes = ask_genes(record, choices.preparation.genes)
    scaling = ask_field(
        PreparationSpec, "scaling", key=f"scaling {record.id[:12]}",
        default=choices.preparation.scaling,
    )  # fmt: skip
    size = ask_field(NetworkSpec, "image_size", key="image size")
    with above:
        layout = ask_layout(record, size)
    say_samples(record, choices)
    st.caption(
        "For this preview genes, scaling and layout are fitted on all samples shown. In a run they "
        "are fitted on the training samples only."
    )
    check_fields(PreparationSpec, {"genes": genes})
    check_fields(NetworkSpec, {"image_size": size})
    preparation = choices.preparation.model_copy(update={"genes": genes, "scaling": scaling})
    return Trial(cohort=choices.cohort, preparation=preparation, layout=layout, image_size=size)


def offer_layout(layout: GeneLayout) -> None:
    """The layout as files."""
    download_button(
        "Layout (npz)", layout.to_bytes, f"layout_{layout.name}.npz",
        on_click="ignore",
    )  # fmt: skip
    download_table(layout.table, "gene_coordinates", "Gene coordinates (CSV)", key="coordinates")


def show_images(painting: Painting, record: DatasetRecord) -> None:
    """What to look at, the image, and the gene or genes that are looked at."""
    samples = painting.trial.model_copy(update={"layout": LayoutSpec(), "image_size": 64})
    classes = average(samples, bool(painting.unit))
    view = st.segmented_control(
        "Show", VIEWS, default="mean", required=True, format_func=VIEWS.get, key="image view",
        **HOLDS, label_visibility="collapsed",
    )  # fmt: skip
    if view == "compare":  # two large images, and below them what is chosen
        image, side = st.container(), st.container(horizontal=True)
        choices, picked = st.container(), st.container()
    else:
        image, right = st.columns([8, 5], gap="medium")
        side, choices, picked = right.container(), right.container(), right.container()
    chosen, trials = classes.names[0], []
    with side:
        if view not in ("classes", "groups"):
            chosen = st.selectbox("Class shown", classes.names, key="class shown", **HOLDS)
        gene = find_name(
            "Find a gene", painting.genes, key="gene", placeholder="type, or click a pixel"
        )
        drawing = view not in ("classes", "samples") and st.segmented_control(
            "Mouse", POINTERS, default="click", required=True, format_func=POINTERS.get,
            key="pointer", **HOLDS,
            help="On large images: a click shows one gene; drawn around, genes become a list.",
        ) == "draw"  # fmt: skip
    with image, errors():
        if view == "groups":
            show_groups(painting, record, samples, gene, choices)
        elif view == "classes":
            titles = [
                f"{name} (n = {n})" for name, n in zip(classes.names, classes.sizes, strict=True)
            ]
            limits = share_limits(classes.means, diverging=classes.means.min() < 0)
            show_many(painting, classes.means, titles, gene, limits)
        elif view == "samples":
            show_samples(painting, chosen, gene, choices)
        elif view == "compare":
            trials = show_compared(painting, record, classes, chosen, gene, choices)
        else:
            show_one(painting, classes, chosen, view, gene)
        say_painting(painting)
    with picked:
        if drawing:
            show_drawn(painting, record, classes)
        else:
            show_gene(painting, gene)
    if trials:
        show_quality(trials)


def say_painting(painting: Painting) -> None:
    """Which genes are painted how, on how many samples."""
    size = painting.trial.image_size
    st.caption(
        f"{painting.layout.describe()}; the network sees {size} x {size}. "
        f"{len(painting.labels):,} samples."
    )


def show_page() -> None:
    """The images; what they are made of stands in the drawer."""
    record, line = show_dataset_line("Gene images", "Dataset and layout")
    if record is None:
        return
    with place_columns(record, line):
        pick_role(record, "label")
    say_dataset(record, line)
    with line.drawer:
        trial = ask_trial(record)
    layout = lay_out(trial, key="main")
    if layout is None:
        return
    prepared = prepare(trial)
    show_images(Painting(trial, layout, prepared, class_of(prepared, trial.cohort)), record)
    with st.container(horizontal=True):
        if not only_looks() and st.button("Train on these →", type="primary"):
            st.session_state["level"] = "custom"  # the recommended recipe has its own layout
            go_to("train")
        offer_layout(layout)


with errors():
    show_page()
