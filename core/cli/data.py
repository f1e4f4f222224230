"""`data`: look at an expression file, group its samples, and fetch public datasets."""

import argparse
import shlex
from dataclasses import asdict
from typing import Any

from core.cli import groups
from core.cli.options import add_data_options, given_cohort, read_data, take_roles
from core.cli.output import Progress, give
from core.cli.parser import add_command, add_group
from core.data import quota
from core.data.catalogue import CATALOGUE, PublicDataset
from core.data.check import check_dataset
from core.data.cohort import Cohort
from core.data.fetched import describe_file, fetch, find_entry, kept, own_entries
from core.data.join import join_datasets
from core.data.store import add_dataset, find_dataset, load_dataset
from core.errors import InputError

MOST_CLASSES = 20
"""Classes that are listed."""


def add_commands(commands: Any) -> None:
    """Add `data check`, `data join`, `data groups`, `data catalogue` and `data fetch`."""
    data = add_group(commands, "data", "look at an expression file, fetch public datasets")
    check = add_command(
        data, "check", check_data, "say what a file holds and what is wrong with it"
    )
    add_data_options(check)
    check.add_argument("--batch", help="column of the batch or site, compared with the classes")
    joined = add_command(
        data, "join", join_data, "put stored cohorts under each other, to hold each out in turn"
    )
    joined.add_argument("datasets", nargs="+", help="names, or beginnings of ids, two or more")
    joined.add_argument("--name", required=True, help="what the joint dataset is called")
    joined.add_argument(
        "--column", action="append", default=[], metavar="NEW=A,B,…",
        help="a column and what it is called in each cohort, in their order; by default those that "
        "all of them have",
    )  # fmt: skip
    groups.add_commands(data)
    add_command(
        data, "catalogue", list_catalogue, "public datasets, and which of them are stored here"
    )
    fetched = add_command(data, "fetch", fetch_data, "download a public dataset, or go on doing so")
    fetched.add_argument("name", help="a name of the catalogue, or the address of a file")


def check_data(options: argparse.Namespace) -> int:
    """The card of a file or a stored dataset, with its findings."""
    take_roles(options)
    cohort = Cohort(**given_cohort(options), batch=options.batch)
    data = cohort.select(read_data(options))
    card = check_dataset(data, cohort.label, cohort.group, cohort.batch)
    columns = data.uns.get("columns", [])
    lines = [f"{card.samples} samples x {card.genes} genes, {card.scale}", *data.uns["notes"]]
    lines += [
        f"  column {column['name']!r}: {column['role']} ({column['why']})" for column in columns
    ]
    classes = list(card.classes.items())
    lines += [f"  {name}: {n}" for name, n in classes[:MOST_CLASSES]]
    if len(classes) > MOST_CLASSES:
        lines.append(f"  and {len(classes) - MOST_CLASSES} more")
    for finding in card.findings:
        lines.append(f"{finding.severity}: {finding.message}")
        said = finding.repair.changes.get("roles", {}) if finding.repair else {}
        if said:
            ways = " ".join(shlex.join(["--role", f"{c}={role}"]) for c, role in said.items())
            lines.append(f"  {finding.repair.title}: {ways}")
    document = {**card.model_dump(mode="json"), "notes": data.uns["notes"], "columns": columns}
    return give(options, document, "\n".join(lines))


def join_data(options: argparse.Namespace) -> int:
    """Keep several stored cohorts as one dataset."""
    records = [find_dataset(text) for text in options.datasets]
    columns = {}
    for text in options.column:
        new, _, names = text.partition("=")
        columns[new] = names.split(",")
        if not new or len(columns[new]) != len(records):
            raise InputError(
                f"Expected --column NEW=A,B,… with a name for each of the {len(records)} cohorts, "
                f"got {text!r}."
            )
    cohorts = {record.name: load_dataset(record.id) for record in records}
    if len(cohorts) < len(records):
        raise InputError("Two of the cohorts bear one name. Keep one of them under another.")
    joint = join_datasets(cohorts, columns or None)
    record = add_dataset(joint, options.name)
    text = [f"{record.samples} samples x {record.genes} genes kept as {record.name!r}."]
    text += joint.uns["notes"]
    text.append("Hold out each cohort in turn with --split leave_one_batch_out --batch cohort.")
    return give(options, record.model_dump(mode="json"), "\n".join(text))


def list_catalogue(options: argparse.Namespace) -> int:
    """Public datasets, those fetched by address too, and the room that they take."""
    entries = [*CATALOGUE, *own_entries()]
    taken, limit = quota.usage(), quota.limit()
    lines = [
        f"{entry.name:16}  {_megabytes(entry.bytes):>13}  {'stored' if kept(entry) else '-':6}  "
        f"{entry.title} ({entry.licence})"
        for entry in entries
    ]
    lines.append(f"stored: {_megabytes(sum(taken.values()))} of {_megabytes(limit)}")
    document = {
        "datasets": [_describe_entry(entry) for entry in entries],
        "usage": taken,
        "limit": limit,
    }
    return give(options, document, "\n".join(lines))


def _describe_entry(entry: PublicDataset) -> dict[str, Any]:
    return {**asdict(entry), "classes": dict(entry.classes), "bytes": entry.bytes,
            "kept": kept(entry)}  # fmt: skip


def _megabytes(size: int | None) -> str:
    return "size unknown" if size is None else f"{size / 1e6:,.1f} MB"


def fetch_data(options: argparse.Namespace) -> int:
    """Download a dataset; an interrupted download goes on."""
    entry = find_entry(options.name)
    said = Progress()

    def progress(name: str, done: int, total: int | None) -> None:
        of = f" of {_megabytes(total)}" if total else ""
        said(f"{name}: {_megabytes(done)}{of}", done == total)

    paths = fetch(entry, progress)
    document = {
        "name": entry.name,
        "matrix": entry.matrix,
        "labels": entry.labels,
        "files": [{"path": str(path), **describe_file(path)} for path in paths],
    }
    lines = [*map(str, paths), f"licence: {entry.licence}", f"cite: {entry.citation}", *entry.traps]
    return give(options, document, "\n".join(lines))
