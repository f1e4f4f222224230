"""A run that would fit these samples better: what-ifs of the model's own run."""

import streamlit as st

from core.data.store import load_dataset
from core.predict.genes import shared_genes
from core.predict.matching import MatchCard
from core.predict.model import Model
from core.predict.request import PredictRequest
from core.runs.store import RunStore
from ui.whatif import offer_quantiles, offer_shared


def offer_training(asked: PredictRequest, model: Model, card: MatchCard) -> None:
    """Buttons that train the model's run again so that it fits these samples better."""
    if model.sent or model.spec.cohort.dataset == asked.cohort.dataset:
        return

    def shared() -> list[str]:
        data = asked.cohort.select(load_dataset(asked.cohort.dataset))
        return shared_genes(model.folds[0].preprocessor.all_genes, data)

    record = RunStore().get(model.id)
    with st.container(horizontal=True):
        if card.missing and card.found:
            offer_shared(record, shared, key="ask shared genes")
        if model.spec.preparation.across == "none":
            offer_quantiles(record, key="ask quantiles")
