"""The map on the Explain page: a class mean, the misclassified, or one sample."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.explain.methods import METHODS, Recipe
from core.images.layout import GeneLayout
from core.plots.figures import gene_image, let_draw, name_genes, region_map
from core.plots.findings import say_attributions
from core.runs.explain import (
    RunAttribution,
)
from core.runs.fitted import load_fitted
from core.runs.result import load_predictions, load_result
from ui.about import About, about_map
from ui.explain import DRAWN, GENE, describe
from ui.forms import HOLDS
from ui.parts import show_figure

MEAN, WRONG = "mean", "wrong"
"""What is shown besides single samples."""
POINTERS = {"click": "Click a gene", "draw": "Draw around genes"}


def show_map(
    run: str,
    found: RunAttribution,
    recipe: Recipe,
    cls: str,
    marked: Sequence[str],
    first: Sequence[str],
) -> None:
    """The class mean, the misclassified, or one sample as a map, to click or to draw on.

    Args:
        run: its id.
        found: its attribution.
        recipe: how it was computed.
        cls: the class.
        marked: genes to circle.
        first: genes to name, the first ones of the list.
    """
    picture = st.container()
    method, own = METHODS[recipe.method], np.flatnonzero(found.labels == cls)
    true, predicted = _answers(run, found)
    several = len(np.unique(found.folds)) > 1
    is_wrong = predicted != true
    if not load_result(run).confusion:  # of numbers none is just right or wrong
        is_wrong = np.zeros(len(true), dtype=bool)
    wrong = own[is_wrong[own]]
    names: dict[str | int, str] = {MEAN: f"Mean of {len(own)} held-out samples"}
    if len(wrong):
        names[WRONG] = f"Mean of the {len(wrong)} that were taken for another class"
    for row in own:
        names[int(row)] = (
            f"{found.samples[row]}"
            + (f", fold {found.folds[row] + 1}" if several else "")
            + (f", {true[row]}" if recipe.towards else "")
            + (f", taken for {predicted[row]}" if is_wrong[row] else "")
        )
    left, right = st.columns([4, 5], vertical_alignment="bottom")
    shown = left.selectbox(
        "Shown", list(names), format_func=names.get, key=f"shown {run} {cls}", **HOLDS
    )
    right.segmented_control(
        "Mouse", POINTERS, default="click", required=True, format_func=POINTERS.get,
        key="map pointer", **HOLDS,
        help="A click shows one gene; drawn around, genes become a list.",
    )  # fmt: skip
    rows = own if shown == MEAN else wrong if shown == WRONG else np.array([shown])
    layout = load_fitted(run, int(found.folds[rows[0]])).layout
    values = mean_scores(found, rows, layout.genes)
    data = pd.DataFrame({"gene": layout.genes, "row": layout.row + 1, "column": layout.col + 1,
                         "attribution": values})  # fmt: skip
    figure = gene_image(layout, values, name="attribution", diverging=method.signed, marked=marked)
    alt = f"{describe(recipe)} of {recipe.towards or cls}"
    if method.ranks_genes:
        said = say_attributions(values, layout.genes, recipe.towards or cls)
        alt = f"{describe(recipe)}. {said}"
    name_genes(figure, layout, [gene for gene in first if gene not in marked])
    with picture:
        about = about_map(describe(recipe), recipe.towards or cls, len(rows))
        _show_pointed(figure, layout, data, f"{recipe.stem}_{cls}", alt, about)
    if several and shown in (MEAN, WRONG):
        st.caption("Means over the folds, gene by gene, painted on the first fold's layout.")
    if found.maps is not None:
        same = rows[found.folds[rows] == found.folds[rows[0]]]
        image = found.maps[same].mean(axis=0)
        with st.expander("The map as it was computed"):
            show_figure(
                region_map(image, name="attribution", diverging=method.signed),
                pd.DataFrame(image), f"{recipe.stem}_{cls}_map", alt=f"Raw map of {cls}", key="raw",
                about=About(
                    "The map as the method gives it, in cells of the stage that it looks at.",
                    f"The mean of {len(same):,} held-out samples.",
                    f"{describe(recipe)}, before it is spread over the image's genes.",
                    "A cell covers many genes: no gene of it comes before another.",
                ),
            )  # fmt: skip


def _show_pointed(
    figure: go.Figure, layout: GeneLayout, data: pd.DataFrame, name: str, alt: str, about: About
) -> None:
    """The map, on which a gene can be clicked or genes drawn around."""
    if st.session_state["map pointer"] == "click":
        take = partial(_take_click, layout)
        show_figure(figure, data, name, alt=alt, key="map", select=take, about=about)
        return
    over = let_draw(figure)
    points = show_figure(figure, data, name, alt=alt, key="map drawn", select="lasso", about=about)
    drawn = {point["point_index"] for point in points if point["curve_number"] == over}
    if drawn:  # a chart that changes forgets its selection
        st.session_state[DRAWN] = layout.genes[sorted(drawn)].tolist()


def _take_click(layout: GeneLayout) -> None:
    points = st.session_state["map"]["selection"]["points"]
    if points:
        st.session_state[GENE] = str(layout.genes[points[0]["point_index"]])


def mean_scores(found: RunAttribution, rows: np.ndarray, genes: np.ndarray) -> np.ndarray:
    """(genes,) mean scores over some of the samples that were explained, of the genes named.

    Each gene's mean is over the samples whose fold had it on the image; 0 where none had.
    """
    scores = found.scores[rows][:, np.searchsorted(found.genes, genes)]
    counted = np.isfinite(scores).sum(axis=0)
    return np.nansum(scores, axis=0) / np.maximum(counted, 1)


def _answers(run: str, found: RunAttribution) -> tuple[np.ndarray, np.ndarray]:
    """(samples,) each explained sample's class, and what its fold's network took it for."""
    table = load_predictions(run).set_index(["sample", "fold"])
    table = table.reindex(pd.MultiIndex.from_arrays([found.samples, found.folds]))
    return table["true"].to_numpy(), table["predicted"].to_numpy()
