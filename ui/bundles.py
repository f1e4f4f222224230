"""Bundles on pages: a story or a run to take along, and one that somebody sent."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import streamlit as st

from core.bundle import export_bundle, import_bundle
from core.data.store import get_record
from core.errors import InputError
from core.escape import escape_markdown
from core.jobs.record import JobState
from core.predict.exporting import export_state, request_export
from core.runs.store import RunRecord
from ui.download import download_button
from ui.parts import errors
from ui.pin import LAST
from ui.predict import is_working
from ui.uploads import hold


def offer_run_bundle(record: RunRecord) -> None:
    """A button that saves a finished run, with its names and notes, for another computer."""
    if record.state != JobState.DONE:
        return
    with st.popover("Bundle (zip)", icon=":material/folder_zip:", on_change="rerun") as opened:
        if not opened.open:
            return
        st.markdown(
            "This run for another computer: its networks, scores, name, notes and tags. There it "
            "is taken on the page Story."
        )
        with errors():
            _offer_file(record)


def _offer_file(record: RunRecord) -> None:
    state = export_state(record.id)
    if is_working(state, partial(export_state, record.id), "Writing the model"):
        return
    if state.state != "done":
        if st.button("Make the file", key="ask bundle"):
            request_export(record.id)
            st.rerun()
        return
    dataset = record.spec.cohort.dataset
    try:
        size = get_record(dataset).bytes / 1e6
        words = f"With its dataset ({size:,.1f} MB), all its samples and their groups"
        along = st.checkbox(words, True, key="bundle dataset")
    except InputError:
        st.caption("Its dataset is gone, so that it can't go along.")
        along = False
    download_button(
        "Save the bundle", lambda: read_bundle(runs=[record.id], datasets=[dataset] * along),
        f"run_{record.id[:6]}.zip", "application/zip", on_click="ignore", key="run bundle",
    )  # fmt: skip


def offer_story_bundle(story: str) -> None:
    """A button that saves a story for another computer."""
    download_button(
        "Bundle (zip)", lambda: read_bundle(stories=[story]), f"story_{story[:6]}.zip",
        "application/zip", on_click="ignore", icon=":material/folder_zip:", key="bundle",
        help="This story for another computer. Runs have a bundle of their own on their page; "
        "all together: `genecanvas bundle`.",
    )  # fmt: skip


def read_bundle(**named: list[str]) -> bytes:
    """A bundle of what is named, as `export_bundle` takes it."""
    with TemporaryDirectory() as folder:
        return export_bundle(Path(folder) / "bundle.zip", **named).read_bytes()


def offer_taking(on_click: Callable[[], None] | None = None) -> None:
    """The button that takes what somebody sent; a drawer that it stands in is closed by it."""
    if st.button("Take a bundle", icon=":material/upload:", on_click=on_click):
        _take_bundle()


@st.dialog("Take a bundle")
def _take_bundle() -> None:
    """Check a bundle that is uploaded, and keep what is in it."""
    st.markdown(
        "A zip file that somebody wrote here or with `genecanvas bundle`. Its parts are checked, "
        "and nothing that is here is overwritten."
    )
    upload = st.file_uploader("Bundle (zip)", type="zip", key="bundle file")
    if upload is None:
        return
    with errors(), st.spinner("Checking the bundle"):
        found = import_bundle(hold(upload))
        for id, name in found.missing.items():
            st.toast(escape_markdown(f"The dataset {name} ({id[:12]}) is not here."))
        for kind, page in (("models", "Predict"), ("datasets", "Data")):
            if kept := getattr(found, kind):
                st.toast(f"{len(kept)} of its {kind} stand on the page {page}.")
        if found.stories:
            st.query_params["id"] = st.session_state[LAST] = found.stories[0]
        st.rerun()
