"""One run on the Compare page: its calibration, classes and confusion."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.compare.batches import Batches, score_batches
from core.compare.detail import Detail, list_values, look_closely, name_model
from core.escape import escape_markdown
from core.evaluation.differences import say_verdict
from core.evaluation.metrics import Metric
from core.glossary import define
from core.plots.compare import confusion_grid, reliability_diagram
from core.plots.findings import say_confusion, say_reliability
from core.plots.runs import observed_against_predicted
from core.runs.outcome import Outcome
from ui.about import about_confusion, about_observed, about_reliability
from ui.compare_scores import show_downloads
from ui.kept import cache_resource
from ui.parts import decimals, find_runs, link_run, name_runs, show_figure


def show_run(outcomes: list[Outcome], metric: Metric, place: DeltaGenerator) -> None:
    """One run's calibration, classes and confusion; and each batch that it held out.

    Args:
        outcomes: the runs of which one is looked at.
        metric: the score of its batches.
        place: where the run and one of its models are chosen.
    """
    by_id = {outcome.run: outcome for outcome in outcomes}
    left, right = place.columns(2)
    wanted = st.query_params.get("detail")
    run = left.selectbox(
        "Run", list(by_id), key="detail", persist_state="session",
        index=list(by_id).index(wanted) if wanted in by_id else 0,
        format_func=name_runs(find_runs(by_id)).get, label_visibility="collapsed",
    )  # fmt: skip
    st.query_params["detail"] = run
    outcome = by_id[run]
    models = [name for name in outcome.proba if name != outcome.task.floor]
    model = right.selectbox(
        "Model", models, persist_state="session",
        key="model" if outcome.task.has_classes else "model of a number",
        format_func=lambda name: name_model(name, outcome.task), label_visibility="collapsed",
    )  # fmt: skip
    if outcome.task.has_classes:
        show_classes(outcome, model, read_detail(run, model, outcome))
    else:
        show_values(list_values(outcome, model), outcome.result.classes[0])
    if outcome.spec.split.kind == "leave_one_batch_out":
        show_batches(read_batches(run, metric.name, outcome), outcome, metric)
    link_run(run)


def show_classes(outcome: Outcome, model: str, detail: Detail) -> None:
    """Which classes a model takes for which, how sure it is of them, and how many it finds."""
    left, right = st.columns(2, gap="large")
    with left:
        chart = st.container()
        percent = st.segmented_control(
            "Cells", ["samples", "row percent"], default="samples", key="cells",
            persist_state="session", label_visibility="collapsed",
        )  # fmt: skip
        counts = detail.confusion.set_index("true")
        with chart:
            show_figure(
                confusion_grid(counts.to_numpy(), list(counts), percent=percent == "row percent"),
                detail.confusion, "confusion", key="confusion",
                alt=say_confusion(counts.to_numpy(), list(counts)),
                about=about_confusion(int(counts.to_numpy().sum()), "held-out samples"),
            )  # fmt: skip
        st.markdown(escape_markdown(detail.confused))
        st.caption("Classes that are often confused stand side by side.")
    with right:
        show_figure(
            reliability_diagram(detail.bins),
            pd.concat(detail.bins, names=["model", "bin"]).reset_index(),
            "reliability", key="reliability",
            alt=say_reliability(detail.bins),
            about=about_reliability(int(counts.to_numpy().sum()), "held-out samples"),
        )  # fmt: skip
        error = outcome.scores(model)["calibration_error"]
        st.caption(
            f"Calibration error {error:.3f}. Below the diagonal: overconfident.",
            help=define("overconfident"),
        )
    classes = detail.classes.rename(columns={"recall_low": "from", "recall_high": "to", "f1": "F1"})
    st.dataframe(classes, hide_index=True, column_config=decimals(classes))
    st.caption("Recall with its 95 % Wilson interval, from and to.")
    show_downloads(classes, "classes")
    if detail.pooled:
        st.caption(
            "One vote per patient and class, from the mean of the samples' probabilities: "
            f"accuracy {detail.pooled['accuracy']:.1%}, balanced accuracy "
            f"{detail.pooled['balanced_accuracy']:.1%}."
        )


def show_batches(found: Batches, outcome: Outcome, metric: Metric) -> None:
    """Each batch that was held out, and what the network gains on average."""
    plain = name_model(found.reference, outcome.task)
    column = escape_markdown(outcome.spec.split.batch)
    st.markdown(f"## Each {column} held out in turn")
    if found.difference is not None:
        difference, points = found.difference, metric.points
        low, high = (points * limit for limit in difference.interval())
        verdict = say_verdict(low > 0 or high < 0, f"p = {difference.p:.2g}")
        phrase = outcome.task.baselines[found.reference].phrase
        st.markdown(
            f"{metric.title} of the network minus that of {phrase}: {points * difference.mean:+.1f}"
            f"{metric.unit} (95 % interval {low:+.1f} to {high:+.1f}), which {verdict}. It is the "
            f"mean over {difference.splits}, of which each counts once, however large it is."
        )
    table = found.table.rename(
        columns={
            "batch": outcome.spec.split.batch, "low": "from", "high": "to", found.reference: plain,
            "inside": "inside the others",
        }
    )  # fmt: skip
    st.dataframe(table, hide_index=True, column_config=decimals(table))
    st.caption(
        f"{metric.title} of the network with its 95 % interval over patients, from and to. Inside "
        "the others: its accuracy on validation samples of the batches that it learned from."
    )
    show_downloads(table, "batches")


def show_values(table: pd.DataFrame, target: str) -> None:
    """Predicted against observed values, and the samples with the largest errors."""
    left, right = st.columns(2, gap="large")
    with left:
        show_figure(
            observed_against_predicted(table, target), table, "observed_predicted",
            alt=f"Predicted against observed {target}", key="observed predicted",
            about=about_observed(len(table), "held-out samples"),
        )  # fmt: skip
    with right:
        st.markdown("## Largest errors")
        st.dataframe(table, hide_index=True, column_config=decimals(table), height=400)
        show_downloads(table, "errors")


@cache_resource(max_entries=64, show_spinner=False)
def read_batches(run: str, metric: str, _outcome: Outcome) -> Batches:
    """Each batch that a finished run held out."""
    return score_batches(_outcome, metric)


@cache_resource(max_entries=64, show_spinner=False)
def read_detail(run: str, model: str, _outcome: Outcome) -> Detail:
    """One model of a finished run, whichever score is chosen above."""
    return look_closely(_outcome, model)
