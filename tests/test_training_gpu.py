"""On a GPU: recorded steps give the numbers of plain ones, and none waits for the program."""

from pathlib import Path

import pytest
import torch
from torch import nn

from core.errors import Cancelled
from core.training.augmentations import AUGMENTATIONS
from core.training.captured import AHEAD, Captured, Pace
from core.training.loop import FoldData, train
from core.training.spec import TrainingSpec
from tests.test_training_loop import Painter, Watch, fold, small_network  # noqa: F401

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]
GPU = torch.device("cuda:0")


def run(
    fold: FoldData,  # noqa: F811
    path: Path,
    watch: Watch | None = None,
    **fields: object,
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Six epochs of 61 samples: five batches of 10, and one of 11."""
    spec = TrainingSpec.model_validate(
        {"epochs": 6, "batch_size": 10, "precision": "float32", **fields}
    )
    network = small_network()
    history = train(
        network, Painter(), fold, spec, watch or Watch(), learning_rate=0.01, seed=0, device=GPU,
        checkpoint=path / "checkpoint.pt",
    )  # fmt: skip
    return network.state_dict(), [row["train_loss"] for row in history]


def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is recorded."""
    monkeypatch.setattr("core.training.captured.WARM_UP", 10**9)


@pytest.mark.parametrize(
    "fields",
    [
        *({"augmentation": name} for name in AUGMENTATIONS.names),
        {"class_weights": True, "loss": "focal"},
        {"balanced_sampling": True},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_recorded_steps_lead_to_the_weights_of_plain_ones(
    fields: dict,
    fold: FoldData,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded, losses = run(fold, tmp_path / "recorded", **fields)
    assert "No CUDA graph" not in capsys.readouterr().err
    plainly(monkeypatch)
    plain, expected = run(fold, tmp_path / "plain", **fields)
    assert losses == expected
    for name, value in plain.items():
        assert torch.equal(value, recorded[name]), name


@pytest.mark.parametrize("batches", [3, 7, 20])
def test_an_interrupted_training_ends_with_the_same_weights(
    batches: int,
    fold: FoldData,  # noqa: F811
    tmp_path: Path,
) -> None:
    whole, _ = run(fold, tmp_path / "whole")
    with pytest.raises(Cancelled):
        run(fold, tmp_path / "parts", Watch(limit=batches))
    resumed, _ = run(fold, tmp_path / "parts")
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


class Strict(Watch):
    """Lets nothing wait for the device from an epoch's first batch to its last."""

    def on_batch(self, done: int, total: int) -> None:
        super().on_batch(done, total)
        torch.cuda.set_sync_debug_mode("default" if done % 6 == 0 else "error")


@pytest.mark.parametrize("name", AUGMENTATIONS.names)
def test_nothing_waits_for_the_host_within_an_epoch(
    name: str,
    fold: FoldData,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for way in ("recorded", "plain"):
        try:
            run(fold, tmp_path / way, Strict(), augmentation=name)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        plainly(monkeypatch)


def test_what_cannot_be_recorded_is_computed_plainly_and_the_log_says_so_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def noisy(x: torch.Tensor) -> torch.Tensor:
        x = x + torch.rand_like(x)
        return x * float(x.sum())  # waits for the device

    x = torch.ones(4, device=GPU)
    found = []
    for way in (Captured(noisy, GPU), noisy):
        torch.manual_seed(0)
        found.append(torch.stack([way(x) for _ in range(6)]))
    assert torch.equal(*found)
    assert capsys.readouterr().err.count("No CUDA graph") == 1


def test_each_shape_is_recorded_for_itself() -> None:
    layer = nn.Linear(3, 2, device=GPU)
    twice = Captured(lambda x: 2 * layer(x), GPU)
    for size in (4, 5, 4, 5, 4, 5, 4, 5):
        x = torch.randn(size, 3, device=GPU)
        torch.testing.assert_close(twice(x), 2 * layer(x))


def test_the_program_is_never_far_ahead_of_the_device() -> None:
    """So a stop is obeyed as soon as the batches at hand are computed."""
    pace, marks = Pace(GPU), []
    for _ in range(20):
        torch.cuda._sleep(10_000_000)  # some milliseconds
        marks.append(torch.cuda.Event())
        marks[-1].record()
        pace.mark()
        assert sum(not mark.query() for mark in marks) <= AHEAD + 1
    pace.finish()
    assert marks[-1].query()
