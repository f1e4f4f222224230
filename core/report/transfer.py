"""The report of a transfer: what samples of other cohorts bring."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core import __version__
from core.evaluation.metrics import METRICS
from core.plots.findings import say_budgets, say_gains
from core.plots.transfer import gain_curves, reply_scores, score_curves
from core.report.contents import Block, Chart, Code, Points, Report, Section, Table, Text
from core.report.references import Bibliography
from core.report.render import write_report
from core.transfer.enquiring import (
    ENQUIRIES,
    enquiry_yaml,
    load_enquiry,
    load_reply,
    load_reply_table,
)
from core.transfer.experiment import SCORES, list_methods
from core.transfer.preparing import PREPARATIONS
from core.transfer.transferring import Transfer, load_transfer
from core.transfer.verdict import CONTROLS, say_line

SCORE = "AUROC"
SHOWN_ROWS = 200
"""Of a table of an enquiry."""


def report_transfer(key: str) -> Report:
    """The report of a transfer that stands; raises InputError where it doesn't."""
    found, books = load_transfer(key), Bibliography()
    return Report(
        title=f"From {found.source} to {found.target}",
        subtitle=f"Transfer {key} · {datetime.now(UTC).astimezone():%-d %B %Y}",
        headline=found.headline,
        sections=[
            Section("Verdicts", _tell_gains(found)),
            Section("Controls", _tell_controls(found)),
            Section("Does this source fit?", _tell_fits(found)),
            Section("The methods from inside", _tell_inside(found)),
            Section("Limits", _tell_limits(found)),
            Section("Methods", _tell_methods(found, books)),
            Section("To repeat it", [
                Code("transfer.yaml, for `genecanvas transfer`", found.spec.to_yaml()),
                Text(f"GeneCanvas {__version__}."),
            ]),
        ],
        references=books.references,
    )  # fmt: skip


def write_transfer_report(key: str, path: Path) -> Path:
    """Write the report of a transfer as one HTML file; returns its absolute path.

    Raises InputError as `report_transfer` does.
    """
    write_report(report_transfer(key), path)
    return path.absolute()


def report_enquiry(key: str) -> Report:
    """The report of an enquiry whose reply stands; raises InputError where it doesn't."""
    found, enquiry, books = load_reply(key), load_enquiry(key), Bibliography()
    kind = ENQUIRIES[enquiry.question]
    shown = found.line_table()
    answered: list[Block] = [Points(found.verdicts or [found.headline])]
    if shown["score"].notna().any():
        figure = reply_scores(shown, found.measure, found.chance)
        answered.append(Chart(f"{found.measure} over {found.items}", figure, shown))
    controls = found.describe_controls()
    tables: list[Block] = [
        Table(says, load_reply_table(key, name).head(SHOWN_ROWS))
        for name, says in found.tables.items() if name != "activities"
    ]  # fmt: skip
    return Report(
        title=found.title,
        subtitle=f"{kind.title}, {key} · {datetime.now(UTC).astimezone():%-d %B %Y}",
        headline=found.headline,
        sections=[
            Section("Verdicts", answered),
            Section("Controls", [Points(controls) if controls else Text("There is none.")]),
            Section("Tables", tables),
            Section("Limits", [Points(list(found.notes))]),
            Section("Methods", [Points([
                f"{kind.help}{books.cite(kind.reference)} Departs: {kind.departs}"
            ])]),
            Section("To repeat it", [
                Code("enquiry.yaml, for `genecanvas transfer`", enquiry_yaml(enquiry)),
                Text(f"GeneCanvas {__version__}."),
            ]),
        ],
        references=books.references,
    )  # fmt: skip


def write_enquiry_report(key: str, path: Path) -> Path:
    """Write the report of an enquiry as one HTML file; returns its absolute path.

    Raises InputError as `report_enquiry` does.
    """
    write_report(report_enquiry(key), path)
    return path.absolute()


