"""Why samples of another cohort are called as they are: which genes say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy.stats import spearmanr

from core.errors import InputError
from core.explain.attribution import attribute
from core.explain.methods import METHODS
from core.explain.rankings import top_count
from core.predict.genes import match_genes
from core.predict.labelled import GeneAgreement
from core.predict.model import Model
from core.predict.reference import MOST_EXPLAINED, QUICK
from core.predict.request import PredictRequest, explaining_methods
from core.predict.together import prepare_rows
from core.training.device import choose_device

SMALLEST = 1e-30
FEWEST_AGREEING = 5
"""Fewer samples called alike don't say which genes speak for a class elsewhere."""
MOST_AGREEING = 40
"""At most so many samples of a class are asked."""
NAMED = 5
"""Genes that are named for a difference."""


@dataclass(frozen=True)
class GeneScores:
    """What genes say for the calls of some samples."""

    genes: np.ndarray
    """(genes,) all that any fold has on its image, sorted"""
    scores: np.ndarray
    """(samples, genes) towards what each is called, mean over the folds' networks; 0 in a fold that
    lacks the gene"""
    away: np.ndarray
    """(samples, genes) how far the prepared value is from the training mean, in its SD; NaN where
    the cohort lacks the gene"""


def score_genes(
    model: Model,
    rows: Sequence[np.ndarray],
    missing: np.ndarray,
    targets: np.ndarray,
    method: str,
    device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> GeneScores:
    """Attribute samples to genes, each towards what it is called, against the training mean.

    Args:
        model: what called them.
        rows: (samples, genes of the fold) what each fold's network sees of them.
        missing: ids of genes that the cohort lacks.
        targets: (samples,) numbers of the classes; of a regression 0.
        method: a name in METHODS, one of `explaining_methods`.
        device: where to compute.
        progress: told how many samples are done, of how many.
    """
    genes = np.unique(np.concatenate([fold.preprocessor.genes for fold in model.folds]))
    scores = np.zeros((len(targets), len(genes)))
    away = np.full((len(targets), len(genes)), np.nan)
    total = len(targets) * len(model.folds)
    for number, (fold, seen) in enumerate(zip(model.folds, rows, strict=True)):
        prepared = fold.preprocessor
        found = attribute(
            method, fold.network, fold.imager, seen, targets,
            np.tile(prepared.mean, (len(seen), 1)), device=device,
            background=prepared.mean[None],
            progress=lambda done, _, before=number: progress(before * len(targets) + done, total),
        )  # fmt: skip
        at = np.searchsorted(genes, prepared.genes)
        scores[:, at] += found.scores / len(model.folds)
        away[:, at] = (seen - prepared.mean) / np.maximum(prepared.unit_sd, SMALLEST)
    away[:, np.isin(genes, missing)] = np.nan
    return GeneScores(genes, scores, away)


def explain_calls(
    model: Model,
    data: AnnData,
    asked: PredictRequest,
    calls: pd.DataFrame,
    samples: Sequence[str],
    method: str,
    progress: Callable[[int, int], None],
) -> pd.DataFrame:
    """Which genes speak for what some samples are called, mean over them.

    Args:
        model: what called them.
        data: all samples that were asked for, since some ways of bringing cohorts together look at
            all of them.
        asked: the question.
        calls: the answer.
        samples: ids of those to explain, MOST_EXPLAINED at most.
        method: a name in METHODS, one of `explaining_methods`.
        progress: told how many samples are done, of how many.

    Returns:
        A row a gene, the highest score first: gene; score, towards what each sample is called;
        away, how far the gene is from the training mean, in SD of training (NaN where the cohort
        lacks it); importance, its share in the model's own held-out samples.

    Raises:
        InputError: too many samples, one that wasn't called, or a method that can't be asked.
    """
    able = [each.name for each in explaining_methods()]
    if method not in able:
        raise InputError(
            f"{METHODS[method].title} doesn't score single genes of any sample. Take one of: "
            f"{', '.join(able)}."
        )
    positions = pd.Index(calls["sample"]).get_indexer(list(samples))
    if (positions < 0).any():
        missing = [s for s, at in zip(samples, positions, strict=True) if at < 0]
        raise InputError(f"Sample {missing[0]} is not among those that were called.")
    if not 0 < len(positions) <= MOST_EXPLAINED:
        raise InputError(f"Expected 1 to {MOST_EXPLAINED} samples to explain, got {len(samples)}.")
    matched = match_genes(model, data)
    rows = [
        prepare_rows(fold, reference, matched.data, asked.together, positions)
        for fold, reference in zip(model.folds, model.references, strict=True)
    ]
    targets = np.zeros(len(positions), dtype=int)
    if model.task.has_classes:
        targets = pd.Index(model.classes).get_indexer(calls["called"].iloc[positions])
    device = choose_device()
    found = score_genes(model, rows, matched.missing, targets, method, device, progress)
    importance = np.zeros(len(found.genes))
    for reference in model.references:
        at = np.searchsorted(found.genes, reference.genes)
        importance[at] += reference.importance / len(model.references)
    return (
        pd.DataFrame(
            {
                "gene": found.genes,
                "score": found.scores.mean(axis=0),
                "away": found.away.mean(axis=0),
                "importance": importance,
            }
        )
        .sort_values(["score", "gene"], ascending=[False, True])
        .reset_index(drop=True)
    )


def compare_genes(
    model: Model,
    prepare: Callable[[np.ndarray], list[np.ndarray]],
    missing: np.ndarray,
    targets: np.ndarray,
    device: torch.device,
) -> list[GeneAgreement]:
    """Whether the genes that speak for a class are those that did in the model's own cohort.

    `prepare` gives the rows of samples at some positions; the other arguments are those of
    `score_genes`. Classes that few samples are called are left out.
    """
    rng = np.random.default_rng(0)
    chosen = {}
    for output in np.unique(targets):
        own = rng.permutation(np.flatnonzero(targets == output))[:MOST_AGREEING]
        if len(own) >= FEWEST_AGREEING:
            chosen[output] = own
    if not chosen:
        return []
    positions = np.concatenate(list(chosen.values()))
    rows = prepare(positions)
    found = []
    for output, own in chosen.items():
        seen = [part[np.isin(positions, own)] for part in rows]
        here = score_genes(model, seen, missing, targets[own], QUICK, device)
        there = _own_importance(model, here.genes, int(output))
        if there is None:
            continue
        new = np.abs(here.scores).mean(axis=0)
        new /= max(new.sum(), SMALLEST)
        k = top_count(len(new))
        first = [set(np.argsort(-weights, kind="stable")[:k]) for weights in (new, there)]
        change = new - there
        found.append(
            GeneAgreement(
                name=model.classes[output],
                n=len(own),
                correlation=float(spearmanr(new, there).statistic),
                top=k,
                shared=len(first[0] & first[1]),
                raised=_name(here.genes, change),
                lowered=_name(here.genes, -change),
            )
        )
    return found


def _own_importance(model: Model, genes: np.ndarray, output: int) -> np.ndarray | None:
    """(genes,) how important each was for a class among held-out samples; None if unknown."""
    total, known = np.zeros(len(genes)), 0
    for reference in model.references:
        weights = reference.class_importance[output]
        if np.isfinite(weights).all():
            total[np.searchsorted(genes, reference.genes)] += weights
            known += 1
    return total / known if known else None


def _name(genes: np.ndarray, change: np.ndarray) -> list[str]:
    order: Sequence[int] = np.argsort(-change, kind="stable")[:NAMED]
    return [str(genes[gene]) for gene in order if change[gene] > 0]
