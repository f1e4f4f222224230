"""What is asked: which model, which samples, and how the two are brought together."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.data.cohort import Cohort
from core.explain.methods import METHODS, Method
from core.home import RUN_ID, run_folder, sent_folder
from core.identity import identify


class PredictRequest(BaseModel):
    """A model and the samples that it shall be applied to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(pattern=RUN_ID.pattern, title="Model")
    """Id of a finished run, or of a model that somebody sent."""
    cohort: Cohort = Field(title="Samples")
    """Of a stored dataset. Its label, where it has one, is what the samples are known to be; with
    `merge` its classes count as the model's."""
    together: str = Field("none", title="Bringing together")
    """How the samples' values are brought to those of training: a name in TOGETHER."""

    two_groups: bool = Field(False, title="Part the samples into two groups")
    """Of a model of two classes: whether the threshold between them is sought in the new samples'
    own scores (`core.evaluation.prior.part_in_two`)."""

    @field_validator("cohort")
    @classmethod
    def _needs_samples(cls, cohort: Cohort) -> Cohort:
        if cohort.dataset is None:
            raise ValueError("Name the dataset whose samples the model shall be applied to.")
        return cohort

    @property
    def key(self) -> str:
        """16 hexadecimal digits: the same question has the same key."""
        return identify("predict", self.model_dump(mode="json"))

    @property
    def folder(self) -> Path:
        """Where the answer stands."""
        return model_folder(self.model) / "predictions" / self.key


def model_folder(model: str) -> Path:
    """The folder of a model: of a run, or of a model that somebody sent.

    Raises InputError unless it is an id.
    """
    sent = sent_folder(model)
    return sent if sent.exists() else run_folder(model)


def explaining_methods() -> list[Method]:
    """The methods that can be asked about any sample: those that score each gene by itself."""
    return [
        method
        for method in METHODS
        if method.ranks_genes and not (method.uses_stage or method.uses_sets)
    ]
