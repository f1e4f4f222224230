"""How benchmarks fit one network to prepared rows: its linear head solved, or trained by steps."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.network import build_network
from core.models.spec import NetworkSpec
from core.models.tuned import CLASSES
from core.runs.spec import PRESETS
from core.training.augmentations import Known
from core.training.exact import Solved, solve_head
from core.training.features import FrozenPart
from core.training.loop import FoldData, predict, train
from core.training.objectives import Classes
from core.training.spec import TrainingSpec


class _Quiet:
    """Watches a training without a word."""

    def on_batch(self, done: int, total: int) -> None:
        pass

    def on_epoch(self, row: dict) -> None:
        pass


def solve(
    spec: NetworkSpec, x: np.ndarray, y: np.ndarray, who: np.ndarray, new_x: np.ndarray,
    genes: np.ndarray, seed: int = 0,
) -> Solved:  # fmt: skip
    """What the linear head says of `new_x`, and without each source.

    Of samples (n, genes) with classes (n,) from 0, all there, of patients (n,).
    """
    network, _ = build_network(spec, y.max() + 1, seed=seed)
    frozen = FrozenPart(network.eval(), _paint(spec, x, genes, seed), "float32")
    return solve_head(network.head, frozen, x, y, new_x, y, who, CLASSES, Classes(), seed=seed)


def train_by_steps(
    weights: str, freeze: str, augmentation: str, x: np.ndarray, y: np.ndarray, new_x: np.ndarray,
    genes: np.ndarray, seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """Probabilities of `new_x` by the preset `trained_head`; arguments as of `solve`.

    With `freeze` nothing the whole network learns at its own rate for trained weights, in batches
    of 32. All samples are learned from and the weights at the end taken, so that nothing has to be
    held back.
    """
    preset = PRESETS["trained_head"].parts
    training = TrainingSpec(augmentation=augmentation, **preset["training"])
    spec = NetworkSpec(weights=weights, **preset["network"] | {"freeze": freeze})
    rate, variants = training.learning_rate, 16 if augmentation != "none" else 0
    if freeze == "nothing":
        training = training.model_copy(update={"batch_size": 32})
        rate, variants = spec.record.learning_rate / 4, 0
    x, new_x = x.astype(np.float32), new_x.astype(np.float32)
    network, _ = build_network(spec, y.max() + 1, seed=seed)
    imager, device = _paint(spec, x, genes, seed), torch.device("cpu")
    data = FoldData(x, y, x[:2], y[:2], y.max() + 1, Known(x.std(axis=0), x.mean(axis=0)))
    with tempfile.TemporaryDirectory() as folder:
        train(
            network, imager, data, training, _Quiet(), learning_rate=rate, seed=seed,
            device=device, checkpoint=Path(folder) / "checkpoint.pt", variants=variants,
            frozen=FrozenPart(network, imager, "float32") if freeze != "nothing" else None,
        )  # fmt: skip
    return predict(network, imager, new_x, device, Classes())


def _paint(spec: NetworkSpec, x: np.ndarray, genes: np.ndarray, seed: int) -> GeneImager:
    layout = fit_layout(x, genes, LayoutSpec(name="pca_grid"), spec.image_size, seed)
    return GeneImager(layout, spec.image_size)
