"""Compare: finished runs side by side, beside plain models on the same genes and samples."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from sklearn.metrics import confusion_matrix

from core.data.store import get_record
from core.errors import DamageError, InputError
from core.evaluation.differences import LEVEL
from core.evaluation.metrics import (
    METRICS,
    Metric,
    order_by_confusion,
    pool_patients,
    reliability,
    say_most_confused,
    score,
    score_classes,
)
from core.models.baselines import BASELINES
from core.plots.compare import (
    confusion_grid,
    effect_dots,
    rank_dots,
    reliability_diagram,
    score_dots,
    score_grid,
)
from core.runs.compare import (
    REPEATS,
    Comparison,
    compare,
    cross_settings,
    grid_of,
    latex_table,
    measure_effects,
    say_setting,
    say_value,
    split_settings,
)
from core.runs.outcome import (
    NETWORK,
    Outcome,
    baselines_state,
    load_outcome,
    missing_baselines,
    request_baselines,
)
from core.runs.spec import setting_title
from core.runs.store import RunRecord
from ui.compare_samples import show_samples
from ui.compare_study import show_cost, show_curves, show_published, show_wins
from ui.parts import (
    decimals,
    download_table,
    errors,
    escape_markdown,
    finished_runs,
    name_run,
    show_empty,
    show_figure,
)

VIEWS = {
    "scores": "Scores",
    "differences": "Differences",
    "settings": "Settings",
    "cost": "Cost",
    "published": "Published figures",
    "run": "One run",
    "samples": "Samples",
}
SHOWN_ROWS = 24
"""A chart shows at most so many models; the tables hold all."""


@st.cache_resource(max_entries=500, show_spinner=False)
def read_outcome(run: str, missing: tuple[str, ...]) -> Outcome:
    """A finished run; read again when plain models have been added to it."""
    return load_outcome(run)


@st.cache_resource(max_entries=4, show_spinner="Reading the runs")
def read_outcomes(
    key: str, _missing: dict[str, tuple[str, ...]]
) -> tuple[list[Outcome], list[str]]:
    """Finished runs, and what is wrong with those that are damaged.

    One key for all, because hashing one for each takes long with many runs.
    """
    outcomes, damaged = [], []
    for run, names in _missing.items():
        try:
            outcomes.append(read_outcome(run, names))
        except DamageError as error:
            damaged.append(str(error))
    return outcomes, damaged


@st.cache_resource(max_entries=20, show_spinner="Comparing")
def read_comparison(key: str, metric: str, _outcomes: list[Outcome]) -> Comparison:
    """The comparison of these runs, with those plain models that stand."""
    return compare(_outcomes, metric)


def pick_dataset_runs(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs of one dataset and class; the choice stands in the link."""
    questions: dict[tuple[str, str], list[RunRecord]] = {}
    for record in records:
        questions.setdefault((record.spec.cohort.dataset, record.spec.cohort.label), []).append(
            record
        )
    wanted = st.query_params.get("runs", "").split(",")
    keys = sorted(questions, key=lambda key: all(r.id not in wanted for r in questions[key]))
    if len(keys) == 1:
        return questions[keys[0]]
    chosen = st.selectbox(
        "Dataset and class", keys, key="question",
        format_func=lambda key: f"{name_dataset(key[0])} · {key[1]} · {len(questions[key])} runs",
    )  # fmt: skip
    return questions[chosen]


def name_dataset(dataset: str) -> str:
    """A stored dataset's name, or the beginning of its id when it was deleted."""
    try:
        return get_record(dataset).name
    except InputError:
        return dataset[:12]


