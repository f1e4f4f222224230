"""The values of a dataset: the clustered heat map, each sample's range, what is missing."""

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData

from core.data.choices import Choices
from core.data.prepare import Preprocessor
from core.data.profile import MatrixProfile, profile
from core.data.similarity import cluster
from core.data.store import DatasetRecord
from core.escape import escape_markdown
from core.images.classes import to_sd
from core.plots.data import heat_map, missing_by_class, value_ranges
from core.plots.findings import say_heat_map, say_missing, say_ranges
from ui.about import About
from ui.card import SCALES
from ui.forms import ask_number
from ui.kept import cache_resource
from ui.parts import show_figure
from ui.sample_map import used_samples

MOST_DRAWN = 600
"""Samples of a heat map; of more, some are drawn at random."""
MOST_STRIPS = 3
"""Columns of the samples above a heat map."""


@cache_resource(max_entries=4, show_spinner="Clustering genes and samples")
def arrange(dataset: str, choices: str, genes: int) -> pd.DataFrame:
    """The most variable genes x samples in SD, both clustered; at most MOST_DRAWN samples."""
    decided = Choices.model_validate_json(choices)
    data = used_samples(dataset, decided)
    kept = np.arange(data.n_obs)
    if data.n_obs > MOST_DRAWN:
        kept = np.sort(np.random.default_rng(0).choice(kept, MOST_DRAWN, replace=False))
    spec = decided.preparation.model_copy(update={"genes": genes, "scaling": "zscore"})
    x, names = np.asarray(data.X)[kept], data.var_names.to_numpy()
    prepared = Preprocessor.fit(x, names, str(data.uns["scale"]), spec)
    values = to_sd(prepared.transform(x, names)).T
    rows, columns = cluster(values), cluster(values.T)
    samples = data.obs_names.to_numpy()[kept]
    return pd.DataFrame(values[rows][:, columns], prepared.genes[rows], samples[columns])


def show_heat_map(record: DatasetRecord, choices: Choices) -> None:
    """Genes x samples, clustered, with what is known of the samples above them."""
    chart = st.container()
    left, right = st.columns([1, 3])
    with left:
        genes = ask_number("Genes", 10, 200, 50, key="heat genes", step=10)
    table = arrange(record.id, choices.model_dump_json(), int(genes))
    obs = used_samples(record.id, choices).obs.loc[table.columns].astype(str)
    cohort = choices.cohort
    usual = [name for name in (cohort.label, cohort.batch) if name in obs]
    columns = right.multiselect(
        "Coloured above", list(obs), default=usual, key=f"heat columns {record.id[:12]}",
        placeholder="no column", max_selections=MOST_STRIPS,
    )  # fmt: skip
    strips = {name: obs[name].tolist() for name in columns}
    groups = strips[columns[0]] if columns else [""] * len(obs)
    with chart:
        show_figure(
            heat_map(table.to_numpy(), table.index, table.columns, strips),
            table.rename_axis("gene").reset_index(), "heat_map", key="heat map",
            alt=say_heat_map(table.to_numpy(), table.index, groups),
            about=explain_heat_map(*table.shape),
        )  # fmt: skip
    some = f" {MOST_DRAWN} of the samples, drawn at random." if record.samples > MOST_DRAWN else ""
    st.caption(
        "The genes of highest variance, in SD from their mean; genes and samples are ordered by "
        f"the correlation of their values (average linkage).{some}"
    )


def explain_heat_map(genes: int, samples: int) -> About:
    """What stands behind the heat map."""
    return About(
        shown="A row is a gene, a column a sample; red is above the gene's mean, blue below it.",
        n=f"{genes} genes in {samples:,} samples.",
        computed="The genes that vary most in log2 expression, in SD from their mean; rows and "
        "columns are ordered by average linkage on 1 - correlation. No class was looked at.",
        read="Blocks under one colour of the class are genes that mark it. Blocks that follow the "
        "batch instead come from there.",
    )


@cache_resource(max_entries=4, show_spinner="Looking at the values")
def measure(dataset: str, choices: str) -> tuple[AnnData, MatrixProfile]:
    """What the values of the used samples are like."""
    decided = Choices.model_validate_json(choices)
    data = used_samples(dataset, decided)
    return data, profile(np.asarray(data.X))


def show_values(record: DatasetRecord, choices: Choices) -> None:
    """The range of each sample's values, and where values are missing."""
    data, found = measure(record.id, choices.model_dump_json())
    groups = (
        data.obs[choices.cohort.label].astype(str)
        if choices.cohort.label
        else np.full(data.n_obs, "all")
    )
    quantiles, unit = found.quantiles, "log2 values"
    if found.scale != "log2":
        quantiles, unit = np.log2(np.maximum(quantiles, 0) + 1), f"log2({SCALES[found.scale]} + 1)"
    table = pd.DataFrame(quantiles, columns=["p5", "p25", "median", "p75", "p95"])
    table.insert(0, "sample", data.obs_names)
    show_figure(
        value_ranges(quantiles, groups, unit), table, "value_ranges",
        alt=say_ranges(quantiles[:, 2], groups), about=explain_values(data, unit),
    )  # fmt: skip
    st.caption(
        "A class that lies higher or lower as a whole was often processed elsewhere. "
        + escape_markdown(found.evidence)
    )
    st.markdown("## Missing values")
    if not found.missing.any():
        st.caption("No value is missing.")
        return
    table = pd.DataFrame(
        {"sample": data.obs_names, "class": np.asarray(groups), "missing": found.missing}
    )
    show_figure(
        missing_by_class(found.missing, data.n_vars, groups), table, "missing_values",
        alt=say_missing(found.missing, data.n_vars, groups),
        about=About(
            shown="The share of values that is missing in each class.",
            n=f"{data.n_obs:,} samples with {data.n_vars:,} values each.",
            computed="Counted in the file as it is, before anything is filled in.",
            read="Values that are missing in one class only can give that class away, however they "
            "are filled.",
        ),
    )  # fmt: skip


def explain_values(data: AnnData, unit: str) -> About:
    """What stands behind the ranges of values."""
    return About(
        shown="The middle half and the middle 90 % of each sample's values, with their median.",
        n=f"{data.n_obs:,} samples, each with {data.n_vars:,} genes.",
        computed=f"Percentiles of the file's values, shown as {unit}; missing values are left out.",
        read="Samples should lie alike. One that lies far off was measured or processed "
        "otherwise; a class that does may be told by that alone.",
    )
