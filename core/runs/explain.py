"""Attributions of a run's held-out samples: computed once by a process of their own, then read."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.check import select_samples
from core.data.prepare import Preprocessor
from core.errors import InputError
from core.explain.attribution import METHODS
from core.files import read_json, write_atomic, write_json
from core.home import run_folder
from core.images.layout import GeneLayout
from core.runs.lease import Lease, is_held
from core.runs.result import load_result
from core.runs.spec import RunSpec

SAMPLES_PER_CLASS = 40
"""At most so many held-out samples of a class are explained, so that a class mean stays quick."""
TOP_GENES = 50
"""Length of the gene lists that are compared with the untrained network's."""


@dataclass(frozen=True)
class RunAttribution:
    """Scores of one method for held-out samples, each for the sample's true class.

    With k folds every sample is explained by the network that had not seen it; a gene that is not
    on that fold's image has score NaN.
    """

    scores: np.ndarray
    """(samples, genes) float32"""
    genes: np.ndarray
    samples: np.ndarray
    labels: np.ndarray
    """(samples,) true class"""
    folds: np.ndarray
    """(samples,) which fold held the sample out"""
    maps: np.ndarray | None
    """(samples, height, width) of a region method, at the resolution of the network's stage"""
    completeness: np.ndarray | None
    """(samples,) relative error of integrated gradients' completeness"""
    untrained_overlap: dict[str, float]
    """For each class, the share of the top genes that the same network untrained names as well"""


class ExplanationState(NamedTuple):
    """Whether an attribution stands, and how far it is."""

    state: str
    """missing, working, done or failed"""
    fraction: float
    message: str


def _path(run: str, method: str, suffix: str) -> Path:
    return run_folder(run) / "attributions" / f"{METHODS[method].name}{suffix}"


def explain_run(run: str, method: str, progress: Callable[[int, int], None]) -> None:
    """Compute a method's attributions for a finished run, and the gene table of every class.

    Raises InputError when the run has no result, or when another process computes the same.
    """
    from core.runs.attribute import attribute_run

    load_result(run)
    if _path(run, method, ".npz").exists():
        return
    target = _path(run, method, ".progress.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    lease = Lease(_path(run, method, ".lease"))
    if not lease.acquire():
        raise InputError(f"Another process is computing {method} of run {run}. Wait for it.")
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        progress(done, total)
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            write_json(target, {"done": done, "total": total})

    try:
        arrays, tables = attribute_run(run, method, SAMPLES_PER_CLASS, TOP_GENES, report)
        write_atomic(
            _path(run, method, ".genes.csv"), lambda path: tables.to_csv(path, index=False)
        )
        write_atomic(_path(run, method, ".npz"), lambda path: np.savez(path.open("wb"), **arrays))
    except Exception as error:
        write_json(target, {"error": str(error) or type(error).__name__})
        raise
    finally:
        lease.release()
    target.unlink(missing_ok=True)


def load_attribution(run: str, method: str) -> RunAttribution:
    """Read a computed attribution; raises InputError while there is none."""
    path = _path(run, method, ".npz")
    if not path.exists():
        raise InputError(f"{METHODS[method].title} of run {run} has not been computed yet.")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    overlap = json.loads(str(arrays.pop("untrained_overlap")))
    optional = {name: arrays.pop(name, None) for name in ("maps", "completeness")}
    return RunAttribution(**arrays, **optional, untrained_overlap=overlap)


def class_genes(run: str, method: str, cls: str | None = None) -> pd.DataFrame:
    """The gene table of a class, or of all: gene, class, score, rank, log2fc, fdr, ...

    Raises InputError while the attribution is not computed, and for an unknown class.
    """
    path = _path(run, method, ".genes.csv")
    if not path.exists():
        raise InputError(f"{METHODS[method].title} of run {run} has not been computed yet.")
    table = pd.read_csv(path, keep_default_na=False, na_values={"log2fc": [""], "fdr": [""]})
    if cls is None:
        return table
    if cls not in set(table["class"]):
        known = ", ".join(sorted(set(table["class"])))
        raise InputError(f"Run {run} has no class {cls!r}. Known: {known}.")
    return table[table["class"] == cls].reset_index(drop=True)


def request_explanation(run: str, method: str) -> None:
    """Start a detached process that computes the attribution, unless it stands or is under way."""
    if explanation_state(run, method).state in ("done", "working"):
        return
    load_result(run)
    _path(run, method, "").parent.mkdir(parents=True, exist_ok=True)
    write_json(_path(run, method, ".progress.json"), {"done": 0, "total": 1})
    with _path(run, method, ".log").open("wb") as log:
        subprocess.Popen(
            [sys.executable, "-m", "core", "explain", run, "--method", method],
            cwd=Path(__file__).parents[2],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def explanation_state(run: str, method: str, patience: float = 60) -> ExplanationState:
    """Look whether the attribution stands; a process that died shows as failed.

    Args:
        run: a run's id.
        method: a name in METHODS.
        patience: seconds that a process may take from its start to its lease.
    """
    if _path(run, method, ".npz").exists():
        return ExplanationState("done", 1.0, "")
    target = _path(run, method, ".progress.json")
    try:
        progress, age = read_json(target), time.time() - target.stat().st_mtime
    except FileNotFoundError:
        return ExplanationState("missing", 0.0, "")
    if "error" in progress:
        return ExplanationState("failed", 0.0, progress["error"])
    if not is_held(_path(run, method, ".lease")) and age > patience:
        log = _path(run, method, ".log")
        tail = log.read_text(errors="replace")[-500:] if log.exists() else ""
        return ExplanationState("failed", 0.0, f"The computation died. {tail}".strip())
    return ExplanationState("working", progress["done"] / max(progress["total"], 1), "")


def fold_layout(run: str, fold: int) -> GeneLayout:
    """The layout that a fold of a finished run was trained with."""
    return GeneLayout.load(run_folder(run) / "folds" / str(fold) / "layout.npz")


def gene_expression(spec: RunSpec, data: AnnData, gene: str) -> pd.DataFrame:
    """log2 expression of a gene in the run's samples: sample, class, log2_expression.

    Taken through the first fold's preparation whose image has the gene; raises InputError when
    none has it.
    """
    data = select_samples(data, spec.where, spec.leave_out)
    for place in sorted((run_folder(spec.id) / "folds").iterdir()):
        prepared = Preprocessor.load(place / "preprocessor.npz")
        column = np.flatnonzero(prepared.genes == gene)
        if len(column):
            values = prepared.log_expression(np.asarray(data.X))[:, column[0]]
            return pd.DataFrame(
                {
                    "sample": data.obs_names,
                    "class": data.obs[spec.label].to_numpy().astype(str),
                    "log2_expression": values,
                }
            )
    raise InputError(f"Gene {gene!r} was not on the images of run {spec.id}.")
