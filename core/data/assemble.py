"""What was taken from a file as one AnnData: unique ids, names that can be seen, finite values."""

import re

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.column_names import MISSING
from core.data.genes import clean_genes, merge_genes
from core.data.matrix import check_size
from core.data.names import refuse_unseen
from core.data.notes import Notes
from core.data.samples import shorten_paths
from core.data.taken import Taken
from core.errors import InputError

RESERVED = {"_index", "__categories"}
"""Columns that h5ad keeps for itself."""


def assemble(taken: Taken, source: str, notes: Notes) -> AnnData:
    """One AnnData with unique ids, without rows that aren't genes and without blank words."""
    check_size(len(taken.samples), len(taken.genes), source)
    samples = shorten_paths(np.char.strip(taken.samples.astype(str)), notes)
    _check_ids(samples, source)
    refuse_unseen(samples, taken.genes, taken.obs, source)
    blank = int(sum(not str(gene).strip() for gene in taken.genes))
    if blank:
        notes.warn("unnamed_genes", f"{blank} genes without a name were left out.")
    x, genes = merge_genes(taken.x, clean_genes(taken.genes, notes), notes)
    obs = pd.DataFrame(taken.obs, index=pd.Index(samples, dtype=object), dtype=object)
    return AnnData(
        np.ascontiguousarray(x),
        obs=obs.where(~obs.isin(MISSING), ""),
        var=pd.DataFrame(index=pd.Index(genes, dtype=object)),
    )


def clean_columns(data: AnnData, notes: Notes) -> None:
    """Rename columns that h5ad can't hold, or keeps for itself."""
    new = {
        name: re.sub(r"^(\.*)$|/", r"\1_", name.strip("_") if name in RESERVED else name)
        for name in data.obs.columns
        if "/" in name or not name.strip(".") or name in RESERVED
    }
    if new:
        data.obs = data.obs.rename(columns=new)
        notes.say(f"Columns were renamed: {', '.join(f'{a} to {b}' for a, b in new.items())}.")


def _check_ids(samples: np.ndarray, source: str) -> None:
    ids = pd.Series(samples)
    twice = ids[ids.duplicated()].unique()
    if len(twice):
        listed = ", ".join(map(str, twice[:5]))
        raise InputError(
            f"{source} has {len(twice)} sample ids more than once: {listed}. Give every sample an "
            "id of its own, or tell where the samples stand if these are genes."
        )
    if (ids == "").any():
        row = int(np.flatnonzero(ids == "")[0])
        raise InputError(f"{source}: sample {row + 1} has no id. Give every sample an id.")


def check_values(data: AnnData, source: str) -> None:
    """Raise InputError for infinite values, and where there is no value at all."""
    for row, values in enumerate(data.X):
        infinite = np.flatnonzero(np.isinf(values))
        if not len(infinite):
            continue
        column = infinite[0]
        raise InputError(
            f"{source}: sample {data.obs_names[row]}, gene {data.var_names[column]} is infinite. "
            "Correct it, or leave the cell empty if the value is missing."
        )
    if np.isnan(data.X).all():
        raise InputError(f"{source} has no number at all where expression is expected.")
