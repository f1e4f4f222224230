"""Which samples of a cohort a model has learned from, by their ids and by their profiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from core.data.checks.values import NEARLY_THE_SAME
from core.data.similarity import FEWEST_GENES, GENES
from core.predict.together import ROWS, log_parts

if TYPE_CHECKING:
    from core.predict.model import Model
    from core.predict.reference import Reference
    from core.runs.study import Samples

FEWEST_COMPARED = 10
"""Fewer genes can't tell samples apart."""
THE_SAME = 0.9999
"""The correlation from which two samples are one where few genes are compared."""
OF_ONE = 0.5
"""The correlation below which samples of the same id are samples of different people."""
FEWEST_CENTRED = 10
"""Samples from which a cohort's own means can be taken off, and with them another processing."""


@dataclass(frozen=True)
class Known:
    """What a model knows of a cohort."""

    samples: np.ndarray
    """(samples,) whether the model learned from each"""
    twins: dict[str, str]
    """Sample -> the training sample under another id whose profile it has"""
    namesakes: list[str]
    """Samples with the id of a training sample and the profile of another"""
    patients: list[str]
    """Other samples of patients that the model learned from"""
    checked: bool
    """Whether anything is known of the samples that the model learned from"""
    by_profile: bool
    """Whether profiles were compared, beside ids"""


def find_known(
    model: Model, data: AnnData, samples: Samples | None, group: str | None, *, own: bool
) -> Known:
    """Find the samples that a model learned from.

    A sample of the same id is one, unless both profiles are there and differ; so is a sample with
    a training sample's profile under another id. Profiles are log2 expression of the model's most
    variable genes, each in training SD from its training mean.

    Args:
        model: the model; all its folds count.
        data: the cohort, with genes under the model's ids.
        samples: the run's; None of a model that was sent, or whose dataset is gone.
        group: the cohort's column of patients.
        own: whether the cohort is of the dataset that the model learned from.
    """
    names = data.obs_names.to_numpy().astype(str)
    parts = [part for fold in model.folds for part in (fold.train, fold.validation)]
    ids = np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=str)
    known = np.isin(names, ids)
    if own and not len(ids):  # of a model that was sent: which of them isn't known
        known[:] = True
    patients: list[str] = []
    if samples is not None and samples.patients is not None and group is not None:
        theirs = set(samples.patients[np.isin(samples.samples, ids)]) - {""}
        whose = data.obs[group].to_numpy().astype(str)
        patients = names[np.isin(whose, list(theirs)) & ~known].tolist()
    if samples is None or own:
        return Known(known, {}, [], patients, bool(len(ids)) or own, own)
    learned = np.flatnonzero(np.isin(samples.samples, ids))
    pair = _profiles(model, data, samples, learned)
    if pair is None:
        return Known(known, {}, [], patients, True, False)
    new, old, genes = pair
    r, best = _correlate(new, old)
    enough = NEARLY_THE_SAME if genes >= FEWEST_GENES else THE_SAME
    place = {name: at for at, name in enumerate(samples.samples[learned])}
    twins = {
        names[at]: str(samples.samples[learned[best[at]]])
        for at in np.flatnonzero((r >= enough) & ~known)
    }
    centred = new - new.mean(axis=0) if len(new) >= FEWEST_CENTRED else new
    namesakes = [
        names[at]
        for at in np.flatnonzero(known)
        if max(_correlation(rows[at], old[place[names[at]]]) for rows in (new, centred)) < OF_ONE
    ]
    known = (known & ~np.isin(names, namesakes)) | np.isin(names, list(twins))
    patients = [name for name in patients if name not in twins]
    return Known(known, twins, namesakes, patients, True, True)


def _profiles(
    model: Model, data: AnnData, samples: Samples, learned: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int] | None:
    """Standardised profiles of the cohort and of what was learned from, and of how many genes."""
    prepared, reference = model.folds[0].preprocessor, model.references[0]
    there = np.isin(prepared.genes, data.var_names) & (reference.log_sd > 0)
    chosen = np.flatnonzero(there)[np.argsort(-reference.log_sd[there], kind="stable")][:GENES]
    if len(chosen) < FEWEST_COMPARED:
        return None
    floor = np.float32(prepared.spec.floor)
    new = [
        _standardise(np.maximum(log, floor), chosen, reference)
        for _, log in log_parts(prepared, data)
    ]
    old = [
        _standardise(prepared.log_expression(samples.x[at], samples.genes), chosen, reference)
        for at in np.array_split(learned, -(-len(learned) // ROWS))
    ]
    return np.concatenate(new), np.concatenate(old), len(chosen)


def _standardise(log: np.ndarray, chosen: np.ndarray, reference: Reference) -> np.ndarray:
    z = (log[:, chosen] - reference.log_mean[chosen]) / reference.log_sd[chosen]
    return np.nan_to_num(z).astype(np.float32)


def _correlate(new: np.ndarray, old: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(samples,) the highest correlation with another set of profiles, and with which of them."""
    new, old = _normalise(new), _normalise(old)
    best, highest = np.empty(len(new), int), np.empty(len(new))
    for start in range(0, len(new), ROWS):
        r = new[start : start + ROWS] @ old.T
        best[start : start + ROWS], highest[start : start + ROWS] = r.argmax(axis=1), r.max(axis=1)
    return highest, best


def _normalise(z: np.ndarray) -> np.ndarray:
    z = z - z.mean(axis=1, keepdims=True)
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float((_normalise(one[None]) * _normalise(other[None])).sum())
