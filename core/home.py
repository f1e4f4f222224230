"""Where everything is kept: in one folder, GENECANVAS_HOME or the platform's user data folder.

On a server that several people share each of them has a home inside that folder, and so has what
the lab shares and what a guest may look at. Whatever asks `home()` is in one of them and knows of
no other: what is elsewhere isn't there. This is the only place that decides who sees what.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

import platformdirs

from core.errors import InputError

RUN_ID = re.compile(r"[0-9a-f]{16}")
DATASET_ID = re.compile(r"[0-9a-f]{64}")
PEOPLE, GUESTS, LAB = "people", "guests", "lab"
"""Folders of the server's home: homes of people, homes that guests look at, what the lab shares."""
MARKS = {PEOPLE: "person.json", GUESTS: "guest.json", LAB: "lab.json"}
"""The file that tells a home inside another one from a folder that happens to be called so."""


class Place(NamedTuple):
    """A home, and whether one only looks at it."""

    folder: Path
    looks: bool = False


_place: ContextVar[Place | None] = ContextVar("place", default=None)
_find_place: Callable[[], Place] | None = None


def home() -> Path:
    """The folder of the datasets, runs and weights of whoever asks, made if it is missing.

    Raises InputError where the program serves several people and nobody is signed in.
    """
    return where().folder


def server_home() -> Path:
    """The home that all others are in; it is `home()` where nobody signs in."""
    return server_of(_named())


def server_of(folder: Path) -> Path:
    """The home that a home is in, itself unless it is a person's, a guest's or the lab's."""
    if folder.parent.name in (PEOPLE, GUESTS) and (folder / MARKS[folder.parent.name]).exists():
        return folder.parents[1]
    if folder.name == LAB and (folder / MARKS[LAB]).exists():
        return folder.parent
    return folder


def working_homes() -> list[Path]:
    """The homes in which work is done: the server's, then people's."""
    server = server_home()
    marked = sorted(server.glob(f"{PEOPLE}/*/{MARKS[PEOPLE]}"))
    return [server, *(mark.parent for mark in marked)]


def homes_inside(folder: Path) -> list[Path]:
    """All homes in a home: of people and guests, and the lab's."""
    marks = [
        *folder.glob(f"{PEOPLE}/*/{MARKS[PEOPLE]}"),
        *folder.glob(f"{GUESTS}/*/{MARKS[GUESTS]}"),
    ]
    marks.append(folder / LAB / MARKS[LAB])
    return sorted(mark.parent for mark in marks if mark.exists())


def serve_people(find: Callable[[], Place]) -> None:
    """From now on ask `find` in which home this thread is, whenever `at` hasn't said so.

    It raises InputError where that can't be told, so that what forgets to say it gets nothing.
    """
    global _find_place
    _find_place = find


def serve_one() -> None:
    """Undo `serve_people`: everything is in one home."""
    global _find_place
    _find_place = None


@contextmanager
def at(folder: Path, *, looks: bool = False) -> Iterator[None]:
    """Be in a home, in this thread; with `looks` nothing can be changed in it."""
    before = _place.set(Place(folder, looks))
    try:
        yield
    finally:
        _place.reset(before)


def only_looks() -> bool:
    """Whether nothing may be changed in this home, as it was only shown."""
    return where().looks


def need_right_to_change(path: Path | None = None) -> None:
    """Raise InputError where one only looks at the home: all that writes or deletes asks this.

    Args:
        path: what is written; outside the home it may be.
    """
    place = _told()
    if place is None or not place.looks:
        return
    if path is None or path.absolute().is_relative_to(place.folder):
        raise InputError(
            "Nothing can be changed here: you are looking at what somebody shares. Take it into "
            "your own home to work on it."
        )


def _told() -> Place | None:
    """Where this thread is, if anybody has said so."""
    place = _place.get()
    if place is None and _find_place is not None:
        return _find_place()
    return place


def where() -> Place:
    """The home of whoever asks, and whether they only look; raises as `home` does."""
    place = _told()
    if place is not None:
        return place
    folder = _named()
    folder.mkdir(parents=True, exist_ok=True)
    return Place(folder)


def _named() -> Path:
    """The home that the environment names, else the platform's."""
    chosen = os.environ.get("GENECANVAS_HOME")
    return Path(chosen or platformdirs.user_data_path("genecanvas")).resolve()


def dataset_folder(dataset: str) -> Path:
    """The folder of a stored dataset; raises InputError unless `dataset` is a SHA-256 in hex."""
    if not DATASET_ID.fullmatch(dataset):
        raise InputError(f"Expected a dataset id of 64 hexadecimal digits, got {dataset!r}.")
    return home() / "datasets" / dataset


def run_folder(run: str) -> Path:
    """The folder of a run; raises InputError unless `run` is a run id."""
    if not RUN_ID.fullmatch(run):
        raise InputError(f"Expected a run id of 16 hexadecimal digits, got {run!r}.")
    return home() / "runs" / run


def sent_folder(model: str) -> Path:
    """The folder of a model that somebody sent; raises InputError unless `model` is an id."""
    return home() / "models" / run_folder(model).name


def story_folder(story: str) -> Path:
    """The folder of a story; raises InputError unless `story` is an id."""
    if not RUN_ID.fullmatch(story):
        raise InputError(f"Expected a story's id of 16 hexadecimal digits, got {story!r}.")
    return home() / "stories" / story


def download_folder(name: str) -> Path:
    """The folder of a public dataset's files as they were downloaded; users may put files there."""
    return home() / "downloads" / name


def weights_folder() -> Path:
    """The folder where downloaded network weights are cached, and where a user may put files.

    It is one for all who share a server, whose admins put files there.
    """
    folder = server_of(home()) / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
