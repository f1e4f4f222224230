"""What a run makes of splits, frozen stages and calibration: the whole path, without a worker."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import Cancelled
from core.evaluation.metrics import score
from core.files import read_json, write_json
from core.home import run_folder
from core.images.layout import GeneLayout
from core.runs.execute import Silent, Watch, execute, fold_folder
from core.runs.result import RunResult, headline, load_predictions
from core.runs.spec import PRESETS, RunSpec
from core.training.calibration import apply_temperature
from core.training.spec import TrainingSpec


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


def tiny_spec(dataset: str, **parts: dict) -> RunSpec:
    return RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
            "preparation": {"genes": 60},
            "network": {"image_size": 32, **parts.pop("network", {})},
            "training": {"epochs": 2, "precision": "float32", **parts.pop("training", {})},
            **parts,
        }
    )


def train_run(dataset: str, **parts: dict) -> tuple[RunSpec, RunResult]:
    spec = tiny_spec(dataset, **parts)
    return spec, execute(spec, run_folder(spec.id), Silent())


class Interrupted(Silent):
    """Stops the run when its first epoch is over."""

    over = False

    def epoch(self, fold: int, row: dict[str, Any]) -> None:
        self.over = True

    def cancelled(self) -> bool:
        return self.over


class Listening(Silent):
    """Keeps what a run says last."""

    def progress(self, done: int, total: int, text: str) -> None:
        self.said = done, total, text


@pytest.mark.parametrize(("patience", "words"), [(0, "about"), (3, "at most")])
def test_what_is_left_of_a_training_holds_what_other_folds_prepare(
    patience: int, words: str
) -> None:
    """Of 3 folds with 4 batches: 10 s until the first is done, then 3 s each, so 19 s a fold."""
    now, listener = 0.0, Listening()
    watch = Watch(listener, 3, TrainingSpec(epochs=2, patience=patience), lambda: now)
    watch.begin(0)
    watch.say("painting")
    assert listener.said == (0, 3, "Fold 1 of 3: painting")
    now = 10.0
    watch.on_batch(1, 4)
    assert listener.said == (1, 12, "Fold 1 of 3: epoch 1 of 2")
    now = 13.0
    watch.on_batch(2, 4)
    assert listener.said == (2, 12, f"Fold 1 of 3: epoch 1 of 2, {words} 44 seconds left")
    now = 20.0
    watch.begin(1)  # it took a second more
    now = 22.0
    watch.say("painting")
    assert listener.said == (1, 3, f"Fold 2 of 3: painting, {words} 38 seconds left")
    now = 26.0
    watch.on_batch(1, 4)
    now = 29.0
    watch.on_batch(2, 4)
    assert listener.said == (6, 12, f"Fold 2 of 3: epoch 1 of 2, {words} 26 seconds left")


@pytest.mark.parametrize("damaged", [False, True])
def test_an_interrupted_fold_goes_on_with_the_images_that_it_began_with(
    damaged: bool, dataset: str
) -> None:
    """Another processor or version may place genes elsewhere than the network has learned them."""
    spec = tiny_spec(dataset)
    with pytest.raises(Cancelled):
        execute(spec, run_folder(spec.id), Interrupted())
    path = fold_folder(run_folder(spec.id), 0) / "layout.npz"
    fitted = GeneLayout.load(path)
    begun = replace(fitted, row=fitted.col, col=fitted.row)
    begun.save(path)
    if damaged:
        path.write_bytes(b"")
    epochs = []
    reporter = Silent()
    reporter.epoch = lambda fold, row: epochs.append(row["epoch"])
    execute(spec, run_folder(spec.id), reporter)
    assert epochs == ([1, 2] if damaged else [2])
    found = GeneLayout.load(path)
    assert np.array_equal(found.row, (fitted if damaged else begun).row)


def test_repeats_are_pooled_and_tested_split_by_split(dataset: str) -> None:
    spec, result = train_run(dataset, split={"kind": "repeated_holdout", "repeats": 3})
    predictions = load_predictions(spec.id)
    assert result.scored == [0, 1, 2]
    assert result.n_test == predictions["sample"].nunique() < len(predictions)
    right = (predictions["true"] == predictions["predicted"]).mean()
    assert right == pytest.approx(result.metrics["accuracy"])
    assert "corrected t test" in headline(spec.id) or "the same as" in headline(spec.id)


def test_a_result_is_set_against_the_tuned_linear_model(dataset: str) -> None:
    spec, result = train_run(dataset)
    table = load_predictions(spec.id)
    assert list(result.baselines) == ["majority", "logistic_regression", "tuned_linear"]
    for name in ("logistic_regression", "tuned_linear"):
        right = (table["true"] == table[name]).mean()
        assert right == pytest.approx(result.baselines[name]["accuracy"])
    assert "the tuned linear model on the same genes" in headline(spec.id)


def test_folds_of_an_earlier_version_are_set_against_logistic_regression(dataset: str) -> None:
    spec, result = train_run(dataset, split={"kind": "kfold", "folds": 2})
    folder = run_folder(spec.id)
    place = fold_folder(folder, 0)
    fold = read_json(place / "fold.json")
    del fold["plain"]["tuned_linear"]
    write_json(place / "fold.json", fold)
    table = pd.read_csv(place / "predictions.csv").drop(columns="tuned_linear")
    table.to_csv(place / "predictions.csv", index=False)
    (folder / "result.json").unlink()
    again = execute(spec, folder, Silent())
    assert again.metrics == result.metrics
    assert list(again.baselines) == ["majority", "logistic_regression"]
    assert "tuned_linear" not in load_predictions(spec.id)
    assert "logistic regression on the same genes" in headline(spec.id)


def test_a_learning_curve_is_scored_by_its_largest_part(dataset: str) -> None:
    spec, result = train_run(dataset, split={"kind": "learning_curve", "sizes": 2})
    assert result.scored == [1]
    assert result.metrics["accuracy"] == result.folds[1]["accuracy"]
    assert sum(map(sum, result.confusion)) == result.n_test == len(load_predictions(spec.id)) / 2
    assert "McNemar" in headline(spec.id) or "the same as" in headline(spec.id)


def test_a_what_if_on_the_head_finds_its_features_computed(
    dataset: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.features.FrozenPart._pays", lambda *_: True)
    frozen = {"freeze": "backbone"}
    train_run(dataset, network=frozen, training={"variants": 2})
    kept = {path: path.read_bytes() for path in (home / "features").glob("*.npy")}
    assert len(kept) == 3  # two versions of the training samples, and the validation samples
    train_run(dataset, network={**frozen, "dropout": 0.5}, training={"variants": 2})
    assert {path: path.read_bytes() for path in (home / "features").glob("*.npy")} == kept


def test_the_result_holds_calibration_before_and_after(dataset: str) -> None:
    spec, result = train_run(dataset)
    predictions = load_predictions(spec.id)
    proba = predictions[[f"p_{name}" for name in result.classes]].to_numpy()
    y = np.searchsorted(result.classes, predictions["true"].to_numpy().astype(str))
    before = apply_temperature(proba, 1 / result.calibration["temperature"])
    for words, values in (("before", before), ("after", proba)):
        error = score(y, values)["calibration_error"]
        assert result.calibration[f"error_{words}"] == pytest.approx(error)


def test_the_result_holds_the_memory_that_was_needed(dataset: str) -> None:
    _, result = train_run(dataset)
    assert 10**6 < result.peak_bytes < 10**11  # of a GPU what the network takes


@pytest.mark.parametrize("name", PRESETS.names)
def test_a_preset_is_a_recipe_that_a_run_can_change(name: str, dataset: str) -> None:
    own = {"cohort": {"dataset": dataset, "label": "tumour_type"}, "network": {"pool": 7}}
    spec = RunSpec.parse(PRESETS[name].fill(own))
    assert spec.network.pool == 7
    for part, fields in PRESETS[name].parts.items():
        expected = {**fields, **own.get(part, {})}
        assert expected.items() <= getattr(spec, part).model_dump().items()
