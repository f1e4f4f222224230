"""A network trained on tiles: the genes, and all other genes as an auxiliary head. Loads torch.

BrST-Net (Rahaman et al. 2023, Sci Rep 13:13604): two linear layers on the features before the
classifier, squared error of the genes plus that of the others times a weight. Departures: both are
z-scored; the heads begin at 0, the training mean (as ST-Net); the loop and AdamW of
`core.training` with one cosine over all epochs instead of SGD whose rate rises again; at the test
the mean over the eight symmetries.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from core.errors import InputError
from core.files import write_array
from core.models.network import save_network
from core.tissue.body import Body, build_body
from core.tissue.frozen import STEPS, Paint, lie_as, symmetries
from core.tissue.learning import Train
from core.tissue.networks import NETWORKS
from core.tissue.spec import TissueSpec
from core.tissue.store import say_broken
from core.tissue.targets import Target
from core.training.loop import FoldData, predict, train
from core.training.objectives import Measurements
from core.training.spec import TrainingSpec

BATCH = 32
FINE = 0.25
"""Share of a network's rate that is taken from trained weights on."""
DECAY = 1e-4
WATCHED = 16
"""Training tiles whose error is told after each epoch where no group is held out for that."""


class TileNetwork(nn.Module):
    """A body, and a linear head for the genes and one for the others.

    Images (batch, 3, side, side) -> (batch, genes + others). While it trains each image lies in one
    of its eight ways at random; else the answer is the mean over them.
    """

    def __init__(self, body: Body, genes: int, others: int) -> None:
        super().__init__()
        self.body, self.genes = body, genes
        self.heads = nn.Linear(body.channels, genes + others)
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)

    def forward(self, batch: Tensor) -> Tensor:
        """What both heads say."""
        if not self.training:
            said = [self.heads(self.body(way)) for way in symmetries(batch)]
            return torch.stack(said).mean(dim=0)
        ways = torch.randint(len(STEPS), (len(batch),), device=batch.device)
        return self.heads(self.body(lie_as(batch, ways)))


class Genes:
    """The objective: squared error of the first outputs, and of the others times a weight."""

    def __init__(self, genes: int, auxiliary: float) -> None:
        self.genes, self.auxiliary = genes, auxiliary

    def targets(self, y: Tensor, outputs: int) -> Tensor:
        """The z scores as they are."""
        return y

    def weigh(self, y: Tensor, outputs: int, spec: TrainingSpec) -> None:
        """All alike."""

    def loss(
        self, scores: Tensor, targets: Tensor, spec: TrainingSpec, weights: Tensor | None
    ) -> Tensor:
        """The mean squared error of the genes plus that of the others, in squared SD."""
        at = self.genes
        loss = mse_loss(scores[:, :at], targets[:, :at])
        if scores.shape[1] > at and self.auxiliary:
            loss = loss + self.auxiliary * mse_loss(scores[:, at:], targets[:, at:])
        return loss

    def measure(self, scores: Tensor, y: Tensor) -> Measurements:
        """The mean squared error of the genes alone."""
        return {"validation_loss": float(mse_loss(scores[:, : self.genes], y[:, : self.genes]))}

    def answers(self, scores: Tensor) -> Tensor:
        """z scores of the genes."""
        return scores[:, : self.genes].double()


class Watch:
    """Tells how many steps are done; keeps the epochs' measurements."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self.on_batch = progress
        self.epochs: list[Measurements] = []

    def on_epoch(self, row: Measurements) -> None:
        """Keep it."""
        self.epochs.append(row)


def trainer(
    spec: TissueSpec,
    folder: Path,
    keep: Path,
    device: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Train:
    """What trains a network on some of the tiles and asks it about others.

    What each network said is kept in the folder, so that an interrupted question goes on.

    Args:
        spec: the question.
        folder: for checkpoints and answers.
        keep: the folder for the networks of the normalised target.
        device: where to compute.
        progress: told how many steps of how many are done, of each network anew; may raise
            Cancelled.
    """

    def ask(
        tiles: np.ndarray, train: np.ndarray, test: np.ndarray, groups: np.ndarray, z: np.ndarray,
        others: np.ndarray, *, target: Target, fold: int,
    ) -> np.ndarray:  # fmt: skip
        kept, checkpoint = (folder / f"{target}_{fold}.{end}" for end in ("npy", "pt"))
        if kept.exists():
            return np.load(kept, allow_pickle=False)
        network, _ = fit_network(
            tiles[train], groups, z, others, spec, checkpoint, device, progress
        )
        if target == "normalised":
            save_network(network, network_path(keep, fold))
        said = predict_tiles(network, tiles[test], device)
        write_array(kept, said)
        checkpoint.unlink(missing_ok=True)
        return said

    return ask


def network_path(folder: Path, fold: int) -> Path:
    """Where a fold's network is kept."""
    return folder / f"network_{fold}.safetensors"