def _tell_gains(found: Transfer) -> list[Block]:
    blocks: list[Block] = [Points(found.verdicts)]
    gains, scores = found.gain_table(), found.score_table()
    titles = [method.title for method in list_methods(found.spec)]
    for preparation in found.spec.preparations:
        own = gains[(gains["variant"] == "own") & (gains["preparation"] == preparation)]
        if own.empty:
            continue
        title = PREPARATIONS[preparation].title
        blocks.append(
            Chart(
                f"{title}: {say_gains(own)}", gain_curves(own, SCORE, titles), own,
            )
        )  # fmt: skip
        mean = scores[(scores["variant"] == "own") & (scores["preparation"] == preparation)]
        shown = mean.rename(columns={SCORES[0]: "score"})
        blocks.append(
            Chart(
                f"{title}: {say_budgets(mean, SCORES[0])}", score_curves(shown, SCORE, titles), mean
            )
        )
    return blocks


def _tell_controls(found: Transfer) -> list[Block]:
    gains = found.gain_table()
    own = gains[gains["variant"].isin(CONTROLS)]
    if own.empty:
        return [Text("None was asked for.")]
    return [
        Points(found.describe_controls()),
        Chart(f"Controls. {say_gains(own)}", gain_curves(own, SCORE), own),
    ]


def _tell_fits(found: Transfer) -> list[Block]:
    if not found.fits:
        return [Text("There are too few samples to say.")]
    table = pd.DataFrame([fit.model_dump() for fit in found.fits])
    return [
        Table(
            "Mean distance of genes in SD, and AUROC of telling the cohorts apart on samples that "
            "had no part in fitting", table,
        )
    ]  # fmt: skip


def _tell_inside(found: Transfer) -> list[Block]:
    """What methods say of themselves, and which genes decide in those that are networks."""
    blocks: list[Block] = []
    if found.examined:
        blocks.append(
            Table("What methods say of themselves, in the first draws", found.examined_table())
        )
    if found.deciding:
        blocks.append(
            Table("Genes that decide in networks: integrated gradients of held-out samples",
                  found.deciding_table())
        )  # fmt: skip
    return blocks or [Text("None of them says more than its answers.")]


def _tell_limits(found: Transfer) -> list[Block]:
    limits = [
        f"{found.target_patients:,} target patients, {found.held_out} of them held out in each of "
        f"{found.draws} draws: no difference means that these can't show one.",
        "A gain holds for this source and patients like these.",
        *found.notes,
        *(f"{say_line(name, 'own')}: {why}" for name, why in found.refused.items()),
    ]
    if any(PREPARATIONS[name].transductive for name in found.spec.preparations):
        limits.append("A transductive preparation has looked at tested samples, not at classes.")
    return [Points(limits)]


def _tell_methods(found: Transfer, books: Bibliography) -> list[Block]:
    scores = ", ".join(METRICS[name].title for name in SCORES)
    said = [
        f"Models that learn from {found.source_samples:,} samples of {found.source} and from "
        f"labelled patients of {found.target} ({', '.join(found.classes)}) were held against "
        f"learning from the target alone, over {found.genes:,} shared genes in log2 expression. "
        f"Each of {found.draws} draws held {found.held_out} patients out, class by class; all "
        f"methods met the same patients ({scores}).",
        "Gains in AUROC were tested by the corrected t test over draws"
        f"{books.cite('Nadeau and Bengio 2003')} with p values corrected for the numbers of "
        f"labelled patients{books.cite('Holm 1979')}.",
    ]
    said += [
        f"{method.title}: {method.description}{books.cite(method.reference)} "
        f"{f'Departs: {method.departs}' if method.departs else ''}".strip()
        for method in list_methods(found.spec)
    ]
    said += [f"{PREPARATIONS[name].title}: {PREPARATIONS[name].help}"
             for name in found.spec.preparations]  # fmt: skip
    return [Points(said)]
