"""Attributions of a run's held-out samples: computed once by a process of their own, then read."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from core.errors import Cancelled, DamageError, InputError
from core.escape import read_csv, write_csv
from core.explain.evidence import measure_skill
from core.explain.gene_sets import group_genes
from core.explain.genes import rank_rows
from core.explain.measures import Evidence, judge_again
from core.explain.methods import METHODS, Recipe
from core.files import UNREADABLE, read_json, write_atomic, write_json
from core.home import run_folder
from core.images.layout import GeneLayout
from core.lease import Lease, is_held
from core.models.backbones import REGION_CELLS
from core.processes import start_detached
from core.runs.fitted import load_fitted
from core.runs.result import load_predictions, load_result, load_spec
from core.runs.spec import RunSpec
from core.runs.study import class_labels

SAMPLES_PER_CLASS = 40
"""At most so many held-out samples of a class are explained, so that a class mean stays quick."""
EVIDENCE_SAMPLES = 4
"""Samples of a class that the trust card asks the network about again, some hundred times each."""
OPTIONAL = ("maps", "completeness", "sets", "set_names")
"""Arrays that only some methods have."""
ATTRIBUTION, EVIDENCE = ".npz", ".evidence.json"
"""Suffixes of the files that are written last."""


@dataclass(frozen=True)
class RunAttribution:
    """Scores of one method for held-out samples, each for one class.

    With k folds every sample is explained by the network that had not seen it; a gene that is not
    on that fold's image has score NaN.
    """

    scores: np.ndarray
    """(samples, genes) float32"""
    genes: np.ndarray
    samples: np.ndarray
    labels: np.ndarray
    """(samples,) the class that was asked about: the true one, or the recipe's `towards`"""
    folds: np.ndarray
    """(samples,) which fold held the sample out"""
    maps: np.ndarray | None
    """(samples, height, width) of a region method, at the resolution of the network's stage"""
    completeness: np.ndarray | None
    """(samples,) relative error of integrated gradients' completeness"""
    sets: np.ndarray | None
    """(samples, sets) of a method that scores sets; NaN where the fold's image lacks the set"""
    set_names: np.ndarray | None
    untrained_overlap: dict[str, float] | None
    """For each class, how many of its top genes the same network untrained names as well: 0 as by
    chance, 1 all of them; None for methods that don't rank genes"""


class ExplanationState(NamedTuple):
    """Whether an attribution or its trust card stands, and how far it is."""

    state: str
    """missing, working, done or failed"""
    fraction: float
    message: str


def explain_run(run: str, recipe: Recipe, progress: Callable[[int, int], None]) -> None:
    """Compute a recipe's attributions for a finished run, and the gene table of every class.

    Raises InputError when the run has no result, when another process computes the same, and
    when the recipe doesn't fit the run.
    """
    from core.runs.attribute import attribute_run

    def work(report: Callable[[int, int], None]) -> None:
        arrays, tables = attribute_run(run, recipe, SAMPLES_PER_CLASS, report)
        write_atomic(_path(run, recipe, ".genes.csv"), lambda path: write_csv(tables, path))
        write_atomic(_path(run, recipe, ".npz"), lambda path: np.savez(path, **arrays))

    _compute(run, recipe, ATTRIBUTION, work, progress)


def collect_evidence(run: str, recipe: Recipe, progress: Callable[[int, int], None]) -> None:
    """Compute the trust card of a recipe's attribution, and the attribution first if need be.

    Each part is written when it is measured, and a computation that was interrupted goes on with
    the parts that are missing. Raises InputError as `explain_run` does.
    """
    from core.runs.attribute import PARTS, collect_parts

    def work(report: Callable[[int, int], None]) -> None:
        explain_run(run, recipe, lambda *_: report(0, len(PARTS)))
        unfinished = _beside(run, recipe, EVIDENCE, ".parts.json")
        parts = read_json(unfinished) if unfinished.exists() else {}
        report(len(parts), len(PARTS))
        found = load_attribution(run, recipe)
        for name, measured in collect_parts(run, recipe, found, EVIDENCE_SAMPLES, set(parts)):
            parts[name] = [asdict(evidence) for evidence in measured]
            write_json(unfinished, parts)
            report(len(parts), len(PARTS))
        write_json(_path(run, recipe, EVIDENCE), [row for name in PARTS for row in parts[name]])
        unfinished.unlink()

    _compute(run, recipe, EVIDENCE, work, progress)


