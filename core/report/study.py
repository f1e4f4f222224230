"""The report of several finished runs side by side, such as those of a study."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core import __version__
from core.compare.comparison import compare
from core.compare.effects import grid_of, measure_effects
from core.compare.records import Comparison
from core.compare.settings import say_value
from core.compare.tables import list_costs, list_models, list_ranks, list_runs, plain_score
from core.evaluation.metrics import METRICS
from core.plots.compare import cost_dots, effect_dots, rank_dots, score_dots
from core.plots.findings import say_scores
from core.report.contents import Block, Chart, Code, Points, Report, Section, Table, Text
from core.report.references import Bibliography
from core.report.render import write_report
from core.runs.outcome import Outcome, load_outcome
from core.runs.spec import setting_title
from core.training.tasks import TASKS


def report_study(runs: Sequence[str], metric: str | None = None) -> Report:
    """The report of finished runs of one task.

    Args:
        runs: their ids.
        metric: the score that they are compared by; by default the task's first.

    Raises:
        InputError: a run has no result, or they are of several tasks.
    """
    outcomes, books = [load_outcome(run) for run in runs], Bibliography()
    comparison = compare(outcomes, metric)
    effects = measure_effects(grid_of(outcomes), comparison.metric)
    title = METRICS[comparison.metric].title
    return Report(
        title=f"{len(runs)} runs compared by {title[:1].lower()}{title[1:]}",
        subtitle=f"{TASKS[comparison.task].title} · {datetime.now(UTC).astimezone():%-d %B %Y}",
        headline=comparison.headline,
        sections=[
            Section("Result", _tell_scores(comparison, outcomes)),
            Section("Differences", _tell_differences(comparison)),
            *([Section("What settings do", _tell_effects(effects, comparison))]
              if len(effects) else []),
            Section("Cost", _tell_cost(comparison)),
            Section("Runs", _tell_runs(comparison)),
            Section("Limits", [Points(comparison.notes)]),
            Section("Methods", [Text(words) for words in _tell_methods(comparison, books)]),
            Section("Settings", _tell_settings(comparison, outcomes)),
        ],
        references=books.references,
    )  # fmt: skip


def write_study_report(runs: Sequence[str], path: Path, metric: str | None = None) -> Path:
    """Write the report of finished runs as one HTML file; returns its absolute path.

    Raises InputError as `report_study` does.
    """
    write_report(report_study(runs, metric), path)
    return path.absolute()


def _tell_scores(comparison: Comparison, outcomes: Sequence[Outcome]) -> list[Block]:
    metric = METRICS[comparison.metric]
    table = list_models(comparison, outcomes)
    return [
        Chart(
            f"{say_scores(table, metric)} In brackets 95 % intervals.",
            score_dots(table, metric.title, percent=metric.is_share),
            table,
        ),
        Text(f"{metric.title}: {metric.help}"),
    ]


def _tell_differences(comparison: Comparison) -> list[Block]:
    counted = METRICS[comparison.metric].counted
    titles = {each.name: each.title for each in TASKS[comparison.task].baselines}
    blocks: list[Block] = []
    if comparison.setup_differences:
        rows = [
            {"a": each.a, "b": each.b, counted: each.points, "from": each.low, "to": each.high,
             "p (Holm)": each.p_holm, "splits": each.splits, "practically the same": each.same,
             "verdict": each.note}
            for each in comparison.setup_differences
        ]  # fmt: skip
        blocks.append(Table("Setups over the splits that both were tested on", pd.DataFrame(rows)))
    for title, pairs in (
        ("Each run against the plain model, on the same samples", comparison.against_baseline),
        ("Pairs of runs, on the same samples", comparison.differences),
    ):
        rows = [
            {"a": each.a, "b": titles.get(each.b, each.b), counted: each.points, "from": each.low,
             "to": each.high, "p (Holm)": each.p_holm, "verdict": each.note}
            for each in pairs
        ]  # fmt: skip
        if rows:
            blocks.append(Table(title, pd.DataFrame(rows).dropna(axis=1, how="all")))
    ranks = list_ranks(comparison)
    if len(ranks) and comparison.critical_difference is not None:
        verdict = "differ" if (comparison.ranking_p or 1) < 0.05 else "may all be alike"
        blocks.append(
            Chart(
                f"Mean ranks over the shared splits: the setups {verdict} (p = "
                f"{comparison.ranking_p:.2g}); those whose bars don't overlap differ.",
                rank_dots(ranks, comparison.critical_difference),
                ranks,
            )
        )
    return blocks or [Text("There is one run, and so no difference.")]


def _tell_effects(effects: pd.DataFrame, comparison: Comparison) -> list[Block]:
    metric = METRICS[comparison.metric]
    largest = effects.loc[effects["effect"].abs().idxmax()]
    shown = effects.assign(setting=effects["setting"].map(setting_title))
    return [
        Points(comparison.effects),
        Chart(
            f"What each setting does, on runs that differ in it alone: the largest is "
            f"{setting_title(largest['setting'])} = {largest['level']}, "
            f"{largest['effect']:+{metric.digits}}{metric.unit} from the mean over its levels.",
            effect_dots(shown, metric),
            shown,
        ),
    ]


def _tell_cost(comparison: Comparison) -> list[Block]:
    metric, table = METRICS[comparison.metric], list_costs(comparison)
    quickest = table.loc[table["seconds"].astype(float).idxmin()]
    phrase = TASKS[comparison.task].baselines[comparison.reference].phrase
    return [
        Chart(
            f"{metric.title} against what it costs: the quickest is {quickest['model']}, "
            f"{quickest['seconds']:,.0f} s a run.",
            cost_dots(table, metric.title, percent=metric.is_share,
                      plain=plain_score(comparison), phrase=phrase),
            table,
        )
    ]  # fmt: skip


def _tell_runs(comparison: Comparison) -> list[Block]:
    table = list_runs(comparison)
    others = [
        each.title for each in TASKS[comparison.task].metrics if each.name != comparison.metric
    ]
    return [
        Table("Each run, with what it differs in", table.drop(columns=others)),
        Table("Its other scores", table[["run", *others]]),
    ]


def _tell_methods(comparison: Comparison, books: Bibliography) -> list[str]:
    task = TASKS[comparison.task]
    said = [
        f"{len(comparison.runs)} runs were compared by {METRICS[comparison.metric].title.lower()} "
        f"and set against {task.baselines[comparison.reference].phrase} on the same genes, "
        "prepared in the same way, of the same training and test samples.",
        "Runs that differ in their seed only are one setup; from three splits on a setup is judged "
        "by its spread over them: means, intervals and differences by the corrected resampled t "
        f"test{books.cite('Nadeau and Bengio 2003')}, the chance that two are practically the same "
        f"by the Bayesian correlated t test{books.cite('Corani and Benavoli 2015')}.",
        "Intervals over one set of test samples are bias-corrected and accelerated bootstrap "
        f"intervals over patients{books.cite('Efron 1987')}"
        + (
            f"; pairs of runs were compared by the exact McNemar test{books.cite('McNemar 1947')}, "
            "and intervals of a difference in accuracy are Bonett and Price's"
            f"{books.cite('Bonett and Price 2012')}."
            if task.has_classes
            else "."
        )
        + f" p values were corrected for all pairs of a table{books.cite('Holm 1979')}.",
        f"This report was written by GeneCanvas {__version__}. The methods of a single run stand "
        "in its own report.",
    ]
    return said


def _tell_settings(comparison: Comparison, outcomes: Sequence[Outcome]) -> list[Block]:
    rows = [
        (setting_title(name), name, say_value(name, value))
        for name, value in comparison.equal.items()
    ]
    table = pd.DataFrame(rows, columns=["setting", "field", "value"])
    command = "genecanvas compare " + " ".join(outcome.run for outcome in outcomes)
    return [Table("Settings that all runs share", table), Code("Command", command)]
