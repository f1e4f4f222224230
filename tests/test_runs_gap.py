"""Why a network is below logistic regression, from runs whose answers are known."""

import re
from pathlib import Path

import pytest

from core.compare.gap import explain_gap
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.files import read_json, write_json
from core.home import run_folder
from core.runs.result import load_predictions
from tests.test_runs_compare import finish_run


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


def test_nothing_is_explained_where_the_network_is_not_below(dataset: str) -> None:
    for wrong in (0.05, 0.1):
        assert explain_gap(finish_run(dataset, wrong, plain_wrong=0.1)) == []


def test_what_is_lost_is_counted_and_the_settings_known_to_cost_are_named(dataset: str) -> None:
    run = finish_run(
        dataset, 0.5, plain_wrong=0.1, training={"augmentation": "flip"},
        network={"head": "torchvision", "weights": "imagenet"},
    )  # fmt: skip
    table = load_predictions(run)
    lost = table[
        (table["predicted"] != table["true"]) & (table["logistic_regression"] == table["true"])
    ]
    pair = lost.groupby(["true", "predicted"]).size()
    first, few, settings = explain_gap(run)
    assert f"right in {len(lost)} samples, only the network in 0." in first
    said, most = re.search(r"most is (.+) \((\d+)\)", first).groups()
    assert pair[tuple(said.split(" taken for "))] == int(most) == pair.max()
    assert "training samples per class" in few
    assert "moves genes" in settings
    assert "torchvision" in settings
    assert "random weights" not in settings


def test_a_loss_that_still_falls_asks_for_more_epochs(dataset: str) -> None:
    run = finish_run(dataset, 0.5, network={"weights": "imagenet"})
    path = run_folder(run) / "folds/0/fold.json"
    fold = read_json(path)
    for last, said in ((0.5, True), (0.995, False)):
        losses = [*[1.0] * 9, last]
        write_json(path, {**fold, "history": [{"validation_loss": loss} for loss in losses]})
        assert any("more epochs" in sentence for sentence in explain_gap(run)) == said
