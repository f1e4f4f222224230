"""Where and in which number format a network computes."""

from functools import cache
from pathlib import Path
from typing import Literal

import torch


def choose_device() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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


def describe_device(device: torch.device) -> str:
    """The device in words, as it is recorded with a result."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
