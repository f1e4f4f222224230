"""Choosing held-out samples on a map, to have them explained towards a class."""

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.data.similarity import map_neighbours, map_samples
from core.escape import escape_markdown
from core.explain.methods import MOST_SAMPLES, Recipe
from core.plots.data import mark_wrong, sample_map
from core.runs.fitted import load_fitted
from core.runs.result import load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunRecord
from core.training.tasks import TASKS, Targets
from ui.about import About
from ui.kept import cache_data, cache_resource
from ui.parts import open_dataset, show_figure

CHOSEN = "explained samples"
"""Where the session keeps the samples that were chosen."""
MOST_NEIGHBOURS = 5000
"""Samples beyond which t-SNE takes minutes."""


@cache_data(max_entries=8, show_spinner=False)
def read_held_out(run: str) -> pd.DataFrame:
    """The held-out samples: sample, true, predicted; of one held out several times the first."""
    table = load_predictions(run)
    table = table[table["fold"].isin(load_result(run).scored)]
    return table.drop_duplicates("sample")[["sample", "true", "predicted"]].reset_index(drop=True)


@cache_resource(max_entries=4, show_spinner="Placing the samples")
def place_samples(run: str, neighbours: bool, _spec: RunSpec) -> tuple[np.ndarray, list[str]]:
    """The held-out samples on a map of the genes of the first fold's images, and its axes."""
    fold = load_result(run).scored[0]
    data = _spec.cohort.select(open_dataset(_spec.cohort.dataset))
    rows = data.obs_names.get_indexer(read_held_out(run)["sample"])
    values = load_fitted(run, fold).prepare(data[rows])
    if neighbours:
        return map_neighbours(values), ["t-SNE 1", "t-SNE 2"]
    scores, share = map_samples(values, 2)
    return scores, [f"PC{n + 1} ({part:.0%} of the variance)" for n, part in enumerate(share)]


def ask_samples(record: RunRecord, recipe: Recipe, cls: str) -> Recipe | None:
    """Choose samples with a lasso or as the misclassified; the recipe that explains them."""
    held = read_held_out(record.id)
    maps = ["Principal components"]
    if 5 <= len(held) <= MOST_NEIGHBOURS:
        maps.append("Nearest neighbours (t-SNE)")
    left, right = st.columns([3, 2], gap="large")
    with left:
        chart = st.container()
        chosen_map = st.segmented_control(
            "Map", maps, default=maps[0], required=True, key="explained samples map kind",
            label_visibility="collapsed",
        )  # fmt: skip
    with chart:
        xy, axes = place_samples(record.id, chosen_map != maps[0], record.spec)
        wrong, groups = _judge(held, record.spec)
        figure = sample_map(xy[:, 0], xy[:, 1], held["sample"].tolist(), groups, (axes[0], axes[1]))
        mark_wrong(figure, xy[wrong, 0], xy[wrong, 1], held[wrong])
        _show_map(figure, held.assign(x=xy[:, 0], y=xy[:, 1]), record.id)
    with right:
        if TASKS[record.spec.task].has_classes:
            _choose_wrong(held, cls)
        samples = held[held["sample"].isin(st.session_state.get(CHOSEN, []))]
        if samples.empty:
            st.caption(
                "Draw around samples on the map, or take misclassified ones. They are explained "
                f"towards {escape_markdown(cls)}, the class chosen above, whatever class they are "
                "of, each by the network that had not seen it."
            )
            return None
        st.markdown(f"## {len(samples)} samples, explained towards {escape_markdown(cls)}")
        st.dataframe(samples, hide_index=True, height=300, key="explained samples table")
        st.button("Choose none", on_click=_choose, args=([],), type="tertiary")
    if len(samples) > MOST_SAMPLES:
        st.warning(f"At most {MOST_SAMPLES} samples are explained at once: draw around fewer.")
        return None
    return replace(recipe, samples=tuple(sorted(samples["sample"])), towards=cls)


def _judge(held: pd.DataFrame, spec: RunSpec) -> tuple[np.ndarray, list[str]]:
    """(samples,) which are misclassified, and what colours them: classes, or ranges."""
    task = TASKS[spec.task]
    if task.has_classes:
        return (held["true"] != held["predicted"]).to_numpy(), held["true"].tolist()
    targets = Targets([spec.cohort.label], held["true"].to_numpy(), held["true"].to_numpy())
    return np.zeros(len(held), dtype=bool), task.strata(targets).tolist()


def _show_map(figure: go.Figure, data: pd.DataFrame, run: str) -> None:
    """The map; what is drawn around is kept, since a chart that changes forgets its selection."""
    points = show_figure(
        figure, data, f"{run}_held_out_samples", alt="Held-out samples on a map, by true class",
        key="explained samples map", select="lasso",
        about=About(
            "The held-out samples on a map of the genes that are on the image; misclassified ones "
            "are marked.",
            f"{len(data):,} held-out samples.",
            "Principal components, or a t-SNE of them, of the prepared expression.",
            "Near samples are alike. In a t-SNE distances between groups mean nothing.",
        ),
    )  # fmt: skip
    names = [point["customdata"] for point in points]
    names = sorted({name[0] if isinstance(name, list) else name for name in names})
    if names and names != st.session_state.get("explained samples drawn"):
        st.session_state["explained samples drawn"] = names
        _choose(names)


def _choose_wrong(held: pd.DataFrame, cls: str) -> None:
    """Buttons that take the misclassified: all, those of the class, those taken for it."""
    wrong = held[held["true"] != held["predicted"]]
    shown = escape_markdown(cls)
    with st.container(horizontal=True):
        for words, rows in (
            ("All misclassified", wrong),
            (f"{shown} taken for another", wrong[wrong["true"] == cls]),
            (f"Others taken for {shown}", wrong[wrong["predicted"] == cls]),
        ):
            st.button(
                f"{words} ({len(rows)})", disabled=rows.empty, key=f"choose {words}",
                on_click=_choose, args=(rows["sample"].tolist(),),
            )  # fmt: skip


def _choose(names: list[str]) -> None:
    st.session_state[CHOSEN] = names
