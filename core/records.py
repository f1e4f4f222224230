"""Registries: one frozen record a method, read by select boxes, command line and tests alike."""

import difflib
from collections.abc import Collection, Iterator
from typing import Generic, Protocol, TypeVar

from core.errors import InputError


class Named(Protocol):
    """Anything with a name and words for a select box."""

    name: str
    title: str
    help: str


Record = TypeVar("Record", bound=Named)


def say_unknown(kind: str, name: str, known: Collection[str]) -> str:
    """That there is no such name, which ones there are, and the one that may have been meant."""
    near = difflib.get_close_matches(name, known, 1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {kind} {name!r}. Known: {', '.join(known)}.{meant}"


class Registry(Generic[Record]):
    """An ordered set of records by name; an unknown name's error lists the names that exist."""

    def __init__(self, kind: str, records: list[Record]) -> None:
        self.kind = kind
        self._records = {record.name: record for record in records}
        if len(self._records) != len(records):
            raise ValueError(f"Two records of the {kind} registry share a name.")

    def __getitem__(self, name: str) -> Record:
        if name not in self._records:
            raise InputError(say_unknown(self.kind, name, self._records))
        return self._records[name]

    def add(self, record: Record) -> None:
        """Offer one more record, after the others; raises InputError for a name that is taken."""
        if record.name in self._records:
            raise InputError(f"There is a {self.kind} {record.name!r} already. Take another name.")
        self._records[record.name] = record

    def check(self, name: str) -> str:
        """A known name, for a field of a specification; else pydantic's ValueError."""
        try:
            return self[name].name
        except InputError as error:
            raise ValueError(str(error)) from None

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    def __contains__(self, name: str) -> bool:
        return name in self._records

    @property
    def names(self) -> list[str]:
        """The names, in the order in which they are offered."""
        return list(self._records)
