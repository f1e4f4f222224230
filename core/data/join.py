"""Several cohorts as one dataset, so that each can be held out in turn."""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.matrix import check_size
from core.data.prepare import find_per_million, to_log2
from core.errors import InputError

COHORT = "cohort"
"""Column of a joint dataset that says which cohort a sample is of."""
FEWEST_GENES = 20
"""Cohorts that share fewer genes are not joined."""


def join_datasets(
    cohorts: Mapping[str, AnnData], columns: Mapping[str, Sequence[str]] | None = None
) -> AnnData:
    """Put cohorts under each other, over the genes that all of them have.

    Values on one scale stay as they are; else all become log2 expression: of counts log2 of counts
    per million + 1, of linear values log2 of the value + 1. What differs between laboratories
    stays: bring them together in the preparation (`across`), which learns nothing from cohorts that
    are held out. A sample whose id another cohort has as well gets its cohort's name before it.

    Args:
        cohorts: name -> samples, two or more, as `read_dataset` gives them.
        columns: column of the joint dataset -> its name in each cohort, in their order; by default
            the columns that all of them have, under their names.

    Returns:
        `obs` with these columns and `cohort`; `uns` with scale and notes.

    Raises:
        InputError: fewer than two cohorts, too few genes that all have, or a column isn't there.
    """
    if len(cohorts) < 2:
        raise InputError("Expected two or more cohorts to join.")
    parts = list(cohorts.values())
    for name, data in cohorts.items():
        if not data.var_names.is_unique:
            raise InputError(f"In {name} some genes stand more than once; read the file again.")
    shared = reduce(lambda genes, data: genes.intersection(data.var_names), parts[1:],
                    parts[0].var_names)  # fmt: skip
    if len(shared) < FEWEST_GENES:
        ids = "; ".join(f"{name}: {data.var_names[0]}" for name, data in cohorts.items())
        raise InputError(
            f"Only {len(shared)} genes are in all of them, at least {FEWEST_GENES} are needed. "
            f"Genes must be named alike; their first ones are {ids}."
        )
    check_size(sum(data.n_obs for data in parts), len(shared), "The joint dataset")
    if columns is None:
        common = set.intersection(*(set(data.obs.columns) for data in parts)) - {COHORT}
        columns = {name: [name] * len(parts) for name in parts[0].obs.columns if name in common}
    scales = [str(data.uns["scale"]) for data in parts]
    as_log2 = len(set(scales)) > 1
    values, tables = [], []
    for at, (name, data) in enumerate(cohorts.items()):
        x = np.asarray(data[:, shared].X, dtype=np.float32)
        if as_log2:  # a library is counted over all genes of its cohort
            counts = scales[at] == "counts"
            x = to_log2(x, scales[at], find_per_million(np.asarray(data.X)) if counts else 1.0)
        values.append(x)
        tables.append(_take_columns(name, data, {new: old[at] for new, old in columns.items()}))
    obs = pd.concat(tables)
    twice = obs.index[obs.index.duplicated(keep=False)]
    obs.index = [
        f"{name}:{sample}" if sample in set(twice) else sample
        for sample, name in zip(obs.index, obs[COHORT], strict=True)
    ]
    joint = AnnData(np.vstack(values), obs=obs, var=pd.DataFrame(index=shared))
    joint.uns = {
        "scale": "log2" if as_log2 else scales[0],
        "notes": [
            f"{len(shared):,} genes are in all {len(parts)} cohorts: "
            + ", ".join(f"{name} has {data.n_vars:,}" for name, data in cohorts.items()) + "."
        ],
    }  # fmt: skip
    if as_log2:
        said = ", ".join(f"{n} {scale}" for n, scale in zip(cohorts, scales, strict=True))
        joint.uns["notes"].append(f"All values became log2 expression: they were {said}.")
    return joint


def _take_columns(name: str, data: AnnData, columns: Mapping[str, str]) -> pd.DataFrame:
    for column in columns.values():
        if column not in data.obs:
            known = ", ".join(data.obs.columns) or "none"
            raise InputError(f"{name} has no column {column!r}. Columns: {known}.")
    table = pd.DataFrame(
        {new: data.obs[old].astype(str).to_numpy() for new, old in columns.items()},
        index=data.obs_names.astype(str),
    )
    return table.assign(**{COHORT: name})
