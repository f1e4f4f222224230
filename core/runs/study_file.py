"""A study as one YAML file: a name, what its runs share, and what is varied."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, get_origin

from pydantic import BaseModel

from core.data.cohort import nest_cohort
from core.errors import InputError
from core.plain_yaml import parse_yaml
from core.runs.spec import RunSpec

MAX_RUNS = 2_000
"""Most runs that one study queues."""


@dataclass(frozen=True)
class StudyFile:
    """A study's name, and its runs as nested mappings for `RunSpec.parse`."""

    name: str
    runs: list[dict[str, Any]]
    """The cohort's dataset may be missing: the command line can name a file instead."""


def read_study(text: bytes | str) -> StudyFile:
    """Read a study: a run's fields, where a list of values stands for one run with each.

    Lists are crossed: two networks and three seeds are six runs. `runs` may list several such
    mappings; each takes the place of what the file says for all. Fields that hold a list by
    themselves, such as leave_out, are varied by a list of lists.

    Raises:
        InputError: the text is not such a file; says what was expected.
    """
    document = parse_yaml(text, "The study")
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise InputError(
            "A study is a YAML mapping of a run's fields with the study's name: 'name: My study'."
        )
    common = {field: value for field, value in document.items() if field not in ("name", "runs")}
    common = nest_cohort(common)
    parts = document.get("runs", [{}])
    if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
        raise InputError(
            "'runs' of a study is a list of mappings, each with what sets its runs apart, such as "
            "'- {network: {backbone: vgg16}}'."
        )
    runs = [run for part in parts for run in _cross(_place_over(common, nest_cohort(part)))]
    return StudyFile(document["name"], runs)


def _place_over(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Own fields in the place of common ones, part by part."""
    merged = dict(common)
    for name, value in own.items():
        both = isinstance(value, dict) and isinstance(common.get(name), dict)
        merged[name] = {**common[name], **value} if both and _part_of(name) else value
    return merged


def _cross(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A mapping for each combination of the listed values, the last field varying fastest."""
    options: list[tuple[tuple[str, ...], list]] = []
    for name, value in document.items():
        part = _part_of(name)
        if part is not None and isinstance(value, dict):
            options += [((name, field), _values(part, field, v)) for field, v in value.items()]
        else:
            options.append(((name,), _values(RunSpec, name, value)))
    count = prod(len(values) for _, values in options)
    if count > MAX_RUNS:
        raise InputError(
            f"The lists of the study cross to {count:,} runs; at most {MAX_RUNS:,} are taken. Give "
            "fewer values."
        )
    runs = []
    for chosen in product(*(values for _, values in options)):
        run: dict[str, Any] = {}
        for (place, _), value in zip(options, chosen, strict=True):
            inner = run.setdefault(place[0], {}) if len(place) == 2 else run
            inner[place[-1]] = value
        runs.append(run)
    return runs


def _part_of(name: str) -> type[BaseModel] | None:
    """The model of a part of RunSpec such as network; None for a plain field."""
    field = RunSpec.model_fields.get(name)
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _values(model: type[BaseModel], name: str, value: Any) -> list:
    """The values that a field takes in turn."""
    if not isinstance(value, list):
        return [value]
    field = model.model_fields.get(name)
    if field is not None and get_origin(field.annotation) is tuple:
        several = bool(value) and all(isinstance(inner, list) for inner in value)
        return value if several else [value]
    if not value:
        raise InputError(f"'{name}' of the study is an empty list. Give at least one value.")
    return value
