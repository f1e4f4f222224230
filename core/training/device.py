"""Where and in which number format a network computes, and with how much memory."""

import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from core.devices import is_out_of_memory, named_devices


def list_gpus() -> tuple[str, ...]:
    """Names of the GPUs that torch can use."""
    return tuple(f"cuda:{n}" for n in range(torch.cuda.device_count()))


def list_devices() -> tuple[str, ...]:
    """What `core.devices.devices` gives, where torch is loaded."""
    return named_devices() or list_gpus() or ("cpu",)


def choose_device() -> torch.device:
    """The first device that trains: where what is no run computes."""
    return torch.device(list_devices()[0])


@cache
def computes_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 matrices faster than float32.

    On CPUs that means AMX: with AVX512-BF16 alone, bfloat16 was measured at half the speed of
    float32.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    processor = Path("/proc/cpuinfo")
    return processor.exists() and "amx_bf16" in processor.read_text().split()


def choose_precision(
    asked: Literal["auto", "float32", "bfloat16"], device: torch.device
) -> Literal["float32", "bfloat16"]:
    """Turn 'auto' into the format that `device` is quick at; keep an explicit choice."""
    if asked == "auto":
        return "bfloat16" if computes_bfloat16(device) else "float32"
    return asked


def name_hardware(device: torch.device) -> str:
    """The kind of a device: results of equal kinds agree to the last bit."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def describe_device(device: torch.device) -> str:
    """The device in words, as it is recorded with a result."""
    if device.type == "cuda":
        return name_hardware(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def reset_peak_memory(device: torch.device) -> None:
    """Let `peak_memory` begin anew, where the system allows that."""
    if device.type == "cuda":
        torch.cuda.init()  # before that the allocator knows no device, and resetting it fails
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Most bytes in use since `reset_peak_memory`: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def scored_at_once(device: torch.device, on_cpu: int) -> int:
    """Samples that are scored at once: so many on a CPU, whose scores then keep their last bits; on
    a GPU as many as keep it busy, which `compute_in_parts` halves where memory is short.
    """
    return 512 if device.type == "cuda" else on_cpu


def compute_in_parts(compute: Callable[[Tensor], Tensor], x: Tensor, at_once: int) -> Tensor:
    """Rows that `compute` gives for the rows of `x`, at most `at_once` of them at a time.

    Where memory is too small the parts are halved.
    """
    rows, start = [], 0
    while start < len(x):
        try:
            rows.append(compute(x[start : start + at_once]))
            start += at_once
        except RuntimeError as error:
            if at_once == 1 or not is_out_of_memory(error):
                raise
            at_once //= 2
    return torch.cat(rows)


if __name__ == "__main__":
    print(*list_gpus())
