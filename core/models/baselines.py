"""Baseline models on the same genes: what a network's accuracy has to be compared with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import ThreadpoolController

from core.models.gene_models import (
    FEATURES,
    SECOND_WEIGHT,
    TOKENS,
    AutoencoderModel,
    GeneNetwork,
    Make,
    make_convolution,
    make_perceptron,
    make_transformer,
)
from core.records import Registry

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    from core.models.tuned import Choice


@dataclass(frozen=True)
class Baseline:
    """A baseline model."""

    name: str
    title: str
    help: str
    build: Callable[[int, int], ClassifierMixin | RegressorMixin | GeneNetwork]
    """Makes the untrained model from a seed and the number of samples in the smallest class."""
    in_every_run: bool = False
    """Whether each run computes it; the others are computed when a comparison asks for them."""
    article: str = ""
    """What its title needs within a sentence, such as 'the'."""
    keeps_patients_together: bool = False
    """Whether it is told the samples' patients, as it divides them into inner folds."""
    learns_second: bool = False
    """Whether it learns a second label beside the first, and is fitted only where one is named."""
    is_network: bool = False
    """Whether it is a network on genes, which is explained by the attribution methods."""
    reference: str = ""
    """Source of the model, where its help names none."""
    version: int = 1
    """Raised when it predicts otherwise."""

    def more(self, patients: np.ndarray | None, second: np.ndarray | None) -> dict[str, np.ndarray]:
        """What its `fit` is told beside samples and labels."""
        told = {"groups": patients} if self.keeps_patients_together else {}
        return told | ({"second": second} if self.learns_second else {})

    @property
    def phrase(self) -> str:
        """How it is called within a sentence: 'the tuned linear model'."""
        return f"{self.article} {self.title[0].lower()}{self.title[1:]}".strip()


def _build_majority(seed: int, smallest: int) -> ClassifierMixin:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior", random_state=seed)


def _build_logistic_regression(seed: int, smallest: int) -> ClassifierMixin:
    """Ridge-penalised; 0.1 was near the best on real cohorts of 30 and of 1 024 genes."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=0.1, max_iter=2000, random_state=seed)
    return _standardise(model)


def _build_tuned_linear(seed: int, smallest: int) -> ClassifierMixin:
    """Whichever is better on inner folds, with its best penalty."""
    from core.models.tuned import CLASSES, TunedLinear

    return TunedLinear(CLASSES, seed)


def _build_ridge_regression(seed: int, smallest: int) -> ClassifierMixin:
    from core.models.tuned import CLASSES_BY_RIDGE, TunedLinear

    return TunedLinear(CLASSES_BY_RIDGE, seed)


def _build_linear_svm(seed: int, smallest: int) -> ClassifierMixin:
    """Each class against each; one temperature makes the votes' scores probabilities."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    model = _standardise(SVC(C=0.01, kernel="linear", random_state=seed))
    return CalibratedClassifierCV(
        model, method="temperature", ensemble=False, cv=max(2, min(5, smallest))
    )


def _build_random_forest(seed: int, smallest: int) -> ClassifierMixin:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(300, min_samples_leaf=2, random_state=seed)


def _build_gradient_boosting(seed: int, smallest: int) -> ClassifierMixin:
    """Small trees of few genes each: with many classes every round grows a tree a class."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=8, min_samples_leaf=5, max_features=0.1, max_bins=63,
        early_stopping=False, random_state=seed,
    )  # fmt: skip


def _build_neighbours(seed: int, smallest: int) -> ClassifierMixin:
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(min(5, smallest), metric="cosine", weights="distance")
    return _standardise(model)


def _standardise(model: ClassifierMixin) -> ClassifierMixin:
    """The model on genes of mean 0 and SD 1."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), model)


YUE_WANG = "Yue and Wang 2018, Deep learning for genomics: a concise overview, arXiv:1802.00810"


def list_networks(of_classes: bool) -> list[Baseline]:
    """The networks on genes, for classes or for values; torch is loaded when one is fitted."""

    def build(make: Make) -> Callable[[int, int], GeneNetwork]:
        return lambda seed, smallest: GeneNetwork(make, of_classes, seed)

    network = partial(Baseline, is_network=True, reference=YUE_WANG)
    linear = "the tuned linear model" if of_classes else "ridge regression"
    return [
        network(
            name="perceptron",
            title="Small neural network",
            help="One hidden layer of 64 units on the genes, without any picture.",
            build=build(make_perceptron),
            version=2,
        ),
        network(
            name="convolution",
            title="Convolution over genes in order",
            help="Genes that go together in the training samples stand next to each other in a "
            "line, and a small one-dimensional convolution looks along it. The line is ours: the "
            "leaves of a clustering, as layouts of modules begin.",
            build=build(make_convolution),
        ),
        network(
            name="transformer",
            title="Small transformer over genes",
            help=f"Every gene is a token; one layer of attention over the {TOKENS} genes that by "
            "themselves go best with what is to be predicted, in the training samples.",
            build=build(make_transformer),
        ),
        network(
            name="autoencoder",
            title="Autoencoder features",
            help=f"An autoencoder finds {FEATURES} features of the training samples without their "
            f"labels; {linear} uses these.",
            build=lambda seed, smallest: AutoencoderModel(of_classes, seed),
            keeps_patients_together=True,
        ),
        network(
            name="two_heads",
            title="Network with two heads",
            help="The small neural network with a second head that learns another column, such as "
            f"the batch, whose loss weighs {SECOND_WEIGHT}. It is fitted where that column is "
            "named.",
            build=build(make_perceptron),
            learns_second=True,
        ),
    ]


