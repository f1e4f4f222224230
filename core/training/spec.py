"""What decides a training, without torch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.training.augmentations import AUGMENTATIONS


class TrainingSpec(BaseModel):
    """How a network is trained on one fold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(
        30, ge=1, le=1000, title="Epochs", description="Passes over the training samples, at most."
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
    variants: int | None = Field(
        None,
        ge=0,
        le=100,
        title="Augmented versions",
        description="So many augmented versions of the training samples are drawn once and taken "
        "in turn, an epoch each, so that frozen stages see each only once; 0: every epoch draws "
        "anew; empty: 16 where a part is frozen, else 0.",
    )
    loss: Literal["cross_entropy", "focal"] = Field(
        "cross_entropy",
        title="Loss",
        description="focal counts samples less the surer the network already is of them (Lin et "
        "al. 2017).",
    )
    class_weights: bool = Field(
        False,
        title="Class weights",
        description="Count rare classes as much as frequent ones in the loss.",
    )
    balanced_sampling: bool = Field(
        False,
        title="Balanced sampling",
        description="Draw samples of rare classes as often as those of frequent ones; takes the "
        "place of class weights.",
    )
    keep: Literal["last", "best"] = Field(
        "last",
        title="Saved weights",
        description="last: those at the end, when the learning rate has come down to zero. best: "
        "those of the epoch of lowest validation loss.",
    )
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        title="Patience",
        description="Stop when the validation loss has not fallen for this many epochs; 0: never.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        title="Precision",
        description="auto takes bfloat16 where the hardware computes in it, float32 elsewhere.",
    )

    @field_validator("augmentation")
    @classmethod
    def _known_augmentation(cls, name: str) -> str:
        return AUGMENTATIONS.check(name)
