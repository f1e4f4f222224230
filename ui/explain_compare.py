"""Classes or methods side by side, on one colour scale."""

from itertools import combinations

import numpy as np
import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.explain.methods import METHODS, Recipe
from core.explain.rankings import kuncheva, top_count
from core.plots.figures import image_grid
from core.runs.explain import RunAttribution
from core.runs.explaining import explanation_state
from core.runs.fitted import load_fitted
from core.runs.network_genes import ATTRIBUTIONS, genes_path, network_genes
from core.runs.result import load_result, load_spec
from core.training.tasks import TASKS
from ui.about import About
from ui.explain import describe, read_attribution
from ui.explain_map import mean_scores
from ui.parts import show_figure

MOST = 6
"""More maps side by side are too small to read."""


def show_side_by_side(run: str, recipe: Recipe, cls: str) -> None:
    """Mean maps of several classes, or of one class by several methods, chosen beside them."""
    found = read_attribution(run, recipe)
    several = len(np.unique(found.labels)) > 1
    beside = networks_beside(run)
    sides = [*(["Classes"] if several else []), "Samples", "Methods"]
    sides += ["Networks on genes"] if beside else []
    genes = load_fitted(run, int(found.folds[0])).layout.genes
    chart, said = st.columns([3, 1], gap="medium")
    with said:
        what = st.segmented_control(
            "Compare", sides, default=sides[0], required=True, label_visibility="collapsed",
            key="compare what" if several else "compare what of a value",
        )  # fmt: skip
        if what == "Classes":
            values = pick_classes(found, genes, cls)
        elif what == "Samples":
            values = pick_samples(found, genes, cls)
        elif what == "Methods":
            values = pick_methods(run, recipe, genes, cls)
        else:
            values = pick_networks(run, recipe, genes, cls, beside)
        if len(values) < 2:
            st.info("Choose at least two.")
            return
    comparable = list(values)
    if not METHODS[recipe.method].ranks_genes:
        comparable = []
    if what == "Methods":
        alone = [recipe, *(Recipe(method.name) for method in METHODS if not method.uses_sets)]
        comparable = [describe(one) for one in alone if METHODS[one.method].ranks_genes]
    if what == "Networks on genes" and comparable:
        comparable = list(values)
    with chart:
        show_maps(run, found, recipe, values, scaled=what not in ("Classes", "Samples"))
    with said:
        say_shared({name: values[name] for name in values if name in comparable})


def pick_classes(found: RunAttribution, genes: np.ndarray, cls: str) -> dict[str, np.ndarray]:
    """Mean scores of the classes that are chosen."""
    classes = np.unique(found.labels).tolist()
    first = [cls, *(name for name in classes if name != cls)]
    chosen = st.multiselect(
        "Classes", classes, default=first[:2], max_selections=MOST, key=f"compare classes {cls}"
    )
    return {n: mean_scores(found, np.flatnonzero(found.labels == n), genes) for n in chosen}


def pick_samples(found: RunAttribution, genes: np.ndarray, cls: str) -> dict[str, np.ndarray]:
    """Scores of single samples of the class."""
    rows = {
        f"{found.samples[row]} (fold {found.folds[row] + 1})": row
        for row in np.flatnonzero(found.labels == cls)
    }
    chosen = st.multiselect(
        "Samples", list(rows), default=list(rows)[:2], max_selections=MOST,
        key=f"compare samples {cls}",
    )  # fmt: skip
    return {name: mean_scores(found, np.array([rows[name]]), genes) for name in chosen}


def pick_methods(run: str, recipe: Recipe, genes: np.ndarray, cls: str) -> dict[str, np.ndarray]:
    """Mean scores of the class by each method chosen, each as a share of its largest score."""
    alone = [Recipe(method.name) for method in METHODS if not method.uses_sets]
    able = [recipe, *(one for one in alone if one != recipe)]
    able = [one for one in able if explanation_state(run, one).state == "done"]
    if len(able) < 2:
        st.caption("Only one method has been computed for this run. Choose another above first.")
    chosen = st.multiselect(
        "Methods", able, default=able[:2], format_func=describe, max_selections=MOST,
        key=f"compare methods {run} {recipe.stem}",
    )  # fmt: skip
    values = {}
    for one in chosen:
        found = read_attribution(run, one)
        mean = mean_scores(found, np.flatnonzero(found.labels == cls), genes)
        values[describe(one)] = mean / (np.abs(mean).max() or 1)
    return values


def networks_beside(run: str) -> dict[str, str]:
    """Networks on genes that were fitted beside a run and explained: their names, and titles."""
    baselines = TASKS[load_result(run).task].baselines
    return {one.name: one.title for one in baselines
            if one.is_network and genes_path(run, one.name).exists()}  # fmt: skip


def pick_networks(
    run: str, recipe: Recipe, genes: np.ndarray, cls: str, beside: dict[str, str]
) -> dict[str, np.ndarray]:
    """Mean scores of the class by the run's network and by others, each as a share of its largest.

    Those of the networks on genes stand on the layout of the run; a gene that they lack is 0.
    """
    found = read_attribution(run, recipe)
    own = load_spec(run).network.record.title
    values = {own: mean_scores(found, np.flatnonzero(found.labels == cls), genes)}
    method = recipe.method if recipe.method in ATTRIBUTIONS else ATTRIBUTIONS[0]
    chosen = st.multiselect(
        "Networks on genes", list(beside), default=list(beside)[:2], format_func=beside.get,
        max_selections=MOST - 1, key=f"compare networks {run}",
    )  # fmt: skip
    st.caption(
        f"Beside {own}, by {METHODS[method].title.lower()} of all held-out samples, from the "
        "training mean."
    )
    for name in chosen:
        table = network_genes(run, name, method)
        scores = table[table["class"] == cls].set_index("gene")["score"]
        values[beside[name]] = scores.reindex(genes, fill_value=0).to_numpy()
    return {name: mean / (np.abs(mean).max() or 1) for name, mean in values.items()}


def show_maps(
    run: str,
    found: RunAttribution,
    recipe: Recipe,
    values: dict[str, np.ndarray],
    scaled: bool,
) -> None:
    """The maps on one scale."""
    layout = load_fitted(run, int(found.folds[0])).layout
    images = np.stack(list(values.values()))
    name = "share of the largest" if scaled else "attribution"
    figure = image_grid(
        layout, images, list(values), name=name, diverging=bool((images < 0).any()),
        columns=min(len(values), 3),
    )  # fmt: skip
    data = pd.DataFrame(values).assign(gene=layout.genes)
    show_figure(
        figure, data, f"{run}_{recipe.stem}_side_by_side", key="side by side",
        alt=f"Maps of {', '.join(values)} on one scale",
        about=About(
            "Mean attributions of several classes or methods on one layout, in one scale of "
            "colours.",
            f"{len(values)} maps of {len(layout.genes):,} genes, of held-out samples.",
            "Methods and networks are each divided by their largest score, as their units differ.",
            "Genes that several methods name are likelier to be what the network goes by; that "
            "they agree is no proof.",
        ),
    )  # fmt: skip


def say_shared(ranked: dict[str, np.ndarray]) -> None:
    """How many top genes each pair of rankings shares."""
    for (first, a), (second, b) in combinations(ranked.items(), 2):
        k = top_count(len(a))
        shared = kuncheva(a, b, k)
        st.markdown(
            f"{escape_markdown(first)} and {escape_markdown(second)} share {max(shared, 0):.0%} of "
            f"their {k} top genes, beyond chance."
        )
