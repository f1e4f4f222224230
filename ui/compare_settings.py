"""Settings on the Compare page: one against another, what each does, and learning curves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.compare.effects import cross_settings, measure_effects
from core.compare.learning_curve import LearningCurve, measure_curves
from core.compare.records import REPEATS
from core.compare.settings import split_settings
from core.escape import escape_markdown
from core.evaluation.differences import LEVEL
from core.evaluation.metrics import Metric
from core.glossary import define
from core.plots.compare import effect_dots, learning_curves, score_grid
from core.runs.outcome import NETWORK, Outcome
from core.runs.spec import setting_title
from core.training.tasks import Task
from ui.about import About
from ui.kept import cache_data
from ui.parts import place_chart, show_figure


def show_grid(outcomes: list[Outcome], metric: Metric, headline: str) -> None:
    """Two settings against each other, and what each level does, averaged over the rest.

    Args:
        outcomes: the runs.
        metric: the score that is looked at.
        headline: what the comparison says, in Markdown; it stands beside the first chart.
    """
    if len(outcomes) < 2:
        st.markdown(headline)
        st.info("Choose at least two runs whose settings differ.")
        return
    differing, _ = split_settings([outcome.settings for outcome in outcomes])
    factors = [name for name in differing if name != "seed"]
    titles = [setting_title(name) for name in factors]
    effects = measure_effects(outcomes, metric.name)
    effects["setting"] = effects["setting"].map(setting_title)
    crossed = len(factors) >= 2
    if not crossed and effects.empty:
        st.markdown(headline)
    else:
        chart, said = place_chart()
        said.markdown(headline)
    if crossed:
        _show_cross(outcomes, factors, metric, chart, said)
    if len(effects):
        if crossed:
            chart, said = place_chart()
        _show_effects(effects, titles, metric, chart, said)
    elif factors:
        st.info(
            "What a setting does can be told where runs differ in it alone: one of each level, "
            f"with equal seeds. These runs differ in {', '.join(titles)}."
        )
    else:
        st.info("These runs differ in no setting but the seed.")


def _show_cross(
    outcomes: list[Outcome],
    factors: list[str],
    metric: Metric,
    chart: DeltaGenerator,
    said: DeltaGenerator,
) -> None:
    """The scores by two settings, which are chosen beside the chart."""
    with said:
        st.markdown("## One setting against another")
        down, across = st.columns(2)
        row = down.selectbox(
            "Rows", factors, key="rows", persist_state="session", format_func=setting_title
        )
        column = across.selectbox(
            "Columns", [name for name in factors if name != row], key="columns",
            persist_state="session", format_func=setting_title,
        )  # fmt: skip
    table, each = cross_settings(outcomes, row, column, metric.name)
    table = table.rename_axis(index=setting_title(row), columns=setting_title(column))
    with chart:
        show_figure(
            score_grid(table, metric.title, percent=metric.is_share), table.reset_index(), "grid",
            alt=f"{metric.title} by {table.index.name} and {table.columns.name}",
            key="grid",
            about=About(
                f"{metric.title} by two settings.",
                f"{'One run' if each == 1 else f'The mean of {each} runs'} in each cell.",
                "Cells hold runs with the same other settings and seeds, so that rows and columns "
                "are told apart by the two settings alone.",
                "Single cells differ by luck too: read it beside the effects below, which have "
                "intervals.",
            ),
        )  # fmt: skip
    counted = each * int(table.notna().sum().sum())
    said.caption(
        f"Each cell is {'one run' if each == 1 else f'the mean over {each} runs'}, with the "
        "same other settings and seeds as in the other cells."
        + (
            f" {len(outcomes) - counted} of {len(outcomes)} runs have no counterpart in every "
            "other cell and are left out."
            if counted < len(outcomes)
            else ""
        )
    )


def _show_effects(
    effects: pd.DataFrame,
    titles: list[str],
    metric: Metric,
    chart: DeltaGenerator,
    said: DeltaGenerator,
) -> None:
    """What each level of a setting does, and which of that is more than luck."""
    with chart:
        show_figure(
            effect_dots(effects, metric), effects, "effects",
            alt="Effect of each setting's levels", key="effects",
            about=About(
                f"What each level of a setting does to the {metric.title}, against the mean of "
                "that setting's levels.",
                f"{int(effects['runs'].max()):,} runs at most for a setting; each row's number is "
                "in the CSV.",
                "Only runs that differ in that one setting count, split by split. Bars are 95 % "
                "intervals by the corrected t test; Holm's correction is for all of them.",
                "An interval that holds 0 shows no difference, which is not the same as showing "
                "that there is none.",
            ),
        )  # fmt: skip
    with said:
        st.markdown("## What each setting does, on runs that differ in it alone")
        untold = [title for title in titles if title not in set(effects["setting"])]
        if untold:
            st.caption(
                f"Nothing can be said about {', '.join(untold)}: no runs differ in it alone."
            )
        if effects["low"].isna().all():
            st.caption(f"No intervals: they need at least {REPEATS} splits of each combination.")
        else:
            clear = effects[effects["p_holm"] < LEVEL]
            named = ", ".join(f"{row.setting} = {row.level}" for row in clear.itertuples())
            st.caption(
                "Intervals are of one effect each. "
                + (f"Significant at 5 %: {named}" if named else "None is significant at 5 %")
                + ", after Holm's correction for all settings and levels."
            )


@cache_data(max_entries=20, show_spinner="Fitting learning curves")
def read_curves(key: str, metric: str, _outcomes: list[Outcome]) -> list[LearningCurve]:
    """The learning curves among these runs."""
    return measure_curves(_outcomes, metric)


def show_curves(key: str, outcomes: Sequence[Outcome], metric: Metric) -> None:
    """Scores over the number of training samples, and what more of them would bring."""
    curves = read_curves(key, metric.name, list(outcomes))
    if not curves:
        return
    named = [(_name_curve(curve, outcomes[0].task, alone=len(curves) == 2), curve)
             for curve in curves]  # fmt: skip
    data = pd.concat(
        [
            table.assign(model=name, kind=kind)
            for name, curve in named
            for kind, table in (("measured", curve.points), ("law", curve.curve))
        ]
    )
    chart, said = place_chart()
    with chart:
        show_figure(
            learning_curves([(name, c.points, c.curve) for name, c in named], metric.title,
                            percent=metric.is_share),
            data, "learning_curve", alt=f"{metric.title} by number of training samples",
            key="learning curve",
            about=About(
                f"{metric.title} by the number of training samples: measured points, and the curve "
                "through them.",
                f"{sum(len(curve.points) for _, curve in named)} points, each the mean over "
                "the runs of that size.",
                "An inverse power law with a floor; its range is of fits with test patients and "
                "runs drawn anew.",
                "To the right of the last point it is an extrapolation, which holds only if the "
                "law does.",
            ),
        )  # fmt: skip
    with said:
        st.markdown("## Learning curve", help=define("learning curve"))
        for name, curve in named:
            st.markdown(escape_markdown(f"{name}: {say_twice(curve, metric)}"))
        st.caption(
            "An inverse power law with a floor, fitted to the measured points. The range holds the "
            "luck of the test patients and seeds, if the law goes on beyond the measured sizes, "
            "which nobody knows. It does not hold the luck of which training samples were taken."
        )


def _name_curve(curve: LearningCurve, task: Task, *, alone: bool) -> str:
    """A network's setup, or the baseline model beside one."""
    if curve.model == NETWORK:
        return curve.name
    title = task.baselines[curve.model].title
    return title if alone else f"{title} beside {curve.name}"


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
