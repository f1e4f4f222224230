"""Writes the pages that are made of the program's own records: the glossary and the catalogue.

python -m docs.generate
"""

import inspect
from collections.abc import Iterable
from pathlib import Path

from core.evaluation.metrics import METRICS
from core.explain.measures import MEASURES
from core.explain.methods import METHODS
from core.glossary import GLOSSARY
from core.images.layouts import LAYOUTS
from core.models.backbones import BACKBONES
from core.models.baselines import BASELINES
from core.models.value_baselines import VALUE_BASELINES
from core.runs.spec import PRESETS
from core.training.augmentations import AUGMENTATIONS
from core.training.splits import SPLITS
from core.transfer.deciding import attribute_genes
from core.transfer.enquiring import ENQUIRIES
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.methods.adversarial import measure_domains
from core.transfer.methods.image_folder import compare_networks, read_images
from core.transfer.methods.light_ensemble import compare_under_imbalance
from core.transfer.methods.linear import domain_auc
from core.transfer.methods.matching import match_cohorts
from core.transfer.methods.pathways import Programs, learn_programs
from core.transfer.methods.rank_value import rank_values, usual_values
from core.transfer.methods.self_training import self_train
from core.transfer.methods.set_regression import predict_sets
from core.transfer.methods.species import carry_sets, compare_species
from core.transfer.preparing import PREPARATIONS
from core.transfer.references import REFERENCES

DOCS = Path(__file__).parent


def glossary() -> str:
    """The glossary as Markdown."""
    lines = [
        "# Glossary",
        "",
        "What the words mean here. The app shows the same sentences as help.",
        "",
        *(f"- **{term}**: {text}" for term, text in GLOSSARY.items()),
    ]
    return "\n".join(lines) + "\n"


def catalogue() -> str:
    """Every method on offer as Markdown, each with its words, its name and its source."""
    parts = [
        "# What is on offer, with references",
        "",
        "Names in `code` are those of specifications and of the command line.",
    ]
    for title, records in (
        ("Recipes", PRESETS),
        ("Gene layouts", LAYOUTS),
        ("Networks", BACKBONES),
        ("Splits", SPLITS),
        ("Augmentations", AUGMENTATIONS),
        ("Baseline models", BASELINES),
        ("Baseline models of a regression", VALUE_BASELINES),
        ("Scores", METRICS),
        ("Attribution methods", METHODS),
        ("Preparations of a transfer", PREPARATIONS),
        ("References of a transfer", REFERENCES),
    ):
        parts += ["", f"## {title}", "", *_list_records(records)]
    parts += ["", "## Methods of transfer", "", "Each has [a card](transfer_methods.md)."]
    parts += ["", "## Measures of the trust card", "", *_list_measures()]
    return "\n".join(parts) + "\n"


NEEDS = {
    "classes": "samples with classes",
    "numbers": "samples with a number each",
    "samples": "samples, whatever their labels",
    "target": "nothing",
}
"""What a method of transfer learns from -> what it needs of the source, in words."""
BESIDE = (learn_programs, Programs.project, compare_species, carry_sets, usual_values, rank_values,
          measure_domains, predict_sets, match_cohorts, self_train, domain_auc,
          compare_under_imbalance, read_images, compare_networks, attribute_genes)  # fmt: skip
"""Functions that don't answer with probabilities of classes, or say more than these."""


def transfer_methods() -> str:
    """A card for each method of transfer."""
    parts = [
        "# Methods of transfer",
        "",
        "What each does, what differs from the published one, and what it needs. Whether one helps "
        "is what [Transfer](transfer.md) measures; what they did on planted and on real cohorts "
        "is [here](../../benchmarks/results/transfer_methods.md). Seconds are of one fit on one "
        "core of some hundred samples and genes.",
    ]
    for record in TRANSFER_METHODS:
        parts += [
            "",
            f"## {record.title}",
            "",
            record.description,
            "",
            f"- **Name:** `{record.name}` ({record.scenario})",
            f"- **Needs of the source:** {NEEDS[record.learns_from]}",
            f"- **Labelled target samples:** {record.min_target} or more",
            *(["- **Needs beside:** gene sets (GMT)"] if record.needs_sets else []),
            f"- **Seconds:** {record.seconds:g}",
            f"- **Departs:** {record.departs}",
            f"- **Reference:** {record.reference}",
        ]
    parts += [
        "",
        "## The other questions",
        "",
        "Their answers are no classes of patients, so that each is a question of its own on the "
        "page, with its verdict, its plain reference and its controls.",
    ]
    for kind in ENQUIRIES:
        parts += [
            "",
            f"### {kind.title}",
            "",
            kind.help,
            "",
            f"- **Question:** `{kind.name}`",
            f"- **Departs:** {kind.departs}",
            f"- **Reference:** {kind.reference}",
        ]
    parts += [
        "",
        "## Functions beside them",
        "",
        "For what is no probability of a class, and for what happens within a method.",
    ]
    for function in BESIDE:
        said = inspect.getdoc(function).partition("\n\nArgs:")[0].partition("\n\nRaises:")[0]
        parts += ["", f"### {function.__qualname__}", "", f"In `{function.__module__}`. {said}"]
    return "\n".join(parts) + "\n"


def _list_records(records: Iterable) -> Iterable[str]:
    for record in records:
        said = [record.help, getattr(record, "warning", None)]
        source = getattr(record, "reference", "")
        cited = f" *{source}.*" if source else ""
        yield f"- **{record.title}** (`{record.name}`). {' '.join(filter(None, said))}{cited}"


def _list_measures() -> Iterable[str]:
    yield "| question | what is measured | green | red |"
    yield "| --- | --- | --- | --- |"
    for measure in MEASURES:
        source = f" *{measure.reference}.*" if measure.reference else ""
        lights = _say_limits(measure.green, measure.red)
        what = f"{measure.help}{source} {measure.reason}"
        yield f"| {measure.title} | {what} | {' | '.join(lights)} |"


def _say_limits(green: float | None, red: float | None) -> tuple[str, str]:
    if green is None or red is None:
        return "no light", ""
    signs = ("≥", "≤") if green > red else ("≤", "≥")
    return f"{signs[0]} {green:g}", f"{signs[1]} {red:g}"


PAGES = {
    "glossary.md": glossary,
    "methods/catalogue.md": catalogue,
    "methods/transfer_methods.md": transfer_methods,
}
"""File of docs -> what it holds."""

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
