"""Programs of genes that follow pathways: learned in one cohort, looked up in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from core.data.cohort import Cohort
from core.errors import InputError
from core.images.references import read_gene_sets, reference_file
from core.models.gene_models import scale_of
from core.transfer.cohorts import Opened, name_genes_as, open_one
from core.transfer.enquiry import (
    Answered,
    Candidate,
    Enquiry,
    Kind,
    Line,
    Preview,
    Progress,
    Reply,
    correct,
    score_lines,
)
from core.transfer.methods.pathways import SMALLEST, Programs, has_word, learn_programs

FEWEST_SAMPLES = 10
"""Of the source: fewer hold no programs."""
FEWEST_MEASURED = 8
"""Samples of the target in which something was measured."""
MOST_SETS_NAMED = 3
FOUND = 0.05
"""False discovery rate below which a variable finds a set's hidden genes."""
SECONDS = 7e-6
"""Of one factorisation, a gene and a set."""


class ProgramsEnquiry(Enquiry):
    """Which programs a source has, and whether they measure something in a target."""

    question: Literal["programs"] = "programs"
    source: Cohort = Field(
        title="Source", description="The cohort in which programs are learned, without labels."
    )
    target: Cohort = Field(
        title="Target", description="The cohort in which they are looked up; it may be the source."
    )
    gene_sets: str = Field(
        pattern=r"^[0-9a-f]{64}$", title="Gene sets",
        description="SHA-256 of a kept file of gene sets (GMT).",
    )  # fmt: skip
    measured: dict[str, str] = Field(
        default_factory=dict, title="Measured",
        description="Columns of the target that hold measured numbers, such as shares of cells, "
        "and the word that the names of the gene sets have for it.",
    )  # fmt: skip
    variables: int | None = Field(
        None, ge=2, le=200, title="Variables",
        description="How many programs; by the bend of the singular values where not given.",
    )  # fmt: skip
    seed: int = Field(0, ge=0, title="Seed", description="Of what is drawn.")

    @model_validator(mode="after")
    def _complete(self) -> ProgramsEnquiry:
        if self.source.dataset is None or self.target.dataset is None:
            raise ValueError("the source, and the target, needs its dataset")
        return self


@dataclass(frozen=True)
class _Ready:
    """Everything that an enquiry needs, checked."""

    source: Opened
    target: pd.DataFrame
    """Samples x genes, under the source's ids."""
    target_name: str
    patients: np.ndarray
    sets: dict[str, list[str]]
    """Sets with enough genes of the source, these alone."""
    genes: list[str]
    """Genes of the source that are in a set."""
    amounts: dict[str, np.ndarray]
    """Measured column -> (samples,) numbers, NaN where none is known."""
    notes: tuple[str, ...]


def _open(enquiry: ProgramsEnquiry) -> _Ready:
    source = open_one(enquiry.source)
    same = enquiry.source == enquiry.target
    target = source if same else open_one(enquiry.target)
    if len(source.values) < FEWEST_SAMPLES:
        raise InputError(
            f"The source {source.name} has {len(source.values)} samples, at least "
            f"{FEWEST_SAMPLES} are needed to learn programs of genes."
        )
    named, notes = name_genes_as(target.values, list(source.values.columns), target.name)
    known = set(source.values.columns)
    sets = {
        name: own
        for name, members in read_gene_sets(reference_file(enquiry.gene_sets)).items()
        if len(own := [gene for gene in dict.fromkeys(members) if gene in known]) >= SMALLEST
    }
    if not sets:
        raise InputError(
            f"No gene set has at least {SMALLEST} of the {len(known):,} genes of {source.name}. "
            "Take larger sets, or sets that use the same kind of ids."
        )
    genes = sorted(set().union(*sets.values()))
    shared = sum(gene in named.columns for gene in genes)
    if shared < SMALLEST:
        raise InputError(
            f"{target.name} has {shared} of the {len(genes):,} genes of these programs, at least "
            f"{SMALLEST} are needed. Both must use the same kind of ids."
        )
    notes.append(
        f"{len(sets):,} gene sets have {SMALLEST} or more of the source's genes; programs are "
        f"learned from the {len(genes):,} genes in them, of which {target.name} has {shared:,}."
    )
    column = enquiry.target.group
    patients = np.asarray(target.data.obs_names if column is None else target.data.obs[column])
    amounts = {name: _read_amounts(target, name) for name in enquiry.measured}
    for name, word in enquiry.measured.items():
        if not any(has_word(own, word or name) for own in sets):
            raise InputError(
                f"No gene set's name has the word {word or name!r}, so that no program can be "
                f"chosen for {name} by its name. Say by `measured` which word the sets have for it."
            )
    return _Ready(source, named, target.name, patients.astype(str), sets, genes, amounts,
                  tuple(notes))  # fmt: skip


