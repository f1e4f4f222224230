"""What a fold keeps of its samples: the plain model as numbers, and what is usual."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import DamageError, InputError
from core.files import read_json
from core.home import run_folder
from core.models.baselines import BASELINES, linear_form
from core.models.value_baselines import VALUE_BASELINES
from core.predict.model import ensure_references, learned_path, load_model, reference_path
from core.predict.novelty import Novelty, energy_of, share_below
from core.predict.reference import Reference
from core.runs.execute import Silent, execute
from core.runs.fitted import load_fitted
from core.runs.spec import RunSpec
from core.runs.study import open_samples

STEPS = {"epochs": 1, "batch_size": 16, "precision": "float32"}
HEADS = {
    "linear": ({"head": "linear", "freeze": "backbone"}, {}),
    "scales": ({"head": "scales"}, STEPS),
    "torchvision": ({"head": "torchvision"}, STEPS),
}


def train(head: str) -> str:
    """A tiny run of two folds."""
    network, training = HEADS[head]
    spec = RunSpec.parse(
        {
            "cohort": {
                "dataset": add_dataset(simulate(60, 200, seed=1)[0], "tiny").id,
                "label": "tumour_type",
                "group": "patient",
            },
            "preparation": {"genes": 40},
            "network": {"image_size": 32, "pool": 2, "weights": "scratch", **network},
            "training": training,
            "split": {"kind": "kfold", "folds": 2},
        }
    )
    execute(spec, run_folder(spec.id), Silent(), torch.device("cpu"))
    return spec.id


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, dict[str, str]]:
    """A home with a run of each head, and their ids."""
    runs = {head: train(head) for head in HEADS}
    return shared_home, runs


@pytest.fixture(params=HEADS)
def run(request: pytest.FixtureRequest, trained: tuple[Path, dict[str, str]], home: Path) -> str:
    """One of the runs, in a home of the test's own."""
    shutil.copytree(trained[0], home)
    return trained[1][request.param]


def test_a_reference_answers_as_the_runs_own_plain_model(run: str) -> None:
    ensure_references(run, lambda *_: None)
    model = load_model(run)
    samples = open_samples(model.spec)
    for fold, reference in zip(model.folds, model.references, strict=True):
        rows = fold.source.transform(samples)[fold.locate(samples).test]
        assert np.allclose(
            reference.answer(model.task, rows), fold.baselines["tuned_linear"], atol=1e-9
        )
        assert reference.importance.sum() == pytest.approx(1)
        assert np.array_equal(reference.genes, fold.preprocessor.genes)
        share = share_below(reference.unlike, reference.unlike)
        assert share.min() == 0
        assert share.max() < 1
    assert len(model.learned.samples) == len(model.folds[0].train) + len(model.folds[0].validation)


def test_looking_at_a_network_gives_its_own_answers(run: str) -> None:
    fold = load_fitted(run, 0)
    rows = fold.source.transform(open_samples(fold.spec))
    maps, scores = zip(*fold.look(rows), strict=True)
    assert np.allclose(fold.read_scores(np.concatenate(scores)), fold.answer(rows), atol=1e-5)
    assert sum(len(part[0]) for part in maps) == len(rows)
    if fold.spec.network.is_solved:
        shares = read_json(run_folder(run) / "folds/0/fold.json")["shares"]
        assert len(maps[0]) == sum(share > 0 for share in shares.values())


def test_a_reference_that_is_missing_or_damaged_is_measured_anew(run: str) -> None:
    with pytest.raises(InputError):
        load_model(run).references  # noqa: B018
    ensure_references(run, lambda *_: None)
    path = reference_path(run, 0)
    before = path.read_bytes()
    again = Reference.load(path)
    again.save(path)
    assert Reference.load(path).arrays().keys() == again.arrays().keys()
    path.write_bytes(before[: len(before) // 2])
    with pytest.raises(DamageError, match="measured anew"):
        load_model(run).references  # noqa: B018
    ensure_references(run, lambda *_: None)
    assert np.array_equal(Reference.load(path).unlike, again.unlike)
    assert learned_path(run, 0).exists()


@pytest.mark.parametrize("name", ["tuned_linear", "logistic_regression", "ridge_regression"])
@pytest.mark.parametrize("classes", [2, 3])
def test_a_plain_model_is_its_numbers(name: str, classes: int) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(30) % classes
    x = rng.random((30, 8)) + y[:, None] * rng.random(8)
    model = BASELINES[name].build(0, 10).fit(x, y)
    weights, offset = linear_form(model, classes + 1)
    said = softmax(x @ weights + offset, axis=1)
    assert np.allclose(said[:, :-1], model.predict_proba(x), atol=1e-9)
    assert said[:, -1].max() < 1e-9  # a class that it has not met
    values = VALUE_BASELINES["ridge_regression"].build(0, 30).fit(x, 3 * x[:, 0] + 5)
    weights, offset = linear_form(values, 1)
    assert np.allclose((x @ weights + offset)[:, 0], values.predict(x))


def test_what_is_far_from_every_class_is_unlike_them() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 60)
    centres = np.repeat([[5, 0, 0, 0, 0], [0, 5, 0, 0, 0]], 60, axis=0)
    known = centres + rng.normal(size=(120, 5))
    novelty = Novelty.fit([known], labels)

    def score(*point: float) -> float:
        return float(novelty.score(novelty.place(np.array([point])))[0])

    assert score(5, 0, 0, 0, 0) < 2
    assert score(0, 5, 0, 0, 0) < 2
    assert score(2.5, 2.5, 0, 0, 0) > 5  # the mean of all is no class
    assert score(0, 0, 8, 0, 0) > score(5, 0, 2, 0, 0) > score(5, 0, 0, 0, 0)
    larger = Novelty.fit([1000 * known], labels)
    assert np.allclose(
        larger.score(larger.place(1000 * known)), novelty.score(novelty.place(known)), rtol=1e-3
    )


def test_samples_that_are_all_alike_are_all_usual() -> None:
    novelty = Novelty.fit([np.ones((12, 4))], np.repeat(["a", "b"], 6))
    assert novelty.score(novelty.place(np.ones((3, 4)))).tolist() == [0, 0, 0]


def test_energy_and_shares_are_known_by_hand() -> None:
    assert energy_of(np.array([[0.0, 0.0], [1000.0, 0.0]])) == pytest.approx([-np.log(2), -1000])
    assert share_below(np.array([1.0, 2, 3, 4]), np.array([0.5, 2.5, 9])).tolist() == [0, 0.5, 1]
