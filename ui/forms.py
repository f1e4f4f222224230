"""Inputs made from the fields of a specification: their titles, help, defaults and bounds.

What is entered holds for the session; pages that ask for a field under the same key share it.
"""

from typing import Any, Literal, get_args, get_origin

import annotated_types
import streamlit as st
from pydantic import BaseModel

from core.data.prepare import FEWEST_GENES, PreparationSpec
from core.data.store import DatasetRecord
from core.records import Registry

WORDS = {
    "auto": "automatic",
    "linear": "linear (TPM, FPKM)",
    "cpm": "counts per million",
    "tmm": "TMM-scaled",
    "drop": "leave their genes out",
    "none": "nothing",
    "quantile": "quantile normalisation",
    "rank": "ranks",
    "zscore": "z-score",
    "robust": "robust z-score",
    "minmax": "lowest to highest",
    "scales": "all maps, keeps position",
    "position": "last map, keeps position",
    "torchvision": "torchvision's own",
    "cross_entropy": "cross-entropy",
    "last": "of the last epoch",
    "best": "of the best epoch",
}
"""Options whose names in a specification are not words."""


def ask_field(model: type[BaseModel], name: str, *, key: str, default: Any = None) -> Any:
    """A number input, switch or select box for one field.

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
    if type(None) in get_args(kind):
        whole = int in get_args(kind)
        return st.number_input(
            title, value=value, format="%d" if whole else "%.5f", placeholder="automatic",
            help=field.description, key=key, min_value=0 if whole else 0.0,
            step=1 if whole else None, persist_state="session",
        )  # fmt: skip
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        return st.selectbox(
            title, options, index=options.index(value), help=field.description, key=key,
            persist_state="session", format_func=lambda option: WORDS.get(option, option),
        )  # fmt: skip
    if kind is bool:
        return st.checkbox(title, value, help=field.description, key=key, persist_state="session")
    low = high = None
    for bound in field.metadata:
        if isinstance(bound, annotated_types.Ge):
            low = kind(bound.ge)
        elif isinstance(bound, annotated_types.Gt):
            low = kind(bound.gt) if kind is int else 1e-6
        elif isinstance(bound, annotated_types.Le):
            high = kind(bound.le)
        elif isinstance(bound, annotated_types.Lt):
            high = kind(bound.lt) - (1 if kind is int else 0.01)
    if kind is float:
        small = 0 < value < 0.01
        return st.number_input(
            title, low, high, value, step=value / 5 if small else 0.05,
            format="%.5f" if small else "%.2f", help=field.description, key=key,
            persist_state="session",
        )  # fmt: skip
    return st.number_input(
        title, low, high, value, step=1, help=field.description, key=key, persist_state="session"
    )


def ask_genes(record: DatasetRecord, default: int) -> int:
    """How many genes are painted: at most as many as the dataset has."""
    most = max(min(record.genes, default), FEWEST_GENES)  # where there are fewer, all are painted
    return ask_field(PreparationSpec, "genes", key=f"genes {record.id[:12]}", default=most)


def ask_record(registry: Registry, label: str, *, key: str, default: str | None = None) -> str:
    """A select box over a registry; the chosen record's help stands below it."""
    names = registry.names
    name = st.selectbox(
        label,
        names,
        index=names.index(default) if default else 0,
        format_func=lambda name: registry[name].title,
        key=key,
        persist_state="session",
    )
    st.caption(registry[name].help)
    return name


def ask_where(
    columns: dict[str, dict[str, int]], *, key: str, chosen: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Which samples to keep, by values of columns; empty: all.

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
    where = {}
    for column in by:
        values = st.multiselect(
            f"{column} is", list(columns[column]), key=f"{key} {column}",
            default=chosen.get(column, list(columns[column])),
            format_func=lambda value, counts=columns[column]: f"{value} ({counts[value]})",
        )  # fmt: skip
        if len(values) < len(columns[column]):
            where[column] = sorted(values)
    return where