def _compute(
    run: str,
    recipe: Recipe,
    result: str,
    work: Callable[[Callable[[int, int], None]], None],
    progress: Callable[[int, int], None],
) -> None:
    """Let `work` write the file of the suffix `result`, unless it stands; one process at a time."""
    load_result(run)
    if _path(run, recipe, result).exists():
        return
    target = _beside(run, recipe, result, ".progress.json")
    stop = _beside(run, recipe, result, ".cancel")
    target.parent.mkdir(parents=True, exist_ok=True)
    lease = Lease(_beside(run, recipe, result, ".lease"))
    if not lease.acquire():
        title = METHODS[recipe.method].title
        raise InputError(f"Another process is computing {title} of run {run}. Wait for it.")
    stop.unlink(missing_ok=True)  # meant one that died
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        progress(done, total)
        if stop.exists():
            raise Cancelled("The computation was cancelled.")
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            with suppress(OSError):  # progress is not worth a failure
                write_json(target, {"done": done, "total": total})

    try:
        work(report)
    except Cancelled:
        target.unlink(missing_ok=True)
        raise
    except Exception as error:
        write_json(target, {"error": str(error) or type(error).__name__})
        raise
    finally:
        lease.release()
        stop.unlink(missing_ok=True)
    target.unlink(missing_ok=True)


def load_attribution(run: str, recipe: Recipe) -> RunAttribution:
    """Read a computed attribution; raises InputError while there is none."""
    path = _find(run, recipe, ATTRIBUTION)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        overlap = json.loads(str(arrays.pop("untrained_overlap")))
        if not METHODS[recipe.method].ranks_genes:
            overlap = None
        optional = {name: arrays.pop(name, None) for name in OPTIONAL}
        return RunAttribution(**arrays, **optional, untrained_overlap=overlap)
    except UNREADABLE:
        raise _say_damaged(path) from None


def measure_run_skill(run: str) -> Evidence:
    """Whether a finished run's network knows the classes, from its held-out predictions."""
    return measure_skill(*read_answers(run))


def read_answers(run: str) -> tuple[np.ndarray, np.ndarray]:
    """A finished run's held-out samples: class numbers, and how often each was right, 0 to 1."""
    result, table = load_result(run), load_predictions(run)
    table = table[table["fold"].isin(result.scored)]
    right = (table["true"] == table["predicted"]).groupby([table["sample"], table["true"]]).mean()
    return np.searchsorted(result.classes, right.index.get_level_values("true")), right.to_numpy()


def read_evidence(run: str, recipe: Recipe) -> list[Evidence]:
    """What was measured for a recipe's trust card, under the limits of today.

    Raises InputError while it is not computed.
    """
    path = _find(run, recipe, EVIDENCE)
    try:
        return [judge_again(Evidence(**row), recipe.method) for row in read_json(path)]
    except UNREADABLE:
        raise _say_damaged(path) from None


def class_genes(run: str, recipe: Recipe, cls: str | None = None) -> pd.DataFrame:
    """The gene table of a class, or of all: what `gene_table` gives, best rank first.

    With several folds in the order of their consensus, and with what `rank_by_consensus` adds. Of a
    method that scores regions or sets the genes have no rank and stand in the order of their names:
    `class_regions` and `class_sets` rank what it scores.

    Raises InputError while the attribution is not computed, and for an unknown class.
    """
    path = _find(run, recipe, ".genes.csv")
    missing = {name: [""] for name in ("log2fc", "fdr", "sd", "p", "welch", "logistic")}
    try:
        table = read_csv(path, na_values=missing)
    except UNREADABLE:
        raise _say_damaged(path) from None
    if "logistic" not in table:
        table["logistic"] = np.nan  # written before the logistic regression stood beside it
    known = table["class"].unique().tolist()
    if cls is not None and cls not in known:
        raise InputError(
            f"Run {run} has no class {cls!r} explained. Known: {', '.join(sorted(known))}."
        )
    if not METHODS[recipe.method].ranks_genes:
        ranks = ["rank", "tied", "consensus", "selected"]
        table = table.drop(columns=ranks, errors="ignore").sort_values("gene", kind="stable")
        return pd.concat(
            [table[table["class"] == name] for name in ([cls] if cls else known)],
            ignore_index=True,
        )
    order = [name for name in ("consensus", "score") if name in table]
    return pd.concat(  # ranked anew, since earlier versions broke ties by name
        [rank_rows(table[table["class"] == name], *order) for name in ([cls] if cls else known)],
        ignore_index=True,
    )


