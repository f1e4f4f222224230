"""What the page Predict asks: samples of another cohort, and what is known about them."""

import json
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError
from streamlit.delta_generator import DeltaGenerator

from core.data.cohort import GENE, Cohort
from core.data.store import DatasetRecord, list_datasets
from core.errors import InputError
from core.escape import escape_markdown
from core.glossary import define
from core.predict.model import Model
from core.predict.request import PredictRequest
from core.predict.together import TOGETHER
from ui.bring import show_upload
from ui.forms import ask_where
from ui.parts import decided, errors, pick
from ui.predict_link import describe_cohort, form_number

NONE_OF_THEM = "none of them"


def use_samples(record: DatasetRecord) -> None:
    """Make a dataset the one whose samples are predicted."""
    st.query_params["samples"] = record.id[:12]
    st.session_state["last samples"] = record.id[:12]
    st.query_params.pop("cohort", None)


@st.dialog("Bring the samples", width="large")
def ask_for_file() -> None:
    """One's own file, read and checked as on the page Data."""
    show_upload(use_samples)


def pick_samples(own: str | None, missing: DeltaGenerator) -> DatasetRecord:
    """A select box of the stored datasets, kept in the link; the model's own comes last.

    Args:
        own: the dataset that the model has learned from.
        missing: where it is said that the one of the link isn't there.
    """
    datasets = sorted(list_datasets(), key=lambda record: record.id == own)
    records = {record.id[:12]: record for record in datasets}

    def name(short: str) -> str:
        record = records[short]
        words = f"{record.name} · {record.samples:,} samples"
        return f"{words} · the model comes from it" if record.id == own else words

    before = st.query_params.get("samples")
    chosen = pick("Samples", list(records), name, "samples", missing)
    if before not in (None, chosen):
        st.query_params.pop("cohort", None)  # it is about other samples
    return records[chosen]


def ask_request(model: Model, record: DatasetRecord) -> PredictRequest:
    """What is known of the samples, how they are brought to training, and which are meant."""
    cohort = _ask_cohort(model, record)
    together = _ask_together()
    two_groups = len(model.classes) == 2 and _ask_two_groups()
    return PredictRequest(model=model.id, cohort=cohort, together=together, two_groups=two_groups)


def _ask_cohort(model: Model, record: DatasetRecord) -> Cohort:
    """Which of a dataset's samples are meant, and which columns say what is known about them."""
    classes, has_classes = model.classes, model.task.has_classes
    key, columns = f"{record.id[:12]} {form_number()}", list(record.columns)
    labels = columns
    if (model.spec.cohort.label or "").startswith(f"{GENE}:"):
        labels = [model.spec.cohort.label, *columns]
    start = _start(model, record, labels)
    left, right = st.columns(2)
    label = left.selectbox(
        "Known class" if has_classes else "Known value", labels,
        index=_place(labels, start.label), key=f"predict label {key}",
        placeholder="not known", persist_state="session",
        help="A column that says what the samples really are, if that is known. It changes no "
        "call; the calls are then compared with it.",
    )  # fmt: skip
    group = right.selectbox(
        "Patient", columns, index=_place(columns, start.group),
        key=f"predict group {key}", placeholder="none", persist_state="session",
        help=define("patient"),
    )  # fmt: skip
    with st.expander("Only some of the samples", on_change="rerun") as some:
        where = start.where
        if some.open:
            where = ask_where(record.columns, key=f"predict {key}", chosen=start.where)
    cohort = Cohort(
        dataset=record.id, label=label, group=group, where=where, leave_out=start.leave_out
    )
    if label is not None and has_classes:
        merge = start.merge if label == start.label else {}
        cohort = cohort.changed(merge=_ask_classes(record, cohort, classes, merge))
    _link(cohort)
    return cohort


def _ask_together() -> str:
    """How the samples' values are brought to those of training; kept in the link."""
    wanted, names = st.query_params.get("together", "none"), TOGETHER.names
    if wanted not in names:
        st.warning(
            "The way of bringing cohorts together that this link names "
            f"({escape_markdown(wanted[:20])}) is not known here. The box says what is done."
        )
    name = st.selectbox(
        "Bringing cohorts together", names, index=names.index(wanted) if wanted in names else 0,
        format_func=lambda name: TOGETHER[name].title, key=f"together {form_number()}",
        persist_state="session", help=define("bringing cohorts together"),
    )  # fmt: skip
    st.caption(TOGETHER[name].help)
    st.query_params["together"] = name
    return name


