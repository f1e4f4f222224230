"""What the page Histology is made of."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from pydantic import ValidationError

from core.errors import InputError
from core.escape import escape_markdown
from core.glossary import define
from core.models.backbones import BACKBONES
from core.models.own_weights import list_own_weights
from core.plots.tissue import model_bars, section_map
from core.scratch import scratch
from core.tissue.job import cancel_tissue, request_tissue, tissue_state
from core.tissue.read import read_tissue
from core.tissue.result import TissueAnswer, scores_table
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import NO_NETWORK, TissueSpec
from core.tissue.spots import Tissue, lay_out, spacing
from core.tissue.store import TissueRecord, add_tissue, list_tissues, load_tissue
from core.tissue.targets import TARGETS
from ui.forms import HOLDS, ask_field
from ui.parts import decimals, download_table, errors, pick, say_finding, show_figure
from ui.predict import is_working
from ui.uploads import hold

OFFERED = (NO_NETWORK, "squeezenet1_1", "vgg16", "resnet50")
"""Networks that are quick enough on a processor."""
NAMES = {NO_NETWORK: "none: colour and texture", "imagenet": "ImageNet", "scratch": "random"}
TITLES = {
    "normalised": "divided by each spot's reads",
    "stnet": "as ST-Net published",
    "raw": "log(1 + count), as BrST-Net",
}
LIMIT = "r > 0.3"
STRONGEST = 2.0
"""SD of the strongest colour."""


def pick_tissue() -> TissueRecord:
    """A select box of the stored tissues, kept in the link, and a way to bring another."""
    records = {record.id: record for record in list_tissues()}
    left, right = st.columns([6, 1.4], vertical_alignment="bottom")
    if right.button("Bring spots", icon=":material/add:", width="stretch"):
        _bring()
    with left:
        names = {id: f"{record.name} · {record.size}" for id, record in records.items()}
        return records[pick("Tissue", list(names), names.__getitem__, "tissue")]


@st.dialog("Bring spots", width="large")
def _bring() -> None:
    bring_spots()


def bring_spots() -> None:
    """The simulated tissue by one click, or files of one's own."""
    if st.button("Load a simulated tissue", help="Ten genes follow the hue, all others the depth."):
        _use(simulate_tissue(), "Simulated tissue")
    table = st.file_uploader(
        "Table of spots", key="tissue spots",
        help="Columns section, patient, x and y (pixels of the image), ids in the first column.",
    )  # fmt: skip
    left, right = st.columns(2)
    counts = left.file_uploader("Counts, with the same ids", key="tissue counts")
    tiles = right.file_uploader(
        "Tiles (.npz or .npy), or one image a section", key="tissue tiles",
        accept_multiple_files=True,
        help="Tiles: uint8 of shape (spots, side, side, 3), in the order of the table. Images are "
        "called as their sections, such as B4.jpg, and at most 500 megapixels large.",
    )  # fmt: skip
    st.caption("Files stay on the computer that runs this app. Nothing is sent anywhere.")
    ready = table is not None and counts is not None and bool(tiles)
    if st.button("Read and store", type="primary", disabled=not ready):
        with errors(), st.spinner("Reading"), scratch() as folder:
            paths = [hold(upload) for upload in tiles]
            own = paths[0] if paths[0].suffix in (".npz", ".npy") else None
            for path in paths if own is None else ():
                (folder / Path(path.name).name).symlink_to(path)
            read = read_tissue(
                [hold(table)], hold(counts), own, None if own else folder
            )  # raises InputError, told in place
            _use(read, table.name.rpartition(".")[0] or table.name)


def _use(tissue: Tissue, name: str) -> None:
    st.query_params["tissue"] = add_tissue(tissue, name).id
    st.rerun()


def ask_question(record: TissueRecord) -> TissueSpec:
    """Who is held out, and what looks at the tiles."""
    first, second, third = st.columns(3, vertical_alignment="bottom")
    start = "patient" if len(record.patients) > 1 else "section"
    with first:
        held_out = ask_field(TissueSpec, "held_out", key=f"held out {record.id[:6]}", default=start)
    with second:
        field = TissueSpec.model_fields["backbone"]
        backbone = st.selectbox(
            field.title, OFFERED, help=field.description, key="tissue network", **HOLDS,
            format_func=lambda name: NAMES[name] if name in NAMES else BACKBONES[name].title,
        )  # fmt: skip
    with third:
        genes = ask_field(TissueSpec, "genes", key="tissue genes")
    more = {} if backbone == NO_NETWORK else _ask_network()
    try:
        return TissueSpec(
            tissue=record.id, held_out=held_out, backbone=backbone, genes=genes, **more
        )
    except ValidationError:
        raise InputError("Correct what is marked above; nothing is computed with it.") from None


def _ask_network() -> dict[str, Any]:
    """Where a network's weights come from, and whether it is trained."""
    weights, symmetric, train, epochs, auxiliary = st.columns(5, vertical_alignment="bottom")
    field = TissueSpec.model_fields["weights"]
    known = ["imagenet", *(f"file:{name}" for name in list_own_weights()), "scratch"]
    found: dict[str, Any] = {
        "weights": weights.selectbox(
            field.title, known, help=field.description, key="tissue weights", **HOLDS,
            format_func=lambda name: NAMES.get(name, name.removeprefix("file:")),
        )
    }  # fmt: skip
    with symmetric:
        found["symmetric"] = ask_field(TissueSpec, "symmetric", key="tissue symmetric")
    with train:
        found["train"] = ask_field(TissueSpec, "train", key="tissue train")
    if found["train"]:
        for name, column in (("epochs", epochs), ("auxiliary", auxiliary)):
            with column:
                found[name] = ask_field(TissueSpec, name, key=f"tissue {name}")
    return found


