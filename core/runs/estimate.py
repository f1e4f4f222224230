"""How long a run will take and how much memory it needs, measured by training a few batches.

`estimate` is for pages and the command line and does not import torch; what trains runs as
`python -m core.runs.estimate` in a process of its own.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anndata import AnnData
from pydantic import BaseModel, ConfigDict

from core.errors import GeneCanvasError, InputError
from core.processes import run_module
from core.runs.spec import RunSpec
from core.runs.speed import load_speeds
from core.runs.study import open_study

if TYPE_CHECKING:
    import torch

    from core.models.heads import LinearHead

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

    Nothing is trained where `core.runs.speed` has measured just such a network on this computer.

    Args:
        spec: what shall be trained; its weights are not needed for that.
        data: the dataset, where it is at hand.

    Raises:
        InputError: the spec doesn't fit its dataset, or the network doesn't fit into memory.
    """
    return estimate_each([spec], data)[0]


def estimate_each(specs: Sequence[RunSpec], data: AnnData | None = None) -> list[Estimate]:
    """`estimate` of several runs of a dataset, in one process: loading torch takes most of it.

    Its memory is the most until then, so runs that need little come first.

    Raises InputError as `estimate` does.
    """
    work = [_list_work(spec, data) for spec in specs]
    found = [_recall(spec, one) for spec, one in zip(specs, work, strict=True)]
    unknown = [one for one, known in zip(work, found, strict=True) if known is None]
    answer = run_module("core.runs.estimate", unknown) if unknown else None
    if answer is None:
        return found
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["it was killed"])[-1]
        tried = " or ".join(
            f"{network.record.title} at {network.image_size} x {network.image_size} pixels"
            for network in dict.fromkeys(spec.network for spec in specs)
        )
        raise InputError(
            f"A trial batch of {tried} failed: {last}. Take smaller images, smaller batches or a "
            "smaller network."
        )
    measured = (Estimate.model_validate(one) for one in json.loads(answer.stdout))
    return [next(measured) if known is None else known for known in found]


def _list_work(spec: RunSpec, data: AnnData | None) -> dict:
    """What is measured of a run, as JSON."""
    study = open_study(spec, data)
    return {
        "spec": spec.model_dump(mode="json"),
        "classes": len(study.classes),
        "genes": min(spec.preparation.genes, study.x.shape[1]),
        "train": [len(fold.train) for fold in study.folds],
        "tested": [len(fold.validation) + len(fold.test) for fold in study.folds],
    }


def _recall(spec: RunSpec, work: dict) -> Estimate | None:
    """What `core.runs.speed` knows of such a network on this computer."""
    kept = load_speeds()
    known = kept.find(spec, min(work["train"])) if kept else None
    if known is None:
        return None
    return Estimate(
        seconds=_add_up(spec, work, known.batch, known.trained, 0.0, known.tested),
        peak_bytes=known.peak_bytes,
        free_bytes=free_memory() if kept.device.startswith("CPU") else known.free_bytes,
        parameters=known.parameters, device=kept.device,
    )  # fmt: skip


def _measure(work: dict) -> Estimate:
    import torch

    from core.jobs.processor import choose_threads
    from core.training.device import choose_device, describe_device, peak_memory
    from core.training.timing import TrialBatch

    torch.set_num_threads(choose_threads())
    spec, device = RunSpec.parse(work["spec"]), choose_device()
    free = free_bytes(device)
    trial = TrialBatch(
        spec.network, spec.training, samples=min(work["train"]), classes=work["classes"],
        genes=work["genes"], side=spec.layout.side, device=device,
    )  # fmt: skip
    if spec.network.is_solved:
        frozen = trial.time_frozen()
        seconds = sum(
            (samples + others) / trial.size * frozen + _time_solving(trial.network.head, samples)
            for samples, others in zip(work["train"], work["tested"], strict=True)
        )
    else:
        seconds = _add_up(
            spec, work, trial.size, trial.time_training(from_features=spec.caches_features),
            trial.time_frozen() if spec.caches_features else 0.0, trial.time_testing(),
        )  # fmt: skip
    return Estimate(
        seconds=seconds, peak_bytes=peak_memory(device), free_bytes=free,
        parameters=trial.parameters, device=describe_device(device),
    )  # fmt: skip


def _add_up(
    spec: RunSpec, work: dict, batch: int, trained: float, frozen: float, tested: float
) -> float:
    """Seconds of a run by those of a batch: of a step, of its frozen stages, of testing it."""
    seconds = 0.0
    for samples, others in zip(work["train"], work["tested"], strict=True):
        batches = -(-samples // batch)
        seconds += batches * (spec.training.epochs * trained + max(spec.variants, 1) * frozen)
        seconds += (spec.training.epochs + 1) * others / batch * tested
    return seconds


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


def free_bytes(device: "torch.device") -> int:
    """Memory of a device that can be had without taking it from others."""
    import torch

    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()


def free_memory() -> int:
    """That of this computer beside a GPU; all of it where that isn't known."""
    listed = Path("/proc/meminfo")
    if listed.exists():
        for line in listed.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


if __name__ == "__main__":
    try:
        print(json.dumps([_measure(work).model_dump() for work in json.load(sys.stdin)]))
    except (GeneCanvasError, RuntimeError, MemoryError) as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        sys.exit(2)
