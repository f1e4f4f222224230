"""On the page Histology: genes of sections without counts, and from there to gene-images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData

from core.escape import escape_markdown
from core.jobs.launch import answer_state, stop
from core.plots.tissue import section_map
from core.tissue.job import PredictTissueJob, ask
from core.tissue.predicting import (
    EXPERIMENTAL,
    Prediction,
    add_predicted,
    load_prediction,
    prediction_as_anndata,
)
from core.tissue.result import TissueAnswer
from core.tissue.spots import lay_out, spacing
from core.tissue.store import TissueRecord, list_tissues
from ui.download import download_button
from ui.parts import errors, go_to, pick, show_figure
from ui.predict import is_working
from ui.spot_tile import show_tile_under_pointer
from ui.tissue_about import about_other
from ui.tissue_section import STRONGEST, open_tissue


def show_other_sections(answer: TissueAnswer, gene: str) -> None:
    """A closed part: other stored spots, what is said of their genes, files, a dataset."""
    asked = answer.result.spec
    with st.expander("Predict another section", on_change="rerun", key="other sections") as part:
        if not part.open:
            return
        others = {r.id: r for r in list_tissues() if r.id != asked.tissue}
        if not others:
            st.caption(
                "Bring other sections first (the drawer above): spots with places and tiles, with "
                "or without counts."
            )
            return
        with errors():
            id = pick("Sections", list(others), lambda id: others[id].name, "sections")
            _show_prediction(answer, others[id], gene)


def _show_prediction(answer: TissueAnswer, record: TissueRecord, gene: str) -> None:
    job = PredictTissueJob(asked=answer.result.spec, section=record.id)
    state = answer_state(job)
    if state.state != "done":
        if not is_working(state, partial(answer_state, job), "Predicting", partial(stop, job)):
            st.button("Predict its genes", key="predict sections", on_click=ask, args=(job,))
        return
    found = load_prediction(job.asked, record.id)
    for line in found.doubts():
        st.warning(escape_markdown(line))
    st.caption(
        f"{len(found.values):,} spots, {len(found.genes)} genes; the mean over the models of all "
        f"folds. {escape_markdown(answer.result.verdict()[0])}"
    )
    if gene in found.genes:
        _show_map(record, found, gene)
    else:
        st.caption(f"{escape_markdown(gene)} is not among the predicted genes.")
    _offer(record, found, job)


def _show_map(record: TissueRecord, found: Prediction, gene: str) -> None:
    """A gene over one of the sections, as SD of its own spots."""
    tissue = open_tissue(record.id)
    section = pick("Section", list(record.sections), str, "other section")
    own = (tissue.spots["section"] == section).to_numpy()
    x, y = (tissue.spots[name].to_numpy(float)[own] for name in ("x", "y"))
    values = found.values[own, list(found.genes).index(gene)].astype(float)
    shown = (values - values.mean()) / (values.std() or 1)
    names, tiles = tissue.spots.index[own], tissue.tiles[own]
    width = spacing(np.column_stack([x, y]))
    picture, edges = lay_out(tiles, x, y, width)
    table = pd.DataFrame({"spot": names, "x": x, "y": y, "predicted": values, "SD": shown})
    left, right = st.columns(2)
    with left:
        show_figure(
            section_map(
                picture, edges, x, y, shown, names, title=f"{gene}, predicted", limit=STRONGEST,
                dot=width,
            ),
            table, f"{section}_{gene}_predicted", key="other map",
            alt=f"{gene} predicted in section {section}, which nobody measured here, in SD of its "
            f"{len(x)} spots.", about=about_other(gene, len(x)),
        )  # fmt: skip
    with right:
        show_tile_under_pointer(record.id, section, tiles, names, key="other tile")


def _offer(record: TissueRecord, found: Prediction, job: PredictTissueJob) -> None:
    """The file, and the way to gene-images and models."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offer_h5ad(
            lambda: prediction_as_anndata(found, open_tissue(record.id)),
            f"predicted_{record.id[:6]}", key="other h5ad",
        )  # fmt: skip
        by = st.segmented_control(
            "A sample each", ["section", "spot"], default="section", required=True, key="sample by"
        )
        if st.button(
            "Keep as a dataset", key="keep predicted", icon=":material/science:",
            help="Experimental: gene-images are painted of predicted expression, and a model of "
            "tumour types can be asked about it on the page Predict, where its match card comes "
            "first and “none of these” is an answer. Only the predicted genes are in it.",
        ):  # fmt: skip
            kept = add_predicted(job.asked, record.id, by)
            st.session_state["predicted dataset"] = kept.id
        kept = st.session_state.get("predicted dataset")
        if kept and st.button("Ask a model →", key="ask model of predicted", type="tertiary"):
            go_to("predict", {"samples": kept[:12]})
    st.caption(f"Its name says “{EXPERIMENTAL}”. Nothing of this was measured.")


def offer_h5ad(make: Callable[[], AnnData], name: str, *, key: str) -> None:
    """A button that saves what is made as h5ad."""

    def write() -> bytes:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "data.h5ad"
            make().write_h5ad(path)
            return path.read_bytes()

    download_button("h5ad", write, f"{name}.h5ad", "application/x-hdf5", key=key, on_click="ignore")
