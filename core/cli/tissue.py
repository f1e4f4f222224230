"""`tissue`: what images of tissue say of genes, and how much of it is only depth."""

import argparse
from pathlib import Path
from typing import Any, get_args

from core.cli.options import add_choice
from core.cli.output import Progress, give
from core.cli.parser import add_command, add_group
from core.errors import InputError
from core.escape import write_csv
from core.files import write_atomic
from core.jobs.here import do_here
from core.tissue.containers import read_spatial, read_visium
from core.tissue.job import job_of
from core.tissue.networks import NETWORKS
from core.tissue.read import FEWEST_READS, read_tissue
from core.tissue.result import load_answer, scores_table
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import NO_NETWORK, TissueSpec
from core.tissue.store import TissueRecord, add_tissue, delete_tissue, find_tissue, list_tissues

SHOWN = 20
"""Genes that are listed."""


def add_commands(commands: Any) -> None:
    """Add `tissue add`, `simulate`, `list`, `learn` and `delete`."""
    group = add_group(commands, "tissue", "what images of tissue say of genes")
    parser = add_command(group, "add", add, "read spots, counts and images, check and store them")
    parser.add_argument(
        "spots", type=Path, nargs="+",
        help="tables of spots: section, patient, x, y; or one a section, called as it; or Space "
        "Ranger's folders (Visium), one a section; or an h5ad file with places (squidpy)",
    )  # fmt: skip
    parser.add_argument("--counts", type=Path, help="counts with the same ids")
    parser.add_argument("--tiles", type=Path, help="ready tiles in the spots' order: .npz or .npy")
    parser.add_argument("--images", type=Path, help="a folder with an image a section")
    parser.add_argument("--width", type=float, help="of a tile, in pixels of the image")
    parser.add_argument("--side", type=int, default=64, help="pixels a side of a cut tile")
    parser.add_argument(
        "--fewest-reads", type=int, default=FEWEST_READS, help="spots with fewer are left out"
    )
    parser.add_argument("--name", help="what lists call it; by default the first table's name")
    add_command(group, "simulate", simulate, "store spots whose answer is known")
    add_command(group, "list", show_all, "tissues that are stored")
    parser = add_command(
        group, "learn", learn, "predict genes of held-out patients, with and without the image"
    )
    parser.add_argument("tissue", help="its id, or the beginning of it")
    for name in ("held_out", "choose", "stain", "backbone", "keep"):
        field = TissueSpec.model_fields[name]
        known = (NO_NETWORK, *NETWORKS.names) if name == "backbone" else get_args(field.annotation)
        flag = f"--{name.replace('_', '-')}"
        add_choice(parser, flag, known, field.default, field.description)
    for name in ("genes", "epochs", "auxiliary", "seed"):
        field = TissueSpec.model_fields[name]
        kind = field.annotation
        parser.add_argument(f"--{name}", type=kind, default=field.default, help=field.description)
    parser.add_argument("--weights", default="imagenet", help="imagenet, file:PATH or scratch")
    for name in ("symmetric", "train"):
        text = TissueSpec.model_fields[name].description
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument("--csv", type=Path, help="CSV of all genes")
    parser = add_command(group, "delete", delete, "delete a tissue and all answers about it")
    parser.add_argument("tissue", help="its id, or the beginning of it")


def add(options: argparse.Namespace) -> int:
    """What was read, and what is doubtful about it."""
    how = {name: getattr(options, name) for name in ("width", "side", "fewest_reads")}
    if all(path.is_dir() for path in options.spots):
        tissue = read_visium(options.spots, **how)
    elif [path.suffix for path in options.spots] == [".h5ad"]:
        tissue = read_spatial(options.spots[0], options.images, **how)
    elif options.counts is None:
        raise InputError("Expected --counts with a file of counts, beside the table of spots.")
    else:
        tissue = read_tissue(options.spots, options.counts, options.tiles, options.images, **how)
    return _show(options, add_tissue(tissue, options.name or options.spots[0].stem))


def simulate(options: argparse.Namespace) -> int:
    """The stored tissue."""
    return _show(options, add_tissue(simulate_tissue(), "Simulated tissue"))


def show_all(options: argparse.Namespace) -> int:
    """A line a tissue."""
    records = list_tissues()
    lines = [f"{r.id[:8]}  {r.name}: {r.size}" for r in records]
    document = [record.model_dump(mode="json") for record in records]
    return give(options, document, "\n".join(lines) or "There is no tissue yet.")


def learn(options: argparse.Namespace) -> int:
    """The verdict, the models, and the genes that are predicted best."""
    record = find_tissue(options.tissue)
    fields = [name for name in TissueSpec.model_fields if name != "tissue"]
    try:
        spec = TissueSpec(tissue=record.id, **{name: getattr(options, name) for name in fields})
    except ValueError as error:
        raise InputError(str(error)) from None
    said = Progress()
    do_here(job_of(spec), lambda share, text: said(text, share == 1))
    answer = load_answer(spec)
    if options.csv:
        write_atomic(options.csv, lambda path: write_csv(answer.genes, path))
    shown = answer.genes.drop(columns="place").head(SHOWN)
    lines = [
        *answer.result.verdict(), "", scores_table(answer.result).round(2).to_string(index=False),
        "", shown.round(2).to_string(index=False),
    ]  # fmt: skip
    document = {
        **answer.result.model_dump(mode="json"),
        "verdict": answer.result.verdict(),
        "csv": str(options.csv) if options.csv else None,
    }
    return give(options, document, "\n".join(lines))


def delete(options: argparse.Namespace) -> int:
    """That it is gone."""
    record = find_tissue(options.tissue)
    delete_tissue(record.id)
    return give(options, {"deleted": record.id}, f"Deleted {record.name}.")


def _show(options: argparse.Namespace, record: TissueRecord) -> int:
    lines = [f"{record.id[:8]}  {record.name}: {record.size}", *record.said]
    lines += [f"{finding.severity}: {finding.message}" for finding in record.found]
    return give(options, record.model_dump(mode="json"), "\n".join(lines))
