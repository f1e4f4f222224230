"""TissueSpec: what is asked of the spots. Readable without torch."""

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from core.home import RUN_ID
from core.tissue.networks import NETWORKS

NO_NETWORK = "none"


class TissueSpec(BaseModel):
    """Which spots, which are held out, which genes, and by what they are predicted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tissue: str = Field(title="Tissue", description="The id of the stored spots.")
    held_out: Literal["patient", "section"] = Field(
        "patient",
        title="Held out",
        description="patient: each patient in turn, which is the question. section: each section "
        "in turn; where the same patient has others in training that is too good.",
    )
    genes: int = Field(
        250, ge=1, le=2000, title="Genes",
        description="So many genes, chosen on the training patients.",
    )  # fmt: skip
    choose: Literal["mean", "moran"] = Field(
        "mean",
        title="Genes of the highest",
        description="mean: mean count, as published. moran: Moran's I, so that they vary over the "
        "tissue, among genes that are found in a tenth of the spots.",
    )
    gene_list: tuple[str, ...] = Field(
        (), title="Only these genes",
        description="Those of a list that the tissue has, instead of the highest ones.",
    )  # fmt: skip
    stain: Literal["as_read", "macenko"] = Field(
        "as_read",
        title="Stain",
        description="as_read: the colours of the image. macenko: each section is brought to the "
        "stain of the training patients (Macenko et al. 2009).",
    )
    backbone: str = Field(
        NO_NETWORK,
        title="Network",
        description="A frozen network whose features of the tiles go into a ridge regression; "
        "none: colour and texture alone.",
    )
    weights: str = Field(
        "imagenet", title="Weights", description="imagenet, file:PATH, or scratch (random)."
    )
    symmetric: bool = Field(
        False,
        title="Eight symmetries",
        description="Take the mean over a tile's quarter turns and mirror images.",
    )
    train: bool = Field(
        False,
        title="Train the network",
        description="Also fine-tune the network on the training patients' tiles, with all other "
        "genes as an auxiliary head (as BrST-Net). Minutes to hours on a processor.",
    )
    epochs: int = Field(
        10, ge=1, le=200, title="Epochs", description="So often each training tile is seen."
    )
    keep: Literal["last", "best"] = Field(
        "last",
        title="Saved weights",
        description="last: those at the end, trained on all training patients. best: those of the "
        "epoch of the lowest error on the smallest training patient (or section, where there is "
        "one patient), which is not trained on.",
    )
    auxiliary: float = Field(
        1.0, ge=0, le=100, title="Auxiliary weight",
        description="Of the other genes' squared error beside that of the genes; 0: without them.",
    )  # fmt: skip
    seed: int = Field(0, ge=0, title="Seed", description="Of the shuffled tiles and of training.")

    @field_validator("tissue")
    @classmethod
    def _know_tissue(cls, tissue: str) -> str:
        if not RUN_ID.fullmatch(tissue):
            raise ValueError(f"Expected an id of 16 hexadecimal digits, got {tissue!r}.")
        return tissue

    @field_validator("backbone")
    @classmethod
    def _know_backbone(cls, backbone: str) -> str:
        return backbone if backbone == NO_NETWORK else NETWORKS.check(backbone)

    @field_validator("weights")
    @classmethod
    def _know_weights(cls, weights: str) -> str:
        if weights in ("imagenet", "scratch") or weights.startswith("file:"):
            return weights
        raise ValueError(f"Unknown weights {weights!r}. Known: imagenet, scratch, file:PATH.")

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a list as questions were before there were lists: their answers still stand."""
        content = write(self)
        if not self.gene_list:
            content.pop("gene_list")
        return content

    @model_validator(mode="after")
    def _fit_together(self) -> "TissueSpec":
        if self.gene_list:
            self._leave("genes", "choose")
        if not self.has_network:  # what says nothing is no part of the question
            self._leave("weights", "symmetric", "train")
        if not self.train:
            self._leave("epochs", "keep", "auxiliary")
        return self

    def _leave(self, *names: str) -> None:
        for name in names:
            object.__setattr__(self, name, type(self).model_fields[name].default)

    @property
    def has_network(self) -> bool:
        """Whether a network looks at the tiles."""
        return self.backbone != NO_NETWORK

    def changed(self, **fields: Any) -> "TissueSpec":
        """The same question with other answers to some of it."""
        return type(self).model_validate({**self.model_dump(), **fields})
