"""A study on the Compare page: published figures, cost beside benefit, learning curves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.compare.learning_curve import LearningCurve, measure_curves
from core.compare.published import SOURCES, list_published, put_beside_published
from core.compare.records import HEADLINE_BASELINE, Comparison
from core.evaluation.metrics import Metric
from core.plots.compare import cost_dots, learning_curves
from core.runs.outcome import DRAWS_BY_NAME, NETWORK, Outcome
from ui.parts import download_table, escape_markdown, show_figure

SHOWN_COSTS = 12
"""The chart of costs shows at most so many networks; its CSV has all."""
PERCENT = st.column_config.NumberColumn(format="percent")


def show_published(comparison: Comparison) -> None:
    """The study's own accuracies beside those that others published.

    Args:
        comparison: of the accuracy.
    """
    table = put_beside_published(comparison)
    if len(table):
        st.markdown("#### Published figures beside these")
        st.warning(
            "Other samples, other genes, other splits: the published figures say what was reached "
            "elsewhere, not which method is better."
        )
        sources = [source.name for source in SOURCES if source.name in table]
        shown = table.rename(
            columns={"accuracy": "these runs", "low": "from", "high": "to"}
            | {name: f"{name} (other samples)" for name in sources}
        )
        shares = ["these runs", "from", "to", *(f"{name} (other samples)" for name in sources)]
        st.dataframe(
            shown, hide_index=True, column_config=dict.fromkeys(shares, PERCENT), key="published"
        )
        download_table(table, "beside_published", "CSV", key="published csv")
    st.markdown("#### Accuracies that others published for gene-images")
    st.dataframe(list_published(), hide_index=True, column_config={"accuracy": PERCENT})
    st.caption(
        "Figures with their sources, of other samples, other genes and other splits. None of them "
        "tells with which augmentation."
    )


def show_cost(comparison: Comparison, metric: Metric) -> None:
    """What each network costs, beside what it reaches."""
    intervals = {run.run: run.interval for run in comparison.runs}
    rows = []
    for setup in comparison.setups:
        if not setup.runs:
            continue
        limits = (setup.low, setup.high)
        if setup.low is None and len(setup.runs) == 1:
            limits = intervals[setup.runs[0]] or limits
        rows.append((setup.name, setup.kind, setup.mean, *limits, setup.seconds,
                     None if setup.peak_bytes is None else setup.peak_bytes / 1e9,
                     setup.parameters))  # fmt: skip
    columns = ["model", "kind", "score", "low", "high", "seconds", "gigabytes", "parameters"]
    table = pd.DataFrame(rows, columns=columns).astype(
        {"low": float, "high": float, "gigabytes": float}
    )
    table = table.sort_values("score", ascending=metric.best < metric.worst, kind="stable")
    st.markdown("#### Cost beside benefit")
    plain = max(
        (s for s in comparison.setups if s.kind == "baseline" and s.model == HEADLINE_BASELINE),
        key=lambda setup: setup.splits,
        default=None,
    )
    show_figure(
        cost_dots(table.head(SHOWN_COSTS), metric.title, percent=metric.is_share,
                  plain=None if plain is None else plain.mean),
        table, "cost", alt=f"{metric.title} of each network against seconds, memory and parameters",
        key="cost",
    )  # fmt: skip
    st.caption(
        "Seconds are those of the machine that trained, with whatever else it did at the time."
        + (f" The best {SHOWN_COSTS} of {len(table)}; the CSV has all."
           if len(table) > SHOWN_COSTS else "")
    )  # fmt: skip


def show_wins(comparison: Comparison) -> None:
    """How often each network is the best when patients and seeds are drawn anew."""
    rows = [(setup.name, setup.first) for setup in comparison.setups if setup.first is not None]
    if not rows:
        return
    winners = pd.DataFrame(rows, columns=["model", "is the best"])
    winners = winners.sort_values("is the best", ascending=False, kind="stable")
    st.markdown("#### How often each network wins")
    st.dataframe(
        winners, hide_index=True,
        column_config={
            "is the best": st.column_config.ProgressColumn(
                format="percent", min_value=0.0, max_value=1.0
            )
        },
    )  # fmt: skip
    st.caption(
        f"Of {DRAWS_BY_NAME} draws with patients and seeds drawn anew: in how many a network's "
        "mean is the highest. A best network that seldom wins is the best of these splits only."
    )
    download_table(winners, "wins", "CSV", key="wins")


@st.cache_data(max_entries=20, show_spinner="Fitting learning curves")
def read_curves(key: str, metric: str, _outcomes: list[Outcome]) -> list[LearningCurve]:
    """The learning curves among these runs."""
    return measure_curves(_outcomes, metric)


def show_curves(key: str, outcomes: Sequence[Outcome], metric: Metric) -> None:
    """Scores over the number of training samples, and what more of them would bring."""
    curves = read_curves(key, metric.name, list(outcomes))
    if not curves:
        return
    st.markdown("#### Learning curve")
    plain = "Logistic regression" if len(curves) == 2 else "Logistic regression beside {}"
    named = [
        (curve.name if curve.model == NETWORK else plain.format(curve.name), curve)
        for curve in curves
    ]
    data = pd.concat(
        [
            table.assign(model=name, kind=kind)
            for name, curve in named
            for kind, table in (("measured", curve.points), ("law", curve.curve))
        ]
    )
    show_figure(
        learning_curves([(name, c.points, c.curve) for name, c in named], metric.title,
                        percent=metric.is_share),
        data, "learning_curve", alt=f"{metric.title} by number of training samples",
        key="learning curve",
    )  # fmt: skip
    for name, curve in named:
        st.markdown(escape_markdown(f"{name}: {say_twice(curve, metric)}"))
    st.caption(
        "An inverse power law with a floor, fitted to the measured points. The range holds the "
        "luck of the test patients and seeds, if the law goes on beyond the measured sizes, which "
        "nobody knows. It does not hold the luck of which training samples were taken."
    )


def say_twice(curve: LearningCurve, metric: Metric) -> str:
    """What twice as many training samples are expected to bring, in a sentence."""
    now, twice = curve.at(1), curve.at(2)
    form = "{:.1%}" if metric.is_share else "{:.3f}"
    said = [form.format(value) for value in (now["score"], twice["score"], *twice[["low", "high"]])]
    n = int(np.round(twice["n_train"]))
    return (
        f"{said[0]} with {n // 2} training samples by the curve; with {n}, {said[1]} expected "
        f"(95 % range {said[2]} to {said[3]})."
    )
