"""A transfer as a job, and what it leaves."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from core.errors import InputError
from core.files import read_json, write_json
from core.home import home, need_right_to_change
from core.identity import raised_versions
from core.jobs.job import Inputs, Reporter, stoppable
from core.models.baselines import BASELINES
from core.scratch import scratch
from core.transfer.asked import (
    SPEC,
    AskedJob,
    answer_here,
    find_asked,
    say_broken,
    transfer_folder,
)
from core.transfer.cohorts import open_material
from core.transfer.deciding import Deciding, find_deciding
from core.transfer.experiment import (
    Plan,
    Row,
    list_methods,
    make_problem,
    read_rows,
    row_table,
    run_rows,
)
from core.transfer.fits import Fit, measure_fits
from core.transfer.preparing import PREPARATIONS
from core.transfer.references import MODEL
from core.transfer.spec import TransferSpec
from core.transfer.verdict import CONTROLS, Gain, Scored, judge, say_gains, say_line, summarise

ROWS, RESULT = "rows.jsonl", "result.json"
EXAMINED_DRAWS = 3
"""Draws in which methods are asked what they say of themselves."""


class Examined(BaseModel):
    """Something that a method says of itself, such as how far it has hidden the cohorts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    what: str
    n: int
    """Labelled patients."""
    value: float
    """Mean over the first draws, under the first preparation."""
    draws: int


class Transfer(BaseModel):
    """What came of a transfer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: TransferSpec
    sources: tuple[str, ...]
    """Names of the source cohorts."""
    target: str
    classes: tuple[str, ...]
    genes: int
    source_samples: int
    target_patients: int
    held_out: int
    """Patients that each draw holds out."""
    draws: int
    notes: tuple[str, ...]
    fits: tuple[Fit, ...]
    examined: tuple[Examined, ...] = ()
    """What methods say of themselves; none in results of earlier versions."""
    deciding: tuple[Deciding, ...] = ()
    """Genes that decide in methods that are networks; none in results of earlier versions."""
    gains: tuple[Gain, ...]
    scores: tuple[Scored, ...]
    refused: dict[str, str]
    """Method -> why it could not be asked somewhere."""

    @property
    def source(self) -> str:
        """The sources' names in a sentence."""
        *first, last = self.sources
        return f"{', '.join(first)} and {last}" if first else last

    @property
    def verdicts(self) -> list[str]:
        """A sentence a method, under the first preparation."""
        return [say_gains(gains, self.source) for gains in self.by_line().values()]

    @property
    def headline(self) -> str:
        """The verdict on the first chosen method; without any, on pooled samples."""
        lines = self.by_line()
        wanted = next((name for name in self.spec.methods if name in lines), "pooled")
        gains = lines.get(wanted) or next(iter(lines.values()), None)
        if gains is None:
            return "No method could be judged: no budget is above 0."
        return say_gains(gains, self.source)

    def by_line(
        self, preparation: str | None = None, variant: str = "own"
    ) -> dict[str, list[Gain]]:
        """Method -> its gains at each budget.

        Args:
            preparation: one of the specification's; by default the first.
            variant: own, or a control.
        """
        wanted = preparation or self.spec.preparations[0]
        lines: dict[str, list[Gain]] = {}
        for gain in self.gains:
            if gain.variant == variant and gain.preparation == wanted:
                lines.setdefault(gain.method, []).append(gain)
        return lines

    def describe_controls(self) -> list[str]:
        """A sentence a control of a method."""
        return [
            say_gains(gains, self.source)
            for variant in CONTROLS
            for gains in self.by_line(variant=variant).values()
        ]

    def deciding_table(self) -> pd.DataFrame:
        """A row a gene of a network: method, rank, gene, share, draws."""
        rows = [one.model_dump() for one in self.deciding]
        table = pd.DataFrame(rows, columns=list(Deciding.model_fields))
        table["method"] = [say_line(name, "own") for name in table["method"]]
        return table

    def examined_table(self) -> pd.DataFrame:
        """A row something that a method says of itself: method, what, n, value, draws."""
        rows = [one.model_dump() for one in self.examined]
        table = pd.DataFrame(rows, columns=list(Examined.model_fields))
        table["method"] = [say_line(name, "own") for name in table["method"]]
        return table

    def gain_table(self) -> pd.DataFrame:
        """A row a gain, with its line in words and its verdict."""
        return gain_table(self.gains)

    def score_table(self) -> pd.DataFrame:
        """A row a method, control, preparation and budget, with its mean scores."""
        table = pd.DataFrame([score.model_dump() for score in self.scores])
        words = [say_line(*pair) for pair in zip(table["method"], table["variant"], strict=True)]
        table.insert(0, "line", words)
        return table


def gain_table(gains: Sequence[Gain]) -> pd.DataFrame:
    """A row a gain: `line`, the method in words, then the fields of `Gain`, and its `verdict`."""
    return pd.DataFrame(
        [
            {
                "line": say_line(gain.method, gain.variant),
                **gain.model_dump(),
                "verdict": gain.answer,
            }
            for gain in gains
        ]
    )


