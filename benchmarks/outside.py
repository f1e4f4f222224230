"""Outside: trained on one cohort, tested on another, every ordered pair that shares a label.

    python -m benchmarks.outside FOLDER --weights file:squeezenet1_1_imagenet.pth

FOLDER holds breast, bladder and crc, in which NAME.parquet (samples x genes) and NAME_labels.csv
(first column: sample) belong together. Prints the tables of benchmarks/results/outside.md.

The rule, written down before any figure was seen. All is decided on the breast pairs. The
normalisation is the one with the highest balanced accuracy there, mean over pairs and over the
models that could be recommended (not over the controls). A correction of its probabilities is kept
if it gains a point there by the same mean, and wins more pairs than it loses. Either is confirmed
if on the other pairs, colon and bladder, its mean gain is positive and it wins more pairs than it
loses. Everything that was tried is printed.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import ttest_1samp

from core.data.prepare import PreparationSpec, Preprocessor
from core.evaluation.intervals import gather, weigh
from core.evaluation.metrics import METRICS, score
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.baselines import fit_predict_proba
from core.models.network import build_network
from core.models.spec import NetworkSpec
from core.models.tuned import CLASSES
from core.training.exact import solve_head
from core.training.features import FrozenPart
from core.training.objectives import Classes

TASKS = {
    "breast": {"expo": "er", "nki": "er", "vdx": "er", "oslo2emit0": "ER"},
    "crc": {"GSE24549.GPL5175": "msi", "GSE24550.GPL5175": "msi", "GSE27544": "msi"},
    "bladder": dict.fromkeys(
        ["GSE1827", "GSE89", "PMID17099711.GPL8300", "PMID17099711.GPL91"], "summarystage"
    ),
}
"""Folder -> cohort -> column of the label."""
POSITIVE = {"1", "1.0", "ER+", "MSI", "invasive"}
DECIDES = "breast"
FEWEST = 8
"""Samples of each class that a training cohort needs."""
GENES, SIZE = 1024, 32
NORMALISATIONS = ("none", "rank", "quantile", "cohort", "matched")
CORRECTIONS = ("none", "prior by EM", "equal priors", "training share", "two groups")
MODELS = ("logistic_regression", "tuned_linear", "linear_head")
CONTROLS = ("maps_alone", "random_weights")


@dataclass(frozen=True)
class Table:
    """A cohort: samples x genes, class 0 or 1, patients."""

    task: str
    name: str
    x: pd.DataFrame
    y: np.ndarray
    who: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Where models learned, where they were tested, and what they answered there."""

    train: Table
    test: Table
    answers: dict[tuple[str, str], np.ndarray]
    """Normalisation, model -> (test samples, 2) probabilities."""

    def score(self, metric: str, how: str, model: str, correction: str = "none") -> float:
        """A score of the test samples."""
        proba = correct(correction, self.answers[how, model], self.train.y.mean())
        return score(self.test.y, proba, [METRICS[metric]])[metric]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", required=True, help="file:PATH of SqueezeNet 1.1")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        os.environ["GENECANVAS_HOME"] = home  # where maps are kept
        pairs = [
            Pair(train, test, {})
            for task in TASKS
            for train, test in permutations([read(given.folder, task, n) for n in TASKS[task]], 2)
            if min(np.bincount(train.y)) >= FEWEST
        ]
        pairs = [leave_known_out(pair) for pair in pairs]
        for pair in pairs:
            for how in NORMALISATIONS:
                ask(pair, how, given.weights)
        deciding = [pair for pair in pairs if pair.train.task == DECIDES]
        best = max(NORMALISATIONS, key=lambda how: gains(deciding, (how, "none")).mean())
        for pair in pairs:
            ask(pair, best, "scratch")

    others = [pair for pair in pairs if pair.train.task != DECIDES]
    normalised = [(how, "none") for how in NORMALISATIONS]
    corrected = [(best, correction) for correction in CORRECTIONS]
    for title, some in (("decide", deciding), ("confirm", others), ("all", pairs)):
        print(f"\n{title}, {len(some)} pairs: balanced accuracy, AUROC\n")
        print_ways(some, normalised, ("balanced_accuracy", "macro_auroc"))
        print(f"\n{title}, {best}, corrections: balanced accuracy, accuracy, Brier score\n")
        print_ways(some, corrected, ("balanced_accuracy", "accuracy", "brier"))
    print(f"\nThe rule takes {best}. Difference from logistic regression there, points\n")
    print_models(pairs, best)
    print(f"\n{best}, each pair: balanced accuracy and AUROC with 95 % intervals\n")
    print_pairs(pairs, best)


