"""The model folder: a finished run as files that others can read without this program.

A folder holds `model.json`, `README.md`, and of each fold `genes-N.csv`, `model-N.safetensors` and
`reference-N.safetensors`; docs/model_folder.md describes them. It holds no id of a sample or
patient, and no sample's expression. This module has the forms and writes a folder;
`core.predict.opening` reads one, and `core.predict.sent` keeps it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from core.data.prepare import RANK_STEPS, PreparationSpec, Preprocessor
from core.download import hash_file
from core.errors import InputError
from core.escape import write_csv
from core.files import need_empty, write_folder, write_json
from core.images.layout import GeneLayout
from core.predict.card import write_card
from core.predict.model import Model, ensure_references, load_model
from core.runs.fitted import FittedModel
from core.runs.result import RunResult
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.study import open_samples

FORMAT, VERSION = "genecanvas model", 1
DOCUMENT, CARD = "model.json", "README.md"
GENES, WEIGHTS, REFERENCE = "genes-{}.csv", "model-{}.safetensors", "reference-{}.safetensors"
"""Of a fold, counted from 1."""
MOST_FOLDS = 99
MOST_TEXT = 300
"""Characters of an id or a name."""
PACKAGES = ("torch", "torchvision", "numpy", "safetensors")
SAYABLE = ("batch", "below_zero", "centred", "leak", "missing_patients", "missing_values",
           "no_batch", "no_patients", "normal_tissue", "small_class")  # fmt: skip
"""Findings whose words name no sample and no patient."""


class FoldRecord(BaseModel):
    """What a fold needs beside its tables and arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    scale: dict[str, float]
    """What turns the network's answers into those that people read: `temperature`, by which class
    scores are divided before the softmax; of a regression `mean` and `sd`, which turn the answer
    into mean + sd * answer."""
    shares: dict[str, float] | None
    """Of a linear head: the share of the genes (`image`) and of each stage's maps."""
    log_library: float
    """Training mean of the log2 of the TMM factors; 0 unless library sizes are by TMM."""
    canvas: int = Field(ge=1, le=448)
    """Pixels a side of the canvas on which genes have their places; it divides the image."""
    learned_from: dict[str, int]
    """Class -> samples that the fold learned from; empty where that isn't known any more."""


class Document(BaseModel):
    """model.json."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["genecanvas model"]
    version: Literal[1]
    name: str = Field(min_length=1, max_length=MOST_TEXT)
    spec: dict[str, Any]
    """The specification of the run, without dataset, columns and samples of its cohort."""
    scale: Literal["counts", "linear", "log2"]
    """Of the expression that the model was trained on, and takes."""
    preparation_version: int
    """Of the steps from expression to [0, 1]; raised when they give other values."""
    folds: list[FoldRecord] = Field(min_length=1, max_length=MOST_FOLDS)
    result: dict[str, Any]
    """Scores on held-out samples and how they came about: a RunResult without what is private."""
    packages: dict[str, str]
    """What it was written with."""
    files: dict[str, str]
    """File -> SHA-256 of every other file but README.md, which its owner may edit."""


def export_model(run: str, folder: Path, progress: Callable[[int, int], None]) -> Path:
    """Write a finished run as a model folder, atomically.

    Args:
        run: its id.
        folder: must be empty, or not there yet.
        progress: called with folds done and folds in all.

    Returns:
        The folder's absolute path.

    Raises:
        InputError: the run isn't finished or is damaged, its dataset is gone before anything was
            asked of it, or the folder isn't empty.
    """
    need_empty(folder)
    model = load_model(run)
    if model.sent:
        raise InputError(f"Model {run} was sent to you. Pass on the folder that it came as.")
    ensure_references(run, progress)
    return write_folder(folder, lambda temporary: _fill(temporary, model, progress))


def _fill(folder: Path, model: Model, progress: Callable[[int, int], None]) -> None:
    from safetensors.numpy import save_file

    from core.models.network import save_network

    records, learned = [], _count_learned(model.folds)
    for done, fitted in enumerate(model.folds):
        progress(done, len(model.folds))
        number, arrays = done + 1, model.references[done].arrays()
        del arrays["genes"]
        write_csv(tabulate_genes(fitted.preprocessor, fitted.layout), folder / GENES.format(number))
        save_network(fitted.network, folder / WEIGHTS.format(number))
        arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
        save_file(arrays, folder / REFERENCE.format(number))
        records.append(
            FoldRecord(
                scale=fitted.scale,
                shares=fitted.shares,
                log_library=fitted.preprocessor.log_library,
                canvas=fitted.layout.shape[0],
                learned_from=learned[done],
            )
        )
    result = model.folds[0].kept.result
    document = Document(
        format=FORMAT,
        version=VERSION,
        name=_name_of(model),
        spec=_make_public(model.spec),
        scale=model.folds[0].preprocessor.scale,
        preparation_version=PreparationSpec.version,
        folds=records,
        result=_strip(result),
        packages={"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        files={path.name: hash_file(path, "sha256") for path in sorted(folder.iterdir())},
    )
    write_json(folder / DOCUMENT, document.model_dump(mode="json"))
    (folder / CARD).write_text(write_card(document, model), encoding="utf-8")


def _name_of(model: Model) -> str:
    """The run's name in the list of runs, where it is listed."""
    name = ""
    with suppress(InputError):
        name = RunStore().get(model.id).name if RunStore.exists() else ""
    return (name or model.spec.title())[:MOST_TEXT]


