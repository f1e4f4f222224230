"""The rows of a transfer: each method under each preparation, budget and draw.

A row is written when it is done, so that an experiment that was interrupted goes on from there and
ends with what an undisturbed one leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import InputError
from core.evaluation.metrics import METRICS, score
from core.transfer.cohorts import Material, Side
from core.transfer.draws import Draw, choose_budgets, draw
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.preparing import PREPARATIONS
from core.transfer.problem import Problem, TransferMethod
from core.transfer.references import REFERENCES, SOURCE_ONLY, TARGET_ONLY
from core.transfer.spec import Budget, TransferSpec

SCORES = ("macro_auroc", "balanced_accuracy", "brier")
"""Names in METRICS, the first of which verdicts are about."""
Variant = Literal["own", "source permuted", "target permuted", "unrelated source"]


class Row(BaseModel):
    """What a method scored on the held-out patients of one draw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    """A name in REFERENCES or TRANSFER_METHODS."""
    variant: Variant
    """own, or a control."""
    preparation: str
    budget: Budget
    n: int
    """Labelled target patients."""
    draw: int
    macro_auroc: float | None = None
    balanced_accuracy: float | None = None
    brier: float | None = None
    refused: str | None = None
    """Why the method could not be asked, in place of scores."""

    @property
    def place(self) -> tuple[str, str, str, Budget, int]:
        """What tells it from all other rows of an experiment."""
        return self.method, self.variant, self.preparation, self.budget, self.draw


@dataclass(frozen=True)
class Arm:
    """A method, as it is or as a control."""

    method: TransferMethod
    variant: Variant


@dataclass(frozen=True)
class Plan:
    """Everything that an experiment does."""

    spec: TransferSpec
    material: Material
    draws: tuple[Draw, ...]
    budgets: dict[Budget, int]
    """Budget -> labelled patients."""

    @classmethod
    def of(cls, spec: TransferSpec, material: Material) -> Plan:
        """Draw the patients; raises InputError where budgets or methods don't fit the cohorts."""
        _check_methods(spec)
        side = material.target
        draws = tuple(
            draw(side.labels, side.groups, spec.held_out, spec.seed, number)
            for number in range(spec.number_of_draws)
        )
        patients = min(len(one.patients) for one in draws)
        budgets = choose_budgets(spec.budgets, patients, len(material.classes))
        return cls(spec, material, draws, budgets)

    @property
    def test_to_pool(self) -> float:
        """Held-out patients divided by the others, of known class."""
        groups = self.material.target.groups
        held = len(np.unique(groups[self.draws[0].test]))
        return held / len(self.draws[0].patients)

    def arms(self, preparation: str) -> Iterator[Arm]:
        """The methods that are asked under a preparation; controls under the first one only."""
        methods = list_methods(self.spec)
        for method in methods:
            yield Arm(method, "own")
        if preparation != self.spec.preparations[0]:
            return
        tried = [m for m in methods if m.name not in (TARGET_ONLY, SOURCE_ONLY, "pooled_weighted")]
        for method in tried:
            if self.spec.controls and method.learns_from in ("classes", "numbers"):
                yield Arm(method, "source permuted")
            if self.spec.controls:
                yield Arm(method, "target permuted")
            if self.material.unrelated is not None and method.learns_from != "target":
                yield Arm(method, "unrelated source")

    def questions(self) -> Iterator[tuple[int, str, Budget, Arm]]:
        """Draw, preparation, budget and arm of every row, in the order in which they are asked."""
        for number in range(len(self.draws)):
            for preparation in self.spec.preparations:
                record = PREPARATIONS[preparation]
                for budget, n in self.budgets.items():
                    if record.min_target > 0 and n < record.min_target:
                        continue
                    for arm in self.arms(preparation):
                        if n >= arm.method.min_target and (n or arm.variant != "target permuted"):
                            yield number, preparation, budget, arm

    def estimate(self) -> float:
        """About how many seconds all rows take on one core."""
        source = len(self.material.source.groups)
        total = 0.0
        for _, _, budget, arm in self.questions():
            if arm.method.name in REFERENCES:
                n = self.budgets[budget]
                rows = n if arm.method.name == TARGET_ONLY else source + n
                rows += 4 * n if arm.method.name == "pooled_weighted" else 0
                total += 0.012 + 3.5e-6 * min(rows, 1000) ** 2
            else:
                total += arm.method.seconds
        return total


