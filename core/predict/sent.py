"""Models that somebody sent: imported from a model folder, listed, deleted."""

import shutil
from pathlib import Path
from typing import NamedTuple

from core.errors import InputError
from core.files import UNREADABLE, read_json
from core.home import RUN_ID, home, sent_folder
from core.jobs.store import JobStore
from core.processes import run_module
from core.runs.result import kept_sent
from core.runs.store import RunStore
from core.scratch import scratch


class SentModel(NamedTuple):
    """One of the home."""

    id: str
    name: str
    """As its sender called it."""


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
        answer = run_module("core.predict.opening", {"path": str(path), "place": str(place)})
        if answer.returncode == 2:
            raise InputError(answer.stderr.strip().splitlines()[-1])
        if answer.returncode:
            raise InputError(
                f"{path.name} is damaged, or takes more memory or time than a model folder may: "
                "reading it came to no end."
            )
        model = answer.stdout.split()[-1]
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
            try:
                name = str(read_json(folder / "listing.json")["name"])
            except UNREADABLE:
                name = folder.name
            found.append(SentModel(folder.name, name))
    return sorted(found, key=lambda model: (model.name, model.id))


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
    store = JobStore()
    store.check_unused(model, "The model")
    shutil.rmtree(sent_folder(model))
    store.forget_answers(model)
