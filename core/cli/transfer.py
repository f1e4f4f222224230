"""`transfer`: do samples of other cohorts help to tell classes apart in this one?"""

import argparse
from pathlib import Path
from typing import Any

from core.cli.output import Progress, give, say
from core.cli.parser import add_command
from core.errors import InputError
from core.escape import write_csv
from core.files import write_atomic
from core.transfer.enquiring import (
    EnquiryJob,
    ask_here,
    bring_enquiry,
    keep_sets,
    name_datasets,
    preview,
)
from core.transfer.methods import TRANSFER_METHODS
from core.transfer.orthologs import keep_orthologs
from core.transfer.spec import TransferSpec, read_document
from core.transfer.transferring import (
    TransferJob,
    check_transfer,
    load_rows,
    transfer_here,
)
from core.words import say_duration


def add_commands(commands: Any) -> None:
    """Add `transfer`."""
    parser = add_command(
        commands, "transfer", transfer,
        "do samples of other cohorts help to tell classes apart in this one",
    )  # fmt: skip
    parser.add_argument(
        "spec", type=Path, nargs="?",
        help="YAML: sources, target, and what is tried, or a question and what it is about; a "
        "dataset by its id or name, a file by its path from there",
    )  # fmt: skip
    parser.add_argument("--orthologs", type=Path, help="CSV: gene of the sources, of the target")
    parser.add_argument("--csv", type=Path, help="CSV of all rows, one a method, budget and draw")
    parser.add_argument("--report", type=Path, help="HTML file with all of it")
    parser.add_argument("--methods", action="store_true", help="list the methods")


def transfer(options: argparse.Namespace) -> int:
    """The verdict on each method."""
    if options.methods:
        lines = [f"{one.name}  {one.title}: {one.description}" for one in TRANSFER_METHODS]
        names = [{"name": one.name, "title": one.title} for one in TRANSFER_METHODS]
        return give(options, names, "\n".join(lines) or "There is none.")
    if options.spec is None:
        raise InputError("Name a specification: genecanvas transfer SPEC.yaml")
    if not options.spec.exists():
        raise InputError(f"There is no file {options.spec}.")
    document = read_document(options.spec.read_bytes())
    if "question" in document:
        return _ask(options, document)
    document = keep_sets(name_datasets(document), options.spec.parent)
    spec = TransferSpec.parse(document)
    if options.orthologs is not None:
        if not options.orthologs.is_file():
            raise InputError(f"There is no file {options.orthologs}.")
        kept = keep_orthologs(options.orthologs.read_bytes())
        spec = spec.model_copy(update={"orthologs": kept})
    job = TransferJob(spec=spec)
    if not job.stands():
        plan = check_transfer(spec)
        say(f"about {say_duration(plan.estimate())}, {len(plan.draws)} draws of patients")
        for note in plan.material.notes:
            say(note)
    said = Progress()
    found = transfer_here(spec, lambda share, text: said(text, share == 1))
    if options.csv:
        write_atomic(options.csv, lambda path: write_csv(load_rows(job.key), path))
    document = {"transfer": job.key, "headline": found.headline, "verdicts": found.verdicts}
    document |= found.model_dump(mode="json")
    document["csv"] = str(options.csv) if options.csv else None
    document["report"] = None
    if options.report:
        from core.report.transfer import write_transfer_report  # loads plotly

        document["report"] = str(write_transfer_report(job.key, options.report))
    lines = [f"transfer {job.key}", *found.verdicts, *found.describe_controls(), *found.notes]
    return give(options, document, "\n".join(lines))


def _ask(options: argparse.Namespace, document: dict[str, Any]) -> int:
    """One of the other questions: its reply."""
    if options.orthologs is not None:
        document = {**document, "orthologs": str(options.orthologs.absolute())}
    enquiry = bring_enquiry(document, options.spec.parent)
    job = EnquiryJob(enquiry=enquiry)
    if not job.stands():
        ahead = preview(enquiry)
        say(f"about {say_duration(ahead.seconds)}")
        for word in ahead.words:
            say(word)
    said = Progress()
    found = ask_here(enquiry, lambda share, text: said(text, share == 1))
    if options.csv:
        write_atomic(options.csv, lambda path: write_csv(found.line_table(), path))
    told = {"transfer": job.key, "headline": found.headline, "verdicts": found.verdicts}
    told |= found.model_dump(mode="json") | {"spec": enquiry.model_dump(mode="json")}
    told |= {"csv": str(options.csv) if options.csv else None, "report": None}
    if options.report:
        from core.report.transfer import write_enquiry_report  # loads plotly

        told["report"] = str(write_enquiry_report(job.key, options.report))
    lines = [f"transfer {job.key}", *found.verdicts, *found.describe_controls(), *found.notes]
    return give(options, told, "\n".join(lines))
