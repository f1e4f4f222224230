"""The training loop: one network on one fold, from the first batch to the best epoch."""

import json
import math
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from core.data.prepare import Reads
from core.errors import GeneCanvasError
from core.files import write_atomic
from core.training.augmentations import AUGMENTATIONS, Known
from core.training.captured import Captured, Pace
from core.training.device import choose_precision, compute_in_parts, scored_at_once
from core.training.features import FrozenPart
from core.training.objectives import Classes, Measurements, Objective
from core.training.spec import TrainingSpec
from core.training.step import Step, cut

CHECKPOINT_SHARE = 0.005
"""Of the time of training, what writing checkpoints may take, by the quickest write so far: a disk
that was busy once shall not leave an hour of training unsaved."""
CLASSES = Classes()


@dataclass(frozen=True)
class FoldData:
    """Prepared rows of one fold's samples, such as expression (samples, genes) float32 in [0, 1].

    The y are what the objective takes: class numbers, or standardised values.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    outputs: int
    """How many scores the network gives: one a class, or one."""
    known: Known | None = None
    """What augmentations of these samples may know, as arrays."""


class Callback(Protocol):
    """What watches a training; raising Cancelled from `on_batch` stops it."""

    def on_batch(self, done: int, total: int) -> None:
        """Called after each batch with the batches done and planned, over all epochs."""

    def on_epoch(self, row: Measurements) -> None:
        """Called after each epoch with its measurements; raising EnoughEpochs makes it the last."""


class EnoughEpochs(Exception):
    """Training shall end as if the epoch at hand had been the last."""


class DivergedError(GeneCanvasError):
    """The loss is no longer a number."""


def train(
    network: nn.Module,
    imager: nn.Module,
    data: FoldData,
    spec: TrainingSpec,
    callback: Callback,
    *,
    learning_rate: float,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    variants: int = 0,
    frozen: FrozenPart | None = None,
    objective: Objective = CLASSES,
) -> list[Measurements]:
    """Train `network` on gene-images and leave it with the weights of its last or best epoch.

    AdamW with linear warm-up and cosine decay; the best epoch is the one of lowest validation
    loss. After epochs everything needed to go on is
    written to `checkpoint`; if that file exists, training goes on from it, with the same numbers as
    if it had never stopped, because an epoch's random numbers depend on `seed` and the epoch alone.
    A damaged checkpoint is not used. Where epochs are so short that writing it after each would
    take more than `CHECKPOINT_SHARE` of the time, it is written after the first and then as seldom
    as that asks for.
    A batch that doesn't fit into memory is computed in halves, and so are all after it. A GPU
    replays the step that it has recorded, and is asked for nothing until an epoch has ended: its
    losses and its scores of the validation samples come in one transfer.

    Args:
        network: images -> scores (batch, outputs).
        imager: prepared rows -> images.
        data: the fold's samples.
        spec: how to train.
        callback: watches, and may stop the training.
        learning_rate: the peak rate.
        seed: decides every random number.
        device: where to compute.
        checkpoint: the file to go on from.
        variants: so many augmented versions of the expression are drawn once and taken in turn, an
            epoch each; with 0 every batch is augmented anew.
        frozen: the network's frozen stages with their cache; only the rest is then computed in each
            epoch. For training samples that vary in `variants` versions, or not at all.
        objective: what the network learns.

    Returns:
        One row of measurements an epoch.

    Raises:
        Cancelled: from the callback.
        DivergedError: the loss became NaN or infinite.
    """
    augmentation = AUGMENTATIONS[spec.augmentation]
    autocast = torch.autocast(
        device.type, torch.bfloat16, enabled=choose_precision(spec.precision, device) == "bfloat16"
    )
    network.to(device, memory_format=torch.channels_last)
    imager.to(device)
    x_train, y_train, x_validation = (
        torch.as_tensor(array, device=device)
        for array in (data.x_train, data.y_train, data.x_validation)
    )
    y_validation = torch.as_tensor(data.y_validation)  # measurements are taken on the processor
    known = _put_known(data.known, device)
    targets_train = objective.targets(y_train, data.outputs)
    weights = objective.weigh(y_train, data.outputs, spec)
    look, paint = network, imager
    if frozen is not None:
        look, paint = frozen.rest, nn.Identity()
        with autocast:
            x_validation = frozen.features(x_validation)

    vary, vary_all = augmentation.on_expression, None
    if variants:
        vary, vary_all = None, vary

    def paint_batch(x: Tensor, targets: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        if vary:
            x, targets = vary(x, targets, known.of(positions))
        images = paint(x)
        return augmentation.on_images(images) if augmentation.on_images else images, targets

    def loss_of(images: Tensor, targets: Tensor) -> Tensor:
        with autocast:
            scores = look(images)
        return objective.loss(scores.float(), targets, spec, weights)

    step = Step(
        paint_batch, loss_of, [weight for weight in network.parameters() if weight.requires_grad],
        weight_decay=spec.weight_decay, at_once=spec.batch_size, device=device,
    )  # fmt: skip
    take_step, pace = Captured(step, device), Pace(device)
    batches = cut(len(x_train), spec.batch_size)

    def rate_of(done: int) -> float:
        return learning_rate * _learning_rate_factor(done, spec.epochs * len(batches))

    history: list[Measurements] = []
    best: dict[str, Tensor] = {}
    if state := _read_checkpoint(checkpoint, device):
        network.load_state_dict(state["network"])
        step.restore(state["optimiser"])
        history, best = state["history"], state["best"]

    next_checkpoint, writing = 0.0, math.inf
    for epoch in range(len(history), spec.epochs):
        if spec.patience and _epochs_without_progress(history) >= spec.patience:
            break
        started = time.perf_counter()
        x_epoch, targets_epoch = x_train, targets_train
        if vary_all:
            torch.manual_seed(seed * 100_003 + epoch % variants)
            x_epoch, targets_epoch = vary_all(x_train, targets_train, known)
        if frozen is not None:
            with autocast:
                x_epoch = frozen.features(x_epoch)
        torch.manual_seed(seed * 100_003 + epoch)
        order = draw_order(y_train, spec.balanced_sampling)
        losses = []
        network.train()
        for done, part in enumerate(batches, start=epoch * len(batches)):
            positions = order[part]
            step.set_rate(rate_of(done))
            x, targets = (rows.index_select(0, positions) for rows in (x_epoch, targets_epoch))
            losses.append(take_step(x, targets, positions))
            pace.mark()
            callback.on_batch(done + 1, spec.epochs * len(batches))
        pace.finish()
        training_seconds = time.perf_counter() - started

        with autocast:
            scores = _predict_scores(look, paint, x_validation, spec.batch_size)
        found = torch.cat([torch.stack(losses), scores.flatten()]).cpu()
        train_loss = float(found[: len(losses)].mean())
        if not math.isfinite(train_loss):
            raise DivergedError(
                f"The training loss is no longer a number in epoch {epoch + 1}. "
                f"Lower the learning rate (now {learning_rate:g}) or use float32."
            )
        row = {
            "epoch": epoch + 1,
            "train_loss": train_loss,
            **objective.measure(found[len(losses) :].view(scores.shape), y_validation),
            "learning_rate": rate_of((epoch + 1) * len(batches)),
            "samples_per_second": len(x_train) / training_seconds,
            "at_once": step.at_once,
            "seconds": time.perf_counter() - started,
        }
        history.append(row)
        if spec.keep == "best" and _epochs_without_progress(history) == 0:
            best = {name: value.clone() for name, value in network.state_dict().items()}
        if (now := time.monotonic()) >= next_checkpoint:
            state = {
                "network": network.state_dict(),
                "optimiser": step.optimiser.state_dict(),
                "history": json.dumps(history),  # torch pickles each number of a list
                "best": best,
            }
            # torch says a full disk by a RuntimeError; without this checkpoint the training goes on
            with suppress(OSError, RuntimeError):
                write_atomic(checkpoint, lambda path, state=state: torch.save(state, path))
            writing = min(writing, time.monotonic() - now)
            next_checkpoint = time.monotonic() + writing / CHECKPOINT_SHARE
        try:
            callback.on_epoch(row)
        except EnoughEpochs:
            break
    if spec.keep == "best":
        network.load_state_dict(best)
    return history


def read_trained(checkpoint: Path) -> dict[str, Tensor] | None:
    """The network's tensors in a checkpoint of `train`; None where there is none to go on from."""
    state = _read_checkpoint(checkpoint, torch.device("cpu"))
    return state and state["network"]


