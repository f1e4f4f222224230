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
from core.tissue.answers import delete_answer, list_answers
from core.tissue.containers import read_any_tissue
from core.tissue.job import PredictTissueJob, job_of
from core.tissue.networks import NETWORKS
from core.tissue.predicting import (
    add_predicted,
    answer_as_anndata,
    load_prediction,
    prediction_as_anndata,
)
from core.tissue.read import FEWEST_READS
from core.tissue.result import (
    TissueAnswer,
    find_other_auxiliary,
    load_answer,
    scores_table,
)
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import NO_NETWORK, TissueSpec
from core.tissue.store import (
    TissueRecord,
    add_tissue,
    delete_tissue,
    find_tissue,
    list_tissues,
    load_tissue,
)

SHOWN = 20
"""Genes that are listed."""


def add_commands(commands: Any) -> None:
    """Add `tissue add`, `simulate`, `list`, `learn`, `predict`, `answers` and `delete`."""
    group = add_group(commands, "tissue", "what images of tissue say of genes")
    parser = add_command(group, "add", add, "read spots, counts and images, check and store them")
    parser.add_argument(
        "spots", type=Path, nargs="+",
        help="tables of spots: section, patient, x, y; or one a section, called as it; or Space "
        "Ranger's folders (Visium), one a section, or archives of them, or their files; or an h5ad "
        "file with places (squidpy)",
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
    _add_question(parser)
    parser.add_argument("--csv", type=Path, help="CSV of all genes")
    parser.add_argument("--h5ad", type=Path, help="h5ad of what was predicted and measured")
    parser.add_argument("--report", type=Path, help="an HTML file with all of it")
    parser = add_command(
        group, "predict", predict, "predict genes of other sections by what a tissue taught"
    )
    _add_question(parser)
    parser.add_argument("section", help="the id of the other tissue, with or without counts")
    parser.add_argument("--h5ad", type=Path, help="h5ad of what was predicted")
    add_choice(
        parser, "--dataset", ("section", "spot"), None,
        "keep it as a dataset, a sample each, for gene-images and models (experimental)",
    )  # fmt: skip
    parser = add_command(group, "answers", answers, "answers about a tissue, and their size")
    parser.add_argument("tissue", help="its id, or the beginning of it")
    parser = add_command(group, "delete", delete, "delete a tissue with all answers, or one answer")
    parser.add_argument("tissue", help="its id, or the beginning of it")
    parser.add_argument("--answer", help="only this one, by its id in `tissue answers`")


def _add_question(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument(
        "--gene-list", type=Path, metavar="FILE",
        help="a file with genes, one a line: only these, instead of the highest ones",
    )  # fmt: skip
    parser.add_argument("--weights", default="imagenet", help="imagenet, file:PATH or scratch")
    for name in ("symmetric", "train"):
        text = TissueSpec.model_fields[name].description
        parser.add_argument(f"--{name}", action="store_true", help=text)


def add(options: argparse.Namespace) -> int:
    """What was read, and what is doubtful about it."""
    how = {name: getattr(options, name) for name in ("width", "side", "fewest_reads")}
    tissue = read_any_tissue(options.spots, options.counts, options.tiles, options.images, **how)
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
    answer = _answer(options)
    document = {
        **answer.result.model_dump(mode="json"),
        "verdict": answer.result.verdict(),
        **dict.fromkeys(("csv", "h5ad", "report")),
    }
    if options.csv:
        write_atomic(options.csv, lambda path: write_csv(answer.genes, path))
    if options.h5ad:
        data = answer_as_anndata(answer, load_tissue(answer.result.spec.tissue))
        write_atomic(options.h5ad, data.write_h5ad)
    if options.report:
        from core.report.tissue import write_tissue_report  # loads plotly

        write_tissue_report(answer.result.spec, options.report)
    for name in ("csv", "h5ad", "report"):
        if path := getattr(options, name):
            document[name] = str(path)
    shown = answer.genes.drop(columns="place").head(SHOWN)
    table = scores_table(answer.result, find_other_auxiliary(answer.result.spec))
    lines = [
        *answer.result.verdict(), "", table.round(2).to_string(index=False),
        "", shown.round(2).to_string(index=False),
    ]  # fmt: skip
    return give(options, document, "\n".join(lines))


def _answer(options: argparse.Namespace) -> TissueAnswer:
    """The answer to the question that the options ask, computed where it doesn't stand."""
    record = find_tissue(options.tissue)
    fields = [name for name in TissueSpec.model_fields if name not in ("tissue", "gene_list")]
    listed = options.gene_list.read_text("utf-8").split() if options.gene_list else ()
    try:
        spec = TissueSpec(
            tissue=record.id, gene_list=listed, **{name: getattr(options, name) for name in fields}
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    said = Progress()
    do_here(job_of(spec), lambda share, text: said(text, share == 1))
    return load_answer(spec)


def predict(options: argparse.Namespace) -> int:
    """How many spots and genes, and what is doubtful."""
    answer, record = _answer(options), find_tissue(options.section)
    spec, said = answer.result.spec, Progress()
    job = PredictTissueJob(asked=spec, section=record.id)
    do_here(job, lambda share, text: said(text, share == 1))
    found = load_prediction(spec, record.id)
    document: dict[str, Any] = {
        "spec": spec.model_dump(mode="json"), "section": record.id, "spots": len(found.values),
        "genes": len(found.genes), "strange": found.strange, "doubts": found.doubts(),
        "verdict": answer.result.verdict(), "h5ad": None, "dataset": None,
    }  # fmt: skip
    if options.h5ad:
        data = prediction_as_anndata(found, load_tissue(record.id))
        write_atomic(options.h5ad, data.write_h5ad)
        document["h5ad"] = str(options.h5ad)
    if options.dataset:
        document["dataset"] = add_predicted(spec, record.id, options.dataset).id
    lines = [
        f"{len(found.values):,} spots of {record.name}, {len(found.genes)} genes.",
        *found.doubts(), answer.result.verdict()[0],
    ]  # fmt: skip
    return give(options, document, "\n".join(lines))


def answers(options: argparse.Namespace) -> int:
    """A line an answer, the newest first."""
    found = list_answers(find_tissue(options.tissue).id)
    lines = [
        f"{one.key}  {one.when:%Y-%m-%d}  {one.bytes / 1e6:7,.0f} MB  {one.words}" for one in found
    ]
    document = [
        {
            "id": one.key, "when": one.when.isoformat(), "bytes": one.bytes,
            "spec": one.spec and one.spec.model_dump(mode="json"),
        }
        for one in found
    ]  # fmt: skip
    return give(options, document, "\n".join(lines) or "Nothing has been asked of it yet.")


def delete(options: argparse.Namespace) -> int:
    """That it is gone."""
    record = find_tissue(options.tissue)
    if options.answer:
        delete_answer(record.id, options.answer)
        said = f"Deleted an answer about {record.name}."
        return give(options, {"deleted": options.answer}, said)
    delete_tissue(record.id)
    return give(options, {"deleted": record.id}, f"Deleted {record.name}.")


def _show(options: argparse.Namespace, record: TissueRecord) -> int:
    lines = [f"{record.id[:8]}  {record.name}: {record.size}", *record.said]
    lines += [f"{finding.severity}: {finding.message}" for finding in record.found]
    return give(options, record.model_dump(mode="json"), "\n".join(lines))
