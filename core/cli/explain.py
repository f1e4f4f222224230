"""`explain`: carry a finished run back to genes."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.cli.options import add_choice
from core.cli.output import Progress, give
from core.cli.parser import add_command
from core.data.catalogue import CATALOGUE
from core.errors import InputError
from core.escape import write_csv
from core.explain.genes import top_rows
from core.explain.methods import BASELINE_PROFILES, METHODS, THROUGH, Recipe
from core.files import write_atomic
from core.images.references import REFERENCE_ID, add_public_sets, add_reference
from core.jobs.here import do_here
from core.models.backbones import REGION_CELLS
from core.models.baselines import BASELINES
from core.runs.explain import (
    class_genes,
    class_regions,
    class_sets,
    describe_regions,
    describe_unseen,
    load_attribution,
    unseen_genes,
)
from core.runs.explaining import EvidenceJob, ExplainJob
from core.runs.fitted import load_fitted
from core.runs.network_genes import network_genes
from core.runs.result import load_result
from core.runs.store import RunStore
from core.runs.trust import load_evidence


def add_commands(commands: Any) -> None:
    """Add `explain`."""
    parser = add_command(commands, "explain", explain, "carry a finished run back to genes")
    parser.add_argument("run", help="a run's id, or its beginning")
    add_choice(parser, "--method", METHODS.names, "integrated_gradients", "how genes are scored")
    add_choice(
        parser, "--baseline", BASELINE_PROFILES.names, "mean", "what samples are compared with"
    )
    parser.add_argument(
        "--against", metavar="CLASS", help="why each sample's own class and not this one"
    )
    parser.add_argument(
        "--stage",
        help="whose maps a region method looks at (default: the last stage whose map has at least "
        f"{REGION_CELLS} x {REGION_CELLS} cells)",
    )
    parser.add_argument(
        "--sets",
        help="gene sets, for a method that scores sets: a GMT file, a stored file's id, or the "
        "name of a collection that `data fetch` has fetched",
    )
    parser.add_argument(
        "--samples", nargs="+", default=[], metavar="ID",
        help="explain these held-out samples, towards the class that --towards names",
    )  # fmt: skip
    parser.add_argument("--towards", metavar="CLASS", help="the class to explain --samples by")
    add_choice(
        parser, "--through", list(THROUGH), "all",
        "the part of a linear head's answer that is explained",
    )  # fmt: skip
    add_choice(
        parser, "--network", [record.name for record in BASELINES if record.is_network], None,
        "a network on genes that stands beside the run, instead of the run's own",
    )  # fmt: skip
    parser.add_argument("--evidence", action="store_true", help="measure the trust card as well")
    parser.add_argument("--class", dest="cls", help="only this class's genes")
    parser.add_argument("--out", type=Path, help="CSV of the genes, regions or sets scored")


def explain(options: argparse.Namespace) -> int:
    """Attribute a run, and say what each class rests on."""
    record = RunStore().find(options.run)
    run = record.id
    recipe = Recipe(
        options.method, options.baseline, options.against, options.stage,
        keep_sets(options.sets), tuple(options.samples), options.towards, options.through,
    )  # fmt: skip
    load_result(run)
    if options.network:
        return explain_network(options, run, recipe)
    said = Progress()

    def progress(share: float, text: str) -> None:
        said(f"{options.method}: {text}", share == 1)

    do_here(ExplainJob(about=run, recipe=recipe), progress)
    unit = METHODS[recipe.method].unit
    read = {"gene": class_genes, "region": class_regions, "set": class_sets}[unit]
    table = read(run, recipe, options.cls)
    if unit != "gene":
        table["genes"] = table["genes"].str.join(" ")
    first = top_rows(table, 10)
    if unit == "region":
        first = first[first["fold"] == first["fold"].min()]  # each fold has its own layout
    if options.out:
        write_atomic(options.out, lambda path: write_csv(table, path))
    attribution = load_attribution(run, recipe)
    regions = None
    if attribution.maps is not None:
        layout = load_fitted(run, int(attribution.folds[0])).layout
        regions = describe_regions(record.spec, recipe, attribution.maps, layout)
    document = {
        "run": run,
        **asdict(recipe),
        "warning": METHODS[recipe.method].warning,
        "regions": regions,
        "unseen": unseen_genes(run),
        "out": str(options.out) if options.out else None,
        "samples": len(attribution.samples),
        "completeness_error": (
            None
            if attribution.completeness is None
            else float(abs(attribution.completeness).mean())
        ),
        "untrained_overlap": attribution.untrained_overlap,
        f"top_{unit}s": {name: rows[unit].tolist() for name, rows in first.groupby("class")},
    }
    if unit == "gene":
        lines = [f"{name}: {', '.join(genes)}" for name, genes in document["top_genes"].items()]
    else:
        lines = [
            f"{row['class']}: {row[unit]} ({row['size']} genes) {row['score']:+.3g}"
            for _, row in first.iterrows()
        ]
    if missing := sorted(set(table["class"]) - set(first["class"])):
        lines.append(f"{', '.join(missing)}: too many {unit}s are tied for the first places")
    if regions:
        lines.append(regions)
    if unseen := describe_unseen(run):
        lines.append(unseen)
    if document["warning"]:
        lines.append(f"warning: {document['warning']}")
    if options.evidence:
        do_here(EvidenceJob(about=run, recipe=recipe), progress)
        card = load_evidence(run, recipe)
        document["light"] = card.light
        document["evidence"] = [asdict(row) for row in card.evidence]
        lines += ["", f"trust card: {card.light}"]
        lines += [f"{row.light:6} {row.title} {row.sentence}" for row in card.evidence]
    return give(options, document, "\n".join(lines))


def explain_network(options: argparse.Namespace, run: str, recipe: Recipe) -> int:
    """The genes of a network on genes that `compare --baselines` has fitted beside a run."""
    if recipe != Recipe(recipe.method) or options.evidence:
        raise InputError(
            "A network on genes is explained from the training mean, for each sample's own class, "
            "without a trust card. Leave out all choices but --method, --class and --out."
        )
    table = network_genes(run, options.network, recipe.method)
    if options.cls is not None:
        known = table["class"].unique().tolist()
        if options.cls not in known:
            raise InputError(f"Run {run} has no class {options.cls!r}. Known: {', '.join(known)}.")
        table = table[table["class"] == options.cls]
    if options.out:
        write_atomic(options.out, lambda path: write_csv(table, path))
    first = {name: rows["gene"].tolist() for name, rows in top_rows(table, 10).groupby("class")}
    document = {
        "run": run, "network": options.network, "method": recipe.method, "top_genes": first,
        "out": str(options.out) if options.out else None,
    }  # fmt: skip
    return give(
        options, document, "\n".join(f"{name}: {', '.join(genes)}" for name, genes in first.items())
    )


def keep_sets(text: str | None) -> str | None:
    """The id of gene sets: given as such, as a file, or as the name of a fetched collection."""
    if text is None or REFERENCE_ID.fullmatch(text):
        return text
    if text in CATALOGUE:
        return add_public_sets(CATALOGUE[text])
    return add_reference(Path(text))
