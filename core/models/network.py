"""The network that looks at gene-images: a torchvision backbone, cut into stages, and a head."""

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import linear
from torchvision.models.resnet import Bottleneck

from core.errors import WeightsError
from core.files import write_atomic
from core.models.spec import NetworkSpec
from core.models.weights import RunWeights, describe_differences, load_weights, name_as_today

REDUCED = {"scales": 32, "position": 128}
"""Channels that a position head keeps of a map: enough to tell classes apart, few enough for small
data sets, which see many more places at the finer stages."""


class GeneImageNetwork(nn.Module):
    """A backbone's stages and a head: images (batch, 3, S, S) -> class scores (batch, classes).

    Built with random weights drawn from `seed`; `build_network` loads others. Frozen stages take
    no gradients, and stay in evaluation mode even while the network trains, so that their batch
    normalisation keeps its statistics too. What they give can be computed once: `forward` is
    `score_frozen` of `frozen_maps`.
    """

    def __init__(self, spec: NetworkSpec, classes: int, *, seed: int) -> None:
        super().__init__()
        record = spec.record
        with torch.device("meta"):
            model = torchvision.models.get_model(record.name, weights=None, num_classes=classes)
            maps = torch.empty(1, 3, spec.image_size, spec.image_size)
        self.spec = spec
        self.stages = nn.Sequential(
            OrderedDict((stage.name, _take(model, stage.layers)) for stage in record.blocks)
        )
        if spec.padding:
            pad = nn.ZeroPad2d((0, spec.padding, 0, spec.padding))
            stem = OrderedDict([("pad", pad), *self.stages[0].named_children()])
            self.stages[0] = nn.Sequential(stem)
        shapes = []
        for stage in self.stages.eval():
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:3]))
        seen = {"scales": record.stages, "position": record.stages[-1:], "torchvision": ()}
        self.pools = nn.ModuleDict(
            {
                name: AveragePool(side, min(spec.pool, side))
                for name, (_, side) in zip(record.stages, shapes, strict=True)
                if name in seen[spec.head]
            }
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stages.to_empty(device="cpu")
            if spec.head == "torchvision":
                self.head: nn.Module = _take_head(model, spec, shapes[-1][1])
            else:
                looked_at = {
                    name: (channels, self.pools[name].places)
                    for name, (channels, _) in zip(record.stages, shapes, strict=True)
                    if name in self.pools
                }
                self.head = PositionHead(looked_at, REDUCED[spec.head], classes, spec.dropout)
            self._initialise()
        for name in spec.frozen_stages:
            self.stage_module(name).requires_grad_(False)
        self.train(self.training)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (batch, classes), before any softmax."""
        return self.score_frozen(self.frozen_maps(images))

    def frozen_maps(self, images: Tensor) -> list[Tensor]:
        """All that the part that trains needs of images (batch, 3, S, S).

        The pooled maps of frozen stages that the head looks at, and last, unless the head has all
        that it needs, the last frozen stage's map (the images where nothing is frozen).
        """
        maps = images.contiguous(memory_format=torch.channels_last)
        taken, frozen = [], len(self.spec.frozen_stages)
        for name, stage in islice(self.stages.named_children(), frozen):
            maps = stage(maps)
            if name in self.pools:
                taken.append(self.pools[name](maps))
        if frozen < len(self.stages) or not self.pools:
            taken.append(maps)
        return taken

    def score_frozen(self, taken: list[Tensor]) -> Tensor:
        """Class scores (batch, classes) of what `frozen_maps` gives."""
        taken, frozen = list(taken), len(self.spec.frozen_stages)
        if frozen < len(self.stages) or not self.pools:
            maps = taken.pop().contiguous(memory_format=torch.channels_last)
        for name, stage in islice(self.stages.named_children(), frozen, None):
            maps = stage(maps)
            if name in self.pools:
                taken.append(self.pools[name](maps))
        return self.head(taken) if self.pools else self.head(maps)

    def stage_module(self, name: str) -> nn.Module:
        """The stage called `name`, for looking at its maps."""
        return self.stages.get_submodule(name)

    def train(self, mode: bool = True) -> "GeneImageNetwork":
        """Switch training mode on or off; frozen stages stay in evaluation mode."""
        super().train(mode)
        for name in self.spec.frozen_stages:
            self.stage_module(name).eval()
        return self

    def torchvision_names(self) -> dict[str, str]:
        """Own name -> torchvision's name of every tensor that torchvision's network has too."""
        names = {}
        for name in self.state_dict():
            if name.startswith("stages."):
                _, _, layer, *rest = name.split(".")
            elif self.spec.head == "torchvision":
                _, layer, *rest = name.split(".")
            else:
                continue
            names[name] = ".".join([layer.replace("_", "."), *rest])
        return names

    def _initialise(self) -> None:
        """Draw weights: He's for convolutions (arXiv:1502.01852), small ones for linear layers.

        The last layer is small, so that training starts from nearly equal class scores, and
        ResNet's blocks start as their shortcuts alone (Goyal et al. 2017, arXiv:1706.02677):
        otherwise the scores of an untrained ResNet152 grow to a million.
        """
        last = None
        if self.spec.head == "torchvision":
            last = self.head.get_submodule(self.spec.record.classifier)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d) and module is not last:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            elif isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)


class PositionHead(nn.ModuleDict):
    """A classifier that keeps where on a map something was: on a gene-image, which genes.

    Of each pooled map: reduce the channels with a 1 x 1 convolution, normalise over the batch,
    flatten, classify; the scores of all maps are added. Global average pooling would throw the
    place, and so the gene, away. Maps of early stages are fine and tell neighbouring genes apart,
    those of late ones tell patterns of many genes (hypercolumns: Hariharan et al. 2015,
    arXiv:1411.5752). Without the normalisation an untrained VGG hardly learns: after 16 layers
    its maps of any two samples are alike (correlation .95).

    Args:
        maps: stage -> channels and places a side of its pooled map.
        reduced: channels that are kept of each.
        classes: how many scores.
        dropout: share of the flattened values that is left out while training.
    """

    def __init__(
        self, maps: dict[str, tuple[int, int]], reduced: int, classes: int, dropout: float
    ) -> None:
        super().__init__(
            {
                name: PositionBranch(channels, places, reduced, classes, dropout)
                for name, (channels, places) in maps.items()
            }
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Pooled maps, each (batch, channels, places, places) -> class scores (batch, classes)."""
        scores = [branch(pooled) for branch, pooled in zip(self.values(), maps, strict=True)]
        return torch.stack(scores).sum(0)


class PositionBranch(nn.Module):
    """The part of a position head that looks at one map; arguments as of `PositionHead`.

    The 1 x 1 convolution and the classifier are matrix products over a map whose channels lie
    beside each other, and nothing in between is copied into another order: a step takes less than
    half the time of the same modules in a row.
    """

    def __init__(
        self, channels: int, places: int, reduced: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, 1, bias=False)
        self.norm = nn.BatchNorm2d(reduced)
        self.relu = nn.ReLU()
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(reduced * places**2, classes)

    def forward(self, pooled: Tensor) -> Tensor:
        """A pooled map (batch, channels, places, places) -> class scores (batch, classes)."""
        kept = linear(pooled.permute(0, 2, 3, 1), self.reduce.weight.flatten(1))
        kept = self.relu(self.norm(kept.permute(0, 3, 1, 2)))
        weight = self.linear.weight.unflatten(1, kept.shape[1:]).permute(0, 2, 3, 1).flatten(1)
        rows = self.dropout(kept.permute(0, 2, 3, 1).flatten(1))
        return linear(rows, weight, self.linear.bias)


class Dropout(nn.Dropout):
    """torch's with a random byte a value, so that the share is a multiple of 1/256.

    On a CPU it takes a sixth of the time of torch's, which was a quarter of a head's step.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; what is kept is divided by the share that is kept."""
        dropped = round(256 * self.p)
        if not self.training or dropped == 0:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        chance = words.random_(-(2**63), None).view(torch.uint8)[: x.numel()].view(x.shape)
        kept = torch.ge(chance, dropped, out=torch.empty_like(x))
        return x * kept.mul_(256 / (256 - dropped))


class AveragePool(nn.Module):
    """torch's AdaptiveAvgPool2d from one fixed side to another, as two matrix products.

    torch's own adds gradients in no fixed order on a GPU, so that two equal runs differ.
    """

    def __init__(self, side: int, places: int) -> None:
        super().__init__()
        self.places = places
        matrix = torch.zeros(places, side)
        for place in range(places):
            start, stop = place * side // places, -(-(place + 1) * side // places)
            matrix[place, start:stop] = 1 / (stop - start)
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channels, side, side) -> (batch, channels, places, places)."""
        matrix = self.matrix.to(maps.dtype)
        return matrix @ maps @ matrix.T


def build_network(
    spec: NetworkSpec,
    classes: int,
    *,
    seed: int,
    start: RunWeights | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[GeneImageNetwork, str]:
    """Build the network and load its initial weights, on the CPU.

    Args:
        seed: where random weights start; the same seed gives the same bits.
        start: the network to start from where `spec` names the weights of a run.
        progress: called with bytes done and bytes in all while a file is downloaded.

    Returns:
        The network, and one sentence that says where its weights are from.

    Raises:
        WeightsError: the weights that `spec` names can't be had or don't fit.
    """
    network = GeneImageNetwork(spec, classes, seed=seed)
    return network, load_weights(network, spec, start=start, progress=progress)


def save_network(network: nn.Module, path: Path) -> None:
    """Write the network's tensors as safetensors, atomically."""
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    write_atomic(path, lambda temporary: save_file(tensors, temporary))


