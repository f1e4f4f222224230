"""The samples of a transfer: sources and target over the genes that all of them have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.cohort import Cohort
from core.data.join import FEWEST_GENES
from core.data.prepare import find_per_million, to_log2
from core.data.store import get_record, load_dataset
from core.errors import InputError
from core.images.references import read_gene_sets, reference_file
from core.predict.genes import match_genes
from core.transfer.draws import UNKNOWN
from core.transfer.methods.pathways import SMALLEST
from core.transfer.orthologs import load_orthologs, map_genes
from core.transfer.spec import SourceLabels, TransferSpec

MOST_MISSING = 0.2
"""Genes that a larger share of a cohort's samples misses are left out."""
FEWEST_PATIENTS = 4
"""Target patients that each class needs: some are held out, the others are labelled."""


@dataclass(frozen=True)
class Side:
    """Samples of the sources, or of the target."""

    x: np.ndarray
    """(samples, genes) float32, log2 expression; NaN where a value is missing"""
    labels: np.ndarray
    """(samples,) class numbers, UNKNOWN where the class isn't known; or numbers of the source"""
    groups: np.ndarray
    """(samples,) patients, as text"""
    cohorts: np.ndarray
    """(samples,) number of the cohort"""


@dataclass(frozen=True)
class Material:
    """Everything that draws are made from."""

    source: Side
    target: Side
    unrelated: Side | None
    classes: tuple[str, ...]
    genes: tuple[str, ...]
    source_names: tuple[str, ...]
    target_name: str
    notes: tuple[str, ...]
    """What was left out and why, a sentence each."""
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Gene sets of these genes."""


def open_material(spec: TransferSpec, load: Callable[[str], AnnData] = load_dataset) -> Material:
    """Read the cohorts of a transfer, match their genes and classes.

    Values become log2 expression, libraries counted over all genes of their cohort. Genes are those
    that all cohorts have, `spec.genes` of the greatest mean variance within the sources. A
    patient who is in the target too is left out of the sources.

    Args:
        spec: what is asked.
        load: gives a dataset by its id.

    Raises:
        InputError: a cohort can't be used, and why.
    """
    notes: list[str] = []
    names = [_name(cohort) for cohort in spec.cohorts]
    parts = [cohort.select(load(cohort.dataset)) for cohort in spec.cohorts]
    at = len(spec.sources)
    tables = [_to_log2(data) for data in parts]
    target = tables[at]
    pairs = load_orthologs(spec.orthologs) if spec.orthologs else None
    for number, table in enumerate(tables[:at] + tables[at + 1 :]):
        place = number if number < at else number + 1
        if pairs is not None:
            mapped = map_genes(pairs, list(table.columns), list(target.columns))
            renamed = table[list(mapped)].rename(columns=mapped)
            notes.append(f"{names[place]}: {len(mapped):,} genes have one ortholog in the target.")
        else:
            renamed = _rename(table, list(target.columns), notes, names[place])
        tables[place] = renamed
    genes = _share_genes(tables, names, spec)

    labels, classes = _read_classes(parts[at], spec.target)
    target_side = _side(tables[at], genes, labels, parts[at], spec.target, 0)
    _check_target(target_side, classes, names[at])
    sides = []
    for number, cohort in enumerate(spec.sources):
        own = _read_source(parts[number], cohort, classes, spec.source_labels, names[number], notes)
        side = _side(tables[number], genes, own, parts[number], cohort, number)
        sides.append(_leave_out(side, target_side, spec.source_labels, names[number], notes))
    source = Side(*(np.concatenate([getattr(side, name) for side in sides])
                    for name in ("x", "labels", "groups", "cohorts")))  # fmt: skip
    if spec.source_labels == "classes" and len(np.unique(source.labels)) < 2:
        raise InputError(
            "The sources have samples of one class of the target only, so nothing can be learned "
            f"from them. Classes of the target: {', '.join(classes)}. Where the sources name them "
            "otherwise, say with `merge` which of theirs counts as which."
        )
    unrelated = None
    if spec.unrelated is not None:
        own = _read_unrelated(parts[-1], spec.unrelated, len(classes), names[-1])
        side = _side(tables[-1], genes, own, parts[-1], spec.unrelated, 0)
        unrelated = _leave_out(side, target_side, "classes", names[-1], notes)
    sets = _read_sets(spec.gene_sets, genes, notes) if spec.gene_sets else {}
    return Material(
        source, target_side, unrelated, tuple(classes), tuple(genes), tuple(names[:at]),
        names[at], tuple(notes), sets,
    )  # fmt: skip


def _read_sets(reference: str, genes: list[str], notes: list[str]) -> dict[str, tuple[str, ...]]:
    known = set(genes)
    every = read_gene_sets(reference_file(reference))
    sets = {
        name: own
        for name, members in every.items()
        if len(own := tuple(gene for gene in dict.fromkeys(members) if gene in known)) >= SMALLEST
    }
    if not sets:
        raise InputError(
            f"None of the {len(every):,} gene sets has at least {SMALLEST} of the {len(genes):,} "
            "genes that source and target share. Take larger sets, or sets that use the target's "
            "kind of ids."
        )
    notes.append(f"{len(sets):,} of {len(every):,} gene sets have {SMALLEST} genes or more here.")
    return sets


@dataclass(frozen=True)
class Opened:
    """One cohort by itself."""

    name: str
    data: AnnData
    """Its samples."""
    values: pd.DataFrame
    """Samples x genes, log2 expression; the gene's median where a value is missing."""