def read(folder: Path, task: str, name: str) -> Table:
    """A cohort's labelled samples; genes that a fifth of them miss are left out.

    What else is missing gets the gene's median in this cohort.
    """
    x = pd.read_parquet(folder / task / f"{name}.parquet")
    labels = pd.read_csv(folder / task / f"{name}_labels.csv", index_col=0, dtype=str)
    labels = labels.loc[x.index]
    known = labels[TASKS[task][name]].notna().to_numpy()
    x, labels = x[known], labels[known]
    x = x.loc[:, x.isna().mean() < 0.2]
    who = labels.index
    if "unique_patient_ID" in labels:  # such as X1087.1, the first of a patient's samples
        who = labels["unique_patient_ID"].str.partition(".")[0]
    y = labels[TASKS[task][name]].isin(POSITIVE).to_numpy().astype(int)
    return Table(task, name, x.fillna(x.median()), y, who.to_numpy())


def leave_known_out(pair: Pair) -> Pair:
    """Without test samples whose patient is in the training cohort, with the genes of both."""
    train, test = pair.train, pair.test
    shared, new = train.x.columns.intersection(test.x.columns), ~np.isin(test.who, train.who)
    return Pair(
        replace(train, x=train.x[shared]),
        replace(test, x=test.x.loc[new, shared], y=test.y[new], who=test.who[new]),
        {},
    )


def ask(pair: Pair, how: str, weights: str) -> None:
    """Add the answers of all models; with random weights, the linear head's alone."""
    train = pair.train
    x, new_x, genes = normalise(how, train, pair.test)
    spec = NetworkSpec(head="linear", freeze="backbone", image_size=SIZE, weights=weights)
    network, _ = build_network(spec, 2, seed=0)
    imager = GeneImager(fit_layout(x, genes, LayoutSpec(name="pca_grid"), SIZE, 0), SIZE)
    frozen = FrozenPart(network.eval(), imager, "float32")
    solved = solve_head(
        network.head, frozen, x, train.y, new_x, train.y, train.who, CLASSES, Classes(), seed=0
    )
    if weights == "scratch":
        pair.answers[how, "random_weights"] = solved.tested
        return
    pair.answers[how, "linear_head"] = solved.tested
    pair.answers[how, "maps_alone"] = solved.without["image"]
    for name in ("logistic_regression", "tuned_linear"):
        pair.answers[how, name] = fit_predict_proba(name, x, train.y, new_x, 2, 0, train.who)


