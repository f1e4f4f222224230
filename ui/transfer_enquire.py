"""The other questions of the page Transfer: programs, species, images. Forms and replies."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.cohort import Cohort
from core.data.store import DatasetRecord, list_datasets
from core.errors import GeneCanvasError
from core.escape import escape_markdown, escape_message
from core.jobs.launch import answer_state, stop
from core.models.own_weights import list_own_weights, require_own_weights
from core.plots.transfer import reply_scores
from core.scratch import scratch
from core.transfer.asked import request_answer
from core.transfer.enquiring import (
    ENQUIRIES,
    AnyEnquiry,
    EnquiryJob,
    enquiry_yaml,
    has_reply,
    load_reply,
    load_reply_table,
    parse_enquiry,
    preview,
)
from core.transfer.enquiry import Line, Reply
from core.transfer.methods.image_folder import FIVE, IMAGE_NETWORKS, KINDS
from core.transfer.orthologs import keep_orthologs
from core.transfer.pictures import bring_folder, list_images
from core.words import say_duration
from ui.about import About
from ui.download import download_button
from ui.forms import HOLDS, ask_field
from ui.gene_sets import pick_sets
from ui.kept import cache_data
from ui.line import say_facts
from ui.parts import (
    decided,
    decimals,
    download_table,
    errors,
    name_dataset,
    pick,
    place_chart,
    show_empty,
    show_figure,
)
from ui.predict import is_working
from ui.report import offer_enquiry_report
from ui.transfer_show import BADGES, DASH
from ui.uploads import hold

WEIGHTS = {"imagenet": "ImageNet", "scratch": "random"}
TABLE_TITLES = {
    "programs": "The programs", "activities": "Their activities", "sets": "The gene sets",
    "networks": "The networks", "imbalance": "All lines", "copies": "Images that look the same",
}  # fmt: skip


def ask_enquiry(question: str) -> AnyEnquiry | None:
    """The form of a question; None while something is missing, which it says."""
    st.caption(escape_markdown(ENQUIRIES[question].help))
    document = {
        "programs": _ask_programs, "species": _ask_species, "images": _ask_images,
        "imbalance": _ask_imbalance,
    }[question]()  # fmt: skip
    return None if document is None else parse_enquiry({"question": question, **document})


def _cohorts(records: dict[str, DatasetRecord], with_source: bool) -> tuple[str, str]:
    """Source and target, side by side, which may be the same or not: names in `records`."""
    words = {name: record.name for name, record in records.items()}
    left, right = st.columns(2, gap="large")
    names = list(records)
    with left:
        source = pick("Source: what is learned from", names, words.__getitem__, "source")
    others = [name for name in names if name != source] + ([source] if with_source else [])
    before = st.query_params.get("target"), st.session_state.get("last target")
    if source in before and source not in others:  # it was chosen for another question
        st.query_params.pop("target", None)
        st.session_state.pop("last target", None)
    with right:
        target = pick("Target: where it is looked up", others, words.__getitem__, "target")
    return source, target


def _records() -> dict[str, DatasetRecord]:
    return {record.id[:12]: record for record in list_datasets()}


def _ask_programs() -> dict[str, object] | None:
    records = _records()
    if not records:
        show_empty("Programs of genes are learned in a cohort.", "Bring data", "data")
        return None
    source, target = _cohorts(records, with_source=True)
    sets = pick_sets("transfer ")
    if sets is None:
        st.caption("Choose gene sets: programs follow them.")
        return None
    columns = list(records[target].columns)
    measured = st.multiselect(
        "Columns of the target that hold measured numbers, such as shares of cells", columns,
        key=f"measured {target}", placeholder="none", **HOLDS,
        help="The program whose gene sets bear that name is held against what was measured.",
    )  # fmt: skip
    words = {}
    for column, place in zip(measured, st.columns(4) * (1 + len(measured) // 4), strict=False):
        words[column] = place.text_input(
            f"Word for {escape_markdown(column)}", column, key=f"word {target} {column}", **HOLDS,
            help="What the names of the gene sets have for it; only letters and digits count.",
        )  # fmt: skip
    own, other = (decided(records[name]).cohort for name in (source, target))
    return {
        "source": Cohort(dataset=own.dataset, where=own.where, leave_out=own.leave_out),
        "target": Cohort(dataset=other.dataset, where=other.where, leave_out=other.leave_out,
                         group=other.group),
        "gene_sets": sets, "measured": words,
    }  # fmt: skip


def _ask_species() -> dict[str, object] | None:
    records = _records()
    if len(records) < 2:
        show_empty(
            "This needs a cohort of each of two species, a table of orthologs, and gene sets.",
            "Bring data", "data",
        )  # fmt: skip
        return None
    source, target = _cohorts(records, with_source=False)
    left, right = st.columns(2, gap="large")
    with left:
        own, own_class = _ask_class(records[source], "source", "")
    with right:
        other, other_class = _ask_class(records[target], "target", " (none: predictions alone)")
    sets = pick_sets("transfer ")
    file = st.file_uploader(
        "Ortholog table (CSV: gene of the sources, of the target)", key="orthologs",
        type=["csv", "tsv", "txt"],
    )  # fmt: skip
    one_to_one = ask_field(ENQUIRIES["species"].spec, "one_to_one", key="one to one")
    missing = [
        word for word, there in (
            ("the class of the source", own_class is not None), ("gene sets", sets is not None),
            ("the ortholog table", file is not None),
        ) if not there
    ]  # fmt: skip
    if missing:
        st.caption(f"Still missing: {', '.join(missing)}.")
        return None
    return {
        "source": own, "source_class": own_class, "target": other, "target_class": other_class,
        "gene_sets": sets, "orthologs": keep_orthologs(file.getvalue()), "one_to_one": one_to_one,
    }  # fmt: skip


def _ask_class(record: DatasetRecord, key: str, beside: str) -> tuple[Cohort, str | None]:
    """A cohort with its label, and the class that is ranked; neither where none is chosen."""
    cohort = decided(record).cohort
    several = [column for column in record.columns if len(record.columns[column]) > 1]
    label = st.selectbox(
        f"Label of {escape_markdown(record.name)}{beside}", several,
        key=f"label {key} {record.id[:12]}", placeholder="choose the column", **HOLDS,
        index=several.index(cohort.label) if cohort.label in several else None,
    )  # fmt: skip
    chosen = None
    if label is not None:
        classes = sorted(name for name in record.columns[label] if name)
        chosen = st.selectbox(
            "Class against all others", classes, index=None, placeholder="choose the class",
            key=f"class {key} {record.id[:12]}", **HOLDS,
        )  # fmt: skip
    known = label if chosen is not None else None
    return Cohort(
        dataset=record.id, label=known, where=cohort.where, leave_out=cohort.leave_out
    ), chosen  # fmt: skip


def _ask_images() -> dict[str, object] | None:
    kept = {one.id[:12]: one for one in list_images()}
    with st.expander("Bring a folder of images", expanded=not kept), errors():
        _bring_images()
    if not kept:
        return None
    left, right = st.columns(2, gap="large")
    with left:
        chosen = pick(
            "Images", list(kept),
            lambda name: f"{kept[name].name} · {sum(kept[name].classes.values()):,} images",
            "images",
        )  # fmt: skip
        counts = ", ".join(f"{name} {count:,}" for name, count in kept[chosen].classes.items())
        st.caption(escape_markdown(counts))
    with right:
        networks = st.multiselect(
            "Networks", IMAGE_NETWORKS.names, default=list(FIVE), key="image networks", **HOLDS,
            format_func=lambda name: IMAGE_NETWORKS[name].title,
            help="The first one is also asked with random weights, which all are held against.",
        )  # fmt: skip
    if not networks:
        st.caption("Choose at least one network.")
        return None
    with st.expander("Where their weights are from", key="image weights"):
        known = ["imagenet", *(f"file:{name}" for name in list_own_weights()), "scratch"]
        weights = {
            name: st.selectbox(
                IMAGE_NETWORKS[name].title, known, key=f"weights {name}", **HOLDS,
                format_func=lambda where: WEIGHTS.get(where, where.removeprefix("file:")),
                help="ImageNet's file is fetched once, if it isn't in the weights folder.",
            )
            for name in networks
        }  # fmt: skip
    for where in weights.values():
        require_own_weights(where)
    named = {name: where for name, where in weights.items() if where != "imagenet"}
    return {"images": kept[chosen].id, "networks": networks, "weights": named}


def _ask_imbalance() -> dict[str, object] | None:
    records = _records()
    if not records:
        show_empty("A cohort with two classes is needed.", "Bring data", "data")
        return None
    names = {name: record.name for name, record in records.items()}
    chosen = records[pick("Cohort", list(names), names.__getitem__, "target")]
    cohort, rare = _ask_class(chosen, "rare", "")
    if rare is None:
        st.caption("Choose the column of the two classes, and the class that is made rare.")
        return None
    decision = decided(chosen).cohort
    return {"cohort": cohort.changed(group=decision.group), "rare": rare}


def _bring_images() -> None:
    """Take a folder with a folder for each class, and who each image is of."""
    name = st.text_input("Name", key="images name", placeholder="Images")
    uploads = st.file_uploader(
        "A folder that has a folder of images for each class",
        accept_multiple_files="directory", type=[kind.removeprefix(".") for kind in KINDS],
        key="images folder",
    )  # fmt: skip
    table = st.file_uploader(
        "Patients (CSV: CLASS/FILE, patient), if images share some", type=["csv", "tsv", "txt"],
        key="images patients",
        help="Without it each image counts as another patient's: then images of one patient can be "
        "learned from and asked about, and the accuracy is too good.",
    )  # fmt: skip
    if not st.button("Read and store", type="primary", disabled=not uploads, key="keep images"):
        return
    with scratch() as folder, st.spinner("Reading the images"):
        for upload in uploads:
            path = Path(upload.name)
            place = folder / (path.parent.name or "unnamed").replace("..", "_")
            place.mkdir(exist_ok=True)
            (place / hold(upload).name).symlink_to(hold(upload))
        content = table.getvalue() if table is not None else None
        kept = bring_folder(folder, content, name.strip() or "Images")
    st.query_params["images"] = kept[:12]
    st.rerun()


@cache_data(max_entries=16, show_spinner="Looking at what is asked")
def _look_ahead(document: str) -> tuple[float, list[str], str]:
    """Seconds and notes of what would be done; and why it can't be, or nothing."""
    try:
        ahead = preview(parse_enquiry(json.loads(document)))
    except GeneCanvasError as error:
        return 0.0, [], str(error)
    return ahead.seconds, list(ahead.words), ""


