"""Frozen stages run once: the same numbers with and without the cache, within a quota."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch import nn

from core.errors import Cancelled, InputError
from core.files import write_array
from core.images.imager import GeneImager
from core.images.layout import GeneLayout
from core.models.network import GeneImageNetwork
from core.models.spec import NetworkSpec
from core.training.augmentations import Known
from core.training.device import compute_in_parts
from core.training.features import FrozenPart, make_room, quota
from core.training.loop import FoldData, predict, train
from core.training.objectives import Values
from core.training.spec import TrainingSpec
from tests.test_training_loop import CPU, Watch

GENES = 16


def imager_of(shift: int = 0, size: int = 32) -> GeneImager:
    places = (np.arange(GENES) + shift) % GENES
    names = np.array([f"G{i}" for i in range(GENES)])
    return GeneImager(GeneLayout("order", names, places // 4, places % 4, (4, 4)), size)


def network_of(**fields: object) -> GeneImageNetwork:
    spec = {"backbone": "squeezenet1_1", "image_size": 32, "freeze": "backbone", **fields}
    return GeneImageNetwork(NetworkSpec(**spec), 2, seed=0)


def frozen_part(
    network: GeneImageNetwork, imager: nn.Module, precision: str = "float32"
) -> FrozenPart:
    """One that keeps what it computes, however long that takes here."""
    return FrozenPart(network, imager, precision, keep=True)


def fold() -> FoldData:
    rng = np.random.default_rng(0)
    x, y = rng.random((20, GENES), dtype=np.float32), np.arange(20) % 2
    return FoldData(x[:14], y[:14], x[14:], y[14:], 2, Known(x.std(0), x.mean(0)))


def entries(home: Path) -> list[Path]:
    return sorted((home / "features").glob("*.npy"))


@pytest.mark.parametrize(
    ("fields", "training", "files"),
    [
        ({"head": "scales"}, {"augmentation": "none"}, 2),
        ({"head": "position"}, {"augmentation": "none"}, 2),
        ({"head": "torchvision"}, {"augmentation": "none"}, 2),
        ({"freeze": "fire4_5"}, {"augmentation": "none"}, 2),
        ({"head": "scales"}, {"augmentation": "expression"}, 3),
    ],
    ids=str,
)
def test_cached_and_uncached_give_the_same_numbers(
    fields: dict, training: dict, files: int, home: Path, tmp_path: Path
) -> None:
    spec = TrainingSpec(epochs=3, batch_size=5, precision="float32", **training)
    found, variants = [], 2 if training["augmentation"] == "expression" else 0
    for attempt in ("uncached", "computed", "from the cache"):
        network, imager = network_of(**fields), imager_of()
        frozen = None if attempt == "uncached" else frozen_part(network, imager)
        history = train(
            network, imager, fold(), spec, Watch(), learning_rate=0.01, seed=0, device=CPU,
            checkpoint=tmp_path / f"{attempt}.pt", variants=variants, frozen=frozen,
        )  # fmt: skip
        proba = predict(network, imager, fold().x_validation, CPU)
        found.append((proba, [row["train_loss"] for row in history]))
    for values, losses in found[1:]:
        assert values == pytest.approx(found[0][0], rel=1e-4, abs=1e-6)
        assert losses == pytest.approx(found[0][1], rel=1e-4)
    assert np.array_equal(found[1][0], found[2][0])
    assert len(entries(home)) == files


class Tiles(nn.Module):
    """A painter that knows no genes: rows are small pictures, (batch, 3, 8, 8)."""

    size = 32

    def blank(self) -> torch.Tensor:
        return torch.zeros(1, 3, 8, 8)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.mark.parametrize("augmentation", ["none", "flip"])
def test_images_that_come_of_no_genes_go_through_the_same_loop(
    augmentation: str, home: Path, tmp_path: Path
) -> None:
    """Numbers are predicted: how bright a tile is. Frozen stages keep their features as well."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=40).astype(np.float32)
    rows = (y[:, None, None, None] + 0.1 * rng.normal(size=(40, 3, 8, 8))).astype(np.float32)
    network = GeneImageNetwork(network_of().spec, 1, seed=0)
    frozen = frozen_part(network, Tiles()) if augmentation == "none" else None
    spec = TrainingSpec(epochs=2, batch_size=10, precision="float32", augmentation=augmentation)
    history = train(
        network, Tiles(), FoldData(rows[:30], y[:30], rows[30:], y[30:], 1), spec, Watch(),
        learning_rate=0.01, seed=0, device=CPU, checkpoint=tmp_path / "checkpoint.pt",
        frozen=frozen, objective=Values(),
    )  # fmt: skip
    found = predict(network, Tiles(), rows[30:], CPU, Values())
    assert found.shape == (10, 1)
    assert history[-1]["validation_r2"] == pytest.approx(r2_score(y[30:], found[:, 0]), abs=1e-3)
    assert len(entries(home)) == (2 if frozen else 0)


