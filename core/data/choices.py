"""What a user decided about a dataset: the cohort, and how its values are prepared.

Kept beside the dataset, so that every page and the next session start from it; a run records what
it used in its own specification.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from core.data.cohort import Cohort, nest_cohort
from core.data.prepare import PreparationSpec
from core.data.store import get_record
from core.errors import DamageError, InputError
from core.files import UNREADABLE, read_json, write_json
from core.home import dataset_folder

CHOICES = "choices.json"


class Choices(BaseModel):
    """Decisions about one dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cohort: Cohort = Cohort()
    preparation: PreparationSpec = PreparationSpec()

    def changed(self, **changes: Any) -> "Choices":
        """The same with some fields changed: of the cohort as `Cohort.changed` does, and as
        `preparation` a mapping of the fields that change."""
        preparation = {**self.preparation.model_dump(), **changes.pop("preparation", {})}
        return Choices(
            cohort=self.cohort.changed(**changes),
            preparation=PreparationSpec.model_validate(preparation),
        )


def load_choices(dataset: str) -> Choices | None:
    """What was decided about a stored dataset, or None; raises DamageError for a damaged file."""
    path = dataset_folder(dataset) / CHOICES
    if not path.exists():
        return None
    try:
        choices = Choices.model_validate(nest_cohort(read_json(path)))
    except (*UNREADABLE, ValidationError):
        raise DamageError(
            f"What was decided about {get_record(dataset).name!r} ({CHOICES}) is damaged. Set it "
            "aside, to choose anew: the page Data does that, and `genecanvas doctor --repair`."
        ) from None
    return choices.changed(dataset=dataset)


def save_choices(dataset: str, choices: Choices) -> None:
    """Keep what was decided; raises InputError when the dataset is gone."""
    folder = dataset_folder(dataset)
    if not folder.exists():
        raise InputError(f"There is no dataset {dataset[:12]}… any more.")
    write_json(folder / CHOICES, choices.model_dump(mode="json"))
