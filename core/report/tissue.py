"""The report of an answer about tissue: which genes its image tells, and how much is depth."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core import __version__
from core.plots.tissue import gene_ranks, model_bars, section_map
from core.report.contents import Block, Chart, Code, Points, Remark, Report, Section, Table, Text
from core.report.references import Bibliography
from core.report.render import write_report
from core.tissue.networks import NETWORKS
from core.tissue.result import (
    TissueAnswer,
    find_other_auxiliary,
    load_answer,
    scores_table,
)
from core.tissue.spec import TissueSpec
from core.tissue.spots import lay_out, spacing
from core.tissue.store import get_tissue, load_tissue
from core.tissue.targets import TARGETS

LIMIT = "r > 0.3"
SHOWN = 50
"""Genes that the table names."""


def report_tissue(spec: TissueSpec) -> Report:
    """The report of a question whose answer stands; raises InputError where it doesn't."""
    answer, record, books = load_answer(spec), get_tissue(spec.tissue), Bibliography()
    return Report(
        title=f"Genes of {record.name} from its tiles",
        subtitle=f"{record.size} · {datetime.now(UTC).astimezone():%-d %B %Y}",
        headline=answer.result.verdict()[0],
        sections=[
            Section("Result", _tell_result(answer)),
            Section("Genes", _tell_genes(answer)),
            Section("Data", [
                Points([f"{record.name}: {record.size}.", *record.said]),
                *(Remark(one.severity, one.message) for one in record.found),
            ]),
            Section("Limits", [Points(_tell_limits(answer))]),
            Section("Methods", [Points(_tell_methods(answer, books))]),
            Section("To repeat it", [
                Code("The question", spec.model_dump_json(indent=2)),
                Text(f"GeneCanvas {__version__}."),
            ]),
        ],
        references=books.references,
    )  # fmt: skip


def write_tissue_report(spec: TissueSpec, path: Path) -> Path:
    """Write it as one HTML file; returns its absolute path. Raises as `report_tissue` does."""
    write_report(report_tissue(spec), path)
    return path.absolute()


def _tell_result(answer: TissueAnswer) -> list[Block]:
    table = scores_table(answer.result, find_other_auxiliary(answer.result.spec))
    titles = {name: words.partition(":")[0] for name, words in TARGETS.items()}
    return [
        Points(answer.result.verdict()[1:]),
        Chart(f"Genes with {LIMIT} by each model, under all targets.",
              model_bars(table, LIMIT, titles), table),
        Table("All models: genes above each limit, mean r with its 95 % interval over patients, "
              "squared error as a share of the training mean's", table.round(3)),
    ]  # fmt: skip


def _tell_genes(answer: TissueAnswer) -> list[Block]:
    """The ranking, and the best gene over the section in which it is predicted best."""
    table, tissue = answer.genes, load_tissue(answer.result.spec.tissue)
    gene, place = table["gene"].iloc[0], int(table["place"].iloc[0])
    measured, predicted = (
        answer.values(what, "normalised")[:, place] for what in ("measured", "predicted")
    )
    own = (tissue.spots["section"] == tissue.sections[0]).to_numpy()
    for section in tissue.sections:
        rows = (tissue.spots["section"] == section).to_numpy()
        if np.isfinite(measured[rows]).all():
            own = rows
            break
    x, y = (tissue.spots[name].to_numpy(float)[own] for name in ("x", "y"))
    width = spacing(np.column_stack([x, y]))
    picture, edges = lay_out(tissue.tiles[own], x, y, width)
    names, section = tissue.spots.index[own], tissue.spots["section"][own].iloc[0]
    blocks: list[Block] = [
        Chart("Median r of each gene over held-out sections, beside the number of reads alone and "
              "shuffled tiles.", gene_ranks(table, gene), table.drop(columns="place")),
    ]  # fmt: skip
    for what, values in (("measured", measured), ("predicted", predicted)):
        data = tissue.spots.loc[own, ["x", "y"]].assign(**{what: values[own]}).reset_index()
        blocks.append(
            Chart(
                f"{gene}, {what} in section {section} (held out), in SD of the training spots.",
                section_map(
                    picture, edges, x, y, values[own].astype(float), names,
                    title=f"{gene}, {what}", limit=2.0, dot=width,
                ), data,
            )
        )  # fmt: skip
    shown = table.drop(columns="place").head(SHOWN).round(3)
    return [*blocks, Table(f"The {len(shown)} genes that are predicted best", shown)]


def _tell_limits(answer: TissueAnswer) -> list[str]:
    result = answer.result
    who = "patients" if result.knows_patients else "sections, whose patients aren't known,"
    return [
        f"{result.patients} {who} were left out in turn; intervals are as wide as these differ.",
        "Spots with more cells have more reads of every gene. The number of reads without any "
        "image is the yardstick; a gene that it predicts as well isn't seen in the tissue.",
        "Nothing here shows which cells make a gene, or that it holds for another scanner, stain "
        "or laboratory.",
    ]


def _tell_methods(answer: TissueAnswer, books: Bibliography) -> list[str]:
    spec, result = answer.result.spec, answer.result
    said = [
        f"{result.spots:,} spots of {result.sections} sections; each {spec.held_out} was left out "
        "in turn. "
        + (
            f"The genes of a list of {len(spec.gene_list):,} that the tissue has"
            if spec.gene_list
            else f"The {spec.genes} genes of the highest "
            + ("mean count" if spec.choose == "mean" else "Moran's I within sections")
            + " of the training spots"
        )
        + " were predicted, "
        "z-scored by these. Targets: "
        + "; ".join(f"{name}: {words}" for name, words in TARGETS.items()) + ".",
        "Ridge regression of all genes on 14 colour and texture features"
        f"{books.cite('Ruifrok and Johnston 2001')}; its penalty was chosen by leaving out each "
        "training patient. Beside it: the training mean, the number of reads, shuffled tiles.",
        "A gene counts as predicted where a one-sided sign test over patients, adjusted for all "
        f"genes{books.cite('Holm 1979')}, rejects at 5 %.",
    ]  # fmt: skip
    if spec.stain == "macenko":
        said.append(
            "Each section was brought to the stain of the training patients"
            f"{books.cite('Macenko et al. 2009')}."
        )
    if spec.has_network:
        record = NETWORKS[spec.backbone]
        said.append(
            f"{record.title}{books.cite(record.reference)}, weights {spec.weights}: its features "
            "before the classifier went into the same ridge regression"
            + (", as the mean over a tile's eight symmetries." if spec.symmetric else ".")
        )
    if spec.train:
        said.append(
            f"It was also trained for {spec.epochs} epochs ({spec.keep} weights kept), tiles "
            "flipped and turned at random, with all other genes as an auxiliary head of weight "
            f"{spec.auxiliary:g}{books.cite('Rahaman et al. 2023')}; at the test the mean over "
            "the eight symmetries."
        )
    return said
