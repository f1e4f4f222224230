"""Sending a model to somebody: the run as a model folder, to be saved as one file."""

from functools import partial

import streamlit as st

from core.predict.exporting import export_path, export_state, request_export
from core.predict.model import Model
from ui.download import download_button
from ui.predict import is_working


def show_export(model: Model) -> None:
    """A closed part of the page: what is in the file, and the button that saves it."""
    with st.expander("Send this model to somebody", on_change="rerun", key="export") as part:
        if not part.open:
            return
        if model.sent:
            st.caption("This model was sent to you. Pass on the file that it came as.")
            return
        st.markdown(
            "A zip file with the networks, their genes and what they must know of their samples, "
            "as tables, JSON and safetensors: no ids and no expression of any sample. Others "
            "bring it on their page Predict. Its README.md is the model card; **write its licence "
            "there** before you pass it on."
        )
        state = export_state(model.id)
        if state.state == "done":
            download_button(
                "Save the model (zip)", export_path(model.id).read_bytes(),
                f"model_{model.id[:6]}.zip", "application/zip", key="save model",
                on_click="ignore",
            )  # fmt: skip
            return
        if is_working(state, partial(export_state, model.id), "Writing the model"):
            return
        if st.button("Make the file", key="ask export"):
            request_export(model.id)
            st.rerun()
