"""Writes the pages that are made of the program's own records: the glossary and the catalogue.

python -m docs.generate
"""

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
from core.transfer.methods import TRANSFER_METHODS
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
        ("Methods of transfer", TRANSFER_METHODS),
    ):
        parts += ["", f"## {title}", "", *_list_records(records)]
    parts += ["", "## Measures of the trust card", "", *_list_measures()]
    return "\n".join(parts) + "\n"


def _list_records(records: Iterable) -> Iterable[str]:
    for record in records:
        departs = getattr(record, "departs", "")
        said = [record.help, getattr(record, "warning", None), departs and f"Departs: {departs}"]
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


PAGES = {"glossary.md": glossary, "methods/catalogue.md": catalogue}
"""File of docs -> what it holds."""

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())
