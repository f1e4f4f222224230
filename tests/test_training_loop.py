"""The loop: it learns, repeats itself bit by bit, stops at once and goes on where it stopped."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.errors import Cancelled, InputError
from core.training.loop import DivergedError, FoldData, predict_proba, train
from core.training.spec import AUGMENTATIONS, TrainingSpec

CPU = torch.device("cpu")
GENES, CLASSES = 16, 3


class Painter(nn.Module):
    """The smallest imager: 16 genes on 4 x 4 pixels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(-1, 1, 4, 4).expand(-1, 3, -1, -1)


class Watch:
    """Counts batches, and stops after `limit` of them."""

    def __init__(self, limit: int | None = None) -> None:
        self.batches, self.limit, self.rows = 0, limit, []

    def on_batch(self, done: int, total: int) -> None:
        self.batches += 1
        if self.limit is not None and self.batches >= self.limit:
            raise Cancelled("enough")

    def on_epoch(self, row: dict[str, float]) -> None:
        self.rows.append(row)


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(128, CLASSES),
    )


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Profiles in which gene k is high in class k."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, CLASSES, n)
    x = rng.uniform(0.3, 0.7, (n, GENES)).astype(np.float32)
    x[np.arange(n), y] += 0.4
    return x, y


@pytest.fixture
def fold() -> FoldData:
    (x, y), (x_validation, y_validation) = planted(61, 1), planted(30, 2)
    return FoldData(x, y, x_validation, y_validation, x.std(0), x.mean(0), CLASSES)


def run(
    fold: FoldData,
    path: Path,
    watch: Watch | None = None,
    seed: int = 0,
    learning_rate: float = 0.01,
    **fields: object,
) -> tuple[nn.Module, list[dict[str, float]]]:
    spec = TrainingSpec.model_validate(
        {"epochs": 4, "batch_size": 10, "precision": "float32", **fields}
    )
    network = small_network()
    history = train(
        network, Painter(), fold, spec, watch or Watch(), learning_rate=learning_rate, seed=seed,
        device=CPU, checkpoint=path / "checkpoint.pt",
    )  # fmt: skip
    return network, history


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_every_augmentation_trains(name: str, fold: FoldData, tmp_path: Path) -> None:
    _, history = run(fold, tmp_path, augmentation=name)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert all(np.isfinite(row["train_loss"]) for row in history)


def test_it_learns_planted_genes(fold: FoldData, tmp_path: Path) -> None:
    network, _ = run(fold, tmp_path, epochs=25, augmentation="none")
    x, y = planted(200, 3)
    proba = predict_proba(network, Painter(), x, CPU)
    assert proba.sum(axis=1) == pytest.approx(1)
    assert (proba.argmax(1) == y).mean() > 0.9


def test_same_seed_same_numbers(fold: FoldData, tmp_path: Path) -> None:
    first, history = run(fold, tmp_path / "a")
    again, history_again = run(fold, tmp_path / "b")
    other, _ = run(fold, tmp_path / "c", seed=1)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert [row["train_loss"] for row in history] == [row["train_loss"] for row in history_again]
    assert not torch.equal(first[0].weight, other[0].weight)


@pytest.mark.parametrize("batches", [1, 7, 13, 20])
def test_an_interrupted_training_ends_with_the_same_weights(
    batches: int, fold: FoldData, tmp_path: Path
) -> None:
    whole, _ = run(fold, tmp_path / "whole")
    stopped = Watch(limit=batches)
    with pytest.raises(Cancelled):
        run(fold, tmp_path / "parts", stopped)
    assert stopped.batches == batches
    resumed, history = run(fold, tmp_path / "parts")
    assert len(history) == 4
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])


def test_the_best_epoch_is_kept(fold: FoldData, tmp_path: Path) -> None:
    network, history = run(fold, tmp_path, epochs=12, learning_rate=0.3, patience=3)
    losses = [row["validation_loss"] for row in history]
    assert len(losses) - 1 - losses.index(min(losses)) <= 3
    proba = predict_proba(network, Painter(), fold.x_validation, CPU)
    loss = -np.log(proba[np.arange(len(proba)), fold.y_validation]).mean()
    assert loss == pytest.approx(min(losses), rel=1e-4)


def test_a_torn_checkpoint_is_named(fold: FoldData, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        run(fold, tmp_path, Watch(limit=12))
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"checkpoint.pt is damaged"):
        run(fold, tmp_path)


def test_a_diverged_training_says_what_to_change(fold: FoldData, tmp_path: Path) -> None:
    broken = FoldData(**{**vars(fold), "x_train": np.full_like(fold.x_train, np.nan)})
    with pytest.raises(DivergedError, match="Lower the learning rate"):
        run(broken, tmp_path, augmentation="none")


def test_mixing_keeps_shapes_and_target_sums() -> None:
    x, targets = torch.rand(9, GENES), torch.eye(CLASSES)[torch.arange(9) % CLASSES]
    mixed, soft = AUGMENTATIONS["expression"].on_expression(
        x, targets, torch.zeros(GENES), torch.full((GENES,), 0.5)
    )
    assert mixed.shape == x.shape
    assert torch.allclose(soft.sum(1), torch.ones(9))
    assert (soft.argmax(1) == targets.argmax(1)).all()


def test_turned_images_hold_the_same_pixels() -> None:
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).view(2, 3, 4, 4)
    turned = AUGMENTATIONS["geometric"].on_images(images)
    assert turned.shape == images.shape
    assert torch.equal(turned.flatten(2).sort().values, images.flatten(2).sort().values)
