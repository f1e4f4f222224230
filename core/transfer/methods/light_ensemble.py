"""Two light networks on gene-images, joined: where one class is rare."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.errors import InputError
from core.models.baselines import one_thread
from core.models.gene_models import scale_of
from core.transfer.methods.linear import source_classes
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    from torch import nn

PIXELS = 32
PLACES = 2
"""Places a side that each of SqueezeNet's maps is averaged to."""
CHANNELS = (16, 32, 64)
"""Of the small network's three convolutions."""
HIDDEN = 64
"""Units of the perceptron on top."""
MEMBERS = ("SqueezeNet", "three convolutions")
EPOCHS, TARGET_RATE = 30, 1e-4
RATIOS = (1, 5, 20)
"""Samples of the frequent class for each of the rare one."""
FEWEST = 3
"""Rare samples fewer than that teach nothing."""


def fit_light_ensemble(problem: Problem, weights: str = "scratch") -> np.ndarray:
    """(test, classes) probabilities of both networks joined, of the source and then the target.

    Args:
        problem: the samples.
        weights: of SqueezeNet, which stays as it is: `imagenet`, `file:PATH` or `scratch`.
    """
    from core.models import gene_networks

    y = source_classes(problem)
    seen = _paint([problem.source, problem.target, problem.test], problem.genes, weights)
    with gene_networks.repeatable(problem.seed):
        network = _build(seen[0].shape[1], problem.n_classes, MEMBERS)
        _learn(network, seen[0], y, problem.n_classes, problem.seed)
        if len(problem.target) > 1:
            _learn(network, seen[1], problem.target_labels, problem.n_classes, problem.seed,
                   TARGET_RATE)  # fmt: skip
        return gene_networks.probabilities(network, seen[2])


def compare_under_imbalance(
    x: np.ndarray,
    y: np.ndarray,
    asked: np.ndarray,
    truth: np.ndarray,
    genes: Sequence[str],
    *,
    weights: str = "scratch",
    ratios: Sequence[int] = RATIOS,
    seed: int = 0,
) -> pd.DataFrame:
    """What the joined networks reach as class 1 gets rare, beside each alone and a linear model.

    Args:
        x: (samples, genes) log2 expression.
        y: (samples,) classes 0 and 1; of class 1 so many are kept that class 0 has `ratio` as many,
            or of class 0 where it is the smaller one.
        asked: (others, genes), as balanced as they are.
        truth: (others,) their classes.
        genes: names of the columns.
        weights: of SqueezeNet, as of `fit_light_ensemble`.
        ratios: samples of class 0 for each of class 1.
        seed: of what is left out, and of the networks.

    Returns:
        A row a ratio and line: ratio, line, samples, rare (of class 1 learned from), macro_f1,
        balanced_accuracy, parameters (that learn), seconds.

    Raises:
        InputError: there are more than two classes, or too few samples for a ratio.
    """
    from core.models import gene_networks

    if set(np.unique(y)) != {0, 1}:
        raise InputError(
            "Imbalance is of two classes, one of them rare. Merge the others or leave them out."
        )
    rows = []
    for ratio in ratios:
        chosen = _thin(y, ratio, seed)
        started = time.perf_counter()
        seen = _paint([x[chosen], asked], genes, weights)
        painting = time.perf_counter() - started
        said = {}
        for line, members in (
            ("joined", MEMBERS), (MEMBERS[0], MEMBERS[:1]), (MEMBERS[1], MEMBERS[1:])
        ):  # fmt: skip
            started = time.perf_counter()
            with gene_networks.repeatable(seed):
                network = _build(seen[0].shape[1], 2, members)
                _learn(network, seen[0], y[chosen], 2, seed)
                said[line] = gene_networks.probabilities(network, seen[1])
            learned = sum(weights.numel() for weights in network.parameters())
            rows.append(_row(ratio, line, y[chosen], truth, said[line], learned,
                             painting + time.perf_counter() - started))  # fmt: skip
        mean = (said[MEMBERS[0]] + said[MEMBERS[1]]) / 2
        both = list(rows[-2:])
        rows.append(_row(ratio, "mean of both", y[chosen], truth, mean,
                         sum(row["parameters"] for row in both),
                         sum(row["seconds"] for row in both)))  # fmt: skip
        started = time.perf_counter()
        linear = _weigh_classes(x[chosen], y[chosen], asked)
        rows.append(_row(ratio, "logistic regression, class weights", y[chosen], truth, linear,
                         2 * (x.shape[1] + 1), time.perf_counter() - started))  # fmt: skip
    return pd.DataFrame(rows)


def _row(
    ratio: int, line: str, y: np.ndarray, truth: np.ndarray, said: np.ndarray, parameters: int,
    seconds: float,
) -> dict[str, object]:  # fmt: skip
    from sklearn.metrics import balanced_accuracy_score, f1_score

    called = said.argmax(axis=1)
    return {
        "ratio": ratio, "line": line, "samples": len(y), "rare": int(y.sum()),
        "macro_f1": float(f1_score(truth, called, average="macro", zero_division=0)),
        "balanced_accuracy": float(balanced_accuracy_score(truth, called)),
        "parameters": int(parameters), "seconds": seconds,
    }  # fmt: skip


