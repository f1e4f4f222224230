"""The computers of a cluster as its coordinator last saw them: a file that pages read."""

from contextlib import suppress
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from core.files import UNREADABLE, read_json, write_json
from core.home import server_home

FILE = "computers.json"


class Computer(BaseModel):
    """One computer of the cluster."""

    model_config = ConfigDict(frozen=True)

    name: str
    cpus: int
    gpus: int
    kind: str = ""
    """The kind of its GPUs."""
    memory: int
    """Bytes that Ray may use."""
    versions: dict[str, str] = {}
    """Of Python and the packages that decide numbers; empty until it has answered."""
    sees_home: bool = False
    """Whether it reads and writes the home's own folders; else files are sent."""
    why_unused: str = ""
    """A sentence where it gets no jobs."""
    jobs: tuple[str, ...] = ()
    """Ids of what runs there."""


class Computers(BaseModel):
    """All computers of a cluster."""

    model_config = ConfigDict(frozen=True)

    address: str
    seen: datetime
    token: str = ""
    """By which a computer knows that it sees this very home."""
    at_once: int = 0
    """Jobs that can run at once."""
    computers: tuple[Computer, ...] = ()
    problem: str = ""
    """A sentence where the cluster can't be used."""

    def save(self) -> None:
        """Write the file; a full disk leaves the one before."""
        with suppress(OSError):
            write_json(server_home() / FILE, self.model_dump(mode="json"))


def last_seen() -> Computers | None:
    """What the coordinator saw last; None where there was none, or the file is damaged."""
    with suppress(*UNREADABLE):
        return Computers.model_validate(read_json(server_home() / FILE))
    return None