def _ask_two_groups() -> bool:
    """Of two classes: whether the threshold is sought in the new samples; kept in the link."""
    chosen = st.checkbox(
        PredictRequest.model_fields["two_groups"].title,
        st.query_params.get("two_groups") == "yes", key=f"two groups {form_number()}",
        persist_state="session",
        help="The threshold between the two classes is put where it parts these samples' own "
        "scores best (Otsu 1979), as thresholds seldom hold in another cohort. It needs both "
        "classes in good number; on 10 pairs of cohorts it won 8 and lost 2.",
    )  # fmt: skip
    if chosen:
        st.query_params["two_groups"] = "yes"
    else:
        st.query_params.pop("two_groups", None)
    return chosen


def _start(model: Model, record: DatasetRecord, labels: list[str]) -> Cohort:
    """What the link says of the samples, or what was decided about them on the page Data."""
    known = decided(record).cohort
    linked: dict[str, Any] = {}
    if text := st.query_params.get("cohort") or st.session_state.get(f"cohort {record.id}"):
        try:
            linked = Cohort.model_validate({"dataset": record.id, **json.loads(text)}).model_dump()
            _check_columns(linked, record, labels)
        except (ValueError, TypeError, ValidationError, InputError):
            st.warning("What this link says about the samples does not fit them and is left out.")
            linked = {}
    if linked:
        return Cohort(**{**linked, "leave_out": known.leave_out})
    label = _find_label(model, record)
    return Cohort(
        dataset=record.id, label=label, group=known.group, where=known.where,
        leave_out=known.leave_out,
    )  # fmt: skip


def _check_columns(linked: dict[str, Any], record: DatasetRecord, labels: list[str]) -> None:
    named = [name for name in (linked["group"], *linked["where"]) if name is not None]
    known = linked["label"] is None or linked["label"] in labels
    if not known or not set(named) <= set(record.columns):
        raise InputError("The link names a column that the dataset lacks.")


def _find_label(model: Model, record: DatasetRecord) -> str | None:
    """The column in which most samples are of a class that the model has a name for.

    Of a model that predicts a number the column of that name.
    """
    if not model.task.has_classes:
        label = model.spec.cohort.label
        return label if label in record.columns else None
    named = {name.casefold() for name in model.classes}
    counts = {
        column: sum(n for value, n in values.items() if value.casefold() in named)
        for column, values in record.columns.items()
    }
    best = max(counts, key=counts.__getitem__, default=None)
    return best if best is not None and counts[best] else None


def _ask_classes(
    record: DatasetRecord, cohort: Cohort, classes: list[str], merge: dict[str, str]
) -> dict[str, str]:
    """Which of the model's classes each known class is; the same name is taken for the same."""
    key = f"classes {record.id[:12]} {cohort.label} {form_number()}"
    merge = st.session_state.setdefault(f"{key} at first", merge)  # what is edited must stay
    counts = record.columns[cohort.label]
    if not counts:
        raise InputError(
            f"Column {cohort.label!r} has very many values, so it holds no classes. Choose another."
        )
    by_name = {name.casefold(): name for name in classes}
    suggested = {
        value: merge.get(value, by_name.get(value.casefold(), NONE_OF_THEM)) for value in counts
    }
    unmatched = sum(name == NONE_OF_THEM for name in suggested.values())
    table = pd.DataFrame(
        {"known": list(counts), "samples": list(counts.values()), "is": list(suggested.values())}
    )
    words = f"{unmatched} of {len(counts)} known classes are none of the model's"
    title = "Which class is which" + (f": {words}" if unmatched else "")
    with st.expander(title, expanded=bool(unmatched)), errors():
        edited = st.data_editor(
            table, hide_index=True, key=key, disabled=["known", "samples"],
            column_config={
                "known": "in the samples",
                "is": st.column_config.SelectboxColumn(
                    "in the model", options=[*classes, NONE_OF_THEM], required=True
                ),
            },
        )  # fmt: skip
        st.caption(
            "Samples of a class that the model does not have are called and flagged like all "
            "others; they count in no accuracy."
        )
    return {
        str(known): str(name)
        for known, name in zip(edited["known"], edited["is"], strict=True)
        if name not in (NONE_OF_THEM, known)
    }


def _place(columns: list[str], name: str | None) -> int | None:
    return columns.index(name) if name in columns else None


def _link(cohort: Cohort) -> None:
    """Let the link say what was asked about the samples."""
    text = describe_cohort(cohort)
    st.session_state[f"cohort {cohort.dataset}"] = text
    if st.query_params.get("cohort") != text:
        st.query_params["cohort"] = text


def say_cohort(cohort: Cohort, record: DatasetRecord) -> None:
    """Which samples are meant, when not all of the dataset."""
    parts = [f"{column} is {', '.join(values)}" for column, values in cohort.where.items()]
    if cohort.leave_out:
        parts.append(f"without {len(cohort.leave_out)} that were left out on the page Data")
    if parts:
        st.caption(escape_markdown(f"Of {record.name}: samples where {'; '.join(parts)}."))
