"""How long a run will take and how much memory it needs, measured by training a few batches.

`estimate` is for pages and the command line and does not import torch; what trains runs as
`python -m core.runs.estimate` in a process of its own.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from anndata import AnnData
from pydantic import BaseModel, ConfigDict

from core.errors import GeneCanvasError, InputError
from core.processes import run_module
from core.runs.spec import RunSpec
from core.runs.study import open_study

if TYPE_CHECKING:
    from core.models.heads import LinearHead

BATCHES = 3
"""Timed batches, after one that sets things up; fewer where that takes long."""
LONG = 3.0
"""Seconds."""
SOLVED_WITH = 500
"""Samples; of more, the time goes with the square of their number."""


class Estimate(BaseModel):
    """What a run costs on this computer."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """Of training and testing all folds; fitting the baseline models takes some more."""
    peak_bytes: int
    """Most memory of the process, or of the GPU where there is one."""
    free_bytes: int
    """Memory that was free for it."""
    parameters: int
    device: str


def estimate(spec: RunSpec, data: AnnData | None = None) -> Estimate:
    """Train a few batches of a run's network on made-up samples, in a process of its own.

    Args:
        spec: what shall be trained; its weights are not needed for that.
        data: the dataset, where it is at hand.

    Raises:
        InputError: the spec doesn't fit its dataset, or the network doesn't fit into memory.
    """
    study = open_study(spec, data)
    work = {
        "spec": spec.model_dump(mode="json"),
        "classes": len(study.classes),
        "genes": min(spec.preparation.genes, study.x.shape[1]),
        "train": [len(fold.train) for fold in study.folds],
        "tested": [len(fold.validation) + len(fold.test) for fold in study.folds],
    }
    answer = run_module("core.runs.estimate", work)
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise InputError(
            f"A trial batch of {spec.network.record.title} at {spec.network.image_size} x "
            f"{spec.network.image_size} pixels failed: {last}. Take smaller images, smaller "
            "batches or a smaller network."
        )
    return Estimate.model_validate_json(answer.stdout)


def _measure(work: dict) -> Estimate:
    import numpy as np
    import torch

    from core.images.imager import GeneImager
    from core.images.layouts import LayoutSpec, fit_layout
    from core.jobs.processor import choose_threads
    from core.models.network import GeneImageNetwork
    from core.training.device import (
        choose_device,
        choose_precision,
        describe_device,
        peak_memory,
    )
    from core.training.loop import predict

    torch.set_num_threads(choose_threads())
    spec, device = RunSpec.parse(work["spec"]), choose_device()
    free = _free_bytes() if device.type == "cpu" else torch.cuda.mem_get_info(device)[0]
    genes, batch = work["genes"], min(spec.training.batch_size, *work["train"])
    x = torch.rand(batch, genes, device=device)
    layout = fit_layout(
        np.empty((2, genes), np.float32), [f"g{n}" for n in range(genes)],
        LayoutSpec(name="order", side=spec.layout.side), spec.network.image_size, 0,
    )  # fmt: skip
    network = GeneImageNetwork(spec.network, work["classes"], seed=0)
    network.to(device, memory_format=torch.channels_last)
    imager = GeneImager(layout, spec.network.image_size).to(device)
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-6, fused=True)
    autocast = torch.autocast(
        device.type, torch.bfloat16,
        enabled=choose_precision(spec.training.precision, device) == "bfloat16",
    )  # fmt: skip
    y = torch.arange(batch, device=device) % work["classes"]

    def look() -> list[torch.Tensor]:
        with torch.no_grad(), autocast:
            return network.frozen_maps(imager(x))

    def train_batch() -> None:
        optimiser.zero_grad()
        with autocast:
            maps = known if spec.caches_features else network.frozen_maps(imager(x))
            logits = network.score_frozen(maps)
        torch.nn.functional.cross_entropy(logits.float(), y).backward()
        optimiser.step()

    if spec.network.is_solved:
        seconds = sum(
            (samples + others) / batch * _time(look) + _time_solving(network.head, samples)
            for samples, others in zip(work["train"], work["tested"], strict=True)
        )
        return Estimate(
            seconds=seconds, peak_bytes=peak_memory(device), free_bytes=free,
            parameters=sum(p.numel() for p in network.parameters()),
            device=describe_device(device),
        )  # fmt: skip
    network.train()
    known = look()
    trained = _time(train_batch)
    frozen = _time(look) if spec.caches_features else 0.0
    tested = _time(lambda: predict(network, imager, x.cpu().numpy(), device))
    seconds = 0.0
    for samples, others in zip(work["train"], work["tested"], strict=True):
        batches = -(-samples // batch)
        seconds += batches * (spec.training.epochs * trained + max(spec.variants, 1) * frozen)
        seconds += (spec.training.epochs + 1) * others / batch * tested
    return Estimate(
        seconds=seconds, peak_bytes=peak_memory(device), free_bytes=free,
        parameters=sum(p.numel() for p in network.parameters()), device=describe_device(device),
    )  # fmt: skip


def _time_solving(head: "LinearHead", samples: int) -> float:
    """Seconds of solving a head, by solving it for made-up samples, SOLVED_WITH at most."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    from core.models.tuned import CLASSES, Choice, Sources

    n, outputs = min(samples, SOLVED_WITH), len(head.offset)
    rng, y = np.random.default_rng(0), np.arange(n) % max(outputs, 2)
    blocks = [
        rng.standard_normal((n, branch.linear.in_features), dtype=np.float32) + y[:, None] / outputs
        for branch in head.values()
    ]
    started = time.perf_counter()
    with threadpool_limits(1):
        sources = Sources(blocks, [False] * len(blocks))
        choice = Choice(sources, np.eye(max(outputs, 2))[y], y, np.arange(n), CLASSES, 0)
        choice.fit(choice.choose())
    return (time.perf_counter() - started) * (samples / n) ** 2


def _time(work: Callable[[], object]) -> float:
    """Seconds of the middle one of a few repeats; the first one sets things up and isn't timed."""
    work()
    seconds: list[float] = []
    while len(seconds) < BATCHES and sum(seconds) < LONG:
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return median(seconds)


def _free_bytes() -> int:
    """Memory that can be had without taking it from others; all of it where that isn't known."""
    listed = Path("/proc/meminfo")
    if listed.exists():
        for line in listed.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


if __name__ == "__main__":
    try:
        print(_measure(json.load(sys.stdin)).model_dump_json())
    except (GeneCanvasError, RuntimeError, MemoryError) as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        sys.exit(2)
