"""What decides a training, without torch: the specification and the choice of augmentations."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.errors import InputError
from core.records import Registry

if TYPE_CHECKING:
    from torch import Tensor

Batch = tuple["Tensor", "Tensor"]


def mix_expression(x: "Tensor", targets: "Tensor", unit_sd: "Tensor", mean: "Tensor") -> Batch:
    """Perturb profiles as new measurements of similar tumours would differ.

    Three steps: mixup of pairs of profiles and of their targets with weights from Beta(.4, .4)
    (Zhang et al. 2018, arXiv:1710.09412), 30 % of the genes set to their training mean (dropout of
    genes), and Gaussian noise of .7 training SD per gene.

    Args:
        x: (batch, genes) prepared expression in [0, 1].
        targets: (batch, classes) class probabilities.
        unit_sd: (genes,) SD of each gene on the training samples, in the units of `x`.
        mean: (genes,) training mean of each gene, in the units of `x`.
    """
    import torch

    weight = torch.distributions.Beta(0.4, 0.4).sample((len(x), 1)).to(x)
    weight = torch.maximum(weight, 1 - weight)
    partner = torch.randperm(len(x), device=x.device)
    x = weight * x + (1 - weight) * x[partner]
    targets = weight * targets + (1 - weight) * targets[partner]
    x = torch.where(torch.rand_like(x) < 0.3, mean, x)
    return x + 0.7 * unit_sd * torch.randn_like(x), targets


def turn_images(images: "Tensor") -> "Tensor":
    """Flip and quarter-turn each image at random, as image augmentation of photographs does."""
    import torch

    turns = torch.randint(4, (len(images),), device=images.device)
    flips = torch.rand(len(images), device=images.device) < 0.5
    turned = torch.stack(
        [torch.rot90(image, int(turn), (1, 2)) for image, turn in zip(images, turns, strict=True)]
    )
    return torch.where(flips[:, None, None, None], turned.flip(3), turned)


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


AUGMENTATIONS = Registry(
    "augmentation",
    [
        Augmentation(
            name="expression",
            title="Expression: noise, gene dropout, mixup",
            help="Varies the expression profile before it is painted, so that each gene keeps its "
            "pixel.",
            reference="mixup: Zhang et al. 2018, arXiv:1710.09412",
            on_expression=mix_expression,
        ),
        Augmentation(
            name="geometric",
            title="Geometric: flips and quarter turns",
            help="Turns the finished image as if it were a photograph, as published work does.",
            reference="Rukhsar et al. 2022, Appl. Sci. 12:1850",
            warning="In a gene-image a gene is its position. Flips and turns move every gene to "
            "another gene's place, which usually costs accuracy.",
            on_images=turn_images,
        ),
        Augmentation(
            name="none",
            title="None",
            help="Trains on the profiles as they were measured.",
            reference="",
        ),
    ],
)


class TrainingSpec(BaseModel):
    """How a network is trained on one fold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(
        40, ge=1, le=1000, title="Epochs", description="Passes over the training samples, at most."
    )
    batch_size: int = Field(32, ge=2, le=1024, title="Batch size")
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        title="Learning rate",
        description="Peak rate of AdamW; empty: what suits the network, a quarter of it when it "
        "starts from trained weights.",
    )
    weight_decay: float = Field(0.01, ge=0, le=1, title="Weight decay")
    label_smoothing: float = Field(0.1, ge=0, lt=1, title="Label smoothing")
    augmentation: str = Field("expression", title="Augmentation")
    class_weights: bool = Field(
        True,
        title="Class weights",
        description="Count rare classes as much as frequent ones in the loss.",
    )
    patience: int = Field(
        15,
        ge=1,
        le=1000,
        title="Patience",
        description="Stop when the validation loss has not fallen for this many epochs.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title="Precision",
        description="auto takes bfloat16 where the hardware computes in it, float32 elsewhere.",
    )

    @field_validator("augmentation")
    @classmethod
    def _known_augmentation(cls, name: str) -> str:
        try:
            return AUGMENTATIONS[name].name
        except InputError as error:
            raise ValueError(str(error)) from None
