"""From a network's answer back to genes: asking a method, and carrying maps to genes.

Readable without torch and captum, which are imported where they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from core.explain.computing import SEED, Question
from core.explain.gene_sets import share_out
from core.explain.methods import METHODS
from core.images.layout import GeneLayout

TOGETHER = 4
"""Batches that a method is given at once which cuts them by itself: few, so that progress is told
often, and enough that none is half empty."""

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
    sets: np.ndarray | None
    """(samples, sets) float32 as computed; set methods only"""
    completeness: np.ndarray | None
    """(samples,) float32; |sum of scores - change of the class score| / |that change|, of
    methods whose scores add up; infinite where the class score didn't change but scores are not 0
    """


def attribute(
    method: str,
    network: nn.Module,
    imager: GeneImager,
    x: np.ndarray,
    targets: np.ndarray,
    baseline: np.ndarray,
    *,
    device: torch.device | str,
    against: np.ndarray | None = None,
    background: np.ndarray | None = None,
    stage: str | None = None,
    sets: np.ndarray | None = None,
    batch_size: int = 64,
    steps: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> Attribution:
    """Attribute class scores (before softmax) to genes, through the imager, in float32.

    The network computes in evaluation mode and gets its modes back; it and the imager stay on
    `device`. Equal calls give equal scores: what methods draw at random starts from one seed.

    Args:
        x: (samples, genes) prepared expression in [0, 1].
        targets: (samples,) class numbers to explain, one a sample.
        baseline: (genes,) or (samples, genes); what methods with `uses_baseline` compare with;
            the training mean says "an average sample".
        against: (samples,) class numbers whose score is taken off: "why this class and not that".
        background: (any number, genes) training samples, from which gradient SHAP starts; the
            baseline alone if there are none.
        stage: the stage of the network whose maps region methods look at; the last one if None.
        sets: (sets, genes) which genes each set holds; methods that score sets need it.
        batch_size: images that the network sees at once.
        steps: points on the way from baseline to sample (Gauss-Legendre quadrature), or draws of
            methods that draw.
        progress: called with samples done and samples in all; what it raises ends the work.

    Raises:
        InputError: an unknown method, more genes than the method is offered for, or no sets for one
            that scores them.
    """
    import torch

    from core.explain.forward import ClassScores, evaluating

    record = METHODS[method]
    if record.most_genes is not None and x.shape[1] > record.most_genes:
        raise InputError(
            f"{record.title} is offered up to {record.most_genes:,} genes, and these images have "
            f"{x.shape[1]:,}. Take integrated gradients, or a run with fewer genes."
        )
    if record.uses_sets and sets is None:
        raise InputError(f"{record.title} needs gene sets.")
    network.to(device)
    imager.to(device)

    def to_device(values: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    starts = np.atleast_2d(baseline)
    forward = ClassScores(imager, network, pairs=against is not None)
    size = 1 if record.asks_often else batch_size
    if record.cuts:
        size = max(1, TOGETHER * batch_size // steps)
    found, errors = [], []
    with evaluating(network), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        for first in range(0, len(x), size):
            part = slice(first, first + size)
            batch = to_device(x[part])
            others = None if against is None else to_device(against[part], torch.int64)
            question = Question(
                forward=forward,
                layer=network.stages[-1] if stage is None else network.stage_module(stage),
                layout=imager.layout,
                x=batch.requires_grad_(),
                targets=forward.find_targets(batch, to_device(targets[part], torch.int64), others),
                baseline=to_device(starts if len(starts) == 1 else starts[part]),
                background=to_device(starts[:1] if background is None else background),
                sets=None if sets is None else to_device(sets),
                steps=steps,
                batch_size=batch_size,
            )
            result = record.compute(question).detach()
            found.append(result.float().cpu().numpy())
            if record.complete:
                errors.append(_measure_completeness(question, result))
            if progress:
                progress(min(first + size, len(x)), len(x))
    result = np.concatenate(found)
    scores = result
    if record.unit == "region":
        scores = back_project(result, imager.layout)
    elif record.unit == "set":
        scores = share_out(result, sets)
    return Attribution(
        scores=scores,
        maps=result if record.unit == "region" else None,
        sets=result if record.unit == "set" else None,
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

    from core.explain.forward import pick

    with torch.no_grad():
        after = pick(question.forward(question.x), question.targets)
        before = question.forward(question.baseline).expand(len(after), -1)
        change = (after - pick(before, question.targets)).double()
        missed = (scores.double().sum(1) - change).abs()
        error = torch.where(missed == 0, 0.0, missed / change.abs())
    return error.float().cpu().numpy()


def score_classes(
    network: nn.Module,
    imager: GeneImager,
    x: np.ndarray,
    targets: np.ndarray,
    against: np.ndarray | None,
    *,
    device: torch.device | str,
    batch_size: int = 64,
) -> np.ndarray:
    """(samples,) the score that `attribute` explains, of prepared expression (samples, genes)."""
    import torch

    from core.explain.forward import ClassScores, evaluating, pick

    network.to(device)
    imager.to(device)
    forward, found = ClassScores(imager, network, pairs=False), []
    with evaluating(network), torch.no_grad():
        for first in range(0, len(x), batch_size):
            part = slice(first, first + batch_size)
            scores = forward(torch.tensor(x[part], dtype=torch.float32, device=device))
            found.append(pick(scores, torch.as_tensor(targets[part], device=device)))
            if against is not None:
                found[-1] = found[-1] - pick(scores, torch.as_tensor(against[part], device=device))
    return torch.cat(found).double().cpu().numpy()
