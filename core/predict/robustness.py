"""How much distortion a finished run's model stands, and who breaks first: network or linear model.

The run's own held-out samples are distorted as other laboratories would (`DISTORTIONS`), stronger
and stronger, and put to the network that had not seen them and to the linear model beside it.
"""

# ruff: noqa: D102 -- `Job` says what its methods are for

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict, ValidationError

from core.data.store import get_record
from core.errors import DamageError, InputError
from core.evaluation.differences import say_verdict
from core.evaluation.intervals import Bootstrap, gather, weigh
from core.evaluation.metrics import METRICS, Metric
from core.files import write_json
from core.home import run_folder, sent_folder
from core.jobs.job import Inputs, Job, Reporter, stoppable
from core.jobs.launch import AnswerState, answer_state, request, stop
from core.predict.distortions import DISTORTIONS, Distortion, Measured, Weights
from core.predict.model import Model, ensure_references, load_model
from core.predict.reference import Reference, draw_positions
from core.predict.together import prepare_rows
from core.runs.fitted import FittedModel
from core.runs.result import load_spec
from core.runs.study import Samples, open_samples
from core.training.tasks import Task

FILE = "robustness.json"
MOST_DISTORTED = 2000
"""At most about so many held-out samples are distorted: more cost time and say little more."""
BROKEN = 0.05
"""A model breaks where its score has fallen by so much: 5 points of accuracy, 0.05 of R²."""
PLAIN, REPAIRED = "none", "quantile"
"""Names in TOGETHER: values as they are, and what may repair them."""
NETWORK, LINEAR = "network", "linear"

Limits = tuple[float, float]


class Point(BaseModel):
    """The score of a model under a distortion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distortion: str
    """A name in DISTORTIONS."""
    level: float
    together: str
    """How the distorted values were brought to training: a name in TOGETHER."""
    model: Literal["network", "linear"]
    score: float
    """Mean over the distortion's draws."""
    low: float | None
    """95 %, over patients."""
    high: float | None


class Verdict(BaseModel):
    """Who breaks first under a distortion, of values that are not brought together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    distortion: str
    level: float
    """The lowest at which a model's score has fallen by BROKEN; where none does, the strongest."""
    broken: bool
    """Whether one does."""
    difference: float
    """By how much more the network's score has fallen there than the linear model's."""
    interval: Limits | None
    """95 %, over patients."""

    @property
    def first(self) -> Literal["network", "linear", "alike", "neither"]:
        """Who breaks first."""
        if not self.broken:
            return "neither"
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "alike"
        return NETWORK if self.difference > 0 else LINEAR


class Robustness(BaseModel):
    """A run's own held-out samples under every distortion that there is for its scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    """The task's first."""
    linear: str
    """The linear model in words."""
    samples: int
    """Held-out samples that were distorted, each as often as folds held it out."""
    held_out: int | None = None
    """Held-out samples that there are; None in answers from before only some were taken."""
    patients: int
    points: list[Point]
    verdicts: list[Verdict]
    """One a distortion, in the order in which they are shown."""

    def say_samples(self) -> str:
        """On how many held-out samples, in words."""
        said = f"{self.samples:,} held-out samples of {self.patients:,} patients"
        if self.held_out in (None, self.samples):
            return said
        return f"{said}, drawn at random from {self.held_out:,}"

    def table(self) -> pd.DataFrame:
        """A row a point, under the names of `Point`."""
        return pd.DataFrame([point.model_dump() for point in self.points])

    def summarise(self) -> str:
        """Who breaks first under how many of the distortions, in words."""
        first = [verdict.first for verdict in self.verdicts]
        said = {
            NETWORK: "the network breaks first",
            LINEAR: f"{self.linear} breaks first",
            "alike": "both break alike",
            "neither": "both stand it",
        }
        parts = [f"{words} in {first.count(who)}" for who, words in said.items() if who in first]
        title = METRICS[self.metric].title
        lost = f"{100 * BROKEN:.0f} points" if METRICS[self.metric].is_share else f"{BROKEN:g}"
        return (
            f"Of {len(first)} kinds of distortion, {', '.join(parts)}. A model breaks where it "
            f"has lost more than {lost} ({title})."
        )

    def describe(self, verdict: Verdict) -> str:
        """Who breaks first under a distortion, in words."""
        metric, distortion = METRICS[self.metric], DISTORTIONS[verdict.distortion]
        how = distortion.say(verdict.level)
        if verdict.first == "neither":
            said = f"Both stand it: at the strongest, {how}, {self._say_falls(verdict, PLAIN)}."
        else:
            said = {
                NETWORK: "The network breaks first",
                LINEAR: f"{self.linear.capitalize()} breaks first",
                "alike": "Both break alike",
            }[verdict.first]
            said += f": at {how} {self._say_falls(verdict, PLAIN)}. "
            said += _say_difference(verdict, metric)
            said += self._say_better(verdict)
        if any(point.together == REPAIRED for point in self.points):
            said += f" With quantiles of each sample {self._say_falls(verdict, REPAIRED)}."
        return said

    def _scores(self, verdict: Verdict, together: str) -> dict[tuple[str, float], float]:
        """(model, level) -> score."""
        return {
            (point.model, point.level): point.score
            for point in self.points
            if (point.distortion, point.together) == (verdict.distortion, together)
        }

    def _say_better(self, verdict: Verdict) -> str:
        """Where who breaks first is ahead all the same: what knows little has little to lose."""
        scores = self._scores(verdict, PLAIN)
        network, linear = (scores[name, verdict.level] for name in (NETWORK, LINEAR))
        ahead = {NETWORK: network > linear, LINEAR: linear > network}
        if not ahead.get(verdict.first, False):
            return ""
        return " What broke first is still the better of the two there."

    def _say_falls(self, verdict: Verdict, together: str) -> str:
        scores = self._scores(verdict, together)
        form = ".1%" if METRICS[self.metric].is_share else ".2f"
        network, linear = (
            f"from {scores[model, 0]:{form}} to {scores[model, verdict.level]:{form}}"
            for model in (NETWORK, LINEAR)
        )
        return f"the network goes {network}, {self.linear} {linear}"


