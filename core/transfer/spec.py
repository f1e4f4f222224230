"""What is asked: whether samples of some cohorts help to tell classes apart in another."""

from __future__ import annotations

from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from core.data.cohort import Cohort
from core.errors import InputError
from core.plain_yaml import parse_yaml
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.preparing import PREPARATIONS

ALL = "all"
"""The budget of all target patients that aren't held out."""
BUDGETS = (0, 5, 10, 25, 50, ALL)
"""Numbers of labelled target patients, unless others are named: those of them that are there."""
DRAWS, SLOW_DRAWS = 20, 10
"""Draws of patients, unless another number is named; fewer where a fit takes long."""
SLOW_SECONDS = 2.0
"""A fit that takes longer is slow."""

Budget = int | Literal["all"]
SourceLabels = Literal["classes", "numbers", "none"]


class TransferSpec(BaseModel):
    """Sources, a target, and what is tried. Two specifications of equal content are the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[Cohort, ...] = Field(
        min_length=1, title="Sources",
        description="The cohorts that are learned from; `merge` of each says which class of its "
        "own counts as which of the target's, where they have other names.",
    )  # fmt: skip
    target: Cohort = Field(
        title="Target", description="The cohort in which classes shall be told apart."
    )
    source_labels: SourceLabels = Field(
        "classes", title="Labels of the sources",
        description="What the sources' label column holds: the target's classes, numbers such as "
        "IC50, or nothing.",
    )  # fmt: skip
    unrelated: Cohort | None = Field(
        None, title="Unrelated source",
        description="A control: a cohort that should not help. Its classes are taken for the "
        "target's by their size.",
    )  # fmt: skip
    orthologs: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", title="Ortholog table",
        description="SHA-256 of a kept table that says which gene of the sources is which of the "
        "target; pairs that aren't one to one are left out.",
    )  # fmt: skip
    gene_sets: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", title="Gene sets",
        description="SHA-256 of a kept file of gene sets (GMT) in the target's ids, for methods "
        "that need them.",
    )  # fmt: skip
    genes: int = Field(
        5000, ge=20, title="Genes", description="So many shared genes that vary most in the "
        "sources are used.",
    )  # fmt: skip
    budgets: tuple[Budget, ...] | None = Field(
        None, title="Budgets",
        description="Numbers of labelled target patients, or all; by default those of "
        "0, 5, 10, 25, 50 that are there, and all.",
    )  # fmt: skip
    draws: int | None = Field(
        None, ge=3, le=200, title="Draws",
        description="How often held-out and labelled patients are drawn; by default 20, or 10 "
        "where a method takes long.",
    )  # fmt: skip
    held_out: float = Field(
        0.2, ge=0.1, le=0.8, title="Held out",
        description="Share of the target's patients that each draw holds out.",
    )  # fmt: skip
    preparations: tuple[str, ...] = Field(
        ("raw", "quantile"), min_length=1, title="Preparations",
        description="How cohorts are brought together. Controls are run under the first.",
    )  # fmt: skip
    methods: tuple[str, ...] = Field(
        (), title="Methods", description="Beside the references, which are always there."
    )
    controls: bool = Field(
        True, title="Controls",
        description="Also with the sources' labels permuted, and with the target's.",
    )  # fmt: skip
    seed: int = Field(0, ge=0, title="Seed", description="Of the draws.")

    @field_validator("preparations")
    @classmethod
    def _known_preparations(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(PREPARATIONS.check(name) for name in names))

    @field_validator("methods")
    @classmethod
    def _known_methods(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(TRANSFER_METHODS.check(name) for name in names))

    @field_validator("budgets")
    @classmethod
    def _in_order(cls, budgets: tuple[Budget, ...] | None) -> tuple[Budget, ...] | None:
        if budgets is None:
            return None
        numbers = sorted({n for n in budgets if n != ALL})
        if not budgets or (numbers and numbers[0] < 0):
            raise ValueError("budgets are numbers of patients, 0 or more, or all")
        return (*numbers, *([ALL] if ALL in budgets else []))

    @model_validator(mode="after")
    def _complete(self) -> TransferSpec:
        named = [*self.sources, self.target, *([self.unrelated] if self.unrelated else [])]
        if any(cohort.dataset is None for cohort in named):
            raise ValueError("each source, and the target, needs its dataset")
        if self.target.label is None:
            raise ValueError("the target needs a label: the column of its classes")
        labelled = [cohort.label is not None for cohort in self.sources]
        if self.source_labels != "none" and not all(labelled):
            raise ValueError("each source needs a label, or source_labels must be none")
        if self.unrelated is not None and self.source_labels != "classes":
            raise ValueError("an unrelated source needs sources that are labelled by classes")
        return self

    @property
    def turned(self) -> TransferSpec | None:
        """The same the other way round; None where that can't be asked."""
        if len(self.sources) != 1 or self.source_labels != "classes" or self.orthologs:
            return None
        changes = {"sources": (self.target,), "target": self.sources[0], "budgets": None}
        return self.model_copy(update=changes)

    @property
    def cohorts(self) -> list[Cohort]:
        """All of them: sources, target, and the unrelated one."""
        return [*self.sources, self.target, *([self.unrelated] if self.unrelated else [])]

    @property
    def number_of_draws(self) -> int:
        """As given, or as the methods' time suggests."""
        slow = any(TRANSFER_METHODS[name].seconds > SLOW_SECONDS for name in self.methods)
        return self.draws or (SLOW_DRAWS if slow else DRAWS)

    def to_yaml(self) -> str:
        """The specification as `from_yaml` reads it, without what is as by default."""
        document = self.model_dump(mode="json", exclude_defaults=True)
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: bytes | str) -> TransferSpec:
        """Read a specification; raises InputError with one line for each wrong field."""
        return cls.parse(read_document(text))

    @classmethod
    def parse(cls, document: dict[str, Any]) -> TransferSpec:
        """Validate a nested mapping; raises InputError with one line for each wrong field."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            problems = say_problems(error, "specification")
            raise InputError(f"The transfer can't be started: {problems}") from None


def say_problems(error: ValidationError, whole: str, *, outer: int = 0) -> str:
    """What is wrong with a document, field by field.

    Args:
        error: what pydantic found.
        whole: what the document is called, where a problem is of no one field.
        outer: so many first parts of a field's place mean nothing to whoever wrote it.
    """
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'][outer:])) or whole}: "
        + problem["msg"].removeprefix("Value error, ")
        for problem in error.errors(include_url=False, include_input=False)
    )


def read_document(text: bytes | str) -> dict[str, Any]:
    """The mapping that a specification in YAML holds; raises InputError where it is none."""
    document = parse_yaml(text, "The transfer specification")
    if not isinstance(document, dict):
        raise InputError("A transfer specification is a YAML mapping with sources and target.")
    return document
