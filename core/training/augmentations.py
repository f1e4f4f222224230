"""Ways to vary training samples, on the device; torch is imported only when one is applied."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from core.data.prepare import Reads
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
FEWEST_READS = 0.25
"""Share of a sample's reads that thinning leaves at least."""


@dataclass(frozen=True)
class Known:
    """What an augmentation may know beside the profiles; fitted on training samples, tensors."""

    unit_sd: "Tensor"
    """(genes,) SD of each gene, in the units of prepared expression."""
    mean: "Tensor"
    """(genes,) mean of each gene, in the same units."""
    repeat_sd: "Tensor | None" = None
    """(genes,) SD between repeated samples, in the same units, where an augmentation needs it."""
    reads: Reads | None = None
    """Of the samples that are varied, in their order, where an augmentation needs them."""

    def of(self, samples: "Tensor") -> "Known":
        """What is known of some of the samples, by their positions."""
        if self.reads is None:
            return self
        counts, per_million = self.reads.counts[samples], self.reads.per_million[samples]
        return replace(self, reads=replace(self.reads, counts=counts, per_million=per_million))


def add_noise(x: "Tensor", targets: "Tensor", known: Known) -> Batch:
    """Add Gaussian noise of .7 training SD to every gene.

    Args:
        x: (batch, genes) prepared expression in [0, 1].
        targets: (batch, classes) class probabilities.
        known: what is known of the training samples.
    """
    import torch

    return x + NOISE * known.unit_sd * torch.randn_like(x), targets


def add_repeat_noise(x: "Tensor", targets: "Tensor", known: Known) -> Batch:
    """Add Gaussian noise as between repeated samples; arguments as of `add_noise`."""
    import torch

    return x + known.repeat_sd * torch.randn_like(x), targets


def thin_reads(x: "Tensor", targets: "Tensor", known: Known) -> Batch:
    """Keep each read with one chance a sample, as if it had been sequenced less deeply.

    The chances are evenly distributed from a quarter to 1, and the library is scaled anew by them:
    what is drawn is what fewer reads would have given (Gerard 2020). Arguments as of `add_noise`.
    """
    import torch

    reads = known.reads
    share = FEWEST_READS + (1 - FEWEST_READS) * torch.rand(len(x), 1, device=x.device)
    counts = torch.binomial(reads.counts.nan_to_num(0).round(), share.expand_as(x).contiguous())
    log = torch.log2(counts * reads.per_million / share + 1).maximum(reads.floor)
    unit = ((log - reads.low) / (reads.high - reads.low)).clamp(0, 1)
    return torch.where(reads.counts.isnan(), x, unit), targets


def drop_genes(x: "Tensor", targets: "Tensor", known: Known) -> Batch:
    """Set 30 % of the genes of each sample to their training mean; arguments as of `add_noise`."""
    import torch

    return torch.where(torch.rand_like(x) < DROPPED, known.mean, x), targets


def mix_pairs(x: "Tensor", targets: "Tensor", known: Known) -> Batch:
    """Mix each profile and its target with another's; arguments as of `add_noise`.

    The weights come from Beta(1, 1); a sample keeps the larger one (Zhang et al. 2018).
    """
    import torch

    both = x.new_full((), MIXING)  # drawn where x is, and not looked at
    weight = torch.distributions.Beta(both, both, validate_args=False).sample((len(x), 1))
    weight = torch.maximum(weight, 1 - weight)
    partner = torch.randperm(len(x), device=x.device)
    x = weight * x + (1 - weight) * x[partner]
    return x, weight * targets + (1 - weight) * targets[partner]


def vary_expression(x: "Tensor", targets: "Tensor", known: Known) -> Batch:
    """Perturb profiles as new measurements of similar tumours would differ.

    Mixup, then dropout of genes, then noise; arguments as of `add_noise`.
    """
    for step in (mix_pairs, drop_genes, add_noise):
        x, targets = step(x, targets, known)
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
    turned = images
    for turn in range(1, 4):
        chosen = (turns == turn).view(-1, 1, 1, 1)
        turned = torch.where(chosen, images.rot90(turn, (2, 3)), turned)
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
    on_expression: Callable[["Tensor", "Tensor", Known], Batch] | None = None
    on_images: Callable[["Tensor"], "Tensor"] | None = None
    needs: Literal["counts", "repeats"] | None = None
    """What the training samples must have beside prepared values."""
    version: int = 1
    """Raised when it varies samples otherwise, as with another strength."""


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
            name="repeat_noise",
            title="Expression: noise between repeats",
            help="Adds to each gene Gaussian noise of the SD between a patient's samples of the "
            "same class, such as two pieces of one tumour. It needs a patient column with repeats; "
            "where those are tumour and normal tissue, the noise is far too strong.",
            reference="Bishop 1995, Neural Comput. 7:108",
            on_expression=add_repeat_noise,
            needs="repeats",
        ),
        Augmentation(
            name="thinning",
            title="Expression: fewer reads",
            help="Binomial thinning: keeps a quarter to all of a sample's reads, as if it had been "
            "sequenced less deeply. It needs counts.",
            reference="Gerard 2020, BMC Bioinformatics 21:206",
            on_expression=thin_reads,
            needs="counts",
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