def _say_difference(verdict: Verdict, metric: Metric) -> str:
    fall = metric.points * verdict.difference
    words = f"The network loses {abs(fall):{metric.digits}}{metric.unit} "
    words += "more" if fall >= 0 else "less"
    if verdict.interval is None:
        return f"{words}; too few samples for an interval."
    low, high = (metric.points * limit for limit in verdict.interval)
    if fall < 0:
        low, high = -high, -low
    limits = f"95 % interval {low:{metric.digits}} to {high:{metric.digits}}"
    return f"{words}, which {say_verdict(verdict.first != 'alike', limits)}."


def measure_robustness(
    model: Model, samples: Samples, progress: Callable[[int, int], None]
) -> Robustness:
    """Put a run's own held-out samples to its model under every distortion.

    Of more samples than MOST_DISTORTED so many are drawn, of each fold the same share.

    Args:
        model: of a run, with its references.
        samples: the run's.
        progress: told how many of how many times samples were put to the model.
    """
    prepared = model.folds[0].preprocessor
    kinds = [kind for kind in DISTORTIONS if prepared.scale in kind.scales]
    ways = [PLAIN] if prepared.spec.across != "none" else [PLAIN, REPAIRED]
    answers: dict[tuple, list[np.ndarray]] = {}
    tests = []
    every = [fitted.locate(samples).test for fitted in model.folds]
    held_out = sum(map(len, every))
    share = min(1.0, MOST_DISTORTED / held_out)
    total = len(model.folds) * len(ways) * sum(1 for _ in _questions(kinds))
    done = 0
    for fitted, reference, test in zip(model.folds, model.references, every, strict=True):
        test = draw_positions(test, max(round(share * len(test)), 1), fitted.spec.seed)
        data = Measured(samples.x[test], samples.genes, prepared.scale)
        rested_on = Weights(reference.genes, reference.importance)
        for kind, level, draw in _questions(kinds):
            distorted = kind.apply(data, level, rested_on, fitted.fold, draw) if kind else data
            for way in ways:
                progress(done, total)
                said = _answer(model.task, fitted, reference, distorted, way)
                for name, part in said.items():
                    key = (kind.name if kind else None, level, way, name, draw)
                    answers.setdefault(key, []).append(part)
                done += 1
        tests.append(test)
    progress(total, total)

    at = np.concatenate(tests)
    metric = METRICS[model.task.first_metric]
    y, patients = samples.y[at], samples.who[at]
    weights, count = weigh(patients), len(np.unique(patients))

    def spread(kind: Distortion, level: float, way: str, name: str) -> Bootstrap:
        keys = (
            [(kind.name, level, way, name, draw) for draw in range(kind.draws)]
            if level
            else [(None, 0.0, way, name, 0)]
        )
        values = [metric.compute(y, np.concatenate(answers[key]), weights) for key in keys]
        return gather(np.mean(values, axis=0), count)

    points, verdicts = [], []
    for kind in kinds:
        spreads = {
            (level, way, name): spread(kind, level, way, name)
            for way in ways
            for name in (NETWORK, LINEAR)
            for level in kind.levels
        }
        points += [
            _point(kind.name, level, way, name, found, metric)
            for (level, way, name), found in spreads.items()
        ]
        verdicts.append(_judge(kind, spreads))
    plain = model.task.baselines[model.task.reference(model.folds[0].baselines)]
    return Robustness(
        metric=metric.name,
        linear=plain.phrase,
        samples=len(at),
        held_out=held_out,
        patients=count,
        points=points,
        verdicts=verdicts,
    )