def request_explanation(run: str, recipe: Recipe, *, evidence: bool = False) -> None:
    """Start a detached process that computes the attribution, or with `evidence` its trust card.

    Does nothing where that stands or is under way. The process is `core.runs.explaining`.
    """
    if explanation_state(run, recipe, evidence=evidence).state in ("done", "working"):
        return
    load_result(run)
    result = EVIDENCE if evidence else ATTRIBUTION
    _path(run, recipe, "").parent.mkdir(parents=True, exist_ok=True)
    write_json(_beside(run, recipe, result, ".progress.json"), {"done": 0, "total": 1})
    asked = {"run": run, "recipe": asdict(recipe), "evidence": evidence}
    with _beside(run, recipe, result, ".log").open("wb") as log:
        start_detached("core.runs.explaining", log, asked)


def cancel_explanation(run: str, recipe: Recipe, *, evidence: bool = False) -> None:
    """Have a computation that is under way stop after the samples, or the part, at hand."""
    _beside(run, recipe, EVIDENCE if evidence else ATTRIBUTION, ".cancel").touch()


def explanation_state(
    run: str, recipe: Recipe, *, evidence: bool = False, patience: float = 60
) -> ExplanationState:
    """Look whether the attribution or its trust card stands; a process that died shows as failed.

    Args:
        run: a run's id.
        recipe: how it is explained.
        evidence: look for the trust card rather than for the attribution.
        patience: seconds that a process may take from its start to its lease.
    """
    result = EVIDENCE if evidence else ATTRIBUTION
    if _path(run, recipe, result).exists():
        return ExplanationState("done", 1.0, "")
    target = _beside(run, recipe, result, ".progress.json")
    try:
        progress, age = read_json(target), time.time() - target.stat().st_mtime
    except UNREADABLE:  # none, or not worth a failure
        return ExplanationState("missing", 0.0, "")
    if "error" in progress:
        return ExplanationState("failed", 0.0, progress["error"])
    # a time in the future is that of a clock that has been set back since
    if not is_held(_beside(run, recipe, result, ".lease")) and abs(age) > patience:
        log = _beside(run, recipe, result, ".log")
        tail = log.read_text(errors="replace")[-500:] if log.exists() else ""
        return ExplanationState("failed", 0.0, f"The computation died. {tail}".strip())
    return ExplanationState("working", progress["done"] / max(progress["total"], 1), "")


def _path(run: str, recipe: Recipe, suffix: str) -> Path:
    return run_folder(run) / "attributions" / f"{recipe.stem}{suffix}"


def _beside(run: str, recipe: Recipe, result: str, suffix: str) -> Path:
    """Where the computation of the file of the suffix `result` keeps something else."""
    return _path(run, recipe, result.rpartition(".")[0] + suffix)


def _find(run: str, recipe: Recipe, suffix: str) -> Path:
    path = _path(run, recipe, suffix)
    if not path.exists():
        what = "The trust card of " if suffix == EVIDENCE else ""
        raise InputError(
            f"{what}{METHODS[recipe.method].title} of run {run} has not been computed yet."
        )
    return path


def _say_damaged(path: Path) -> DamageError:
    return DamageError(
        f"{path} is damaged. Delete it, or all that is damaged by `genecanvas doctor "
        "--repair`; it is then computed again."
    )


def class_sets(run: str, recipe: Recipe, cls: str | None = None) -> pd.DataFrame:
    """What a method that scores gene sets found for a class, or for all.

    Returns:
        One row a class and set, highest score first: class, set, score (mean over samples), rank
        and tied (as `rank_rows` gives them), sd, positive (share of the samples in which it is
        above 0), folds (that have it on their images), size and genes (those that were switched,
        on the first of these folds).

    Raises:
        InputError: the attribution is not computed, or the method doesn't score sets.
    """
    found = load_attribution(run, recipe)
    if found.sets is None:
        raise InputError(f"{METHODS[recipe.method].title} scores no gene sets.")
    held: dict[str, tuple[int, list[str]]] = {}
    for number in np.unique(found.folds):
        genes = load_fitted(run, int(number)).layout.genes
        names, members = group_genes(recipe, genes)
        for name, own in zip(names, members, strict=True):
            count, first = held.get(name, (0, genes[own].tolist()))
            held[name] = count + 1, first
    tables = []
    for label in np.unique(found.labels) if cls is None else [cls]:
        values = found.sets[found.labels == label]
        known = np.isfinite(values)
        table = pd.DataFrame({"class": label, "set": found.set_names})[known.any(axis=0)]
        values, known = values[:, table.index], known[:, table.index]
        table["score"] = np.nanmean(values, axis=0)
        table["sd"] = np.nanstd(values, axis=0)
        table["positive"] = (values > 0).sum(axis=0) / known.sum(axis=0)
        table["folds"] = [held[name][0] for name in table["set"]]
        table["size"] = [len(held[name][1]) for name in table["set"]]
        table["genes"] = [held[name][1] for name in table["set"]]
        table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
        tables.append(rank_rows(table, "score"))
    return pd.concat(tables, ignore_index=True)


