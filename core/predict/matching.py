"""The match card: whether a cohort fits a model, before anything is called."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict

from core.data.notes import Finding
from core.data.prepare import Preprocessor
from core.errors import InputError
from core.predict.checks import TOO_LITTLE, Looked, Values, check_match
from core.predict.genes import match_genes
from core.predict.known import find_known
from core.predict.price import Price, price_missing
from core.predict.reference import QUANTILES
from core.predict.request import PredictRequest
from core.predict.together import (
    log_parts,
)
from core.runs.study import open_samples

if TYPE_CHECKING:
    from core.predict.model import Model

POOLED = 2_000_000
"""At most about so many values make the quantiles of a cohort."""


class MatchCard(BaseModel):
    """Whether a cohort fits a model, and what was found about that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int
    needed: int
    """Genes that the model sees; of several folds, those of all."""
    found: int
    weight_found: float
    """Share of the weight of the model's answers that lies on genes that are there."""
    missing: list[tuple[str, float]]
    """Genes that are not there, with their share of the weight, the most important first."""
    translated: list[str]
    """What was done about names of genes, a sentence each."""
    scale: str
    """counts, linear or log2, as the cohort was read."""
    expected_scale: str
    quantiles: list[float]
    """Of the cohort's log2 expression over the model's genes, from lowest to highest, before the
    floor; empty where none is there."""
    training_quantiles: list[float]
    """Of training's, after the floor."""
    learned_from: list[str]
    """Samples that the model learned from."""
    price: Price | None
    """What the missing genes cost on the model's own held-out samples; None where none is missing,
    too many are, or those samples aren't here."""
    findings: list[Finding]
    """The gravest first; an error refuses the cohort."""

    @property
    def share_found(self) -> float:
        """Share of the model's genes that are there."""
        return self.found / self.needed

    @property
    def refused(self) -> bool:
        """Whether nothing is called."""
        return any(finding.severity == "error" for finding in self.findings)


def match(
    model: Model, data: AnnData, asked: PredictRequest, progress: Callable[[int, int], None]
) -> MatchCard:
    """Look whether a cohort fits a model.

    Args:
        model: its references have been measured.
        data: the cohort's samples, as `Cohort.select` gives them.
        asked: the question.
        progress: told how many steps are done, of how many.

    Raises:
        InputError: a file of the model is missing or damaged.
    """
    steps = 4
    progress(0, steps)
    matched = match_genes(model, data)
    weights = _weigh(model)
    missing = weights[~weights.index.isin(matched.data.var_names)]
    twice = _find_twice(model, matched.data)
    values = None
    if len(missing) < len(weights) and not twice:
        values = measure_values(model.folds[0].preprocessor, matched.data)
    progress(1, steps)
    samples = None
    if values is not None and not model.sent:
        with suppress(InputError):  # its dataset is gone
            samples = open_samples(model.spec)
    known = None
    if values is not None:
        own = asked.cohort.dataset == model.spec.cohort.dataset
        known = find_known(model, matched.data, samples, asked.cohort.group, own=own)
    progress(2, steps)
    price = None
    if samples is not None and 0 < missing.sum() <= 1 - TOO_LITTLE:
        price = price_missing(model, samples, list(missing.index), lambda done, of: None)
    progress(3, steps)
    at = Looked(model, asked, matched, twice, weights, missing, price, values, known)
    findings = list(check_match(at))
    order = {"error": 0, "warning": 1, "info": 2}
    return MatchCard(
        samples=data.n_obs,
        needed=len(weights),
        found=len(weights) - len(missing),
        weight_found=float(1 - missing.sum()) if len(missing) < len(weights) else 0.0,
        missing=[(str(gene), float(weight)) for gene, weight in missing.items()],
        translated=matched.notes,
        scale=str(data.uns["scale"]),
        expected_scale=at.prepared.scale,
        quantiles=[] if values is None else values.quantiles.tolist(),
        training_quantiles=at.reference.quantiles.tolist(),
        learned_from=[] if known is None else data.obs_names[known.samples].tolist(),
        price=price,
        findings=sorted(findings, key=lambda finding: order[finding.severity]),
    )


def _weigh(model: Model) -> pd.Series:
    """Gene -> its share of the weight, mean over folds, the most important first."""
    total: dict[str, float] = {}
    for reference in model.references:
        for gene, weight in zip(reference.genes, reference.importance, strict=True):
            total[str(gene)] = total.get(str(gene), 0.0) + float(weight) / len(model.references)
    return pd.Series(total).sort_values(ascending=False, kind="stable")


def _find_twice(model: Model, data: AnnData) -> list[str]:
    needed = np.unique(np.concatenate([fold.preprocessor.needed for fold in model.folds]))
    repeated = data.var_names[data.var_names.duplicated()].unique()
    return [gene for gene in repeated if gene in set(needed)]


def measure_values(prepared: Preprocessor, data: AnnData) -> Values:
    """Look through the cohort's log2 expression; one in so many samples makes the quantiles."""
    floor = prepared.spec.floor
    every = max(1, data.n_obs * len(prepared.genes) // POOLED)
    pooled, below, count = [], 0, np.zeros(len(prepared.genes))
    total = np.zeros(len(prepared.genes))
    for at, log in log_parts(prepared, data):
        there = np.isfinite(log)
        below += int((log < floor).sum())
        count += there.sum(axis=0)
        total += np.where(there, np.maximum(log, floor), 0).sum(axis=0, dtype=np.float64)
        chosen = log[-at.start % every :: every]
        pooled.append(chosen[np.isfinite(chosen)])
    with np.errstate(invalid="ignore"):
        mean = total / count
    quantiles = np.quantile(np.concatenate(pooled), np.linspace(0, 1, QUANTILES))
    return Values(quantiles, mean, below / max(count.sum(), 1))
