"""NetworkSpec: which network a run fine-tunes, and from where. Readable without importing torch."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.images.layout import Channels
from core.models.backbones import BACKBONES, Backbone

IMAGE = "image"
"""What a linear head calls the image itself, beside the maps of the stages."""
PRODUCTS = "products"
"""What it calls the products of each two genes."""
OF_GENES = (IMAGE, PRODUCTS)
"""What a linear head sees beside maps of the network."""
PRODUCT_PLACES = 8
"""Places a side of the image whose values are multiplied with each other."""
MOST_MULTIPLIED = PRODUCT_PLACES**2
"""So many genes at most have a place of their own there."""
_WEIGHTS = re.compile(r"imagenet|scratch|file:.+|run:[0-9a-f]{16}")


class NetworkSpec(BaseModel):
    """A backbone, its initial weights, its head, and how much of it stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field(
        "squeezenet1_1", title="Network", description="The convolutional network that is trained."
    )
    weights: str = Field(
        "scratch",
        title="Initial weights",
        description="imagenet (torchvision's file), file:PATH (a checkpoint of yours), run:ID "
        "(a finished run), or scratch (random).",
    )
    allow_leak: bool = Field(
        False,
        title="Allow a leak",
        description="Start from a run even if it has learned from samples or patients that this "
        "run tests. Its scores are then too good, and every result says so.",
    )
    head: Literal["linear", "scales", "position", "torchvision"] = Field(
        "scales",
        title="Head",
        description="linear is a linear model of the genes and of every stage's map, solved "
        "exactly instead of trained by steps; the backbone has to be frozen. scales looks at "
        "every stage's map, fine and coarse, and keeps where on the image something was seen; "
        "position does so with the last stage's map only; torchvision is the network's own "
        "classifier, which in ResNet and SqueezeNet averages over all places. On a gene-image a "
        "place is a gene.",
    )
    pool: int = Field(
        14,
        ge=1,
        le=28,
        title="Places per side",
        description="The heads that keep places average a map to at most this many rows and "
        "columns.",
    )
    freeze: str = Field(
        "nothing",
        title="Frozen part",
        description="nothing, backbone (all but the head), or a stage: everything up to and "
        "including it keeps its initial weights.",
    )
    image_size: int = Field(
        64, ge=32, le=448, title="Image size", description="Pixels per side that the network sees."
    )
    channels: Channels = Field(
        "value",
        title="Colour channels",
        description="value: the value in all three, as in the paper. value_z_rank: the value, its "
        "distance from the training mean in SD, and the gene's rank within the sample. "
        "Attributions don't see the rank: it changes in steps.",
    )
    edge: Literal["padded", "cut"] = Field(
        "padded",
        title="Edge of the image",
        description="padded: what a network's windows would leave out at the right and lower edge "
        "is filled up with nothing, so that it sees every gene. cut, as before there was a choice: "
        "SqueezeNet never sees the last row and column of an image of even side. The other "
        "networks are padded anyway.",
    )
    products: bool = Field(
        False,
        title="Products of genes",
        description="The linear head also looks at the product of each two genes, so that it finds "
        f"what two genes say together; for {MOST_MULTIPLIED} genes at most.",
    )
    dropout: float = Field(
        0.2,
        ge=0,
        le=0.9,
        title="Dropout",
        description="Share of the head's inputs that is left out at random while it trains.",
    )

    @field_validator("backbone")
    @classmethod
    def _know_backbone(cls, backbone: str) -> str:
        return BACKBONES.check(backbone)

    @field_validator("weights")
    @classmethod
    def _know_weights(cls, weights: str) -> str:
        if not _WEIGHTS.fullmatch(weights):
            raise ValueError(
                f"Unknown weights {weights!r}. Known: imagenet, scratch, file:PATH (a checkpoint), "
                "run:ID (16 hexadecimal digits of a finished run)."
            )
        return weights

    @model_validator(mode="after")
    def _fit_together(self) -> "NetworkSpec":
        choices = ("nothing", "backbone", *self.record.stages)
        if self.freeze not in choices:
            raise ValueError(
                f"Unknown part to freeze {self.freeze!r} for {self.backbone}. "
                f"Known: {', '.join(choices)}."
            )
        if self.head == "linear" and self.freeze != "backbone":
            raise ValueError(
                "The linear head is solved for maps that don't change: freeze the backbone."
            )
        if self.products and self.head != "linear":
            raise ValueError("products are for the linear head; leave them out.")
        if self.allow_leak and not self.weights.startswith("run:"):
            raise ValueError("allow_leak is for weights of a run (run:ID); leave it out.")
        if not self.may_cut:
            object.__setattr__(self, "edge", "padded")
        return self

    @property
    def record(self) -> Backbone:
        """The backbone's record."""
        return BACKBONES[self.backbone]

    @property
    def is_solved(self) -> bool:
        """Whether the head follows from the samples, instead of being trained by steps."""
        return self.head == "linear"

    @property
    def sources(self) -> tuple[str, ...]:
        """What a linear head looks at, each with a share of its own."""
        return (*OF_GENES[: 1 + self.products], *self.record.stages)

    @property
    def may_cut(self) -> bool:
        """Whether the network leaves out a part of such an image unless that is padded."""
        return self.record.cut(self.image_size) > 0

    @property
    def padding(self) -> int:
        """Rows and columns of zeros that the image gets at its end."""
        return self.record.cut(self.image_size) if self.edge == "padded" else 0

    @property
    def unseen(self) -> int:
        """Rows and columns at the end of the image that the network never sees.

        A linear head has the image itself before it, whatever the stages see of it.
        """
        return 0 if self.is_solved else self.record.cut(self.image_size) - self.padding

    @property
    def map_sides(self) -> dict[str, int]:
        """Cells a side of each stage's map."""
        return self.record.map_sides(self.image_size + self.padding)

    @property
    def region_stage(self) -> str:
        """The stage that region methods look at unless another is chosen."""
        return self.record.region_stage(self.image_size + self.padding)

    @property
    def frozen_stages(self) -> tuple[str, ...]:
        """Names of the stages that keep their initial weights."""
        stages = self.record.stages
        if self.freeze == "nothing":
            return ()
        return stages if self.freeze == "backbone" else stages[: stages.index(self.freeze) + 1]
