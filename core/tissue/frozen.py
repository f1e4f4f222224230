"""Features of tiles by an ImageNet network that stays as it is. Loads torch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from core.tissue.body import build_body

MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue."""
BATCH = 64
STEPS = torch.tensor(
    [[0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0], [1, 0, 0]],
    dtype=torch.bool,
)
"""(ways, 3): whether rows and columns are swapped, then turned upside down, then mirrored, in the
order of `symmetries`: three copies of a batch instead of eight."""


class Paint(nn.Module):
    """Tiles (tiles, side, side, 3) uint8 -> (tiles, 3, side, side) as ImageNet networks expect."""

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", MEAN), ("sd", SD)):
            self.register_buffer(name, 255 * torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, tiles: Tensor) -> Tensor:
        """All tiles, channels last in memory."""
        return (tiles.permute(0, 3, 1, 2) - self.mean) / self.sd


def images(tiles: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """What `Paint` makes of an array."""
    return Paint().to(device)(torch.from_numpy(np.ascontiguousarray(tiles)).to(device))


def symmetries(batch: Tensor) -> list[Tensor]:
    """The eight ways in which tiles (tiles, 3, side, side) may lie: quarter turns, mirrored."""
    turns = [torch.rot90(batch, k, (2, 3)) for k in range(4)]
    return [*turns, *(turn.flip(3) for turn in turns)]


def lie_as(batch: Tensor, ways: Tensor) -> Tensor:
    """Tiles (tiles, 3, side, side), each in that of its `symmetries` which (tiles,) ways say."""
    turned = batch
    for done, swap in zip(
        STEPS.to(batch.device)[ways].T[..., None, None, None],
        (lambda one: one.transpose(2, 3), lambda one: one.flip(2), lambda one: one.flip(3)),
        strict=True,
    ):
        turned = torch.where(done, swap(turned), turned)
    return turned


def frozen_features(
    tiles: np.ndarray,
    backbone: str,
    weights: str,
    *,
    symmetric: bool = False,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """(tiles, channels) float32 before the classifier: see `core.tissue.body.Body`.

    Args:
        tiles: (tiles, side, side, 3) uint8.
        backbone: a name in NETWORKS.
        weights: `imagenet`, `file:PATH` or `scratch`, as `NetworkSpec.weights`.
        symmetric: take the mean over the eight ways in which a tile may lie.
        device: where to compute.
        progress: told how many tiles of how many are done.

    Raises:
        WeightsError: the weights are not here, or not of this network.
    """
    body = build_body(backbone, weights, tiles.shape[1], seed=0).to(device).eval()
    found = []
    with torch.inference_mode():
        for at in range(0, len(tiles), BATCH):
            batch = images(tiles[at : at + BATCH], device)
            ways = symmetries(batch) if symmetric else [batch]
            pooled = torch.stack([body(way) for way in ways]).mean(dim=0)
            found.append(pooled.float().cpu().numpy())
            progress(min(at + BATCH, len(tiles)), len(tiles))
    return np.concatenate(found)
