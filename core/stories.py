"""Stories: charts and tables of pages, pinned to be shown in a meeting or handed on.

A view is kept as it was when it was pinned, with the link to where it stands: it is shown at once,
says tomorrow what it said today, and is there in a home that lacks its dataset.

A story is a folder `stories/<id>`: `story.json`, and of each view `<its id>.json`. Stories are also
brought from elsewhere, so what a view holds is checked whenever it is read.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import DamageError, InputError
from core.files import UNREADABLE, read_json, write_folder, write_json
from core.home import RUN_ID, home, need_right_to_change, story_folder
from core.identity import identify

if TYPE_CHECKING:
    import pandas as pd

STORY = "story.json"
MOST_BYTES = 30_000_000
"""Of a view."""
MOST_VIEWS = 200
LONGEST_TITLE, LONGEST_CAPTION, LONGEST_NOTES = 120, 500, 5000
TRACES = ("bar", "box", "heatmap", "scatter", "scattergl")
"""What charts are made of here; others could fetch maps."""
_TAG = re.compile(r"</?(?!(?:b|br|i|sub|sup|extra)\b)[A-Za-z!]")
"""Markup that no chart of ours holds: links, styles."""
_TEXT, _NUMBER = str | None, int | float | bool | None


class Grid(BaseModel):
    """A table as JSON: its columns' names and its rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    columns: tuple[str, ...]
    rows: tuple[tuple[_NUMBER | _TEXT, ...], ...]


class View(BaseModel):
    """A chart or a table as it was when it was pinned."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    page: str = Field(pattern=r"^[a-z]{1,20}$")
    """The page that it stands on."""
    link: dict[str, str] = Field(max_length=60)
    """The parts of that page's link."""
    name: str = Field(max_length=200)
    """What its files are called, without ending."""
    finding: str = Field(max_length=LONGEST_CAPTION)
    """What it shows, in a sentence."""
    source: str = Field(max_length=LONGEST_CAPTION)
    """Of which data it is, and of how many samples."""
    figure: dict[str, Any] | None
    """A plotly figure; None of a table."""
    table: Grid
    """The numbers of the chart, or the table itself."""
    pinned: datetime
    version: str = Field(max_length=40)
    """The program's version when it was pinned."""

    @property
    def id(self) -> str:
        """16 hexadecimal digits that follow from all of it."""
        return identify("view", self.model_dump(mode="json"))


class Pinned(BaseModel):
    """A view's place in a story."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    view: str = Field(pattern=f"^{RUN_ID.pattern}$")
    caption: str = Field("", max_length=LONGEST_CAPTION)
    notes: str = Field("", max_length=LONGEST_NOTES)
    """For the speaker alone."""
    beside: bool = False
    """Whether it is shown beside the one before it, if that has room: two stand on a slide."""


class Story(BaseModel):
    """Views in the order in which they are shown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=f"^{RUN_ID.pattern}$")
    title: str = Field(min_length=1, max_length=LONGEST_TITLE)
    views: tuple[Pinned, ...] = Field((), max_length=MOST_VIEWS)
    created: datetime

    @property
    def slides(self) -> list[list[Pinned]]:
        """One view or two at a time."""
        slides: list[list[Pinned]] = []
        for view in self.views:
            if view.beside and slides and len(slides[-1]) == 1:
                slides[-1].append(view)
            else:
                slides.append([view])
        return slides

    def with_view(self, place: int, **changes: Any) -> Story:
        """The same with a view's caption, notes or place beside another changed."""
        views = list(self.views)
        views[place] = Pinned.model_validate(views[place].model_dump() | changes)
        return self.with_views(views)

    def moved(self, place: int, by: int) -> Story:
        """The same with a view further to the front (`by` < 0) or the back; never beyond an end."""
        views = list(self.views)
        view = views.pop(place)
        views.insert(max(0, place + by), view)
        return self.with_views(views)

    def without(self, place: int) -> Story:
        """The same without a view."""
        return self.with_views([*self.views[:place], *self.views[place + 1 :]])

    def with_views(self, views: list[Pinned]) -> Story:
        """The same with other views."""
        return Story.model_validate(self.model_dump() | {"views": views})


def keep_table(data: pd.DataFrame) -> Grid:
    """A table as a story keeps it, without its index; missing values are None."""
    document = json.loads(data.to_json(orient="split", index=False, double_precision=15))
    rows = [
        [value if isinstance(value, str | int | float | None) else str(value) for value in row]
        for row in document["data"]
    ]
    return Grid(columns=[str(name) for name in document["columns"]], rows=rows)


class DamagedStory(NamedTuple):
    """A story that can't be read: it can only be deleted."""

    id: str
    why: str


def create_story(title: str) -> Story:
    """A new story without views, kept in the home; raises InputError without a title."""
    title = " ".join(title.split())[:LONGEST_TITLE]
    if not title:
        raise InputError("A story needs a title, such as the meeting that it is for.")
    story = Story(id=secrets.token_hex(8), title=title, created=datetime.now(UTC))
    _save(story)
    return story


def list_stories() -> list[Story]:
    """The stories of this home, the newest first; those that are damaged are left out."""
    found = [story for story in _look_at_all() if isinstance(story, Story)]
    return sorted(found, key=lambda story: story.created, reverse=True)


def damaged_stories() -> list[DamagedStory]:
    """The stories that can't be read, and why."""
    return [story for story in _look_at_all() if isinstance(story, DamagedStory)]


def _look_at_all() -> Iterator[Story | DamagedStory]:
    for folder in sorted(home().glob("stories/*/")):
        if RUN_ID.fullmatch(folder.name):
            try:
                yield load_story(folder.name)
            except DamageError as error:
                yield DamagedStory(folder.name, str(error))


