"""Calls beside what the samples are known to be: scores, the test, confusion and calibration."""

import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.glossary import define
from core.plots.compare import confusion_grid, reliability_diagram
from core.plots.findings import say_confusion, say_observed, say_reliability
from core.plots.runs import observed_against_predicted
from core.predict.labelled import Scores
from core.predict.model import Model
from core.predict.predicting import Prediction
from core.predict.words import (
    confusion_table,
    describe_scores,
    reliability_tables,
    say_left_out,
    score_table,
    value_table,
)
from ui.about import about_confusion, about_observed, about_reliability
from ui.parts import decimals, download_table, show_figure


def show_truth(found: Prediction, model: Model) -> None:
    """How right the calls are, where it is known."""
    scores = found.summary.scores
    st.markdown("## How right are they?")
    if scores is None:
        st.caption("Too few of the samples are known to be of a class that the model has.")
        return
    st.markdown(escape_markdown(describe_scores(scores, model.task)))
    for sentence in say_left_out(scores):
        st.caption(escape_markdown(sentence))
    table = score_table(scores)
    st.dataframe(table, hide_index=True, key="predicted scores", column_config=decimals(table))
    st.caption("Inside: the same score on the samples that the model's own run held out.")
    download_table(table, "predicted_scores", "Save CSV", key="scores csv", type="tertiary")
    if model.task.has_classes:
        _show_confusion(found, model, scores)
    else:
        values = value_table(found.calls)
        show_figure(
            observed_against_predicted(values, model.classes[0]), values, "observed_predicted",
            alt=say_observed(values["true"], values["predicted"], model.classes[0]),
            about=about_observed(len(values), "samples whose value is known"),
        )  # fmt: skip


def _show_confusion(found: Prediction, model: Model, scores: Scores) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("### What was taken for what")
        counts = confusion_table(scores, model.classes)
        show_figure(
            confusion_grid(counts.to_numpy(), list(counts), percent=False),
            counts.rename_axis("true").reset_index(), "predicted_confusion",
            alt=say_confusion(counts.to_numpy(), list(counts)),
            about=about_confusion(int(counts.to_numpy().sum()), "samples whose class is known"),
        )  # fmt: skip
        st.caption("Classes that no sample is of, or was called, are left out.")
    with right:
        st.markdown("### Are they as sure as they are right?")
        bins = reliability_tables(found.calls, model.classes)
        show_figure(
            reliability_diagram(bins),
            pd.concat(bins, names=["model", "bin"]).reset_index(), "predicted_reliability",
            alt=say_reliability(bins),
            about=about_reliability(
                int(counts.to_numpy().sum()), "samples whose class is known"
            ),
        )  # fmt: skip
        st.caption("Below the diagonal: overconfident.", help=define("overconfident"))