def _put_known(known: Known | None, device: torch.device) -> Known | None:
    """What augmentations may know of the training samples, on the device."""
    if known is None:
        return None
    fields = {name: value for name, value in vars(known).items() if value is not None}
    reads = fields.pop("reads", None)
    tensors = {name: torch.as_tensor(value, device=device) for name, value in fields.items()}
    return Known(
        **tensors,
        reads=reads
        and Reads(**{name: torch.as_tensor(v, device=device) for name, v in vars(reads).items()}),
    )


def predict(
    network: nn.Module,
    imager: nn.Module,
    x: np.ndarray,
    device: torch.device,
    objective: Objective = CLASSES,
    batch_size: int = 64,
) -> np.ndarray:
    """(samples, outputs) answers to prepared samples, computed in float32: class probabilities, or
    standardised values.
    """
    network.to(device)
    imager.to(device)
    scores = _predict_scores(network, imager, torch.as_tensor(x, device=device), batch_size)
    return objective.answers(scores).cpu().numpy()


@torch.no_grad()
def _predict_scores(network: nn.Module, imager: nn.Module, x: Tensor, batch_size: int) -> Tensor:
    network.eval()
    at_once = scored_at_once(x.device, batch_size)
    return compute_in_parts(lambda part: network(imager(part)).float(), x, at_once)


def draw_order(y: Tensor, balanced: bool) -> Tensor:
    """Positions of an epoch's samples: each once, or as many that hold each class equally often."""
    if not balanced:
        return torch.randperm(len(y), device=y.device)
    chance = 1 / torch.bincount(y).clamp(min=1)[y].float()
    return torch.multinomial(chance, len(y), replacement=True)


def _learning_rate_factor(step: int, steps: int, warm_up: float = 0.1) -> float:
    """Linear warm-up over a tenth of all steps, then half a cosine down to zero."""
    start = max(1, round(warm_up * steps))
    if step < start:
        return (step + 1) / start
    return 0.5 * (1 + math.cos(math.pi * (step - start) / max(1, steps - start)))


def _epochs_without_progress(history: list[Measurements]) -> int:
    """Epochs since the one of lowest validation loss, the first of equals."""
    if not history:
        return 0
    losses = [row["validation_loss"] for row in history]
    return len(losses) - 1 - losses.index(min(losses))


def _read_checkpoint(path: Path, device: torch.device) -> dict[str, Any] | None:
    """What `train` wrote; None where there is nothing, or nothing that can be read."""
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        history = state["history"]  # 0.1.0 wrote a list
        return {**state, "history": json.loads(history) if isinstance(history, str) else history}
    except Exception as error:
        print(
            f"{path.name} is damaged ({error}): the fold is trained from its beginning.",
            file=sys.stderr,
        )
        return None
