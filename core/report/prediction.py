"""The report of a prediction: what a model says of samples of another cohort."""

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from core import __version__
from core.data.store import get_record
from core.evaluation.metrics import METRICS
from core.plots.compare import confusion_grid, reliability_diagram
from core.plots.findings import say_confusion, say_observed, say_reliability
from core.plots.predict import NEW, novelty_bars, prediction_map, quantile_curves
from core.plots.runs import observed_against_predicted
from core.predict.model import Model, load_model
from core.predict.predicting import Prediction, load_prediction
from core.predict.request import PredictRequest
from core.predict.together import TOGETHER
from core.predict.words import (
    confusion_table,
    describe_flags,
    describe_match,
    describe_scores,
    reliability_tables,
    say_left_out,
    score_table,
    value_table,
)
from core.report import methods
from core.report.contents import Block, Chart, Code, Points, Remark, Report, Section, Table, Text
from core.report.references import Bibliography
from core.report.render import write_report

MOST_CALLS = 40
"""Calls that are listed; the data of the first figure hold all of them."""
MOST_MISSING = 20
"""Genes that are missing which are listed, the most important first."""


def report_prediction(asked: PredictRequest) -> Report:
    """The report of a prediction that stands.

    Raises:
        InputError: the samples haven't been put to the model yet, or what it said is damaged.
    """
    found, model, books = load_prediction(asked), load_model(asked.model), Bibliography()
    name = get_record(asked.cohort.dataset).name
    kind = "Model" if model.sent else "Run"
    return Report(
        title=f"{model.spec.network.record.title} on {name}",
        subtitle=f"{kind} {model.id} ({model.spec.title()}) applied to “{name}” · "
        f"{datetime.now(UTC).astimezone():%-d %B %Y}",
        headline=describe_flags(found.summary),
        sections=[
            Section("Calls", _tell_calls(found, model)),
            Section("Right and wrong", _tell_truth(found, model)),
            Section("Does the model fit?", _tell_match(found)),
            Section("Among the training samples", _tell_map(found, model)),
            Section("Limits", _tell_limits(found, model)),
            Section("Methods", _tell_methods(found, model, books)),
            Section("To repeat it", _tell_request(found, model)),
        ],
        references=books.references,
    )


def write_prediction_report(asked: PredictRequest, path: Path) -> Path:
    """Write the report of a prediction as one HTML file; returns its absolute path.

    Raises InputError as `report_prediction` does.
    """
    write_report(report_prediction(asked), path)
    return path.absolute()


def _tell_calls(found: Prediction, model: Model) -> list[Block]:
    calls, summary = found.calls, found.summary
    beyond = summary.flagged / max(summary.n, 1)
    blocks: list[Block] = [
        Chart(
            f"How unusual the samples are among those that the model's own run held out: "
            f"{beyond:.0%} are in the last bar, which holds {summary.expected:.0%} of samples like "
            "those.",
            novelty_bars(calls["novelty"].to_numpy(), summary.expected),
            calls,
        )
    ]
    if model.task.has_classes:
        table = model.record[["class", "n", "recall", "precision"]].rename(
            columns={"n": "held out", "recall": "recall there", "precision": "precision there"}
        )
        table.insert(1, "called", table["class"].map(summary.called).fillna(0).astype(int))
        table = table.sort_values("called", ascending=False, kind="stable")
        blocks.append(Table("Classes, and how well the model knew them in its own run", table))
        if summary.agreement is not None:
            blocks.append(
                Text(
                    f"The tuned linear model names the same class for {summary.agreement:.1%} of "
                    "the samples."
                )
            )
    columns = ["sample", "called", "probability", "disagreement", "linear_called", "novelty",
               "flagged", "true", "set"]  # fmt: skip
    kept = [name for name in columns if name in calls and (calls[name].astype(str) != "").any()]
    kept = [name for name in kept if calls[name].notna().any()]
    listed = calls.sort_values("novelty", ascending=False, kind="stable")[kept].head(MOST_CALLS)
    more = len(calls) - len(listed)
    which = f"The {len(listed)} most unusual samples" if more else "All samples"
    some = f"; the data of figure 1 hold {more:,} more" if more else ""
    blocks.append(Table(f"{which}, the most unusual first{some}", listed))
    return blocks


