"""A model: what predicts other samples, with what it remembers of those that it learned from."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.store import get_record
from core.errors import DamageError
from core.evaluation.metrics import score_counts
from core.home import sent_folder
from core.predict.reference import Learned, Reference, measure_fold
from core.predict.request import model_folder
from core.runs.fitted import FittedModel, load_fitted, read_fitted
from core.runs.result import kept_by, kept_sent, load_result, load_spec
from core.runs.spec import RunSpec
from core.runs.study import open_samples
from core.training.tasks import TASKS, Task


@dataclass(frozen=True, eq=False)
class Model:
    """The folds of a finished run that its result is of, or of a model that somebody sent."""

    id: str
    """The run's, or that under which a sent model is kept."""
    sent: bool
    """Whether it came without the samples that it learned from."""
    spec: RunSpec
    classes: list[str]
    """What it can answer; of a regression the target alone."""
    folds: list[FittedModel] = field(repr=False)
    record: pd.DataFrame = field(repr=False)
    """A row a class: class, n, recall, recall_low, recall_high, precision, f1 on the samples that
    its run held out; empty for a regression."""
    inside: dict[str, dict[str, float]] = field(repr=False)
    """network, linear -> its scores on the samples that its run held out."""
    held_out: int
    """How many those are."""

    @property
    def task(self) -> Task:
        """What it predicts."""
        return TASKS[self.spec.task]

    @cached_property
    def references(self) -> list[Reference]:
        """Each fold's; raises InputError until `ensure_references` has measured them."""
        return [Reference.load(reference_path(self.id, fold.fold)) for fold in self.folds]

    @cached_property
    def learned(self) -> Learned | None:
        """Samples that the first fold learned from; None of a model that was sent."""
        return None if self.sent else Learned.load(learned_path(self.id, self.folds[0].fold))


def reference_path(model: str, fold: int) -> Path:
    """Where a fold's reference stands."""
    return model_folder(model) / "reference" / f"{fold}.npz"


def learned_path(model: str, fold: int) -> Path:
    """Where the samples stand that a fold learned from."""
    return model_folder(model) / "reference" / f"{fold}.samples.npz"


def load_model(model: str) -> Model:
    """A finished run, or a model that somebody sent, as what predicts.

    Raises InputError when there is none of that id, the run isn't finished, or files are damaged.
    """
    sent = sent_folder(model).exists()
    kept = kept_sent(model) if sent else kept_by(model)
    result = kept.result if sent else load_result(model)
    task = TASKS[result.task]
    record = pd.DataFrame()
    if task.has_classes:
        record = score_counts(np.array(result.confusion), result.classes)
    return Model(
        id=model,
        sent=sent,
        spec=kept.spec,
        classes=result.classes,
        folds=[read_fitted(kept, number) for number in result.scored],
        record=record,
        inside={
            "network": result.metrics,
            "linear": result.baselines[task.reference(result.baselines)],
        },
        held_out=result.n_test,
    )


def ensure_references(model: str, progress: Callable[[int, int], None]) -> None:
    """Measure what is missing of a run's references, or can't be read, from its dataset.

    Raises InputError where the dataset is gone.
    """
    if sent_folder(model).exists():
        return
    missing = [number for number in load_result(model).scored if not _stands(model, number)]
    if not missing:
        return
    spec = load_spec(model)
    get_record(spec.cohort.dataset)  # says which dataset is gone
    samples = open_samples(spec)
    for done, number in enumerate(missing):
        progress(done, len(missing))
        reference, learned = measure_fold(load_fitted(model, number), samples)
        learned.save(learned_path(model, number))
        reference.save(reference_path(model, number))


def _stands(run: str, fold: int) -> bool:
    with suppress(DamageError):
        Reference.load(reference_path(run, fold))
        Learned.load(learned_path(run, fold))
        return True
    return False