def _read_amounts(target: Opened, column: str) -> np.ndarray:
    if column not in target.data.obs:
        raise InputError(
            f"There is no column {column!r} in {target.name}. Its columns: "
            f"{', '.join(map(str, target.data.obs.columns[:20]))}."
        )
    values = pd.to_numeric(target.data.obs[column].astype(str), errors="coerce").to_numpy(float)
    known = np.isfinite(values)
    if known.sum() < FEWEST_MEASURED or len(np.unique(values[known])) < 3:
        raise InputError(
            f"Expected measured numbers in column {column!r} of {target.name}, in at least "
            f"{FEWEST_MEASURED} samples and of three sizes; got {known.sum()} numbers. Choose "
            "another column."
        )
    return values


def preview_programs(enquiry: ProgramsEnquiry) -> Preview:
    """What would be learned; raises InputError where it can't be."""
    ready = _open(enquiry)
    seconds = 2 + (2 if enquiry.measured else 1) * SECONDS * len(ready.genes) * len(ready.sets)
    size = f"{len(ready.source.values):,} source samples, {len(ready.target):,} target samples."
    return Preview(seconds, (size, *ready.notes))


def ask_programs(enquiry: ProgramsEnquiry, progress: Progress) -> Answered:
    """Learn programs, look them up in the target, hold them against what was measured.

    The program of a measured column is the one in which the gene sets of its name weigh most; it is
    not chosen by what it correlates with. It is set beside the mean of those sets' genes. Controls:
    the same with every set's genes exchanged for random ones, and the target's principal component
    that correlates best, which shows what choosing by the answer would give.
    """
    ready = _open(enquiry)
    parts = 3 if enquiry.measured else 2
    progress(0, parts)
    x = ready.source.values[ready.genes].to_numpy(float)
    found = learn_programs(x, ready.genes, ready.sets, enquiry.variables, enquiry.seed)
    progress(1, parts)
    activities = _look_up(found, ready)
    lines: list[Line] = []
    if enquiry.measured:
        random = learn_programs(
            x, ready.genes, _exchange(ready.sets, ready.genes, enquiry.seed),
            enquiry.variables, enquiry.seed,
        )  # fmt: skip
        progress(2, parts)
        beside = _look_up(random, ready)
        scaled = _scale(ready.target[[g for g in ready.genes if g in ready.target.columns]])
        components = np.linalg.svd(scaled.to_numpy(), full_matrices=False)[0]
        components = components[:, : activities.shape[1]]
        for column, word in enquiry.measured.items():
            known = np.isfinite(ready.amounts[column])
            truth = ready.amounts[column][known]
            named = [name for name in ready.sets if has_word(name, word or column)]
            members = sorted(set().union(*(ready.sets[name] for name in named)))
            own = [gene for gene in members if gene in scaled.columns]
            lines += score_lines(
                column, truth,
                [
                    _candidate("The program of that name", "method", found, activities, known,
                               word or column),
                    Candidate("The mean of the sets' genes", "reference",
                              scaled[own].mean(axis=1).to_numpy()[known],
                              f"{len(own)} genes of {_list(named)}"),
                    _candidate("The program of sets of random genes", "control", random, beside,
                               known, word or column),
                    _best(components[known], truth),
                ],
                ready.patients[known], enquiry.seed,
            )  # fmt: skip
    progress(parts, parts)
    variables = _describe(found)
    sure = int((variables["fdr"] < FOUND).sum())
    notes = (
        f"{len(variables)} programs, of which {sure} find genes that were hidden from one of their "
        f"gene sets (false discovery rate below {FOUND:g}).",
        *ready.notes,
    )
    reply = Reply(
        title=f"Programs of {ready.source.name} in {ready.target_name}",
        measure="Spearman's correlation", chance=0.0,
        items=f"{len(ready.target):,} samples of {ready.target_name}", lines=correct(lines),
        tables={
            "programs": "Each program, the gene sets that weigh most in it, and how well it finds "
            "the genes that were hidden from a set (AUROC, false discovery rate).",
            "activities": "The activity of each program in each sample of the target.",
        },
        notes=notes,
    )  # fmt: skip
    table = pd.DataFrame(
        activities, columns=[f"program {n + 1}" for n in range(activities.shape[1])]
    )
    table.insert(0, "sample", list(ready.target.index))
    return Answered(reply, {"programs": variables, "activities": table})


