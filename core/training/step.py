"""One step of training: from a batch of prepared rows to moved weights."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from core.devices import is_out_of_memory

SMALLEST_PART = 2
"""Batch normalisation can't learn from one sample."""
LONGEST_GRADIENT = 1.0


class Step:
    """Vary and paint a batch, add up its gradients, clip them, and move the weights by AdamW.

    All that it does is asked of the device and nothing is waited for, so that a GPU can record it
    (`core.training.captured`). A batch that doesn't fit into memory is computed in halves, whose
    gradients are added, and so are all after it.

    Args:
        paint: rows, targets and positions of a batch's samples -> images and targets, varied.
        loss_of: images and targets -> their mean loss.
        parameters: what is trained.
        weight_decay: of AdamW.
        at_once: samples that are computed at once, at most.
        device: where.
    """

    def __init__(
        self,
        paint: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
        loss_of: Callable[[Tensor, Tensor], Tensor],
        parameters: list[nn.Parameter],
        *,
        weight_decay: float,
        at_once: int,
        device: torch.device,
    ) -> None:
        self.paint, self.loss_of, self.parameters = paint, loss_of, parameters
        self.at_once, self.on_gpu = at_once, device.type == "cuda"
        # a recording keeps numbers as they were, but reads a tensor anew
        self._rate = torch.zeros((), device=device) if self.on_gpu else None
        self.optimiser = torch.optim.AdamW(
            parameters, weight_decay=weight_decay, fused=True, capturable=self.on_gpu
        )

    def restore(self, optimiser: dict[str, Any]) -> None:
        """Go on from the optimiser's state in a checkpoint, of whatever device."""
        self.optimiser.load_state_dict(optimiser)
        for group in self.optimiser.param_groups:
            group["capturable"] = self.on_gpu

    def set_rate(self, rate: float) -> None:
        """The learning rate from now on."""
        if self._rate is not None:
            self._rate.fill_(rate)
        for group in self.optimiser.param_groups:
            group["lr"] = rate if self._rate is None else self._rate

    def __call__(self, x: Tensor, targets: Tensor, positions: Tensor) -> Tensor:
        """The mean loss of a batch, before the step that it leads to.

        Args:
            x: (batch, ...) prepared rows, or rows of features.
            targets: (batch, outputs) what the scores shall become.
            positions: (batch,) of the samples among all that train.
        """
        images, targets = self.paint(x, targets, positions)
        loss = self._add_gradients(images, targets)
        nn.utils.clip_grad_norm_(self.parameters, LONGEST_GRADIENT)
        self.optimiser.step()
        return loss

    def _add_gradients(self, images: Tensor, targets: Tensor) -> Tensor:
        """Compute the gradients of a batch's mean loss, in halves where memory is too small."""
        samples = len(images)
        while True:
            self.optimiser.zero_grad()
            losses = []
            try:
                for part in cut(samples, self.at_once):
                    share = (part.stop - part.start) / samples
                    loss = self.loss_of(images[part], targets[part]) * share
                    loss.backward()
                    losses.append(loss.detach())
                return sum(losses[1:], losses[0])
            except RuntimeError as error:
                recording = self.on_gpu and torch.cuda.is_current_stream_capturing()
                if self.at_once <= SMALLEST_PART or recording or not is_out_of_memory(error):
                    raise
            self.at_once = max(SMALLEST_PART, min(self.at_once, samples) // 2)


def cut(samples: int, size: int) -> list[slice]:
    """Cut a row of samples into batches; a last batch of one joins its neighbour, because batch
    normalisation can't learn from one sample.
    """
    starts = list(range(0, samples, size))
    if len(starts) > 1 and starts[-1] == samples - 1:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], samples], strict=True)]
