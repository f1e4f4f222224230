"""Checks before a run is queued: a spec that can't work is refused and nothing is stored."""

import sys

import numpy as np
from anndata import AnnData

from core.data.cohort import Cohort
from core.data.store import add_dataset, content_hash
from core.errors import GeneCanvasError, InputError
from core.home import weights_folder
from core.images.layout import canvas_side
from core.images.layouts import check_reference
from core.models.own_weights import require_own_weights
from core.processes import run_module
from core.runs.estimate import Estimate
from core.runs.leaks import find_starts, say_start, start_weights
from core.runs.spec import RunSpec
from core.runs.study import open_study
from core.training.tasks import TASKS

FEW_TESTED = 10
"""Held-out samples of a class, below which its recall is a guess."""
MANY_PARAMETERS = 20_000
"""Parameters a training sample, above which a network from scratch mostly memorises."""


def preflight(spec: RunSpec, data: AnnData | None = None) -> None:
    """Check all that can be checked without training.

    Args:
        spec: what shall be trained.
        data: the dataset, where it is not stored yet.

    Raises:
        InputError: the spec doesn't fit its dataset, the genes don't fit on the image, the
            layout's reference file is missing, or the run that it starts from has learned from what
            it would test.
        WeightsError: the weights are of a file or a run, and are missing, damaged or don't fit.
    """
    check_reference(spec.layout)
    study = open_study(spec, data)
    canvas_side(min(spec.preparation.genes, study.x.shape[1]), spec.network.image_size)
    starts = find_starts(spec, study)
    if _needs_torch(spec):
        from core.models.network import build_network

        start = start_weights(spec, starts[0] if starts else None)
        build_network(spec.network, len(study.classes), seed=spec.seed, start=start)


def store_data(spec: RunSpec, data: AnnData, name: str) -> RunSpec:
    """The specification of a run on `data`, which is checked first and then stored.

    Raises:
        InputError: the cohort is of another dataset, `data` isn't as `read_dataset` gives it, or
            the run can't work on it.
    """
    spec = spec.model_copy(update={"cohort": put_cohort(spec.cohort, data)}).within(data.n_vars)
    preflight(spec, data)
    add_dataset(data, name)
    return spec


def put_cohort(cohort: Cohort, data: AnnData) -> Cohort:
    """A cohort as one of `data`.

    Raises:
        InputError: it is of another dataset, or `data` isn't as `read_dataset` gives it.
    """
    if "scale" not in data.uns:
        raise InputError(
            "Expected an AnnData that was read by GeneCanvas, got one without uns['scale']. Write "
            "it with adata.write_h5ad(PATH), and read that file."
        )
    dataset, named = content_hash(data), cohort.dataset
    if named not in (None, dataset):
        raise InputError(
            f"The cohort is of dataset {named[:12]}…, the AnnData is {dataset[:12]}…. Leave the "
            "cohort's dataset out, or give the AnnData that it names."
        )
    return cohort.model_copy(update={"dataset": dataset})


def say_consequences(
    spec: RunSpec, data: AnnData | None = None, cost: Estimate | None = None
) -> list[str]:
    """What a user should know before a run that can work is started, a sentence each.

    Args:
        spec: what shall be trained.
        data: the dataset, where it is at hand.
        cost: what the run was measured to need, where it was.

    Raises:
        InputError: the spec doesn't fit its dataset, or the run that it starts from has learned
            from what it would test.
    """
    study, record = open_study(spec, data), spec.network.record
    fold = study.folds[-1]
    said = say_start(spec, study, find_starts(spec, study))
    if spec.network.weights == "imagenet" and not (weights_folder() / record.file).exists():
        said.append(
            f"{record.file} ({record.megabytes:.0f} MB) is not here yet: the run downloads it from "
            f"{record.url} first. Without internet, put that file into {weights_folder()}."
        )
    if spec.cohort.group is None:
        said.append(
            "No patient column is chosen: samples of one patient may stand on both sides of the "
            "split, and the accuracy is then too good."
        )
    names, tested = np.unique(study.labels[fold.test], return_counts=True)
    few = [f"{name} ({n})" for name, n in zip(names, tested, strict=True) if n < FEW_TESTED]
    if study.left_out:
        said.append(
            f"{study.left_out} samples have no value of {spec.cohort.label} and are left out."
        )
    if few and len(study.classes) > 1:
        said.append(
            f"Fewer than {FEW_TESTED} held-out samples of {', '.join(few)}: one of them changes "
            "the class's recall by more than 10 points. Take more folds or a larger test share."
        )
    parameters = record.parameters if cost is None else cost.parameters
    if spec.network.freeze == "nothing" and parameters > MANY_PARAMETERS * len(fold.train):
        task = TASKS[spec.task]
        reference = task.baselines[task.references[0]]
        start = " from random weights" if spec.network.weights == "scratch" else ""
        said.append(
            f"{parameters / 1e6:.0f} million parameters learn from {len(fold.train)} training "
            f"samples{start}: compare with {reference.phrase}, which every run fits "
            "beside it, before believing the network."
        )
    if cost is not None and cost.peak_bytes > 0.8 * cost.free_bytes:
        said.append(
            f"Training needs about {cost.peak_bytes / 1e9:.1f} GB of memory, and "
            f"{cost.free_bytes / 1e9:.1f} GB are free. Take smaller images or smaller batches."
        )
    return said


def preflight_apart(spec: RunSpec, data: AnnData) -> None:
    """`preflight` for pages, which must not load torch: what needs it runs in another process.

    Args:
        spec: what shall be trained.
        data: its dataset, which a page has at hand.

    Raises:
        WeightsError: the weights are of a file outside of the weights folder.
        InputError: with the message of the error found there.
    """
    require_own_weights(spec.network.weights)
    if not _needs_torch(spec):
        preflight(spec, data)
        return
    answer = run_module("core.runs.preflight", spec.model_dump(mode="json"))
    if answer.returncode:
        raise InputError(answer.stderr.strip().splitlines()[-1])


def _needs_torch(spec: RunSpec) -> bool:
    return spec.network.weights.startswith(("file:", "run:"))


if __name__ == "__main__":
    try:
        preflight(RunSpec.model_validate_json(sys.stdin.read()))
    except GeneCanvasError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        sys.exit(2)
