"""What a user decided about a dataset: roles of its columns, which samples, how they are prepared.

Kept beside the dataset, so that every page and the next session start from it; a run records what
it used in its own specification.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.data.prepare import PreparationSpec
from core.errors import InputError
from core.files import read_json, write_json
from core.home import dataset_folder


class Choices(BaseModel):
    """Decisions about one dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str | None = Field(None, title="Class")
    group: str | None = Field(None, title="Patient")
    batch: str | None = Field(None, title="Batch")
    where: dict[str, list[str]] = {}
    """Keep only samples whose column has one of these values."""
    leave_out: tuple[str, ...] = ()
    """Ids of samples that are left out."""
    merge: dict[str, str] = {}
    """Class -> the class that it counts as."""
    preparation: PreparationSpec = PreparationSpec()

    def changed(self, **changes: Any) -> "Choices":
        """The same with some fields changed.

        Samples to leave out are added to those that are left out already, conditions of `where`
        to those on other columns, and `preparation` is a mapping of the fields that change.
        Another label has other classes, so that none of them is merged.
        """
        new = self.model_dump()
        for name, value in changes.items():
            if name == "leave_out":
                value = (*self.leave_out, *(s for s in value if s not in self.leave_out))
            elif name in ("where", "preparation", "merge"):
                value = {**new[name], **value}
            elif name == "label" and value != self.label:
                new["merge"] = {}
            new[name] = value
        return Choices.model_validate(new)


def load_choices(dataset: str) -> Choices | None:
    """What was decided about a stored dataset, or None; raises InputError for a damaged file."""
    path = dataset_folder(dataset) / "choices.json"
    if not path.exists():
        return None
    try:
        return Choices.model_validate(read_json(path))
    except (ValueError, ValidationError) as error:
        raise InputError(f"{path} is damaged: {error}. Delete it to choose anew.") from None


def save_choices(dataset: str, choices: Choices) -> None:
    """Keep what was decided; raises InputError when the dataset is gone."""
    folder = dataset_folder(dataset)
    if not folder.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more.")
    write_json(folder / "choices.json", choices.model_dump(mode="json"))