def is_answered(asked: TissueSpec) -> bool:
    """Whether the answer stands; else offers to compute it, or shows how far it is."""
    state = tissue_state(asked)
    if state.state == "done":
        return True
    if is_working(
        state, partial(tissue_state, asked), "Predicting genes", partial(cancel_tissue, asked)
    ):
        return False
    if st.button("Predict genes", type="primary", key="ask tissue"):
        request_tissue(asked)
        st.rerun()
    st.caption(
        "Each one is left out in turn, and its genes are predicted from its tiles; beside that "
        "from the number of reads without any image, and from shuffled tiles. It takes seconds to "
        "a minute, in a process of its own."
    )
    return False


def show_verdict(answer: TissueAnswer) -> None:
    """The sentence to believe first, what stands beside it, and the bars of all models."""
    first, *others = answer.result.verdict()
    st.markdown(f"#### {escape_markdown(first)}")
    table = scores_table(answer.result)
    left, right = st.columns(2, gap="large")
    with left:
        for line in others:
            st.markdown(escape_markdown(line))
        st.caption(
            "r is Pearson's correlation over the spots of a held-out section; of a gene the median "
            "over sections.", help=define("depth of a spot"),
        )  # fmt: skip
    with right:
        show_figure(
            model_bars(table, LIMIT, TITLES), table, f"models_{answer.result.spec.tissue}",
            alt=f"Genes with {LIMIT} by each model, under all targets",
        )  # fmt: skip
    with st.expander("All models"):
        shown = table.assign(target=table["target"].map(TITLES))
        st.dataframe(shown, hide_index=True, column_config=decimals(shown, "%.2f"))
        st.caption(
            "Genes above each limit; mean r over genes with its 95 % interval over patients, as "
            "patients differ; error: squared error as a share of the training mean's."
        )


def show_genes(answer: TissueAnswer) -> str:
    """The genes, the best predicted first, with search; gives the one that is chosen."""
    st.markdown("##### Genes", help="Search with the magnifier above the table; click a row.")
    table = answer.genes.drop(columns="place")
    event = st.dataframe(
        table, hide_index=True, height=240, key="tissue gene table", on_select="rerun",
        selection_mode="single-row",
        column_config=decimals(table, "%.2f", p="%.2g", p_beyond="%.2g"),
    )  # fmt: skip
    download_table(table, f"genes_{answer.result.spec.tissue}", "All genes (CSV)", key="genes csv")
    rows = event["selection"]["rows"]
    return str(table["gene"].iloc[rows[0] if rows and rows[0] < len(table) else 0])


@st.cache_resource(max_entries=2, show_spinner="Reading the tissue")
def open_tissue(tissue: str) -> Tissue:
    """A stored tissue, kept in memory while it is among the last two looked at."""
    return load_tissue(tissue)


def show_section(record: TissueRecord, answer: TissueAnswer, gene: str) -> None:
    """A section twice: what was measured of a gene, and what was predicted, or the error."""
    st.markdown(f"##### {escape_markdown(gene)} on the tissue")
    first, second, third = st.columns([1, 0.9, 2.4])
    with first:
        section = pick("Section", list(record.sections), str, "section")
    right = second.segmented_control(
        "Right", ["predicted", "error"], default="predicted", required=True, key="tissue right",
    )  # fmt: skip
    target = third.segmented_control(
        "Target", list(TARGETS), default="normalised", required=True, key="tissue target",
        format_func=TITLES.get,
    )  # fmt: skip
    tissue = open_tissue(record.id)
    own = (tissue.spots["section"] == section).to_numpy()
    x, y = (tissue.spots[name].to_numpy(float)[own] for name in ("x", "y"))
    place = int(answer.genes.set_index("gene").loc[gene, "place"])
    measured, predicted = (
        answer.values(what, target)[own, place].astype(float) for what in ("measured", "predicted")
    )
    if np.isnan(measured).all():
        st.caption(
            "The training patients of this section did not choose this gene: it was not predicted "
            "here. Choose another section or gene."
        )
        return
    values = {"measured": measured, "predicted": predicted, "error": predicted - measured}
    r = np.corrcoef(measured, predicted)[0, 1] if np.ptp(predicted) and np.ptp(measured) else 0.0
    width = spacing(np.column_stack([x, y]))
    picture, edges = lay_out(tissue.tiles[own], x, y, width)
    names = tissue.spots.index[own]
    table = pd.DataFrame({"spot": names, "x": x, "y": y, **values})
    for column, what in zip(st.columns(2, gap="medium"), ("measured", right), strict=True):
        with column:
            show_figure(
                section_map(
                    picture, edges, x, y, values[what], names, title=what, limit=STRONGEST,
                    dot=width,
                ),
                table, f"{section}_{gene}_{what}", alt=f"{gene} {what} in section {section}",
                key=f"section {what}",
            )  # fmt: skip
    st.caption(
        f"In this section r = {r:.2f}. In SD of the training spots; the spots were held out. The "
        "picture is put together from the tiles."
    )


def show_tissue(record: TissueRecord) -> None:
    """What was read, and what is doubtful about it."""
    with st.expander("What was read", expanded=bool(record.found)):
        for finding in record.found:
            say_finding(finding)
        st.caption(escape_markdown(" ".join([f"{record.name}: {record.size}.", *record.said])))
