"""What the page Transfer asks: sources, target, and what is tried."""

from __future__ import annotations

import json

import streamlit as st

from core.data.cohort import Cohort
from core.data.store import DatasetRecord, list_datasets
from core.errors import GeneCanvasError, InputError
from core.escape import escape_markdown, escape_message
from core.transfer.asked import request_answer
from core.transfer.enquiring import AnyEnquiry, load_enquiry
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.orthologs import keep_orthologs
from core.transfer.preparing import PREPARATIONS
from core.transfer.spec import TransferSpec
from core.transfer.transferring import TransferJob, check_transfer, load_spec
from core.words import say_duration
from ui.download import download_button
from ui.forms import HOLDS, ask_field
from ui.gene_sets import pick_sets
from ui.kept import cache_data
from ui.parts import decided, pick

LINK = "id"
"""Part of the link that names the transfer that is looked at."""
LABELS = {
    "classes": "the target's classes",
    "numbers": "numbers, such as IC50",
    "none": "nothing",
}


def asked_before() -> tuple[str, TransferSpec | AnyEnquiry] | None:
    """What the link names; None where it names nothing, or what it names is gone."""
    key = st.query_params.get(LINK)
    if key is None:
        return None
    try:
        return key, load_enquiry(key) or load_spec(key)
    except GeneCanvasError as error:
        st.warning(escape_message(str(error)))
        return None


def ask_spec() -> TransferSpec | None:
    """The specification that the form describes; None while something is missing."""
    records = {record.id[:12]: record for record in list_datasets()}
    left, right = st.columns(2, gap="large")
    with right:
        st.markdown("## Target: where classes shall be told apart")
        chosen = pick("Target", list(records), lambda name: records[name].name, "target")
        target = _ask_cohort(records[chosen], "target")
    with left:
        st.markdown("## Sources: what is learned from")
        others = [name for name in records if name != chosen]
        sources = st.multiselect(
            "Sources", others, default=others[:1], format_func=lambda name: records[name].name,
            key=f"sources {chosen}", **HOLDS,
        )  # fmt: skip
        kind = st.selectbox(
            "Their labels are", list(LABELS), format_func=LABELS.get, key="source labels", **HOLDS,
            help=TransferSpec.model_fields["source_labels"].description,
        )  # fmt: skip
        cohorts = [
            _ask_cohort(records[name], f"source {name}", kind, target.label) for name in sources
        ]
    if target.label is None or not sources:
        st.caption("Choose at least one source, and the column of the target's classes.")
        return None
    if kind == "classes":
        cohorts = [
            _ask_match(records[name], cohort, records[chosen], target)
            for name, cohort in zip(sources, cohorts, strict=True)
        ]
    first, second = st.columns(2, gap="large")
    with first:
        methods = st.multiselect(
            "Methods", TRANSFER_METHODS.names, key="methods", **HOLDS,
            format_func=lambda name: TRANSFER_METHODS[name].title,
            placeholder="references only", help="Target only, source only and pooled samples are "
            "always there.",
        )  # fmt: skip
        for name in methods:
            method = TRANSFER_METHODS[name]
            st.caption(
                f"**{escape_markdown(method.title)}**: {escape_markdown(method.description)} About "
                f"{say_duration(method.seconds)} a fit. {escape_markdown(method.reference)}"
            )
    with second:
        preparations = st.multiselect(
            "Preparations", PREPARATIONS.names, default=["raw", "quantile"], key="preparations",
            format_func=lambda name: PREPARATIONS[name].title, **HOLDS,
            help="How the cohorts' values are brought together. Controls are run under the first.",
        )  # fmt: skip
    sets = None
    if any(TRANSFER_METHODS[name].needs_sets for name in methods):
        sets = pick_sets("transfer ")
        if sets is None:
            return None
    more = {**_ask_more(records, [*sources, chosen]), "gene_sets": sets}
    return TransferSpec.parse(
        {
            "sources": cohorts, "target": target, "source_labels": kind, "methods": methods,
            "preparations": preparations, **more,
        }
    )  # fmt: skip


def _ask_cohort(
    record: DatasetRecord, key: str, kind: str = "classes", wanted: str | None = None
) -> Cohort:
    """Which column holds the class, and the patient; the samples are as decided on Data.

    Args:
        record: the dataset.
        key: of the widgets.
        kind: what the label holds, of LABELS.
        wanted: the column of the label to begin with, where it is there.
    """
    decision = decided(record).cohort
    name = escape_markdown(record.name)
    label_column, group_column = st.columns(2)
    columns = list(record.columns)
    label = None
    if kind != "none":
        several = [column for column in columns if len(record.columns[column]) != 1]
        label = label_column.selectbox(
            f"Label of {name}", several, key=f"label {key} {record.id[:12]}", **HOLDS,
            index=next((several.index(c) for c in (wanted, decision.label) if c in several), None),
            placeholder="choose the column",
        )  # fmt: skip
    group = group_column.selectbox(
        "Patient", columns, key=f"group {key} {record.id[:12]}", placeholder="each sample", **HOLDS,
        index=columns.index(decision.group) if decision.group in columns else None,
    )  # fmt: skip
    return decision.changed(dataset=record.id, label=label, group=group, batch=None)


