"""What the picture adds to the genes: the linear head on one set of frozen maps after another.

    python -m benchmarks.features EXPRESSION SAMPLES --label tumour_type --group patient \
        --where sample_type=tumour --splits 6 --training 120 \
        --maps squeezenet1_1:imagenet:32:pca_grid squeezenet1_1:scratch:32:random

A set of maps is named BACKBONE:WEIGHTS:PIXELS:LAYOUT, the weights as in a run's specification or a
path. Patients are on one side of a split. Several label columns make one class of each combination.
For each split the linear model is chosen on inner folds of the training samples: of the genes
alone, of the maps alone, and of both with shares that are chosen too. Differences from the genes
alone are tested over the splits (Nadeau and Bengio 2003). Say `--training` to learn from that many
samples only, and `--versions` to learn from so many augmented versions of each beside it: 30 % of
the genes at their training mean and noise of .7 SD, drawn anew for each. A version is in its
patient's inner fold and is not asked there. Each split is a line as soon as it is done.
"""

import argparse
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec, Preprocessor
from core.data.read import read_dataset
from core.evaluation.differences import corrected_t
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models import tuned
from core.models.network import build_network
from core.models.spec import NetworkSpec
from core.models.tuned import CLASSES, Choice, Sources
from core.training.augmentations import Known, add_noise, drop_genes


def main() -> None:
    """Print a row for each set of maps."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("expression", type=Path)
    parser.add_argument("samples", type=Path, nargs="?")
    parser.add_argument("--label", nargs="+", required=True)
    parser.add_argument("--group")
    parser.add_argument("--where", default="")
    parser.add_argument("--splits", type=int, default=6)
    parser.add_argument("--training", type=int)
    parser.add_argument("--genes", type=int, default=1024)
    parser.add_argument("--maps", nargs="*", default=[])
    parser.add_argument("--versions", type=int, default=0)
    options = parser.parse_args()

    data = read_dataset(options.expression, options.samples)
    column, _, value = options.where.partition("=")
    where = {column: [value]} if column else {}
    data = Cohort(label=options.label[0], group=options.group, where=where).select(data)
    labels = data.obs[options.label].astype(str).agg(" ".join, axis=1)
    y = np.unique(labels, return_inverse=True)[1]
    patients = data.obs[options.group].to_numpy() if options.group else np.arange(len(y))
    genes, ratios = data.var_names.to_numpy(), []
    found: dict[str, list[list[float]]] = {name: [] for name in options.maps}
    alone: list[list[float]] = []
    for seed in range(options.splits):
        folds = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
        train, test = next(folds.split(y, y, patients))
        if options.training:
            train = np.random.default_rng(seed).permutation(train)[: options.training]
        test = test[np.isin(y[test], y[train])]
        ratios.append(len(test) / len(train))
        preparation = PreparationSpec(genes=min(options.genes, len(genes)))
        prepared = Preprocessor.fit(data.X[train], genes, data.uns["scale"], preparation)
        x, plain = prepared.transform(data.X, genes), len(train)
        varied = vary(x[train], options.versions, seed)
        learned = np.append(train, len(x) + np.arange(len(varied)))
        x, own = np.concatenate([x, varied]), np.tile(train, 1 + options.versions)

        def ask(
            blocks: list[np.ndarray], learned=learned, own=own, plain=plain, test=test, seed=seed
        ) -> list[list[float]]:
            """Accuracy, log loss and the others' share: of the other blocks alone, and of all."""
            sources = Sources([b[learned] for b in blocks], [True] + [False] * (len(blocks) - 1))
            targets = np.eye(y.max() + 1)[y[own]]
            with patch.object(tuned, "CHOOSING", len(own)):
                choice = Choice(sources, targets, y[own], patients[own], CLASSES, seed)
            kept = choice._asked < plain
            choice._asked, choice._of_group = choice._asked[kept], choice._of_group[kept]
            rest = len(blocks) - 1
            candidates = [choice.choose()]
            if rest:
                shares = (0.0,) + (1 / rest,) * rest
                each = [choice.judge(shares, family) for family in CLASSES.families]
                candidates.insert(0, min(each, key=lambda candidate: candidate.loss))
            rows = []
            for candidate in candidates:
                scores = choice.fit(candidate).score(sources, [b[test] for b in blocks])
                proba = softmax(scores, axis=1)
                right = (proba.argmax(axis=1) == y[test]).mean()
                loss = log_loss(y[test], proba, labels=range(proba.shape[1]))
                rows.append([right, loss, 1 - candidate.shares[0]])
            return rows

        with threadpool_limits(1):
            alone += ask([x])
            for name in options.maps:
                maps = compute_maps(name, x, train, prepared.genes, seed)
                of_maps, of_both = ask([x, *maps])
                values = sum(map(np.size, maps)) / len(x)
                found[name].append([*of_maps, *of_both, values])
                print(f"split {seed}: genes {alone[-1]}, {name} {found[name][-1]}", flush=True)
    genes_alone, ratio = np.array(alone), float(np.mean(ratios))
    print(f"| maps | alone | log loss | beside the genes, points | with the genes | log loss | "
          f"points | share of the maps | values a sample |\n| {'--- | ' * 9}")  # fmt: skip
    print(f"| none: the genes alone | | | | {genes_alone[:, 0].mean():.4f} | "
          f"{genes_alone[:, 1].mean():.3f} | | | |")  # fmt: skip
    for name, rows in found.items():
        table = np.array(rows)
        print(f"| {name} | {table[:, 0].mean():.4f} | {table[:, 1].mean():.3f} | "
              f"{say(table[:, 0] - genes_alone[:, 0], ratio)} | {table[:, 3].mean():.4f} | "
              f"{table[:, 4].mean():.3f} | {say(table[:, 3] - genes_alone[:, 0], ratio)} | "
              f"{table[:, 5].mean():.2f} | {table[0, 6]:,.0f} |", flush=True)  # fmt: skip


