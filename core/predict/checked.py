"""The parts of a model folder, read as what a stranger wrote: checked before anything is used.

Each function reads one file and raises InputError, one sentence that says which file and what is
wrong with it. Sizes are compared with what model.json says before memory is taken for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from core.data.prepare import PreparationSpec, Preprocessor
from core.download import hash_file
from core.errors import InputError
from core.escape import read_csv
from core.images.layout import GeneLayout
from core.predict.card import read_result
from core.predict.folder import (
    CARD,
    DOCUMENT,
    FORMAT,
    GENES,
    MOST_TEXT,
    REFERENCE,
    VERSION,
    WEIGHTS,
    Document,
    FoldRecord,
    gene_columns,
)
from core.predict.novelty import MOST_AXES
from core.predict.reference import NOVELTY, QUANTILES, Reference
from core.runs.result import RunResult
from core.runs.spec import RunSpec
from core.training.tasks import TASKS

MOST_GENES = 200_000
MOST_CLASSES = 400
MOST_VALUES = 200_000
"""Values and names in model.json."""
LONGEST = 3_000
"""Characters of a text in model.json."""
LARGEST = 1e30
"""Numbers in genes.csv are smaller; beyond float32 they would be infinite."""
HEAD = 20_000
"""Bytes of the first line of genes.csv."""


def wrong(where: str, what: str) -> InputError:
    """The refusal of a folder: which part of it, and what is wrong there."""
    return InputError(f"The model folder can't be used: {where} {' '.join(what.split())}.")


def need(right: Any, where: str, what: str) -> None:
    """Raise the refusal unless something is as it must be."""
    if not right:
        raise wrong(where, what)


def is_plain(text: str, most: int = MOST_TEXT) -> bool:
    """Whether a text is short and can be shown on one line."""
    return len(text) <= most and text.isprintable()


# --- model.json -------------------------------------------------------------------------------


def read_document(folder: Path) -> Document:
    """model.json; the other files must be those that it names, byte by byte."""
    path = folder / DOCUMENT
    need(path.exists(), DOCUMENT, "is missing")
    try:
        found = json.loads(path.read_bytes().decode("utf-8"), parse_constant=_refuse_constant)
        _check_values(found)
    except (ValueError, RecursionError) as error:
        raise wrong(DOCUMENT, f"is not valid JSON ({error!s:.200})") from None
    need(isinstance(found, dict) and found.get("format") == FORMAT, DOCUMENT,
         f"doesn't say that its format is {FORMAT!r}")  # fmt: skip
    need(found.get("version") == VERSION, DOCUMENT,
         f"is of version {found.get('version')!s:.20}, and only {VERSION} is known")  # fmt: skip
    try:
        document = Document.model_validate(found)
    except ValidationError as error:
        raise wrong(DOCUMENT, _first_of(error)) from None
    numbers = range(1, len(document.folds) + 1)
    expected = {form.format(number) for form in (GENES, WEIGHTS, REFERENCE) for number in numbers}
    there = {path.name for path in folder.iterdir()} - {DOCUMENT, CARD}
    for name in sorted(expected | there):
        need(name in there, name, "is missing")
        need(name in expected, name, f"belongs to no fold: {DOCUMENT} has {len(numbers)}")
    need(set(document.files) == expected, DOCUMENT, "must have the SHA-256 of all other files")
    for name in sorted(expected):
        need(hash_file(folder / name, "sha256") == document.files[name], name,
             f"is not the file that {DOCUMENT} is about: its SHA-256 differs")  # fmt: skip
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _check_values(document: Any) -> None:
    """Raise ValueError where there are very many values, or one is very long or large."""
    waiting, seen = [document], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and not is_plain(value.replace("\n", " "), LONGEST):
            raise ValueError(f"the text {value[:60]!r} is too long or can't be printed")
        elif isinstance(value, int) and abs(value) > 2**62:
            raise ValueError("a number is too large")
        if seen > MOST_VALUES:
            raise ValueError(f"it has more than {MOST_VALUES:,} values")


def _first_of(error: ValidationError) -> str:
    """The first thing that is wrong, for a sentence that begins with the file's name."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"is wrong at {where}: {first['msg'].removeprefix('Value error, ')}"[:400].rstrip(".")


