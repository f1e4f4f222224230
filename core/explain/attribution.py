"""From a network's answer back to genes: the attribution methods and what carries maps to genes.

Readable without torch and captum, which are imported where they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.images.layout import GeneLayout
from core.records import Registry

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from core.images.imager import GeneImager


@dataclass(frozen=True)
class Attribution:
    """What a method found for some samples, each for its own target class."""

    scores: np.ndarray
    """(samples, genes) float32; what each gene contributed to the class score"""
    maps: np.ndarray | None
    """(samples, height, width) float32 as computed; region methods only"""
    completeness: np.ndarray | None
    """(samples,) float32; |sum of scores - change of the class score| / |that change|, of
    methods whose scores add up; infinite where the class score didn't change but scores are not 0
    """


@dataclass(frozen=True)
class Question:
    """A batch to explain: prepared expression, and what maps it to class scores."""

    forward: Callable[[Tensor], Tensor]
    """(batch, genes) -> (batch, classes), through the imager and the network"""
    stages: nn.Module
    """The layers whose output is the feature maps"""
    x: Tensor
    """(batch, genes), takes gradients"""
    targets: Tensor
    """(batch,) class numbers"""
    baseline: Tensor
    """(1, genes)"""
    steps: int
    batch_size: int


@dataclass(frozen=True)
class Method:
    """An attribution method."""

    name: str
    title: str
    help: str
    reference: str
    unit: Literal["gene", "region"]
    """What it scores by itself; a region's score is spread over the genes that lie in it."""
    signed: bool
    """Whether a negative score means that the gene spoke against the class."""
    complete: bool
    """Whether the scores add up to the change of the class score from baseline to sample."""
    compute: Callable[[Question], Tensor]
    """(batch, genes) scores, or (batch, height, width) maps where the unit is a region"""


def _integrate_gradients(question: Question) -> Tensor:
    from captum.attr import IntegratedGradients

    return IntegratedGradients(question.forward).attribute(
        question.x,
        baselines=question.baseline,
        target=question.targets,
        n_steps=question.steps,
        internal_batch_size=question.batch_size,
    )


def _take_gradients(question: Question) -> Tensor:
    from captum.attr import Saliency

    return Saliency(question.forward).attribute(question.x, target=question.targets)


def _map_gradcam(question: Question) -> Tensor:
    from captum.attr import LayerGradCam

    return (
        LayerGradCam(question.forward, question.stages)
        .attribute(question.x, target=question.targets, relu_attributions=True)
        .squeeze(1)
    )


def _map_hirescam(question: Question) -> Tensor:
    from captum.attr import LayerGradientXActivation

    return (
        LayerGradientXActivation(question.forward, question.stages)
        .attribute(question.x, target=question.targets)
        .sum(1)
    )


METHODS: Registry[Method] = Registry(
    "attribution method",
    [
        Method(
            name="integrated_gradients",
            title="Integrated gradients",
            help="Scores every gene by itself, on the way from the average sample to this one. "
            "Use it to rank genes.",
            reference="Sundararajan et al. 2017, arXiv:1703.01365",
            unit="gene",
            signed=True,
            complete=True,
            compute=_integrate_gradients,
        ),
        Method(
            name="saliency",
            title="Saliency",
            help="How strongly the class score reacts to a small change of each gene, up or down.",
            reference="Simonyan et al. 2014, arXiv:1312.6034",
            unit="gene",
            signed=False,
            complete=False,
            compute=_take_gradients,
        ),
        Method(
            name="gradcam",
            title="Grad-CAM",
            help="Which regions of the image spoke for the class. Too coarse to single out genes.",
            reference="Selvaraju et al. 2017, arXiv:1610.02391",
            unit="region",
            signed=False,
            complete=False,
            compute=_map_gradcam,
        ),
        Method(
            name="hirescam",
            title="HiResCAM",
            help="Like Grad-CAM, but shows only places that the network did use, for or against "
            "the class.",
            reference="Draelos and Carin 2020, arXiv:2011.08891",
            unit="region",
            signed=True,
            complete=False,
            compute=_map_hirescam,
        ),
    ],
)


