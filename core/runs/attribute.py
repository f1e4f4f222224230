"""Carry a finished run's networks back to genes, fold by fold (the part that needs torch)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch

from core.errors import InputError
from core.explain import evidence
from core.explain.attribution import Attribution
from core.explain.case import Case
from core.explain.consensus import rank_by_consensus
from core.explain.genes import gene_table, has_fold_change, rank_by_weight, rank_samples
from core.explain.linear import linear_weights
from core.explain.measures import Evidence, can_measure, without_genes
from core.explain.methods import Recipe
from core.explain.rankings import kuncheva, top_count
from core.runs.explain import RunAttribution, measure_run_skill
from core.runs.fitted import load_fitted
from core.runs.remembered import recall_dataset
from core.runs.result import load_result, load_spec
from core.runs.spec import RunSpec
from core.runs.study import Samples, open_samples
from core.training.device import choose_device
from core.training.tasks import TASKS

PARTS = {
    "skill": 1, "signal": 0, "completeness": 0, "randomisation": 12, "class_mean": 0, "removal": 11,
    "infidelity": 3, "sensitivity": 8, "agreement": 2, "resampling": 0, "stability": 0,
}  # fmt: skip
"""What the trust card is measured in, in its order; some parts are two measures. With each stands
how long it takes beside the others: processor seconds for integrated gradients, 44 samples and
SqueezeNet at 32 pixels."""
SOLVED_PARTS = PARTS | {"randomisation": 90, "removal": 4, "infidelity": 2, "sensitivity": 3}
"""The same where the head is solved: randomised stages are seen by all samples anew, the rest is
linear."""

HEAD_ALONE = 0.05
"""What a score costs that goes through no stage of a network, beside one that goes through all."""


def attribute_run(
    run: str,
    recipe: Recipe,
    samples_per_class: int,
    progress: Callable[[int, int], None],
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Attribute held-out samples to genes, each for its true class.

    `progress` is told how many samples are done, of how many.

    Asked are the folds that the run's scores are of: of a learning curve the last one. Beside each
    network, the same one with random initial weights is asked: genes that it names too come from
    the data or the method, not from what was learned (Adebayo et al. 2018, arXiv:1810.03292).
    Samples of the class that the recipe is against are left out, unless the recipe names its
    samples: those are explained towards one class, whatever class they are of. With several folds,
    genes are ranked by what the folds' networks agree on.

    Returns:
        The arrays of a RunAttribution, and the gene tables of all classes under each other, with
        the rank by the mean weight that the folds' linear models give a gene.

    Raises:
        InputError: the recipe names a class, stage or sample that the run doesn't have.
    """
    spec, study, device = open_run(run, recipe)
    task = TASKS[spec.task]
    parts, weights, groups = [], [], []
    scored, chosen = _choose_by_fold(run, study, recipe, samples_per_class, spec.seed)
    total, done = sum(map(len, chosen)), 0
    for number, positions in zip(scored, chosen, strict=True):
        fitted = load_fitted(run, number)
        case, prepared = fitted.case(recipe, study, positions, device), fitted.preprocessor

        def tell(share: float, before: int = done, own: int = len(positions)) -> None:
            progress(before + round(share * own), total)

        parts.append((positions, prepared, *explain_both(case, tell)))
        done += len(positions)
        groups.append(case.set_names)
        fitting = fitted.locate(study).fitting
        x, y = fitted.source.transform(study)[fitting], study.y[fitting]
        weights.append(linear_weights(task, x, y, len(study.classes), spec.seed))

    genes = np.unique(np.concatenate([prepared.genes for _, prepared, _, _ in parts]))
    positions = np.concatenate([positions for positions, *_ in parts])
    labels = study.labels[positions]
    if recipe.towards is not None:
        labels = np.full(len(positions), recipe.towards)
    folds = np.concatenate(
        [np.full(len(p), number) for number, (p, *_) in zip(scored, parts, strict=True)]
    )
    scores = np.concatenate([_spread(a.scores, p.genes, genes) for _, p, a, _ in parts])
    control = np.concatenate([_spread(a.scores, p.genes, genes) for _, p, _, a in parts])
    expression = np.full((len(study.x), len(genes)), np.nan, dtype=np.float32)
    for _, prepared, _, _ in reversed(parts):
        at = np.searchsorted(genes, prepared.genes)
        expression[:, at] = prepared.log_expression(study.x, study.genes)
    plain = np.nanmean(
        [_spread(w, p.genes, genes) for w, (_, p, *_) in zip(weights, parts, strict=True)], axis=0
    )
    tables, overlap, k = [], {}, top_count(len(genes))
    fold_change = has_fold_change(study.x, parts[0][1].scale)
    ranks = rank_samples(expression) if task.has_classes else None
    for name in np.unique(labels):
        own = labels == name
        table = gene_table(
            scores, labels, expression, study.labels, genes, name, fold_change=fold_change,
            values=None if task.has_classes else study.y, ranks=ranks,
        )  # fmt: skip
        table = rank_by_weight(table, plain[study.classes.index(name)], genes)
        overlap[name] = kuncheva(*(np.nanmean(a[own], axis=0) for a in (scores, control)), k)
        if len(parts) > 1:
            own = [(labels == name) & (folds == number) for number in scored]
            lists = np.stack([scores[rows].mean(axis=0) for rows in own if rows.any()])
            table = rank_by_consensus(table, lists, genes)
        tables.append(table)
    arrays = {
        "scores": scores,
        "genes": genes,
        "samples": study.samples[positions],
        "labels": labels,
        "folds": folds,
        "untrained_overlap": np.array(json.dumps(overlap)),
    }
    first = parts[0][2]
    if first.maps is not None:
        arrays["maps"] = np.concatenate([a.maps for _, _, a, _ in parts])
    if first.completeness is not None:
        arrays["completeness"] = np.concatenate([a.completeness for _, _, a, _ in parts])
    if first.sets is not None:
        names = np.unique(np.concatenate(groups))
        arrays["set_names"] = names
        arrays["sets"] = np.concatenate(
            [_spread(a.sets, own, names) for own, (_, _, a, _) in zip(groups, parts, strict=True)]
        )
    return arrays, pd.concat(tables, ignore_index=True)


