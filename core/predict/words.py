"""What predictions come to, in sentences and tables that pages, commands and reports share."""

import pandas as pd

from core.evaluation.differences import LEVEL, say_verdict
from core.evaluation.metrics import METRICS, reliability
from core.predict.labelled import Scores, Summary
from core.predict.matching import MatchCard
from core.training.tasks import Task

MODELS = {"network": "network", "linear": "tuned linear model"}
"""What tables call the models whose scores stand in a summary."""


def describe_match(card: MatchCard) -> list[str]:
    """The match card, a sentence each."""
    lines = [
        f"{card.found:,} of {card.needed:,} genes of the model are there ({card.share_found:.1%}; "
        f"{card.weight_found:.1%} of the weight). Scale: {card.scale}, the model's "
        f"{card.expected_scale}."
    ]
    lines += card.translated
    if card.learned_from:
        lines.append(f"The model has learned from {len(card.learned_from):,} of these samples.")
    return lines + [f"{finding.severity}: {finding.message}" for finding in card.findings]


def is_unusual(summary: Summary) -> bool:
    """Whether more samples than expected look unlike those that the model learned from."""
    return summary.flagged_interval[0] > summary.expected


def describe_flags(summary: Summary) -> str:
    """How many samples look unlike everything that the model has learned from, and what it means.

    This comes first wherever calls are shown.
    """
    low, high = summary.flagged_interval
    said = (
        f"{summary.flagged:,} of {summary.n:,} samples ({summary.flagged / summary.n:.1%}, 95 % "
        f"interval {low:.1%} to {high:.1%}) look unlike everything that this model has learned "
        f"from; of the samples that its own run held out {summary.expected:.0%} do."
    )
    if is_unusual(summary):
        return (
            f"{said} That is more than expected: these may be of no class that the model knows, "
            "or were measured otherwise. Do not believe their probabilities."
        )
    if high < summary.expected:
        return f"{said} That is fewer than expected."
    return f"{said} That is about as expected."


def describe_scores(scores: Scores, task: Task) -> str:
    """The network's first score on the samples that are known, beside the linear model's."""
    metric = METRICS[task.first_metric]
    found = {score.model: score for score in scores.scores if score.metric == metric.name}
    network, linear = found["network"], found["linear"]
    form = ".1%" if metric.is_share and metric.unit else ".3f"
    limits = ""
    if network.interval:
        limits = " (95 % interval {:{f}} to {:{f}})".format(*network.interval, f=form)
    inside = "" if network.inside is None else f", inside its own cohort {network.inside:{form}}"
    said = (
        f"{metric.title} of the network on {scores.n:,} samples that are known: "
        f"{network.value:{form}}{limits}{inside}. The tuned linear model on the same genes and "
        f"samples: {linear.value:{form}}."
    )
    if scores.p is None:
        return said
    if scores.difference == 0:
        return f"{said} The two are right equally often."
    verdict = say_verdict(scores.p < LEVEL, f"McNemar's test, p = {scores.p:.2g}")
    return f"{said} The difference of {100 * scores.difference:+.1f} points {verdict}."


def say_left_out(scores: Scores) -> list[str]:
    """Which samples count in no score, and which classes none of them is, a sentence each."""
    said = []
    if scores.learned_from:
        some = "1 sample" if scores.learned_from == 1 else f"{scores.learned_from:,} samples"
        said.append(f"Without {some} that the model has learned from.")
    if scores.only_cohort:
        named = ", ".join(f"{name} ({n:,})" for name, n in scores.only_cohort.items())
        said.append(f"Without samples of classes that the model does not have: {named}.")
    if scores.only_model:
        said.append(f"No sample is known to be {', '.join(scores.only_model)}.")
    return said


def score_table(scores: Scores) -> pd.DataFrame:
    """A row a score: each model's here, with its interval, and inside the model's own cohort."""
    rows: dict[str, dict] = {}
    for score in scores.scores:
        row = rows.setdefault(score.metric, {"score": METRICS[score.metric].title})
        name = MODELS[score.model]
        limits = "" if score.interval is None else "{:.3f} to {:.3f}".format(*score.interval)
        row |= {name: score.value, f"{name}, 95 %": limits, f"{name}, inside": score.inside}
    return pd.DataFrame(list(rows.values()))


def is_known(calls: pd.DataFrame) -> pd.Series:
    """(samples,) whether it is known what each is."""
    return calls["true"].notna() & (calls["true"] != "")


def judged_calls(calls: pd.DataFrame) -> pd.DataFrame:
    """The calls that scores are of."""
    return calls[is_known(calls) & ~calls["learned_from"]]


def value_table(calls: pd.DataFrame) -> pd.DataFrame:
    """Of a regression, a row a judged sample: sample, true and predicted value."""
    judged = judged_calls(calls)
    return pd.DataFrame({"sample": judged["sample"], "true": judged["true"].astype(float),
                         "predicted": judged["called"].astype(float)})  # fmt: skip


def confusion_table(scores: Scores, classes: list[str]) -> pd.DataFrame:
    """Known (rows) against called class, without those that no sample is of or was called."""
    counts = pd.DataFrame(scores.confusion, classes, classes)
    seen = counts.index[(counts.sum(axis=1) > 0) | (counts.sum(axis=0) > 0)]
    return counts.loc[seen, seen]


def reliability_tables(calls: pd.DataFrame, classes: list[str]) -> dict[str, pd.DataFrame]:
    """Model -> how often its calls are right, by how sure they are (`reliability`)."""
    judged = judged_calls(calls)
    judged = judged[judged["true"].isin(classes)]
    y = pd.Index(classes).get_indexer(judged["true"])
    return {
        title.capitalize(): reliability(
            y, judged[[f"{prefix}_{name}" for name in classes]].to_numpy(float)
        )
        for prefix, title in (("p", MODELS["network"]), ("l", MODELS["linear"]))
    }
