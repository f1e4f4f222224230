"""Where initial weights come from, and the check that they fit: never random silently."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from core.errors import WeightsError
from core.models.imagenet import fetch_imagenet
from core.models.own_weights import weights_path
from core.models.spec import NetworkSpec

if TYPE_CHECKING:
    from core.models.network import GeneImageNetwork

COUNTER = "num_batches_tracked"
"""Batch normalisation's counter, which old files lack and nothing here reads."""


class RunWeights(NamedTuple):
    """The network of a run's fold, from which another run starts."""

    fold: int
    """From 0."""
    path: Path


def load_weights(
    network: "GeneImageNetwork",
    spec: NetworkSpec,
    *,
    start: RunWeights | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Load what `spec.weights` names into a network that has random weights so far.

    Every stage must be in the file, with equal shapes. Of the head, the layers that fit are
    loaded, save ImageNet's own classifier; the sentence names those that start at random.

    Args:
        start: the network of the run that `spec.weights` names.
        progress: called with bytes done and bytes in all while a file is downloaded.

    Returns:
        One sentence on what was loaded.

    Raises:
        WeightsError: the file is missing, damaged or of another architecture.
    """
    kind, _, value = spec.weights.partition(":")
    record = spec.record
    if kind == "scratch":
        stages = spec.frozen_stages
        return "Random weights, trained from scratch." + (
            f" Frozen layers stay random: everything up to and including {stages[-1]}."
            if stages
            else ""
        )
    if kind == "imagenet":
        path, source = fetch_imagenet(record, progress), "torchvision's ImageNet weights"
    elif kind == "file":
        path, source = weights_path(value), "Weights"
    else:
        if start is None:
            raise WeightsError(f"Expected a network of run {value} to start from, got none.")
        path, source = start.path, f"Weights of run {value}, fold {start.fold + 1},"
    left_out = _assign(network, path)
    sentence = f"{source} from {path.name}."
    if left_out:
        sentence += f" Random to begin with: {', '.join(left_out)}."
    return sentence


def describe_differences(expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> str:
    """The first tensors whose presence or shape differs, in words; empty if none does."""
    found = [f"{name} is missing" for name in expected if name not in got and COUNTER not in name]
    found += [
        f"{name} has shape {tuple(got[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in got and got[name].shape != tensor.shape
    ]
    found += [f"{name} is not part of it" for name in got if name not in expected]
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(found[:3]) + more + "." if found else ""


def name_as_today(tensors: Mapping[str, Tensor], last_stage: str) -> dict[str, Tensor]:
    """Tensors under today's names: the position head of 0.1.0 looked at the last stage only."""
    names = {f"head.{part}.": f"head.{last_stage}.{part}." for part in ("reduce", "norm", "linear")}
    return {
        next(
            (new + name[len(old) :] for old, new in names.items() if name.startswith(old)), name
        ): tensor
        for name, tensor in tensors.items()
    }


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict without running anything that the file may hold.

    Raises:
        WeightsError: the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise WeightsError(f"There is no weights file at {path}. Check the path.")
    expected = "Expected a PyTorch state dict (.pth, .pt) or a .safetensors file."
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = (
            "holds Python objects other than tensors, which are never opened here because they "
            "can run code"
            if "unsupported global" in str(error).lower()
            else "is damaged, cut short, or no weights file at all"
        )
        raise WeightsError(f"{path} {reason}. {expected}") from None
    except Exception:  # what is no weights file makes torch raise whatever its bytes lead to
        raise WeightsError(
            f"{path} is damaged, cut short, or no weights file at all. {expected}"
        ) from None
    if not isinstance(tensors, dict) or not all(
        isinstance(tensor, Tensor) for tensor in tensors.values()
    ):
        raise WeightsError(f"{path} does not hold named tensors only. {expected}")
    return tensors


def compare_stages(network: "GeneImageNetwork", tensors: Mapping[str, Tensor]) -> str:
    """How a file's tensors differ from the network's stages, in words; empty if they fit."""
    own = network.state_dict()
    stages = {name: tensor for name, tensor in own.items() if name.startswith("stages.")}
    named = _name_as_own(network, tensors)
    body = {name: tensor for name, tensor in named.items() if not name.startswith("head.")}
    return describe_differences(stages, body)


def _name_as_own(network: "GeneImageNetwork", tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors under the network's own names, without ImageNet's classifier."""
    record = network.spec.record
    tensors = name_as_today(tensors, record.stages[-1])
    if any(name.startswith("stages.") for name in tensors):
        return tensors
    last = f"{record.classifier}."
    names = {theirs: mine for mine, theirs in network.torchvision_names().items()}
    return {
        names.get(name, f"head.{name}" if name.startswith(record.head[-1]) else name): tensor
        for name, tensor in tensors.items()
        if not name.startswith(last)
    }


def _assign(network: "GeneImageNetwork", path: Path) -> list[str]:
    """Copy a file's tensors into the network; returns the head's layers that don't get any."""
    given, own = read_tensors(path), network.state_dict()
    if differences := compare_stages(network, given):
        title = network.spec.record.title
        raise WeightsError(f"{path} does not hold the weights of {title}: {differences}")
    tensors = _name_as_own(network, given)
    fitting = {
        name: tensor
        for name, tensor in tensors.items()
        if name in own and own[name].shape == tensor.shape
    }
    network.load_state_dict(fitting, strict=False)
    left_out = {name.rpartition(".")[0] for name in own if name not in fitting}
    return sorted(name for name in left_out if name.startswith("head."))
