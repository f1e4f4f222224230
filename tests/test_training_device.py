"""Devices: memory is counted in a plain script too, on a GPU as on a CPU."""

import subprocess
import sys

import pytest
import torch

from core.training.device import peak_memory, reset_peak_memory

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


def test_the_peak_is_of_this_process() -> None:
    reset_peak_memory(CPU)
    large = torch.ones(25_000_000)
    assert large.nbytes < peak_memory(CPU) < 10**12


def test_cuda_is_set_up_before_its_peak_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch has it: until `torch.cuda.init` the allocator knows no device."""
    ready = []

    def reset(device: torch.device) -> None:
        if not ready:
            raise RuntimeError("Allocator not initialized for device 0: did you call init?")

    monkeypatch.setattr(torch.cuda, "init", lambda: ready.append(True))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset)
    reset_peak_memory(GPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_peak_of_a_gpu_can_be_asked_for_first() -> None:
    code = (
        "import torch; from core.training.device import peak_memory, reset_peak_memory\n"
        "gpu = torch.device('cuda:0'); reset_peak_memory(gpu); torch.ones(10**6, device=gpu)\n"
        "assert peak_memory(gpu) >= 4 * 10**6"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
