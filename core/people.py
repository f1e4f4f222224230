"""Who shares a server: people, their homes, what they may take, and who looks after it.

`people.yaml` in the server's home says who is an admin, who may come, and how much each may take.
Each person has a home of their own inside it (`people/<key>`), which is like the home of somebody
who works alone; so what isn't theirs isn't there for them. Its `person.json` says whose it is.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import secrets
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import InputError
from core.files import UNREADABLE, read_json, write_json
from core.home import (
    MARKS,
    PEOPLE,
    RUN_ID,
    home,
    need_right_to_change,
    server_home,
    working_homes,
)
from core.plain_yaml import parse_yaml
from core.sizes import forget_size

RULES = "people.yaml"
SHARED = "GENECANVAS_SIGN_IN"
"""How people sign in; "" or unset: nobody does, and everything is one person's."""
LONGEST_NAME = 200


class Quota(BaseModel):
    """How much a person may take; None: as much as there is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    disk_gb: float | None = Field(None, gt=0, title="Disk (GB)")
    """Of all that stands in their home; what several have counts for each."""
    queued_runs: int | None = Field(None, ge=0, title="Runs in the queue")
    """That wait or run, of the queue of trainings."""
    device_hours: float | None = Field(None, ge=0, title="Hours of a device in 7 days")
    """Of a GPU, or of the CPU where there is none, for jobs of any kind."""

    def over(self, other: Quota) -> Quota:
        """This one, and where it says nothing another."""
        said = {name: value for name, value in self.model_dump().items() if value is not None}
        return Quota.model_validate(other.model_dump() | said)


class Rules(BaseModel):
    """people.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    admins: tuple[str, ...] = Field((), description="names as people sign in with them")
    members: tuple[str, ...] = Field(("*",), description="who may come, such as *@lab.org")
    quota: Quota = Quota()

    def is_admin(self, name: str) -> bool:
        """Whether somebody of that name looks after the server."""
        return _small(name) in map(_small, self.admins)

    def lets_in(self, name: str) -> bool:
        """Whether somebody of that name may use the server."""
        small = _small(name)
        return self.is_admin(name) or any(fnmatchcase(small, _small(m)) for m in self.members)


class Person(BaseModel):
    """person.json: somebody who has signed in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    """As they sign in, such as an e-mail address."""
    came: datetime
    seen: datetime
    quota: Quota = Quota()
    """What an admin gave them instead of what `people.yaml` says."""

    @property
    def key(self) -> str:
        """16 hexadecimal digits that follow from the name: the name of their home."""
        return key_of(self.name)

    @property
    def home(self) -> Path:
        """Their home."""
        return person_home(self.key)

    @property
    def may_take(self) -> Quota:
        """How much they may take."""
        return self.quota.over(load_rules().quota)


def is_shared() -> bool:
    """Whether people sign in to this server."""
    return os.environ.get(SHARED, "") not in ("", "none")


def load_rules() -> Rules:
    """What `people.yaml` says; raises InputError where it is missing or says something else."""
    path = server_home() / RULES
    try:
        found = Rules.model_validate(parse_yaml(path.read_bytes(), str(path)) or {})
    except FileNotFoundError:
        raise InputError(
            f"People sign in, and {path} is missing. Write it, with the name of an admin: "
            "`admins: [name]`."
        ) from None
    except (OSError, ValidationError) as error:
        words = " ".join(str(error).split())[:300]
        raise InputError(f"{path} can't be used: {words}. See docs/sharing.md.") from None
    if not found.admins:
        raise InputError(f"{path} names no admin. Add one, as they sign in: `admins: [name]`.")
    return found


def key_of(name: str) -> str:
    """The key of whoever signs in under a name; large and small letters are one."""
    return hashlib.sha256(f"person\0{_small(name)}".encode()).hexdigest()[:16]


def _small(name: str) -> str:
    """A name as it is compared: in small letters, where one is the other's capital.

    Elsewhere letters are called one that are typed as two, such as the long s, which is an s, or
    the sign of kelvins, and whoever may choose a name would be somebody else.
    """
    return "".join(low if (low := c.lower()).upper() == c else c for c in name)


def person_home(key: str) -> Path:
    """The home of a person; raises InputError unless `key` is one."""
    if not RUN_ID.fullmatch(key):
        raise InputError(f"Expected a person's key of 16 hexadecimal digits, got {key[:80]!r}.")
    return server_home() / PEOPLE / key


def welcome(name: str) -> Person:
    """Whoever signs in under a name, with a home that is made when they first come.

    Raises InputError where `people.yaml` doesn't let them in, or the name is none.
    """
    name = name.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise InputError(f"Expected a name of 1 to {LONGEST_NAME} characters that can be printed.")
    if not load_rules().lets_in(name):
        raise InputError(
            f"{name} may not use this server. Ask whoever looks after it to be let in."
        )
    now = datetime.now(UTC)
    with suppress(InputError):
        person = get_person(key_of(name))
        if (now - person.seen).total_seconds() < 60:
            return person
        return _keep(person.model_copy(update={"seen": now}))
    return _keep(Person(name=name, came=now, seen=now))


def get_person(key: str) -> Person:
    """A person by their key; raises InputError where there is none or their file is damaged."""
    path = person_home(key) / MARKS[PEOPLE]
    try:
        return Person.model_validate(read_json(path))
    except FileNotFoundError:
        raise InputError(f"There is nobody {key} here.") from None
    except (*UNREADABLE, ValidationError):
        raise InputError(f"{path} is damaged. Delete it; it is written anew.") from None


def list_people() -> list[Person]:
    """Everybody who has signed in, by name; those whose file is damaged are left out."""
    found = []
    for mark in server_home().glob(f"{PEOPLE}/*/{MARKS[PEOPLE]}"):
        with suppress(InputError):
            found.append(get_person(mark.parent.name))
    return sorted(found, key=lambda person: person.name.casefold())


def owner_of(folder: Path) -> Person | None:
    """Whose home a folder is; None of the server's own."""
    return get_person(folder.name) if (folder / MARKS[PEOPLE]).exists() else None


def set_quota(key: str, quota: Quota) -> Person:
    """Give a person other limits; where one is None `people.yaml` decides."""
    return _keep(get_person(key).model_copy(update={"quota": quota}))


def clear_home(key: str) -> None:
    """Delete all that stands in a person's home; who they are and their limits stay.

    What others have of it they keep. Jobs of theirs must have been stopped.
    """
    need_right_to_change()
    folder = get_person(key).home
    for path in folder.iterdir():
        if path.name == MARKS[PEOPLE]:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    forget_size(folder)


def join_files(path: Path) -> None:
    """Let a file of this home be one on the disk with the same file of another, if there is one.

    They are compared byte for byte. A file is there until its last name is deleted.
    """
    own = home()
    for folder in working_homes():
        other = folder / path.relative_to(own)
        if folder == own or not other.is_file():
            continue
        with suppress(OSError):
            if filecmp.cmp(other, path, shallow=False):
                new = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
                os.link(other, new)
                new.replace(path)
                return


def _keep(person: Person) -> Person:
    write_json(person.home / MARKS[PEOPLE], person.model_dump(mode="json"))
    return person
