"""Is there more in few genes than a linear model finds? Non-linear models over the app's splits.

    python -m benchmarks.few_genes tcga5_30genes.csv.gz ROWS.csv --label acronym --group patient_id
    python -m benchmarks.few_genes tcga712_pam50genes.parquet tcga712_pam50genes_labels.csv \
        OTHER_ROWS.csv --label PAM50_paper --only "tuned linear model" "products of genes"

Splits, preparation and the tuned linear model are those of a run of the app (70/30 by patient). All
that a family has to choose is chosen on five inner folds of the training samples by patient. Each
answer is a row of ROWS.csv as soon as it is there; rows that are there aren't computed again.

The rule, written down before the figures: a family is built into the linear head if over six splits
it gains half a point on the tuned linear model with p < .05 (Nadeau and Bengio 2003).
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.linalg import eigh
from scipy.spatial.distance import cdist
from scipy.special import softmax
from scipy.stats import nct, t
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from benchmarks.asking import Rows, make_parser, open_studies
from core.data.prepare import PreparationSpec, Preprocessor
from core.evaluation.differences import corrected_t
from core.models.tuned import CLASSES, Choice, Sources

PLAIN = "tuned linear model"
WIDTHS = (0.1, 0.3, 1.0)
"""Of a radial kernel: exp(-width x squared distance / genes) of standardised genes."""
Answer = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, str]]
"""Standardised training rows, classes, patients and test rows -> probabilities (or of no known
scale: votes), and what was chosen."""


def main() -> None:
    """Ask what isn't there yet, and print a row a family."""
    parser = make_parser(__doc__)
    parser.add_argument("--only", nargs="*", choices=FAMILIES)
    given = parser.parse_args()

    rows = Rows(given.rows, COLUMNS)
    for seed, study in open_studies(given):
        [fold] = study.folds
        fitting, test = fold.fitting, fold.test
        preparation = PreparationSpec(genes=len(study.genes), floor=-20)
        prepared = Preprocessor.fit(study.x[fitting], study.genes, study.scale, preparation)
        x = prepared.transform(study.x, study.genes)
        x = (x - x[fitting].mean(axis=0)) / x[fitting].std(axis=0)
        known, y = (x[fitting], study.y[fitting], study.who[fitting]), study.y[test]
        for name in given.only or FAMILIES:
            if rows.has(family=name, seed=seed):
                continue
            with threadpool_limits(1):
                proba, chosen = FAMILIES[name](*known, x[test])
            right = (proba.argmax(axis=1) == y).mean()
            rows.add(name, seed, right, log_loss(y, proba), len(test) / len(fitting), chosen)
    report(rows.read())


COLUMNS = ["family", "seed", "accuracy", "log_loss", "ratio", "chosen"]


def blocks(*others: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Answer:
    """The linear head's own choice, with other features of the genes as sources beside them.

    Each of `others` makes features of rows; it may look at the training rows, its second argument.
    """

    def answer(
        x: np.ndarray, y: np.ndarray, who: np.ndarray, new_x: np.ndarray
    ) -> tuple[np.ndarray, str]:
        known = [x, *(make(x, x) for make in others)]
        asked = [new_x, *(make(new_x, x) for make in others)]
        sources = Sources(known, [True, *[False] * len(others)])
        choice = Choice(sources, np.eye(y.max() + 1)[y], y, who, CLASSES, 0)
        chosen = choice.choose()
        proba = softmax(choice.fit(chosen).score(sources, asked), axis=1)
        return proba, f"{chosen.words}, shares {chosen.shares}"

    return answer


def multiply(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Products of each two genes, and squares."""
    first, second = np.triu_indices(x.shape[1])
    return x[:, first] * x[:, second]


def radial(width: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Features whose inner products are a radial kernel's."""

    def make(x: np.ndarray, known: np.ndarray) -> np.ndarray:
        sizes, turn = eigh(np.exp(-width / x.shape[1] * cdist(known, known, "sqeuclidean")))
        kept = sizes > 1e-8 * sizes[-1]
        kernel = np.exp(-width / x.shape[1] * cdist(x, known, "sqeuclidean"))
        return kernel @ turn[:, kept] / np.sqrt(sizes[kept])

    return make


def search(model: ClassifierMixin, grid: dict[str, list]) -> Answer:
    """A model of scikit-learn, chosen by inner accuracy."""

    def answer(
        x: np.ndarray, y: np.ndarray, who: np.ndarray, new_x: np.ndarray
    ) -> tuple[np.ndarray, str]:
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        found = GridSearchCV(model, grid, cv=folds).fit(x, y, groups=who)
        if hasattr(found, "predict_proba"):
            proba = found.predict_proba(new_x)
        else:
            proba = softmax(found.decision_function(new_x), axis=1)
        return proba, str(found.best_params_)

    return answer


FAMILIES: dict[str, Answer] = {
    PLAIN: blocks(),
    "products of genes": blocks(multiply),
    "radial kernels": blocks(*map(radial, WIDTHS)),
    "products and radial kernels": blocks(multiply, *map(radial, WIDTHS)),
    "SVM, radial": search(
        SVC(decision_function_shape="ovr"),
        {"C": [0.3, 1, 3, 10], "gamma": [0.1 / 30, 0.3 / 30, 1 / 30]},
    ),
    "gradient boosting": search(
        HistGradientBoostingClassifier(
            max_iter=150, max_features=0.3, min_samples_leaf=10, max_bins=63, random_state=0
        ),
        {"learning_rate": [0.05, 0.1], "max_leaf_nodes": [4, 8]},
    ),
    "small neural network": search(
        MLPClassifier((128,), max_iter=100, early_stopping=True, random_state=0),
        {"alpha": [0.1, 1.0, 10.0]},
    ),
}


def report(rows: pd.DataFrame) -> None:
    """A row a family, and what the test could have shown."""
    print("| family | accuracy | log loss | points beside the tuned linear model | 95 % interval "
          "| p | gain that 80 % of such tests would show |\n|" + " --- |" * 7)  # fmt: skip
    wide = rows.pivot(index="seed", columns="family", values="accuracy")
    losses = rows.groupby("family")["log_loss"].mean()
    for name in dict.fromkeys(rows["family"]):
        gains = (wide[name] - wide[PLAIN]).dropna().to_numpy()
        mean, said = wide[name].mean(), ["", "", "", ""]
        if gains.any():
            tested = corrected_t(gains, rows["ratio"].mean())
            low, high = tested.interval()
            said = [f"{100 * tested.mean:+.1f}", f"{100 * low:+.1f} to {100 * high:+.1f}",
                    f"{tested.p:.2g}",
                    f"{100 * tested.scale * detectable(len(gains)):.1f}"]  # fmt: skip
        print(f"| {name} | {mean:.4f} | {losses[name]:.3f} | {' | '.join(said)} |")


def detectable(splits: int) -> float:
    """A difference in standard errors that a t test at 5 % finds with 80 % power."""
    limit = t.ppf(0.975, splits - 1)
    sizes = np.linspace(1, 10, 9001)
    return float(sizes[np.argmax(nct.sf(limit, splits - 1, sizes) >= 0.8)])


if __name__ == "__main__":
    main()
