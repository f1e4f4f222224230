"""How long a network takes for a batch: to train on it, to look at it, to test it."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import Tensor

from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.network import GeneImageNetwork
from core.models.spec import NetworkSpec
from core.training.captured import WARM_UP, Captured
from core.training.device import choose_precision
from core.training.loop import predict
from core.training.spec import TrainingSpec

BATCHES = 3
"""Timed batches; fewer where that takes long."""
LONG = 3.0
"""Seconds."""


class TrialBatch:
    """A batch of made-up samples and a network with random weights.

    Args:
        spec: the network.
        training: its batch size and precision count.
        samples: how many there are to train on; a batch is no larger.
        classes: scores of the network.
        genes: of a sample.
        side: of the canvas.
        device: where to compute.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        training: TrainingSpec,
        *,
        samples: int,
        classes: int,
        genes: int,
        side: int | None,
        device: torch.device,
    ) -> None:
        self.device, self.size = device, min(training.batch_size, samples)
        layout = fit_layout(
            np.empty((2, genes), np.float32), [f"g{n}" for n in range(genes)],
            LayoutSpec(name="order", side=side), spec.image_size, 0,
        )  # fmt: skip
        self.network = GeneImageNetwork(spec, classes, seed=0)
        self.network.to(device, memory_format=torch.channels_last)
        self.imager = GeneImager(layout, spec.image_size).to(device)
        self.x = torch.rand(self.size, genes, device=device)
        self.y = torch.arange(self.size, device=device) % classes
        self.autocast = torch.autocast(
            device.type, torch.bfloat16,
            enabled=choose_precision(training.precision, device) == "bfloat16",
        )  # fmt: skip
        self.parameters = sum(parameter.numel() for parameter in self.network.parameters())

    def time_frozen(self) -> float:
        """Seconds of the frozen stages."""
        return self._time(self._look)

    def time_training(self, *, from_features: bool = False) -> float:
        """Seconds of a training step; `from_features`: where the frozen stages' maps are known."""
        self.network.train()
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        optimiser = torch.optim.AdamW(
            weights, lr=1e-6, fused=True, capturable=self.device.type == "cuda"
        )
        known = self._look() if from_features else None

        def step(x: Tensor) -> Tensor:
            optimiser.zero_grad()
            with self.autocast:
                maps = known or self.network.frozen_maps(self.imager(x))
                scores = self.network.score_frozen(maps)
            loss = torch.nn.functional.cross_entropy(scores.float(), self.y)
            loss.backward()
            optimiser.step()
            return loss.detach()

        take_step = Captured(step, self.device)
        return self._time(lambda: take_step(self.x))

    def time_testing(self) -> float:
        """Seconds of predicting."""
        x = self.x.cpu().numpy()
        return self._time(lambda: predict(self.network, self.imager, x, self.device))

    @torch.no_grad()
    def _look(self) -> list[Tensor]:
        with self.autocast:
            return self.network.frozen_maps(self.imager(self.x))

    def _time(self, work: Callable[[], object]) -> float:
        """Seconds of the middle one of a few repeats, after those that set things up."""
        on_gpu, seconds = self.device.type == "cuda", []
        for _ in range(WARM_UP + 1 if on_gpu else 1):
            work()
        while len(seconds) < BATCHES and sum(seconds) < LONG:
            if on_gpu:
                torch.cuda.synchronize(self.device)
            started = time.perf_counter()
            work()
            if on_gpu:
                torch.cuda.synchronize(self.device)
            seconds.append(time.perf_counter() - started)
        return median(seconds)