BASELINES: Registry[Baseline] = Registry(
    "baseline",
    [
        Baseline(
            name="majority",
            title="Largest class",
            help="Always answers with the most frequent class: what an accuracy starts from.",
            build=_build_majority,
            in_every_run=True,
        ),
        Baseline(
            name="logistic_regression",
            title="Logistic regression",
            help="A linear model on the same genes with one penalty for all data (C = 0.1).",
            build=_build_logistic_regression,
            in_every_run=True,
        ),
        Baseline(
            name="tuned_linear",
            title="Tuned linear model",
            help="Logistic or ridge regression on the same genes, whichever is better on inner "
            "folds of the training samples, with the penalty that is best there. A network that "
            "does no better isn't needed.",
            build=_build_tuned_linear,
            in_every_run=True,
            article="the",
            keeps_patients_together=True,
            version=2,
        ),
        Baseline(
            name="ridge_regression",
            title="Ridge regression",
            help="A linear model of each class's indicator; the penalty is chosen on inner folds.",
            build=_build_ridge_regression,
            keeps_patients_together=True,
            version=2,
        ),
        Baseline(
            name="linear_svm",
            title="Linear SVM",
            help="The widest margin between each two classes.",
            build=_build_linear_svm,
        ),
        Baseline(
            name="random_forest",
            title="Random forest",
            help="The vote of 300 decision trees, each on another draw of samples and genes.",
            build=_build_random_forest,
        ),
        Baseline(
            name="gradient_boosting",
            title="Gradient boosting",
            help="Small decision trees, each mending what the ones before got wrong.",
            build=_build_gradient_boosting,
        ),
        Baseline(
            name="nearest_neighbours",
            title="Nearest neighbours",
            help="The classes of the five training samples whose profiles correlate best.",
            build=_build_neighbours,
        ),
        *list_networks(of_classes=True),
    ],
)


def linear_form(model: BaseEstimator, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """A fitted linear baseline model as numbers, so that it can be kept without pickling it.

    Args:
        model: the tuned linear model, or one that standardises the genes and is linear in them.
        outputs: how many classes there are, numbered from 0; 1 for a regression.

    Returns:
        Weights (genes, outputs) and offset (outputs,): `x @ weights + offset` are the values, or
        the scores whose softmax are the probabilities. A class that it has not met has the score
        of probability 0.
    """
    from core.models.tuned import UNKNOWN, TunedLinear

    if isinstance(model, TunedLinear):
        own, at = model.weights_, model.offset_
    else:
        scaler, last = model
        own, at = np.atleast_2d(last.coef_).T, np.atleast_1d(last.intercept_)
        if len(getattr(last, "classes_", ())) == 2:  # scikit-learn gives the second one's alone
            own, at = np.hstack([0 * own, own]), np.append(0, at)
        own = own / scaler.scale_[:, None]
        at = at - scaler.mean_ @ own
    weights, offset = np.zeros((len(own), outputs)), np.full(outputs, UNKNOWN)
    met = getattr(model, "classes_", [0])
    weights[:, met], offset[met] = own, at
    return weights, offset


def one_thread() -> AbstractContextManager:
    """Keeps NumPy and scikit-learn to one thread, so that no number depends on how many there are.

    Their libraries are looked for once: that takes longer than many a fit.
    """
    return _find_libraries().limit(limits=1)


@cache
def _find_libraries() -> ThreadpoolController:
    return ThreadpoolController()


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline model that has learned."""

    answer: Callable[[np.ndarray], np.ndarray]
    """(n, genes) samples -> (n, outputs) probabilities, or values."""
    model: BaseEstimator | GeneNetwork
    """The model itself: scikit-learn's, or a network on genes."""
    choice: Choice | None = None
    """How its penalty was chosen on inner folds, of those that do so."""


def fit_baseline(
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    classes: int,
    seed: int,
    patients: np.ndarray | None = None,
    second: np.ndarray | None = None,
) -> FittedBaseline:
    """Fit a baseline on (n, genes) training samples; it answers with probabilities.

    `patients` (n,) are the samples'; without them each sample counts as one. Class numbers run from
    0 to `classes` - 1; one that no training sample has gets probability 0. `second` (n,) are texts
    of another column, for a model that learns one.
    """
    smallest = int(np.unique(y, return_counts=True)[1].min())
    model = BASELINES[name].build(seed, smallest)
    with one_thread():
        model.fit(x, y, **BASELINES[name].more(patients, second))

    def answer(asked: np.ndarray) -> np.ndarray:
        proba = np.zeros((len(asked), classes))
        with one_thread():
            proba[:, model.classes_] = model.predict_proba(asked)
        return proba

    return FittedBaseline(answer, model, getattr(model, "choice_", None))


def fit_predict_proba(
    name: str,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    classes: int,
    seed: int,
    patients: np.ndarray | None = None,
) -> np.ndarray:
    """The (n_test, classes) probabilities of `fit_baseline`'s model."""
    return fit_baseline(name, x_train, y_train, classes, seed, patients).answer(x_test)
