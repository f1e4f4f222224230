"""The attribution methods as records, and how a run is explained by one of them.

Readable without torch and captum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from core.errors import InputError
from core.explain import computing
from core.explain.computing import PATCHES, SHAPLEY_ORDERS, Question
from core.identity import raised_versions
from core.records import Registry

if TYPE_CHECKING:
    from torch import Tensor

OCCLUSION_GENES = 2048
"""Occlusion takes a forward pass a gene and sample: beyond this, minutes become hours on a CPU."""
OCCLUSION_SETS = 2048
"""Occlusion by set takes a forward pass a set and sample."""
SHAPLEY_SETS = 200
"""Shapley sampling takes SHAPLEY_ORDERS forward passes a set and sample."""
MOST_SAMPLES = 500
"""Samples that can be chosen: so many are explained in minutes."""


@dataclass(frozen=True)
class Method:
    """An attribution method."""

    name: str
    title: str
    help: str
    reference: str
    unit: Literal["gene", "region", "set"]
    """What it scores by itself; the score of a region or set is shared by its genes."""
    signed: bool
    """Whether a negative score means that the gene spoke against the class."""
    complete: bool
    """Whether the scores add up to the change of the class score from baseline to sample."""
    compute: Callable[[Question], Tensor]
    """(batch, genes) scores, (batch, height, width) maps where the unit is a region, (batch, sets)
    values where it is a set"""
    uses_baseline: bool = False
    """Whether scores depend on the baseline."""
    uses_training: bool = False
    """Whether it starts from training samples."""
    cuts: bool = False
    """Whether it cuts the images of some samples into batches by itself."""
    most_genes: int | None = None
    """More genes than these would take too long."""
    most_sets: int = 0
    """More sets than these would take too long; of methods that score sets."""
    partition: bool = False
    """Whether sets are made disjoint, which a method needs that divides the score among them."""
    uses_stage: bool = False
    """Whether it looks at the maps of a stage, which can be chosen."""
    warning: str | None = None
    version: int = 1
    """Raised when it gives other scores."""

    @property
    def ranks_genes(self) -> bool:
        """Whether genes can be ranked by it: those of a region or a set are tied."""
        return self.unit == "gene"

    @property
    def uses_sets(self) -> bool:
        """Whether gene sets must be named."""
        return self.unit == "set"

    @property
    def asks_often(self) -> bool:
        """Whether it asks the network so often that it looks at one sample at a time."""
        return self.uses_sets or self.most_genes is not None


@dataclass(frozen=True)
class BaselineProfile:
    """What a sample is compared with: where scores are 0."""

    name: str
    title: str
    help: str
    version: int = 1
    """Raised when it is another profile."""


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
THROUGH = {"all": "Genes and maps", "genes": "Genes alone", "maps": "Maps alone"}
"""Which part of a linear head's score is explained, by what people read."""
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
            compute=computing.integrate_gradients,
            uses_baseline=True,
            cuts=True,
        ),
        Method(
            name="gradient_shap",
            title="Gradient SHAP",
            help="Like integrated gradients, from many training samples instead of one average.",
            reference="Erion et al. 2021, arXiv:1906.10670",
            unit="gene",
            signed=True,
            complete=False,
            compute=computing.expect_gradients,
            uses_training=True,
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
            compute=computing.multiply_gradients,
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
            compute=computing.take_gradients,
        ),
        Method(
            name="smoothgrad",
            title="SmoothGrad",
            help="Saliency, averaged over noisy copies of the sample before its sign is dropped.",
            reference="Smilkov et al. 2017, arXiv:1706.03825",
            unit="gene",
            signed=False,
            complete=False,
            compute=computing.smooth_gradients,
        ),
        Method(
            name="occlusion",
            title="Occlusion by gene",
            help="By how much the class score falls when one gene goes to the baseline: a real "
            f"what-if, one pass per gene. Offered up to {OCCLUSION_GENES:,} genes.",
            reference="Zeiler and Fergus 2014, arXiv:1311.2901",
            unit="gene",
            signed=True,
            complete=False,
            compute=computing.occlude_genes,
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
            compute=computing.occlude_patches,
            uses_baseline=True,
        ),
        Method(
            name="set_occlusion",
            title="Occlusion by gene set",
            help="By how much the class score falls when all genes of a set go to the baseline, "
            "one set after the other. Sets overlap as they do, so the falls don't add up.",
            reference="Zeiler and Fergus 2014, arXiv:1311.2901",
            unit="set",
            signed=True,
            complete=False,
            compute=computing.occlude_sets,
            uses_baseline=True,
            most_sets=OCCLUSION_SETS,
        ),
        Method(
            name="set_shapley",
            title="Shapley values of gene sets",
            help="Divides the class score's change from baseline to sample among gene sets: what "
            f"each adds on average over {SHAPLEY_ORDERS} random orders per sample. A gene counts "
            "in the smallest of its sets only.",
            reference="Castro et al. 2009, doi:10.1016/j.cor.2008.04.004",
            unit="set",
            signed=True,
            complete=True,
            compute=computing.sample_shapley,
            uses_baseline=True,
            most_sets=SHAPLEY_SETS,
            partition=True,
        ),
        Method(
            name="gradcam",
            title="Grad-CAM",
            help="Which regions of the image spoke for the class. Too coarse to single out genes.",
            reference="Selvaraju et al. 2017, arXiv:1610.02391",
            unit="region",
            signed=False,
            complete=False,
            compute=computing.map_gradcam,
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
            compute=computing.map_hirescam,
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
            compute=computing.map_layercam,
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
            compute=computing.guide_gradients,
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
    sets: str | None = None
    """The kept file of gene sets that a method asks about which scores sets."""
    samples: tuple[str, ...] = ()
    """Ids of the held-out samples to explain, MOST_SAMPLES at most; none: some of each class."""
    towards: str | None = None
    """The class whose score is explained for `samples`."""
    through: str = "all"
    """A name in THROUGH: of a linear head, the part that goes through the genes or the maps."""

    def __post_init__(self) -> None:
        record, baseline = METHODS[self.method], BASELINE_PROFILES[self.baseline]
        if self.through not in THROUGH:
            raise InputError(f"Unknown part {self.through!r}. Known: {', '.join(THROUGH)}.")
        for chosen, used, what in (
            (baseline.name != "mean", record.uses_baseline, "baseline"),
            (self.stage is not None, record.uses_stage, "stage"),
            (self.sets is not None, record.uses_sets, "sets"),
        ):
            if chosen and not used:
                able = ", ".join(m.name for m in METHODS if getattr(m, f"uses_{what}"))
                raise InputError(
                    f"{record.title} has no {what} to choose. Leave it out, or take one of: {able}."
                )
        if record.uses_sets and self.sets is None:
            raise InputError(f"{record.title} needs gene sets. Name a file of them (GMT).")
        if bool(self.samples) != (self.towards is not None):
            raise InputError(
                "Samples are explained towards one class: name both the samples and the class, or "
                "neither, to explain each class by its own samples."
            )
        if self.towards is not None and self.towards == self.against:
            raise InputError(f"Expected two classes, got {self.against!r} against itself.")
        if len(self.samples) > MOST_SAMPLES:
            raise InputError(
                f"Expected at most {MOST_SAMPLES} samples to explain, got {len(self.samples)}."
            )

    @property
    def stem(self) -> str:
        """What its files are called: the method, and each choice that is not the default.

        Versions other than the first are named, so that scores of an earlier one aren't shown.
        """
        record, baseline = METHODS[self.method], BASELINE_PROFILES[self.baseline]
        parts = [self.method]
        if self.baseline != "mean":
            parts.append(f"from-{self.baseline}")
        if record.uses_stage:
            parts.append(f"at-{self.stage or 'default'}")
        if self.against is not None:
            parts.append("against-" + _shorten(self.against))
        if self.sets is not None:
            parts.append("of-" + self.sets[:12])
        if self.towards is not None:
            parts.append("chosen-" + _shorten("\n".join((self.towards, *sorted(self.samples)))))
        if self.through != "all":
            parts.append(f"through-{self.through}")
        used = {"method": record} | ({"baseline": baseline} if record.uses_baseline else {})
        for name, version in raised_versions(**used).get("versions", {}).items():
            parts.append(f"{name}-v{version}")
        return "_".join(parts)


def _shorten(text: str) -> str:
    """Any text as part of a file name."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
