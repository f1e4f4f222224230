"""Features of tiles by an ImageNet network that stays as it is. Loads torch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from core.models.network import build_network
from core.models.spec import NetworkSpec

MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue."""
BATCH = 64


def images(tiles: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """(tiles, 3, side, side) as an ImageNet network expects it, of uint8 (tiles, side, side, 3)."""
    unit = torch.from_numpy(np.ascontiguousarray(tiles)).to(device).permute(0, 3, 1, 2) / 255
    mean, sd = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (MEAN, SD))
    return (unit - mean) / sd


def symmetries(batch: Tensor) -> list[Tensor]:
    """The eight ways in which tiles (tiles, 3, side, side) may lie: quarter turns, mirrored."""
    turns = [torch.rot90(batch, k, (2, 3)) for k in range(4)]
    return [*turns, *(turn.flip(3) for turn in turns)]


def frozen_features(
    tiles: np.ndarray,
    backbone: str,
    weights: str,
    *,
    symmetric: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """(tiles, channels) float32: each channel of the last stage's map, its mean over all places.

    Args:
        tiles: (tiles, side, side, 3) uint8, of 32 pixels a side at least.
        backbone: a name in BACKBONES.
        weights: `imagenet`, `file:PATH` or `scratch`, as `NetworkSpec.weights`.
        symmetric: take the mean over the eight ways in which a tile may lie.
        device: where to compute.
        progress: told how many tiles of how many are done.

    Raises:
        WeightsError: the weights are not here, or not of this network.
    """
    spec = NetworkSpec(
        backbone=backbone, weights=weights, freeze="backbone", image_size=tiles.shape[1]
    )
    network, _ = build_network(spec, 2, seed=0)
    stages = network.stages.to(device).eval()
    found = []
    with torch.inference_mode():
        for at in range(0, len(tiles), BATCH):
            batch = images(tiles[at : at + BATCH], device)
            ways = symmetries(batch) if symmetric else [batch]
            pooled = [stages(way).mean(dim=(2, 3)) for way in ways]
            found.append(torch.stack(pooled).mean(dim=0).float().cpu().numpy())
            progress(min(at + BATCH, len(tiles)), len(tiles))
    return np.concatenate(found)
