"""A finished run's held-out predictions beside those of baseline models on the same samples."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from core.data.store import get_record, read_column
from core.errors import InputError
from core.evaluation.intervals import CELLS, Bootstrap, gather, weigh, weigh_by_name
from core.evaluation.metrics import METRICS
from core.files import UNREADABLE, read_json, write_array, write_json
from core.home import dataset_folder, run_folder
from core.runs.fitted import load_fitted
from core.runs.network_genes import genes_path, score_genes, write_genes
from core.runs.result import RunResult, load_predictions, load_result, load_spec
from core.runs.spec import RunSpec
from core.runs.study import fit_baseline, open_samples
from core.training.tasks import TASKS, Task

NETWORK = "network"
"""The name of the run's own model, beside the names of the task's baseline models."""
DRAWS_BY_NAME = 500
"""Draws of patients in which runs on different test sets can be compared."""
MEASURES_VERSION = np.array(1)
"""Raised when a metric, or the weights that it is measured under, change."""


@dataclass(frozen=True)
class Outcome:
    """What a run's network and the baseline models said about each held-out sample, by id."""

    run: str
    spec: RunSpec
    result: RunResult
    samples: np.ndarray
    """(samples,) ids, sorted; a sample that several folds tested stands there several times."""
    patients: np.ndarray
    """(samples,) whom each is from; the sample itself where that isn't known."""
    patients_known: bool
    """Whether the run has a patient column and its dataset is still there."""
    folds: np.ndarray
    """(samples,) which fold held the sample out."""
    y: np.ndarray
    """(samples,) class numbers; of a regression the true values."""
    proba: dict[str, np.ndarray]
    """Model -> (samples, classes) probabilities; of a regression (samples, 1) values."""
    validation_loss: np.ndarray
    """(folds,) of the network that was kept, on the fold's validation samples."""
    second: str | None = None
    """The column that the second head of the network with two heads learned."""
    _kept: dict = field(default_factory=dict, repr=False, compare=False)

    @property
    def task(self) -> Task:
        """What was predicted."""
        return TASKS[self.spec.task]

    @property
    def settings(self) -> dict[str, Any]:
        """The spec's, not to be changed."""
        return self._keep(("settings",), lambda: self.spec.settings)

    @property
    def n_test(self) -> int:
        """Different samples that were held out."""
        return self._keep(("n_test",), lambda: len(np.unique(self.samples)))

    @property
    def n_patients(self) -> int:
        """Different patients who were held out."""
        return self._keep(("n_patients",), lambda: len(np.unique(self.patients)))

    @property
    def test_to_train(self) -> float:
        """Samples held out of a fold, divided by those that it was fitted on."""
        held_out = len(self.y) / len(self.result.scored)
        return held_out / (self.result.n_train + self.result.n_validation)

    def right(self, model: str = NETWORK) -> np.ndarray:
        """(samples,) whether the model names the class; of a classification only."""
        return self.proba[model].argmax(axis=1) == self.y

    def scores(self, model: str = NETWORK) -> dict[str, float]:
        """All metrics of the task, over all held-out samples."""
        return self._keep(("scores", model), lambda: self.task.score(self.y, self.proba[model]))

    def by_fold(self, metric: str, model: str = NETWORK) -> np.ndarray:
        """(folds,) the metric on each fold's held-out samples, in the order of the folds."""
        return self._values(metric, model)[: len(self.result.scored)]

    def spread(self, metric: str, model: str = NETWORK) -> Bootstrap:
        """The metric with patients drawn anew; runs on the same samples draw the same ones."""
        values = self._values(metric, model)[len(self.result.scored) + DRAWS_BY_NAME :]
        return gather(values, self.n_patients)

    def draws_by_name(self, metric: str, model: str = NETWORK) -> np.ndarray:
        """(DRAWS_BY_NAME,) the metric with patients drawn anew, who count alike in every run."""
        folds = len(self.result.scored)
        return self._values(metric, model)[folds : folds + DRAWS_BY_NAME]

    def interval(self, metric: str, model: str = NETWORK) -> tuple[float, float] | None:
        """95 % interval of the metric over patients; None where the bootstrap can't be trusted."""
        if not METRICS[metric].has_interval:
            return None
        limits = self.spread(metric, model).interval()
        return None if limits is None else METRICS[metric].clip(limits)

    def same_samples(self, other: "Outcome") -> bool:
        """Whether the two were tested on the same samples of the same classes."""
        mine, others = self.spec.cohort, other.spec.cohort
        return (
            (mine.dataset, mine.label, self.spec.task)
            == (others.dataset, others.label, other.spec.task)
            and np.array_equal(self.samples, other.samples)
            and np.array_equal(self.patients, other.patients)
        )

    def measure(self, metric: str, model: str) -> np.ndarray:
        """(weightings,) the metric for each fold, each draw by name and each of `weigh`'s rows."""
        compute = METRICS[metric].compute
        return np.concatenate(
            [compute(self.y, self.proba[model], weights) for weights in self._weigh()]
        )

    def _weigh(self) -> Iterator[np.ndarray]:
        """Weights of the samples (some weightings, samples), block by block."""
        yield (self.folds == np.unique(self.folds)[:, None]).astype(float)
        patients, number = np.unique(self.patients, return_inverse=True)
        size = max(1, CELLS // len(number))
        for weights in _weigh_patients(tuple(patients)):
            for start in range(0, len(weights), size):
                yield weights[start : start + size, number].astype(float)

    def _values(self, metric: str, model: str) -> np.ndarray:
        return self._keep(("values", metric, model), lambda: self.measure(metric, model))

    def _keep(self, key: tuple, compute: Callable):
        """Compute once: a page asks again at every click."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]


def load_outcome(run: str) -> Outcome:
    """Read a finished run; raises InputError while it has no result."""
    result = load_result(run)
    spec = load_spec(run)
    table = load_predictions(run)
    table = table[table["fold"].isin(result.scored)]
    fitted = [load_fitted(run, fold) for fold in result.scored]
    task = TASKS[result.task]
    proba = {NETWORK: task.answers(table, result.classes)}
    for baseline in task.baselines:
        kept = _read_array(_baseline_path(run, baseline.name), len(table))
        if kept is not None:
            proba[baseline.name] = kept
        elif baseline.name in result.baselines:
            proba[baseline.name] = np.concatenate(
                [fold.baselines[baseline.name] for fold in fitted]
            )
    samples = table["sample"].to_numpy().astype(str)
    patients = _patients_of(spec, samples)
    folds = table["fold"].to_numpy()
    order = np.lexsort((folds, samples))
    outcome = Outcome(
        run=run,
        spec=spec,
        result=result,
        samples=samples[order],
        patients=(samples if patients is None else patients)[order],
        patients_known=patients is not None,
        folds=folds[order],
        y=task.truth(table, result.classes)[order],
        proba={name: values[order] for name, values in proba.items()},
        validation_loss=np.array([fold.validation_loss for fold in fitted]),
        second=kept_second(run),
    )
    for model in outcome.proba:
        _read_measures(outcome, model)
    return outcome


def keep_measures(run: str) -> None:
    """Measure a finished run's models under all weights now, so that no page has to."""
    for _ in keep_measures_one_by_one(run):
        pass


def keep_measures_one_by_one(run: str) -> Iterator[None]:
    """The same, a model in each step."""
    outcome = load_outcome(run)
    for model in outcome.proba:
        path = _measures_path(outcome, model)
        if not path.exists():
            metrics = outcome.task.metrics.names
            table = np.stack([outcome.measure(metric, model) for metric in metrics])
            write_array(path, table)
            yield


def shared_reference(outcomes: Sequence[Outcome]) -> str:
    """The baseline model that networks are set against where these runs stand side by side.

    The strongest that all of them have, by themselves or because it was asked for.
    """
    return outcomes[0].task.reference(*(outcome.proba for outcome in outcomes))


def extra_baselines(run: str) -> list[str]:
    """Names of the baseline models that a finished run didn't fit by itself."""
    result = load_result(run)
    return [name for name in TASKS[result.task].baselines.names if name not in result.baselines]


def missing_baselines(runs: list[str], second: str | None = None) -> list[tuple[str, str]]:
    """(run, baseline) pairs that the run didn't fit by itself and nobody has asked for yet.

    Args:
        runs: ids of finished runs.
        second: the column that a second head is to learn; None: whatever it learned, or else the
            run's batch. Where there is neither, no model of two heads is missing.
    """
    missing = []
    for run in runs:
        baselines, kept = TASKS[load_result(run).task].baselines, kept_second(run)
        for name in extra_baselines(run):
            record = baselines[name]
            stands = _baseline_path(run, name).exists()
            if record.is_network:
                stands = stands and genes_path(run, name).exists()
            if record.learns_second:
                wanted = second or kept or load_spec(run).cohort.batch
                stands = wanted is None or (stands and kept == wanted)
            if not stands:
                missing.append((run, name))
    return missing


def kept_second(run: str) -> str | None:
    """The column that the second head of a run's network learned; None where it has none yet."""
    path = _second_path(run)
    with suppress(*UNREADABLE):
        if path.exists():
            return str(read_json(path)["second"])
    return None


def compute_baselines(
    runs: list[str], progress: Callable[[int, int], None], second: str | None = None
) -> None:
    """Fit the baseline models that are missing, on each run's own folds, genes and seed; keep them.

    Runs that differ in layout, network or training only share the work. Of networks on genes it is
    also kept which genes decide.

    Args:
        runs: ids of finished runs.
        progress: told how many of how many run-model pairs are done.
        second: as in `missing_baselines`.

    Raises:
        InputError: a run has no result, its dataset was deleted, or the second label is no column,
            the class itself or the same for all; then nothing is fitted.
    """
    missing = missing_baselines(runs, second)
    alike: dict[tuple[str, str | None], list[str]] = {}
    for run in dict.fromkeys(run for run, _ in missing):
        wanted = second or kept_second(run) or load_spec(run).cohort.batch
        alike.setdefault((_shared(run), wanted), []).append(run)
    if second is not None:
        for group in alike.values():
            _check_second(load_spec(group[0]), second)
    done = 0
    progress(done, len(missing))
    for (_, column), group in alike.items():
        spec = load_spec(group[0])
        study = open_samples(spec)
        texts = None if column is None else _read_texts(spec, column, study.samples)
        prepared = []
        for number in load_result(group[0]).scored:
            fitted = load_fitted(group[0], number)
            fold = fitted.locate(study)
            x = fitted.source.transform(study)
            prepared.append((fold, x, fitted.preprocessor.genes))
        for record in TASKS[spec.task].baselines:
            name = record.name
            lacking = [run for run in group if (run, name) in missing]
            if not lacking:
                continue
            told = texts if record.learns_second else None
            answers, tables = [], []
            for fold, x, genes in prepared:
                model = fit_baseline(name, spec, study, fold, x, told)
                answers.append(model.answer(x[fold.test]))
                if record.is_network:
                    tables.append(score_genes(model, spec, study, fold, x, genes))
            for run in lacking:
                if tables:
                    _baseline_path(run, name).unlink(missing_ok=True)
                    write_genes(run, name, tables)
                if record.learns_second:
                    write_json(_second_path(run), {"second": column})
                write_array(_baseline_path(run, name), np.concatenate(answers))
            done += len(lacking)
            progress(done, len(missing))
        for run in group:
            keep_measures(run)


def _read_texts(spec: RunSpec, column: str, samples: np.ndarray) -> np.ndarray:
    """(samples,) texts of a column."""
    return read_column(spec.cohort.dataset, column).loc[samples].to_numpy().astype(str)


def _check_second(spec: RunSpec, column: str) -> None:
    """Raise InputError for a column that a second head has nothing to learn from."""
    columns = get_record(spec.cohort.dataset).columns
    if column not in columns:
        known = ", ".join(columns) or "none"
        raise InputError(f"The dataset has no column {column!r} to learn beside. Columns: {known}.")
    if column == spec.cohort.label:
        raise InputError(
            f"{column} is what the first head learns already. Name another column, such as the "
            "batch."
        )
    if len(columns[column]) == 1:
        only = next(iter(columns[column]))
        raise InputError(
            f"{column} is {only!r} for every sample, so that there is nothing to learn beside. "
            "Name another column."
        )


def _second_path(run: str) -> Path:
    return run_folder(run) / "baselines" / "second.json"


def _shared(run: str) -> str:
    """All that decides what a run's baselines answer; two versions may divide alike runs."""
    folds = [load_fitted(run, number) for number in load_result(run).scored]
    parts = [[part.tolist() for part in (f.train, f.validation, f.test)] for f in folds]
    return json.dumps([load_spec(run).key_without("layout", "network", "training"), parts])


def _baseline_path(run: str, name: str) -> Path:
    """(samples, classes) probabilities on the scored folds, in the order of predictions.csv."""
    return run_folder(run) / "baselines" / f"{name}.npy"


def _measures_path(outcome: Outcome, model: str) -> Path:
    """(metrics, weightings) what `measure` gives; the name says what it was computed from."""
    sources = [outcome.folds, outcome.patients, outcome.y, outcome.proba[model]]
    digest = blake2b(digest_size=8)
    for source in (MEASURES_VERSION, *sources):
        digest.update(np.ascontiguousarray(source))
    return run_folder(outcome.run) / "measures" / f"{model}-{digest.hexdigest()}.npy"


def _read_measures(outcome: Outcome, model: str) -> None:
    names = outcome.task.metrics.names
    table = _read_array(_measures_path(outcome, model), len(names))
    if table is None:
        return
    estimate = len(outcome.result.scored) + DRAWS_BY_NAME
    for name, values in zip(names, table, strict=True):
        outcome._kept["values", name, model] = values
    outcome._kept["scores", model] = dict(zip(names, table[:, estimate].tolist(), strict=True))


def _read_array(path: Path, rows: int) -> np.ndarray | None:
    """What was computed and kept; None, and it is computed again, where that is damaged."""
    if not path.exists():
        return None
    with suppress(*UNREADABLE):
        values = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if len(values) == rows and np.isfinite(values).any():
            return values
    with suppress(OSError):
        path.unlink()
    return None


@lru_cache(maxsize=4)
def _weigh_patients(patients: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Weights (weightings, patients) by name, and `weigh`'s, of patients in alphabetical order."""
    by_name = weigh_by_name(np.array(patients), DRAWS_BY_NAME)
    return by_name.astype(np.float32), weigh(np.array(patients)).astype(np.float32)


def _patients_of(spec: RunSpec, samples: np.ndarray) -> np.ndarray | None:
    if (
        spec.cohort.group is None
        or not (dataset_folder(spec.cohort.dataset) / "data.h5ad").exists()
    ):
        return None
    return read_column(spec.cohort.dataset, spec.cohort.group).loc[samples].to_numpy().astype(str)