def _questions(kinds: list[Distortion]) -> Iterator[tuple[Distortion | None, float, int]]:
    """Everything that a fold is asked: its samples as they are, then each level and draw."""
    yield None, 0.0, 0
    for kind in kinds:
        for level in kind.levels[1:]:
            for draw in range(kind.draws):
                yield kind, level, draw


def _answer(
    task: Task, fitted: FittedModel, reference: Reference, data: Measured, together: str
) -> dict[str, np.ndarray]:
    """network, linear -> (samples, outputs)."""
    genes = pd.DataFrame(index=data.genes)
    cohort = AnnData(X=data.x, var=genes, uns={"scale": data.scale})
    rows = prepare_rows(fitted, reference, cohort, together)
    return {NETWORK: fitted.answer(rows), LINEAR: reference.answer(task, rows)}


def _point(
    distortion: str, level: float, together: str, model: str, found: Bootstrap, metric: Metric
) -> Point:
    limits = found.interval()
    low, high = (None, None) if limits is None else metric.clip(limits)
    return Point(
        distortion=distortion, level=level, together=together, model=model, score=found.estimate,
        low=low, high=high,
    )  # fmt: skip


def _judge(kind: Distortion, spreads: dict[tuple[float, str, str], Bootstrap]) -> Verdict:
    """Who breaks first, of what each model scores at each level."""

    def fall(level: float, model: str) -> Bootstrap:
        return spreads[kind.levels[0], PLAIN, model] - spreads[level, PLAIN, model]

    broken = [
        level
        for level in kind.levels
        if max(fall(level, model).estimate for model in (NETWORK, LINEAR)) > BROKEN
    ]
    level = broken[0] if broken else kind.levels[-1]
    difference = fall(level, NETWORK) - fall(level, LINEAR)
    return Verdict(
        distortion=kind.name, level=level, broken=bool(broken), difference=difference.estimate,
        interval=difference.interval(),
    )  # fmt: skip


def robustness_path(run: str) -> Path:
    """Where the answer stands."""
    return run_folder(run) / FILE


def load_robustness(run: str) -> Robustness:
    """How a run's model stands distortion; raises InputError until it stands, or is damaged."""
    path = robustness_path(run)
    try:
        return Robustness.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError("This model hasn't been put to distorted samples yet.") from None
    except (OSError, ValidationError):
        raise DamageError(
            f"{path.name} of run {run} is damaged. Measure it again: the page Predict offers that."
        ) from None


class RobustnessJob(Job):
    """How much distortion a run's model stands; the answer stands in the run's folder."""

    kind: ClassVar[str] = "robustness"

    about: str
    """The run."""

    def title(self) -> str:
        return f"How much distortion run {self.about[:6]} stands"

    def inputs(self) -> Inputs:
        return Inputs((load_spec(self.about).cohort.dataset,), (self.about,))

    def effort(self) -> tuple:
        return (self.kind, self.about)

    def stands(self) -> bool:
        return robustness_path(self.about).exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        if self.stands():
            return
        _refuse_sent(self.about)
        reporter.progress(0, 1, "opening the model")
        progress = stoppable(reporter, "steps")
        ensure_references(self.about, progress)
        model = load_model(self.about)
        found = measure_robustness(model, open_samples(model.spec), progress)
        write_json(robustness_path(self.about), found.model_dump(mode="json"))


def request_robustness(run: str) -> None:
    """Have it measured in the background, unless that stands or is under way.

    Raises InputError where the samples that the run held out aren't here.
    """
    _refuse_sent(run)
    get_record(load_spec(run).cohort.dataset)
    request(RobustnessJob(about=run))


def robustness_state(run: str) -> AnswerState:
    """Whether the answer stands, and how far it is."""
    return answer_state(RobustnessJob(about=run))


def cancel_robustness(run: str) -> None:
    """Have it stop, unless it has ended."""
    stop(RobustnessJob(about=run))


def _refuse_sent(run: str) -> None:
    if sent_folder(run).exists():
        raise InputError(
            "How much distortion a model stands is measured on the samples that its run held out, "
            "and this model was sent without them. Ask where it was trained."
        )
