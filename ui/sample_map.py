"""The samples of a dataset on a map: coloured, drawn around, kept as a group or left out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData

from core.data.choices import Choices, save_choices
from core.data.groups import keep_group
from core.data.prepare import Preprocessor
from core.data.similarity import map_neighbours, map_samples
from core.data.store import DatasetRecord
from core.escape import escape_markdown
from core.plots.data import sample_map, sample_values
from core.plots.findings import say_sample_map, say_value_map
from ui.about import About
from ui.find import find_name
from ui.forms import HOLDS
from ui.kept import cache_resource
from ui.parts import errors, needs_own_home, open_dataset, show_figure

MAP_GENES = 1000
"""Most variable genes on which the map of samples rests."""
MOST_NEIGHBOURS = 5000
"""Samples beyond which t-SNE takes minutes."""


def change(record: DatasetRecord, choices: Choices) -> None:
    """Keep new choices, and let the boxes on the page show them."""
    save_choices(record.id, choices)
    short = record.id[:12]
    for role in ("label", "group", "batch"):
        st.session_state[f"{role} {short}"] = getattr(choices.cohort, role)


def used_samples(dataset: str, choices: Choices) -> AnnData:
    """The samples of a stored dataset that the choices keep, classes as they count."""
    return choices.cohort.select(open_dataset(dataset))


@cache_resource(max_entries=4, show_spinner="Comparing samples")
def locate(
    dataset: str, choices: str, neighbours: bool = False
) -> tuple[AnnData, np.ndarray, list[str]]:
    """The used samples on a map of their most variable genes, and what its axes are.

    Principal components, or with `neighbours` a t-SNE of them.
    """
    decided = Choices.model_validate_json(choices)
    data = used_samples(dataset, decided)
    spec = decided.preparation.model_copy(update={"genes": MAP_GENES})
    x, genes = np.asarray(data.X), data.var_names.to_numpy()
    prepared = Preprocessor.fit(x, genes, str(data.uns["scale"]), spec)
    values = prepared.transform(x, genes)
    if neighbours:
        return data, map_neighbours(values), ["t-SNE 1", "t-SNE 2"]
    scores, share = map_samples(values)
    axes = [f"PC{n + 1} ({part:.0%} of the variance)" for n, part in enumerate(share)]
    return data, scores, axes


def log_values(data: AnnData, gene: str) -> np.ndarray:
    """(samples,) log2 expression of a gene, of counts and linear values that of 1 more."""
    values = np.asarray(data[:, gene].X, dtype=float).ravel()
    return values if data.uns["scale"] == "log2" else np.log2(np.maximum(values, 0) + 1)


def show_samples(record: DatasetRecord, choices: Choices) -> None:
    """Samples on a map; a lasso says who they are and can leave them out."""
    data, scores, titles = locate(record.id, choices.model_dump_json())
    chart = st.container()
    left, right, third = st.columns([2, 3, 2])
    columns, colour, groups = list(data.obs.columns), "group", np.full(data.n_obs, "all samples")
    if columns:
        colour = left.selectbox(
            "Colour by", columns, key="map colour", **HOLDS,
            index=columns.index(choices.cohort.label) if choices.cohort.label else 0,
        )  # fmt: skip
        groups = data.obs[colour].astype(str).to_numpy()
    maps = {
        f"Principal components {n + 1} and {n + 2}": n for n in range(0, scores.shape[1] - 1, 2)
    }
    if 5 <= data.n_obs <= MOST_NEIGHBOURS:
        maps["Nearest neighbours (t-SNE)"] = None
    with third:
        gene = find_name(
            "Or by a gene", data.var_names.tolist(), key="map gene", placeholder="such as ESR1"
        )
    x = maps[right.selectbox("Map", list(maps), key="map axes", **HOLDS)]
    said = "Principal components of"
    if x is None:
        _, scores, titles = locate(record.id, choices.model_dump_json(), neighbours=True)
        x, said = 0, "Near samples are alike, far groups may be or not: t-SNE of"
    y, axes = x + 1, titles[x : x + 2]
    at = scores[:, x], scores[:, y], data.obs_names
    points = scores[:, [x, y]]
    if gene is None:
        figure = sample_map(*at, groups, (axes[0], axes[1]))
        alt = say_sample_map(points, groups, colour)
    else:
        colour, groups = f"{gene}, log2", log_values(data, gene)
        figure = sample_values(*at, groups, colour, (axes[0], axes[1]))
        alt = say_value_map(points, groups, colour)
    table = pd.DataFrame(
        {"sample": data.obs_names, colour: groups, axes[0]: scores[:, x], axes[1]: scores[:, y]}
    )
    with chart:
        points = show_figure(
            figure, table, "samples_map", alt=alt, key="samples_pca", select="lasso",
            about=explain_map(data, said),
        )  # fmt: skip
    st.caption(
        f"{said} the {min(MAP_GENES, data.n_vars):,} most variable genes. Draw "
        "around points to see who they are."
    )
    chosen = [point["customdata"] for point in points]
    chosen = [name[0] if isinstance(name, list) else name for name in chosen]
    if not chosen:
        return
    st.markdown(f"## {len(chosen)} samples")
    st.dataframe(data.obs.loc[chosen].rename_axis("sample").reset_index(), hide_index=True)
    if needs_own_home("They can be kept as a group, or left out,"):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offer_group(record, chosen, key="group of points")
        st.button(
            "Leave these samples out", icon=":material/build:",
            on_click=lambda: change(record, choices.changed(leave_out=chosen)),
        )  # fmt: skip


def explain_map(data: AnnData, said: str) -> About:
    """What stands behind the map of samples."""
    how = (
        "Principal components of log2 expression, each gene centred; the axes say their share of "
        "the variance."
        if said.startswith("Principal")
        else "t-SNE of the first principal components: near samples stay near, distances between "
        "far groups mean nothing."
    )
    return About(
        shown="Each point is a sample; like samples lie together.",
        n=f"{data.n_obs:,} samples; the {min(MAP_GENES, data.n_vars):,} genes that vary most.",
        computed=f"{how} No class was looked at.",
        read="Groups that lie apart differ in many genes. Colour by batch or site as well: where "
        "that parts the samples like the class does, the two can't be told apart.",
    )


def offer_group(record: DatasetRecord, samples: Sequence[str], *, key: str) -> None:
    """A name and a button that keeps samples as a group."""
    with st.form(key, border=False, clear_on_submit=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input("Name of a group", placeholder="such as the outer cluster")
            pressed = st.form_submit_button("Keep as a group", icon=":material/bookmark_add:")
        if pressed:
            with errors():
                group = keep_group(record.id, name, samples)
                st.toast(
                    f"“{escape_markdown(group.name)}” is kept. It stands under Groups.",
                    icon=":material/bookmark:",
                )