def explain_both(case: Case, tell: Callable[[float], None]) -> tuple[Attribution, Attribution]:
    """What the network attributes, and what the untrained one does.

    `tell` hears which share is done, by how much of the networks that takes: where a linear head
    looks at the genes alone, the untrained network takes nearly all of the time.
    """
    networks = case.network, case.untrained
    costs = [max(network.stages_needed, HEAD_ALONE) for network in networks]
    found, before = [], 0.0
    for network, cost in zip(networks, costs, strict=True):
        explain = replace(case, network=network).explain
        found.append(explain(lambda n, of, b=before, c=cost: tell((b + c * n / of) / sum(costs))))
        before += cost
    return found[0], found[1]


def collect_parts(
    run: str,
    recipe: Recipe,
    found: RunAttribution,
    samples_per_class: int,
    known: Collection[str],
    tell: Callable[[str, float], None] = lambda part, share: None,
) -> Iterator[tuple[str, list[Evidence]]]:
    """Put a run's attribution to the test, one of PARTS after the other, without those known.

    What needs the network is asked of the first fold's, with a few samples of each class; `tell` is
    told how much of a part is done.

    Yields:
        A part's name and its measurements.
    """
    _, study, device = open_run(run, recipe)
    place = pd.Series(np.arange(len(study.samples)), index=study.samples)
    number = int(found.folds[0])
    first = np.flatnonzero(found.folds == number)
    rows = np.concatenate(
        [
            first[found.labels[first] == name][:samples_per_class]
            for name in np.unique(found.labels[first])
        ]
    )
    positions = place.loc[found.samples[rows]].to_numpy()
    fitted = load_fitted(run, number)
    case = fitted.case(recipe, study, positions, device)
    own = found.scores[rows][:, np.searchsorted(found.genes, fitted.preprocessor.genes)]
    errors, rest = found.completeness, (found.scores, found.labels)
    tell("skill", 0)  # what was loaded until here says nothing of the time that measuring takes
    measures: dict[str, Callable[[], list[Evidence]]] = {
        "skill": lambda: [measure_run_skill(run)],
        "signal": lambda: [evidence.measure_signal(own)],
        "completeness": lambda: [evidence.measure_completeness(errors)],
        "randomisation": lambda: evidence.measure_randomisation(
            case, own, partial(tell, "randomisation")
        ),
        "class_mean": lambda: [evidence.measure_class_mean(case, own)],
        "removal": lambda: evidence.measure_removal(case, own, partial(tell, "removal")),
        "infidelity": lambda: [evidence.measure_infidelity(case, own)],
        "sensitivity": lambda: [evidence.measure_sensitivity(case, partial(tell, "sensitivity"))],
        "agreement": lambda: [evidence.measure_agreement(case, own)],
        "resampling": lambda: [evidence.measure_resampling(*rest)],
        "stability": lambda: [evidence.measure_stability(*rest, found.folds)],
    }
    for name in PARTS:
        if name not in known:
            usable = can_measure(name, recipe.method)
            yield (
                name,
                measures[name]() if usable else [without_genes(name, recipe.method)],
            )