def offer_enquiry(enquiry: AnyEnquiry) -> str | None:
    """How long it will take, and the button that starts it; the id of what was started."""
    seconds, words, refusal = _look_ahead(enquiry.model_dump_json())
    if refusal:
        st.error(escape_message(refusal))
        return None
    st.caption(escape_markdown(" ".join(words)))
    started = None
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Start", type="primary", icon=":material/play_arrow:", key="start enquiry"):
            started = request_answer(EnquiryJob(enquiry=enquiry))
        st.markdown(f"About {say_duration(seconds)}.")
        download_button(
            "Save as YAML", enquiry_yaml(enquiry), "enquiry.yaml", "text/yaml", type="tertiary",
            on_click="ignore", key="enquiry yaml",
        )  # fmt: skip
    return started


def show_enquiry(key: str, enquiry: AnyEnquiry, facts: DeltaGenerator) -> None:
    """An enquiry that was asked, in whatever state it is."""
    kind = ENQUIRIES[enquiry.question]
    named = [name_dataset(dataset) for dataset in dict.fromkeys(kind.datasets(enquiry))]
    said = (" → ".join(named) if named else kind.title, kind.describe(enquiry))
    say_facts(facts, *said)
    if has_reply(key):
        _show_reply(key, enquiry, load_reply(key))
        return
    job = EnquiryJob(enquiry=enquiry)
    state = answer_state(job)
    if is_working(state, partial(answer_state, job), kind.title, partial(stop, job)):
        return
    if state.state == "missing":
        st.caption("It was stopped before it was answered.")
    if st.button("Ask again", key="enquiry again", type="primary"):
        request_answer(job)
        st.rerun()


