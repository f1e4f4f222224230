"""Gene-image networks pretrained on the source and fine-tuned on the target, stages frozen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.models.backbones import BACKBONES
from core.transfer.methods.linear import answer_by, source_classes
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    import torch
    from torch import nn

    from core.models.gene_networks import Trained

BACKBONE = "squeezenet1_1"
STAGES = len(BACKBONES[BACKBONE].stages)
PIXELS = 32
SOURCE_EPOCHS, TARGET_EPOCHS = 10, 10
SOURCE_RATE = BACKBONES[BACKBONE].learning_rate
TARGET_RATE = SOURCE_RATE / 4
WIDTH = 8
"""SD of a gene that the image's range from dark to light holds."""


def train_pretrained(problem: Problem, frozen: int) -> Trained:
    """A network that learned from gene-images of the source, then of the target.

    Args:
        problem: the samples; the layout is fitted on the source.
        frozen: how many of the first stages keep what the source taught.
    """
    from core.models import gene_networks

    y = source_classes(problem)
    mean, spread = gene_networks.one_scale(problem.source, problem.target)
    with gene_networks.repeatable(problem.seed):
        network = _build((problem.source - mean) / spread, problem)
        _learn(network, (problem.source - mean) / spread, y, problem.seed, SOURCE_RATE)
        for stage in list(network.network.stages)[:frozen]:
            stage.requires_grad_(False)
        if len(problem.target) > 1:
            x = (problem.target - mean) / spread
            _learn(network, x, problem.target_labels, problem.seed, TARGET_RATE)
    return gene_networks.Trained(network, mean, spread)


def train_alone(problem: Problem) -> Trained:
    """A network of gene-images of the labelled target samples alone."""
    from core.models import gene_networks

    mean, spread = gene_networks.one_scale(problem.target)
    with gene_networks.repeatable(problem.seed):
        x = (problem.target - mean) / spread
        network = _build(x, problem)
        _learn(network, x, problem.target_labels, problem.seed, SOURCE_RATE)
    return gene_networks.Trained(network, mean, spread)


def _build(x: np.ndarray, problem: Problem) -> nn.Module:
    """Scaled genes -> scores of classes, through an image whose layout these samples decide."""
    from torch import nn

    from core.images.imager import GeneImager
    from core.images.layouts import LayoutSpec, fit_layout
    from core.models.network import build_network
    from core.models.spec import NetworkSpec

    shown = (x / WIDTH + 0.5).clip(0, 1).astype(np.float32)
    layout = fit_layout(shown, np.asarray(problem.genes), LayoutSpec(name="pca_grid"), PIXELS, 0)
    spec = NetworkSpec(backbone=BACKBONE, image_size=PIXELS)

    class Painted(nn.Module):
        """A gene-image network that takes genes."""

        def __init__(self) -> None:
            super().__init__()
            self.imager = GeneImager(layout, PIXELS)
            self.network = build_network(spec, problem.n_classes, seed=problem.seed)[0]

        def forward(self, genes: torch.Tensor) -> torch.Tensor:
            return self.network(self.imager((genes / WIDTH + 0.5).clamp(0, 1)))

    return Painted()


def _learn(network: nn.Module, x: np.ndarray, y: np.ndarray, seed: int, rate: float) -> None:
    from core.models import gene_networks

    values, classes = gene_networks.tensors(x, y)
    epochs = SOURCE_EPOCHS if rate == SOURCE_RATE else TARGET_EPOCHS
    loss = gene_networks.classify(network, values, classes)
    gene_networks.train(network, loss, len(values), seed, epochs, rate=rate)


_HANCZAR = (
    "Hanczar et al. 2022, Assessment of deep learning and transfer learning for cancer prediction "
    "based on gene expression data, BMC Bioinformatics 23:262"
)
_DEPARTS = (
    "Gene-images of 32 pixels and SqueezeNet 1.1 with this program's head instead of a perceptron; "
    "10 passes each, the second at a quarter of the rate."
)


def _record(frozen: int) -> TransferMethod:
    kept = {0: "all of its stages learn", STAGES: "all stages keep what the source taught"}
    said = kept.get(frozen, f"the first {frozen} of {STAGES} stages keep what the source taught")
    train = partial(train_pretrained, frozen=frozen)
    return TransferMethod(
        name=f"images_{frozen}",
        title=f"Pretrained gene-image network, {frozen} of {STAGES} stages frozen",
        description="A network learns from gene-images of the source, then of the labelled target "
        f"samples, where {said}.",
        scenario="inductive",
        reference=_HANCZAR,
        departs=_DEPARTS,
        seconds=3.5,
        fit=partial(answer_by, train),
        train=train,
    )


IMAGES_FROZEN = [_record(frozen) for frozen in (0, STAGES // 2, STAGES)]
IMAGES_SCRATCH = TransferMethod(
    name="images_scratch",
    title="Gene-image network from scratch",
    description="A network sees gene-images of the labelled target samples alone, so that a gain "
    "of a pretrained one isn't a gain of images.",
    scenario="inductive",
    reference=_HANCZAR,
    departs=_DEPARTS,
    seconds=0.8,
    fit=partial(answer_by, train_alone),
    train=train_alone,
    min_target=2,
    learns_from="target",
)