def open_one(cohort: Cohort, load: Callable[[str], AnnData] = load_dataset) -> Opened:
    """Read a cohort whose genes need not be anybody else's.

    Genes that too many samples miss are left out.

    Raises:
        InputError: it can't be used, and why.
    """
    data = cohort.select(load(cohort.dataset))
    values = _to_log2(data)
    return Opened(_name(cohort), data, values.fillna(values.median()))


def name_genes_as(
    values: pd.DataFrame, genes: list[str], name: str
) -> tuple[pd.DataFrame, list[str]]:
    """Samples x genes under the ids of `genes` wherever they could be told, and what was done."""
    notes: list[str] = []
    return _rename(values, genes, notes, name), notes


def _name(cohort: Cohort) -> str:
    return get_record(cohort.dataset).name


def _to_log2(data: AnnData) -> pd.DataFrame:
    """Samples x genes, without genes that too many samples miss."""
    if not data.var_names.is_unique:
        raise InputError("Some genes stand more than once in a dataset; read its file again.")
    x, scale = np.array(data.X, dtype=np.float32), str(data.uns["scale"])
    log = to_log2(x, scale, find_per_million(x) if scale == "counts" else 1.0)
    table = pd.DataFrame(log, data.obs_names.astype(str), data.var_names.astype(str))
    return table.loc[:, np.isnan(log).mean(axis=0) <= MOST_MISSING]


def _rename(table: pd.DataFrame, genes: list[str], notes: list[str], name: str) -> pd.DataFrame:
    """A source whose genes bear the target's ids wherever they could be told."""
    bare = AnnData(table.to_numpy(), obs=pd.DataFrame(index=table.index),
                   var=pd.DataFrame(index=table.columns))  # fmt: skip
    matched = match_genes(genes, bare)
    notes += [f"{name}: {note}" for note in matched.notes if matched.translated]
    return table.rename(columns=matched.translated)


def _share_genes(tables: Sequence[pd.DataFrame], names: list[str], spec: TransferSpec) -> list[str]:
    """Genes that all cohorts have; of many those that vary most within the sources."""
    shared = [
        gene for gene in tables[len(spec.sources)].columns
        if all(gene in table.columns for table in tables)
    ]  # fmt: skip
    if len(shared) < FEWEST_GENES:
        ids = "; ".join(
            f"{name}: {table.columns[0]}" for name, table in zip(names, tables, strict=True)
            if len(table.columns)
        )  # fmt: skip
        raise InputError(
            f"Source and target share {len(shared)} genes, at least {FEWEST_GENES} are needed. "
            f"Genes must be named alike, or an ortholog table be given; their first ones are {ids}."
        )
    if len(shared) <= spec.genes:
        return shared
    variance = np.mean(
        [table[shared].var(axis=0).to_numpy() for table in tables[: len(spec.sources)]], axis=0
    )
    kept = np.sort(np.argsort(-np.nan_to_num(variance), kind="stable")[: spec.genes])
    return [shared[place] for place in kept]


