"""The trust card of an attribution, with the two runs that it is held against.

Those are the run with permuted labels, which must find nothing, and the planted self-test: the
same recipe on simulated data of the same size, whose true genes are known. Both are runs like any
other, and are looked up anew each time, since they may end at any time.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import DamageError, InputError
from core.escape import read_csv, write_csv
from core.explain.evidence import judge_data, measure_permuted, measure_planted
from core.explain.measures import (
    Evidence,
    Light,
    can_measure,
    judge,
    without_control,
    without_genes,
)
from core.explain.methods import Recipe
from core.files import UNREADABLE, read_json, write_atomic, write_json
from core.home import run_folder
from core.runs.explain import beat_chance, class_genes, read_evidence
from core.runs.explaining import explanation_state
from core.runs.leaks import find_starts
from core.runs.result import load_result, load_spec, result_path
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunStore
from core.runs.study import open_study
from core.runs.whatif import permuted_labels
from core.training.tasks import TASKS

PLANTED_GENES = (200, 5000)
"""Bounds of the simulation."""
PLANTED_SAMPLES = (50, 20_000)


@dataclass(frozen=True)
class TrustCard:
    """What speaks for and against an attribution."""

    light: Light
    """The worst of the lights"""
    evidence: list[Evidence]


def load_evidence(run: str, recipe: Recipe) -> TrustCard:
    """Read a computed trust card; raises InputError while there is none."""
    evidence = [
        judge_data(load_result(run).findings),
        *read_evidence(run, recipe),
        _look_at_permuted(run),
        _look_at_planted(run, recipe),
    ]
    return TrustCard(judge(evidence), evidence)


def request_permuted(run: str) -> RunRecord:
    """Queue the run with permuted labels; one that is known is only given back.

    Raises InputError when it starts from a run that has learned these permuted labels.
    """
    spec = permuted_labels(load_spec(run))
    find_starts(spec, open_study(spec))
    return RunStore().submit(spec, f"Permuted labels of {run[:6]}", parent=run)[0]


def request_planted(run: str, data: AnnData) -> RunRecord:
    """Queue the planted self-test of a run on `data`; one that is known is only given back.

    Of the run's specification stays how genes are chosen, painted and learned; samples, classes
    and lists of genes are the simulation's. Ids are of nobody else, so that weights of a run on
    other simulated data have not seen these patients. Where the dataset is larger than the
    simulation can be, that is as large as it can be.
    """
    spec = load_spec(run)
    label = TASKS[spec.task].simulated_label
    if label is None:
        raise InputError(
            "The simulation plants genes of classes, so there is no planted self-test of a "
            f"{spec.task}."
        )
    data = spec.cohort.select(data)
    samples = int(np.clip(data.n_obs, *PLANTED_SAMPLES))
    genes = int(np.clip(data.n_vars, *PLANTED_GENES))
    planted, truth = simulate(samples, genes, int(run, 16) % 2**31)  # not the example
    planted.obs_names = [f"{run[:6]} {name}" for name in planted.obs_names]
    planted.obs["patient"] = [f"{run[:6]} {name}" for name in planted.obs["patient"]]
    dataset = add_dataset(planted, f"Planted self-test, {samples} x {genes}").id
    document = spec.model_dump(mode="json")
    document["cohort"] = {"dataset": dataset, "label": label, "group": "patient"}
    document["permute_labels"] = False
    document["preparation"] |= {"scale": "auto", "floor": 0.0, "gene_list": (), "without": ()}
    if spec.split.batch is not None:
        document["split"]["batch"] = "batch"
    record, _ = RunStore().submit(RunSpec.parse(document), f"Planted self-test of {run[:6]}")
    folder = run_folder(run)
    write_atomic(folder / "planted.csv", lambda path: write_csv(truth, path))
    write_json(folder / "planted.json", {"run": record.id})
    return record


def planted_run(run: str) -> str | None:
    """The id of a run's planted self-test, if it was asked for.

    Raises DamageError when what says so is damaged: asking again writes it anew.
    """
    planted = _read_planted(run)
    return None if planted is None else planted[0]


def _read_planted(run: str) -> tuple[str, pd.DataFrame] | None:
    """The run on the simulated data, and their true genes."""
    folder = run_folder(run)
    if not (folder / "planted.json").exists():
        return None
    try:
        return str(read_json(folder / "planted.json")["run"]), read_csv(folder / "planted.csv")
    except UNREADABLE:
        raise DamageError(
            f"What is known of the planted self-test of run {run} is damaged. Ask for it again: it "
            "is written anew, and nothing is trained twice."
        ) from None


def planted_recipe(recipe: Recipe) -> Recipe:
    """The recipe as it is put to the test: the simulation lacks its classes and samples."""
    return replace(recipe, against=None, towards=None, samples=())


def _look_at_permuted(run: str) -> Evidence:
    control = permuted_labels(load_spec(run)).id
    if control == run or not result_path(control).exists():
        return without_control("permuted", "This run has not been repeated with permuted labels.")
    return measure_permuted(*beat_chance(control))


def _look_at_planted(run: str, recipe: Recipe) -> Evidence:
    if not can_measure("planted", recipe.method):
        return without_genes("planted", recipe.method)
    if TASKS[load_spec(run).task].simulated_label is None:
        return without_control("planted", "The simulation plants genes of classes only.")
    try:
        planted, recipe = _read_planted(run), planted_recipe(recipe)
    except DamageError as damage:
        return without_control("planted", str(damage))
    if planted is None or explanation_state(planted[0], recipe).state != "done":
        return without_control("planted", "The recipe has not been tried on known genes.")
    return measure_planted(class_genes(planted[0], recipe), planted[1])
