"""Inputs made from the fields of a specification: their titles, help, defaults and bounds.

What is entered stands in the link, as far as it isn't the default, and holds for the session; pages
that ask for a field under the same key share it.
"""

from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from core.data.prepare import FEWEST_GENES, PreparationSpec
from core.data.store import DatasetRecord
from core.errors import InputError
from core.escape import escape_markdown
from core.records import Registry
from core.runs.spec import say_option

HOLDS = {"bind": "query-params", "persist_state": "session"}
"""Of a widget with a key: its value stands in the link, and is there again when the page is."""


def ask_field(model: type[BaseModel], name: str, *, key: str, default: Any = None) -> Any:
    """A number input, switch or select box for one field.

    A number that the field doesn't take is given back as it was typed, with an error below it: the
    specification that is made of it refuses it, as `check_fields` does. (With bounds of its own
    Streamlit would keep such a number in the browser and go on with the one before.)

    Args:
        model: the specification.
        name: the field.
        key: the widget's key.
        default: what it starts with, if not the field's own default.
    """
    field = model.model_fields[name]
    title = field.title or name
    value = field.default if default is None else default
    kind = field.annotation
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        return st.selectbox(
            title, options, index=options.index(value), help=field.description, key=key,
            **HOLDS,
            format_func=lambda option: say_option(name, option),
        )  # fmt: skip
    if kind is bool:
        return st.checkbox(title, value, help=field.description, key=key, **HOLDS)
    whole = kind is int or int in get_args(kind)
    small = not whole and (value is None or 0 < value < 0.01)
    step = 1 if whole else None if value is None else value / 5 if small else 0.05
    number = st.number_input(
        title, value=value, step=step, format="%d" if whole else "%.5f" if small else "%.2f",
        placeholder="automatic", help=f"{field.description or ''} {_say_range(field)}.".strip(),
        key=key, **HOLDS,
    )  # fmt: skip
    try:
        check_fields(model, {name: number})
    except InputError as error:
        st.error(str(error))
    return number


def check_fields(model: type[BaseModel], values: dict[str, Any]) -> None:
    """Raise InputError for the first number that a field of a specification doesn't take."""
    for name, value in values.items():
        field = model.model_fields[name]
        try:
            TypeAdapter(Annotated[field.annotation, field]).validate_python(value)
        except ValidationError:
            raise InputError(
                f"{field.title or name} {_say_range(field)}, got {value:.10g}. Nothing is started "
                "with it."
            ) from None


def _say_range(field: FieldInfo) -> str:
    """The numbers that a field takes: 'must be 32 to 448'."""
    low, high = "", ""
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            low = f"{bound.ge:.10g}"
        elif isinstance(bound, annotated_types.Gt):
            low = f"more than {bound.gt:g}"
        elif isinstance(bound, annotated_types.Le):
            high = f"{bound.le:.10g}"
        elif isinstance(bound, annotated_types.Lt):
            high = f"less than {bound.lt:.10g}"
    return f"must be {low} to {high}"


def ask_number(
    title: str, low: float, high: float, value: float, *, key: str, **looks: Any
) -> float:
    """A number input; raises InputError for a number that is out of range.

    It isn't Streamlit that knows the range: a browser keeps a number that is out of range to
    itself, and the page goes on with the one before, which nobody sees.
    """
    number = st.number_input(title, value=value, key=key, **looks)
    if not low <= number <= high:
        raise InputError(f"{title} must be {low:,} to {high:,}, got {number:,}.")
    return number


def ask_genes(record: DatasetRecord, default: int) -> int:
    """How many genes are painted: at most as many as the dataset has."""
    most = max(min(record.genes, default), FEWEST_GENES)  # where there are fewer, all are painted
    return ask_field(PreparationSpec, "genes", key=f"genes {record.id[:12]}", default=most)


def ask_record(
    registry: Registry, label: str, *, key: str, default: str | None = None, linked: bool = True
) -> str:
    """A select box over a registry; the chosen record's help stands below it.

    Args:
        registry: what there is to choose.
        label: what the box is called.
        key: the widget's key.
        default: the record to start with, if not the first.
        linked: its title stands in the link; not where the page puts the record's name there.
    """
    names = registry.names
    name = st.selectbox(
        label,
        names,
        index=names.index(default) if default else 0,
        format_func=lambda name: registry[name].title,
        key=key,
        bind=HOLDS["bind"] if linked else None,
        persist_state=HOLDS["persist_state"],
    )
    st.caption(registry[name].help)
    return name


def ask_where(
    columns: dict[str, dict[str, int]], *, key: str, chosen: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Which samples to keep, by values of columns; empty: all.

    Conditions on columns of more values than can be listed stay as they are.

    Args:
        columns: sample column -> samples by value, as a dataset's record has them.
        key: the widgets' key.
        chosen: the values to start with.
    """
    several = [name for name, counts in columns.items() if 1 < len(counts) <= 60]
    by = st.multiselect(
        "Keep only some samples, by", several, default=[c for c in chosen if c in several],
        placeholder="no column: keep all", key=f"{key} columns",
    )  # fmt: skip
    where = {column: values for column, values in chosen.items() if column not in several}
    if where:
        st.caption(f"As decided before: a choice by {', '.join(map(escape_markdown, where))}.")
    for column in by:
        values = st.multiselect(
            f"{escape_markdown(column)} is", list(columns[column]), key=f"{key} {column}",
            default=chosen.get(column, list(columns[column])),
            format_func=lambda value, counts=columns[column]: f"{value} ({counts[value]})",
        )  # fmt: skip
        if len(values) < len(columns[column]):
            where[column] = sorted(values)
    return where
