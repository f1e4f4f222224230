"""The training loop: one network on one fold, from the first batch to the best epoch."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from core.errors import GeneCanvasError, InputError
from core.files import write_atomic
from core.training.device import choose_precision
from core.training.spec import AUGMENTATIONS, TrainingSpec


@dataclass(frozen=True)
class FoldData:
    """Prepared expression of one fold, (samples, genes) float32 in [0, 1], and class numbers."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    unit_sd: np.ndarray
    """(genes,) SD of each gene on the training samples."""
    mean: np.ndarray
    """(genes,) training mean of each gene."""
    classes: int


class Callback(Protocol):
    """What watches a training; raising Cancelled from `on_batch` stops it."""

    def on_batch(self, done: int, total: int) -> None:
        """Called after each batch with the batches done and planned, over all epochs."""

    def on_epoch(self, row: dict[str, float]) -> None:
        """Called after each epoch with its measurements."""


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
) -> list[dict[str, float]]:
    """Train `network` on gene-images and leave it with the weights of its best epoch.

    AdamW with linear warm-up and cosine decay; the best epoch is the one of lowest validation
    loss. After each epoch everything needed to go on is written to `checkpoint`; if that file
    exists, training goes on from it, with the same numbers as if it had never stopped, because an
    epoch's random numbers depend on `seed` and the epoch alone.

    Returns:
        One row of measurements an epoch.

    Raises:
        Cancelled: from the callback.
        DivergedError: the loss became NaN or infinite.
        InputError: the checkpoint is damaged.
    """
    augmentation = AUGMENTATIONS[spec.augmentation]
    autocast = torch.autocast(
        device.type, torch.bfloat16, enabled=choose_precision(spec.precision, device) == "bfloat16"
    )
    network.to(device, memory_format=torch.channels_last)
    imager.to(device)
    x_train, y_train, x_validation, y_validation, unit_sd, mean = (
        torch.as_tensor(array, device=device)
        for array in (
            data.x_train,
            data.y_train,
            data.x_validation,
            data.y_validation,
            data.unit_sd,
            data.mean,
        )
    )
    targets_train = one_hot(y_train, data.classes).float()
    class_weights = _class_weights(y_train, data.classes) if spec.class_weights else None

    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=learning_rate, weight_decay=spec.weight_decay, fused=True
    )
    batches = len(_cut_batches(len(x_train), spec.batch_size, device))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _learning_rate_factor(step, spec.epochs * batches)
    )
    history: list[dict[str, float]] = []
    best = {name: value.clone() for name, value in network.state_dict().items()}
    if checkpoint.exists():
        state = _read_checkpoint(checkpoint, device)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        history, best = state["history"], state["best"]

    for epoch in range(len(history), spec.epochs):
        if _epochs_without_progress(history) >= spec.patience:
            break
        torch.manual_seed(seed * 100_003 + epoch)
        started = time.perf_counter()
        losses = []
        network.train()
        for index, batch in enumerate(_cut_batches(len(x_train), spec.batch_size, device)):
            x, targets = x_train[batch], targets_train[batch]
            if augmentation.on_expression:
                x, targets = augmentation.on_expression(x, targets, unit_sd, mean)
            images = imager(x)
            if augmentation.on_images:
                images = augmentation.on_images(images)
            with autocast:
                logits = network(images.contiguous(memory_format=torch.channels_last))
            loss = cross_entropy(
                logits.float(), targets, class_weights, label_smoothing=spec.label_smoothing
            )
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.detach())
            callback.on_batch(epoch * batches + index + 1, spec.epochs * batches)
        train_loss = float(torch.stack(losses).mean())
        if not math.isfinite(train_loss):
            raise DivergedError(
                f"The training loss is no longer a number in epoch {epoch + 1}. "
                f"Lower the learning rate (now {learning_rate:g}) or use float32."
            )
        training_seconds = time.perf_counter() - started

        with autocast:
            logits = _predict_logits(network, imager, x_validation, spec.batch_size)
        row = {
            "epoch": epoch + 1,
            "train_loss": train_loss,
            **_measure(logits, y_validation),
            "learning_rate": schedule.get_last_lr()[0],
            "samples_per_second": len(x_train) / training_seconds,
            "seconds": time.perf_counter() - started,
        }
        history.append(row)
        if _epochs_without_progress(history) == 0:
            best = {name: value.clone() for name, value in network.state_dict().items()}
        state = {
            "network": network.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": schedule.state_dict(),
            "history": history,
            "best": best,
        }
        write_atomic(checkpoint, lambda path, state=state: torch.save(state, path))
        callback.on_epoch(row)
    network.load_state_dict(best)
    return history


def predict_proba(
    network: nn.Module, imager: nn.Module, x: np.ndarray, device: torch.device, batch_size: int = 64
) -> np.ndarray:
    """Class probabilities (samples, classes) of prepared expression, computed in float32."""
    network.to(device)
    imager.to(device)
    logits = _predict_logits(network, imager, torch.as_tensor(x, device=device), batch_size)
    return torch.softmax(logits.double(), dim=1).cpu().numpy()


@torch.no_grad()
def _predict_logits(network: nn.Module, imager: nn.Module, x: Tensor, batch_size: int) -> Tensor:
    network.eval()
    parts = [
        network(imager(batch).contiguous(memory_format=torch.channels_last)).float()
        for batch in x.split(batch_size)
    ]
    return torch.cat(parts)


def _cut_batches(samples: int, batch_size: int, device: torch.device) -> list[Tensor]:
    """Positions of an epoch's batches in random order; a last batch of one joins its neighbour,
    because batch normalisation can't learn from one sample.
    """
    batches = list(torch.randperm(samples, device=device).split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        last = batches.pop()
        batches[-1] = torch.cat([batches[-1], last])
    return batches


def _class_weights(y: Tensor, classes: int) -> Tensor:
    """Weights that let every class count the same in the mean loss."""
    counts = torch.bincount(y, minlength=classes).clamp(min=1)
    return len(y) / (classes * counts.float())


def _learning_rate_factor(step: int, steps: int, warm_up: float = 0.1) -> float:
    """Linear warm-up over a tenth of all steps, then half a cosine down to zero."""
    start = max(1, round(warm_up * steps))
    if step < start:
        return (step + 1) / start
    return 0.5 * (1 + math.cos(math.pi * (step - start) / max(1, steps - start)))


def _epochs_without_progress(history: list[dict[str, float]]) -> int:
    """Epochs since the one of lowest validation loss, the first of equals."""
    if not history:
        return 0
    losses = [row["validation_loss"] for row in history]
    return len(losses) - 1 - losses.index(min(losses))


def _measure(logits: Tensor, y: Tensor) -> dict[str, float]:
    predicted = logits.argmax(dim=1)
    return {
        "validation_loss": float(cross_entropy(logits, y)),
        "validation_accuracy": float((predicted == y).float().mean()),
        "validation_macro_f1": float(
            f1_score(y.cpu(), predicted.cpu(), average="macro", zero_division=0)
        ),
    }


def _read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise InputError(
            f"The checkpoint {path} is damaged and the run can't go on from it ({error}). "
            "Delete the run and start it again."
        ) from None