def say(differences: np.ndarray, ratio: float) -> str:
    """The mean difference in points and its p value."""
    if not differences.any():
        return "0.0"
    tested = corrected_t(differences, ratio)
    return f"{100 * tested.mean:+.1f} (p = {tested.p:.2g})"


def vary(x: np.ndarray, versions: int, seed: int) -> np.ndarray:
    """(versions x samples, genes) augmented versions of training rows (samples, genes)."""
    torch.manual_seed(seed)
    rows = torch.as_tensor(np.tile(x, (versions, 1)))
    known = Known(*(torch.as_tensor(of(x, axis=0)) for of in (np.std, np.mean)))
    for step in (drop_genes, add_noise):
        rows, _ = step(rows, rows, known)
    return rows.numpy()


def compute_maps(
    name: str, x: np.ndarray, train: np.ndarray, genes: np.ndarray, seed: int
) -> list[np.ndarray]:
    """(samples, values) of each stage's map, as the linear head sees them."""
    backbone, weights, size, layout = name.rsplit(":", 3)
    if weights not in ("imagenet", "scratch"):
        weights = f"file:{weights}"
    spec = NetworkSpec(backbone=backbone, weights=weights, image_size=int(size), freeze="backbone",
                       head="linear")  # fmt: skip
    placed = fit_layout(x[train], genes, LayoutSpec(name=layout), spec.image_size, seed)
    imager, network = GeneImager(placed, spec.image_size), build_network(spec, 2, seed=seed)[0]
    parts: list[list[np.ndarray]] = []
    with torch.no_grad():
        for rows in torch.as_tensor(x).split(64):
            taken = network.eval().frozen_maps(imager(rows))[1:]
            parts.append([maps.flatten(1).numpy() for maps in taken])
    return [np.concatenate(maps) for maps in zip(*parts, strict=True)]


if __name__ == "__main__":
    main()