def class_regions(run: str, recipe: Recipe, cls: str | None = None) -> pd.DataFrame:
    """What a method that scores regions found for a class, or for all.

    A region is a cell of the map; each fold has its own layout, so each has regions of its own.

    Returns:
        One row a class, fold and region with genes, highest score first: class, fold (from 1),
        region ("row 2, column 5" of the map), rank and tied (as `rank_rows` gives them), score
        (mean over samples), sd, positive (share of the samples in which it is above 0), size and
        genes.

    Raises:
        InputError: the attribution is not computed, or the method doesn't score regions.
    """
    found = load_attribution(run, recipe)
    if found.maps is None:
        raise InputError(f"{METHODS[recipe.method].title} scores no regions.")
    rows, columns = found.maps.shape[1:]
    tables = []
    for label in np.unique(found.labels) if cls is None else [cls]:
        for number in np.unique(found.folds[found.labels == label]):
            layout = load_fitted(run, int(number)).layout
            row = ((layout.row + 0.5) * rows / layout.shape[0]).astype(int)
            column = ((layout.col + 0.5) * columns / layout.shape[1]).astype(int)
            cells, cell = np.unique(row * columns + column, return_inverse=True)
            own = (found.labels == label) & (found.folds == number)
            values = found.maps[own].reshape(own.sum(), -1)[:, cells].astype(np.float64)
            table = pd.DataFrame({"class": label, "fold": number + 1, "region": [
                f"row {at // columns + 1}, column {at % columns + 1}" for at in cells
            ]})  # fmt: skip
            table["score"], table["sd"] = values.mean(axis=0), values.std(axis=0)
            table["positive"] = (values > 0).mean(axis=0)
            table["size"] = np.bincount(cell)
            table["genes"] = [sorted(layout.genes[cell == k].tolist()) for k in range(len(cells))]
            table = table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
            tables.append(rank_rows(table, "score"))
    return pd.concat(tables, ignore_index=True)


def describe_regions(spec: RunSpec, recipe: Recipe, maps: np.ndarray, layout: GeneLayout) -> str:
    """What one cell of a region method's maps (samples, height, width) stands for, as a sentence.

    Says at which stage of the network the maps are and why, and how many genes a cell covers.
    """
    rows, columns = maps.shape[1:]
    genes = len(layout.genes) / (rows * columns)
    covers = (
        f"one cell covers about {genes:.0f} genes: this is a region, not a gene"
        if genes >= 1.5
        else "a cell is no larger than a gene, but what it says comes from its neighbours as well"
    )
    place = ""
    if METHODS[recipe.method].uses_stage:
        place = f" at {recipe.stage or spec.network.region_stage}"
        if recipe.stage is None:
            place += f", the last stage with at least {REGION_CELLS} x {REGION_CELLS} cells"
    return (
        f"Region view{place}: the map has {rows} x {columns} cells on a canvas of "
        f"{layout.shape[0]} x {layout.shape[1]}, so {covers}. Rank genes by integrated "
        "gradients instead."
    )


def gene_expression(run: str, data: AnnData, gene: str) -> pd.DataFrame:
    """log2 expression of a gene in a finished run's samples: sample, class, log2_expression.

    Taken through the first fold's preparation whose image has the gene; raises InputError when
    none has it.
    """
    spec = load_spec(run)
    data = spec.cohort.select(data)
    for number in range(len(load_result(run).folds)):
        prepared = load_fitted(run, number).preprocessor
        column = np.flatnonzero(prepared.genes == gene)
        if len(column):
            values = prepared.log_expression(np.asarray(data.X), data.var_names)[:, column[0]]
            return pd.DataFrame(
                {
                    "sample": data.obs_names,
                    "class": class_labels(spec, data),
                    "log2_expression": values,
                }
            )
    raise InputError(f"Gene {gene!r} was not on the images of run {run}.")
