"""Registries: one frozen record a method, read by select boxes, command line and tests alike."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from core.errors import InputError


class Named(Protocol):
    """Anything with a name and words for a select box."""

    name: str
    title: str
    help: str


Record = TypeVar("Record", bound=Named)


class Registry(Generic[Record]):
    """An ordered set of records by name; an unknown name's error lists the names that exist."""

    def __init__(self, kind: str, records: list[Record]) -> None:
        self.kind = kind
        self._records = {record.name: record for record in records}
        if len(self._records) != len(records):
            raise ValueError(f"Two records of the {kind} registry share a name.")

    def __getitem__(self, name: str) -> Record:
        if name not in self._records:
            known = ", ".join(self._records)
            raise InputError(f"Unknown {self.kind} {name!r}. Known: {known}.")
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