def _ask_match(
    record: DatasetRecord, cohort: Cohort, target_record: DatasetRecord, target: Cohort
) -> Cohort:
    """A source whose classes count as the target's: those of other names are asked for."""
    if cohort.label is None:
        return cohort
    wanted = _classes(target_record, target)
    own = [name for name in _classes(record, cohort) if name not in wanted]
    if not own or not wanted:
        return cohort
    merge = {}
    with st.expander(
        f"Classes of {escape_markdown(record.name)} that the target names otherwise",
        expanded=len(own) == len(_classes(record, cohort)), key=f"match {record.id[:12]}",
    ):  # fmt: skip
        for name in own:
            counts = st.selectbox(
                f"{escape_markdown(name)} counts as", wanted, index=None,
                placeholder="left out", key=f"merge {record.id[:12]} {name}", **HOLDS,
            )  # fmt: skip
            if counts is not None:
                merge[name] = counts
    return cohort.changed(merge=merge)


def _classes(record: DatasetRecord, cohort: Cohort) -> list[str]:
    """Names of classes, as merged; none where there are too many to list."""
    if cohort.label is None:
        return []
    names = [name for name in record.columns.get(cohort.label, {}) if name]
    kept = set(cohort.where.get(cohort.label, names))
    return sorted({cohort.merge.get(name, name) for name in names if name in kept})


def _ask_more(records: dict[str, DatasetRecord], used: list[str]) -> dict[str, object]:
    """Budgets, draws, controls, an unrelated source, an ortholog table."""
    with st.expander("More choices", key="transfer more"):
        left, right = st.columns(2, gap="large")
        with left:
            text = st.text_input(
                "Labelled target patients", key="budgets", placeholder="0, 5, 10, 25, 50, all",
                help="By default those of these numbers that are there.", **HOLDS,
            )  # fmt: skip
            draws = ask_field(TransferSpec, "draws", key="draws")
            controls = ask_field(TransferSpec, "controls", key="controls")
            seed = ask_field(TransferSpec, "seed", key="transfer seed")
        with right:
            free = [name for name in records if name not in used]
            unrelated = st.selectbox(
                "Unrelated source, as a control", free, index=None, key="unrelated",
                format_func=lambda name: records[name].name, placeholder="none", **HOLDS,
                help=TransferSpec.model_fields["unrelated"].description,
            )  # fmt: skip
            cohort = None
            if unrelated is not None:
                cohort = _ask_cohort(records[unrelated], "unrelated")
            file = st.file_uploader(
                "Ortholog table (CSV: gene of the sources, of the target)", key="orthologs",
                type=["csv", "tsv", "txt"],
            )  # fmt: skip
            table = keep_orthologs(file.getvalue()) if file is not None else None
    return {
        "budgets": _read_budgets(text), "draws": draws, "controls": controls, "seed": seed,
        "unrelated": cohort, "orthologs": table,
    }  # fmt: skip


def _read_budgets(text: str) -> list[int | str] | None:
    words = text.replace(",", " ").split()
    if not words:
        return None
    try:
        return [word if word == "all" else int(word) for word in words]
    except ValueError:
        raise InputError(
            f"Expected numbers of patients, or all, such as “5, 10, all”; got “{text[:40]}”."
        ) from None


@cache_data(max_entries=16, show_spinner="Looking at the cohorts")
def _look_ahead(document: str) -> tuple[float, int, list[str], str]:
    """Seconds, fits and notes of what would be done; and why it can't be, or nothing."""
    try:
        plan = check_transfer(TransferSpec.parse(json.loads(document)))
    except GeneCanvasError as error:
        return 0.0, 0, [], str(error)
    words = [
        f"{len(plan.material.genes):,} shared genes, {len(plan.material.source.x):,} source "
        f"samples, {len(plan.draws)} draws; labelled target patients: "
        f"{', '.join(map(str, plan.budgets.values()))}.",
        *plan.material.notes,
    ]
    return plan.estimate(), sum(1 for _ in plan.questions()), words, ""


def offer_start(spec: TransferSpec) -> None:
    """How long it will take, and the button that starts it."""
    seconds, fits, words, refusal = _look_ahead(spec.model_dump_json())
    if refusal:
        st.error(escape_message(refusal))
        return
    st.caption(escape_markdown(" ".join(words)))
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Start", type="primary", icon=":material/play_arrow:", key="start transfer"):
            start(spec)
        st.markdown(f"About {say_duration(seconds)}, {fits:,} fits.")
        download_button(
            "Save as YAML", spec.to_yaml(), "transfer.yaml", "text/yaml", type="tertiary",
            on_click="ignore", key="transfer yaml",
        )  # fmt: skip


def start(spec: TransferSpec) -> None:
    """Have it done, and look at it."""
    st.query_params[LINK] = request_answer(TransferJob(spec=spec))
    st.rerun()
