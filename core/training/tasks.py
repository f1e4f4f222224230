"""Tasks: what a run predicts, and everything that hangs on it, from one record.

The loop, splits, results and attributions ask the task; none of them asks which one it is. Readable
without torch, which only `objective` loads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from core.data.column_names import MISSING_NUMBERS
from core.errors import InputError
from core.evaluation.differences import LEVEL, corrected_t, mcnemar, say_verdict
from core.evaluation.intervals import gather, weigh
from core.evaluation.metrics import CLASS_METRICS, VALUE_METRICS, Metric, score
from core.models.baselines import BASELINES, Baseline, FittedBaseline, fit_baseline
from core.models.value_baselines import VALUE_BASELINES, fit_value_baseline
from core.records import Registry
from core.training.calibration import apply_temperature, fit_temperature

if TYPE_CHECKING:
    import pandas as pd

    from core.models.tuned import Aim
    from core.training.objectives import Objective

FEWEST_VALUES = 6
"""A column of fewer different numbers holds classes, such as stages or grades."""
MOST_ALIKE = 0.9
"""Where more of the samples have the very same value there is next to nothing to learn."""
RANGES = 5
"""Ranges of the values by which samples are divided, where each then has SAMPLES_A_RANGE."""
SAMPLES_A_RANGE = 8

Limits = tuple[float, float]
Scale = dict[str, float]
"""What was fitted on a fold to turn its network's answers into those that people read."""


@dataclass(frozen=True)
class Targets:
    """What samples are to be predicted as."""

    outputs: list[str]
    """What the network's scores are of: the classes, sorted; of a regression the target alone."""
    y: np.ndarray
    """(samples,) numbers of their classes, or values in the target's unit."""
    labels: np.ndarray
    """(samples,) the output that explains each: its class, or the target."""


class Scored(Protocol):
    """What a headline is made of: a `RunResult`."""

    classes: list[str]
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    n_train: int
    n_validation: int
    n_test: int
    intervals: dict[str, Limits | None]
    gap: Limits | None

    @property
    def accuracy_interval(self) -> Limits:
        """95 % interval of the accuracy."""

    @property
    def chance(self) -> float:
        """Accuracy of naming the largest class."""


