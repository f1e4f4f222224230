"""Predict: a finished model meets samples of another cohort, and says what it does not know."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.store import list_datasets
from core.predict.model import Model
from core.predict.predicting import Prediction
from core.predict.request import PredictRequest
from ui.bring import show_upload
from ui.line import Line, close_drawer, say_facts, show_line, show_looking
from ui.parts import download_table, errors, link_run, place_chart, show_empty
from ui.predict import (
    ask_for_model,
    is_matched,
    is_predicted,
    list_models,
    mending_model,
    open_model,
    pick_model,
    read_match,
    read_prediction,
    say_sender,
    take_model,
)
from ui.predict_ask import ask_for_file, ask_request, pick_samples, say_cohort, use_samples
from ui.predict_calls import show_samples, show_summary
from ui.predict_card import show_match, show_values
from ui.predict_earlier import read_or_mend, show_earlier
from ui.predict_effect import show_effect
from ui.predict_export import show_export
from ui.predict_map import show_map
from ui.predict_retrain import offer_training
from ui.predict_robustness import show_robustness
from ui.predict_truth import show_truth
from ui.predict_why import show_agreement
from ui.report import offer_prediction_report

VIEWS = {
    "samples": "Each sample",
    "map": "Map",
    "genes": "Genes",
    "truth": "How right are they?",
}


def show_page() -> None:
    """The question and its answer; what was asked before, what the model stands, sending it."""
    models = list_models()
    line = show_line("Predict", "Model and samples" if models else None)
    if not models:
        show_empty("There is no finished run to predict with yet.", "Train a network", "train")
        with st.expander("Or bring a model that somebody sent"):
            take_model()
        return
    with line.drawer:
        chosen = pick_model(models, line.missing)
        if st.button("Bring a model", icon=":material/add:", on_click=close_drawer):
            ask_for_model()
    with mending_model(chosen):
        show_model(open_model(chosen), models[chosen], line)


def show_model(model: Model, name: str, line: Line) -> None:
    """What a model is asked, its answer, and what else can be done with it."""
    say_sender(model)
    if not list_datasets():
        st.markdown("## Bring the samples")
        show_upload(use_samples)
        return
    with line.drawer:
        record = pick_samples(model.spec.cohort.dataset, line.missing)
        if st.button("Bring samples", icon=":material/add:"):
            ask_for_file()
    own = record.id == model.spec.cohort.dataset
    say_facts(
        line.facts, name,
        f"on {record.name}, {record.samples:,} samples" + (", from which it comes" if own else ""),
    )  # fmt: skip
    picture, question = place_chart()
    with question:
        asked = ask_request(model, record)
        say_cohort(asked.cohort, record)
    with errors():
        show_answer(asked, model, picture)
    show_earlier(model)
    show_robustness(model)
    show_export(model)
    if not model.sent:
        link_run(model.id)


def show_answer(asked: PredictRequest, model: Model, picture: DeltaGenerator) -> None:
    """Whether the model fits, with a picture of the values; then, on request, its calls."""
    with picture:
        if not is_matched(asked):
            return
    card = read_or_mend(read_match, asked)
    if card is None:
        return
    with picture:
        show_values(card)
    show_match(card)
    offer_training(asked, model, card)
    if card.refused:
        st.caption("Nothing is called: put right first what stands above.")
        return
    st.divider()
    if is_predicted(asked):
        found = read_or_mend(read_prediction, asked)
        if found is not None:
            show_calls(found, asked, model)


def show_calls(found: Prediction, asked: PredictRequest, model: Model) -> None:
    """The cohort as a whole, then each sample, the map, and how right the calls are."""
    show_summary(found, model)
    show_effect(asked, model)
    known = asked.cohort.label is not None
    views = [name for name in VIEWS if known or name != "truth"]
    wanted = st.query_params.get("view")
    view = st.segmented_control(
        "View", views, default=wanted if wanted in views else "samples", required=True,
        format_func=VIEWS.get, key="predict view", label_visibility="collapsed",
    )  # fmt: skip
    st.query_params["view"] = view
    with errors():
        if view == "samples":
            show_samples(found, asked, model)
        elif view == "map":
            show_map(found, model)
        elif view == "genes":
            show_agreement(found, model)
        else:
            show_truth(found, model)
    with st.container(horizontal=True):
        download_table(found.calls, f"calls_{asked.key}", "All calls (CSV)", key="calls csv")
        offer_prediction_report(asked)


with errors():
    if not show_looking("Predict", "Other samples are predicted in a home of your own."):
        show_page()