def normalise(how: str, train: Table, test: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prepared rows of the training and of the test cohort, and their genes.

    none: as the app prepares, by training statistics. rank, quantile: within each sample first, as
    the app does. cohort: each gene first gets mean 0 and SD 1 in its own cohort, of which the test
    cohort has to be there as a whole; its labels are not looked at. matched: likewise, but the
    training samples weigh so that their classes have the shares that EM finds in the test cohort,
    because a mean depends on them too.
    """
    here, there, y = train.x, test.x, train.y
    chosen = tuple(here.var().nlargest(GENES).index)
    if how not in ("cohort", "matched"):
        return prepare(how, here, there, chosen)
    there, weights = standardise(there, np.ones(len(there))), np.ones(len(here))
    for _ in range(3 if how == "matched" else 0):
        x, new_x, _ = prepare("none", standardise(here, weights), there, chosen)
        proba = fit_predict_proba("logistic_regression", x, y, new_x, 2, 0)
        before = np.bincount(y) / len(y)
        weights = (adapt(proba, before)[1] / before)[y]
    return prepare("none", standardise(here, weights), there, chosen)


def standardise(x: pd.DataFrame, weights: np.ndarray) -> pd.DataFrame:
    """Genes with mean 0 and SD 1 over samples of such weights."""
    centred = x - np.average(x, axis=0, weights=weights)
    return centred / np.sqrt(np.average(centred**2, axis=0, weights=weights)).clip(1e-9)


def prepare(
    across: str, here: pd.DataFrame, there: pd.DataFrame, chosen: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As the app does, by training statistics; the floor is low enough for log ratios."""
    spec = PreparationSpec(floor=-20, across=across, gene_list=chosen)
    names = here.columns.to_numpy()
    prepared = Preprocessor.fit(here.to_numpy(np.float32), names, "log2", spec)
    rows = [prepared.transform(x.to_numpy(np.float32), names) for x in (here, there)]
    return rows[0], rows[1], prepared.genes


def adapt(proba: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and class shares of new samples (Saerens, Latinne and Decaestecker 2002)."""
    after = before
    for _ in range(1000):
        adapted = proba * (after / before)
        adapted /= adapted.sum(axis=1, keepdims=True)
        last, after = after, adapted.mean(axis=0)
        if np.abs(after - last).max() < 1e-6:
            break
    return adapted, after


def correct(how: str, proba: np.ndarray, share: float) -> np.ndarray:
    """Probabilities moved by one number for all samples; `share` is the training share of class 1.

    prior by EM: to the class shares that EM finds. equal priors: as if the classes were equally
    frequent. training share: so that as many samples as in training are of class 1. two groups: to
    the threshold that parts the log odds best into two groups (Otsu 1979).
    """
    before = np.array([1 - share, share])
    proba = np.clip(proba, 1e-9, 1)
    if how == "prior by EM":
        return adapt(proba, before)[0]
    shift, odds = 0.0, np.log(proba[:, 1] / proba[:, 0])
    if how == "equal priors":
        shift = np.log(share / (1 - share))
    elif how == "training share":
        shift = np.quantile(odds, 1 - share)
    elif how == "two groups":
        ordered, n = np.sort(odds), len(odds)
        below = np.arange(1, n)
        sums = ordered.cumsum()[:-1]
        between = below * (n - below) * (sums / below - (ordered.sum() - sums) / (n - below)) ** 2
        cut = between.argmax()
        shift = ordered[cut : cut + 2].mean()
    one = 1 / (1 + np.exp(shift - odds))
    return np.stack([1 - one, one], axis=1)


def gains(
    pairs: list[Pair], way: tuple[str, str], beside: tuple[str, str] = ("none", "none")
) -> np.ndarray:
    """(pairs,) points of balanced accuracy beside another way, mean over MODELS.

    A way is a normalisation and a correction.
    """
    points = [
        [
            pair.score("balanced_accuracy", way[0], model, way[1])
            - pair.score("balanced_accuracy", beside[0], model, beside[1])
            for model in MODELS
        ]
        for pair in pairs
    ]
    return 100 * np.mean(points, axis=1)


def print_ways(pairs: list[Pair], ways: list[tuple[str, str]], metrics: tuple[str, ...]) -> None:
    """A row a way: means over pairs of the metrics, and the gain beside the first way."""
    print_head("way", *MODELS, "maps_alone", "points", "won : lost")
    for way in ways:
        cells = []
        for model in (*MODELS, "maps_alone"):
            found = [np.mean([pair.score(m, way[0], model, way[1]) for pair in pairs])
                     for m in metrics]  # fmt: skip
            cells.append(" ".join(f"{value:.3f}" for value in found))
        print_row(", ".join(way), *cells, *count(gains(pairs, way, ways[0])))


def print_models(pairs: list[Pair], how: str) -> None:
    """A row a model and score; p is over tested cohorts, each with the mean of its pairs."""
    print_head("model", "score", "points", "won : lost", "p over tested cohorts")
    tested = [pair.test.name for pair in pairs]
    for model in (*MODELS[1:], *CONTROLS):
        for metric in ("balanced_accuracy", "macro_auroc"):
            both = [
                [pair.score(metric, how, name) for name in (model, MODELS[0])] for pair in pairs
            ]
            points = -100 * np.diff(both)[:, 0]
            p = ttest_1samp(pd.Series(points).groupby(tested).mean(), 0).pvalue
            print_row(model, metric, *count(points), f"{p:.2f}")


def print_pairs(pairs: list[Pair], how: str) -> None:
    """A row a pair; patients are drawn anew for the intervals."""
    print_head("train → test", "genes", "training 0 / 1", "test 0 / 1", *MODELS)
    for pair in pairs:
        sizes = [" / ".join(map(str, np.bincount(table.y))) for table in (pair.train, pair.test)]
        weights, people = weigh(pair.test.who), len(np.unique(pair.test.who))
        cells = []
        for model in MODELS:
            said = []
            for name in ("balanced_accuracy", "macro_auroc"):
                values = METRICS[name].compute(pair.test.y, pair.answers[how, model], weights)
                drawn = gather(values, people)
                low, high = METRICS[name].clip(drawn.interval() or (0, 1))
                said.append(f"{drawn.estimate:.2f} ({low:.2f}-{high:.2f})")
            cells.append(" ".join(said))
        print_row(
            f"{pair.train.name} → {pair.test.name}",
            min(GENES, pair.test.x.shape[1]),
            *sizes,
            *cells,
        )


def count(points: np.ndarray) -> tuple[str, str]:
    """The mean, and how many pairs are won and lost by more than rounding."""
    return f"{points.mean():+.1f}", f"{(points > 1e-6).sum()} : {(points < -1e-6).sum()}"


def print_head(*columns: str) -> None:
    """A table's first two lines."""
    print_row(*columns)
    print_row(*["---"] * len(columns))


def print_row(*cells: object) -> None:
    """A line of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
