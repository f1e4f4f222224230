"""Which genes decide in the networks on genes that stand beside a run, as they are fitted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import DamageError, InputError
from core.escape import read_csv, write_csv
from core.explain.genes import rank_rows
from core.explain.methods import METHODS
from core.explain.on_genes import attribute_network
from core.files import UNREADABLE, write_atomic
from core.home import run_folder
from core.models.baselines import FittedBaseline
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.study import Samples
from core.training.splits import Fold
from core.training.tasks import TASKS

ATTRIBUTIONS = ("integrated_gradients", "saliency")
"""Names in METHODS that are computed."""


def score_genes(
    model: FittedBaseline,
    spec: RunSpec,
    samples: Samples,
    fold: Fold,
    rows: np.ndarray,
    genes: np.ndarray,
) -> pd.DataFrame:
    """The genes' scores in a network that was fitted on a fold, of the samples that it held out.

    Each sample is explained for its own class, from the mean of the training samples; classes that
    the network hasn't met are left out.

    Args:
        model: the network.
        spec: the run.
        samples: the run's.
        fold: that it was fitted on.
        rows: all samples as prepared.
        genes: (genes,) ids of the columns of `rows`.

    Returns:
        A row a class and gene: gene, class, samples, and a column a method with the mean over the
        class's samples.
    """
    trained, test = model.model.trained_, fold.test
    targets, met = np.zeros(len(test), int), np.ones(len(test), bool)
    if TASKS[spec.task].has_classes:
        targets = np.searchsorted(model.model.classes_, samples.y[test])
        met = np.isin(samples.y[test], model.model.classes_)
    test, targets = test[met], targets[met]
    found = {
        name: attribute_network(
            trained, rows[test], targets, rows[fold.fitting], spec.seed, name
        ).astype(float)
        for name in ATTRIBUTIONS
    }
    labels = samples.labels[test]
    tables = [
        pd.DataFrame(
            {"gene": genes, "class": name, "samples": int((labels == name).sum())}
            | {method: scores[labels == name].mean(axis=0) for method, scores in found.items()}
        )
        for name in np.unique(labels)
    ]
    return pd.concat(tables, ignore_index=True)


def write_genes(run: str, name: str, tables: Sequence[pd.DataFrame]) -> None:
    """Keep what the folds' networks say, each gene's mean over the samples that they held out."""
    table, methods = pd.concat(tables), list(ATTRIBUTIONS)
    table[methods] = table[methods].mul(table["samples"], axis=0)
    summed = table.groupby(["class", "gene"], as_index=False)[[*methods, "samples"]].sum()
    summed[methods] = summed[methods].div(summed["samples"], axis=0)
    kept = summed[["gene", "class", "samples", *methods]]
    write_atomic(genes_path(run, name), lambda path: write_csv(kept, path))


def network_genes(run: str, name: str, method: str = ATTRIBUTIONS[0]) -> pd.DataFrame:
    """The genes of a network that stands beside a run, the highest score of each class first.

    Args:
        run: a finished run.
        name: of a baseline model that is a network on genes.
        method: one of ATTRIBUTIONS.

    Returns:
        gene, class, score (mean over the class's held-out samples, each for its own class; of a
        regression in the target's unit), rank, tied, samples.

    Raises:
        InputError: the model is no network or hasn't been fitted for this run, or there are no
            scores of that method.
    """
    baselines = TASKS[load_result(run).task].baselines
    networks = [record.name for record in baselines if record.is_network]
    if name not in networks:
        raise InputError(
            f"Genes stand beside networks on genes only: {', '.join(networks)}. Got {name!r}."
        )
    if method not in ATTRIBUTIONS:
        raise InputError(
            f"{METHODS[method].title} isn't computed of networks on genes. Take one of: "
            f"{', '.join(ATTRIBUTIONS)}."
        )
    path = genes_path(run, name)
    if not path.exists():
        named = " --second COLUMN" if baselines[name].learns_second else ""
        raise InputError(
            f"{baselines[name].title} hasn't been fitted beside run {run}. Fit its baseline models "
            f"on the page Compare, or with `genecanvas compare --baselines{named}`."
        )
    try:
        table = read_csv(path, dtype={"gene": str, "class": str})[
            ["gene", "class", method, "samples"]
        ]
        table = table.rename(columns={method: "score"})
        ranked = [
            rank_rows(own.sort_values("score", ascending=False, kind="stable"), "score")
            for _, own in table.groupby("class")
        ]
    except UNREADABLE:
        raise DamageError(
            f"{path.name} of run {run} is damaged. Remove it (the page Explain does that, and "
            "`genecanvas doctor --repair`), and fit the baseline models again."
        ) from None
    return pd.concat(ranked, ignore_index=True)


def genes_path(run: str, name: str) -> Path:
    """The table that `write_genes` writes."""
    return run_folder(run) / "baselines" / f"{name}.csv"
