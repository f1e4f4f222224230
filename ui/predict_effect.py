"""What bringing cohorts together did: the ways that were computed, side by side."""

import pandas as pd
import streamlit as st

from core.evaluation.metrics import METRICS
from core.predict.model import Model
from core.predict.predicting import prediction_state, request_prediction
from core.predict.request import PredictRequest
from core.predict.together import TOGETHER
from ui.parts import decimals, download_table, percents
from ui.predict import read_prediction

PLAIN = "none"


def show_effect(asked: PredictRequest, model: Model) -> None:
    """A row for each way that was computed; where None is missing, a button that computes it."""
    ways = {name: asked.model_copy(update={"together": name}) for name in TOGETHER.names}
    states = {name: prediction_state(way).state for name, way in ways.items()}
    done = [name for name, state in states.items() if state == "done"]
    if asked.together != PLAIN and PLAIN not in done:
        st.caption(
            f"{TOGETHER[asked.together].title} changed the values. Whether that helped can only be "
            "told beside the calls of unchanged values."
        )
        if states[PLAIN] == "working":
            st.caption("They are being computed; see Work.")
        elif st.button("Compute them without", key="ask none"):
            request_prediction(ways[PLAIN])
            st.rerun()
        return
    if len(done) < 2:
        return
    st.markdown("## What bringing the cohorts together did")
    table = effect_table({name: ways[name] for name in done}, model)
    st.dataframe(
        table, hide_index=True, key="together effects",
        column_config=decimals(table) | {
            name: percents()
            for name in ("unlike training", "called otherwise than with none", "as linear model")
        },
    )  # fmt: skip
    download_table(table, "together", "Save CSV", key="together csv", type="tertiary")
    if model.task.has_classes:
        st.caption(
            "Fewer samples that look unlike training is no proof that a way is right: it moves "
            "samples of no known class towards training as well. Only known classes tell."
        )


def effect_table(ways: dict[str, PredictRequest], model: Model) -> pd.DataFrame:
    """A row a way: share unlike training, calls that changed, scores of known samples."""
    plain = read_prediction(ways[PLAIN]).calls.set_index("sample")["called"]
    metric, rows = METRICS[model.task.first_metric], []
    for name, way in ways.items():
        found = read_prediction(way)
        summary, calls = found.summary, found.calls.set_index("sample")["called"]
        row = {"brought together": TOGETHER[name].title,
               "unlike training": summary.flagged / summary.n}  # fmt: skip
        if model.task.has_classes:
            row["called otherwise than with none"] = float((calls != plain[calls.index]).mean())
            row["as linear model"] = summary.agreement
        if summary.scores:
            for score in summary.scores.scores:
                if score.metric == metric.name:
                    words = "network" if score.model == "network" else "tuned linear model"
                    row[f"{metric.title.lower()}, {words}"] = score.value
        rows.append(row)
    return pd.DataFrame(rows)
