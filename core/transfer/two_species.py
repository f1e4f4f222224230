"""Gene sets across species: what one species' ranking says of another's sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from core.data.cohort import Cohort
from core.errors import InputError
from core.explain.enrichment import LARGEST, SMALLEST, prerank
from core.explain.genes import welch_test
from core.images.references import read_gene_sets, reference_file
from core.transfer.cohorts import Opened, open_one
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
from core.transfer.methods.set_regression import FEWEST_SETS, predict_sets
from core.transfer.methods.species import carry_sets
from core.transfer.orthologs import load_orthologs, map_genes

PERMUTED = 5
"""Times that the labels of the source, or the orthologs, are permuted."""
PERMUTATIONS, CONTROL_PERMUTATIONS = 1000, 200
"""Random sets of each size, of the ranking and of a control."""
FEWEST_SAMPLES = 3
"""Of a class, and of the others."""
SECONDS_A_SET = 0.012
"""Of a test of the ranking with all its random sets."""


class SpeciesEnquiry(Enquiry):
    """What a source's difference of two classes says of gene sets in another species."""

    question: Literal["species"] = "species"
    source: Cohort = Field(
        title="Source", description="The cohort of the species that is learned from, and its label."
    )
    source_class: str = Field(
        title="Class of the source",
        description="Genes are ranked by how much higher they are in it than in the others.",
    )  # fmt: skip
    target: Cohort = Field(
        title="Target", description="The cohort of the other species, and its label if it has one: "
        "without one, predictions are made and nothing says whether they are right.",
    )  # fmt: skip
    target_class: str | None = Field(
        None, title="Class of the target", description="The class that counts as the source's."
    )
    gene_sets: str = Field(
        pattern=r"^[0-9a-f]{64}$", title="Gene sets",
        description="SHA-256 of a kept file of gene sets (GMT) of the source's species.",
    )  # fmt: skip
    orthologs: str = Field(
        pattern=r"^[0-9a-f]{64}$", title="Ortholog table",
        description="SHA-256 of a kept table: gene of the source's species, of the target's.",
    )  # fmt: skip
    one_to_one: bool = Field(
        True, title="One to one",
        description="Leave out genes that have several orthologs, on either side.",
    )  # fmt: skip
    seed: int = Field(0, ge=0, title="Seed", description="Of what is drawn.")

    @model_validator(mode="after")
    def _complete(self) -> SpeciesEnquiry:
        if self.source.dataset is None or self.target.dataset is None:
            raise ValueError("the source, and the target, needs its dataset")
        if self.source.label is None:
            raise ValueError("the source needs a label: the column of its classes")
        if (self.target.label is None) != (self.target_class is None):
            raise ValueError("the target needs a label and a class of it, or neither")
        return self


@dataclass(frozen=True)
class _Ready:
    source: Opened
    target: Opened
    in_class: np.ndarray
    """(source samples,) whether each is of the class"""
    target_in_class: np.ndarray | None
    pairs: list[tuple[str, str]]
    """Orthologs of genes that both cohorts have."""
    sets: dict[str, list[str]]
    """The source's sets that can be tested in both species."""
    notes: tuple[str, ...]


def _open(enquiry: SpeciesEnquiry) -> _Ready:
    source, target = open_one(enquiry.source), open_one(enquiry.target)
    table = load_orthologs(enquiry.orthologs)
    ours, theirs = set(source.values.columns), set(target.values.columns)
    map_genes(table, ours, theirs)  # refuses a table the wrong way round
    pairs = [(own, other) for own, other in table if own in ours and other in theirs]
    if not pairs:
        raise InputError(
            f"The ortholog table names no gene that {source.name} has as one that {target.name} "
            f"has. Their first genes are {source.values.columns[0]} and "
            f"{target.values.columns[0]}; the table must use the same kinds of ids."
        )
    every = {
        name: [gene for gene in dict.fromkeys(members) if gene in ours]
        for name, members in read_gene_sets(reference_file(enquiry.gene_sets)).items()
    }
    every = {name: own for name, own in every.items() if SMALLEST <= len(own) <= LARGEST}
    if not every:
        raise InputError(
            f"No gene set has {SMALLEST} to {LARGEST} of the genes of {source.name}. The sets must "
            "be of the source's species, and use its kind of ids."
        )
    carried = carry_sets(every, pairs, one_to_one=enquiry.one_to_one)
    both = {name: every[name] for name in carried if SMALLEST <= len(carried[name]) <= LARGEST}
    if len(both) < FEWEST_SETS:
        raise InputError(
            f"{len(both)} gene sets keep {SMALLEST} or more genes in the other species, at least "
            f"{FEWEST_SETS} are needed. Bring more or larger sets, or a table with more orthologs."
        )
    own = _find_class(source, enquiry.source, enquiry.source_class)
    there = None
    if enquiry.target_class is not None:
        there = _find_class(target, enquiry.target, enquiry.target_class)
    notes = (
        f"{len(both):,} of {len(every):,} gene sets can be tested in both species; {len(pairs):,} "
        "pairs of orthologs are of genes that both cohorts have.",
    )
    return _Ready(source, target, own, there, pairs, both, notes)