def pick_study(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs of one study, or of all; the choice stands in the link."""
    names = list(dict.fromkeys(record.study for record in records if record.study))
    if not names:
        return list(records)
    wanted = st.query_params.get("study", "")
    chosen = st.selectbox(
        "Study", ["", *names], index=1 + names.index(wanted) if wanted in names else 0, key="study",
        format_func=lambda name: name or "all runs, of any study and of none",
    )  # fmt: skip
    if not chosen:
        st.query_params.pop("study", None)
        return list(records)
    st.query_params["study"] = chosen
    return [record for record in records if record.study == chosen]


def pick_runs(records: Sequence[RunRecord]) -> list[str]:
    """Which of the runs to compare: all, or a choice that stands in the link."""
    by_id = {record.id: record for record in records}
    wanted = st.query_params.get("runs", "")
    chosen = [run for run in wanted.split(",") if run in by_id]
    everything = st.toggle(
        f"All {len(by_id)} runs of this dataset and class"
        + (" in the study" if st.query_params.get("study") else ""),
        value=wanted in ("", "all"), key="all",
    )  # fmt: skip
    if everything:
        st.query_params["runs"] = "all"
        return list(by_id)
    chosen = st.multiselect(
        "Runs", list(by_id), default=chosen or list(by_id)[:4],
        format_func=lambda run: name_run(by_id[run]), key="runs",
    )  # fmt: skip
    st.query_params["runs"] = ",".join(chosen)
    return chosen


def pick_metric() -> Metric:
    """The score that intervals and differences are of; it stands in the link."""
    names = [metric.name for metric in METRICS if metric.has_interval]
    wanted = st.query_params.get("metric", "accuracy")
    name = st.selectbox(
        "Score", names, index=names.index(wanted) if wanted in names else 0, key="metric",
        format_func=lambda name: METRICS[name].title,
    )  # fmt: skip
    st.query_params["metric"] = name
    st.caption(METRICS[name].help)
    return METRICS[name]


def pick_view() -> str:
    """What to look at; it stands in the link, and a link with a sample leads to the samples."""
    wanted = st.query_params.get("view", "samples" if "sample" in st.query_params else "scores")
    view = st.segmented_control(
        "Show", VIEWS, default=wanted if wanted in VIEWS else "scores", required=True,
        format_func=VIEWS.get, key="compare view", label_visibility="collapsed",
    )  # fmt: skip
    st.query_params["view"] = view
    return view


def show_request(runs: list[str], missing: int) -> None:
    """Fit the missing plain models, which no run computes by itself, in a process of its own."""
    state, reason = baselines_state()
    if state == "working":
        st.fragment(wait_for_baselines, run_every=1)(runs, missing)
        return
    if state == "failed":
        st.error(f"The plain models could not be fitted. {escape_markdown(reason)}")
    titles = ", ".join(b.title for b in BASELINES if not b.in_every_run)
    text, button = st.columns([3, 1], vertical_alignment="center")
    text.caption(
        f"More plain models can stand beside these runs: {titles}. They take some seconds for each "
        "split, in a process of their own, and are then kept."
    )
    if button.button("Fit plain models", key="fit"):
        request_baselines(runs)
        st.rerun()


def wait_for_baselines(runs: list[str], before: int) -> None:
    """Progress of the plain models; reruns the page when some more stand."""
    missing = len(missing_baselines(runs))
    if missing < before or baselines_state()[0] != "working":
        st.rerun()
    st.progress(
        1 - missing / (len(runs) * sum(not b.in_every_run for b in BASELINES)),
        "Fitting plain models. It is safe to close this tab.",
    )


def model_rows(comparison: Comparison, outcomes: list[Outcome], metric: Metric) -> pd.DataFrame:
    """Models with their score and interval: setups where there are repeats, else runs."""
    rows = []
    for setup in comparison.setups:
        if setup.low is not None:
            rows.append((setup.name, setup.kind, setup.mean, setup.low, setup.high, setup.splits,
                         setup.n_test))  # fmt: skip
    if not rows:
        for outcome, run in zip(outcomes, comparison.runs, strict=True):
            words = " · ".join(say_setting(name, value) for name, value in run.settings.items())
            name = f"{outcome.spec.network.record.title} · {words or 'one run'} · {run.run[:6]}"
            kind = "control" if run.control else "network"
            rows.append((name, kind, run.metrics[metric.name],
                         *(run.interval or (np.nan, np.nan)), 1, run.n_test))  # fmt: skip
        seen = set()
        for outcome in outcomes:
            for model in outcome.proba:
                scores = outcome.scores(model)[metric.name]
                if model == NETWORK or (model, scores) in seen:
                    continue
                seen.add((model, scores))
                limits = outcome.interval(metric.name, model) or (np.nan, np.nan)
                rows.append((f"{BASELINES[model].title} · {outcome.spec.split.title()}, seed "
                             f"{outcome.spec.seed}", "baseline", scores, *limits, 1,
                             outcome.n_test))  # fmt: skip
    columns = ["model", "kind", "score", "low", "high", "splits", "n"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        "score", ascending=metric.best < metric.worst
    )


def show_scores(comparison: Comparison, outcomes: list[Outcome], metric: Metric) -> None:
    """The chart of scores with intervals, and the table of runs."""
    table = model_rows(comparison, outcomes, metric)
    show_figure(
        score_dots(table.head(SHOWN_ROWS), metric.title, percent=metric.is_share), table, "scores",
        alt=f"{metric.title} of each model with its interval", key="dots",
    )  # fmt: skip
    if len(table) > SHOWN_ROWS:
        st.caption(f"The best {SHOWN_ROWS} of {len(table)}; the CSV has all.")
    st.markdown("#### Runs")
    against = {pair.a: pair for pair in comparison.against_baseline}
    controls = any(run.control for run in comparison.runs)
    rows = pd.DataFrame(
        [
            {
                "run": run.run[:6],
                **({"control": run.control or ""} if controls else {}),
                **{
                    setting_title(name): say_value(name, value)
                    for name, value in run.settings.items()
                },
                "n": run.n_test,
                "patients": run.patients,
                metric.title: run.metrics[metric.name],
                "from": np.nan if run.interval is None else run.interval[0],
                "to": np.nan if run.interval is None else run.interval[1],
                "points to logistic regression": against[run.run].points,
                **{
                    other.title: run.metrics[other.name]
                    for other in METRICS
                    if other.name != metric.name
                },
                "million parameters": run.parameters / 1e6,
                "seconds": round(run.seconds),
            }
            for run in comparison.runs
        ]
    )
    differing = [setting_title(name) for name in comparison.runs[0].settings if name != "seed"]
    levels = {name: list(dict.fromkeys(rows[name])) for name in differing}
    st.dataframe(
        rows.assign(**{name: [[value] for value in rows[name]] for name in differing}),
        hide_index=True,
        column_config=decimals(rows)
        | {
            name: st.column_config.MultiselectColumn(
                options=values, color="auto", help="These runs differ in it: a colour a value."
            )
            for name, values in levels.items()
        },
    )
    show_downloads(rows, "runs")
    if comparison.equal:
        with st.expander(f"{len(comparison.equal)} settings are the same in all of them"):
            equal = pd.DataFrame(
                [
                    (setting_title(name), say_value(name, value))
                    for name, value in comparison.equal.items()
                ],
                columns=["setting", "value"],
            )
            st.dataframe(equal, hide_index=True)


def show_downloads(table: pd.DataFrame, name: str) -> None:
    """A table as CSV and as LaTeX."""
    with st.container(horizontal=True, gap="small"):
        download_table(table, name, "CSV", key=f"{name} csv")
        st.download_button(
            "LaTeX", lambda: latex_table(table).encode(), file_name=f"{name}.tex",
            mime="text/x-tex", on_click="ignore", key=f"{name} tex",
        )  # fmt: skip


def show_differences(comparison: Comparison) -> None:
    """Pairs of runs on the same samples, and of setups over the same splits."""
    found = [pair for pair in comparison.differences if pair.points is not None]
    if not found and not comparison.setup_differences:
        st.info(
            "No two of these runs were tested on the same samples, or on three splits that both "
            "have. Choose more runs, or train another one on the same split and seed."
        )
    if comparison.setup_differences:
        st.markdown("#### Differences over splits")
        rows = pd.DataFrame([pair.model_dump() for pair in comparison.setup_differences])
        rows = rows.rename(columns={
            "a": "first", "b": "second", "low": "from", "high": "to", "p_holm": "p, Holm",
            "note": "meaning", "worse": "first is worse",
            "same": "practically the same", "better": "first is better",
        })  # fmt: skip
        chances = ["first is worse", "practically the same", "first is better"]
        forms = dict.fromkeys(chances, "percent") | {"p": "%.2g", "p, Holm": "%.2g"}
        st.dataframe(rows, hide_index=True, column_config=decimals(rows, "%.1f", **forms))
        st.caption(
            "Points with 95 % intervals and p values of Nadeau and Bengio's corrected t test, "
            "which allows for the overlap of the training samples; Holm's correction for the "
            "number of pairs. Chances: Bayesian correlated t test; practically the same is within "
            "half a point."
        )
        show_downloads(rows, "setup_differences")
    if found:
        st.markdown("#### Differences on the same samples")
        rows = pd.DataFrame([pair.model_dump(exclude={"significant"}) for pair in found])
        rows = rows.rename(columns={
            "a": "first", "b": "second", "low": "from", "high": "to", "p": "exact McNemar p",
            "p_holm": "p, Holm", "note": "meaning",
        })  # fmt: skip
        rows[["first", "second"]] = rows[["first", "second"]].apply(lambda ids: ids.str[:6])
        if rows["p, Holm"].isna().all():
            rows = rows.drop(columns=["exact McNemar p", "p, Holm"])
        forms = {"exact McNemar p": "%.2g", "p, Holm": "%.2g"}
        st.dataframe(rows, hide_index=True, column_config=decimals(rows, "%.1f", **forms))
        st.caption(
            "Points with 95 % intervals over patients. Holm's correction for the number of pairs."
        )
        show_downloads(rows, "differences")


def show_ranks(comparison: Comparison) -> None:
    """Mean ranks over the shared splits, and how often each setup is the best."""
    if comparison.critical_difference is None:
        return
    st.markdown("#### Ranks over splits")
    ranked = [setup for setup in comparison.setups if setup.rank is not None]
    table = pd.DataFrame(
        [(setup.name, setup.kind, setup.rank, setup.best) for setup in ranked],
        columns=["model", "kind", "rank", "best"],
    ).sort_values("rank")
    show_figure(
        rank_dots(table.head(SHOWN_ROWS), comparison.critical_difference), table, "ranks",
        alt="Mean rank of each setup with half the critical difference", key="ranks",
    )  # fmt: skip
    first = table.iloc[0]
    st.caption(
        f"Friedman's test, corrected for overlapping splits: p = {comparison.ranking_p:.2g}. Two "
        "setups whose bars don't overlap differ at the 5 % level, all pairs considered. "
        f"{escape_markdown(first['model'])} is best, or as good as the best, in "
        f"{first['best']:.0%} of the splits."
    )


def show_grid(outcomes: list[Outcome], metric: Metric) -> None:
    """Two settings against each other, and what each level does, averaged over the rest."""
    if len(outcomes) < 2:
        st.info("Choose at least two runs whose settings differ.")
        return
    differing, _ = split_settings([outcome.settings for outcome in outcomes])
    factors = [name for name in differing if name != "seed"]
    titles = [setting_title(name) for name in factors]
    effects = measure_effects(outcomes, metric.name)
    effects["setting"] = effects["setting"].map(setting_title)
    if len(factors) >= 2:
        st.markdown("#### One setting against another")
        down, across, _ = st.columns([1, 1, 2])
        row = down.selectbox(
            "Rows", factors, key="rows", persist_state="session", format_func=setting_title
        )
        column = across.selectbox(
            "Columns", [name for name in factors if name != row], key="columns",
            persist_state="session", format_func=setting_title,
        )  # fmt: skip
        table, each = cross_settings(outcomes, row, column, metric.name)
        table = table.rename_axis(index=setting_title(row), columns=setting_title(column))
        show_figure(
            score_grid(table, metric.title, percent=metric.is_share), table.reset_index(), "grid",
            alt=f"{metric.title} by {table.index.name} and {table.columns.name}",
            key="grid",
        )  # fmt: skip
        counted = each * int(table.notna().sum().sum())
        st.caption(
            f"Each cell is {'one run' if each == 1 else f'the mean over {each} runs'}, with the "
            "same other settings and seeds as in the other cells."
            + (
                f" {len(outcomes) - counted} of {len(outcomes)} runs have no counterpart in every "
                "other cell and are left out."
                if counted < len(outcomes)
                else ""
            )
        )
    if len(effects):
        st.markdown("#### What each setting does, on runs that differ in it alone")
        show_figure(effect_dots(effects), effects, "effects", alt="Effect of each setting's levels",
                    key="effects")  # fmt: skip
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
    elif factors:
        st.info(
            "What a setting does can be told where runs differ in it alone: one of each level, "
            f"with equal seeds. These runs differ in {', '.join(titles)}."
        )
    else:
        st.info("These runs differ in no setting but the seed.")


def show_run(outcomes: list[Outcome]) -> None:
    """One run's calibration, classes and confusion."""
    by_id = {outcome.run: outcome for outcome in outcomes}
    left, right = st.columns(2)
    wanted = st.query_params.get("detail")
    run = left.selectbox(
        "Run", list(by_id), key="detail", persist_state="session",
        index=list(by_id).index(wanted) if wanted in by_id else 0,
        format_func=lambda run: f"{run[:6]} · {by_id[run].spec.title()}",
    )  # fmt: skip
    st.query_params["detail"] = run
    outcome = by_id[run]
    models = [name for name in outcome.proba if name != "majority"]
    model = right.selectbox(
        "Model", models, key="model", format_func=name_model, persist_state="session"
    )
    detail = read_detail(run, model, outcome)
    st.markdown(escape_markdown(detail.confused))
    left, right = st.columns(2, gap="large")
    with left:
        percent = st.segmented_control(
            "Cells",
            ["samples", "row percent"],
            default="samples",
            key="cells",
            persist_state="session",
        )
        counts = detail.confusion.set_index("true")
        show_figure(
            confusion_grid(counts.to_numpy(), list(counts), percent=percent == "row percent"),
            detail.confusion, "confusion", alt="True against predicted class", key="confusion",
        )  # fmt: skip
        st.caption("Classes that are often confused stand side by side.")
    with right:
        show_figure(
            detail.diagram, detail.bins, "reliability", alt="Share right against probability",
            key="reliability",
        )  # fmt: skip
        error = outcome.scores(model)["calibration_error"]
        st.caption(f"Calibration error {error:.3f}. Below the diagonal: surer than right.")
    st.dataframe(detail.classes, hide_index=True, column_config=decimals(detail.classes))
    st.caption("Recall with its 95 % Wilson interval, from and to.")
    show_downloads(detail.classes, "classes")
    if detail.pooled:
        st.caption(
            "One vote a patient and class, from the mean of the samples' probabilities: "
            f"accuracy {detail.pooled['accuracy']:.1%}, balanced accuracy "
            f"{detail.pooled['balanced_accuracy']:.1%}."
        )


class Detail(NamedTuple):
    """A model's confusion and calibration on a run's held-out samples."""

    confused: str
    """The most confused pair of classes, in words."""
    confusion: pd.DataFrame
    """true, and a column a class"""
    diagram: go.Figure
    bins: pd.DataFrame
    classes: pd.DataFrame
    pooled: dict[str, float] | None
    """Scores with a vote a patient; None where each patient has one sample."""


@st.cache_resource(max_entries=64, show_spinner=False)
def read_detail(run: str, model: str, _outcome: Outcome) -> Detail:
    """What is shown of one model in a finished run, whichever score is chosen above."""
    y, proba, classes = _outcome.y, _outcome.proba[model], _outcome.result.classes
    counts = confusion_matrix(y, proba.argmax(axis=1), labels=range(len(classes)))
    order = order_by_confusion(counts)
    named = [classes[k] for k in order]
    ordered = counts[np.ix_(order, order)]
    models = dict.fromkeys([model, "logistic_regression"])
    bins = {name_model(name): reliability(y, _outcome.proba[name]) for name in models}
    several = _outcome.n_patients < len(_outcome.patients)
    return Detail(
        confused=say_most_confused(counts, classes),
        confusion=pd.DataFrame(ordered, named, named).rename_axis("true").reset_index(),
        diagram=reliability_diagram(bins),
        bins=pd.concat(bins, names=["model", "bin"]).reset_index(),
        classes=score_classes(y, proba, classes).rename(
            columns={"recall_low": "from", "recall_high": "to", "f1": "F1"}
        ),
        pooled=score(*pool_patients(y, proba, _outcome.patients)) if several else None,
    )


def name_model(name: str) -> str:
    """The network, or a plain model's title."""
    return "Network" if name == NETWORK else BASELINES[name].title


def show_page() -> None:
    """Pick runs; the sentence that follows; what they reach, where they differ, and why."""
    records = finished_runs()
    if not records:
        show_empty("There is no finished run to compare yet.", "Train a network", "train")
        return
    wide, narrow = st.columns([3, 1])
    with wide:
        runs = pick_runs(pick_dataset_runs(pick_study(records)))
    with narrow:
        metric = pick_metric()
    if not runs:
        st.info("Choose at least one run.")
        return
    missing = missing_baselines(runs)
    by_run: dict[str, tuple[str, ...]] = dict.fromkeys(runs, ())
    for run, name in missing:
        by_run[run] += (name,)
    key = json.dumps(by_run)
    outcomes, damaged = read_outcomes(key, by_run)
    for what in damaged:
        st.warning(escape_markdown(f"Left out: {what}"))
    if damaged:
        read_outcomes.clear()  # they may be mended
    runs = [outcome.run for outcome in outcomes]
    if not runs:
        return
    key, missing = json.dumps([key, runs]), [pair for pair in missing if pair[0] in runs]
    comparison = read_comparison(key, metric.name, outcomes)
    st.markdown(f"### {escape_markdown(comparison.headline)}")
    for note in comparison.notes:
        st.caption(escape_markdown(note))
    if missing:
        show_request(runs, len(missing))
    view = pick_view()
    if view == "scores":
        show_scores(comparison, outcomes, metric)
    elif view == "differences":
        show_differences(comparison)
        show_ranks(comparison)
        show_wins(comparison)
    elif view == "settings":
        show_grid(grid_of(outcomes), metric)
        show_curves(key, outcomes, metric)
    elif view == "cost":
        show_cost(comparison, metric)
    elif view == "published":
        show_published(
            comparison if metric.name == "accuracy" else read_comparison(key, "accuracy", outcomes)
        )
    elif view == "run":
        show_run(outcomes)
    else:
        show_samples(key, outcomes)


st.title("Compare")
with errors():
    show_page()