def open_run(run: str, recipe: Recipe) -> tuple[RunSpec, Samples, torch.device]:
    """A run's specification and samples, and where to compute.

    Raises:
        InputError: the recipe names a class or stage that the run doesn't have.
    """
    spec = load_spec(run)
    study = open_samples(spec, recall_dataset(spec.cohort.dataset))
    for name in (recipe.against, recipe.towards):
        if name is not None and name not in study.classes:
            known = ", ".join(study.classes)
            raise InputError(f"Run {run} has no class {name!r}. Known: {known}.")
    if len(study.classes) == 1 and (recipe.against or recipe.baseline == "others"):
        raise InputError(
            f"Run {run} predicts {study.classes[0]}, a number: there is no other class to hold it "
            "against. Leave the class out, and compare with the training mean or with zero."
        )
    if recipe.stage is not None:
        _check_stage(spec, recipe.stage)
    return spec, study, choose_device()


def _check_stage(spec: RunSpec, stage: str) -> None:
    sides = spec.network.map_sides
    if stage not in sides:
        known = ", ".join(sides)
        raise InputError(f"{spec.network.backbone} has no stage {stage!r}. Known: {known}.")
    if sides[stage] == 1:
        usable = ", ".join(f"{name} ({n} x {n})" for name, n in sides.items() if n > 1)
        raise InputError(
            f"Of images of {spec.network.image_size} pixels, {stage} leaves a map of one cell, "
            f"which says nothing about where on the image. Take one of: {usable}."
        )


def _choose_by_fold(
    run: str, study: Samples, recipe: Recipe, samples_per_class: int, seed: int
) -> tuple[list[int], list[np.ndarray]]:
    """The folds that are asked, and the positions of the samples of each, which it held out."""
    tests = {
        number: load_fitted(run, number).locate(study).test for number in load_result(run).scored
    }
    if not recipe.samples:
        rng, share = np.random.default_rng(seed), -(-samples_per_class // len(tests))
        return list(tests), [
            choose_samples(study, test, recipe, share, rng) for test in tests.values()
        ]
    wanted, parts = set(recipe.samples), {}
    for number, test in tests.items():
        test = np.sort(test)
        own = test[np.isin(study.samples[test], list(wanted))]
        if len(own):
            parts[number] = own
            wanted -= set(study.samples[own])  # a sample held out twice is explained once
    if wanted:
        some = ", ".join(sorted(wanted)[:5]) + (" …" if len(wanted) > 5 else "")
        raise InputError(
            f"{len(wanted)} of the {len(set(recipe.samples))} samples were not held out by this "
            f"run, so no network can be asked that had not seen them: {some}."
        )
    return list(parts), list(parts.values())


def choose_samples(
    study: Samples, test: np.ndarray, recipe: Recipe, per_class: int, rng: np.random.Generator
) -> np.ndarray:
    """At most `per_class` of the test positions of each class, drawn at random, sorted."""
    order = rng.permutation(test)
    kept = [
        order[study.labels[order] == name][:per_class]
        for name in study.classes
        if name != recipe.against
    ]
    return np.sort(np.concatenate(kept))


def _spread(scores: np.ndarray, own: np.ndarray, genes: np.ndarray) -> np.ndarray:
    """Put a fold's columns in their places among all folds' genes; NaN elsewhere."""
    spread = np.full((len(scores), len(genes)), np.nan, dtype=np.float32)
    spread[:, np.searchsorted(genes, own)] = scores
    return spread
