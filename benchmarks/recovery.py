"""How well attributions find planted genes: a finished run on the simulated data against its truth.

    genecanvas simulate --out sim.csv --truth truth.csv
    genecanvas run --data sim.csv --label tumour_type --group patient --split kfold --folds 3
    python -m benchmarks.recovery RUN truth.csv [METHOD ...]

Prints a table of all methods, or of those named: AUROC and precision at k (k planted genes a
class) as means over classes and folds; the same of the folds' consensus ranking; the rank
correlation with the map of the network with random weights; AUROC of the untrained network; CPU
seconds. Below them Welch's t test, and logistic regression's weights.
"""

import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from core.explain.consensus import aggregate
from core.explain.genes import gene_table, recovery
from core.explain.methods import METHODS, Recipe
from core.explain.rankings import class_means, rank_correlation
from core.runs.attribute import choose_samples, open_run
from core.runs.fitted import load_fitted
from core.runs.result import load_result
from core.runs.store import RunStore

SAMPLES_PER_CLASS = 12
"""Held-out samples of each class and fold: enough for a class mean, few enough for occlusion."""

Rankings = dict[str, pd.Series]
"""Class -> scores by gene."""


def main(prefix: str, truth_file: str, *names: str) -> None:
    """Print a row for each way of ranking genes."""
    run, truth = RunStore().find(prefix).id, pd.read_csv(truth_file)
    folds = [load_fitted(run, number) for number in range(len(load_result(run).folds))]
    print("| method | AUROC | precision at k | consensus of folds: AUROC | precision at k | "
          "similarity to random weights | untrained AUROC | CPU s |")  # fmt: skip
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for method in names or [m.name for m in METHODS if not m.uses_sets]:
        trained, untrained, similarity, started = [], [], [], time.process_time()
        recipe = Recipe(method)
        _, samples, device = open_run(run, recipe)
        for fitted in folds:
            rng, test = np.random.default_rng(0), fitted.locate(samples).test
            chosen = choose_samples(samples, test, recipe, SAMPLES_PER_CLASS, rng)
            case, genes = fitted.case(recipe, samples, chosen, device), fitted.preprocessor.genes
            scores = case.explain().scores
            random = replace(case, network=case.untrained).explain().scores
            trained.append(rank_classes(scores, samples.labels[chosen], genes))
            untrained.append(rank_classes(random, samples.labels[chosen], genes))
            similarity.append(np.abs(rank_correlation(scores, random)).mean())
        auroc, precision = recover(trained, truth)
        agreed, agreed_precision = recover([agree(trained)], truth)
        print(f"| {METHODS[method].title} | {auroc:.3f} | {precision:.2f} | {agreed:.3f} | "
              f"{agreed_precision:.2f} | {np.mean(similarity):.2f} | "
              f"{recover(untrained, truth)[0]:.2f} | {time.process_time() - started:.0f} |",
              flush=True)  # fmt: skip
    welch, logistic = [], []
    for fitted in folds:
        prepared, fitting = fitted.preprocessor, fitted.locate(samples).fitting
        x = prepared.transform(samples.x[fitting], samples.genes)
        y = samples.labels[fitting]
        log = prepared.log_expression(samples.x[fitting], samples.genes)
        welch.append(
            {name: -gene_table(x, y, log, y, prepared.genes, name).set_index("gene")["fdr"].rank()
             for name in samples.classes}
        )  # fmt: skip
        model = LogisticRegression(max_iter=1000).fit((x - x.mean(axis=0)) / x.std(axis=0), y)
        logistic.append(
            {name: pd.Series(np.abs(weights), prepared.genes)
             for name, weights in zip(model.classes_, model.coef_, strict=True)}
        )  # fmt: skip
    for title, rankings in (("Welch t test", welch), ("Logistic regression", logistic)):
        single, together = recover(rankings, truth), recover([agree(rankings)], truth)
        print(f"| {title} | {single[0]:.3f} | {single[1]:.2f} | {together[0]:.3f} | "
              f"{together[1]:.2f} | | | |")  # fmt: skip


def rank_classes(scores: np.ndarray, labels: np.ndarray, genes: np.ndarray) -> Rankings:
    """Mean scores of each class's samples."""
    means = class_means(scores, labels)
    return {
        name: pd.Series(mean, genes) for name, mean in zip(np.unique(labels), means, strict=True)
    }


def agree(rankings: list[Rankings]) -> Rankings:
    """The consensus of the folds, class by class."""
    found = {}
    for name in rankings[0]:
        lists = pd.DataFrame([fold[name] for fold in rankings])
        found[name] = pd.Series(-aggregate(lists.to_numpy()), lists.columns)
    return found


def recover(rankings: list[Rankings], truth: pd.DataFrame) -> tuple[float, float]:
    """AUROC and precision at k, means over classes and rankings."""
    found = []
    for fold in rankings:
        for name, scores in fold.items():
            table = scores.rename_axis("gene").rename("score").reset_index()
            known = truth.loc[truth["class"] == name, "gene"]
            found.append(recovery(table, known))
    return tuple(float(np.mean([row[key] for row in found])) for key in ("auroc", "precision_at_k"))


if __name__ == "__main__":
    main(*sys.argv[1:])