def _tell_truth(found: Prediction, model: Model) -> list[Block]:
    scores = found.summary.scores
    if scores is None:
        return [Text("Too few of the samples are known to be of a class that the model has.")]
    blocks: list[Block] = [
        Text(describe_scores(scores, model.task)),
        *([Points(say_left_out(scores))] if say_left_out(scores) else []),
        Table("All scores (inside: on the samples that the model's own run held out)",
              score_table(scores)),
    ]  # fmt: skip
    if not model.task.has_classes:
        values = value_table(found.calls)
        figure = observed_against_predicted(values, model.classes[0])
        return [
            *blocks,
            Chart(
                say_observed(values["true"], values["predicted"], model.classes[0]), figure, values
            ),
        ]
    counts = confusion_table(scores, model.classes)
    bins = reliability_tables(found.calls, model.classes)
    return [
        *blocks,
        Chart(
            f"Known against called class: {say_confusion(counts.to_numpy(), list(counts))} Classes "
            "that no sample is of, or was called, are left out.",
            confusion_grid(counts.to_numpy(), list(counts), percent=False),
            counts.rename_axis("true").reset_index(),
        ),
        Chart(
            say_reliability(bins),
            reliability_diagram(bins),
            pd.concat(bins, names=["model", "bin"]).reset_index(),
        ),
    ]


def _tell_match(found: Prediction) -> list[Block]:
    card = found.match
    said = describe_match(card)
    said = said[: len(said) - len(card.findings)]
    blocks: list[Block] = [Points(said)]
    blocks += [Remark(each.severity, each.message) for each in card.findings]
    if card.missing:
        rows = pd.DataFrame(card.missing[:MOST_MISSING], columns=["gene", "share of the weight"])
        title = f"Genes that are missing, the most important {len(rows)} of {len(card.missing):,}"
        blocks.append(Table(title, rows))
    curves = {"these samples": card.quantiles, "training": card.training_quantiles}
    curves = {name: np.asarray(values) for name, values in curves.items() if values}
    if len(curves) == 2:
        middle = {name: float(np.median(values)) for name, values in curves.items()}
        blocks.append(
            Chart(
                f"Expression of these samples beside that of training: the median is "
                f"{middle['these samples']:.2g} here and {middle['training']:.2g} there.",
                quantile_curves(curves, "log2 expression"),
                pd.DataFrame(curves),
            )
        )
    return blocks


def _tell_map(found: Prediction, model: Model) -> list[Block]:
    table, calls = found.map, found.calls.set_index("sample")
    new = table["kind"] == NEW
    table = table.assign(group=table["class"], flagged=False)
    table.loc[new, "flagged"] = calls.loc[table.loc[new, "sample"], "flagged"].to_numpy()
    groups = model.classes
    if not model.task.has_classes:
        table["group"], groups = table["kind"], [NEW]
    words = "the samples that the model learned from" if not new.all() else "one another"
    figure = prediction_map(table, groups, ("first component", "second component"))
    figure.update_layout(height=max(560, 300 + 40 * len(groups)))  # so that the legend has room
    return [
        Chart(
            f"These samples (diamonds) among {words}, on the first two principal components of the "
            f"network's features; the {int(table['flagged'].sum()):,} that look unlike training "
            "are ringed. Two components show a part of the variance only.",
            figure,
            table[["sample", "kind", "class", "flagged", "x", "y"]],
        )
    ]


