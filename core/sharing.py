"""What people hand on to each other on a server: to the lab, to a guest, or by chance.

To hand something on is to give its files a second name in another home (a hard link), so that it
takes no room, and whoever deletes theirs takes nothing from anybody: the disk keeps a file until
its last name is gone. Files of homes are replaced as a whole, never written into, so what one
changes stays their own. What is handed on is as it was at that moment.

The lab's home is looked at by all who sign in; a guest's home holds one thing, and is looked at by
whoever has the link, until its last day. Nothing can be changed in either.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.data.store import get_record
from core.errors import InputError
from core.files import UNREADABLE, link, read_json, write_folder, write_json
from core.home import (
    GUESTS,
    LAB,
    MARKS,
    at,
    dataset_folder,
    home,
    need_right_to_change,
    run_folder,
    server_home,
    story_folder,
)
from core.jobs.record import JobState
from core.jobs.store import JobStore
from core.people import Person, get_person
from core.runs.doctor import list_again
from core.runs.store import RunStore
from core.stories import load_story

Kind = Literal["dataset", "run", "story"]
FOLDERS = {"dataset": dataset_folder, "run": run_folder, "story": story_folder}
PRIVATE = ("predictions", "reference", "log.txt", "model.zip", "listing.json")
"""In a run's folder: what it said of other samples, the values that it learned from, its log, and
what is noted of it."""
MOST_DAYS, USUAL_DAYS = 365, 30
"""For how long a guest's link leads somewhere."""
MOST_INVITATIONS = 200
TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Note(BaseModel):
    """Who handed on what, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    kind: Kind
    id: str = Field(max_length=64)
    name: str
    by: str
    """The key of the person; "" of what stands in the server's own home."""
    by_name: str
    since: datetime
    until: datetime | None = None
    """When a guest's link ends."""


class Invitation(NamedTuple):
    """A guest's link that leads somewhere."""

    key: str
    """The SHA-256 of its token, of which nothing else is kept."""
    note: Note


def share(kind: Kind, id: str) -> None:
    """Hand something of this home on to the lab; again, it is handed on as it is now.

    Raises InputError where it isn't here, or is no run that is done.
    """
    need_right_to_change()
    note = _describe(kind, id)
    write_json(_lab() / MARKS[LAB], {"version": 1})
    _hand_on(kind, id, home(), _lab(), anew=kind == "story")
    write_json(_lab_note(kind, id, note.by), note.model_dump(mode="json"))


def unshare(kind: Kind, id: str) -> None:
    """Take back what this home's person handed on; whoever has taken it keeps it."""
    need_right_to_change()
    _lab_note(kind, id, _who()).unlink(missing_ok=True)
    if not any(note.kind == kind and note.id == id for note in list_shared()):
        _drop(kind, id, _lab())


def is_shared_with_lab(kind: Kind, id: str) -> bool:
    """Whether this home's person has handed something on to the lab."""
    return _lab_note(kind, id, _who()).exists()


def list_shared() -> list[Note]:
    """What the lab shares, the latest first; of what several handed on each one's note."""
    notes = (_read_note(path) for path in _lab().glob("shared/*.json"))
    return sorted(filter(None, notes), key=lambda note: note.since, reverse=True)


def take(kind: Kind, id: str) -> None:
    """Have what the lab shares in this home too; raises InputError where it isn't shared."""
    need_right_to_change()
    if not any(note.kind == kind and note.id == id for note in list_shared()):
        raise InputError("This isn't shared any more.")
    _hand_on(kind, id, _lab(), home(), anew=False)


def is_here(kind: Kind, id: str) -> bool:
    """Whether something stands in this home."""
    return FOLDERS[kind](id).exists()


def invite(kind: Kind, id: str, days: int = USUAL_DAYS) -> str:
    """A token with which a guest may look at something of this home as it is now.

    The token is given once; only its hash is kept.

    Args:
        kind: what it is.
        id: its id.
        days: for how long.

    Raises:
        InputError: it isn't here, is no run that is done, or there are too many links already.
    """
    need_right_to_change()
    if not 1 <= days <= MOST_DAYS:
        raise InputError(f"A guest's link lasts 1 to {MOST_DAYS} days, got {days}.")
    if len(list_invitations()) >= MOST_INVITATIONS:
        raise InputError(f"There are {MOST_INVITATIONS} links for guests. End some first.")
    note = _describe(kind, id)
    note = note.model_copy(update={"until": note.since + timedelta(days=days)})
    token = secrets.token_urlsafe(32)
    source, place = home(), _guests() / _key(token)

    def fill(temporary: Path) -> None:
        _hand_on(kind, id, source, temporary, anew=False)
        write_json(temporary / MARKS[GUESTS], note.model_dump(mode="json"))

    write_folder(place, fill)
    return token