def _make_public(spec: RunSpec) -> dict[str, Any]:
    """The specification without what tells the dataset, its other columns, samples or folders."""
    document = spec.model_dump(mode="json")
    document["cohort"] = {"label": spec.cohort.label, "merge": spec.cohort.merge}
    kind, _, value = spec.network.weights.partition(":")
    if kind == "file":
        document["network"]["weights"] = f"file:{Path(value).name}"
    return document


def _strip(result: RunResult) -> dict[str, Any]:
    """A result of the folds that it is of, without hashes, and findings without samples' names."""
    document = result.model_dump(mode="json", exclude={"run", "files", "scored"})
    document["folds"] = [document["folds"][number] for number in result.scored]
    found = [one for one in document["findings"] or [] if one["code"] in SAYABLE]
    document["findings"] = [{**one, "repair": None} for one in found]
    return document


def _count_learned(folds: Sequence[FittedModel]) -> list[dict[str, int]]:
    """Of each fold: class -> samples that it learned from."""
    try:
        samples = open_samples(folds[0].spec)
        parts = [fitted.locate(samples).fitting for fitted in folds]
    except InputError:  # its dataset was deleted
        return [{} for _ in folds]
    counts = [np.unique(samples.labels[part], return_counts=True) for part in parts]
    return [dict(zip(map(str, names), map(int, n), strict=True)) for names, n in counts]


# --- the table of genes -----------------------------------------------------------------------


def tabulate_genes(prepared: Preprocessor, layout: GeneLayout) -> pd.DataFrame:
    """All that is known of each gene, as genes-N.csv has it.

    A row for each gene that the model was trained with, in their order; those that are not on the
    image have an id and, where samples can't be prepared without them, what that needs. Numbers are
    float64, so that a text of all their digits gives the very float32.
    """
    n, index = len(prepared.all_genes), prepared.index

    def spread(values: np.ndarray) -> np.ndarray:
        column = np.full(n, np.nan)
        column[index] = values
        return column

    table = pd.DataFrame({"gene": prepared.all_genes})
    for name, places in (("row", layout.row), ("column", layout.col)):
        table[name] = pd.array([pd.NA] * n, dtype="Int64")
        table.loc[index, name] = places
    if layout.group is not None:
        table["group"] = ""
        table.loc[index, "group"] = layout.group
    table["fill"] = prepared.fill.astype(np.float64)
    for name in ("low", "high", "mean", "unit_sd"):
        table[name] = spread(getattr(prepared, name))
    for name, values in (("tmm", prepared.reference), ("profile", prepared.distribution)):
        if len(values):
            table[name] = values.astype(np.float64)
    steps = {f"quantile_{step}": spread(values) for step, values in enumerate(prepared.steps)}
    return pd.concat([table, pd.DataFrame(steps)], axis=1) if steps else table


def gene_columns(preparation: PreparationSpec, scale: str, *, groups: bool) -> list[str]:
    """The columns of genes-N.csv, in their order."""
    columns = ["gene", "row", "column", *(["group"] if groups else [])]
    columns += ["fill", "low", "high", "mean", "unit_sd"]
    if scale == "counts" and preparation.library == "tmm":
        columns.append("tmm")
    if preparation.across == "quantile":
        columns.append("profile")
    if preparation.scaling == "rank":
        columns += [f"quantile_{step}" for step in range(RANK_STEPS)]
    return columns