def open_network(spec: TissueSpec, folder: Path, fold: int, side: int) -> TileNetwork:
    """A network that was kept, for tiles of `side` pixels; raises DamageError where it broke."""
    path = network_path(folder, fold)
    try:
        tensors = load_file(path)
        outputs = len(tensors["heads.bias"])
        body = build_body(spec.backbone, "scratch", side, seed=0)
        network = TileNetwork(body, outputs, 0)
        network.load_state_dict(tensors)
    except (OSError, SafetensorError, KeyError, RuntimeError):
        raise say_broken(f"The network {path.name}") from None
    return network


def fit_network(
    tiles: np.ndarray, groups: np.ndarray, z: np.ndarray, others: np.ndarray, spec: TissueSpec,
    checkpoint: Path, device: str, progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[TileNetwork, list[Measurements]]:  # fmt: skip
    """Train on tiles, and give the network and what was measured in each epoch.

    Args:
        tiles: (spots, side, side, 3) uint8.
        groups: (spots,) such as their patients. Where the question keeps the best epoch the
            smallest of them is not trained on, and chooses.
        z: (spots, genes) z scores.
        others: (spots, other genes) the same of the auxiliary genes.
        spec: the question.
        checkpoint: the file to go on from.
        device: where to compute.
        progress: told how many steps of how many are done.

    Raises:
        InputError: the best epoch is asked for, and there is one group only.
        WeightsError: the weights are not here, or not of this network.
    """
    record = NETWORKS[spec.backbone]
    if not spec.auxiliary:
        others = others[:, :0]
    wanted = np.concatenate([z, others], axis=1).astype(np.float32)
    inside, watched = np.ones(len(tiles), bool), np.arange(len(tiles)) < WATCHED
    if spec.keep == "best":
        inside = ~(watched := smallest_group(groups))
    body = build_body(spec.backbone, spec.weights, tiles.shape[1], seed=spec.seed)
    network = TileNetwork(body, z.shape[1], others.shape[1])
    watch = Watch(progress)
    cpu = torch.device(device).type == "cpu"
    how = TrainingSpec(
        epochs=spec.epochs, batch_size=BATCH, weight_decay=DECAY, augmentation="none",
        keep=spec.keep,
        precision="float32" if cpu and getattr(record, "slow_bfloat16", False) else "auto",
    )  # fmt: skip
    history = train(
        network, Paint(),
        FoldData(tiles[inside], wanted[inside], tiles[watched], wanted[watched], wanted.shape[1]),
        how, watch, seed=spec.seed, device=torch.device(device), checkpoint=checkpoint,
        learning_rate=record.learning_rate * (1 if spec.weights == "scratch" else FINE),
        objective=Genes(z.shape[1], spec.auxiliary),
    )  # fmt: skip
    return network, history


def smallest_group(groups: np.ndarray) -> np.ndarray:
    """A mask of the spots of the smallest group; raises InputError where there is only one."""
    names, sizes = np.unique(groups, return_counts=True)
    if len(names) < 2:
        raise InputError(
            f"All training spots are of one group ({names[0]}): none is left that could choose the "
            "epoch. Keep the last one."
        )
    return groups == names[sizes.argmin()]


def predict_tiles(network: TileNetwork, tiles: np.ndarray, device: str) -> np.ndarray:
    """(tiles, genes) z scores: the mean over each tile's eight symmetries."""
    said = predict(network, Paint(), tiles, torch.device(device), Genes(network.genes, 0), BATCH)
    return said.astype(np.float32)
