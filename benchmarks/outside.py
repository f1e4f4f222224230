"""Outside: trained on one cohort, tested on another, every ordered pair that shares a label.

    python -m benchmarks.outside FOLDER --weights file:squeezenet1_1_imagenet.pth

FOLDER holds breast, crc and bladder, in which NAME.parquet (samples x genes) and NAME_labels.csv
(first column: sample) belong together. Prints the tables of benchmarks/results/outside.md.

The rules, each written down before the figures that it is about. (1) All is decided on ER status
in breast. The normalisation is the one with the highest balanced accuracy there, mean over pairs
and over the models that could be recommended (not over the controls). A correction of its
probabilities is kept if it gains a point there by the same mean, and wins more pairs than it loses.
Either is confirmed if in colon and bladder its mean gain is positive and it wins more pairs than it
loses. (2) After that, parting the new cohort into two groups looked better than rule 1 had asked:
it is kept if on a third set of pairs, with other labels, it gains a point and wins more pairs than
it loses, with `quantile` and with `cohort`. Everything that was tried is printed.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import ttest_1samp

from core.data.prepare import PreparationSpec, Preprocessor
from core.evaluation.intervals import gather, weigh
from core.evaluation.metrics import METRICS, score
from core.evaluation.prior import move_to_two_groups
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.baselines import fit_predict_proba
from core.models.network import build_network
from core.models.spec import NetworkSpec
from core.models.tuned import CLASSES
from core.training.exact import solve_head
from core.training.features import FrozenPart
from core.training.objectives import Classes

BLADDER = ("GSE1827", "GSE89", "PMID17099711.GPL8300", "PMID17099711.GPL91")
TASKS = (
    ("decide", "breast", {"expo": "er", "nki": "er", "vdx": "er", "oslo2emit0": "ER"}),
    ("confirm", "crc", dict.fromkeys(["GSE24549.GPL5175", "GSE24550.GPL5175", "GSE27544"], "msi")),
    ("confirm", "bladder", dict.fromkeys(BLADDER, "summarystage")),
    ("third", "breast", {"expo": "grade", "nki": "grade", "vdx": "grade"}),
    ("third", "breast", {"expo": "her2", "oslo2emit0": "HER2"}),
    ("third", "breast", {"unc232_pam50genes": "subtype", "tcga712_pam50genes": "PAM50_paper"}),
)
"""Which set of pairs, folder, cohort -> column of the label."""
POSITIVE = {
    "er": ["1", "1.0"], "ER": ["ER+"], "msi": ["MSI"], "summarystage": ["invasive"],
    "grade": ["3", "3.0"], "her2": ["1", "1.0"], "HER2": ["HER2+"], "subtype": ["Basal"],
    "PAM50_paper": ["Basal"],
}  # fmt: skip
"""Column -> what makes class 1; all else is class 0."""
FEWEST = 8
"""Samples of each class that a training cohort needs."""
GENES, SIZE = 1024, 32
NORMALISATIONS = ("none", "rank", "quantile", "cohort", "matched")
CORRECTIONS = ("none", "prior by EM", "equal priors", "training share", "two groups")
MODELS = ("logistic_regression", "tuned_linear", "linear_head")
CONTROLS = ("maps_alone", "random_weights")
CONTROLLED = "quantile"
"""The normalisation under which models are compared and random weights are tried."""


@dataclass(frozen=True)
class Table:
    """A cohort: samples x genes, class 0 or 1, patients."""

    name: str
    x: pd.DataFrame
    y: np.ndarray
    who: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Where models learned, where they were tested, and what they answered there."""

    part: str
    train: Table
    test: Table
    answers: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
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
        report([pair for task in TASKS for pair in ask_all(given.folder, given.weights, *task)])


def ask_all(
    folder: Path, weights: str, part: str, place: str, columns: dict[str, str]
) -> list[Pair]:
    """All ordered pairs of some cohorts, with all answers."""
    tables = [read(folder / place, name, column) for name, column in columns.items()]
    pairs = [
        leave_known_out(Pair(part, train, test))
        for train, test in permutations(tables, 2)
        if min(np.bincount(train.y)) >= FEWEST
    ]
    for pair in pairs:
        for how in NORMALISATIONS:
            ask(pair, how, weights)
        ask(pair, CONTROLLED, "scratch")
    return pairs


def report(pairs: list[Pair]) -> None:
    """Print all tables."""
    for part in dict.fromkeys(pair.part for pair in pairs):
        some = [pair for pair in pairs if pair.part == part]
        print(f"\n{part}, {len(some)} pairs: balanced accuracy, AUROC\n")
        print_normalisations(some)
        for metric in ("balanced_accuracy", "accuracy"):
            print(f"\n{part}: {metric}, (points beside no correction, won : lost)\n")
            print_corrections(some, metric)
    for metric in ("balanced_accuracy", "macro_auroc"):
        print(f"\n{CONTROLLED}: {metric} beside logistic regression, points\n")
        print_models(pairs, metric)
    print(f"\n{CONTROLLED}, each pair: balanced accuracy and AUROC with 95 % intervals\n")
    print_pairs(pairs)


def read(folder: Path, name: str, column: str) -> Table:
    """A cohort's labelled samples; genes that a fifth of them miss are left out.

    What else is missing gets the gene's median in this cohort.
    """
    x = pd.read_parquet(folder / f"{name}.parquet")
    labels = pd.read_csv(folder / f"{name}_labels.csv", index_col=0, dtype=str)
    known = labels[column].notna().to_numpy()
    x, labels = x[known], labels[known]
    x = x.loc[:, x.isna().mean() < 0.2]
    who = labels.index
    if "unique_patient_ID" in labels:  # such as X1087.1, the first of a patient's samples
        who = labels["unique_patient_ID"].str.partition(".")[0]
    y = labels[column].isin(POSITIVE[column]).to_numpy().astype(int)
    filled = pd.DataFrame(np.where(x.isna(), x.median(), x), x.index, x.columns)
    return Table(name, filled, y, who.to_numpy())


