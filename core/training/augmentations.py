"""Ways to vary training samples, on the device; torch is imported only when one is applied."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.records import Registry

if TYPE_CHECKING:
    from torch import Tensor

Batch = tuple["Tensor", "Tensor"]

NOISE = 0.7
"""SD of the noise in training SD of each gene."""
DROPPED = 0.3
"""Share of the genes that are set to their training mean."""
MIXING = 1.0
"""Both parameters of the Beta distribution of mixup's weights."""


def add_noise(x: "Tensor", targets: "Tensor", unit_sd: "Tensor", mean: "Tensor") -> Batch:
    """Add Gaussian noise of .7 training SD to every gene.

    Args:
        x: (batch, genes) prepared expression in [0, 1].
        targets: (batch, classes) class probabilities.
        unit_sd: (genes,) SD of each gene on the training samples, in the units of `x`.
        mean: (genes,) training mean of each gene, in the units of `x`.
    """
    import torch

    return x + NOISE * unit_sd * torch.randn_like(x), targets


def drop_genes(x: "Tensor", targets: "Tensor", unit_sd: "Tensor", mean: "Tensor") -> Batch:
    """Set 30 % of the genes of each sample to their training mean; arguments as of `add_noise`."""
    import torch

    return torch.where(torch.rand_like(x) < DROPPED, mean, x), targets


def mix_pairs(x: "Tensor", targets: "Tensor", unit_sd: "Tensor", mean: "Tensor") -> Batch:
    """Mix each profile and its target with another's; arguments as of `add_noise`.

    The weights come from Beta(1, 1); a sample keeps the larger one (Zhang et al. 2018).
    """
    import torch

    weight = torch.distributions.Beta(MIXING, MIXING).sample((len(x), 1)).to(x)
    weight = torch.maximum(weight, 1 - weight)
    partner = torch.randperm(len(x), device=x.device)
    x = weight * x + (1 - weight) * x[partner]
    return x, weight * targets + (1 - weight) * targets[partner]


def vary_expression(x: "Tensor", targets: "Tensor", unit_sd: "Tensor", mean: "Tensor") -> Batch:
    """Perturb profiles as new measurements of similar tumours would differ.

    Mixup, then dropout of genes, then noise; arguments as of `add_noise`.
    """
    for step in (mix_pairs, drop_genes, add_noise):
        x, targets = step(x, targets, unit_sd, mean)
    return x, targets


def flip(images: "Tensor") -> "Tensor":
    """Mirror half of the images (batch, channels, side, side), left to right."""
    import torch

    chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return torch.where(chosen, images.flip(3), images)


def flip_and_turn(images: "Tensor") -> "Tensor":
    """Mirror half of the images, and turn each by 0, 90, 180 or 270 degrees."""
    import torch

    turns = torch.randint(4, (len(images),), device=images.device)
    turned = images.clone()
    for turn in range(1, 4):
        turned[turns == turn] = images[turns == turn].rot90(turn, (2, 3))
    return flip(turned)


