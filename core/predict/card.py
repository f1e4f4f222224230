"""The README of a model folder: a model card (Mitchell et al. 2019, arXiv:1810.03993)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.escape import escape_markdown
from core.evaluation.intervals import interval
from core.evaluation.metrics import score_counts
from core.predict.model import Model
from core.runs.result import RunResult

if TYPE_CHECKING:
    from core.predict.folder import Document

METHOD = "Rukhsar et al. 2022, Appl. Sci. 12:1850"


def write_card(document: Document, model: Model) -> str:
    """The card as Markdown; every name of a class, gene or column is escaped."""
    result = read_result(document, model.id)
    parts = [
        [f"# {escape_markdown(document.name)}", "", *_say_what(document, model)],
        ["## Licence", "", "Licence: *not stated. Whoever passes this folder on writes it here.*"],
        ["## What it learned from", "", *_say_data(document, model, result)],
        ["## How good it is", "", *_say_scores(document, model, result)],
        ["## Known limits", "", *_say_limits(result)],
        ["## How to use it", "", *_say_use(document)],
        ["## Citation", "", f"The method: {METHOD}.",
         f"The network: {model.spec.network.record.reference}."],
    ]  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def read_result(document: Document, model: str) -> RunResult:
    """The result that a folder holds; raises ValidationError for one that is none."""
    own = {"run": model, "scored": list(range(len(document.folds)))}
    return RunResult.model_validate({**document.result, **own})


def _say_what(document: Document, model: Model) -> Iterator[str]:
    spec, task = model.spec, model.task
    names = ", ".join(escape_markdown(name) for name in model.classes)
    if task.has_classes:
        yield f"Tells {len(model.classes)} classes apart by gene expression: {names}."
    else:
        yield f"Predicts {names}, a number, from gene expression."
    genes, networks = len(model.folds[0].preprocessor.genes), len(model.folds)
    yield (
        f"{genes:,} genes are painted on an image of {spec.network.image_size} pixels a side, that "
        f"{spec.network.record.title} looks at ({networks} network{'s' if networks > 1 else ''})."
    )
    yield f"Expression must be {_SCALES[document.scale]}. Steps of the preparation:"
    yield ""
    yield from (f"- {step}" for step in spec.preparation.describe(document.scale))


_SCALES = {
    "counts": "reads per gene (counts)",
    "linear": "linear (such as TPM or FPKM)",
    "log2": "log2 values",
}


def _say_data(document: Document, model: Model, result: RunResult) -> Iterator[str]:
    learned = result.n_train + result.n_validation
    yield (
        f"{learned} samples were learned from in the first fold ({result.n_train} by training, "
        f"{result.n_validation} for calibration), {result.n_test} were held out."
    )
    if model.spec.cohort.group is None:
        yield "Patients were not known: samples of one may stand on both sides of the split."
    else:
        yield "Samples of one patient were never on both sides of the split."
    if model.spec.permute_labels:
        yield "**The labels were permuted: this is a control that is right by chance only.**"
    yield ""
    yield "This folder holds no id of a sample or patient, and no sample's expression."


def _say_scores(document: Document, model: Model, result: RunResult) -> Iterator[str]:
    task = model.task
    reference = task.reference(result.baselines)
    repeated = bool(result.confusion) and int(np.sum(result.confusion)) != result.n_test
    yield (
        f"On the {result.n_test} held-out samples, beside {task.baselines[reference].phrase} on "
        "the same genes and the same samples:"
    )
    yield ""
    yield f"| score | network | 95 % interval | {task.baselines[reference].title.lower()} |"
    yield "| --- | ---: | ---: | ---: |"
    for metric in task.metrics:
        if metric.name not in result.metrics:
            continue
        limits = result.intervals.get(metric.name)
        if metric.name == "accuracy" and not repeated:
            limits = result.accuracy_interval
        between = "" if limits is None else f"{limits[0]:.3f} to {limits[1]:.3f}"
        values = (result.metrics[metric.name], result.baselines[reference].get(metric.name))
        network, plain = ("" if value is None else f"{value:.3f}" for value in values)
        yield f"| {metric.title} | {network} | {between} | {plain} |"
    if task.has_classes:
        yield ""
        yield from _list_classes(document, result, repeated)


def _list_classes(document: Document, result: RunResult, repeated: bool) -> Iterator[str]:
    counts = np.array(result.confusion)
    table = score_counts(counts, result.classes)
    learned = document.folds[0].learned_from
    yield "| class | learned from | held out | recall | 95 % interval | precision | 95 % interval |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for number, row in table.iterrows():
        named = int(counts[:, number].sum())
        precision = interval(counts[number, number], named) if named else None
        recall = (row.recall_low, row.recall_high)
        cells = [
            escape_markdown(row["class"]), str(learned.get(row["class"], "")), str(row.n),
            _share(row.recall),
            "" if repeated or np.isnan(recall[0]) else _between(recall), _share(row.precision),
            "" if repeated or precision is None else _between(precision),
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    if repeated:
        yield ""
        yield "Samples were held out several times and count each time: no intervals are given."


def _between(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.1%} to {limits[1]:.1%}"


def _share(value: float) -> str:
    return "none" if pd.isna(value) else f"{value:.1%}"


def _say_limits(result: RunResult) -> Iterator[str]:
    yield (
        "- The scores are those of samples from the cohort that the model learned from. In another "
        "one, from another laboratory or platform, they are usually lower."
    )
    yield "- It names one of its classes for any sample, of whatever tissue."
    for finding in result.findings or []:
        yield f"- {finding.severity}: {escape_markdown(finding.message)}"
    for note in result.notes:
        yield f"- {escape_markdown(note)}"


def _say_use(document: Document) -> Iterator[str]:
    yield "With GeneCanvas:"
    yield ""
    yield "    genecanvas models import FOLDER"
    yield ""
    yield (
        "Without it: genes-N.csv says how expression becomes one value in [0, 1] a gene and on "
        "which pixel it stands, model-N.safetensors holds the network under torchvision's names of "
        "its layers, and model.json the rest. docs/model_folder.md of GeneCanvas goes through it "
        "step by step. Of several networks the mean of the probabilities counts."
    )
    yield ""
    packages = ", ".join(f"{name} {number}" for name, number in document.packages.items())
    yield f"Written with {packages}."
