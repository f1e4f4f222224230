"""What the page Histology asks: which spots, who is held out, and what looks at the tiles."""

from functools import partial
from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError
from streamlit.delta_generator import DeltaGenerator

from core.errors import InputError
from core.jobs.launch import answer_state, stop
from core.models.own_weights import list_own_weights, require_own_weights
from core.scratch import scratch
from core.tissue.answers import expected_bytes
from core.tissue.containers import is_visium, read_any_tissue
from core.tissue.job import ask, job_of
from core.tissue.networks import NETWORKS
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import NO_NETWORK, TissueSpec
from core.tissue.spots import Tissue
from core.tissue.store import TissueRecord, add_tissue, list_tissues
from ui.forms import HOLDS, ask_field
from ui.line import close_drawer
from ui.parts import errors, pick
from ui.predict import is_working
from ui.prepare import ask_gene_list
from ui.uploads import hold

LISTED = "tissue genes listed"
"""Where the session keeps a list of genes, which is too long for a link."""
NAMES = {NO_NETWORK: "none: colour and texture", "imagenet": "ImageNet", "scratch": "random"}
WORDS = {"mean": "mean count", "moran": "Moran's I", "as_read": "as it was read",
         "macenko": "as the training patients' (Macenko)", "last": "last epoch",
         "best": "best epoch"}  # fmt: skip


def pick_tissue(missing: DeltaGenerator) -> TissueRecord:
    """A select box of the stored tissues, kept in the link, and a way to bring another.

    Args:
        missing: where it is said that the one of the link isn't there.
    """
    records = {record.id: record for record in list_tissues()}
    names = {id: f"{record.name} · {record.size}" for id, record in records.items()}
    chosen = records[pick("Tissue", list(names), names.__getitem__, "tissue", missing)]
    if st.button("Bring spots", icon=":material/add:", width="stretch", on_click=close_drawer):
        _bring()
    return chosen


@st.dialog("Bring spots", width="large")
def _bring() -> None:
    bring_spots()


def bring_spots() -> None:
    """The simulated tissue by one click, or files of one's own."""
    if st.button("Load a simulated tissue", help="Ten genes follow the hue, all others the depth."):
        _use(simulate_tissue(), "Simulated tissue")
    spots = st.file_uploader(
        "Tables of spots, an h5ad file with places, or Visium sections", key="tissue spots",
        accept_multiple_files=True,
        help="Tables: columns section, patient, x and y (pixels of the image), ids in the first "
        "column; or a table a section, called as it. h5ad as squidpy and scanpy keep it. Visium: "
        "Space Ranger's folders as zip or tar, or its files, such as "
        "NAME_filtered_feature_bc_matrix.h5 and NAME_spatial.tar.gz. With h5ad and Visium nothing "
        "else is needed.",
    )  # fmt: skip
    left, right = st.columns(2)
    counts = left.file_uploader(
        "Counts, with the same ids", key="tissue counts",
        help="Leave them out for sections whose genes shall be predicted.",
    )  # fmt: skip
    tiles = right.file_uploader(
        "Tiles (.npz or .npy), or one image a section", key="tissue tiles",
        accept_multiple_files=True,
        help="Tiles: uint8 of shape (spots, side, side, 3), in the order of the table. Images are "
        "called as their sections, such as B4.jpg. Tiled TIFFs may be of any size.",
    )  # fmt: skip
    st.caption("Files stay on the computer that runs this app. Nothing is sent anywhere.")
    names = [upload.name for upload in spots]
    whole = names and all(name.endswith(".h5ad") or is_visium(name) for name in names)
    if st.button("Read and store", type="primary", disabled=not (whole or (names and tiles))):
        with errors(), st.spinner("Reading"):
            _use(*_read(spots, counts, tiles))