def list_methods(spec: TransferSpec) -> list[TransferMethod]:
    """References and chosen methods, as far as the sources' labels are of use to them."""
    references = [
        one for one in REFERENCES if spec.source_labels == "classes" or one.learns_from == "target"
    ]
    return references + [TRANSFER_METHODS[name] for name in spec.methods]


def _check_methods(spec: TransferSpec) -> None:
    """Raise InputError where a method needs another kind of source."""
    for name in spec.methods:
        method = TRANSFER_METHODS[name]
        needs = {"classes": "classes", "numbers": "numbers"}.get(method.learns_from)
        if needs and spec.source_labels != needs:
            have = {"classes": "classes", "numbers": "numbers", "none": "no labels"}
            raise InputError(
                f"{method.title} learns from sources that are labelled by {needs}, and these have "
                f"{have[spec.source_labels]}. Leave it out, or name another label of the sources."
            )
        if method.needs_sets and spec.gene_sets is None:
            raise InputError(
                f"{method.title} needs gene sets. Name a file of gene sets (GMT), or leave it out."
            )


def run_rows(plan: Plan, path: Path, progress: Callable[[int, int], None]) -> list[Row]:
    """Compute the rows that don't stand in a file yet; gives all of them, in order.

    Args:
        plan: the experiment.
        path: JSON lines, to which a row is added when it is done.
        progress: told how many rows of how many are done; what it raises ends the work.
    """
    done = read_rows(path)
    questions = list(plan.questions())
    asked = [
        (arm.method.name, arm.variant, preparation, budget, number)
        for number, preparation, budget, arm in questions
    ]
    finished = sum(place in done for place in asked)
    memory = _Memory(plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        if path.stat().st_size:
            file.write("\n")  # what a killed process left of a line ends here
        for place, (number, preparation, budget, arm) in zip(asked, questions, strict=True):
            if place in done:
                continue
            progress(finished, len(questions))
            row = memory.ask(number, preparation, budget, arm)
            file.write(row.model_dump_json(exclude_none=True) + "\n")
            file.flush()
            done[place] = row
            finished += 1
    progress(finished, len(questions))
    return [done[place] for place in asked]


def read_rows(path: Path) -> dict[tuple, Row]:
    """The whole rows of a file, by their places."""
    found = {}
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            row = Row.model_validate_json(line)
        except ValidationError:
            continue  # it was being written
        found[row.place] = row
    return found


class _Memory:
    """Asks, and remembers what the next question needs again."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._source_only: tuple[tuple, Row] | None = None
        self._problem: tuple[tuple, Problem] | None = None

    def ask(self, number: int, preparation: str, budget: Budget, arm: Arm) -> Row:
        """A row."""
        n = self.plan.budgets[budget]
        same = (number, preparation)
        alone = arm.method.name == SOURCE_ONLY and not PREPARATIONS[preparation].min_target
        if alone and self._source_only and self._source_only[0] == same:
            return self._source_only[1].model_copy(update={"budget": budget, "n": n})
        row = self._compute(number, preparation, budget, n, arm)
        if alone:
            self._source_only = same, row
        return row

    def _compute(self, number: int, preparation: str, budget: Budget, n: int, arm: Arm) -> Row:
        unrelated = arm.variant == "unrelated source"
        key = (number, preparation, budget, unrelated)
        if self._problem is None or self._problem[0] != key:
            self._problem = key, make_problem(self.plan, number, preparation, n, unrelated)
        problem = permute(self._problem[1], arm.variant)
        said = {
            "method": arm.method.name, "variant": arm.variant, "preparation": preparation,
            "budget": budget, "n": n, "draw": number,
        }  # fmt: skip
        try:
            answers = _check_answers(arm.method, arm.method.fit(problem), problem)
        except InputError as error:
            return Row(**said, refused=str(error))
        y = self.plan.material.target.labels[self.plan.draws[number].test]
        found = score(y, answers, [METRICS[name] for name in SCORES])
        return Row(**said, **found)


def make_problem(
    plan: Plan, number: int, preparation: str, n: int, unrelated: bool = False
) -> Problem:
    """What one draw gives to every method, prepared.

    Missing values of the target become the gene's median in its samples that aren't held out, those
    of a source that of its cohort.
    """
    material, drawn = plan.material, plan.draws[number]
    source: Side = material.unrelated if unrelated else material.source
    target, record = material.target, PREPARATIONS[preparation]
    labelled, rest = drawn.labelled(n), drawn.unlabelled(n)
    x = fill_source(source)
    pool = np.concatenate([labelled, rest])
    filled = _fill(target.x, target.x[pool], np.median(x, axis=0))
    seen = filled if record.transductive else filled[labelled]
    fitted = record.fit(x, source.cohorts, seen)
    return Problem(
        source=fitted.source(x, source.cohorts),
        source_labels=source.labels,
        source_cohorts=source.cohorts,
        target=fitted.target(filled[labelled]),
        target_labels=target.labels[labelled],
        target_groups=target.groups[labelled],
        source_groups=source.groups,
        unlabelled=fitted.target(filled[rest]),
        test=fitted.target(filled[drawn.test]),
        n_classes=len(material.classes),
        genes=material.genes,
        sets=material.sets,
        seed=plan.spec.seed * 1000 + number,
    )


def permute(problem: Problem, variant: Variant) -> Problem:
    """The problem of a control: labels in another order, the same for every method."""
    rng = np.random.default_rng([problem.seed, 1])
    if variant == "source permuted":
        return replace(problem, source_labels=rng.permutation(problem.source_labels))
    if variant == "target permuted":
        return replace(problem, target_labels=rng.permutation(problem.target_labels))
    return problem


def fill_source(side: Side) -> np.ndarray:
    """Rows of the sources without missing values."""
    x = side.x.copy()
    for number in np.unique(side.cohorts):
        own = side.cohorts == number
        x[own] = _fill(x[own], x[own], np.zeros(x.shape[1]))
    return x


def _fill(x: np.ndarray, known: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Rows with the gene's median among `known` where a value is missing."""
    if not np.isnan(x).any():
        return x
    there = ~np.isnan(known).all(axis=0)
    fill = np.array(otherwise, np.float32)
    fill[there] = np.nanmedian(known[:, there], axis=0)
    return np.where(np.isnan(x), fill, x)


def _check_answers(method: TransferMethod, answers: np.ndarray, problem: Problem) -> np.ndarray:
    """Raise InputError unless they are probabilities of the classes."""
    answers = np.asarray(answers, dtype=float)
    wanted = (len(problem.test), problem.n_classes)
    if answers.shape != wanted or not np.isfinite(answers).all():
        raise InputError(
            f"{method.title} gave answers of shape {answers.shape}, or some that are no numbers; "
            f"expected {wanted} probabilities."
        )
    if np.abs(answers.sum(axis=1) - 1).max(initial=0) > 1e-3:
        raise InputError(f"{method.title} gave probabilities that don't add up to 1.")
    return answers


def row_table(rows: list[Row]) -> pd.DataFrame:
    """A row of the experiment a line, under the names of `Row`."""
    return pd.DataFrame([row.model_dump() for row in rows], columns=[*Row.model_fields])