def restore_network(network: GeneImageNetwork, path: Path) -> None:
    """Load what `save_network` wrote; every tensor must be there and fit.

    Raises:
        WeightsError: the file is missing, damaged, or of another architecture.
    """
    try:
        tensors = name_as_today(load_file(path), network.spec.record.stages[-1])
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"The trained network {path} can't be read ({error}). Train the run again."
        ) from None
    if differences := describe_differences(network.state_dict(), tensors):
        raise WeightsError(f"The trained network {path} is of another architecture: {differences}")
    network.load_state_dict(tensors)


def _take(model: nn.Module, layers: tuple[str, ...]) -> nn.Sequential:
    """Layers of a torchvision model in a row, under torchvision's names with _ for each dot.

    ReLUs that overwrite their input are made to keep it: attribution methods read it afterwards.
    """
    taken = nn.Sequential(
        OrderedDict((name.replace(".", "_"), model.get_submodule(name)) for name in layers)
    )
    for module in taken.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return taken


def _take_head(model: nn.Module, spec: NetworkSpec, side: int) -> nn.Sequential:
    """torchvision's own layers after the last stage, with `spec.dropout` wherever they drop out.

    ResNet's, which drop nothing out, get a dropout before their only layer.
    """
    head = _take(model, spec.record.head).to_empty(device="cpu")
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, module in head.named_children():
        if name == "fc":
            parts["dropout"] = nn.Dropout()
        parts[name] = module
        if name == "avgpool":
            if module.output_size == (7, 7):
                parts[name] = AveragePool(side // 2, 7)
            parts["flatten"] = nn.Flatten()
    parts.setdefault("flatten", nn.Flatten())
    taken = nn.Sequential(parts)
    for module in taken.modules():
        if isinstance(module, nn.Dropout):
            module.p = spec.dropout
    return taken
