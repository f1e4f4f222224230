"""The samples of a run and how they are divided, without torch: what a page may check at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.prepare import check_reads
from core.data.store import load_dataset
from core.errors import InputError
from core.models.baselines import FittedBaseline
from core.runs.spec import RunSpec
from core.training.augmentations import AUGMENTATIONS
from core.training.repeats import group_repeats
from core.training.splits import Fold, make_folds
from core.training.tasks import TASKS, Targets


@dataclass(frozen=True)
class Samples:
    """The samples of a run: expression with every gene, and what each is to be predicted as."""

    samples: np.ndarray
    x: np.ndarray
    genes: np.ndarray
    scale: str
    classes: list[str]
    """What the network's scores are of: the classes; of a regression the target alone."""
    labels: np.ndarray
    """(samples,) the output that explains each: its class, or the target"""
    y: np.ndarray
    """(samples,) class numbers, or values in the target's unit"""
    patients: np.ndarray | None
    strata: np.ndarray
    """(samples,) names of what samples are divided by: classes, or ranges of the value"""
    left_out: int
    """Samples of the cohort without a value, which a regression leaves out."""

    @property
    def who(self) -> np.ndarray:
        """(samples,) each one's patient; where patients aren't known, the sample itself."""
        return self.samples if self.patients is None else self.patients

    def groups_of(self, positions: np.ndarray) -> np.ndarray:
        """(positions,) what inner folds keep together: patients, else each sample by its place.

        Baseline models and a head of the same samples so ask for the same folds.
        """
        return np.arange(len(positions)) if self.patients is None else self.patients[positions]


@dataclass(frozen=True)
class Study(Samples):
    """The samples of a run, and the folds that it is about to divide them into.

    What a run is asked after it began is about the folds that it wrote down: `load_fitted`.
    """

    folds: list[Fold]


def take_targets(spec: RunSpec, data: AnnData) -> tuple[AnnData, Targets]:
    """The cohort's samples that have a label, and what each is, as the run sees it.

    Args:
        spec: the run.
        data: its cohort's samples, as `Cohort.select` gives them.

    Raises:
        InputError: labels that are missing where they may not be, or that are nothing to learn.
    """
    task, label = TASKS[spec.task], spec.cohort.label
    texts = data.obs[label].to_numpy().astype(str)
    known = task.known(texts, label, data.obs_names.to_numpy())
    if not known.all():
        data, texts = data[known].copy(), texts[known]
    if spec.permute_labels:
        texts = np.random.default_rng(spec.seed).permutation(texts)
    return data, task.read(texts, label)


def open_samples(spec: RunSpec, data: AnnData | None = None) -> Samples:
    """Take a run's samples; raises InputError when the spec doesn't fit them."""
    return _take(spec, data)[0]


def open_study(spec: RunSpec, data: AnnData | None = None) -> Study:
    """Take a run's samples and divide them; raises InputError when the spec doesn't fit them."""
    samples, batches = _take(spec, data)
    labels, groups = samples.labels, samples.patients
    folds = make_folds(
        samples.strata, groups, spec.split, spec.seed, batches, TASKS[spec.task].stratum
    )
    needs = AUGMENTATIONS[spec.training.augmentation].needs
    if needs == "counts":
        check_reads(spec.preparation, samples.scale)
    if needs == "repeats":
        for fold in folds:
            group_repeats(labels[fold.fitting], None if groups is None else groups[fold.fitting])
    return Study(**vars(samples), folds=folds)


def find_fold(samples: Samples, parts: Mapping[str, Sequence[str]]) -> Fold:
    """A fold that was written down as ids, as positions among a run's samples.

    Raises InputError where they don't hold all of it.
    """
    place = pd.Index(samples.samples)
    found = {part: place.get_indexer(np.asarray(ids, dtype=str)) for part, ids in parts.items()}
    if missing := sum(int((positions < 0).sum()) for positions in found.values()):
        raise InputError(f"{missing} samples of the run's folds are not in its dataset any more.")
    return Fold(**found)


def _take(spec: RunSpec, data: AnnData | None) -> tuple[Samples, np.ndarray | None]:
    """A run's samples, and the batch of each where the split needs it."""
    cohort, batch = spec.cohort, spec.split.batch
    if data is None and cohort.dataset is None:
        raise InputError("The run's cohort has no dataset: give it the id of a stored one.")
    data = cohort.select(load_dataset(cohort.dataset) if data is None else data)
    if batch is not None and batch not in data.obs:
        known = ", ".join(data.obs.columns) or "none"
        raise InputError(f"The dataset has no batch column {batch!r}. Columns: {known}.")
    cohort_size = data.n_obs
    data, targets = take_targets(spec, data)
    groups = None if cohort.group is None else data.obs[cohort.group].to_numpy().astype(str)
    batches = None
    if "batch" in spec.split.record.fields:
        batches = data.obs[batch].to_numpy().astype(str)
    samples = Samples(
        samples=data.obs_names.to_numpy().astype(str),
        x=np.asarray(data.X, dtype=np.float32),
        genes=data.var_names.to_numpy().astype(str),
        scale=data.uns["scale"],
        classes=targets.outputs,
        labels=targets.labels,
        y=targets.y,
        patients=groups,
        strata=TASKS[spec.task].strata(targets),
        left_out=cohort_size - data.n_obs,
    )
    return samples, batches


def fit_baseline(
    name: str,
    spec: RunSpec,
    samples: Samples,
    fold: Fold,
    rows: np.ndarray,
    second: np.ndarray | None = None,
) -> FittedBaseline:
    """Fit a baseline model on a fold's training and validation samples.

    `rows` are all samples as prepared, `second` their texts of another column, for a model that
    learns one.
    """
    return TASKS[spec.task].fit_baseline(
        name, rows[fold.fitting], samples.y[fold.fitting], len(samples.classes), spec.seed,
        samples.groups_of(fold.fitting), None if second is None else second[fold.fitting],
    )  # fmt: skip