def read_spec(document: Document) -> RunSpec:
    """The specification; networks, layouts and fields that are unknown here are refused."""
    cohort = document.spec.get("cohort")
    need(isinstance(cohort, dict) and set(cohort) <= {"label", "merge"}, DOCUMENT,
         "is wrong at spec.cohort: only label and merge may stand there")  # fmt: skip
    try:
        spec = RunSpec.restore(document.spec)
    except (InputError, TypeError, ValueError, AttributeError) as error:
        said = str(error).removeprefix("The run can't be started: ")[:400]
        raise wrong(DOCUMENT, f"is wrong at spec: {said.rstrip('.')}") from None
    need(document.preparation_version == PreparationSpec.version, DOCUMENT,
         "is of another version of the preparation, which gives other values")  # fmt: skip
    need(spec.preparation.scale in ("auto", document.scale), DOCUMENT,
         "has another scale than its spec")  # fmt: skip
    return spec


def read_scores(document: Document, spec: RunSpec, model: str) -> RunResult:
    """The result, whose classes and scores must be those of the task."""
    try:
        result = read_result(document, model)
    except ValidationError as error:
        raise wrong(DOCUMENT, f"{_first_of(error)} (in result)") from None
    task, classes, at = TASKS[spec.task], result.classes, f"{DOCUMENT}, in its result,"
    need(result.task == spec.task, at, "has another task than its spec")
    need(all(name and is_plain(name) for name in classes), at,
         f"has classes of more than {MOST_TEXT} or strange characters")  # fmt: skip
    counts = result.confusion
    if task.has_classes:
        need(2 <= len(classes) <= MOST_CLASSES and classes == sorted(set(classes)), at,
             f"must have 2 to {MOST_CLASSES:,} different classes, sorted")  # fmt: skip
        need([len(row) for row in counts] == [len(classes)] * len(classes), at,
             "must count each pair of classes in its confusion")  # fmt: skip
        need(min(map(min, counts)) >= 0, at, "has counts below 0 in its confusion")
    else:
        need(classes == [spec.cohort.label] and not counts, at, "must have the target alone")
    need(len(result.folds) == len(document.folds), at, "has another number of folds")
    need(result.n_test > 0, at, "has no held-out samples")
    baselines = result.baselines
    need(set(baselines) <= set(task.baselines.names), at, "has baseline models that are unknown")
    for name in (task.floor, task.reference(baselines)):
        need(name in baselines, at, f"lacks the baseline model {name}")
    for scores in (result.metrics, *baselines.values()):
        need(set(scores) <= set(task.metrics.names) and task.first_metric in scores, at,
             "must have scores of the task, and no others")  # fmt: skip
        need(all(map(isfinite, scores.values())), at, "has scores that are no numbers")
    return result


def check_fold(record: FoldRecord, number: int, spec: RunSpec, classes: list[str]) -> None:
    """Whether what model.json says of a fold can be."""
    task, at = TASKS[spec.task], f"{DOCUMENT}, in fold {number},"
    try:
        scale = task.read_scale(record.scale)
    except (KeyError, ValueError):
        scale = {}
    need(scale and set(scale) == set(record.scale), at, "lacks the scale that its task has")
    for name in ("temperature", "sd"):
        need(scale.get(name, 1) > 0, at, f"has {name} that isn't above 0")
    need((record.shares is not None) == spec.network.is_solved, at,
         "must have shares where its head is linear, and nowhere else")  # fmt: skip
    shares = record.shares or dict.fromkeys(spec.network.sources, 0.0)
    need(set(shares) == set(spec.network.sources), at, "has shares of other maps")
    need(all(0 <= share <= 1 for share in shares.values()), at, "has shares outside of 0 to 1")
    need(abs(record.log_library) < 100, at, "has a log_library that can't be")
    need(set(record.learned_from) <= set(classes), at, "learned from other classes")


# --- genes-N.csv ------------------------------------------------------------------------------


