"""Where new samples lie among those of training, coloured by what is known of both."""

import pandas as pd
import streamlit as st

from core.data.store import list_datasets, read_column
from core.escape import escape_markdown
from core.plots.figures import COLOURS
from core.plots.predict import NEW, TRAINING, prediction_map
from core.predict.model import Model
from core.predict.predicting import Prediction
from core.predict.request import PredictRequest
from core.predict.words import is_known
from ui.about import About
from ui.parts import decided, show_figure
from ui.predict_calls import LIKE, UNLIKE

NOT_KNOWN, OTHERS = "not known", "all others"
"""Batches that aren't known, and those that get no colour of their own."""
COORDINATES = {
    "features": ("Network's features", "x", "y"),
    "genes": ("Genes", "gx", "gy"),
}


def show_map(found: Prediction, model: Model) -> None:
    """The new samples among those of training."""
    has_classes = model.task.has_classes
    left, right = st.columns(2)
    seen = left.segmented_control(
        "Map of", COORDINATES, default="features", required=True, key="predicted map",
        format_func=lambda name: COORDINATES[name][0],
        help="Principal components of the training samples; new samples are put among them.",
    )  # fmt: skip
    ways = ["looks", "kind"] + (["call"] if has_classes else [])
    if has_classes and is_known(found.calls).any():
        ways.append("known class")
    columns = batch_columns(found.request, model)
    if columns:
        ways.insert(0, "batch")
    by = right.segmented_control(
        "Coloured by", ways[::-1], default=ways[-1] if has_classes else "looks", required=True,
        key="predicted colours",
    )  # fmt: skip
    _, x, y = COORDINATES[seen]
    calls = found.calls.set_index("sample")
    table = found.map.assign(x=found.map[x], y=found.map[y])
    new = table["kind"] == NEW
    table["flagged"] = False
    table.loc[new, "flagged"] = calls.loc[table.loc[new, "sample"], "flagged"].to_numpy()
    groups = model.classes if has_classes else []
    if by == "looks":
        table["group"] = table["flagged"].map({True: UNLIKE, False: LIKE}).where(new, TRAINING)
        groups = [LIKE, UNLIKE]
    elif by == "kind":
        table["group"], groups = table["kind"], [NEW]
    elif by == "known class":
        table["group"] = table["class"]
        table.loc[new, "group"] = calls.loc[table.loc[new, "sample"], "true"].to_numpy()
    elif by == "batch":
        table["group"] = batches_of(table, columns)
        counts = table["group"][table["group"] != NOT_KNOWN].value_counts()
        groups = list(counts.index[: len(COLOURS)])
        shown = table["group"].isin([*groups, NOT_KNOWN])
        table["group"] = table["group"].where(shown, OTHERS)
        named = " and ".join(f"{kind} samples by {name}" for kind, (_, name) in columns.items())
        more = "" if shown.all() else f" The {len(groups)} largest have a colour of their own."
        st.caption(escape_markdown(f"Coloured are {named}.{more}"))
    else:
        table["group"] = table["class"]
    show_figure(
        prediction_map(table, groups, ("first component", "second component")), table,
        "predicted_map", alt=f"New samples among those of training, coloured by {by}",
        about=About(
            "These samples (diamonds) among those that the model learned from (dots).",
            f"{int(new.sum()):,} new samples, {int((~new).sum()):,} of training.",
            "The first two principal components of the training samples, of the network's features "
            "or of its genes; new samples are put among them and change nothing.",
            "New samples that lie apart are measured or prepared otherwise, or are of another "
            "kind. Two components show only a part: near each other is no proof of being alike.",
        ),
    )  # fmt: skip
    st.caption(
        "Dots are samples that the model learned from, diamonds are these samples; ringed ones "
        "look unlike training. Two components show a part of the variance only: samples that lie "
        "together here may be apart in others."
    )


def batch_columns(asked: PredictRequest, model: Model) -> dict[str, tuple[str, str]]:
    """Kind of samples -> dataset and column of their batch or site, where one is known.

    The column is the one that was chosen on the page Data, or else the one that looks like it.
    """
    records = {record.id: record for record in list_datasets()}
    datasets = {NEW: asked.cohort.dataset}
    if not model.sent:
        datasets[TRAINING] = model.spec.cohort.dataset
    chosen = {
        kind: (dataset, decided(records[dataset]).cohort.batch)
        for kind, dataset in datasets.items()
        if dataset in records
    }
    return {kind: (dataset, column) for kind, (dataset, column) in chosen.items() if column}


def batches_of(table: pd.DataFrame, columns: dict[str, tuple[str, str]]) -> pd.Series:
    """The batch of each sample of a map: see `batch_columns`."""
    batches = pd.Series(NOT_KNOWN, table.index, dtype=object)
    for kind, (dataset, column) in columns.items():
        rows = table["kind"] == kind
        known = read_column(dataset, column).reindex(table.loc[rows, "sample"])
        batches[rows] = known.where(known.notna() & ~known.isin(("", "nan")), NOT_KNOWN).to_numpy()
    return batches