def list_invitations(everybody: bool = False) -> list[Invitation]:
    """Guests' links to what stands in this home, or to anything; the latest first."""
    found = []
    for path in _guests().glob(f"*/{MARKS[GUESTS]}"):
        note = _read_note(path)
        if note and not _is_over(note) and (everybody or note.by == _who()):
            found.append(Invitation(path.parent.name, note))
    return sorted(found, key=lambda one: one.note.since, reverse=True)


def end_invitation(key: str) -> None:
    """Let a guest's link of this home's person lead nowhere from now on."""
    need_right_to_change()
    if key not in {one.key for one in list_invitations()}:
        raise InputError("This link leads nowhere any more.")
    shutil.rmtree(_guests() / key, ignore_errors=True)


def find_invitation(token: str) -> Invitation | None:
    """What a guest's token opens; None where it opens nothing, or no longer."""
    if not TOKEN.fullmatch(token):
        return None
    note = _read_note(_guests() / _key(token) / MARKS[GUESTS])
    return None if note is None or _is_over(note) else Invitation(_key(token), note)


def guest_home(invitation: Invitation) -> Path:
    """The home that a guest looks at."""
    return _guests() / invitation.key


def tidy_shared() -> None:
    """Remove guests' homes whose links have ended, and what half an invitation has left."""
    for folder in _guests().glob("*"):
        note = _read_note(folder / MARKS[GUESTS])
        if note is None or _is_over(note):
            shutil.rmtree(folder, ignore_errors=True)


def forget_person(key: str) -> None:
    """Take back all that a person has handed on, with the links for their guests."""
    for note in list_shared():
        if note.by == key:
            _lab_note(note.kind, note.id, key).unlink(missing_ok=True)
            if not any((n.kind, n.id) == (note.kind, note.id) for n in list_shared()):
                _drop(note.kind, note.id, _lab())
    for one in list_invitations(everybody=True):
        if one.note.by == key:
            shutil.rmtree(_guests() / one.key, ignore_errors=True)


def _describe(kind: Kind, id: str) -> Note:
    """What is handed on; raises InputError where it isn't here."""
    if kind == "dataset":
        name = get_record(id).name
    elif kind == "story":
        name = load_story(id).title
    else:
        record = RunStore().get(id)
        name = record.name
        if record.state != JobState.DONE:
            raise InputError(f"Run {id} is {record.state}; one that is done can be shared.")
    who = _person()
    return Note(
        kind=kind, id=id, name=name, by=who.key if who else "", since=datetime.now(UTC),
        by_name=who.name if who else "the server's own home",
    )  # fmt: skip


def _hand_on(kind: Kind, id: str, source: Path, target: Path, *, anew: bool) -> None:
    """Give what stands in one home a place in another, where it may be already.

    Args:
        kind: what it is.
        id: its id.
        source: a home that has it.
        target: another one.
        anew: whether one that is there is replaced.
    """
    with at(source):
        given = FOLDERS[kind](id)
        name = RunStore().get(id).name if kind == "run" else ""
    with at(target):
        place = FOLDERS[kind](id)
        if place.exists() and anew:
            shutil.rmtree(place)
        known = place.exists()
        if not known:
            write_folder(place, lambda new: _link_all(given, new, PRIVATE if kind == "run" else ()))
        if kind == "run":
            list_again(id)
            if not known:
                RunStore().label(id, name=name)
        else:
            JobStore()  # a home that is only looked at can't be given a list later


def _link_all(given: Path, place: Path, left_out: tuple[str, ...]) -> None:
    for file in _files(given, left_out):
        new = place / file.relative_to(given)
        new.parent.mkdir(parents=True, exist_ok=True)
        link(file, new)


def _files(folder: Path, left_out: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in left_out or path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path, ())
        elif path.name != "checkpoint.pt":
            yield path


def _drop(kind: Kind, id: str, folder: Path) -> None:
    with at(folder):
        if kind == "run":
            with suppress(InputError):
                JobStore().delete(id)
        shutil.rmtree(FOLDERS[kind](id), ignore_errors=True)


def _person() -> Person | None:
    folder = home()
    return None if folder == server_home() else get_person(folder.name)


def _who() -> str:
    return "" if home() == server_home() else home().name


def _lab() -> Path:
    return server_home() / LAB


def _guests() -> Path:
    return server_home() / GUESTS


def _lab_note(kind: Kind, id: str, by: str) -> Path:
    return _lab() / "shared" / f"{kind}-{FOLDERS[kind](id).name}-{by or 'server'}.json"


def _read_note(path: Path) -> Note | None:
    try:
        note = Note.model_validate(read_json(path))
        FOLDERS[note.kind](note.id)
        return note
    except (*UNREADABLE, ValidationError, InputError):
        return None


def _is_over(note: Note) -> bool:
    return note.until is None or datetime.now(UTC) >= note.until


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:32]