def _side(
    table: pd.DataFrame, genes: list[str], labels: np.ndarray, data: AnnData, cohort: Cohort,
    number: int,
) -> Side:  # fmt: skip
    column = data.obs_names if cohort.group is None else data.obs[cohort.group]
    return Side(
        table[genes].to_numpy(np.float32), labels, np.asarray(column).astype(str),
        np.full(len(labels), number),
    )  # fmt: skip


def _texts(data: AnnData, label: str) -> np.ndarray:
    """(samples,) what the column says; empty where nothing is known."""
    values = data.obs[label]
    return np.where(pd.isna(values), "", values.astype(str).str.strip())


def _read_classes(data: AnnData, cohort: Cohort) -> tuple[np.ndarray, list[str]]:
    texts = _texts(data, cohort.label)
    classes = sorted(set(texts) - {""})
    return _code(texts, classes), classes


def _code(texts: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Class numbers; UNKNOWN for what is none of the classes."""
    return pd.Index(classes).get_indexer(texts)


def _check_target(side: Side, classes: list[str], name: str) -> None:
    if len(classes) < 2:
        raise InputError(
            f"The target {name} has {len(classes) or 'no'} class in that column"
            f"{': ' + classes[0] if classes else ''}. At least two are needed to tell apart."
        )
    for number, own in enumerate(classes):
        patients = len(np.unique(side.groups[side.labels == number]))
        if patients < FEWEST_PATIENTS:
            raise InputError(
                f"Class {own!r} of the target {name} has {patients} "
                f"patient{'s' if patients != 1 else ''}, at least {FEWEST_PATIENTS} are needed. "
                "Merge it with another class, or keep only samples of other classes."
            )


def _read_source(
    data: AnnData, cohort: Cohort, classes: list[str], kind: SourceLabels, name: str,
    notes: list[str],
) -> np.ndarray:  # fmt: skip
    if kind == "none":
        return np.full(data.n_obs, UNKNOWN)
    texts = _texts(data, cohort.label)
    if kind == "numbers":
        values = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(float)
        if len(np.unique(values[np.isfinite(values)])) < 3:
            word = next((text for text in texts if text), "nothing")
            raise InputError(
                f"Expected numbers in column {cohort.label!r} of {name}, such as IC50; got "
                f"{word!r}. Name another column, or let the sources be labelled by classes."
            )
        return values
    codes = _code(texts, classes)
    others = sorted(set(texts[codes == UNKNOWN]) - {""})
    if not (codes != UNKNOWN).any():
        raise InputError(
            f"{name} has no sample of a class of the target ({', '.join(classes)}); its own are "
            f"{', '.join(others[:10]) or 'none'}. Say with `merge` which of them counts as which."
        )
    if others:
        count = int(np.isin(texts, others).sum())
        notes.append(
            f"{name}: {count} samples are of no class of the target and are left out "
            f"({', '.join(others[:5])})."
        )
    return codes


def _read_unrelated(data: AnnData, cohort: Cohort, classes: int, name: str) -> np.ndarray:
    """Its largest classes, taken for the target's."""
    if cohort.label is None:
        raise InputError(f"The unrelated source {name} needs a label: a column of its classes.")
    texts = _texts(data, cohort.label)
    counts = pd.Series(texts[texts != ""]).value_counts()
    if len(counts) < classes:
        raise InputError(
            f"The unrelated source {name} has {len(counts)} classes in {cohort.label!r}; the "
            f"target has {classes}. Name another column."
        )
    return _code(texts, list(counts.index[:classes]))


def _leave_out(side: Side, target: Side, kind: SourceLabels, name: str, notes: list[str]) -> Side:
    """A source without patients of the target, and without samples that say nothing."""
    both = np.isin(side.groups, target.groups)
    if both.any():
        patients = len(np.unique(side.groups[both]))
        if both.all():
            raise InputError(
                f"All patients of {name} are in the target too (by their ids), so that it can't "
                "be learned from them. Name another source, or the column of its patients."
            )
        notes.append(
            f"{name}: {patients} patients are in the target too, by their ids, and are left out."
        )
    known = np.isfinite(side.labels) & (True if kind == "numbers" else side.labels != UNKNOWN)
    keep = ~both & (True if kind == "none" else known)
    if not keep.any():
        raise InputError(f"{name} has no labelled patient who isn't in the target too.")
    return Side(side.x[keep], side.labels[keep], side.groups[keep], side.cohorts[keep])
