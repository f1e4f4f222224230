"""Carry a finished run's networks back to genes, fold by fold (the part that needs torch)."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd

from core.data.prepare import Preprocessor
from core.explain.attribution import attribute
from core.explain.genes import gene_table
from core.files import read_json
from core.home import run_folder
from core.images.imager import GeneImager
from core.images.layout import GeneLayout
from core.models.network import build_network, restore_network
from core.runs.execute import fold_folder
from core.runs.spec import RunSpec
from core.runs.study import open_study
from core.training.device import choose_device


def attribute_run(
    run: str,
    method: str,
    samples_per_class: int,
    top_genes: int,
    progress: Callable[[int, int], None],
) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Attribute held-out samples to genes, each for its true class.

    The same network with its random initial weights is asked beside it: genes that it names too
    come from the data or the method, not from what was learned (Adebayo et al. 2018,
    arXiv:1810.03292).

    Returns:
        The arrays of a RunAttribution, and the gene tables of all classes under each other.
    """
    folder = run_folder(run)
    spec = RunSpec.parse(read_json(folder / "spec.json"))
    study, device = open_study(spec), choose_device()
    rng = np.random.default_rng(spec.seed)
    parts = []
    chosen = [
        _choose(study.y, fold.test, -(-samples_per_class // len(study.folds)), rng)
        for fold in study.folds
    ]
    total, done = 2 * sum(map(len, chosen)), 0
    for number, positions in enumerate(chosen):
        place = fold_folder(folder, number)
        prepared = Preprocessor.load(place / "preprocessor.npz")
        imager = GeneImager(GeneLayout.load(place / "layout.npz"), spec.network.image_size)
        untrained, _ = build_network(
            spec.network.model_copy(update={"weights": "scratch"}),
            len(study.classes),
            seed=spec.seed + 1,
        )
        trained, _ = build_network(
            spec.network.model_copy(update={"weights": "scratch"}),
            len(study.classes),
            seed=spec.seed,
        )
        restore_network(trained, place / "model.safetensors")
        x = prepared.transform(study.x[positions])
        found = []
        for network in (trained, untrained):
            found.append(
                attribute(
                    method,
                    network,
                    imager,
                    x,
                    study.y[positions],
                    prepared.mean,
                    device=device,
                    progress=lambda n, _, before=done: progress(before + n, total),
                )
            )
            done += len(positions)
        parts.append((positions, prepared, *found))

    genes = np.unique(np.concatenate([prepared.genes for _, prepared, _, _ in parts]))
    positions = np.concatenate([positions for positions, *_ in parts])
    labels = study.labels[positions]
    scores = np.concatenate([_spread(a.scores, p.genes, genes) for _, p, a, _ in parts])
    control = np.concatenate([_spread(a.scores, p.genes, genes) for _, p, _, a in parts])
    expression = np.full((len(study.x), len(genes)), np.nan, dtype=np.float32)
    for _, prepared, _, _ in reversed(parts):
        at = np.searchsorted(genes, prepared.genes)
        expression[:, at] = prepared.log_expression(study.x)
    tables, overlap = [], {}
    for name in study.classes:
        table = gene_table(scores, labels, expression, study.labels, genes, name)
        other = np.nanmean(control[labels == name], axis=0)
        top = set(genes[np.argsort(-other, kind="stable")[:top_genes]])
        overlap[name] = len(top & set(table["gene"][:top_genes])) / top_genes
        tables.append(table)
    arrays = {
        "scores": scores,
        "genes": genes,
        "samples": study.samples[positions],
        "labels": labels,
        "folds": np.concatenate([np.full(len(p), k) for k, (p, *_) in enumerate(parts)]),
        "untrained_overlap": np.array(json.dumps(overlap)),
    }
    first = parts[0][2]
    if first.maps is not None:
        arrays["maps"] = np.concatenate([a.maps for _, _, a, _ in parts])
    if first.completeness is not None:
        arrays["completeness"] = np.concatenate([a.completeness for _, _, a, _ in parts])
    return arrays, pd.concat(tables, ignore_index=True)


def _choose(
    y: np.ndarray, test: np.ndarray, per_class: int, rng: np.random.Generator
) -> np.ndarray:
    """At most `per_class` of the test positions of each class, drawn at random, sorted."""
    order = rng.permutation(test)
    kept = [order[y[order] == k][:per_class] for k in np.unique(y)]
    return np.sort(np.concatenate(kept))


def _spread(scores: np.ndarray, own: np.ndarray, genes: np.ndarray) -> np.ndarray:
    """Put a fold's columns in their places among all folds' genes; NaN elsewhere."""
    spread = np.full((len(scores), len(genes)), np.nan, dtype=np.float32)
    spread[:, np.searchsorted(genes, own)] = scores
    return spread
