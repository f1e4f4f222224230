"""Applying a model to other samples: the match card and the calls, as jobs."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

import pandas as pd
from pydantic import BaseModel, ValidationError

from core.data.store import load_dataset
from core.errors import DamageError, InputError
from core.escape import read_csv, write_csv
from core.explain.methods import METHODS
from core.files import UNREADABLE, write_atomic, write_json
from core.home import sent_folder
from core.jobs.here import do_here
from core.jobs.job import Inputs, Job, Reporter, stoppable
from core.jobs.launch import AnswerState, answer_state, request, stop
from core.predict.labelled import Summary
from core.predict.matching import MatchCard, match
from core.predict.model import ensure_references, load_model
from core.predict.request import PredictRequest

MATCH, CALLS, PLACES, SUMMARY = "match.json", "calls.csv", "map.csv", "summary.json"
ASKED = "request.json"
NAMES = ("sample", "nearest", "kind", "set")
CLASSES = ("called", "linear_called", "nearest_class", "true", "class")
"""Columns of names, which are texts also where they look like numbers; those of classes are numbers
in a regression."""

_Record = TypeVar("_Record", bound=BaseModel)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of other samples, and how far that can be trusted."""

    request: PredictRequest
    match: MatchCard
    summary: Summary
    calls: pd.DataFrame
    """A row a sample; see `core.predict.calls.call`."""
    map: pd.DataFrame
    """A row a sample, those of training too; see `core.predict.calls.place`."""


def match_samples(asked: PredictRequest, progress: Callable[[int, int], None]) -> MatchCard:
    """How well the samples match the model: computed, unless it stands.

    Raises InputError where the model or the dataset can't be read.
    """
    with suppress(InputError):
        return load_match(asked)
    ensure_references(asked.model, progress)
    data = asked.cohort.select(load_dataset(asked.cohort.dataset))
    card = match(load_model(asked.model), data, asked, progress)
    asked.folder.mkdir(parents=True, exist_ok=True)
    write_json(asked.folder / ASKED, asked.model_dump(mode="json"))
    write_json(asked.folder / MATCH, card.model_dump(mode="json"))
    return card


def predict_samples(asked: PredictRequest, progress: Callable[[int, int], None]) -> None:
    """Call the samples, and write what came of it; does nothing where that stands.

    Raises InputError where the samples don't match the model, with the match card's words.
    """
    from core.predict.calls import call

    if (asked.folder / SUMMARY).exists():
        return
    card = match_samples(asked, progress)
    _refuse(card)
    model = load_model(asked.model)
    data = asked.cohort.select(load_dataset(asked.cohort.dataset))
    calls, places, summary = call(model, data, asked, card, progress)
    for name, table in ((CALLS, calls), (PLACES, places)):
        write_atomic(asked.folder / name, lambda path, table=table: write_csv(table, path))
    write_json(asked.folder / SUMMARY, summary.model_dump(mode="json"))


def _refuse(card: MatchCard) -> None:
    """Raise InputError with the match card's words where the samples don't match the model."""
    if card.refused:
        raise InputError(" ".join(f.message for f in card.findings if f.severity == "error"))


def predict_here(asked: PredictRequest, progress: Callable[[float, str], None]) -> Prediction:
    """Call the samples in this process, unless that stands, and wait for it.

    Raises InputError where the samples don't match the model, with the match card's words.
    """
    do_here(MatchJob(about=asked.model, asked=asked), progress)
    _refuse(load_match(asked))
    do_here(PredictJob(about=asked.model, asked=asked), progress)
    return load_prediction(asked)


def load_match(asked: PredictRequest) -> MatchCard:
    """The match card of a question; raises InputError until it stands, or where it is damaged."""
    return _read(asked, MATCH, MatchCard)


def load_prediction(asked: PredictRequest) -> Prediction:
    """The answer to a question; raises InputError until it stands, or where it is damaged."""
    summary = _read(asked, SUMMARY, Summary)
    texts = [*NAMES, *(CLASSES if summary.called else ())]
    numbers = ["disagreement", *(() if summary.called else CLASSES)]
    try:
        calls, places = (
            read_csv(
                asked.folder / name,
                dtype=dict.fromkeys(texts, str),
                na_values=dict.fromkeys(numbers, ""),
            )
            for name in (CALLS, PLACES)
        )  # fmt: skip
    except UNREADABLE:
        raise _describe_damage(asked, CALLS) from None
    return Prediction(asked, load_match(asked), summary, calls, places)


class MatchJob(Job):
    """Whether samples match a model, before anything is called."""

    kind: ClassVar[str] = "match"

    about: str
    """The model."""
    asked: PredictRequest

    def title(self) -> str:
        return f"Match card of {self.asked.cohort.dataset[:6]} for model {self.about[:6]}"

    def inputs(self) -> Inputs:
        datasets = {self.asked.cohort.dataset}
        if sent_folder(self.about).exists():
            return Inputs(tuple(datasets), models=(self.about,))
        datasets.add(load_model(self.about).spec.cohort.dataset)
        return Inputs(tuple(sorted(datasets)), (self.about,))

    def effort(self) -> tuple:
        return (self.kind, self.about)

    def stands(self) -> bool:
        return (self.asked.folder / MATCH).exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        reporter.progress(0, 1, "opening the model")
        match_samples(self.asked, stoppable(reporter, "steps"))


