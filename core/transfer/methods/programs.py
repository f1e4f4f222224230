"""Programs of genes that follow gene sets, learned in the source, as features of the target."""

from __future__ import annotations

import hashlib

import numpy as np

from core.errors import InputError
from core.memory import Memory
from core.models.gene_models import scale_of
from core.transfer.methods.linear import answer_sparsely
from core.transfer.methods.pathways import Programs, learn_programs
from core.transfer.problem import Problem, TransferMethod

_LEARNED = Memory(64e6)
"""Draws whose source is prepared alike learn the same programs."""


def learn_once(problem: Problem) -> Programs:
    """Programs of the source's genes that are in a set, remembered for the same source and sets."""
    if not problem.sets:
        raise InputError("This method needs gene sets. Name a file of gene sets (GMT).")
    wanted = set().union(*problem.sets.values())
    places = [number for number, gene in enumerate(problem.genes) if gene in wanted]
    x = np.ascontiguousarray(problem.source[:, places])
    genes = [problem.genes[number] for number in places]
    digest = hashlib.sha256(x.tobytes())
    digest.update(repr((genes, sorted(problem.sets.items()))).encode())
    return _LEARNED.recall(
        digest.hexdigest(), lambda: learn_programs(x, genes, problem.sets),
        lambda programs: programs.loadings.nbytes + programs.memberships.nbytes,
    )  # fmt: skip


def fit_programs(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of a sparse model of the programs' activities.

    Genes of all samples are scaled as the source's are, so that a tested sample's activities hang
    on no other one.
    """
    programs = learn_once(problem)
    mean, spread = scale_of(problem.source)
    place = {gene: number for number, gene in enumerate(problem.genes)}
    columns = [place[gene] for gene in programs.genes]
    learned, asked = (
        programs.activities_of(((x - mean) / spread)[:, columns])
        for x in (problem.target, problem.test)
    )
    return answer_sparsely(
        learned, problem.target_labels, asked, problem.n_classes, problem.seed
    )  # fmt: skip


def fit_set_means(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of a sparse model of each gene set's mean."""
    if not problem.sets:
        raise InputError("This method needs gene sets. Name a file of gene sets (GMT).")
    place = {gene: number for number, gene in enumerate(problem.genes)}
    mean, spread = scale_of(problem.source)
    sets = [[place[gene] for gene in own] for own in problem.sets.values()]
    learned, asked = (
        np.stack([((x - mean) / spread)[:, own].mean(axis=1) for own in sets], axis=1)
        for x in (problem.target, problem.test)
    )
    return answer_sparsely(
        learned, problem.target_labels, asked, problem.n_classes, problem.seed
    )  # fmt: skip


def _examine(problem: Problem, hidden: np.ndarray) -> dict[str, float]:
    programs = learn_once(problem)
    found = [fdr < 0.05 for fdr in programs.hidden_fdr.values()]
    of = {column for (_, column), fdr in programs.hidden_fdr.items() if fdr < 0.05}
    return {
        "programs": float(programs.loadings.shape[1]),
        "programs that find hidden genes of a set (FDR below .05)": float(len(of)),
        "pairs of program and set so found": float(sum(found)),
    }


PATHWAY_PROGRAMS = TransferMethod(
    name="pathway_programs",
    title="Programs that follow gene sets (MultiPLIER)",
    description="Programs of genes that follow your gene sets are learned from the source without "
    "its labels; a sparse model of the target uses how active they are. Needs gene sets.",
    scenario="unsupervised",
    reference="Mao et al. 2019, Pathway-level information extractor (PLIER) for gene expression "
    "data, Nature Methods 16:607; Taroni et al. 2019, MultiPLIER, Cell Systems 8:380",
    departs="Target samples are scaled as the source is, not by themselves, so that a tested one "
    "has a part in nothing; the penalty of sets is chosen from 17 values; the model is an L1 "
    "logistic regression.",
    seconds=2.5,
    fit=fit_programs,
    min_target=2,
    learns_from="samples",
    needs_sets=True,
    examine=_examine,
)
SET_MEANS = TransferMethod(
    name="set_means",
    title="Means of gene sets",
    description="The same model on the mean of each gene set: what programs have to beat. Needs "
    "gene sets.",
    scenario="unsupervised",
    reference="Lee et al. 2008, Inferring pathway activity toward precise disease classification, "
    "PLOS Computational Biology 4:e1000217",
    departs="The mean of all genes of a set, not of those that tell the classes apart.",
    seconds=0.1,
    fit=fit_set_means,
    min_target=2,
    learns_from="samples",
    needs_sets=True,
)
