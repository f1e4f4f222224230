"""Networks on genes beside the plain baseline models: what they find, and which genes decide."""

from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from core.explain.on_genes import attribute_network
from core.jobs.job import Job, Reporter, listening, stop_if_cancelled
from core.jobs.record import JobState
from core.jobs.worker import do_job
from core.models import gene_models
from core.models.baselines import BASELINES, FittedBaseline, fit_baseline
from core.models.gene_models import UNTOLD, AutoencoderModel, order_genes, share_explained
from core.models.gene_networks import join_linear, judge
from core.models.value_baselines import VALUE_BASELINES, fit_value_baseline
from core.runs.execute import Silent

NETWORKS = [record.name for record in BASELINES if record.is_network]
CLASSES, GENES = 3, 40
PLANTED = 5 * CLASSES
"""The first genes, five a class."""


def plant(n: int, seed: int, apart: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Samples whose class is 0, 1, 2, 0, … and has five genes that are higher by so many SD."""
    y = np.arange(n) % CLASSES
    x = np.random.default_rng(seed).normal(0.5, 0.1, (n, GENES)).astype(np.float32)
    for k in range(CLASSES):
        x[y == k, 5 * k : 5 * k + 5] += 0.1 * apart
    return x, y


@cache
def fit(name: str) -> FittedBaseline:
    x, y = plant(90, 0)
    return fit_baseline(name, x, y, CLASSES, 0, second=np.array(["a", "b", ""])[y - 1])


def test_both_tasks_have_the_same_networks() -> None:
    assert [record.name for record in VALUE_BASELINES if record.is_network] == NETWORKS
    assert all(record.reference for record in BASELINES if record.is_network)


@pytest.mark.parametrize("name", NETWORKS)
def test_planted_classes_are_found(name: str) -> None:
    x, y = plant(60, 1)
    assert (fit(name).answer(x).argmax(axis=1) == y).mean() > 0.6  # a third by chance


@pytest.mark.parametrize("name", NETWORKS)
def test_labels_that_say_nothing_of_the_genes_teach_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each class's samples are labelled as any class, equally often."""
    monkeypatch.setattr(gene_models, "EPOCHS", 10)
    monkeypatch.setattr(gene_models, "STEPS", 10)
    (x, y), (asked, _) = plant(90, 0), plant(300, 1)
    permuted = np.arange(90) // CLASSES % CLASSES
    assert all(np.bincount(permuted[y == k]).tolist() == [10, 10, 10] for k in range(CLASSES))
    said = fit_baseline(name, x, permuted, CLASSES, 0, second=permuted.astype(str)).answer(asked)
    right = (said.argmax(axis=1) == np.arange(300) // CLASSES % CLASSES).mean()
    assert 0.15 < right < 0.55


@pytest.mark.parametrize("name", NETWORKS)
def test_integrated_gradients_are_complete_and_name_the_planted_genes(name: str) -> None:
    """Their sum is the change of the class score on the way from the mean of what was learned."""
    known, _ = plant(90, 0)
    x, y = plant(30, 1)
    trained = fit(name).model.trained_
    scores = attribute_network(trained, x, y, known, 0)
    assert scores.shape == x.shape
    with torch.no_grad():
        start = trained.network(trained.scale(known).mean(dim=0, keepdim=True)).numpy()[0]
        ends = trained.network(trained.scale(x)).numpy()
    change = ends[np.arange(30), y] - start[y]
    error = np.abs(scores.sum(axis=1) - change).mean()
    assert error < 0.1 * np.abs(change).mean()
    size = np.abs(scores).mean(axis=0)
    assert size[:PLANTED].mean() > size[PLANTED:].mean()
    slopes = attribute_network(trained, x, y, known, 0, "saliency")
    assert np.abs(slopes[:, :PLANTED]).mean() > np.abs(slopes[:, PLANTED:]).mean()


@pytest.mark.parametrize("name", NETWORKS)
def test_values_are_found_in_their_unit(name: str) -> None:
    (x, _), (asked, _) = plant(90, 0, 0), plant(60, 1, 0)
    value = 500 + 100 * x[:, :3].sum(axis=1)
    truth = 500 + 100 * asked[:, :3].sum(axis=1)
    said = fit_value_baseline(name, x, value, 0, second=np.array(["a", "b"])[np.arange(90) % 2])
    answers = said.answer(asked)
    assert answers.shape == (60, 1)
    assert 600 < answers.mean() < 700
    assert np.corrcoef(answers[:, 0], truth)[0, 1] > 0.3


def test_a_second_label_is_learned_whatever_its_values_are_called() -> None:
    x, y = plant(30, 0)
    asked, _ = plant(9, 1)
    second = np.array(["a", "b", "c"])[np.arange(30) // 3 % 3]

    def answer(texts: np.ndarray) -> np.ndarray:
        return fit_baseline("two_heads", x, y, CLASSES, 0, second=texts).answer(asked)

    first = answer(second)
    np.testing.assert_allclose(first.sum(axis=1), 1)
    np.testing.assert_array_equal(first, answer(np.char.add("site ", second)))
    assert np.abs(first - answer(np.roll(second, 1))).max() > 1e-3
    nobody = np.where(np.arange(30) < 15, second, "")
    assert np.isfinite(answer(nobody)).all()


def test_a_class_that_is_not_told_costs_nothing() -> None:
    """Of two samples with scores (0, 0), one is told: half of log 2."""
    loss = judge(np.array([0, UNTOLD]), True)(torch.zeros(2, 2), torch.arange(2))
    assert float(loss) == pytest.approx(np.log(2) / 2)
    assert float(judge(np.array([3.0, 1.0]), False)(torch.ones(2, 1), torch.arange(2))) == 2


def test_an_autoencoder_and_the_linear_model_of_its_features_are_one_network() -> None:

    encoder = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        encoder.weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    weights, offset = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([0.5, -0.5])
    whole = join_linear(encoder, weights, offset)
    said = whole(torch.tensor([[3.0, 1.0]])).detach().numpy()
    np.testing.assert_allclose(said, [[4.5, 3.5]])
    x, y = plant(30, 0)
    model = AutoencoderModel(True).fit(x, y, np.arange(30) // 2)
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1)


def test_how_much_of_a_gene_goes_with_the_classes_or_the_values() -> None:
    x = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    np.testing.assert_allclose(share_explained(x, np.array([0, 0, 1, 1]), True), [1, 0])
    np.testing.assert_allclose(share_explained(x, np.array([1.0, 1.0, -1.0, -1.0]), False), [1, 0])


def test_genes_that_go_together_stand_next_to_each_other() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 1))
    x = np.hstack([a, b, a, b]) + 0.01 * rng.normal(size=(50, 4))
    order = order_genes(x).tolist()
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 2}), frozenset({1, 3})}


class Impatient(Silent):
    """Wants the job to stop when it is asked for the fourth time."""

    terminated = False

    def __init__(self) -> None:
        self.asked = 0

    def cancelled(self) -> bool:
        self.asked += 1
        return self.asked > 3

    def log(self, text: str) -> None:
        pass


class FitJob(Job):
    """Fits one network."""

    kind: ClassVar[str] = "fit"
    name: str

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        x, y = plant(90, 0)
        second = np.array(["a", "b", ""])[y - 1]
        fit_baseline(self.name, x, y, CLASSES, 0, second=second)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_job_is_cancelled_between_two_passes_of_a_network(name: str, tmp_path: Path) -> None:
    reporter = Impatient()
    state, reason = do_job(FitJob(name=name), tmp_path, reporter, "cpu")
    assert (state, reason) == (JobState.CANCELLED, "Cancelled by the user.")
    assert reporter.asked == 4


def test_outside_a_job_nobody_is_asked() -> None:
    with listening(Impatient()):
        pass
    stop_if_cancelled()
