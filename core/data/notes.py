"""What is said about a dataset: sentences on what reading did, and findings to be looked at."""

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Repair(BaseModel):
    """A change that removes a finding."""

    model_config = ConfigDict(frozen=True)

    title: str
    """Words of the button."""
    changes: dict[str, Any]
    """Arguments of `Choices.changed`; of a finding of reading: arguments of `read_dataset`."""


class Finding(BaseModel):
    """One thing that a user should know about the data."""

    model_config = ConfigDict(frozen=True)

    severity: Literal["error", "warning", "info"]
    code: str
    message: str
    """What was found, and what it does to results."""
    repair: Repair | None = None
    decisive: bool = False
    """Whether results can come from this alone, and no split of these data can show it."""


@dataclass(frozen=True)
class Notes:
    """What reading did to a file."""

    said: list[str] = field(default_factory=list)
    """What is only told, a sentence each."""
    found: list[Finding] = field(default_factory=list)
    """What was lost or is doubtful: it stands on the data card, named."""

    def say(self, text: str) -> None:
        """Tell what was done."""
        self.said.append(text)

    def warn(self, code: str, message: str, repair: Repair | None = None) -> None:
        """Tell what was lost or is doubtful, and how to read the file otherwise."""
        finding = Finding(severity="warning", code=code, message=message, repair=repair)
        self.found.append(finding)

    def add(self, other: "Notes") -> None:
        """Take over what another part of the reading told."""
        self.said.extend(other.said)
        self.found.extend(other.found)
