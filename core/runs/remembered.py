"""What a training takes from the one before in the same process, where nothing that decides it
changed: a what-if so answers sooner, with the same bits as in a process of its own.
"""

import hashlib
import json
from contextlib import suppress

import numpy as np
from anndata import AnnData

from core.data.choices import load_choices
from core.data.notes import Finding
from core.data.store import get_record, load_dataset
from core.home import dataset_folder
from core.memory import Memory
from core.models.baselines import FittedBaseline
from core.models.tuned import LANDMARKS
from core.runs.doubts import find_doubts
from core.runs.source import Source, source_of
from core.runs.spec import RunSpec
from core.runs.study import Samples, fit_baseline
from core.training.splits import Fold
from core.training.tasks import TASKS

MEMORY = Memory(most=500e6)
"""A few folds of a thousand samples; a matrix of more than 500 MB is read for each training."""


def recall_dataset(dataset: str) -> AnnData:
    """A stored dataset, not to be changed; its file is read again when it was written again.

    Raises InputError as `load_dataset` does.
    """

    def read() -> AnnData:
        data = load_dataset(dataset)
        _protect(data.X)
        return data

    return MEMORY.recall(_name_dataset(dataset), read, lambda data: data.X.nbytes)


def recall_doubts(spec: RunSpec, data: AnnData) -> list[Finding]:
    """What `find_doubts` finds about a run's samples.

    `data` is its dataset, as `recall_dataset` gives it.
    """
    chosen = load_choices(spec.cohort.dataset)
    key = _name(
        "doubts", _name_dataset(spec.cohort.dataset), spec.cohort.model_dump(mode="json"),
        spec.task, spec.split.batch, spec.preparation.model_dump(mode="json"),
        None if chosen is None else chosen.model_dump(mode="json"),
    )  # fmt: skip
    return list(MEMORY.recall(key, lambda: find_doubts(spec, data), lambda found: 1000))


def recall_source(spec: RunSpec, samples: Samples, fold: Fold) -> tuple[Source, np.ndarray]:
    """The run's source, fitted on a fold, and the prepared rows of all samples.

    A training set and its layout are the same whatever learns from them.
    """

    def fit() -> tuple[Source, np.ndarray]:
        source = source_of(spec).fit(spec, samples, fold)
        rows = source.transform(samples)
        _protect(rows)
        return source, rows

    cohort, network = spec.cohort, spec.network
    key = _name(
        "source", cohort.dataset, cohort.label, _digest(samples.samples, samples.genes),
        _digest(fold.fitting), samples.scale, spec.preparation.model_dump(mode="json"),
        spec.layout.model_dump(mode="json"), network.image_size, network.products, spec.seed,
    )  # fmt: skip
    return MEMORY.recall(key, fit, lambda fitted: 2 * fitted[1].nbytes)


def recall_baseline(
    name: str, spec: RunSpec, samples: Samples, fold: Fold, rows: np.ndarray
) -> FittedBaseline:
    """A baseline model that has learned from the rows, as prepared, of a fold's samples."""
    fitting = fold.fitting
    learned, y, groups = rows[fitting], samples.y[fitting], samples.groups_of(fitting)
    key = _name(
        "baseline", name, TASKS[spec.task].baselines[name].version, spec.task, spec.seed,
        len(samples.classes), _digest(learned, y, groups),
    )  # fmt: skip

    def weigh(model: FittedBaseline) -> int:
        """The inner products of its samples and their axes are the most of a tuned one."""
        across = min(len(learned), LANDMARKS) if model.choice else 0
        return learned.nbytes + 5 * 8 * across**2

    return MEMORY.recall(key, lambda: fit_baseline(name, spec, samples, fold, rows), weigh)


def _name(*parts: object) -> str:
    return json.dumps(parts, sort_keys=True)


def _name_dataset(dataset: str) -> str:
    """A dataset's content as it is on the disk: its matrix's file, and its record."""
    record, file = get_record(dataset), None
    with suppress(OSError):  # reading it will say what is wrong
        found = (dataset_folder(dataset) / "data.h5ad").stat()
        file = found.st_size, found.st_mtime_ns
    return _name(record.model_dump(mode="json"), file)


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _protect(array: np.ndarray) -> None:
    array.flags.writeable = False