class TransferJob(AskedJob):
    """Rows of an experiment, and the verdict."""

    kind: ClassVar[str] = "transfer"
    leaves: ClassVar[str] = RESULT

    spec: TransferSpec

    def content(self) -> dict[str, Any]:
        records = {method.name: method for method in list_methods(self.spec)}
        records["model"] = BASELINES[MODEL]
        records |= {name: PREPARATIONS[name] for name in self.spec.preparations}
        return super().content() | raised_versions(**records)

    @classmethod
    def restore(cls, content: dict[str, Any]) -> TransferJob:
        return super().restore({name: part for name, part in content.items() if name == "spec"})

    def title(self) -> str:
        sources = ", ".join(cohort.dataset[:6] for cohort in self.spec.sources)
        return f"Transfer from {sources} to {self.spec.target.dataset[:6]}"

    def inputs(self) -> Inputs:
        return Inputs(tuple(dict.fromkeys(cohort.dataset for cohort in self.spec.cohorts)))

    def check(self) -> None:
        check_transfer(self.spec)

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        if self.stands():
            return
        reporter.progress(0, 1, "reading the cohorts")
        material = open_material(self.spec)
        plan = Plan.of(self.spec, material)
        write_json(self.place / SPEC, self.spec.model_dump(mode="json"))
        rows = run_rows(plan, self.place / ROWS, stoppable(reporter, "fits"))
        fits = measure_fits(material, self.spec.preparations)
        found = _gather(plan, rows, fits, examine(plan), find_deciding(plan))
        write_json(self.place / RESULT, found.model_dump(mode="json"))


def examine(plan: Plan) -> list[Examined]:
    """Let methods say of themselves what they can, in the first draws of the smallest budget."""
    found = []
    for method in list_methods(plan.spec):
        fits = [n for n in plan.budgets.values() if n >= max(method.min_target, 1)]
        if method.examine is None or not fits:
            continue
        said: dict[str, list[float]] = {}
        for number, drawn in enumerate(plan.draws[:EXAMINED_DRAWS]):
            problem = make_problem(plan, number, plan.spec.preparations[0], min(fits))
            hidden = plan.material.target.labels[drawn.unlabelled(min(fits))]
            with suppress(InputError):
                for what, value in method.examine(problem, hidden).items():
                    if isfinite(value):
                        said.setdefault(what, []).append(value)
        found += [
            Examined(method=method.name, what=what, n=min(fits), value=sum(own) / len(own),
                     draws=len(own))
            for what, own in said.items()
        ]  # fmt: skip
    return found


def _gather(
    plan: Plan, rows: Sequence[Row], fits: Sequence[Fit], examined: Sequence[Examined],
    deciding: Sequence[Deciding],
) -> Transfer:  # fmt: skip
    material, target = plan.material, plan.material.target
    held = len(set(target.groups[plan.draws[0].test]))
    return Transfer(
        spec=plan.spec, sources=material.source_names, target=material.target_name,
        classes=material.classes, genes=len(material.genes), source_samples=len(material.source.x),
        target_patients=held + len(plan.draws[0].patients), held_out=held, draws=len(plan.draws),
        notes=material.notes, fits=tuple(fits), examined=tuple(examined), deciding=tuple(deciding),
        gains=tuple(judge(rows, plan.test_to_pool)), scores=tuple(summarise(rows)),
        refused={row.method: row.refused for row in rows if row.refused},
    )  # fmt: skip


def check_transfer(spec: TransferSpec) -> Plan:
    """Everything that the experiment will do, without doing it.

    Raises InputError where cohorts, budgets or methods don't fit, so that nothing is stored.
    """
    return Plan.of(spec, open_material(spec))


def transfer_here(spec: TransferSpec, progress: Callable[[float, str], None]) -> Transfer:
    """Do a transfer in this process, unless it stands, and wait for it.

    Raises InputError where it can't be done; nothing is stored then.
    """
    job = TransferJob(spec=spec)
    answer_here(job, progress)
    return load_transfer(job.key)


def is_done(key: str) -> bool:
    """Whether the transfer of that id stands, also one that an earlier version has made."""
    return (transfer_folder(key) / RESULT).exists()


def load_transfer(key: str) -> Transfer:
    """What came of a transfer; raises InputError until it stands, or where it is damaged."""
    path = transfer_folder(key) / RESULT
    try:
        return Transfer.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"Transfer {key[:6]} isn't done yet.") from None
    except (OSError, ValidationError):
        raise say_broken(key, path.name) from None


class Earlier(NamedTuple):
    """A transfer that was asked for before."""

    key: str
    when: datetime
    spec: TransferSpec


def load_spec(key: str) -> TransferSpec:
    """What a transfer asks, whether it stands, runs or waits.

    Raises InputError where there is none of that id.
    """
    with suppress(OSError, ValueError):
        return TransferSpec.model_validate(read_json(transfer_folder(key) / SPEC))
    job = find_asked(key)
    if not isinstance(job, TransferJob):
        raise InputError(f"There is no transfer {key[:6]} here.")
    return job.spec


def list_transfers() -> list[Earlier]:
    """Transfers that stand, the latest first; damaged ones are passed over."""
    found = []
    for path in home().glob(f"transfers/*/{RESULT}"):
        with suppress(OSError, ValueError):
            spec = TransferSpec.model_validate(read_json(path.with_name(SPEC)))
            when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            found.append(Earlier(path.parent.name, when, spec))
    return sorted(found, key=lambda one: one.when, reverse=True)


def delete_transfer(key: str) -> None:
    """Delete a transfer, or an enquiry; raises InputError where there is none of that id."""
    folder = transfer_folder(key)
    if not folder.is_dir():
        raise InputError(f"There is no transfer {key[:6]} any more.")
    need_right_to_change()
    with scratch() as doomed:
        folder.rename(doomed / key)


def load_rows(key: str) -> pd.DataFrame:
    """All rows of a transfer that are done, under the names of `Row`."""
    return row_table(list(read_rows(transfer_folder(key) / ROWS).values()))