def load_story(story: str) -> Story:
    """A story by its id; raises InputError where there is none, DamageError for a damaged one."""
    folder = story_folder(story)
    if not folder.exists():
        raise InputError(f"There is no story {story} here: it was deleted, or is in another home.")
    return _read_story(folder)


def _read_story(folder: Path) -> Story:
    path = folder / STORY
    try:
        found = Story.model_validate(read_json(path))
        if found.id != folder.name:
            raise InputError(f"it says that it is story {found.id}")
    except (*UNREADABLE, ValidationError, InputError) as error:
        raise DamageError(
            f"The story {folder.name} ({STORY}) is damaged: {_say(error)}. Delete it."
        ) from None
    return found


def find_story(text: str) -> Story:
    """The one story of that title, or whose id begins so; InputError names those that there are."""
    stories = list_stories()
    found = [one for one in stories if text and (one.title == text or one.id.startswith(text))]
    if len(found) != 1:
        there = ", ".join(f"{one.id} ({one.title})" for one in stories[:20]) or "none"
        many = "Several stories fit" if found else "No story fits"
        raise InputError(f"{many} {text!r}. There are: {there}.")
    return found[0]


def change_story(story: str, change: Callable[[Story], Story]) -> Story:
    """Keep what `change` makes of a story; views that it has no longer are deleted."""
    changed = change(load_story(story))
    _save(changed)
    used = {pinned.view for pinned in changed.views} | {STORY.removesuffix(".json")}
    for path in story_folder(story).glob("*.json"):
        if path.stem not in used and not path.name.startswith("."):
            path.unlink(missing_ok=True)
    return changed


def delete_story(story: str) -> None:
    """Delete a story and its views."""
    need_right_to_change()
    shutil.rmtree(story_folder(story), ignore_errors=True)


def pin(story: str, view: View, caption: str) -> Story:
    """Put a view at the end of a story.

    Raises:
        InputError: it is too large, or the story is full or gone.
    """
    check_figure(view)
    found = load_story(story)
    if len(found.views) >= MOST_VIEWS:
        raise InputError(f"A story has at most {MOST_VIEWS} views. Begin another one.")
    write_json(story_folder(story) / f"{view.id}.json", view.model_dump(mode="json"))
    pinned = Pinned(view=view.id, caption=" ".join(caption.split())[:LONGEST_CAPTION])
    return change_story(story, lambda found: found.with_views([*found.views, pinned]))


def load_view(story: str, view: str) -> View:
    """A view of a story; raises DamageError where it is missing or isn't what was pinned."""
    return _read_view(story_folder(story), view)


def _read_view(folder: Path, view: str) -> View:
    path = folder / f"{view}.json"
    try:
        if not RUN_ID.fullmatch(view):
            raise InputError("that is no id of a view")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"it has more than {MOST_BYTES / 1e6:.0f} MB")
        found = View.model_validate(read_json(path))
        if found.id != view:
            raise InputError("it isn't what was pinned")
        check_figure(found)
    except (*UNREADABLE, ValidationError, InputError) as error:
        raise DamageError(
            f"The view {path.name} is damaged: {_say(error)}. Remove it, and pin it anew."
        ) from None
    return found


def list_files(story: str) -> list[Path]:
    """The files of a story, without views that it shows no longer."""
    found, folder = load_story(story), story_folder(story)
    names = [STORY, *dict.fromkeys(f"{pinned.view}.json" for pinned in found.views)]
    return [folder / name for name in names]


def take_story(folder: Path) -> Story:
    """Keep a story of another home, which is checked in all its parts; none is overwritten.

    One that is here already stays; where another story has its id, it gets a new one.

    Args:
        folder: what `list_files` names, in a folder called as the story's id.

    Raises:
        InputError: what is wrong with it; nothing is kept then.
    """
    story = _read_story(folder)
    views = {pinned.view: _read_view(folder, pinned.view) for pinned in story.views}
    place = story_folder(story.id)
    if place.exists():
        with suppress(InputError):
            if load_story(story.id) == story:
                return story
        story = story.model_copy(update={"id": secrets.token_hex(8)})

    def fill(temporary: Path) -> None:
        write_json(temporary / STORY, story.model_dump(mode="json"))
        for id, view in views.items():
            write_json(temporary / f"{id}.json", view.model_dump(mode="json"))

    write_folder(story_folder(story.id), fill)
    return story


def check_figure(view: View) -> None:
    """Raise InputError for a view that is too large, or whose chart holds what none of ours does:
    other kinds of traces, links, pictures from elsewhere."""
    size = len(view.model_dump_json())
    if size > MOST_BYTES:
        raise InputError(
            f"This chart has {size / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} can be pinned. Paint "
            "fewer genes, or choose fewer samples."
        )
    if view.figure is None:
        return
    for trace in view.figure.get("data", ()):
        if trace.get("type", "scatter") not in TRACES:
            raise InputError(f"A chart of the kind {trace.get('type')!r} can't be shown.")
    for key, text in _texts(view.figure):
        if _TAG.search(text) or (key == "source" and not text.startswith("data:image/")):
            raise InputError(f"A chart must not hold a link or a picture from elsewhere: {key}.")


def _texts(part: Any, key: str = "figure") -> Iterator[tuple[str, str]]:
    """All texts of a document, each with the name of its field."""
    if isinstance(part, str):
        yield key, part
    elif isinstance(part, dict):
        for name, value in part.items():
            yield from _texts(value, name)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _texts(value, key)


def _say(error: Exception) -> str:
    if isinstance(error, InputError):  # in our words
        return str(error).rstrip(".")
    return "it is missing" if isinstance(error, FileNotFoundError) else "it can't be read"


def _save(story: Story) -> None:
    write_json(story_folder(story.id) / STORY, story.model_dump(mode="json"))