def test_everything_that_decides_features_is_in_their_key(home: Path) -> None:
    x = torch.rand(3, GENES)
    changed = network_of()
    cut = network_of(head="position", image_size=36, edge="cut")  # maps of the padded one's shape
    with torch.no_grad():
        next(changed.stages.parameters()).view(-1)[0] += 1
    for number, (network, imager, values, precision) in enumerate(
        [
            (network_of(), imager_of(), x, "float32"),
            (changed, imager_of(), x, "float32"),
            (network_of(head="position"), imager_of(), x, "float32"),
            (network_of(freeze="stem"), imager_of(), x, "float32"),
            (network_of(head="position", image_size=36), imager_of(size=36), x, "float32"),
            (cut, imager_of(size=36), x, "float32"),
            (network_of(), imager_of(shift=1), x, "float32"),
            (network_of(), imager_of(), x + 0.1, "float32"),
            (network_of(), imager_of(), x, "bfloat16"),
        ],
        start=1,
    ):
        frozen_part(network, imager, precision).features(values)
        assert len(entries(home)) == number
    frozen_part(network_of(), imager_of()).features(x)
    assert len(entries(home)) == number


def test_a_damaged_entry_is_computed_again(home: Path) -> None:
    x, frozen = torch.rand(3, GENES), frozen_part(network_of(), imager_of())
    rows = frozen.features(x)
    [path] = entries(home)
    path.write_bytes(path.read_bytes()[:200])
    assert torch.equal(frozen.features(x), rows)
    assert torch.equal(torch.from_numpy(np.load(path)), rows)


def test_the_quota_lets_the_least_recently_used_go(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "features"
    folder.mkdir(parents=True)
    for age, name in enumerate(["new", "middle", "old"]):
        (folder / f"{name}.npy").write_bytes(b"x" * 1000)
        os.utime(folder / f"{name}.npy", (1e9 - age, 1e9 - age))
    monkeypatch.setenv("GENECANVAS_FEATURES_GB", "3e-6")
    assert make_room(folder, 1000, set())
    assert [path.stem for path in entries(home)] == ["middle", "new"]
    assert make_room(folder, 2000, {folder / "middle.npy"})
    assert [path.stem for path in entries(home)] == ["middle"]
    assert not make_room(folder, 2001, {folder / "middle.npy"})
    assert not make_room(folder, 5000, set())
    assert len(entries(home)) == 1
    monkeypatch.setenv("GENECANVAS_FEATURES_GB", "much")
    with pytest.raises(InputError, match="got 'much'"):
        quota()


def test_a_training_larger_than_the_quota_keeps_its_first_entries(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = [torch.full((3, GENES), value) for value in (0.1, 0.2, 0.3)]
    earlier, frozen = (frozen_part(network_of(), imager_of()) for _ in range(2))
    earlier.features(torch.zeros(3, GENES))
    [stale] = entries(home)
    monkeypatch.setenv("GENECANVAS_FEATURES_GB", str(2.5e-9 * stale.stat().st_size))
    first = [frozen.features(version).clone() for version in versions]
    kept = entries(home)
    assert len(kept) == 2
    assert stale not in kept
    again = [frozen.features(version) for version in versions]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert entries(home) == kept
    assert capsys.readouterr().err.count("computed each time") == 1


def test_features_are_kept_where_computing_them_takes_longer(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that takes its time, then a painter that does, by a clock that only they move."""
    rows, found = torch.rand(3, 3, 8, 8), []
    monkeypatch.setattr("core.training.features.time", SimpleNamespace(perf_counter=lambda: now))
    now = 0

    def wait(work: Callable[..., object]) -> Callable[..., object]:
        def waited(*given: object) -> object:
            nonlocal now
            now += 1
            return work(*given)

        return waited

    for slow, files in (("disk", 0), ("painter", 1)):
        with monkeypatch.context() as patch:
            if slow == "painter":
                patch.setattr(Tiles, "forward", wait(Tiles.forward))
            else:
                patch.setattr("core.training.features.write_array", wait(write_array))
            frozen = FrozenPart(network_of(), Tiles(), "float32")
            found += [frozen.features(rows), frozen.features(rows)]
        assert len(entries(home)) == files
        said = capsys.readouterr()
        assert (said.out, said.err.count("are not kept")) == ("", 1 - files)
    assert all(torch.equal(features, found[0]) for features in found)


def test_computing_features_stops_when_asked_to(home: Path) -> None:
    def stop() -> None:
        raise Cancelled("enough")

    frozen = FrozenPart(network_of(), imager_of(), "float32", stop)
    with pytest.raises(Cancelled):
        frozen.features(torch.rand(3, GENES))
    assert not entries(home)


def test_rows_are_computed_in_halves_where_memory_is_small() -> None:
    seen = []

    def compute(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        if len(part) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 2 * part

    x = torch.arange(10.0)[:, None]
    assert torch.equal(compute_in_parts(compute, x, 8), 2 * x)
    assert seen == [8, 4, 2, 2, 2, 2, 2]
