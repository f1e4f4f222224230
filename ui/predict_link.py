"""The address that brings a view of the page Predict back."""

import json

import streamlit as st

from core.data.cohort import Cohort
from core.predict.request import PredictRequest
from ui.parts import go_to

LINKED = ("label", "group", "where", "merge")
"""Fields of the cohort that stand in the link."""
OPENED = "views opened"
"""How many views this session has opened from a list: the form then begins anew, from the link."""


def describe_cohort(cohort: Cohort) -> str:
    """What was asked about the samples, as it stands in the link."""
    said = {name: value for name in LINKED if (value := getattr(cohort, name))}
    return json.dumps(said, ensure_ascii=False)


def open_view(asked: PredictRequest, sample: str | None = None) -> None:
    """Lead to what a model says of some samples, or of one of them, as it was asked."""
    st.session_state[OPENED] = form_number() + 1
    link = {
        "run": asked.model,
        "samples": asked.cohort.dataset[:12],
        "cohort": describe_cohort(asked.cohort),
        "together": asked.together,
    }
    if asked.two_groups:
        link["two_groups"] = "yes"
    if sample is not None:
        link["sample"] = sample
    go_to("predict", link)


def form_number() -> int:
    """Part of the keys of the form's widgets."""
    return st.session_state.get(OPENED, 0)
