"""Reading a weights file that somebody brought, in a process without rights to anything else.

Its tensors are written anew as safetensors. The process gives up the network, all files but these,
and more memory and time than they need. What is wrong is one sentence on standard error.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.confine import alone_with
from core.errors import WeightsError
from core.models.backbones import BACKBONES
from core.models.network import GeneImageNetwork
from core.models.spec import NetworkSpec
from core.models.weights import compare_stages, read_tensors

MEMORY, TIMES = 6 * 2**30, 5
"""Bytes that the process may take: so many, and so many times the file's size."""
SECONDS = 300


def main() -> None:
    """Read the file that standard input names; print the networks that it fits, as JSON."""
    asked = json.load(sys.stdin)
    path, place = Path(asked["path"]), Path(asked["place"])
    size = path.stat().st_size
    with alone_with(
        path, place, "weights file", memory=MEMORY + TIMES * size,
        too_much="more memory than a file of its size may", written=2 * size + 2**20,
        seconds=SECONDS,
    ):  # fmt: skip
        tensors = read_numbers(path)
        save_file(tensors, place / "weights.safetensors")
        print(json.dumps(find_fitting(tensors)))


def read_numbers(path: Path) -> dict[str, Tensor]:
    """A file's tensors, each with a memory of its own.

    Raises:
        WeightsError: it is no weights file or holds none; one isn't dense, or holds what is no
            number.
    """
    try:
        tensors = read_tensors(path)
    except WeightsError as error:  # whoever brought it knows no folder of this computer
        raise WeightsError(str(error).replace(str(path), path.name)) from None
    if not tensors:
        raise WeightsError(f"{path.name} holds no tensors. Expected those of a network.")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise WeightsError(f"{path.name} holds {name[:80]!r} packed. Expected plain tensors.")
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{path.name} has infinite or missing numbers in {name[:80]!r}.")
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def find_fitting(tensors: Mapping[str, Tensor]) -> list[str]:
    """Titles of the networks on gene-images whose stages are all among the tensors."""
    found = []
    for name in BACKBONES.names:
        with torch.device("meta"):  # takes no memory
            network = GeneImageNetwork(NetworkSpec(backbone=name), 2, seed=0)
        if not compare_stages(network, tensors):
            found.append(BACKBONES[name].title)
    return found


if __name__ == "__main__":
    main()
