"""The network that looks at gene-images: a torchvision backbone, cut into stages, and a head."""

from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from pathlib import Path
from threading import Thread

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from core.errors import WeightsError
from core.files import write_atomic
from core.models.heads import AveragePool, LinearHead, PositionHead, Products
from core.models.spec import IMAGE, PRODUCT_PLACES, PRODUCTS, NetworkSpec
from core.models.weights import RunWeights, describe_differences, load_weights, name_as_today

REDUCED = {"scales": 32, "position": 128}
"""Channels that a position head keeps of a map: enough to tell classes apart, few enough for small
data sets, which see many more places at the finer stages."""


def load_ahead() -> None:
    """Begin to load torchvision, beside whatever comes before a network is built, which waits.

    It loads torch's compiler, which takes as long as torch itself.
    """
    Thread(target=import_module, args=("torchvision",), daemon=True).start()


class GeneImageNetwork(nn.Module):
    """A backbone's stages and a head: images (batch, 3, S, S) -> class scores (batch, classes).

    Built with random weights drawn from `seed`; `build_network` loads others. Frozen stages take
    no gradients, and stay in evaluation mode even while the network trains, so that their batch
    normalisation keeps its statistics too. What they give can be computed once: `forward` is
    `score_frozen` of `frozen_maps`.
    """

    def __init__(self, spec: NetworkSpec, classes: int, *, seed: int) -> None:
        from torchvision.models import get_model

        super().__init__()
        record = spec.record
        with torch.device("meta"):
            model = get_model(record.name, weights=None, num_classes=classes)
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
        seen = {"linear": record.stages, "scales": record.stages, "position": record.stages[-1:],
                "torchvision": ()}  # fmt: skip
        self.pools = nn.ModuleDict(
            {
                name: AveragePool(side, min(spec.pool, side))
                for name, (_, side) in zip(record.stages, shapes, strict=True)
                if name in seen[spec.head]
            }
        )
        self.products = Products(spec.image_size, PRODUCT_PLACES) if spec.products else None
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
                if spec.is_solved:
                    looked_at[IMAGE] = 1, spec.image_size
                    if self.products:
                        looked_at[PRODUCTS] = self.products.values, 1
                    self.head = LinearHead({n: looked_at[n] for n in spec.sources}, classes)
                else:
                    self.head = PositionHead(looked_at, REDUCED[spec.head], classes, spec.dropout)
            self._initialise()
        for name in spec.frozen_stages:
            self.stage_module(name).requires_grad_(False)
        self.train(self.training)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (batch, classes), before any softmax."""
        needed = self.head.needed if self.spec.is_solved else None
        return self.score_frozen(self.frozen_maps(images, needed))

    @property
    def stages_needed(self) -> float:
        """The share of its stages that scores go through: of a linear head up to the last map that
        is counted.
        """
        if not self.spec.is_solved:
            return 1.0
        before = len(self.head) - len(self.pools)  # the image itself, and products
        return max(self.head.needed - before, 0) / len(self.pools)

    def frozen_maps(self, images: Tensor, most: int | None = None) -> list[Tensor]:
        """All that the part that trains needs of images (batch, 3, S, S), or the first so many.

        The pooled maps of frozen stages that the head looks at, and last, unless the head has all
        that it needs, the last frozen stage's map (the images where nothing is frozen). A linear
        head's first map is the image itself: its first channel, which holds the genes' values; the
        next are products of genes, if it looks at them.
        """
        maps = images.contiguous(memory_format=torch.channels_last)
        taken, frozen = [], len(self.spec.frozen_stages)
        if self.spec.is_solved:
            taken.append(images[:, :1])
        if self.products:
            taken.append(self.products(images[:, :1]))
        for name, stage in islice(self.stages.named_children(), frozen):
            if most is not None and len(taken) >= most:
                break
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
        from torchvision.models.resnet import Bottleneck

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
    except (OSError, SafetensorError):
        raise WeightsError(
            f"The trained network ({path.name}) can't be read: it is cut short or damaged. Train "
            "the run again."
        ) from None
    if differences := describe_differences(network.state_dict(), tensors):
        raise WeightsError(
            f"The trained network ({path.name}) is of another architecture: {differences}"
        )
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