def attribute(
    method: str,
    network: nn.Module,
    imager: GeneImager,
    x: np.ndarray,
    targets: np.ndarray,
    baseline: np.ndarray,
    *,
    device: torch.device | str,
    batch_size: int = 64,
    steps: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> Attribution:
    """Attribute class scores (before softmax) to genes, through the imager, in float32.

    The network computes in evaluation mode and gets its modes back; it and the imager stay on
    `device`. Its `stages` are the layers that make feature maps.

    Args:
        x: (samples, genes) prepared expression in [0, 1].
        targets: (samples,) class numbers to explain, one a sample.
        baseline: (genes,) what integrated gradients start from; the training mean says "an
            average sample".
        batch_size: images that the network sees at once.
        steps: points on the way from baseline to sample (Gauss-Legendre quadrature).
        progress: called with samples done and samples in all.

    Raises:
        InputError: an unknown method.
    """
    import torch

    record = METHODS[method]
    network.to(device)
    imager.to(device)
    modes = [(module, module.training) for module in network.modules()]
    start = torch.as_tensor(baseline, dtype=torch.float32, device=device)[None]
    found, errors = [], []

    def forward(expression: Tensor) -> Tensor:
        return network(imager(expression))

    network.eval()
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            for first in range(0, len(x), batch_size):
                part = slice(first, first + batch_size)
                question = Question(
                    forward,
                    network.stages,
                    torch.tensor(x[part], dtype=torch.float32, device=device, requires_grad=True),
                    torch.as_tensor(targets[part], dtype=torch.int64, device=device),
                    start,
                    steps,
                    batch_size,
                )
                result = record.compute(question).detach()
                found.append(result.float().cpu().numpy())
                if record.complete:
                    errors.append(_measure_completeness(question, result))
                if progress:
                    progress(min(first + batch_size, len(x)), len(x))
    finally:
        for module, mode in modes:
            module.training = mode
    result = np.concatenate(found)
    maps = result if record.unit == "region" else None
    return Attribution(
        scores=result if maps is None else back_project(maps, imager.layout),
        maps=maps,
        completeness=np.concatenate(errors) if errors else None,
    )


def back_project(maps: np.ndarray, layout: GeneLayout) -> np.ndarray:
    """Carry maps (samples, height, width) over the whole image back to genes (samples, genes).

    Each cell of a map spreads its value evenly over its area, each pixel of the canvas collects
    what falls on it, and the genes of a pixel share that equally. So the scores of all genes and
    what falls on free pixels add up to the map's sum.
    """
    down = _overlap(layout.shape[0], maps.shape[1])
    across = _overlap(layout.shape[1], maps.shape[2])
    pixels = down @ maps.astype(np.float64) @ across.T
    pixel = layout.row * layout.shape[1] + layout.col
    shared = np.bincount(pixel)[pixel]
    return (pixels.reshape(len(maps), -1)[:, pixel] / shared).astype(np.float32)


def _overlap(pixels: int, cells: int) -> np.ndarray:
    """(pixels, cells): the part of each cell of a side that lies in each pixel of that side."""
    pixel, cell = np.arange(pixels)[:, None], np.arange(cells)
    stop = np.minimum((pixel + 1) * cells, (cell + 1) * pixels)
    start = np.maximum(pixel * cells, cell * pixels)
    return np.clip(stop - start, 0, None) / pixels


def _measure_completeness(question: Question, scores: Tensor) -> np.ndarray:
    """By how much the scores miss the change of the class score, as a share of that change."""
    import torch

    with torch.no_grad():
        chosen = question.targets[:, None]
        after = question.forward(question.x).gather(1, chosen)[:, 0]
        before = question.forward(question.baseline)[0, question.targets]
        change = (after - before).double()
        missed = (scores.double().sum(1) - change).abs()
        error = torch.where(missed == 0, 0.0, missed / change.abs())
    return error.float().cpu().numpy()
