"""Choosing a layout: the method, the canvas, and the reference file that some layouts need."""

from pathlib import Path

import streamlit as st

from core.data.store import DatasetRecord
from core.errors import InputError
from core.escape import escape_message
from core.home import only_looks
from core.images.layouts import LAYOUTS, LayoutMethod, LayoutSpec
from core.images.references import (
    LARGEST,
    Kind,
    add_reference,
    list_references,
    read_gene_sets,
    read_positions,
    reference_file,
)
from ui.forms import HOLDS, ask_field, ask_record, check_fields
from ui.kept import cache_data
from ui.parts import needs_own_home, open_dataset
from ui.uploads import hold

SMALLEST_CANVAS = 8
FILES = {
    "positions": (
        "Gene positions",
        "A table with gene symbols or ids, chromosome and start, as from Ensembl BioMart.",
    ),
    "sets": ("Gene sets", "A GMT file, as from MSigDB or Enrichr."),
}
"""Kind of reference file -> its name and where people have it from."""


def ask_layout(
    record: DatasetRecord,
    image_size: int,
    *,
    key: str = "layout",
    label: str = "Layout",
    default: str | None = None,
) -> LayoutSpec:
    """A layout with its canvas and, where it needs one, its reference file.

    A layout whose file is missing is given back without it: `check_reference`, which fitting and
    preflight call, says then what to do.

    Args:
        record: the dataset whose genes are laid out.
        image_size: pixels a side that the network sees; the canvas divides it.
        key: the widgets' key; pages that use the same one share the choice.
        label: what the select box is called.
        default: the layout to start with, if not the first.
    """
    method = LAYOUTS[ask_record(LAYOUTS, label, key=key, default=default)]
    st.caption(describe_layout(method))
    reference = ask_reference(record, method.needs, key=key) if method.needs else None
    asked = {name: ask_field(LayoutSpec, name, key=f"{key} {name}") for name in method.fields}
    check_fields(LayoutSpec, asked)
    sides = [side for side in range(SMALLEST_CANVAS, image_size + 1) if image_size % side == 0]
    side = st.selectbox(
        "Canvas", [0, *sides], key=f"{key} side {image_size}", **HOLDS,
        format_func=lambda side: f"{side} x {side} pixels" if side else "automatic",
        help=f"{LayoutSpec.model_fields['side'].description} It is enlarged by a whole factor, so "
        "that a pixel of the image belongs to one pixel of the canvas.",
    )  # fmt: skip
    return LayoutSpec(name=method.name, side=side or None, reference=reference, **asked)


def describe_layout(method: LayoutMethod) -> str:
    """What a layout looks at, whether genes share pixels, and where it is published."""
    looks = {"positions": "follows gene positions", "sets": "follows gene sets", None: "fixed"}
    parts = [
        "learns from the training samples" if method.learns else looks[method.needs],
        "each gene on a pixel of its own"
        if method.placement.one_per_pixel
        else "**genes may share a pixel**",
        method.reference,
    ]
    return " · ".join(part for part in parts if part)


def ask_reference(record: DatasetRecord, kind: Kind, *, key: str) -> str | None:
    """Choose a kept reference file or add one; None while there is none."""
    title, wanted = FILES[kind]
    chosen_key, upload_key, error_key = (
        f"{key} {what} {kind}" for what in ("file", "new", "error")
    )

    def keep() -> None:
        upload = st.session_state[upload_key]
        st.session_state[error_key] = None
        if upload is None:
            return
        try:
            added = add_reference(hold(upload), Path(upload.name).name)
            if added not in [reference.id for reference in list_references(kind)]:
                raise InputError(f"{upload.name} is no file of {title.lower()}. {wanted}")
            st.session_state[chosen_key] = added
        except InputError as error:
            st.session_state[error_key] = str(error)

    kept = {reference.id: reference.name for reference in list_references(kind)}
    chosen, place = None, st.container()
    if kept:
        chosen = st.selectbox(
            title, list(kept), format_func=kept.get, key=chosen_key, **HOLDS,
            help=wanted,
        )  # fmt: skip
        place = st.container() if only_looks() else st.popover("Add another file")
    with place:
        if not needs_own_home(f"A file of {title.lower()} can be added"):
            st.file_uploader(
                f"Add a file of {title.lower()}", key=upload_key, on_change=keep, help=wanted,
                max_upload_size=LARGEST // 2**20,
            )  # fmt: skip
    if st.session_state.get(error_key):
        st.error(escape_message(st.session_state[error_key]))
    if chosen is None:
        return None
    known = count_known(record.id, kind, chosen)
    say = st.caption if 2 * known >= record.genes else st.warning
    say(f"It knows {known:,} of this dataset's {record.genes:,} genes.")
    return chosen


@cache_data(max_entries=20, show_spinner=False)
def count_known(dataset: str, kind: Kind, reference: str) -> int:
    """How many of a dataset's genes a reference file knows."""
    path = reference_file(reference)
    if kind == "positions":
        known = set(read_positions(path))
    else:
        known = {gene for genes in read_gene_sets(path).values() for gene in genes}
    return len(known.intersection(open_dataset(dataset).var_names))
