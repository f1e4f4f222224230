"""Augmentations: profiles stay profiles, images stay images, and each does what it says."""

import subprocess
import sys

import pytest
import torch

from core.training.augmentations import AUGMENTATIONS

ON_EXPRESSION = [record.name for record in AUGMENTATIONS if record.on_expression]
ON_IMAGES = [record.name for record in AUGMENTATIONS if record.on_images]
GENES, CLASSES = 16, 3


def test_the_registry_is_read_without_torch() -> None:
    code = "import sys, core.training.spec; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ON_EXPRESSION)
def test_a_varied_profile_keeps_its_class(name: str) -> None:
    torch.manual_seed(0)
    x, targets = torch.rand(9, GENES), torch.eye(CLASSES)[torch.arange(9) % CLASSES]
    varied, soft = AUGMENTATIONS[name].on_expression(
        x, targets, torch.full((GENES,), 0.1), torch.full((GENES,), 0.5)
    )
    assert varied.shape == x.shape
    assert not torch.equal(varied, x)
    assert torch.allclose(soft.sum(1), torch.ones(9))
    assert (soft.argmax(1) == targets.argmax(1)).all()


def test_dropped_genes_take_their_mean() -> None:
    x, mean = torch.ones(200, GENES), torch.arange(GENES) / 100
    dropped, _ = AUGMENTATIONS["gene_dropout"].on_expression(x, x, torch.ones(GENES), mean)
    assert ((dropped == 1) | (dropped == mean)).all()
    assert 0.26 < (dropped != 1).float().mean() < 0.34


@pytest.mark.parametrize("name", ON_IMAGES)
def test_a_varied_image_is_an_image(name: str) -> None:
    torch.manual_seed(0)
    images = torch.rand(6, 3, 12, 12)
    varied = AUGMENTATIONS[name].on_images(images)
    assert varied.shape == images.shape
    assert not torch.equal(varied, images)
    assert varied.min() >= 0
    assert varied.max() <= 1


@pytest.mark.parametrize("name", ["flip", "geometric"])
def test_turned_images_hold_the_same_pixels(name: str) -> None:
    images = torch.arange(8 * 3 * 4 * 4, dtype=torch.float32).view(8, 3, 4, 4)
    turned = AUGMENTATIONS[name].on_images(images)
    assert torch.equal(turned.flatten(2).sort().values, images.flatten(2).sort().values)


def test_cutout_empties_one_square_of_a_quarter_of_the_side() -> None:
    empty = AUGMENTATIONS["cutout"].on_images(torch.ones(5, 3, 16, 16))[:, 0] == 0
    assert (empty.flatten(1).sum(1) == 16).all()
    assert (empty.any(2).sum(1) == 4).all()


@pytest.mark.parametrize("name", ["rotate", "shift", "zoom"])
def test_a_moved_image_keeps_its_middle(name: str) -> None:
    torch.manual_seed(0)
    images = torch.zeros(20, 1, 21, 21)
    images[:, :, 7:14, 7:14] = 1
    moved = AUGMENTATIONS[name].on_images(images)
    assert (moved[:, 0, 10, 10] > 0.9).all()
    assert (moved[:, 0, [0, 0, 20, 20], [0, 20, 0, 20]] == 0).all()


def test_what_moves_genes_warns() -> None:
    for record in AUGMENTATIONS:
        moves = record.on_images is not None and record.name != "cutout"
        assert (record.warning is not None) == moves, record.name
