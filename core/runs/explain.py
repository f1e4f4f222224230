"""Attributions of a run's held-out samples, read; `core.runs.explaining` computes them."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from core.errors import DamageError, InputError
from core.escape import read_csv
from core.explain.evidence import measure_skill
from core.explain.gene_sets import group_genes
from core.explain.genes import rank_rows
from core.explain.measures import Evidence, judge_again
from core.explain.methods import METHODS, Recipe
from core.files import UNREADABLE, read_json
from core.home import run_folder
from core.images.layout import GeneLayout
from core.models.backbones import REGION_CELLS
from core.runs.fitted import load_fitted
from core.runs.result import load_result, load_scored, load_spec
from core.runs.spec import RunSpec
from core.runs.study import take_targets
from core.training.tasks import TASKS

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
    """Whether a finished run's network knows what it is asked, from its held-out predictions."""
    return measure_skill(*beat_chance(run))


def beat_chance(run: str) -> tuple[float, str]:
    """How far a finished run is on the way from chance (0) to perfect (1), at least; in words."""
    result = load_result(run)
    return TASKS[result.task].beat_chance(result, load_scored(run))


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
    `class_regions` and `class_sets` rank what it scores. Genes that the networks could not see
    (`unseen_genes`) are left out, since a score of 0 would look like a measurement.

    Raises InputError while the attribution is not computed, and for an unknown class.
    """
    path = _find(run, recipe, ".genes.csv")
    missing = {
        name: [""]
        for name in ("log2fc", "fdr", "sd", "p", "welch", "logistic", "auroc", "correlation")
    }
    try:
        table = read_csv(path, na_values=missing)
    except UNREADABLE:
        raise _say_damaged(path) from None
    if "logistic" not in table:
        table["logistic"] = np.nan  # written before the logistic regression stood beside it
    table = table[~table["gene"].isin(unseen_genes(run))]
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


def unseen_genes(run: str) -> list[str]:
    """Genes on a finished run's images that none of its folds' networks could see, by name."""
    if not load_spec(run).network.unseen:
        return []
    folds = [load_fitted(run, number) for number in load_result(run).scored]
    seen = [np.setdiff1d(fold.layout.genes, fold.unseen) for fold in folds]
    painted = np.concatenate([fold.layout.genes for fold in folds])
    return np.setdiff1d(painted, np.concatenate(seen)).tolist()


def describe_unseen(run: str) -> str:
    """What a finished run's networks could not see, in words; empty where they saw all genes."""
    if not load_spec(run).network.unseen:
        return ""
    folds = [load_fitted(run, number) for number in load_result(run).scored]
    most, painted = max(len(fold.unseen) for fold in folds), len(folds[0].layout.genes)
    if not most:
        return ""
    where = "as they stand on the last row or column of its image"
    words = [f"This run's network could not see {most:,} of {painted:,} genes, {where}."]
    if len(folds) > 1:
        words = [
            f"Each fold's network could not see some genes (at most {most:,} of {painted:,}), "
            f"{where}. A gene that some of the networks saw has a score of 0 from the others."
        ]
    if genes := unseen_genes(run):
        some = ", ".join(genes[:5]) + (f" and {len(genes) - 5:,} more" if len(genes) > 5 else "")
        words.append(f"Not seen at all: {some}. They have no score, which says nothing about them.")
    return " ".join([*words, "Train the run again to see them."])


def attribution_path(run: str, recipe: Recipe, suffix: str) -> Path:
    """Where a file of a run's attribution by a recipe stands, be it computed or not."""
    return run_folder(run) / "attributions" / f"{recipe.stem}{suffix}"


def _find(run: str, recipe: Recipe, suffix: str) -> Path:
    path = attribution_path(run, recipe, suffix)
    if not path.exists():
        what = "The trust card of " if suffix == EVIDENCE else ""
        raise InputError(
            f"{what}{METHODS[recipe.method].title} of run {run} has not been computed yet."
        )
    return path


def _say_damaged(path: Path) -> DamageError:
    return DamageError(
        f"{path.name} of run {path.parent.parent.name} is damaged. Remove it (the pages Run and "
        "Explain do that, and `genecanvas doctor --repair`); it is then computed again."
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
    """log2 expression of a gene in a finished run's samples: sample, class, value, log2_expression.

    The value is the class's number, or of a regression the target's.

    Taken through the first fold's preparation whose image has the gene; raises InputError when
    none has it.
    """
    spec = load_spec(run)
    data, targets = take_targets(spec, spec.cohort.select(data))
    for number in range(len(load_result(run).folds)):
        prepared = load_fitted(run, number).preprocessor
        column = np.flatnonzero(prepared.genes == gene)
        if len(column):
            values = prepared.log_expression(np.asarray(data.X), data.var_names)[:, column[0]]
            return pd.DataFrame(
                {
                    "sample": data.obs_names,
                    "class": targets.labels,
                    "value": targets.y,
                    "log2_expression": values,
                }
            )
    raise InputError(f"Gene {gene!r} was not on the images of run {run}.")