class PredictJob(MatchJob):
    """The calls, with the match card before them."""

    kind: ClassVar[str] = "predict"

    def title(self) -> str:
        return f"Calls of {self.asked.cohort.dataset[:6]} by model {self.about[:6]}"

    def stands(self) -> bool:
        return (self.asked.folder / SUMMARY).exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        reporter.progress(0, 1, "opening the model")
        predict_samples(self.asked, stoppable(reporter, "samples called"))


class WhyJob(MatchJob):
    """Which genes say so, for some of the samples that were called."""

    kind: ClassVar[str] = "why"

    samples: tuple[str, ...]
    """Ids, MOST_EXPLAINED at most."""
    method: str = "integrated_gradients"
    """A name in METHODS, one of `explaining_methods`."""

    def title(self) -> str:
        some = self.samples[0] if len(self.samples) == 1 else f"{len(self.samples)} samples"
        return f"{METHODS[self.method].title} of {some} by model {self.about[:6]}"

    @property
    def path(self) -> Path:
        """Where the answer stands."""
        return self.asked.folder / f"why-{self.key}.csv"

    def stands(self) -> bool:
        return self.path.exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        from core.predict.why import explain_calls

        reporter.progress(0, 1, "opening the model")
        predict_samples(self.asked, stoppable(reporter, "samples called"))
        prediction = load_prediction(self.asked)
        model = load_model(self.about)
        data = self.asked.cohort.select(load_dataset(self.asked.cohort.dataset))
        table = explain_calls(
            model, data, self.asked, prediction.calls, self.samples, self.method,
            stoppable(reporter, "samples explained"),
        )  # fmt: skip
        write_atomic(self.path, lambda path: write_csv(table, path))


def request_why(asked: PredictRequest, samples: Sequence[str], method: str) -> None:
    """Have the genes that speak for samples' calls computed in the background."""
    request(_why(asked, samples, method))


def why_state(asked: PredictRequest, samples: Sequence[str], method: str) -> AnswerState:
    """Whether these genes stand, and how far they are."""
    return answer_state(_why(asked, samples, method))


def load_why(asked: PredictRequest, samples: Sequence[str], method: str) -> pd.DataFrame:
    """A row a gene, the highest score first: see `core.predict.why.explain_calls`.

    Raises InputError until it stands, or where it is damaged.
    """
    path = _why(asked, samples, method).path
    try:
        return read_csv(path, dtype={"gene": str}, na_values={"away": ""})
    except FileNotFoundError:
        raise InputError("These samples haven't been explained yet.") from None
    except UNREADABLE:
        raise _describe_damage(asked, path.name) from None


def _why(asked: PredictRequest, samples: Sequence[str], method: str) -> WhyJob:
    return WhyJob(
        about=asked.model, asked=asked, samples=tuple(sorted(set(samples))), method=method
    )


def request_match(asked: PredictRequest) -> None:
    """Have the match card computed in the background, unless it stands or is under way."""
    request(MatchJob(about=asked.model, asked=asked))


def request_prediction(asked: PredictRequest) -> None:
    """Have the samples called in the background, unless that stands or is under way."""
    request(PredictJob(about=asked.model, asked=asked))


def match_state(asked: PredictRequest) -> AnswerState:
    """Whether the match card stands, and how far it is."""
    return answer_state(MatchJob(about=asked.model, asked=asked))


def prediction_state(asked: PredictRequest) -> AnswerState:
    """Whether the calls stand, and how far they are."""
    return answer_state(PredictJob(about=asked.model, asked=asked))


def cancel_prediction(asked: PredictRequest) -> None:
    """Have the calls, or the match card, stop, unless they have ended."""
    for job in (PredictJob, MatchJob):
        stop(job(about=asked.model, asked=asked))


def cancel_why(asked: PredictRequest, samples: Sequence[str], method: str) -> None:
    """Have the question for these genes stop, unless it has ended."""
    stop(_why(asked, samples, method))


def _read(asked: PredictRequest, name: str, record: type[_Record]) -> _Record:
    try:
        return record.model_validate_json((asked.folder / name).read_bytes())
    except FileNotFoundError:
        raise InputError("These samples haven't been put to the model yet.") from None
    except (OSError, ValidationError):
        raise _describe_damage(asked, name) from None


def _describe_damage(asked: PredictRequest, name: str) -> DamageError:
    return DamageError(
        f"What model {asked.model} said of these samples is damaged ({name}). Delete it, as the "
        "page Predict offers, and predict again."
    )
