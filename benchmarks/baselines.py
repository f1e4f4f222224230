"""Baseline models beside each other over repeated splits: accuracy and log loss.

    python -m benchmarks.baselines EXPRESSION SAMPLES --label tumour_type --group patient \
        --where sample_type=tumour --splits 6 --training 120

Patients are on one side of a split. Several label columns make one class of each combination.
Differences from logistic regression with a fixed penalty are tested over the splits
(Nadeau and Bengio 2003). Say `--training` to learn from that many samples only. Of models that
choose on inner folds of the training samples, what they had there is printed too (Brier score).
Networks on genes are among `--models` by their names; the one with two heads needs `--second`.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec, Preprocessor
from core.data.read import read_dataset
from core.evaluation.differences import corrected_t
from core.models.baselines import fit_baseline

MODELS = ("logistic_regression", "ridge_regression", "tuned_linear", "linear_svm")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("expression", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--label", nargs="+", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--where", default="")
    parser.add_argument("--splits", type=int, default=6)
    parser.add_argument("--training", type=int)
    parser.add_argument("--genes", type=int, default=PreparationSpec().genes)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--second", help="column that the network with two heads learns beside")
    options = parser.parse_args()

    data = read_dataset(options.expression, options.samples)
    column, _, value = options.where.partition("=")
    where = {column: [value]} if column else {}
    cohort = Cohort(label=options.label[0], group=options.group, where=where)
    data = cohort.select(data)
    labels = data.obs[options.label].astype(str).agg(" ".join, axis=1)
    y, patients = np.unique(labels, return_inverse=True)[1], data.obs[options.group].to_numpy()
    second = None if options.second is None else data.obs[options.second].to_numpy().astype(str)
    found: dict[str, list[tuple[float, float, float, float]]] = {
        name: [] for name in options.models
    }
    ratios = []
    for seed in range(options.splits):
        folds = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
        train, test = next(folds.split(y, y, patients))
        if options.training:
            train = np.random.default_rng(seed).permutation(train)[: options.training]
        known, y_train = np.unique(y[train], return_inverse=True)
        test = test[np.isin(y[test], known)]
        y_test = np.searchsorted(known, y[test])
        ratios.append(len(test) / len(train))
        genes = data.var_names.to_numpy(str)
        spec = PreparationSpec(genes=min(options.genes, len(genes)))
        prepared = Preprocessor.fit(data.X[train], genes, data.uns["scale"], spec)
        x = prepared.transform(data.X, genes)
        for name in options.models:
            began = time.process_time()
            fitted = fit_baseline(
                name, x[train], y_train, len(known), seed, patients[train],
                None if second is None else second[train],
            )  # fmt: skip
            took = time.process_time() - began
            proba = fitted.answer(x[test])
            right = (proba.argmax(axis=1) == y_test).mean()
            loss = log_loss(y_test, proba, labels=range(len(known)))
            inner = fitted.choice.choose().loss if fitted.choice else np.nan
            found[name].append((right, loss, inner, took))
    plain = np.array(found[options.models[0]])[:, 0]
    for name, scores in found.items():
        table = np.array(scores)
        gap = corrected_t(table[:, 0] - plain, float(np.mean(ratios)))
        print(
            f"{name:20} accuracy {table[:, 0].mean():.4f}  log loss {table[:, 1].mean():.3f}  "
            f"inner Brier score {table[:, 2].mean():.4f}  "
            f"points beside {options.models[0]} {100 * gap.mean:+.2f} (p {gap.p:.2g})  "
            f"processor seconds a fit {np.median(table[:, 3]):.1f}"
        )


if __name__ == "__main__":
    main()