def _show_reply(key: str, enquiry: AnyEnquiry, found: Reply) -> None:
    kind = ENQUIRIES[enquiry.question]
    table = found.line_table()
    if not table["score"].notna().any():
        _show_verdicts(found)
    else:
        chart, said = place_chart()
        with said:
            _show_verdicts(found)
        with chart:
            show_figure(
                reply_scores(table, found.measure, found.chance), table, f"lines_{key}",
                key="enquiry lines", about=_about(found, kind.departs),
                alt=f"{found.measure.capitalize()} of each line. {found.headline}",
            )  # fmt: skip
        _show_lines(found.lines, found.measure)
    for name, says in found.tables.items():
        own = load_reply_table(key, name)
        if own.empty:
            continue
        st.markdown(f"## {TABLE_TITLES[name]}")
        st.caption(escape_markdown(says))
        _show_numbers(own)
    with st.container(horizontal=True):
        for name in found.tables:
            download_table(
                partial(load_reply_table, key, name), f"{name}_{key}",
                f"{TABLE_TITLES[name]} (CSV)", key=f"enquiry {name} csv",
            )  # fmt: skip
        offer_enquiry_report(key)
        download_button(
            "What was asked (YAML)", enquiry_yaml(enquiry), "enquiry.yaml", "text/yaml",
            on_click="ignore", key="enquiry spec",
        )  # fmt: skip
    st.caption(escape_markdown(f"{kind.reference} Departs: {kind.departs}"))


