"""How well attributions find planted genes: a finished run on the simulated data against its truth.

    python -m core simulate --out sim.csv --truth truth.csv
    python -m core run --data sim.csv --label tumour_type --group patient
    python benchmarks/recovery.py RUN truth.csv

Prints, as means over the five classes, AUROC and precision at k (k planted genes a class) of
integrated gradients, of the same network untrained, and of Welch's t test.
"""

import sys

import numpy as np
import pandas as pd

from core.data.prepare import Preprocessor
from core.explain.attribution import attribute
from core.explain.genes import gene_table, recovery
from core.files import read_json
from core.home import run_folder
from core.images.imager import GeneImager
from core.images.layout import GeneLayout
from core.models.network import build_network, restore_network
from core.runs.execute import fold_folder
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.study import open_study
from core.training.device import choose_device


def main(prefix: str, truth_file: str) -> None:
    """Print a line for each way of ranking genes."""
    run = RunStore().find(prefix).id
    spec = RunSpec.parse(read_json(run_folder(run) / "spec.json"))
    study, place = open_study(spec), fold_folder(run_folder(run), 0)
    prepared = Preprocessor.load(place / "preprocessor.npz")
    imager = GeneImager(GeneLayout.load(place / "layout.npz"), spec.network.image_size)
    test, truth = study.folds[0].test, pd.read_csv(truth_file)
    x, log = prepared.transform(study.x[test]), prepared.log_expression(study.x)
    for title in ("integrated gradients", "the same, untrained"):
        scratch = spec.network.model_copy(update={"weights": "scratch"})
        network, _ = build_network(scratch, len(study.classes), seed=spec.seed + 1)
        if title == "integrated gradients":
            restore_network(network, place / "model.safetensors")
        scores = attribute(
            "integrated_gradients", network, imager, x, study.y[test], prepared.mean,
            device=choose_device(),
        ).scores  # fmt: skip
        tables = {
            name: gene_table(scores, study.labels[test], log, study.labels, prepared.genes, name)
            for name in study.classes
        }
        report(title, tables, truth)
    for table in tables.values():
        table["score"] = -table["fdr"].rank()
    report("Welch t test", tables, truth)


def report(title: str, tables: dict[str, pd.DataFrame], truth: pd.DataFrame) -> None:
    """Mean recovery over the classes."""
    found = [
        recovery(table, truth.loc[truth["class"] == name, "gene"]) for name, table in tables.items()
    ]
    auroc, precision = (np.mean([row[key] for row in found]) for key in ("auroc", "precision_at_k"))
    print(f"{title:22} AUROC {auroc:.3f}   precision at k {precision:.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
