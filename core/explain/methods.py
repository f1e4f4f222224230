"""The attribution methods: what each computes for a batch, and the record that offers it.

Readable without torch and captum, which are imported where they are used.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.errors import InputError
from core.images.layout import GeneLayout
from core.records import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

SEED = 0
"""Where the random numbers of the methods that draw start."""
SMOOTHGRAD_NOISE = 0.05
"""SD of SmoothGrad's noise on values in [0, 1]: .4 SD of a z-scored gene."""
OCCLUSION_GENES = 2048
"""Occlusion takes a forward pass a gene and sample: beyond this, minutes become hours on a CPU."""
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
    uses_baseline: bool = False
    """Whether scores depend on the baseline."""
    most_genes: int | None = None
    """More genes than these would take too long; such methods look at one sample at a time."""
    uses_stage: bool = False
    """Whether it looks at the maps of a stage, which can be chosen."""
    warning: str | None = None


@dataclass(frozen=True)
class BaselineProfile:
    """What a sample is compared with: where scores are 0."""

    name: str
    title: str
    help: str


BASELINE_PROFILES: Registry[BaselineProfile] = Registry(
    "baseline",
    [
        BaselineProfile(
            name="mean",
            title="Training mean",
            help="The average training sample: which genes set this sample apart?",
        ),
        BaselineProfile(
            name="others",
            title="Mean of the other classes",
            help="The average training sample of the other classes, each class counting the same; "
            "of the one class asked about in “why A and not B”.",
        ),
        BaselineProfile(
            name="zero",
            title="Zero",
            help="Every gene at the lowest value that the image can show. No real sample is like "
            "that, so it measures the level of a gene rather than its difference.",
        ),
    ],
)


def _integrate_gradients(question: Question) -> Tensor:
    from captum.attr import IntegratedGradients

    return IntegratedGradients(question.forward).attribute(
        question.x,
        baselines=question.baseline,
        target=question.targets,
        n_steps=question.steps,
        internal_batch_size=question.batch_size,
    )


def _expect_gradients(question: Question) -> Tensor:
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


def _take_gradients(question: Question) -> Tensor:
    return _gradient(question, question.x).abs()


def _multiply_gradients(question: Question) -> Tensor:
    """Input times gradient, with the input measured from the baseline, not from 0.

    In the original a gene at the value 0 scores 0 by definition; here a gene at its baseline does.
    """
    return (question.x - question.baseline) * _gradient(question, question.x)


def _smooth_gradients(question: Question) -> Tensor:
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


def _guide_gradients(question: Question) -> Tensor:
    from captum.attr import GuidedBackprop

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
        return GuidedBackprop(question.forward).attribute(question.x, target=question.targets).abs()


def _occlude_genes(question: Question) -> Tensor:
    return _ablate(question, None)


def _occlude_patches(question: Question) -> Tensor:
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


def _map_gradcam(question: Question) -> Tensor:
    from captum.attr import LayerGradCam

    return (
        LayerGradCam(question.forward, question.layer)
        .attribute(question.x, target=question.targets, relu_attributions=True)
        .squeeze(1)
    )


def _map_hirescam(question: Question) -> Tensor:
    return _activation_gradients(question).sum(1)


def _map_layercam(question: Question) -> Tensor:
    """Positive parts place by place: as published, since stages end in maps that are not < 0."""
    return _activation_gradients(question).clamp(min=0).sum(1)


