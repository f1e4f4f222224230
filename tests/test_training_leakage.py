"""Two traps that make noise look learnable can't be built; held-out values decide nothing."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.stats import binom

from core.data.store import add_dataset
from core.home import run_folder
from core.models.baselines import fit_predict_proba
from core.runs.execute import execute, fold_folder
from core.runs.result import RunResult
from core.runs.spec import RunSpec
from core.runs.study import open_study
from tests.test_training_results import Silent

SAMPLES, GENES = 96, 3000


def keep(x: np.ndarray, copies: int = 1, scale: str = "log2") -> str:
    """Keep values as a dataset of two classes that mean nothing; returns its id."""
    samples = len(x)
    patient = np.arange(samples) // copies
    data = AnnData(
        x.astype(np.float32),
        obs=pd.DataFrame(
            {
                "type": np.where(patient % 2, "odd", "even"),
                "patient": [f"P{number}" for number in patient],
            },
            index=[f"S{number}" for number in range(samples)],
        ),
        var=pd.DataFrame(index=[f"G{number}" for number in range(x.shape[1])]),
    )
    data.uns = {"scale": scale, "source": "noise", "notes": []}
    return add_dataset(data, "noise").id


def train_run(dataset: str, **parts: object) -> tuple[RunSpec, RunResult]:
    spec = RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "type", "group": "patient"},
            "preparation": {"genes": 64},
            "network": {"image_size": 32},
            "training": {"epochs": 6, "precision": "float32"},
            **parts,
        }
    )
    return spec, execute(spec, run_folder(spec.id), Silent())


def assert_at_chance(right: float, n: int) -> None:
    """An accuracy that guessing reaches on `n` samples, at a level of one in ten thousand."""
    low, high = binom.interval(1 - 1e-4, n, 0.5)
    assert low <= round(right * n) <= high


def test_genes_chosen_of_thousands_of_noisy_ones_predict_nothing() -> None:
    x = np.random.default_rng(0).normal(8, 1, (SAMPLES, GENES))
    _, result = train_run(keep(x), split={"kind": "kfold", "folds": 3})
    assert_at_chance(result.metrics["accuracy"], SAMPLES)
    assert_at_chance(result.baselines["logistic_regression"]["accuracy"], SAMPLES)


def test_noisy_copies_of_a_patient_teach_nothing_about_others() -> None:
    """As if augmented before the split: six copies each, told by anything that looks at both."""
    rng = np.random.default_rng(1)
    patients, copies = 24, 6
    x = np.repeat(rng.normal(8, 1, (patients, 200)), copies, axis=0)
    dataset = keep(x + rng.normal(0, 0.1, x.shape), copies)
    spec, result = train_run(dataset, split={"kind": "kfold", "folds": 2})
    assert_at_chance(result.metrics["accuracy"], patients)  # copies aren't independent

    def nearest(group: str | None) -> float:
        study = open_study(spec.model_copy(update={"cohort": spec.cohort.changed(group=group)}))
        fold = study.folds[0]
        proba = fit_predict_proba(
            "nearest_neighbours", study.x[fold.fitting], study.y[fold.fitting],
            study.x[fold.test], 2, seed=0,
        )  # fmt: skip
        return float((proba.argmax(axis=1) == study.y[fold.test]).mean())

    assert nearest(None) > 0.9  # the trap, for who says that each sample is a patient
    assert nearest("patient") < 0.9


@pytest.mark.parametrize(
    ("name", "copies", "scale"),
    [
        ("expression", 1, "log2"),
        ("geometric", 1, "log2"),
        ("repeat_noise", 3, "log2"),
        ("thinning", 1, "counts"),
    ],
)
def test_held_out_values_decide_nothing_that_is_fitted(name: str, copies: int, scale: str) -> None:
    """The same run with other values in the test samples: bit for bit the same network."""
    x = np.random.default_rng(2).normal(8, 1, (30, 80)).round(2)
    x = 100 * x if scale == "counts" else x
    parts = {"training": {"epochs": 2, "precision": "float32", "augmentation": name}}
    spec, _ = train_run(keep(x, copies, scale), **parts)
    x[open_study(spec).folds[0].test] = 0
    other, _ = train_run(keep(x, copies, scale), **parts)
    assert other.cohort.dataset != spec.cohort.dataset
    for file in ("preprocessor.npz", "layout.npz"):
        found = [np.load(fold_folder(run_folder(run.id), 0) / file) for run in (spec, other)]
        for key in found[0].files:
            np.testing.assert_array_equal(found[0][key], found[1][key], f"{file}: {key}")
    models = [
        (fold_folder(run_folder(run.id), 0) / "model.safetensors").read_bytes()
        for run in (spec, other)
    ]
    assert models[0] == models[1]