def _look_up(programs: Programs, ready: _Ready) -> np.ndarray:
    return programs.project(ready.target.to_numpy(float), list(ready.target.columns))


def _scale(values: pd.DataFrame) -> pd.DataFrame:
    mean, spread = scale_of(values.to_numpy(float))
    return (values - mean) / spread


def _exchange(
    sets: Mapping[str, list[str]], genes: list[str], seed: int
) -> dict[str, list[str]]:  # fmt: skip
    """The same sets under the names of other genes: overlaps stay, what they mean goes."""
    other = dict(zip(genes, np.random.default_rng([seed, 1]).permutation(genes), strict=True))
    return {name: [str(other[gene]) for gene in members] for name, members in sets.items()}


def _candidate(
    line: str, role: Literal["method", "control"], programs: Programs, activities: np.ndarray,
    known: np.ndarray, word: str,
) -> Candidate:  # fmt: skip
    try:
        number = programs.named(word)
    except InputError:
        return Candidate(line, role, None, f"No program took a gene set named {word!r}.")
    taken = [
        name for row, name in enumerate(programs.sets)
        if programs.memberships[row, number] > 0 and has_word(name, word)
    ]  # fmt: skip
    return Candidate(line, role, activities[known, number], f"program {number + 1}, {_list(taken)}")


def _best(components: np.ndarray, truth: np.ndarray) -> Candidate:
    from scipy.stats import spearmanr

    found = [spearmanr(own, truth)[0] for own in components.T]
    best = int(np.nanargmax(np.abs(found)))
    values = components[:, best] * np.sign(found[best])
    return Candidate(
        "The principal component that fits best", "control", values,
        f"component {best + 1} of {components.shape[1]}, chosen by the answer",
    )  # fmt: skip


def _list(names: list[str]) -> str:
    rest = len(names) - MOST_SETS_NAMED
    return ", ".join(names[:MOST_SETS_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _describe(programs: Programs) -> pd.DataFrame:
    """A row a program: program, sets, auroc (of hidden genes, of its surest set), fdr."""
    rows = []
    for number in range(programs.loadings.shape[1]):
        order = np.argsort(-programs.memberships[:, number], kind="stable")
        own = [programs.sets[row] for row in order if programs.memberships[row, number] > 0]
        sure = min(own, key=lambda name: programs.hidden_fdr[name, number], default=None)
        key = (sure, number)
        rows.append(
            (f"program {number + 1}", _list(own), programs.hidden_auc.get(key, np.nan),
             programs.hidden_fdr.get(key, np.nan))
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["program", "gene sets", "auroc", "fdr"])


PROGRAMS = Kind(
    name="programs",
    title="Programs of genes (MultiPLIER)",
    help="Learns programs of genes that follow your gene sets in one cohort, without labels, and "
    "looks up how active they are in another. Where something was measured there, such as shares "
    "of cells, the program that bears its name is held against it.",
    reference="Mao et al. 2019, Pathway-level information extractor (PLIER) for gene expression "
    "data, Nature Methods 16:607; Taroni et al. 2019, MultiPLIER, Cell Systems 8:380",
    departs="Written from the formulas. The penalty of sets is chosen from 17 values every 20 "
    "rounds; sets of random genes and the mean of a set's genes are always beside it.",
    spec=ProgramsEnquiry,
    datasets=lambda enquiry: (enquiry.source.dataset, enquiry.target.dataset),
    describe=lambda enquiry: "programs of genes",
    preview=preview_programs,
    ask=ask_programs,
)