def leave_known_out(pair: Pair) -> Pair:
    """Without test samples whose patient is in the training cohort, with the genes of both."""
    train, test = pair.train, pair.test
    shared, new = train.x.columns.intersection(test.x.columns), ~np.isin(test.who, train.who)
    return Pair(
        pair.part,
        replace(train, x=train.x[shared]),
        replace(test, x=test.x.loc[new, shared], y=test.y[new], who=test.who[new]),
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


def normalise(
    how: str, train: Table, test: Table, most: int = GENES
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prepared rows of the training and of the test cohort, and their genes, `most` at most.

    none: as the app prepares, by training statistics. rank, quantile: within each sample first, as
    the app does. cohort: each gene first gets mean 0 and SD 1 in its own cohort, of which the test
    cohort has to be there as a whole; its labels are not looked at. matched: likewise, but the
    training samples weigh so that their classes have the shares that EM finds in the test cohort,
    because a mean depends on them too.
    """
    here, there, y = train.x, test.x, train.y
    chosen = tuple(here.var().nlargest(most).index)
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
    names = here.columns.to_numpy(str)  # of Python objects NumPy compares each with each
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
    the threshold that parts the log odds best into two groups.
    """
    before = np.array([1 - share, share])
    proba = np.clip(proba, 1e-9, 1)
    if how == "prior by EM":
        return adapt(proba, before)[0]
    if how == "two groups":
        return move_to_two_groups(proba)
    shift, odds = 0.0, np.log(proba[:, 1] / proba[:, 0])
    if how == "equal priors":
        shift = np.log(share / (1 - share))
    elif how == "training share":
        shift = np.quantile(odds, 1 - share)
    one = 1 / (1 + np.exp(shift - odds))
    return np.stack([1 - one, one], axis=1)


def score_all(
    pairs: list[Pair], metric: str, how: str, models: tuple[str, ...], correction: str = "none"
) -> np.ndarray:
    """(pairs,) scores, mean over models."""
    scores = [[pair.score(metric, how, model, correction) for model in models] for pair in pairs]
    return np.mean(scores, axis=1)


def print_normalisations(pairs: list[Pair]) -> None:
    """A row each; the gain in balanced accuracy is the mean over MODELS."""
    print_head("normalisation", *MODELS, CONTROLS[0], "points beside none")
    for how in NORMALISATIONS:
        cells = [
            " ".join(
                f"{score_all(pairs, metric, how, (model,)).mean():.3f}"
                for metric in ("balanced_accuracy", "macro_auroc")
            )
            for model in (*MODELS, CONTROLS[0])
        ]
        own, none = (score_all(pairs, "balanced_accuracy", h, MODELS) for h in (how, "none"))
        print_row(how, *cells, count(own - none))


def print_corrections(pairs: list[Pair], metric: str) -> None:
    """A row a normalisation; mean over MODELS."""
    print_head("normalisation", *CORRECTIONS)
    for how in NORMALISATIONS:
        scores = [score_all(pairs, metric, how, MODELS, correction) for correction in CORRECTIONS]
        cells = [f"{own.mean():.3f} ({count(own - scores[0])})" for own in scores[1:]]
        print_row(how, f"{scores[0].mean():.3f}", *cells)


def print_models(pairs: list[Pair], metric: str) -> None:
    """A row a model; p is a t test over tested cohorts and labels, each the mean of its pairs."""
    print_head("model", "points", "p over tested cohorts")
    tested = [f"{pair.part} {pair.test.name}" for pair in pairs]
    plain = score_all(pairs, metric, CONTROLLED, MODELS[:1])
    for model in (*MODELS[1:], *CONTROLS):
        gains = score_all(pairs, metric, CONTROLLED, (model,)) - plain
        p = ttest_1samp(pd.Series(gains).groupby(tested).mean(), 0).pvalue
        print_row(model, count(gains), f"{p:.2f}")


def print_pairs(pairs: list[Pair]) -> None:
    """A row a pair; patients are drawn anew for the intervals."""
    print_head("train → test", "genes", "training 0 / 1", "test 0 / 1", *MODELS)
    for pair in pairs:
        sizes = [" / ".join(map(str, np.bincount(table.y))) for table in (pair.train, pair.test)]
        weights, people = weigh(pair.test.who), len(np.unique(pair.test.who))
        cells = []
        for model in MODELS:
            said = []
            for metric in (METRICS["balanced_accuracy"], METRICS["macro_auroc"]):
                values = metric.compute(pair.test.y, pair.answers[CONTROLLED, model], weights)
                drawn = gather(values, people)
                low, high = metric.clip(drawn.interval() or (0, 1))
                said.append(f"{drawn.estimate:.2f} ({low:.2f}-{high:.2f})")
            cells.append(" ".join(said))
        genes = min(GENES, pair.test.x.shape[1])
        print_row(f"{pair.train.name} → {pair.test.name}", genes, *sizes, *cells)


def count(gains: np.ndarray) -> str:
    """The mean in points, and how many pairs are won and lost by more than rounding."""
    return f"{100 * gains.mean():+.1f}, {(gains > 1e-9).sum()} : {(gains < -1e-9).sum()}"


def print_head(*columns: str) -> None:
    """A table's first two lines."""
    print_row(*columns)
    print_row(*["---"] * len(columns))


def print_row(*cells: object) -> None:
    """A line of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