def _show_verdicts(found: Reply) -> None:
    """A sentence for each method, and what all of them rest on."""
    methods = [line for line in found.lines if line.role == "method"]
    for line, verdict in zip(methods, found.verdicts, strict=True):
        badge = BADGES[line.answer] if line.answer else ":gray-badge[no verdict]"
        st.markdown(f"{badge} {escape_markdown(verdict)}")
    if not methods:
        st.info(escape_markdown(found.headline))
    st.caption(
        escape_markdown(
            f"Of {found.items}. Intervals: 95 %; p values by Holm over all gains. "
            f"{' '.join(found.notes)}"
        )
    )


def _show_numbers(table: pd.DataFrame) -> None:
    """A table whose missing numbers are dashes."""
    shown, holes = table.copy(), []
    for name in table.select_dtypes("number"):
        if table[name].isna().any():
            shown[name] = [DASH if pd.isna(value) else f"{value:.3g}" for value in table[name]]
            holes.append(name)
    st.dataframe(shown, hide_index=True, column_config=decimals(shown, "%.3f"))
    if holes:
        st.caption(f"{DASH} in {', '.join(holes)}: there is nothing to measure it by.")


def _show_lines(lines: tuple[Line, ...], measure: str) -> None:
    """Scores as a table; a dash, and why, where there is none."""

    def say(value: float | None, form: str) -> str:
        return DASH if value is None else f"{value:{form}}"

    def span(low: float | None, high: float | None, form: str) -> str:
        return DASH if low is None or high is None else f"{low:{form}} to {high:{form}}"

    shown = pd.DataFrame(
        [
            {
                "of": line.of, "line": line.line, measure: say(line.score, ".2f"),
                "95 % CI": span(line.low, line.high, ".2f"), "gain": say(line.gain, "+.2f"),
                "gain, 95 % CI": span(line.gain_low, line.gain_high, "+.2f"),
                "p": say(line.p, ".3f"), "verdict": line.answer or DASH, "rests on": line.note,
            }
            for line in lines
        ]
    )  # fmt: skip
    if not any(line.of for line in lines):
        shown = shown.drop(columns="of")
    st.dataframe(shown, hide_index=True)
    st.caption(f"{DASH}: references and controls have no gain; a line without a score says why.")


def _about(found: Reply, departs: str) -> About:
    return About(
        f"The {found.measure} of the method, of a plain reference and of controls.",
        f"{found.items[0].upper()}{found.items[1:]}.",
        f"Intervals are of 95 %. A gain is the difference from the plain reference on the same "
        f"items. {departs}",
        f"The dotted line is who knows nothing ({found.chance:.2f}); controls belong there, unless "
        "they say that they were chosen by the answer. A method that doesn't beat the plain "
        "reference isn't needed.",
    )