def _tell_limits(found: Prediction, model: Model) -> list[Block]:
    result = model.folds[0].kept.result
    decisive = [each.message for each in result.findings or [] if each.decisive]
    notes = [
        *found.summary.notes,
        "Probabilities are of the classes that the model knows, and add up to 1 whatever it is "
        "shown: they mean nothing for a sample that looks unlike training.",
    ]
    return [*(Remark("error", f"In the model's own run: {words}") for words in decisive),
            Points(notes)]  # fmt: skip


def _tell_methods(found: Prediction, model: Model, books: Bibliography) -> list[Block]:
    asked, first = found.request, model.folds[0]
    together = TOGETHER[asked.together]
    folds = (
        f"the mean of {len(model.folds)} networks, one of each fold"
        if len(model.folds) > 1
        else "those of one network"
    )
    said = [
        f"{found.summary.n:,} samples of “{get_record(asked.cohort.dataset).name}” (SHA-256 "
        f"{asked.cohort.dataset}) were put to the model {model.id}; answers are {folds}. Genes "
        f"were found by their ids: {found.match.found:,} of {found.match.needed:,} were there. "
        f"Bringing the cohorts together: {together.title}. {together.help}",
        methods.describe_preparation(model.spec, first, books),
        methods.describe_image(model.spec, first, books),
        *methods.describe_network(model.spec, first.kept.result, model.folds, books),
        "How unlike training a sample is was measured by the Mahalanobis distance of the network's "
        f"features to the nearest class{books.cite('Lee et al. 2018')} with a shrunk covariance"
        f"{books.cite('Ledoit and Wolf 2004')}, as the share of the samples held out in the "
        f"model's own run that are nearer; beyond {1 - found.summary.expected:.0%} a sample is "
        "flagged.",
    ]
    if found.summary.scores is not None:
        metric = METRICS[model.task.first_metric].title.lower()
        said.append(
            "Scores are of the samples whose class or value is known and that the model has not "
            "learned from, with 95 % bootstrap intervals over patients"
            f"{books.cite('Efron 1987')}; the {metric} of the network was compared with that of "
            "the tuned linear model on the same genes and samples"
            + (
                f" by the exact McNemar test{books.cite('McNemar 1947')}."
                if found.summary.scores.p is not None
                else "."
            )
        )
    if "set" in found.calls:
        said.append(
            "Sets of classes of samples whose class isn't known are those of split conformal "
            f"prediction{books.cite('Sadinle et al. 2019')}."
        )
    said.append(f"This report was written by GeneCanvas {__version__}.")
    for words in said:
        books.notice(words)
    return [Text(words) for words in said]


def _tell_request(found: Prediction, model: Model) -> list[Block]:
    asked, cohort = found.request, found.request.cohort
    words = ["genecanvas", "predict", asked.model, cohort.dataset]
    options = {"label": cohort.label, "group": cohort.group}
    words += [word for name, value in options.items() if value for word in (f"--{name}", value)]
    for column, values in cohort.where.items():
        words += ["--where", f"{_quote(column)}={','.join(map(_quote, values))}"]
    for one, other in cohort.merge.items():
        words += ["--merge", f"{one}={other}"]
    if asked.together != "none":
        words += ["--together", asked.together]
    if asked.two_groups:
        words.append("--two-groups")
    fields = {
        "model": asked.model,
        **{f"cohort.{name}": value for name, value in cohort.model_dump(mode="json").items()},
        "together": asked.together,
        "two groups": asked.two_groups,
    }
    rows = pd.DataFrame([(name, str(value)) for name, value in fields.items()],
                        columns=["field", "value"])  # fmt: skip
    return [
        Table("What was asked", rows),
        Code("Command", shlex.join(words)),
        Code("The model's specification", model.spec.to_yaml()),
    ]


def _quote(name: str) -> str:
    """A column or value as `--where` reads it."""
    return '"' + name.replace('"', '""') + '"' if re.search('[,="]', name) else name
