"""Torch in a worker: how many threads, how much of a GPU, and letting go of memory."""

import gc
import math
import os
import sys
import time

from core.devices import named_devices
from core.jobs.job import Lane

GPU_SHARE = 0.25
"""Of a GPU's memory that an interactive job may take: a training beside it finds the rest. Methods
that need more go through their samples in smaller parts."""
ROUNDS = 4
"""Convolutions by which it is chosen how many threads are the fastest."""


def prepare_torch(device: str, lane: Lane) -> None:
    """Load torch and set it up for a job, whatever the worker did before."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        share = GPU_SHARE if lane == Lane.INTERACTIVE else 1.0
        torch.cuda.set_per_process_memory_fraction(share, device)
    torch.set_num_threads(choose_threads())
    torch.manual_seed(0)


def let_go() -> None:
    """Give memory back that no job needs any more, of a GPU too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def choose_threads() -> int:
    """Threads for the CPU part of a job: OMP_NUM_THREADS, or what is fastest right now.

    Threads wait for each other at every layer, so that two on a core that somebody else uses are
    many times slower than one. A small convolution is timed with one thread and with all cores;
    one thread is kept unless more are clearly faster, and as soon as they have taken as long.
    Workers of several devices share the cores.
    """
    import torch

    if os.environ.get("OMP_NUM_THREADS"):
        return torch.get_num_threads()
    devices = len(named_devices()) or torch.cuda.device_count() or 1
    cores = max(1, (os.cpu_count() or 1) // devices)
    if cores == 1:
        return 1
    torch.set_num_threads(1)
    enough = 0.8 * _time_convolution()
    torch.set_num_threads(cores)
    return cores if _time_convolution(enough) < enough else 1


def _time_convolution(most: float = math.inf) -> float:
    """Seconds of some rounds after one that sets things up; fewer once they have taken `most`."""
    import torch

    images, weights = torch.ones(16, 32, 32, 32), torch.ones(32, 32, 3, 3, requires_grad=True)

    def once() -> float:
        started = time.perf_counter()
        torch.nn.functional.conv2d(images, weights, padding=1).sum().backward()
        return time.perf_counter() - started

    once()
    seconds = 0.0
    for _ in range(ROUNDS):
        seconds += once()
        if seconds >= most:
            break
    return seconds