def _read(spots: list[Any], counts: Any, tiles: list[Any]) -> tuple[Tissue, str]:
    """What was uploaded, and what to call it; raises InputError, told in place."""
    with scratch() as folder:
        paths, beside = [hold(upload) for upload in spots], [hold(upload) for upload in tiles]
        own = next((path for path in beside if path.suffix in (".npz", ".npy")), None)
        for path in beside:
            (folder / path.name).symlink_to(path)
        images = folder if beside and own is None else None
        tissue = read_any_tissue(paths, hold(counts) if counts else None, own, images)
        own_name = len(paths) == 1 and not is_visium(paths[0].name)
        return tissue, paths[0].stem if own_name else ", ".join(tissue.sections)


def _use(tissue: Tissue, name: str) -> None:
    st.query_params["tissue"] = add_tissue(tissue, name).id
    st.rerun()


def ask_question(record: TissueRecord) -> TissueSpec:
    """Who is held out, and what looks at the tiles; the rest is in a drawer."""
    first, second, third, last = st.columns([1, 1.4, 0.8, 0.8], vertical_alignment="bottom")
    start = "patient" if len(record.patients) > 1 else "section"
    with first:
        held_out = ask_field(TissueSpec, "held_out", key=f"held out {record.id[:6]}", default=start)
    with second:
        field = TissueSpec.model_fields["backbone"]
        backbone = st.selectbox(
            field.title, [NO_NETWORK, *NETWORKS.names], help=field.description,
            key="tissue network", **HOLDS,
            format_func=lambda name: NAMES[name] if name in NAMES else NETWORKS[name].title,
        )  # fmt: skip
    with third:
        genes = ask_field(TissueSpec, "genes", key="tissue genes")
    with last.popover("More", icon=":material/tune:", width="stretch"):
        more = {name: _ask_choice(name) for name in ("choose", "stain")}
        listed = ask_gene_list("tissue", st.session_state.get(LISTED, ()))
        st.session_state[LISTED] = more["gene_list"] = listed
        if backbone != NO_NETWORK:
            more |= _ask_network()
    try:
        spec = TissueSpec(
            tissue=record.id, held_out=held_out, backbone=backbone, genes=genes, **more
        )
    except ValidationError:
        raise InputError("Correct what is marked above; nothing is computed with it.") from None
    require_own_weights(spec.weights)
    return spec


def _ask_network() -> dict[str, Any]:
    """Where a network's weights come from, and whether it is trained."""
    field = TissueSpec.model_fields["weights"]
    known = ["imagenet", *(f"file:{name}" for name in list_own_weights()), "scratch"]
    found: dict[str, Any] = {
        "weights": st.selectbox(
            field.title, known, help=field.description, key="tissue weights", **HOLDS,
            format_func=lambda name: NAMES.get(name, name.removeprefix("file:")),
        )
    }  # fmt: skip
    for name in ("symmetric", "train"):
        found[name] = ask_field(TissueSpec, name, key=f"tissue {name}")
    if found["train"]:
        found["keep"] = _ask_choice("keep")
        for name in ("epochs", "auxiliary"):
            found[name] = ask_field(TissueSpec, name, key=f"tissue {name}")
    return found


def _ask_choice(name: str) -> str:
    """A select box of a field's options, in words."""
    field = TissueSpec.model_fields[name]
    return st.selectbox(
        field.title, get_args(field.annotation), help=field.description, key=f"tissue {name}",
        format_func=WORDS.get, **HOLDS,
    )  # fmt: skip


def is_answered(asked: TissueSpec) -> bool:
    """Whether the answer stands; else offers to compute it, or shows how far it is."""
    job = job_of(asked)
    state = answer_state(job)
    if state.state == "done":
        return True
    if is_working(state, partial(answer_state, job), "Predicting genes", partial(stop, job)):
        return False
    if st.button("Predict genes", type="primary", key="ask tissue"):
        with errors():
            ask(job)
            st.rerun()
    st.caption(
        "Each one is left out in turn, and its genes are predicted from its tiles; beside that "
        "from the number of reads without any image, and from shuffled tiles. "
        + (
            "Networks are trained for minutes to hours; the work waits its turn in the queue. They "
            f"take up to {expected_bytes(asked) / 1e9:.1f} GB of the disk until the answer is "
            "deleted."
            if asked.train
            else "It takes seconds to minutes, in a process of its own."
        )
    )
    return False