@dataclass(frozen=True)
class Task(ABC):
    """What is predicted. Answers are (samples, outputs), in the form that people read."""

    name: str
    title: str
    help: str
    metrics: Registry[Metric]
    """The scores, in the order in which they are shown."""
    first_metric: str
    """The score that headlines and comparisons start from."""
    baselines: Registry[Baseline]
    references: tuple[str, ...]
    """Baseline models that may stand beside a network everywhere, the strongest first."""
    linear: str
    """The baseline model whose weights rank genes beside a network's. Its form is fixed, so that
    weights of several folds, and ranks of several runs, mean the same."""
    floor: str
    """The baseline model that has learned nothing but what is usual."""
    has_classes: bool
    """Whether labels are classes, which the checks of a dataset look at."""
    gene_test: str
    """The classical test of a single gene that stands beside attributions."""
    simulated_label: str | None
    """Column of simulated data that the planted self-test predicts; None where it has none."""
    stratum: str
    """What samples are divided by, so that each part has its share of each: a noun."""
    unused: ClassVar[dict[str, dict[str, Any]]] = {}
    """Fields of a specification that say nothing here, by part, with the value that is taken."""
    scale_fields: ClassVar[tuple[str, ...]] = ()
    """What a scale holds."""
    texts: ClassVar[tuple[str, ...]] = ("sample",)
    """Columns of the predictions that are texts."""

    @property
    @abstractmethod
    def objective(self) -> Objective:
        """What the network learns; loads torch."""

    @property
    @abstractmethod
    def aim(self) -> Aim:
        """How a linear head is solved; loads scikit-learn."""

    @abstractmethod
    def known(self, texts: np.ndarray, label: str, samples: np.ndarray) -> np.ndarray:
        """(samples,) which samples can be used.

        Raises InputError where those that can't may not just be left out, or none is left.
        """

    @abstractmethod
    def read(self, texts: np.ndarray, label: str) -> Targets:
        """What the samples are, out of the texts (samples,) of the column `label`.

        Raises InputError where that is nothing to learn.
        """

    @abstractmethod
    def strata(self, targets: Targets) -> np.ndarray:
        """(samples,) names of the strata by which samples are divided."""

    def reference(self, *held: Collection[str]) -> str:
        """The baseline model to set networks against: the first one that all of these hold.

        Results of earlier versions don't hold the strongest.
        """
        common = [name for name in self.references if all(name in names for names in held)]
        return common[0] if common else self.references[-1]

    def fit_scale(self, y: np.ndarray) -> Scale:
        """What is fitted on the training samples before the network learns."""
        return {}

    def encode(self, y: np.ndarray, scale: Scale) -> np.ndarray:
        """y as the network learns them."""
        return y

    def calibrate(self, answers: np.ndarray, y: np.ndarray, scale: Scale) -> Scale:
        """The scale, and what is fitted on the validation samples after the network has learned."""
        return scale

    @abstractmethod
    def decode(self, answers: np.ndarray, scale: Scale) -> np.ndarray:
        """The network's answers as people read them."""

    def read_scale(self, fold: Mapping[str, Any]) -> Scale:
        """The scale out of what is stored of a fold; raises KeyError or ValueError for damage."""
        return {name: float(fold[name]) for name in self.scale_fields}

    @abstractmethod
    def fit_baseline(
        self, name: str, x: np.ndarray, y: np.ndarray, outputs: int, seed: int,
        patients: np.ndarray | None, second: np.ndarray | None = None,
    ) -> FittedBaseline:  # fmt: skip
        """Fit a baseline model on samples x of these patients; `second` is another label's text."""

    def score(self, y: np.ndarray, answers: np.ndarray) -> dict[str, float]:
        """All metrics."""
        return score(y, answers, self.metrics)

    @abstractmethod
    def tabulate(
        self, y: np.ndarray, answers: np.ndarray, plain: Mapping[str, np.ndarray],
        outputs: Sequence[str],
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Columns of the predictions: true, predicted, the references' of the baseline models'
        answers `plain`, and what is more.
        """

    @abstractmethod
    def truth(self, table: pd.DataFrame, outputs: Sequence[str]) -> np.ndarray:
        """y out of predictions."""

    @abstractmethod
    def answers(self, table: pd.DataFrame, outputs: Sequence[str]) -> np.ndarray:
        """Answers out of predictions."""

    @abstractmethod
    def matches(self, table: pd.DataFrame, confusion: list[list[int]]) -> bool:
        """Whether predictions are those that a result's confusion matrix was counted from.

        Raises ValueError or KeyError when they can't be read.
        """

    def confusion(self, y: np.ndarray, answers: np.ndarray) -> list[list[int]]:
        """Rows: true class, columns: predicted class; empty where there are no classes."""
        return []

    def describe_calibration(
        self, y: np.ndarray, answers: np.ndarray, folds: np.ndarray, scales: Mapping[int, Scale]
    ) -> dict[str, float]:
        """What calibration changed, of samples from `folds`; empty where there is none."""
        return {}

    def bound(
        self, y: np.ndarray, answers: np.ndarray, reference: np.ndarray, patients: np.ndarray
    ) -> tuple[dict[str, Limits | None], Limits | None]:
        """95 % intervals over patients of each metric, and of the first metric's distance from that
        of the reference model; empty where headlines need none.
        """
        return {}, None

    @abstractmethod
    def headline(self, result: Scored, table: pd.DataFrame) -> str:
        """One honest sentence; `table` holds the predictions that the result is of."""

    @abstractmethod
    def explain_gap(self, result: Scored, table: pd.DataFrame) -> list[str] | None:
        """What is lost to the reference model, in sentences; None where the network isn't below."""

    @abstractmethod
    def beat_chance(self, result: Scored, table: pd.DataFrame) -> tuple[float, str]:
        """How far on the way from chance (0) to perfect (1), at least; and in words."""


@dataclass(frozen=True)
class Classification(Task):
    """Which of several classes?"""

    texts: ClassVar[tuple[str, ...]] = (
        "sample", "true", "predicted", "tuned_linear", "logistic_regression",
    )  # fmt: skip

    def read_scale(self, fold: Mapping[str, Any]) -> Scale:
        """The temperature; folds of 0.1.0 had none."""
        return {"temperature": fold.get("temperature", 1.0)}

    @property
    def objective(self) -> Objective:
        """Cross-entropy or the focal loss."""
        from core.training.objectives import Classes

        return Classes()

    @property
    def aim(self) -> Aim:
        """Classes, by ridge or logistic regression."""
        from core.models.tuned import CLASSES

        return CLASSES

    def known(self, texts: np.ndarray, label: str, samples: np.ndarray) -> np.ndarray:
        """All: a sample without a class is a mistake in the column."""
        unlabelled = samples[texts == ""]
        if len(unlabelled):
            raise InputError(
                f"{len(unlabelled)} samples have no {label}, for example {unlabelled[0]}. Fill "
                "the column or leave these samples out."
            )
        return np.ones(len(texts), dtype=bool)

    def read(self, texts: np.ndarray, label: str) -> Targets:
        """Every different text is a class."""
        classes, y = np.unique(texts, return_inverse=True)
        return Targets(classes.tolist(), y, texts)

    def strata(self, targets: Targets) -> np.ndarray:
        """The classes."""
        return targets.labels

    def calibrate(self, answers: np.ndarray, y: np.ndarray, scale: Scale) -> Scale:
        """One temperature."""
        return {"temperature": fit_temperature(answers, y)}

    def decode(self, answers: np.ndarray, scale: Scale) -> np.ndarray:
        """Calibrated probabilities."""
        return apply_temperature(answers, scale["temperature"])

    def fit_baseline(
        self, name: str, x: np.ndarray, y: np.ndarray, outputs: int, seed: int,
        patients: np.ndarray | None, second: np.ndarray | None = None,
    ) -> FittedBaseline:  # fmt: skip
        """It answers with class probabilities."""
        return fit_baseline(name, x, y, outputs, seed, patients, second)

    def tabulate(
        self, y: np.ndarray, answers: np.ndarray, plain: Mapping[str, np.ndarray],
        outputs: Sequence[str],
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Names of classes, and the network's probability of each."""
        names = np.array(outputs)
        return {
            "true": names[y],
            "predicted": names[answers.argmax(axis=1)],
            **{name: names[plain[name].argmax(axis=1)] for name in self.references},
            **{f"p_{name}": answers[:, k] for k, name in enumerate(outputs)},
        }

    def truth(self, table: pd.DataFrame, outputs: Sequence[str]) -> np.ndarray:
        """Class numbers."""
        return np.searchsorted(outputs, table["true"].to_numpy().astype(str))

    def answers(self, table: pd.DataFrame, outputs: Sequence[str]) -> np.ndarray:
        """Class probabilities."""
        return table[[f"p_{name}" for name in outputs]].to_numpy(float)

    def matches(self, table: pd.DataFrame, confusion: list[list[int]]) -> bool:
        """By the number of samples, and of those that are right."""
        right = int((table["true"] == table["predicted"]).sum())
        return (len(table), right) == (np.sum(confusion), np.trace(confusion))

    def confusion(self, y: np.ndarray, answers: np.ndarray) -> list[list[int]]:
        """Counts of the classes."""
        labels = range(answers.shape[1])
        from sklearn.metrics import confusion_matrix

        return confusion_matrix(y, answers.argmax(axis=1), labels=labels).tolist()

    def describe_calibration(
        self, y: np.ndarray, answers: np.ndarray, folds: np.ndarray, scales: Mapping[int, Scale]
    ) -> dict[str, float]:
        """The mean temperature, and the calibration error before and after it."""
        temperatures = {number: scale["temperature"] for number, scale in scales.items()}
        before = np.concatenate(
            [apply_temperature(answers[folds == n], 1 / t) for n, t in temperatures.items()]
        )
        return {
            "temperature": float(np.mean(list(temperatures.values()))),
            "error_before": self.score(y, before)["calibration_error"],
            "error_after": self.score(y, answers)["calibration_error"],
        }

    def headline(self, result: Scored, table: pd.DataFrame) -> str:
        """The network's accuracy beside the reference model's and chance."""
        low, high = result.accuracy_interval
        reference = self.reference(result.baselines)
        phrase = self.baselines[reference].phrase
        network, plain = result.metrics["accuracy"], result.baselines[reference]["accuracy"]
        p, test = self._test_difference(result, table)
        points = 100 * (network - plain)
        if np.isclose(points, 0):
            verdict = f"the same as {phrase} on the same genes"
        else:
            verdict = (
                f"{abs(points):.1f} points {'above' if points > 0 else 'below'} {phrase} "
                f"on the same genes ({plain:.1%}), which with these samples "
                + say_verdict(p < LEVEL, f"{test} p = {p:.2g}")
            )
        return (
            f"{network:.1%} of {result.n_test} held-out samples are right (95 % interval "
            f"{low:.1%} to {high:.1%}): {verdict}. Always naming the largest class gives "
            f"{result.chance:.1%}."
        )

    def _test_difference(self, result: Scored, table: pd.DataFrame) -> tuple[float, str]:
        """p of the network's accuracy differing from the reference's, and the test's name.

        Where samples were held out several times the folds are what is compared, by the corrected
        t test (Nadeau and Bengio 2003).
        """
        import pandas as pd

        reference = self.reference(result.baselines)
        right = pd.DataFrame(
            {name: table[name] == table["true"] for name in ("predicted", reference)}
        )
        if table["sample"].is_unique:
            return mcnemar(*right.to_numpy().T), "exact McNemar"
        means = right.groupby(table["fold"]).mean()
        tested = len(table) / len(means)
        difference = corrected_t(
            (means["predicted"] - means[reference]).to_numpy(),
            tested / (result.n_train + result.n_validation),
        )
        return difference.p, "corrected t test"

    def explain_gap(self, result: Scored, table: pd.DataFrame) -> list[str] | None:
        """The samples that only one of the two gets right."""
        reference = self.reference(result.baselines)
        network, plain = (table[name] == table["true"] for name in ("predicted", reference))
        if network.sum() >= plain.sum():
            return None
        lost = table[plain & ~network]
        pairs = lost.groupby("true")["predicted"].value_counts()
        true, named = pairs.idxmax()
        return [
            f"Only {self.baselines[reference].phrase} is right in {len(lost)} samples, only the "
            f"network in {(network & ~plain).sum()}. What it loses most is {true} taken for "
            f"{named} ({pairs.max()})."
        ]

    def beat_chance(self, result: Scored, table: pd.DataFrame) -> tuple[float, str]:
        """By the balanced accuracy; a sample that several splits tested is still one sample."""
        right = (table["true"] == table["predicted"]).groupby([table["sample"], table["true"]])
        right = right.mean()
        truth = right.index.get_level_values("true")
        classes, sizes = np.unique(truth, return_counts=True)
        hits = np.array([right.to_numpy()[truth == name].sum() for name in classes])
        recall, chance = (hits + 1) / (sizes + 2), 1 / len(classes)
        error = np.sqrt((recall * (1 - recall) / (sizes + 2)).sum()) / len(classes)
        balanced, low = (hits / sizes).mean(), recall.mean() - 1.96 * error
        value = (low - chance) / (1 - chance)
        return value, (
            f"the network's balanced accuracy is {balanced:.1%}, chance is {chance:.1%}; with 95 % "
            f"certainty it has come at least {max(value, 0):.0%} of the way from chance to perfect"
        )


@dataclass(frozen=True)
class Regression(Task):
    """Which number?"""

    unused: ClassVar[dict[str, dict[str, Any]]] = {
        "training": {
            "loss": "cross_entropy", "label_smoothing": 0.1, "class_weights": False,
            "balanced_sampling": False,
        },
        "cohort": {"merge": {}},
    }  # fmt: skip
    scale_fields: ClassVar[tuple[str, ...]] = ("mean", "sd")

    @property
    def objective(self) -> Objective:
        """The mean squared error."""
        from core.training.objectives import Values

        return Values()

    @property
    def aim(self) -> Aim:
        """Values, by ridge regression."""
        from core.models.tuned import VALUES

        return VALUES

    def known(self, texts: np.ndarray, label: str, samples: np.ndarray) -> np.ndarray:
        """Those that have a value."""
        known = ~np.isin(texts, MISSING_NUMBERS)
        if not known.any():
            raise InputError(f"No sample has a value of {label}. Choose another column.")
        return known

    def read(self, texts: np.ndarray, label: str) -> Targets:
        """Each text is a number."""
        import pandas as pd

        values = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(float)
        if (bad := np.isnan(values)).any():
            raise InputError(
                f"{bad.sum()} of {len(texts)} samples have a {label} that is no number, for "
                f"example {str(texts[bad][0])!r}. Regression needs numbers with a decimal point; "
                "for classes take the task classification."
            )
        if (bad := np.isinf(values)).any():
            raise InputError(
                f"{bad.sum()} samples have an infinite {label}. Correct them, or empty the cells."
            )
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) == 1 or np.std(values) <= 1e-6 * np.abs(values).max():
            raise InputError(
                f"{label} is {distinct[0]:g} in all samples, or nearly so: there is nothing to "
                "predict. Choose another column."
            )
        if len(distinct) < FEWEST_VALUES:
            found = ", ".join(f"{value:g}" for value in distinct)
            raise InputError(
                f"{label} has only {len(distinct)} different values ({found}): that looks like "
                "classes. Take the task classification, or another column."
            )
        if counts.max() > MOST_ALIKE * len(values):
            usual = distinct[counts.argmax()]
            raise InputError(
                f"{label} is {usual:g} in {counts.max()} of {len(values)} samples: it hardly "
                "varies, so there is next to nothing to predict. Choose another column."
            )
        return Targets([label], values, np.full(len(values), label))

    def strata(self, targets: Targets) -> np.ndarray:
        """Ranges between quantiles of the value, of about as many samples each."""
        y = targets.y
        number = int(np.clip(len(y) // SAMPLES_A_RANGE, 2, RANGES))
        edges = np.unique(np.quantile(y, np.linspace(0, 1, number + 1)))
        if len(edges) == 2:  # most samples have the lowest value, or the highest
            between = edges[1] if (y == edges[1]).mean() > 0.5 else y[y > edges[0]].min()
            edges = np.insert(edges, 1, between)
        place = np.clip(np.searchsorted(edges, y, side="right") - 1, 0, max(len(edges) - 2, 0))
        names = np.array([f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)])
        return names[place]

    def fit_scale(self, y: np.ndarray) -> Scale:
        """Mean and SD of the training samples."""
        return {"mean": float(y.mean()), "sd": float(y.std()) or 1.0}

    def encode(self, y: np.ndarray, scale: Scale) -> np.ndarray:
        """Standardised values."""
        return ((y - scale["mean"]) / scale["sd"]).astype(np.float32)

    def decode(self, answers: np.ndarray, scale: Scale) -> np.ndarray:
        """Values in the target's unit."""
        return scale["mean"] + scale["sd"] * answers

    def fit_baseline(
        self, name: str, x: np.ndarray, y: np.ndarray, outputs: int, seed: int,
        patients: np.ndarray | None, second: np.ndarray | None = None,
    ) -> FittedBaseline:  # fmt: skip
        """It answers with values in the target's unit."""
        return fit_value_baseline(name, x, y, seed, patients, second)

    def tabulate(
        self, y: np.ndarray, answers: np.ndarray, plain: Mapping[str, np.ndarray],
        outputs: Sequence[str],
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Values in the target's unit."""
        references = {name: plain[name][:, 0] for name in self.references}
        return {"true": y, "predicted": answers[:, 0], **references}

    def truth(self, table: pd.DataFrame, outputs: Sequence[str]) -> np.ndarray:
        """Values."""
        return table["true"].to_numpy(float)

    def matches(self, table: pd.DataFrame, confusion: list[list[int]]) -> bool:
        """Whether all are numbers."""
        values = table[["true", "predicted", self.reference(table)]].to_numpy(float)
        return len(table) > 0 and bool(np.isfinite(values).all())

    def answers(self, table: pd.DataFrame, outputs: Sequence[str]) -> np.ndarray:
        """Values."""
        return table[["predicted"]].to_numpy(float)

    def bound(
        self, y: np.ndarray, answers: np.ndarray, reference: np.ndarray, patients: np.ndarray
    ) -> tuple[dict[str, Limits | None], Limits | None]:
        """By the bootstrap over patients."""
        weights, n = weigh(patients), len(np.unique(patients))
        spreads = {m.name: gather(m.compute(y, answers, weights), n) for m in self.metrics}
        limits = {name: spread.interval() for name, spread in spreads.items()}
        first = self.metrics[self.first_metric]
        gap = spreads[first.name] - gather(first.compute(y, reference, weights), n)
        return {
            name: found and self.metrics[name].clip(found) for name, found in limits.items()
        }, gap.interval()

    def headline(self, result: Scored, table: pd.DataFrame) -> str:
        """R² beside the reference model's, and the mean absolute error."""
        reference = self.reference(result.baselines)
        phrase = self.baselines[reference].phrase
        network, plain = result.metrics["r2"], result.baselines[reference]["r2"]
        gap = network - plain
        if np.isclose(gap, 0):
            verdict = f"the same as {phrase} on the same genes"
        else:
            verdict = (
                f"{abs(gap):.2f} {'above' if gap > 0 else 'below'} {phrase} on the same genes "
                f"({plain:z.2f})"
            )
            if result.gap is not None:
                low, high = result.gap
                how = f"95 % interval of the difference {low:z.2f} to {high:z.2f}"
                verdict += f", which with these samples {say_verdict(low > 0 or high < 0, how)}"
        return (
            f"R² of {result.classes[0]} is {network:z.2f}{_say_limits(result.intervals.get('r2'))} "
            f"on {result.n_test} held-out samples, and the mean absolute error "
            f"{result.metrics['mae']:.3g}: {verdict}. Always naming the training mean gives an R² "
            f"of {result.baselines[self.floor]['r2']:z.2f}."
        )

    def explain_gap(self, result: Scored, table: pd.DataFrame) -> list[str] | None:
        """In how many samples which of the two is nearer to the truth."""
        reference = self.reference(result.baselines)
        network, plain = (abs(table[n] - table["true"]) for n in ("predicted", reference))
        if result.metrics["r2"] >= result.baselines[reference]["r2"]:
            return None
        return [
            f"{self.baselines[reference].title} is nearer to the truth in "
            f"{(plain < network).sum()} samples, the network in {(network < plain).sum()}."
        ]

    def beat_chance(self, result: Scored, table: pd.DataFrame) -> tuple[float, str]:
        """By R²."""
        value, limits = result.metrics["r2"], result.intervals.get("r2")
        low = value if limits is None else limits[0]
        return low, (
            f"the network's R² is {value:z.2f}, chance is 0; with 95 % certainty it explains at "
            f"least {max(low, 0):.0%} of the variance"
        )


def _say_limits(limits: Limits | None) -> str:
    return "" if limits is None else f" (95 % interval {limits[0]:z.2f} to {limits[1]:z.2f})"


TASKS: Registry[Task] = Registry(
    "task",
    [
        Classification(
            name="classification",
            title="Classes",
            help="Which of several classes is a sample, such as a tumour type?",
            metrics=CLASS_METRICS,
            first_metric="accuracy",
            baselines=BASELINES,
            references=("tuned_linear", "logistic_regression"),
            linear="logistic_regression",
            floor="majority",
            has_classes=True,
            gene_test="Welch t test",
            simulated_label="tumour_type",
            stratum="class",
        ),
        Regression(
            name="regression",
            title="A number",
            help="Which value has a sample, such as an age, a score or the expression of a gene "
            "that is left out of the image?",
            metrics=VALUE_METRICS,
            first_metric="r2",
            baselines=VALUE_BASELINES,
            references=("ridge_regression",),
            linear="ridge_regression",
            floor="mean",
            has_classes=False,
            gene_test="test of Pearson's correlation",
            simulated_label=None,
            stratum="range of values",
        ),
    ],
)
