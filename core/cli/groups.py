"""`data groups`: named groups of a stored dataset's samples, compared gene by gene."""

import argparse
from pathlib import Path
from typing import Any

from anndata import AnnData

from core.cli.options import read_where
from core.cli.output import give
from core.cli.parser import Parser, add_command, add_group
from core.data.choices import load_choices
from core.data.cohort import Cohort
from core.data.groups import (
    delete_group,
    divide,
    find_group,
    find_pair,
    keep_group,
    list_groups,
)
from core.data.store import add_dataset, find_dataset, load_dataset
from core.errors import InputError
from core.escape import write_csv
from core.files import write_atomic

SIGNIFICANT = 0.05
"""False discovery rate below which a gene is counted as different."""
REST = "without it: all other samples"


def add_commands(data: Any) -> None:
    """Add `data groups list`, `make`, `compare`, `divide` and `forget`."""
    groups = add_group(data, "groups", "named groups of samples: make, compare, divide")
    _add_command(groups, "list", list_all, "the groups of a dataset")
    make = _add_command(groups, "make", make_group, "keep samples under a name")
    make.add_argument("name", help="what the group is called")
    make.add_argument(
        "--where", action="append", default=[], required=True, metavar="COLUMN=VALUE[,VALUE]",
        help="samples whose column has one of these values; several: all must hold",
    )  # fmt: skip
    compared = _add_command(
        groups, "compare", compare, "two groups gene by gene: fold change, test, FDR"
    )
    _add_pair(compared, optional=True)
    compared.add_argument("--out", type=Path, required=True, help="CSV, a row a gene")
    for role, what in (("patient", "patient"), ("batch", "batch or site")):
        compared.add_argument(
            f"--{role}", help=f"column of the {what}; without it what the page Data says"
        )
    divided = _add_command(
        groups, "divide", divide_two, "two groups as a dataset of their own, to train on"
    )
    _add_pair(divided, optional=False)
    divided.add_argument("--name", required=True, help="what the dataset is called")
    forget = _add_command(groups, "forget", forget_group, "forget a group; its samples stay")
    forget.add_argument("name", help="a group, by its name or the beginning of its id")


def _add_command(groups: Any, name: str, command: Any, text: str) -> Parser:
    parser = add_command(groups, name, command, text)
    parser.add_argument("dataset", help="name or beginning of the id of a stored dataset")
    return parser


def _add_pair(parser: Parser, *, optional: bool) -> None:
    parser.add_argument("one", help="a group, by its name or the beginning of its id")
    parser.add_argument(
        "other", nargs="?" if optional else None,
        help="another" + (f"; {REST}" if optional else ""),
    )  # fmt: skip


def list_all(options: argparse.Namespace) -> int:
    """The groups of a dataset, by name."""
    record = find_dataset(options.dataset)
    groups = list_groups(record.id)
    lines = [f"{group.id}  {len(group.samples):6,}  {group.name}" for group in groups]
    document = {
        "dataset": record.id,
        "groups": [{"id": group.id, **group.model_dump(mode="json")} for group in groups],
    }
    return give(options, document, "\n".join(lines) or f"{record.name} has no groups.")


def make_group(options: argparse.Namespace) -> int:
    """Keep the samples that `--where` chooses."""
    record = find_dataset(options.dataset)
    chosen = Cohort(where=read_where(options)).select(load_dataset(record.id))
    group = keep_group(record.id, options.name, list(chosen.obs_names))
    document = {"id": group.id, **group.model_dump(mode="json")}
    return give(options, document, f"{group.id}: {len(group.samples):,} samples as {group.name!r}")


def compare(options: argparse.Namespace) -> int:
    """Write the differential genes of two groups, and say what speaks against them."""
    from core.explain.differential import compare_groups, judge_groups

    record = find_dataset(options.dataset)
    data = load_dataset(record.id)
    one, other = find_pair(record.id, data, options.one, options.other)
    choices = load_choices(record.id)
    known = choices.cohort if choices else Cohort()
    patient, batch = options.patient or known.group, options.batch or known.batch
    _check_columns(data, patient, batch)
    table = compare_groups(data, one, other)
    findings = judge_groups(data, one, other, patient, batch)
    write_atomic(options.out, lambda path: write_csv(table, path))
    significant = int((table["fdr"] < SIGNIFICANT).sum())
    lines = [
        f"{one.name} ({len(one.samples):,} samples) against {other.name} "
        f"({len(other.samples):,}): {significant:,} of {len(table):,} genes differ (FDR below "
        f"{SIGNIFICANT}). All are in {options.out}.",
        *(f"{finding.severity}: {finding.message}" for finding in findings),
    ]
    document = {
        "out": str(options.out), "one": one.name, "other": other.name, "genes": len(table),
        "significant": significant,
        "findings": [finding.model_dump(mode="json") for finding in findings],
    }  # fmt: skip
    return give(options, document, "\n".join(lines))


def _check_columns(data: AnnData, *columns: str | None) -> None:
    for column in columns:
        if column is not None and column not in data.obs:
            raise InputError(
                f"The dataset has no column {column!r}. Columns: {', '.join(data.obs.columns)}."
            )


def divide_two(options: argparse.Namespace) -> int:
    """Keep two groups as a dataset of their own."""
    record = find_dataset(options.dataset)
    data = load_dataset(record.id)
    one, other = find_pair(record.id, data, options.one, options.other)
    chosen, column = divide(data, one, other)
    kept = add_dataset(chosen, options.name)
    document = {**kept.model_dump(mode="json"), "label": column}
    text = (
        f"{kept.samples} samples kept as {kept.name!r} ({kept.id[:12]}). Train with "
        f"--label {column!r}."
    )
    return give(options, document, text)


def forget_group(options: argparse.Namespace) -> int:
    """Forget a group."""
    record = find_dataset(options.dataset)
    group = find_group(record.id, options.name)
    delete_group(record.id, group.id)
    return give(options, {"id": group.id, "name": group.name}, f"{group.name!r} is forgotten.")