def rotate(images: "Tensor") -> "Tensor":
    """Turn each image by up to 20 degrees, either way."""
    angle = _uniform(images, math.radians(20))
    return _warp(images, angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def shift(images: "Tensor") -> "Tensor":
    """Move each image by up to a tenth of its side, along both axes."""
    still = _uniform(images, 0.0)
    x, y = _uniform(images, 0.2), _uniform(images, 0.2)  # the side is 2 long in a grid's units
    return _warp(images, still + 1, still, still, still + 1, x, y)


def zoom(images: "Tensor") -> "Tensor":
    """Enlarge or shrink each image by up to a fifth."""
    factor = 1 + _uniform(images, 0.2)
    return _warp(images, factor, 0 * factor, 0 * factor, factor)


def cut_out(images: "Tensor") -> "Tensor":
    """Empty a square of a quarter of the side in each image (DeVries and Taylor 2017)."""
    import torch

    side = images.shape[-1]
    places = torch.arange(side, device=images.device)
    hole = max(1, side // 4)
    start = torch.randint(side - hole + 1, (2, len(images), 1), device=images.device)
    inside = (places >= start) & (places < start + hole)
    return images.masked_fill((inside[0, :, :, None] & inside[1, :, None, :])[:, None], 0.0)


def _uniform(images: "Tensor", limit: float) -> "Tensor":
    """(batch,) numbers between -limit and limit."""
    import torch

    return limit * (2 * torch.rand(len(images), device=images.device) - 1)


def _warp(
    images: "Tensor",
    a: "Tensor",
    b: "Tensor",
    c: "Tensor",
    d: "Tensor",
    x: "Tensor | float" = 0.0,
    y: "Tensor | float" = 0.0,
) -> "Tensor":
    """Take each pixel from (a u + b v + x, c u + d v + y) of the old image; outside it is 0."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    x, y = torch.zeros_like(a) + x, torch.zeros_like(a) + y
    matrix = torch.stack([torch.stack([a, b, x], 1), torch.stack([c, d, y], 1)], 1)
    grid = affine_grid(matrix.to(images), list(images.shape), align_corners=False)
    return grid_sample(images, grid, mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class Augmentation:
    """One way to vary training samples; it acts on expression profiles or on images."""

    name: str
    title: str
    help: str
    reference: str
    warning: str | None = None
    on_expression: Callable[["Tensor", "Tensor", "Tensor", "Tensor"], Batch] | None = None
    on_images: Callable[["Tensor"], "Tensor"] | None = None


_MIXUP = "Zhang et al. 2018, arXiv:1710.09412"
_PHOTOGRAPHS = "Shorten and Khoshgoftaar 2019, J. Big Data 6:60"
_MOVES = (
    "In a gene-image a gene is its position. This moves genes to other genes' places, which "
    "usually costs accuracy."
)

AUGMENTATIONS = Registry(
    "augmentation",
    [
        Augmentation(
            name="expression",
            title="Expression: noise, gene dropout, mixup",
            help="Varies the expression profile before it is painted, so that each gene keeps its "
            "pixel.",
            reference=f"mixup: {_MIXUP}",
            on_expression=vary_expression,
        ),
        Augmentation(
            name="noise",
            title="Expression: noise",
            help="Adds Gaussian noise of .7 training SD to each gene.",
            reference="Bishop 1995, Neural Comput. 7:108",
            on_expression=add_noise,
        ),
        Augmentation(
            name="gene_dropout",
            title="Expression: gene dropout",
            help="Sets 30 % of the genes of a sample to their training mean, others each time.",
            reference="Vincent et al. 2008, doi:10.1145/1390156.1390294",
            on_expression=drop_genes,
        ),
        Augmentation(
            name="mixup",
            title="Expression: mixup",
            help="Mixes pairs of profiles, and their classes in the same proportion.",
            reference=_MIXUP,
            on_expression=mix_pairs,
        ),
        Augmentation(
            name="geometric",
            title="Geometric: flips and quarter turns",
            help="Turns the finished image as if it were a photograph, as published work does.",
            reference="Rukhsar et al. 2022, Appl. Sci. 12:1850",
            warning=_MOVES,
            on_images=flip_and_turn,
        ),
        Augmentation(
            name="flip",
            title="Geometric: flips",
            help="Mirrors half of the images, left to right.",
            reference=_PHOTOGRAPHS,
            warning=_MOVES,
            on_images=flip,
        ),
        Augmentation(
            name="rotate",
            title="Geometric: small turns",
            help="Turns each image by up to 20 degrees, either way.",
            reference=_PHOTOGRAPHS,
            warning=_MOVES,
            on_images=rotate,
        ),
        Augmentation(
            name="shift",
            title="Geometric: shifts",
            help="Moves each image by up to a tenth of its side.",
            reference=_PHOTOGRAPHS,
            warning=_MOVES,
            on_images=shift,
        ),
        Augmentation(
            name="zoom",
            title="Geometric: zoom",
            help="Enlarges or shrinks each image by up to a fifth.",
            reference=_PHOTOGRAPHS,
            warning=_MOVES,
            on_images=zoom,
        ),
        Augmentation(
            name="cutout",
            title="Geometric: cutout",
            help="Empties a square of a quarter of the side. Genes keep their pixels; neighbours "
            "are lost together.",
            reference="DeVries and Taylor 2017, arXiv:1708.04552",
            on_images=cut_out,
        ),
        Augmentation(
            name="none",
            title="None",
            help="Trains on the profiles as they were measured.",
            reference="",
        ),
    ],
)
