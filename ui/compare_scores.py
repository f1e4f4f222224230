"""Scores on the Compare page: what each run reaches, where they differ, ranks and wins."""

import pandas as pd
import streamlit as st

from core.compare.latex import latex_table
from core.compare.records import Comparison
from core.compare.settings import say_value
from core.compare.tables import list_models, list_ranks, list_runs, list_wins
from core.escape import escape_markdown
from core.evaluation.differences import SAME
from core.evaluation.metrics import METRICS
from core.glossary import define
from core.plots.compare import rank_dots, score_dots
from core.plots.findings import say_scores
from core.runs.outcome import DRAWS_BY_NAME, Outcome
from core.runs.spec import setting_title
from ui.about import About
from ui.download import download_button
from ui.parts import decimals, download_table, find_runs, name_runs, show_figure
from ui.pin import offer_pin

SHOWN_ROWS = 24
"""A chart shows at most so many models; the tables hold all."""
FINDINGS = {
    "runs": "Scores of each run",
    "setup_differences": "Differences of setups over the same splits",
    "differences": "Differences of runs on the same samples",
    "classes": "How well each class is found",
    "batches": "The score in each batch",
    "errors": "The largest errors",
}
"""What is said of a table that is pinned."""


def show_scores(comparison: Comparison, outcomes: list[Outcome]) -> None:
    """The chart of scores with intervals."""
    metric = METRICS[comparison.metric]
    table = list_models(comparison, outcomes)
    show_figure(
        score_dots(table.head(SHOWN_ROWS), metric.title, percent=metric.is_share), table, "scores",
        alt=say_scores(table, metric), key="dots",
        about=About(
            f"{metric.title} of each network and of plain models on the same genes and samples.",
            f"{len(table)} models; splits and held-out samples of each stand in the CSV.",
            "Of repeated setups the mean over the splits, with the 95 % interval of the corrected "
            "t test (Nadeau and Bengio 2003); of single runs the 95 % bootstrap interval over "
            f"patients. {metric.help}",
            "Overlapping intervals are no test: two models of the same samples are compared by "
            "Differences. A network that isn't above the plain models adds nothing here.",
        ),
    )  # fmt: skip
    if len(table) > SHOWN_ROWS:
        st.caption(f"The best {SHOWN_ROWS} of {len(table)}; the CSV has all.")


def say_comparison(comparison: Comparison) -> None:
    """The sentence of the comparison, one for each setting, and what a reader must know."""
    st.markdown(f"## {escape_markdown(comparison.headline)}")
    for sentence in comparison.effects:
        st.markdown(f"- {escape_markdown(sentence)}")
    for note in comparison.notes:
        st.caption(escape_markdown(note))


