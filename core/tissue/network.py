"""A network trained on tiles: the genes, and all other genes as an auxiliary head. Loads torch.

BrST-Net (Rahaman et al. 2023, Sci Rep 13:13604): two linear layers on the pooled features of the
last stage, squared error of the genes plus that of the others times a weight. Departures: both are
z-scored; the heads begin at 0, the training mean (as ST-Net); AdamW with one cosine over all epochs
instead of SGD whose rate rises again; the last epoch is taken, as choosing one would need further
patients; at the test the mean over the eight symmetries.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from core.models.network import build_network
from core.models.spec import NetworkSpec
from core.tissue.frozen import images, symmetries
from core.tissue.learning import Train
from core.tissue.spec import TissueSpec

BATCH = 32
FINE = 0.25
"""Share of a backbone's rate that is taken from trained weights on."""
DECAY = 1e-4


class TileNetwork(nn.Module):
    """A backbone's stages, and a linear head for the genes and one for the others.

    Images (batch, 3, side, side) -> (batch, genes) and (batch, others).
    """

    def __init__(self, stages: nn.Module, channels: int, genes: int, others: int) -> None:
        super().__init__()
        self.stages = stages
        self.genes = genes
        self.heads = nn.Linear(channels, genes + others)
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)

    def forward(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """What both heads say."""
        said = self.heads(self.stages(batch).mean(dim=(2, 3)))
        return said[:, : self.genes], said[:, self.genes :]


def trainer(
    tiles: np.ndarray,
    spec: TissueSpec,
    device: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Train:
    """What trains a network on some of the tiles and asks it about others.

    Args:
        tiles: (spots, side, side, 3) uint8.
        spec: the question.
        device: where to compute.
        progress: told how many steps of how many are done, of each network anew.
    """

    def train(train: np.ndarray, test: np.ndarray, z: np.ndarray, others: np.ndarray) -> np.ndarray:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.seed)
            others = others if spec.auxiliary else others[:, :0]
            network = fit_network(tiles[train], z, others, spec, device, progress)
        return predict_tiles(network, tiles[test], device)

    return train


def fit_network(
    tiles: np.ndarray, z: np.ndarray, others: np.ndarray, spec: TissueSpec, device: str,
    progress: Callable[[int, int], None],
) -> TileNetwork:  # fmt: skip
    """Train on tiles (spots, side, side, 3) with z scores of genes and of the others.

    Each tile lies in one of its eight ways at random. The random numbers are torch's own.
    """
    built = NetworkSpec(backbone=spec.backbone, weights=spec.weights, image_size=tiles.shape[1])
    body, _ = build_network(built, 2, seed=spec.seed)
    with torch.no_grad():
        channels = body.stages.eval()(images(tiles[:1])).shape[1]
    network = TileNetwork(body.stages, channels, z.shape[1], others.shape[1]).to(device).train()
    rate = built.record.learning_rate * (1 if spec.weights == "scratch" else FINE)
    steps = -(-len(tiles) // BATCH) * spec.epochs
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    wanted, aside = (torch.from_numpy(v.astype(np.float32)).to(device) for v in (z, others))
    done = 0
    for _ in range(spec.epochs):
        for rows in torch.randperm(len(tiles)).split(BATCH):
            batch = images(tiles[rows.numpy()], device)
            way = torch.randint(8, (len(rows), 1, 1, 1), device=device)
            turned = torch.zeros_like(batch)
            for number, one in enumerate(symmetries(batch)):
                turned = torch.where(way == number, one, turned)
            said, beside = network(turned)
            at = rows.to(device)
            loss = nn.functional.mse_loss(said, wanted[at])
            if aside.shape[1]:
                loss = loss + spec.auxiliary * nn.functional.mse_loss(beside, aside[at])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            done += 1
            progress(done, steps)
    return network


@torch.inference_mode()
def predict_tiles(network: TileNetwork, tiles: np.ndarray, device: str) -> np.ndarray:
    """(tiles, genes) z scores: the mean over each tile's eight symmetries."""
    network.eval()
    found = []
    for at in range(0, len(tiles), 2 * BATCH):
        ways = symmetries(images(tiles[at : at + 2 * BATCH], device))
        said = torch.stack([network(way)[0] for way in ways]).mean(dim=0)
        found.append(said.float().cpu().numpy())
    return np.concatenate(found)