def read_genes(
    path: Path, record: FoldRecord, scale: str, spec: RunSpec
) -> tuple[Preprocessor, GeneLayout]:
    """The table of genes, as `core.predict.folder.tabulate_genes` wrote it."""
    name, preparation, canvas = path.name, spec.preparation, record.canvas
    table = _read_table(path, preparation, scale)
    genes = table["gene"].to_numpy().astype(str)
    need(all(gene and is_plain(gene) for gene in genes.tolist()), name,
         f"has ids that are empty, or of more than {MOST_TEXT} or strange characters")  # fmt: skip
    need(len(set(genes.tolist())) == len(genes), name, "has a gene twice")
    index = np.flatnonzero((table["row"] != "").to_numpy())
    need(len(index) >= 2, name, "has fewer than 2 genes with a place on the image")
    need(spec.network.image_size % canvas == 0, DOCUMENT,
         f"has a canvas of {canvas} pixels, which doesn't divide the image")  # fmt: skip
    everything = np.arange(len(genes))
    take = _columns(table, name)

    row, column = (take(place, index)[index] for place in ("row", "column"))
    for places in (row, column):
        inside = (places >= 0) & (places < canvas) & (places == places.round())
        need(inside.all(), name, f"has places that aren't on the canvas of {canvas} x {canvas}")
    fill = take("fill", index if preparation.across == "none" else everything, others=True)
    low, high, mean, sd = (take(of, index)[index] for of in ("low", "high", "mean", "unit_sd"))
    need((low < high).all(), name, "has genes whose low isn't below their high")
    for values in (mean, sd):
        need(((values >= 0) & (values <= 1)).all(), name, "has a mean or unit_sd outside of 0 to 1")
    nothing = np.empty(0, np.float32)
    tmm, profile = (take(of, everything) if of in table else nothing for of in ("tmm", "profile"))
    need((tmm >= 0).all(), name, "has counts below 0 in tmm")
    need((np.diff(profile) >= 0).all(), name, "has a profile that isn't sorted")
    steps = [take(of, index)[index] for of in table if of.startswith("quantile_")]
    quantiles = np.array(steps) if steps else np.empty((0, len(index)), np.float32)
    need((np.diff(quantiles, axis=0) >= 0).all(), name, "has quantiles that aren't sorted")
    groups = table["group"].to_numpy().astype(str)[index] if "group" in table else None
    need(groups is None or all(map(is_plain, groups.tolist())), name,
         f"has groups of more than {MOST_TEXT} or strange characters")  # fmt: skip
    prepared = Preprocessor(
        spec=preparation, scale=scale, all_genes=genes, index=index, reference=tmm,
        log_library=record.log_library, fill=fill, distribution=profile, low=low, high=high,
        steps=quantiles, mean=mean, unit_sd=sd,
    )  # fmt: skip
    places = (values.astype(np.int64) for values in (row, column))
    return prepared, GeneLayout(spec.layout.name, genes[index], *places, (canvas, canvas), groups)


def _read_table(path: Path, preparation: PreparationSpec, scale: str) -> pd.DataFrame:
    """All cells as texts."""
    with path.open("rb") as file:
        head = file.readline(HEAD).decode("utf-8", "replace").rstrip("\r\n").split(",")
        lines = sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
    expected = gene_columns(preparation, scale, groups="group" in head)
    found, wanted = (", ".join(names)[:150] for names in (head, expected))
    need(head == expected, path.name, f"has the columns {found}; expected {wanted}")
    need(lines <= MOST_GENES, path.name, f"has more than {MOST_GENES:,} genes")
    try:
        return read_csv(path, dtype=str, encoding="utf-8", index_col=False)
    except ValueError as error:
        raise wrong(path.name, f"is no table ({error!s:.200})") from None


def _columns(table: pd.DataFrame, name: str) -> Callable[..., np.ndarray]:
    """A function that gives a column as float32, with NaN where it is empty."""

    def take(column: str, rows: np.ndarray, *, others: bool = False) -> np.ndarray:
        """Finite numbers must stand in `rows`, and elsewhere only where there may be `others`."""
        texts = table[column].to_numpy()
        there = np.flatnonzero(texts != "")
        values = np.full(len(texts), np.nan)
        try:
            values[there] = texts[there].astype(float)
        except ValueError:
            raise wrong(name, f"has texts among the numbers of {column}") from None
        need(np.isfinite(values[rows]).all(), name, f"lacks numbers in {column}")
        need((np.abs(values[there]) < LARGEST).all(), name, f"has infinite numbers in {column}")
        need(others or len(there) == len(rows), name, f"has {column} for genes without a place")
        return values.astype(np.float32)

    return take