def _find_class(opened: Opened, cohort: Cohort, name: str) -> np.ndarray:
    texts = opened.data.obs[cohort.label].astype(str).to_numpy()
    known = ~pd.isna(opened.data.obs[cohort.label]).to_numpy() & (texts != "")
    own = texts == name
    if not own.any():
        raise InputError(
            f"{opened.name} has no sample of class {name!r}. Its classes are "
            f"{', '.join(sorted(set(texts[known]))[:10])}."
        )
    if min(own.sum(), (known & ~own).sum()) < FEWEST_SAMPLES:
        raise InputError(
            f"{opened.name} has {own.sum()} samples of class {name!r} and {(known & ~own).sum()} "
            f"others, at least {FEWEST_SAMPLES} of each are needed to rank genes."
        )
    return np.where(known, own, False)


def _rank(values: pd.DataFrame, in_class: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Genes, and Welch's t of the class against the others; genes that never vary left out."""
    x = values.to_numpy(float)
    t = welch_test(x[in_class], x[~in_class])[0]
    known = np.isfinite(t)
    return list(values.columns[known]), t[known]


def preview_species(enquiry: SpeciesEnquiry) -> Preview:
    """What would be tested; raises InputError where it can't be."""
    ready = _open(enquiry)
    rankings = 2 + (1 if ready.target_in_class is not None else 0)
    seconds = 3 + SECONDS_A_SET * len(ready.sets) * (rankings + PERMUTED * 0.4)
    return Preview(seconds, ready.notes)


def ask_species(enquiry: SpeciesEnquiry, progress: Progress) -> Answered:
    """Rank genes of the source, test its sets, and say what that means for the other species.

    Two answers for each set: plain mapping (the set's enrichment in the source, copied) and XGSEA's
    regression. Where the target is labelled both are held against its own ranking, in which the
    sets' orthologs are tested. Controls: the source's labels permuted, and each ortholog exchanged
    for another; there the correlation has to be about 0 on average.
    """
    ready = _open(enquiry)
    parts = 2 + 2 * PERMUTED
    progress(0, parts)
    ranking = _rank(ready.source.values, ready.in_class)
    predicted = predict_sets(
        ranking, ready.sets, ready.pairs, one_to_one=enquiry.one_to_one,
        permutations=PERMUTATIONS, seed=enquiry.seed,
    )  # fmt: skip
    table = predicted.table
    progress(1, parts)
    notes = list(ready.notes)
    lines: list[Line] = []
    if ready.target_in_class is None:
        notes.insert(
            0, f"{len(table):,} gene sets are predicted; the target has no label, so that nothing "
            "says whether they are right.",
        )  # fmt: skip
    else:
        there = _rank(ready.target.values, ready.target_in_class)
        own = _test(there, _carry(ready, ready.pairs, enquiry.one_to_one), PERMUTATIONS, enquiry)
        table = table.merge(own.rename("observed"), left_on="set", right_index=True)
        if len(table) < FEWEST_SETS:
            raise InputError(
                f"{len(table)} gene sets can be tested in the target, at least {FEWEST_SETS} are "
                "needed. Bring more or larger sets."
            )
        progress(2, parts)
        truth = table["observed"].to_numpy()
        lines += score_lines(
            "", truth,
            [
                Candidate("XGSEA's regression", "method", table["predicted"].to_numpy()),
                Candidate("Plain mapping", "reference", table["copied"].to_numpy(),
                          "the set's enrichment in the source, copied"),
            ],
            seed=enquiry.seed,
        )  # fmt: skip
        lines += _controls(enquiry, ready, there, table, lambda n: progress(2 + n, parts))
        same = np.sign(table["copied"]) == np.sign(table["observed"])
        notes.append(f"{int(same.sum()):,} of {len(table):,} sets go the same way in both species.")
    progress(parts, parts)
    reply = Reply(
        title=f"Gene sets of {ready.source.name} in {ready.target.name}",
        measure="Spearman's correlation with the target's own enrichment", chance=0.0,
        items=f"{len(table):,} gene sets", lines=correct(lines),
        tables={
            "sets": "Each gene set: genes in the target's species, its enrichment (NES) in the "
            "source, copied, what the regression predicts, and what the target's own ranking says."
        },
        notes=(
            *notes, "Gene sets share genes: intervals over sets are narrower than they should be.",
        ),
    )  # fmt: skip
    return Answered(reply, {"sets": table.sort_values("predicted", ascending=False)})


def _carry(
    ready: _Ready, pairs: list[tuple[str, str]], one_to_one: bool
) -> dict[str, list[str]]:  # fmt: skip
    return carry_sets(ready.sets, pairs, one_to_one=one_to_one)


def _test(
    ranking: tuple[list[str], np.ndarray], sets: Mapping[str, list[str]], permutations: int,
    enquiry: SpeciesEnquiry,
) -> pd.Series:  # fmt: skip
    """Set -> its normalised enrichment, of sets that have one."""
    found = prerank(*ranking, sets, permutations, enquiry.seed).set_index("set")["nes"]
    return found[np.isfinite(found)]


def _controls(
    enquiry: SpeciesEnquiry, ready: _Ready, there: tuple[list[str], np.ndarray],
    table: pd.DataFrame, told: Callable[[int], None],
) -> list[Line]:  # fmt: skip
    """Plain mapping with permuted labels and with permuted orthologs: mean, least and most."""
    rng = np.random.default_rng([enquiry.seed, 1])
    observed = table.set_index("set")["observed"]
    copied = table.set_index("set")["copied"]
    labels, genes = [], []
    for number in range(PERMUTED):
        shuffled = _rank(ready.source.values, rng.permutation(ready.in_class))
        labels.append(_agree(_test(shuffled, ready.sets, CONTROL_PERMUTATIONS, enquiry), observed))
        told(2 * number + 1)
        others = rng.permutation([other for _, other in ready.pairs])
        wrong = [(own, str(other)) for (own, _), other in zip(ready.pairs, others, strict=True)]
        carried = _carry(ready, wrong, enquiry.one_to_one)
        genes.append(_agree(_test(there, carried, CONTROL_PERMUTATIONS, enquiry), copied))
        told(2 * number + 2)
    return [
        Line(of="", line=name, role="control", score=float(np.mean(found)),
             low=float(min(found)), high=float(max(found)),
             note=f"mean, least and most of {PERMUTED} permutations")
        for name, found in (("Plain mapping, source labels permuted", labels),
                            ("Plain mapping, orthologs permuted", genes))
    ]  # fmt: skip


def _agree(one: pd.Series, other: pd.Series) -> float:
    from scipy.stats import spearmanr

    shared = one.index.intersection(other.index)
    if len(shared) < 3:
        return 0.0
    return float(np.nan_to_num(spearmanr(one[shared], other[shared])[0]))


SPECIES = Kind(
    name="species",
    title="Gene sets of another species (XGSEA)",
    help="Ranks genes by two classes of one species and says which gene sets go up or down in "
    "another: by plain mapping of orthologs, and by a regression on an embedding of both species' "
    "sets. Where the other species has labelled samples, both are held against its own ranking.",
    reference="Cai et al. 2021, XGSEA: CROSS-species gene set enrichment analysis via domain "
    "adaptation, Briefings in Bioinformatics 22:bbaa406",
    departs="Genes are ranked by Welch's t, one normalised score a set is predicted; the map is "
    "found by L-BFGS. Plain mapping and two controls are always beside it.",
    spec=SpeciesEnquiry,
    datasets=lambda enquiry: (enquiry.source.dataset, enquiry.target.dataset),
    describe=lambda enquiry: f"gene sets, {enquiry.source_class}",
    preview=preview_species,
    ask=ask_species,
)