def _activation_gradients(question: Question) -> Tensor:
    from captum.attr import LayerGradientXActivation

    return LayerGradientXActivation(question.forward, question.layer).attribute(
        question.x, target=question.targets
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
            uses_baseline=True,
        ),
        Method(
            name="gradient_shap",
            title="Gradient SHAP",
            help="Like integrated gradients, from many training samples instead of one average.",
            reference="Erion et al. 2021, arXiv:1906.10670",
            unit="gene",
            signed=True,
            complete=False,
            compute=_expect_gradients,
        ),
        Method(
            name="input_x_gradient",
            title="Input x gradient",
            help="The gene's distance from the baseline times the class score's slope at the "
            "sample. Quick, and blind to what saturates.",
            reference="Shrikumar et al. 2016, arXiv:1605.01713",
            unit="gene",
            signed=True,
            complete=False,
            compute=_multiply_gradients,
            uses_baseline=True,
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
            name="smoothgrad",
            title="SmoothGrad",
            help="Saliency, averaged over noisy copies of the sample before its sign is dropped.",
            reference="Smilkov et al. 2017, arXiv:1706.03825",
            unit="gene",
            signed=False,
            complete=False,
            compute=_smooth_gradients,
        ),
        Method(
            name="occlusion",
            title="Occlusion by gene",
            help="By how much the class score falls when one gene goes to the baseline: a real "
            f"what-if, one pass a gene. Offered up to {OCCLUSION_GENES:,} genes.",
            reference="Zeiler and Fergus 2014, arXiv:1311.2901",
            unit="gene",
            signed=True,
            complete=False,
            compute=_occlude_genes,
            uses_baseline=True,
            most_genes=OCCLUSION_GENES,
        ),
        Method(
            name="patch_occlusion",
            title="Occlusion by patch",
            help="By how much the class score falls when the genes of one of "
            f"{PATCHES} x {PATCHES} patches go to the baseline together.",
            reference="Zeiler and Fergus 2014, arXiv:1311.2901",
            unit="region",
            signed=True,
            complete=False,
            compute=_occlude_patches,
            uses_baseline=True,
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
            uses_stage=True,
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
            uses_stage=True,
        ),
        Method(
            name="layercam",
            title="LayerCAM",
            help="Like HiResCAM, with only what spoke for the class; made for early stages, whose "
            "maps are fine.",
            reference="Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
            unit="region",
            signed=False,
            complete=False,
            compute=_map_layercam,
            uses_stage=True,
        ),
        Method(
            name="guided_backprop",
            title="Guided backpropagation",
            help="Saliency that lets only positive gradients pass. Here to be compared with.",
            reference="Springenberg et al. 2015, arXiv:1412.6806",
            unit="gene",
            signed=False,
            complete=False,
            compute=_guide_gradients,
            warning="Guided backpropagation draws nearly the same map for a network that has "
            "learned nothing (Adebayo et al. 2018, arXiv:1810.03292). Order no primers from it.",
        ),
    ],
)


@dataclass(frozen=True)
class Recipe:
    """How a run is explained: a method and what it leaves open.

    Raises:
        InputError: an unknown method or baseline, or a choice that the method doesn't have.
    """

    method: str = "integrated_gradients"
    baseline: str = "mean"
    """A name in BASELINE_PROFILES."""
    against: str | None = None
    """A class: why each sample's own class and not this one?"""
    stage: str | None = None
    """Whose maps a region method looks at; None: the network's `region_stage`."""

    def __post_init__(self) -> None:
        record, baseline = METHODS[self.method], BASELINE_PROFILES[self.baseline]
        for chosen, used, what in (
            (baseline.name != "mean", record.uses_baseline, "baseline"),
            (self.stage is not None, record.uses_stage, "stage"),
        ):
            if chosen and not used:
                able = ", ".join(m.name for m in METHODS if getattr(m, f"uses_{what}"))
                raise InputError(
                    f"{record.title} has no {what} to choose. Leave it out, or take one of: {able}."
                )

    @property
    def stem(self) -> str:
        """What its files are called: the method, and each choice that is not the default."""
        parts = [self.method]
        if self.baseline != "mean":
            parts.append(f"from-{self.baseline}")
        if METHODS[self.method].uses_stage:
            parts.append(f"at-{self.stage or 'default'}")
        if self.against is not None:
            parts.append("against-" + hashlib.sha256(self.against.encode()).hexdigest()[:12])
        return "_".join(parts)
