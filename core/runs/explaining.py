"""Explaining a finished run: attributions and their trust cards, computed here or as jobs."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

import numpy as np

from core.escape import write_csv
from core.explain.methods import METHODS, Recipe
from core.files import read_json, write_atomic, write_json
from core.jobs.job import Inputs, Job, Reporter, stoppable
from core.jobs.launch import AnswerState, answer_state, request, stop
from core.runs.explain import ATTRIBUTION, EVIDENCE, attribution_path, load_attribution
from core.runs.result import load_result, load_spec

SAMPLES_PER_CLASS = 40
"""At most so many held-out samples of a class are explained, so that a class mean stays quick."""
EVIDENCE_SAMPLES = 4
"""Samples of a class that the trust card asks the network about again, some hundred times each."""


def explain_run(run: str, recipe: Recipe, progress: Callable[[int, int], None]) -> None:
    """Compute a recipe's attributions for a finished run, and the gene table of every class.

    Does nothing where they stand. Raises InputError when the run has no result, and when the
    recipe doesn't fit the run.
    """
    from core.runs.attribute import attribute_run

    load_result(run)
    path = attribution_path(run, recipe, ATTRIBUTION)
    if path.exists():
        return
    arrays, tables = attribute_run(run, recipe, SAMPLES_PER_CLASS, progress)
    genes = attribution_path(run, recipe, ".genes.csv")
    write_atomic(genes, lambda file: write_csv(tables, file))
    write_atomic(path, lambda file: np.savez(file, **arrays))


def collect_evidence(run: str, recipe: Recipe, progress: Callable[[int, int], None]) -> None:
    """Compute the trust card of a recipe's attribution, and the attribution first if need be.

    Each part is written when it is measured, and a computation that was interrupted goes on with
    the parts that are missing. `progress` is told percents of what is left after the attribution.

    Raises InputError as `explain_run` does.
    """
    from core.runs.attribute import PARTS, SOLVED_PARTS, collect_parts

    load_result(run)
    path = attribution_path(run, recipe, EVIDENCE)
    if path.exists():
        return
    explain_run(run, recipe, lambda *_: progress(0, 100))
    unfinished = attribution_path(run, recipe, ".evidence.parts.json")
    parts = read_json(unfinished) if unfinished.exists() else {}
    costs = SOLVED_PARTS if load_spec(run).network.is_solved else PARTS

    def tell(part: str = "skill", share: float = 0) -> None:
        done = sum(costs[name] for name in parts) + (
            costs[part] * share if part not in parts else 0
        )
        progress(round(100 * done / sum(costs.values())), 100)

    tell()
    found = load_attribution(run, recipe)
    for name, measured in collect_parts(run, recipe, found, EVIDENCE_SAMPLES, set(parts), tell):
        parts[name] = [asdict(evidence) for evidence in measured]
        write_json(unfinished, parts)
        tell()
    write_json(path, [row for name in PARTS for row in parts[name]])
    unfinished.unlink()


class ExplainJob(Job):
    """The attribution of a run's held-out samples by a recipe; it stands in the run's folder."""

    kind: ClassVar[str] = "explain"

    about: str
    """The run."""
    recipe: Recipe

    def title(self) -> str:
        return f"{METHODS[self.recipe.method].title} of run {self.about[:6]}"

    def inputs(self) -> Inputs:
        return Inputs((load_spec(self.about).cohort.dataset,), (self.about,))

    def effort(self) -> tuple:
        return (self.kind, self.about, self.recipe.method)

    def stands(self) -> bool:
        return attribution_path(self.about, self.recipe, ATTRIBUTION).exists()

    @classmethod
    def load(cls) -> None:
        import torchvision  # noqa: F401

        import core.explain.case
        import core.runs.attribute  # noqa: F401

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        reporter.progress(0, 1, "opening the run")
        explain_run(self.about, self.recipe, stoppable(reporter, "samples explained"))


class EvidenceJob(ExplainJob):
    """The trust card of such an attribution."""

    kind: ClassVar[str] = "evidence"

    def title(self) -> str:
        return f"Trust card of {super().title()}"

    def stands(self) -> bool:
        return attribution_path(self.about, self.recipe, EVIDENCE).exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        collect_evidence(self.about, self.recipe, stoppable(reporter, "% measured"))


def request_explanation(run: str, recipe: Recipe, *, evidence: bool = False) -> None:
    """Have the attribution, or with `evidence` its trust card, computed in the background.

    Does nothing where that stands or is under way. Raises InputError when the run has no result.
    """
    load_result(run)
    request(_job(run, recipe, evidence))


def cancel_explanation(run: str, recipe: Recipe, *, evidence: bool = False) -> None:
    """Have a computation stop after the samples, or the part, at hand, unless it has ended."""
    stop(_job(run, recipe, evidence))


def explanation_state(run: str, recipe: Recipe, *, evidence: bool = False) -> AnswerState:
    """Look whether the attribution, or with `evidence` its trust card, stands."""
    return answer_state(_job(run, recipe, evidence))


def _job(run: str, recipe: Recipe, evidence: bool) -> Job:
    return (EvidenceJob if evidence else ExplainJob)(about=run, recipe=recipe)
