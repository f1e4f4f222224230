"""Models that somebody sent: imported from a model folder, listed, deleted."""

import shutil
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import InputError
from core.files import UNREADABLE, read_json, write_json
from core.home import RUN_ID, home, need_right_to_change, sent_folder
from core.jobs.store import JobStore
from core.processes import read_alone
from core.runs.result import kept_sent
from core.runs.store import RunStore
from core.scratch import scratch

LISTING = "listing.json"
LONGEST_NAME = 300


class Label(BaseModel):
    """What the sender of a model calls it, and said of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    note: str = Field("", max_length=20_000)
    tags: str = Field("", max_length=2000)
    starred: bool = False


class SentModel(NamedTuple):
    """One of the home."""

    id: str
    name: str
    """As its sender called it."""
    note: str = ""
    tags: str = ""
    starred: bool = False


def import_model(path: Path) -> str:
    """Check a model folder, or a zip file of one, and keep it; returns the id of the model.

    One that is kept already stays as it is, unless its files are damaged.

    Raises:
        InputError: in one sentence, what is wrong with it and where; nothing is kept.
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise InputError(f"There is no file or folder {path}.")
    with scratch(home() / "models") as place:
        model = read_alone("core.predict.opening", path, place, "model folder").split()[-1]
        folder = sent_folder(model)
        if folder.exists() and kept_sent(model).problem is None:
            return model
        shutil.rmtree(folder, ignore_errors=True)
        (place / "kept").rename(folder)
    return model


def list_sent() -> list[SentModel]:
    """All that are kept, by name."""
    found = []
    for folder in home().glob("models/*"):
        if RUN_ID.fullmatch(folder.name):
            found.append(SentModel(folder.name, **_read_listing(folder).model_dump()))
    return sorted(found, key=lambda model: (model.name, model.id))


def label_sent(model: str, label: Label) -> None:
    """Keep what a model's sender said of it; what is said already stays."""
    path = sent_folder(model) / LISTING
    if "note" not in read_json(path):
        write_json(path, label.model_dump())


def _read_listing(folder: Path) -> Label:
    """What a sent model is called; its id where its listing can't be read."""
    try:
        return Label.model_validate(read_json(folder / LISTING))
    except (*UNREADABLE, ValidationError):
        return Label(name=folder.name)


def find_sent(prefix: str) -> str:
    """The id of the one model that was sent whose id begins so; raises InputError otherwise."""
    ids = [model.id for model in list_sent() if prefix and model.id.startswith(prefix)]
    if len(ids) != 1:
        raise InputError(
            f"{len(ids) or 'No'} models that were sent have an id that begins with {prefix!r}. See "
            "`genecanvas models list`."
        )
    return ids[0]


def find_model(prefix: str) -> str:
    """The id of the model that was sent, or else of the run, whose id begins so.

    Raises InputError where there is none, or several.
    """
    if any(prefix and model.id.startswith(prefix) for model in list_sent()):
        return find_sent(prefix)
    return RunStore().find(prefix).id


def delete_sent(model: str) -> None:
    """Delete a model that was sent, with the predictions that it made and the jobs about it.

    Raises InputError while jobs that are still to be done need it.
    """
    need_right_to_change()
    store = JobStore()
    store.check_unused(model, "The model")
    shutil.rmtree(sent_folder(model))
    store.forget_answers(model)
