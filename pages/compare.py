"""Compare: finished runs side by side, beside plain models on the same genes and samples."""

import pandas as pd
import streamlit as st

from core.evaluation.metrics import METRICS, interval
from core.plots.figures import accuracy_dots
from core.runs.compare import compare_runs
from ui.parts import download_table, errors, finished_runs, name_run, show_empty, show_figure


def dots(comparison) -> pd.DataFrame:
    """A row for each network, its logistic regression and chance, with 95 % intervals."""
    rows = []
    for number, run in enumerate(comparison.runs, 1):
        models = (
            (f"{number} · {run.title}", "network", run.metrics),
            (f"{number} · logistic regression", "baseline", run.logistic_regression),
            (f"{number} · largest class", "chance", run.majority),
        )
        for model, kind, scores in models:
            low, high = interval(round(scores["accuracy"] * run.n_test), run.n_test)
            rows.append((model, kind, scores["accuracy"], low, high, run.n_test, run.run))
    columns = ["model", "kind", "accuracy", "low", "high", "n", "run"]
    return pd.DataFrame(rows, columns=columns)


def show_page() -> None:
    """Pick runs, then scores, what differs, and whether the difference is more than luck."""
    records = {record.id: record for record in finished_runs()}
    if not records:
        show_empty("There is no finished run to compare yet.", "Train a network", "train")
        return
    wanted = [run for run in st.query_params.get("runs", "").split(",") if run in records]
    chosen = st.multiselect(
        "Runs", list(records), default=wanted or list(records)[:4],
        format_func=lambda run: name_run(records[run]), key="runs",
    )  # fmt: skip
    if not chosen:
        st.info("Choose at least one run.")
        return
    st.query_params["runs"] = ",".join(chosen)
    comparison = compare_runs(chosen)
    best = max(comparison.runs, key=lambda run: run.metrics["accuracy"])
    gap = 100 * (best.metrics["accuracy"] - best.logistic_regression["accuracy"])
    side = "above" if gap > 0 else "below"
    st.markdown(
        f"#### Best of these single runs: {best.metrics['accuracy']:.1%} on {best.n_test} held-out "
        f"samples, {abs(gap):.1f} points {side} logistic regression on the same genes."
    )
    st.caption(
        "Each row is one run: one seed, one way of splitting. Intervals are Wilson's for the "
        "held-out samples; they don't hold the spread over seeds and splits."
    )
    table = dots(comparison)
    show_figure(accuracy_dots(table), table, "accuracies", alt="Accuracy of each model", key="dots")
    if len({run.n_test for run in comparison.runs}) > 1:
        st.warning("These runs were tested on different samples; small differences mean little.")
    st.markdown("#### Scores and differing settings")
    rows = pd.DataFrame(
        [
            {
                "run": run.run[:6],
                **{name: str(value) for name, value in run.settings.items()},
                "n": run.n_test,
                **{metric.title: run.metrics[metric.name] for metric in METRICS},
                "Accuracy, logistic regression": run.logistic_regression["accuracy"],
                "seconds": round(run.seconds),
            }
            for run in comparison.runs
        ]
    )
    st.dataframe(rows.style.format(precision=3), hide_index=True)
    download_table(rows, "comparison", "CSV", key="comparison")
    if comparison.differences:
        st.markdown("#### Differences in accuracy")
        pairs = pd.DataFrame(
            [
                {"first": pair.a[:6], "second": pair.b[:6], "points": pair.points,
                 "exact McNemar p": pair.p, "meaning": pair.note}
                for pair in comparison.differences
            ]
        )  # fmt: skip
        st.dataframe(pairs.style.format(precision=3), hide_index=True)
        download_table(pairs, "differences", "CSV", key="differences")


st.title("Compare")
with errors():
    show_page()