def show_table(comparison: Comparison) -> None:
    """The runs with their settings and scores, and what is equal in all."""
    st.markdown("## Runs", help=define("confidence interval"))
    names = name_runs(find_runs(run.run for run in comparison.runs))
    rows = list_runs(comparison).assign(run=[names[run.run] for run in comparison.runs])
    differing = [setting_title(name) for name in comparison.runs[0].settings if name != "seed"]
    levels = {name: list(dict.fromkeys(rows[name])) for name in differing}
    st.dataframe(
        rows.assign(**{name: [[value] for value in rows[name]] for name in differing}),
        hide_index=True,
        column_config=decimals(rows)
        | {
            name: st.column_config.MultiselectColumn(
                options=values, color="auto", help="These runs differ in it: one colour per value."
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
    """A table as CSV and as LaTeX, and its place in a story."""
    with st.container(horizontal=True, gap="small"):
        download_table(table, name, "CSV", key=f"{name} csv")
        offer_pin(name, FINDINGS[name], table, key=name)
        download_button(
            "LaTeX", lambda: latex_table(table).encode(), file_name=f"{name}.tex",
            mime="text/x-tex", on_click="ignore", key=f"{name} tex",
        )  # fmt: skip


def show_differences(comparison: Comparison) -> None:
    """Pairs of runs on the same samples, and of setups over the same splits."""
    found = [pair for pair in comparison.differences if pair.points is not None]
    metric = METRICS[comparison.metric]
    counted, form = metric.counted.capitalize(), f"%{metric.digits}"
    if not found and not comparison.setup_differences:
        st.info(
            "No two of these runs were tested on the same samples, or on three splits that both "
            "have. Choose more runs, or train another one on the same split and seed."
        )
    if comparison.setup_differences:
        st.markdown("## Differences over splits", help=define("setup"))
        rows = pd.DataFrame([pair.model_dump() for pair in comparison.setup_differences])
        rows = rows.rename(columns={
            "a": "first", "b": "second", "low": "from", "high": "to", "p_holm": "p, Holm",
            "note": "meaning", "worse": "first is worse",
            "same": "practically the same", "better": "first is better",
        })  # fmt: skip
        chances = ["first is worse", "practically the same", "first is better"]
        forms = dict.fromkeys(chances, "percent") | {"p": "%.2g", "p, Holm": "%.2g"}
        st.dataframe(rows, hide_index=True, column_config=decimals(rows, form, **forms))
        st.caption(
            f"{counted} with 95 % intervals and p values of Nadeau and Bengio's corrected t test, "
            "which allows for the overlap of the training samples; Holm's correction for the "
            "number of pairs. Chances: Bayesian correlated t test; practically the same is within "
            f"{SAME * metric.points:g}{metric.unit}."
        )
        show_downloads(rows, "setup_differences")
    if found:
        st.markdown("## Differences on the same samples", help=define("significant at 5 %"))
        rows = pd.DataFrame([pair.model_dump(exclude={"significant"}) for pair in found])
        rows = rows.rename(columns={
            "a": "first", "b": "second", "low": "from", "high": "to", "p": "exact McNemar p",
            "p_holm": "p, Holm", "note": "meaning",
        })  # fmt: skip
        names = name_runs(find_runs({*rows["first"], *rows["second"]}))
        rows[["first", "second"]] = rows[["first", "second"]].apply(lambda ids: ids.map(names))
        if rows["p, Holm"].isna().all():
            rows = rows.drop(columns=["exact McNemar p", "p, Holm"])
        forms = {"exact McNemar p": "%.2g", "p, Holm": "%.2g"}
        st.dataframe(rows, hide_index=True, column_config=decimals(rows, form, **forms))
        st.caption(
            f"{counted} with 95 % intervals over patients. Holm's correction for the number of "
            "pairs."
        )
        show_downloads(rows, "differences")


def show_ranks(comparison: Comparison) -> None:
    """Mean ranks over the shared splits, and how often each setup is the best."""
    if comparison.critical_difference is None:
        return
    st.markdown("## Ranks over splits", help=define("setup"))
    table = list_ranks(comparison)
    show_figure(
        rank_dots(table.head(SHOWN_ROWS), comparison.critical_difference), table, "ranks",
        alt="Mean rank of each setup with half the critical difference", key="ranks",
        about=About(
            "The mean rank of each setup over the splits that all have; 1 is the best.",
            f"{len(table)} setups.",
            "Friedman's test in a form that allows for splits with patients in common; bars are "
            "half the critical difference (Tukey's, with the same variance).",
            "Setups whose bars don't overlap differ at the 5 % level, all pairs considered. Ranks "
            "say nothing of how large a difference is.",
        ),
    )  # fmt: skip
    first = table.iloc[0]
    st.caption(
        f"Friedman's test, corrected for overlapping splits: p = {comparison.ranking_p:.2g}. Two "
        "setups whose bars don't overlap differ at the 5 % level, all pairs considered. "
        f"{escape_markdown(first['model'])} is best, or as good as the best, in "
        f"{first['best']:.0%} of the splits."
    )


def show_wins(comparison: Comparison) -> None:
    """How often each network is the best when patients and seeds are drawn anew."""
    winners = list_wins(comparison)
    if winners.empty:
        return
    st.markdown("## How often each network wins")
    st.dataframe(
        winners, hide_index=True,
        column_config={
            "is the best": st.column_config.ProgressColumn(
                format="percent", step=0.001, min_value=0.0, max_value=1.0
            )
        },
    )  # fmt: skip
    st.caption(
        f"Of {DRAWS_BY_NAME} draws with patients and seeds drawn anew: in how many a network's "
        "mean is the highest. A best network that seldom wins is the best of these splits only."
    )
    download_table(winners, "wins", "CSV", key="wins")