# --- weights and arrays -----------------------------------------------------------------------


def check_weights(path: Path, spec: RunSpec, outputs: int) -> None:
    """Whether a file holds the very tensors that the network has, before any of them is made."""
    import torch
    from safetensors import SafetensorError, safe_open

    from core.models.network import GeneImageNetwork

    scratch = spec.network.model_copy(update={"weights": "scratch"})
    with torch.device("meta"):  # takes no memory for what the folder announces
        expected = GeneImageNetwork(scratch, outputs, seed=0).state_dict()
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            for name in sorted(expected.keys() | names):
                need(name in names, path.name, f"lacks the tensor {name}")
                need(name in expected, path.name, f"holds {name[:80]!r}, which isn't the network's")
                shape, found = tuple(expected[name].shape), tuple(file.get_slice(name).get_shape())
                need(found == shape, path.name, f"has {name} in shape {found}, expected {shape}")
                tensor = file.get_tensor(name)
                need(tensor.dtype == expected[name].dtype, path.name,
                     f"has {name} as {tensor.dtype}, expected {expected[name].dtype}")  # fmt: skip
                need(torch.isfinite(tensor).all(), path.name, f"has infinite numbers in {name}")
    except SafetensorError as error:
        raise wrong(path.name, f"is no safetensors file ({error!s:.200})") from None


def read_reference(path: Path, prepared: Preprocessor, outputs: int) -> Reference:
    """The arrays of a fold's reference, in the shapes that its genes and classes ask for."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(path)
    except (SafetensorError, KeyError, TypeError) as error:
        raise wrong(path.name, f"is no safetensors file ({error!s:.200})") from None
    shapes = {name: values.shape for name, values in arrays.items()}

    def length(name: str, most: int = 2**40) -> int:
        """Of an array, where that is its own affair."""
        return min((*shapes.get(name, ()), 0)[0], most)

    genes, axes = len(prepared.index), length(f"{NOVELTY}offset")
    expected = {
        "importance": (genes,), "class_importance": (outputs, genes), "quantiles": (QUANTILES,),
        "log_mean": (genes,), "log_sd": (genes,), "distribution": (genes,),
        "library_share": (len(prepared.all_genes) if prepared.scale == "counts" else 0,),
        "linear_weights": (genes, outputs), "linear_offset": (outputs,), "gene_axes": (genes, 2),
        "gene_centre": (genes,), "unlike": (length("unlike"),), "energies": (length("unlike"),),
        f"{NOVELTY}axes": (length(f"{NOVELTY}axes"), axes), f"{NOVELTY}offset": (axes,),
        f"{NOVELTY}means": (length(f"{NOVELTY}means", outputs), axes),
        f"{NOVELTY}precision": (axes, axes),
    }  # fmt: skip
    for name in sorted(expected.keys() | shapes.keys()):
        need(name in shapes, path.name, f"lacks the array {name}")
        need(name in expected, path.name, f"holds {name[:80]!r}, which is none of its arrays")
        need(shapes[name] == expected[name], path.name,
             f"has {name} in shape {shapes[name]}, expected {expected[name]}")  # fmt: skip
        need(arrays[name].dtype in (np.float32, np.float64), path.name,
             f"has {name} as {arrays[name].dtype}, expected float32 or float64")  # fmt: skip
        values = arrays[name]
        if name == "class_importance":  # a class that nothing was held out of has none
            values = np.nan_to_num(values, posinf=np.inf, neginf=np.inf)
        need(np.isfinite(values).all(), path.name, f"has infinite numbers in {name}")
    need(0 < axes <= MOST_AXES, path.name, f"has {axes} axes of novelty, not 1 to {MOST_AXES}")
    for name in ("quantiles", "distribution", "unlike", "energies"):
        need((np.diff(arrays[name]) >= 0).all(), path.name, f"has {name} that aren't sorted")
    return Reference.from_arrays({"genes": prepared.genes, **arrays})