def _thin(y: np.ndarray, ratio: int, seed: int) -> np.ndarray:
    """Positions of all of class 0 that the ratio has room for, and so many of class 1."""
    rng = np.random.default_rng(seed)
    common, rare = (rng.permutation(np.flatnonzero(y == number)) for number in (0, 1))
    few = min(len(rare), len(common) // ratio)
    if few < FEWEST:
        raise InputError(
            f"At 1:{ratio} {few} samples of the rare class are left of {len(common)} of the "
            f"frequent one; at least {FEWEST} are needed. Take a smaller ratio."
        )
    return np.sort(np.concatenate([common[: few * ratio], rare[:few]]))


def _weigh_classes(x: np.ndarray, y: np.ndarray, asked: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    mean, spread = scale_of(x)
    model = LogisticRegression(C=0.01, class_weight="balanced", max_iter=500)
    with one_thread():
        return model.fit((x - mean) / spread, y).predict_proba((asked - mean) / spread)


def _paint(parts: Sequence[np.ndarray], genes: Sequence[str], weights: str) -> list[np.ndarray]:
    """(samples, values) of each part: SqueezeNet's averaged maps, then the gene-image itself.

    Layout and scale of the genes are of the first part.
    """
    import torch
    from torch.nn import functional

    from core.images.imager import GeneImager
    from core.images.layouts import LayoutSpec, fit_layout
    from core.models.network import build_network
    from core.models.spec import NetworkSpec

    mean, spread = scale_of(parts[0])
    scaled = [((x - mean) / spread / 8 + 0.5).clip(0, 1).astype(np.float32) for x in parts]
    layout = fit_layout(scaled[0], np.asarray(genes), LayoutSpec(name="pca_grid"), PIXELS, 0)
    imager = GeneImager(layout, PIXELS).eval()
    spec = NetworkSpec(weights=weights, freeze="backbone", image_size=PIXELS)
    network = build_network(spec, 2, seed=0)[0].eval()
    found = []
    with torch.no_grad():
        for x in scaled:
            images = imager(torch.from_numpy(x))
            maps = [functional.adaptive_avg_pool2d(own, PLACES).flatten(1)
                    for own in network.frozen_maps(images)] if len(x) else []  # fmt: skip
            found.append(torch.cat([*maps, images[:, 0].flatten(1)], dim=1).numpy())
    first = found[0][:, : -(PIXELS**2)]
    centre, width = scale_of(first)
    for seen in found:
        if len(seen):
            seen[:, : -(PIXELS**2)] = (seen[:, : -(PIXELS**2)] - centre) / width
    return found


def _build(values: int, classes: int, members: Sequence[str]) -> nn.Module:
    """The members' features side by side, and a perceptron on top."""
    import torch
    from torch import nn

    maps = values - PIXELS**2
    convolutions: list[nn.Module] = []
    for before, after in zip((1, *CHANNELS), CHANNELS, strict=False):
        convolutions += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after),
                         nn.ReLU()]  # fmt: skip
    sizes = {MEMBERS[0]: maps, MEMBERS[1]: CHANNELS[-1] * (PIXELS // 8) ** 2}

    class Joined(nn.Module):
        """SqueezeNet's values as they are; the image through three convolutions."""

        def __init__(self) -> None:
            super().__init__()
            self.small = nn.Sequential(nn.Unflatten(1, (1, PIXELS, PIXELS)), *convolutions,
                                       nn.Flatten())  # fmt: skip
            self.top = nn.Sequential(
                nn.Dropout(0.3), nn.Linear(sum(sizes[name] for name in members), HIDDEN),
                nn.ReLU(), nn.Dropout(0.3), nn.Linear(HIDDEN, classes),
            )  # fmt: skip
            if MEMBERS[1] not in members:
                self.small = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen = [x[:, :maps]] if MEMBERS[0] in members else []
            if self.small is not None:
                seen.append(self.small(x[:, maps:]))
            return self.top(torch.cat(seen, dim=1))

    return Joined()


def _learn(
    network: nn.Module, seen: np.ndarray, y: np.ndarray, classes: int, seed: int,
    rate: float = 1e-3,
) -> None:  # fmt: skip
    """Cross-entropy in which each class weighs the same."""
    import torch
    from torch.nn import functional

    from core.models import gene_networks

    x, labels = gene_networks.tensors(seen, y)
    counts = np.bincount(y, minlength=classes)
    shares = gene_networks.as_tensor(len(y) / classes / counts.clip(1))

    def loss(rows: torch.Tensor) -> torch.Tensor:
        missed = functional.cross_entropy(network(x[rows]), labels[rows], reduction="none")
        return (missed * shares[labels[rows]]).mean()

    gene_networks.train(network, loss, len(x), seed, EPOCHS, rate=rate)


LIGHT_ENSEMBLE = TransferMethod(
    name="light_ensemble",
    title="Two light networks joined",
    description="SqueezeNet, as it is, and three convolutions look at gene-images; a small "
    "perceptron on what both see learns the source, then the target, each class weighing the same. "
    "`compare_under_imbalance` sets it beside its members and a weighted linear model as one class "
    "gets rare.",
    scenario="inductive",
    reference="Garg and Singh 2023, Transfer learning based lightweight ensemble model for "
    "imbalanced breast cancer classification, IEEE/ACM Transactions on Computational Biology and "
    "Bioinformatics 20:1529",
    departs="SqueezeNet instead of MobileNetV2, with random weights unless some are named, and "
    "frozen; gene-images of 32 pixels instead of tissue; 30 passes through the source, then 30 "
    "through the target at a tenth of the rate.",
    seconds=3.0,
    fit=fit_light_ensemble,
)
