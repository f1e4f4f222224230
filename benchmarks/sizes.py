"""How many samples each recipe needs: learning curves of the linear head and what it is held to.

    python -m benchmarks.sizes EXPRESSION SAMPLES ROWS.csv --name "11 tumour types" \
        --label tumour_type --group patient --where sample_type=tumour \
        --sizes 50 100 200 421 --splits 6 --weights file:squeezenet1_1_imagenet.pth

Test samples are those of a run of the app (30 % of the patients); of the others so many learn,
whole patients at random, the smaller numbers within the larger. Classes that have fewer than two
patients among them are neither learned nor tested. Each answer is a row of ROWS.csv as soon as it
is there; those that are there aren't computed again. Prints a table of all that is in ROWS.csv.
"""

import os
import tempfile
from itertools import product

import numpy as np
import pandas as pd
import torch

from benchmarks.asking import Rows, make_parser, open_studies
from benchmarks.fitting import solve, train_by_steps
from core.data.prepare import PreparationSpec, Preprocessor
from core.evaluation.differences import corrected_t
from core.models.baselines import fit_predict_proba
from core.models.spec import NetworkSpec
from core.runs.study import Study

PLAIN = "tuned linear model"
MODELS = ("linear head", PLAIN, "trained head")
COLUMNS = ["data", "size", "seed", "model", "accuracy", "ratio", "classes", "maps"]


def main() -> None:
    """Ask what isn't there yet, and print a row for each number of samples."""
    parser = make_parser(__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--sizes", type=int, nargs="+", required=True)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--weights", default="scratch")
    given = parser.parse_args()

    torch.set_num_threads(1)
    rows = Rows(given.rows, COLUMNS)
    for seed, study in open_studies(given):
        for size, model in product(given.sizes, given.models):
            if rows.has(data=given.name, size=size, seed=seed, model=model):
                continue
            with tempfile.TemporaryDirectory() as home:
                os.environ["GENECANVAS_HOME"] = home  # where maps are kept
                answer = ask(study, size, seed, model, given.weights)
            rows.add(given.name, size, seed, model, *answer)
    report(rows.read())


def ask(
    study: Study, size: int, seed: int, model: str, weights: str
) -> tuple[float, float, int, float]:
    """Accuracy, test samples for each training sample, classes, and the maps' share."""
    [fold] = study.folds
    train = draw(study, fold.fitting, size, seed)
    people = pd.Series(study.who[train]).groupby(study.y[train]).nunique()
    met = people.index[people >= 2].to_numpy()
    train, test = (rows[np.isin(study.y[rows], met)] for rows in (train, fold.test))
    y, new_y = (np.searchsorted(met, study.y[rows]) for rows in (train, test))
    spec = PreparationSpec(genes=min(PreparationSpec().genes, len(study.genes)))
    prepared = Preprocessor.fit(study.x[train], study.genes, study.scale, spec)
    x, new_x = (prepared.transform(study.x[rows], study.genes) for rows in (train, test))
    who, maps = study.who[train], 0.0
    if model == PLAIN:
        proba = fit_predict_proba("tuned_linear", x, y, new_x, len(met), seed, who)
    elif model == "linear head":
        network = NetworkSpec(head="linear", freeze="backbone", image_size=32, weights=weights)
        solved = solve(network, x, y, who, new_x, prepared.genes, seed)
        proba, maps = solved.tested, 1 - solved.shares["image"]
    else:
        proba = train_by_steps(
            weights, "backbone", "expression", x, y, new_x, prepared.genes, seed
        )  # fmt: skip
    right = (proba.argmax(axis=1) == new_y).mean()
    return right, len(test) / len(train), len(met), maps


def draw(study: Study, fitting: np.ndarray, size: int, seed: int) -> np.ndarray:
    """At most so many of the samples to learn from: the first patients of one random order."""
    people, of = np.unique(study.who[fitting], return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(people))[of]
    order = np.argsort(place, kind="stable")
    return fitting[order[:size]]


def report(rows: pd.DataFrame) -> None:
    """A row for each data and size, with differences from the tuned linear model."""
    others = [name for name in MODELS if name != PLAIN]
    head = ["data", "samples", "splits", "classes", PLAIN]
    for name in others:
        head += [name, "points (p)"]
    print(f"| {' | '.join([*head, 'share of the maps'])} |\n|" + " --- |" * (len(head) + 1))
    for (data, size), own in rows.groupby(["data", "size"], sort=False):
        wide = own.pivot(index="seed", columns="model", values="accuracy")
        cells = [data, size, len(wide), f"{own['classes'].mean():.0f}", f"{wide[PLAIN].mean():.3f}"]
        for name in others:
            gains = (wide[name] - wide[PLAIN]).dropna().to_numpy() if name in wide else np.zeros(0)
            mean = f"{wide[name].mean():.3f}" if len(gains) else ""
            cells += [mean, say(gains, own["ratio"].mean())]
        share = own.loc[own["model"] == "linear head", "maps"].mean()
        print(f"| {' | '.join(map(str, cells))} | {share:.2f} |")


def say(gains: np.ndarray, ratio: float) -> str:
    """The mean in points and its p value."""
    if len(gains) < 2 or not gains.any():
        return f"{100 * gains.mean():+.1f}" if len(gains) else ""
    tested = corrected_t(gains, ratio)
    return f"{100 * tested.mean:+.1f} ({tested.p:.2g})"


if __name__ == "__main__":
    main()
