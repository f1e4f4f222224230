"""Reading a weights file that somebody brought, in a process without rights to anything else.

Its tensors are written anew as safetensors. The process gives up the network, all files but these,
and more memory and time than they need. What is wrong is one sentence on standard error.
"""

import errno
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.confine import give_up_files, give_up_network, interpreter_files, limit_resources
from core.errors import GeneCanvasError, WeightsError
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
    give_up_network()
    give_up_files([path, *interpreter_files()], [place])
    limit_resources(memory=MEMORY + TIMES * size, written=2 * size + 2**20, seconds=SECONDS)
    tempfile.tempdir = str(place)
    try:
        tensors = read_numbers(path)
        save_file(tensors, place / "weights.safetensors")
        print(json.dumps(find_fitting(tensors)))
    except GeneCanvasError as error:
        _end(str(error).replace(str(path), path.name))
    except MemoryError:
        _end(f"{path.name} needs more memory than a file of its size may to be read.")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _end("The disk is full. Free some room, and try again.")
        _end(f"{path.name} can't be read: {error.strerror or error}.")
    except Exception as error:  # a damaged file has the libraries raise anything
        _end(f"{path.name} can't be read as a weights file: {error!s:.300}.")


def _end(message: str) -> None:
    print(" ".join(message.split()), file=sys.stderr, flush=True)
    sys.exit(2)


def read_numbers(path: Path) -> dict[str, Tensor]:
    """A file's tensors, each with a memory of its own.

    Raises:
        WeightsError: there are none, one isn't dense, or one holds what is no number.
    """
    tensors = read_tensors(path)
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
