"""What each attribution method computes for a batch.

Readable without torch and captum, which are imported where they are used.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.images.layout import GeneLayout

if TYPE_CHECKING:
    from torch import Tensor, nn

SEED = 0
"""Where the random numbers of the methods that draw start."""
SMOOTHGRAD_NOISE = 0.05
"""SD of SmoothGrad's noise on values in [0, 1]: .4 SD of a z-scored gene."""
SHAPLEY_ORDERS = 16
"""Random orders of the sets a sample. Other samples get other orders, so that the mean over 40
samples is one over 640 orders."""
PATCHES = 8
"""Rows and columns of the patches that are occluded."""


@dataclass(frozen=True)
class Question:
    """A batch to explain: prepared expression, and what maps it to class scores."""

    forward: nn.Module
    """(batch, genes) -> (batch, scores), through the imager and the network"""
    layer: nn.Module
    """The layer whose output is the feature maps"""
    layout: GeneLayout
    x: Tensor
    """(batch, genes), takes gradients"""
    targets: Tensor
    """(batch,) which of the scores"""
    baseline: Tensor
    """(1 or batch, genes)"""
    background: Tensor
    """(any number, genes)"""
    sets: Tensor | None
    """(sets, genes) 1 where a set holds a gene, else 0; of methods that score sets"""
    steps: int
    batch_size: int


def integrate_gradients(question: Question) -> Tensor:
    """The mean gradient on the way from the baseline, times the way."""
    from captum.attr import IntegratedGradients

    return IntegratedGradients(question.forward).attribute(
        question.x,
        baselines=question.baseline,
        target=question.targets,
        n_steps=question.steps,
        internal_batch_size=question.batch_size,
    )


def expect_gradients(question: Question) -> Tensor:
    """Mean over draws of a background sample and a point on the way from it to the sample.

    Not captum's GradientShap: that one draws from NumPy's global generator, and sends all draws
    through the network in one batch.
    """
    import torch

    x, draw = question.x.detach(), torch.Generator().manual_seed(SEED)
    total = torch.zeros_like(x)
    for _ in range(question.steps):
        chosen = torch.randint(len(question.background), (len(x),), generator=draw)
        start = question.background[chosen.to(x.device)]
        share = torch.rand(len(x), 1, generator=draw).to(x)
        total += (x - start) * _gradient(question, start + share * (x - start))
    return total / question.steps


def take_gradients(question: Question) -> Tensor:
    """The size of the gradient."""
    return _gradient(question, question.x).abs()


def multiply_gradients(question: Question) -> Tensor:
    """Input times gradient, with the input measured from the baseline, not from 0.

    In the original a gene at the value 0 scores 0 by definition; here a gene at its baseline does.
    """
    return (question.x - question.baseline) * _gradient(question, question.x)


def smooth_gradients(question: Question) -> Tensor:
    """Not captum's NoiseTunnel: its noise on a GPU is another than on a CPU."""
    import torch

    x, draw = question.x.detach(), torch.Generator().manual_seed(SEED)
    total = torch.zeros_like(x)
    for _ in range(question.steps):
        noise = torch.randn(x.shape, generator=draw).to(x)
        total += _gradient(question, x + SMOOTHGRAD_NOISE * noise)
    return (total / question.steps).abs()


def _gradient(question: Question, x: Tensor) -> Tensor:
    """(batch, genes) gradient of the target scores at `x`."""
    import torch

    from core.explain.forward import pick

    x = x.detach().requires_grad_()
    return torch.autograd.grad(pick(question.forward(x), question.targets).sum(), x)[0]


def guide_gradients(question: Question) -> Tensor:
    """The gradient with only positive parts let through each ReLU."""
    from captum.attr import GuidedBackprop

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        return GuidedBackprop(question.forward).attribute(question.x, target=question.targets).abs()


def occlude_genes(question: Question) -> Tensor:
    """By how much the score falls when a gene goes to the baseline."""
    return _ablate(question, None)


def occlude_patches(question: Question) -> Tensor:
    """Maps of PATCHES x PATCHES cells: by how much the score falls without a cell's genes."""
    import torch

    layout = question.layout
    rows, columns = (min(PATCHES, side) for side in layout.shape)
    cell = layout.row * rows // layout.shape[0] * columns + layout.col * columns // layout.shape[1]
    used, mask = np.unique(cell, return_inverse=True)
    drops = _ablate(question, torch.as_tensor(mask, device=question.x.device)[None])
    first = torch.as_tensor([int(np.flatnonzero(cell == number)[0]) for number in used])
    maps = drops.new_zeros(len(drops), rows * columns)
    maps[:, torch.as_tensor(used)] = drops[:, first.to(drops.device)]
    return maps.view(-1, rows, columns)


def _ablate(question: Question, groups: Tensor | None) -> Tensor:
    """By how much the score falls when a gene, or its group (1, genes), goes to the baseline."""
    import torch
    from captum.attr import FeatureAblation

    with torch.no_grad():
        return FeatureAblation(question.forward).attribute(
            question.x.detach(),
            baselines=question.baseline,
            target=question.targets,
            feature_mask=groups,
            perturbations_per_eval=max(1, question.batch_size // len(question.x)),
        )


def occlude_sets(question: Question) -> Tensor:
    """By how much the score falls when a set's genes go to the baseline, each set by itself."""
    from captum.attr import FeatureAblation

    return _switch_sets(question, FeatureAblation)


def sample_shapley(question: Question) -> Tensor:
    """What a set adds to the score when sets go from baseline to sample in random order, a mean.

    Castro et al. 2009. Its random numbers are torch's own, which `attribute` seeds.
    """
    from captum.attr import ShapleyValueSampling

    return _switch_sets(question, ShapleyValueSampling, n_samples=SHAPLEY_ORDERS)


def _switch_sets(question: Question, method: type, **options: int) -> Tensor:
    """Let captum switch sets (1: the sample's values, 0: the baseline's) instead of genes.

    captum's own feature masks put each gene into one group; switches let sets overlap. A gene is
    at the baseline if any of its sets is off.
    """
    import torch

    sets = question.sets

    def score(on: Tensor, x: Tensor, baseline: Tensor) -> Tensor:
        return question.forward(torch.where((1 - on) @ sets > 0, baseline, x))

    x = question.x.detach()
    with torch.no_grad():
        return method(score).attribute(
            x.new_ones(len(x), len(sets)),
            target=question.targets,
            additional_forward_args=(x, question.baseline.expand_as(x)),
            perturbations_per_eval=max(1, question.batch_size // len(x)),
            **options,
        )


def map_gradcam(question: Question) -> Tensor:
    """Maps weighted by their mean gradient, positive parts."""
    from captum.attr import LayerGradCam

    return (
        LayerGradCam(question.forward, question.layer)
        .attribute(question.x, target=question.targets, relu_attributions=True)
        .squeeze(1)
    )


def map_hirescam(question: Question) -> Tensor:
    """Maps times their gradients, place by place."""
    return _activation_gradients(question).sum(1)


def map_layercam(question: Question) -> Tensor:
    """Positive parts place by place: as published, since stages end in maps that are not < 0."""
    return _activation_gradients(question).clamp(min=0).sum(1)


def _activation_gradients(question: Question) -> Tensor:
    from captum.attr import LayerGradientXActivation

    return LayerGradientXActivation(question.forward, question.layer).attribute(
        question.x, target=question.targets
    )
