"""Networks up to the layer before the classifier, for tiles of any size. Loads torch."""

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.vision_transformer import interpolate_embeddings

from core.errors import WeightsError
from core.models.backbones import BACKBONES
from core.models.imagenet import fetch_imagenet
from core.models.network import build_network
from core.models.own_weights import weights_path
from core.models.spec import NetworkSpec
from core.models.weights import describe_differences, read_tensors
from core.tissue.networks import NETWORKS, seen_side

CLASSIFIERS = ("fc", "classifier", "heads")
"""What torchvision calls a network's last layers."""
HELPER = "AuxLogits."
"""Begins the names of Inception's second classifier, which files hold and nothing here needs."""

PLACES = "encoder.pos_embedding"
"""A transformer's positions, which are interpolated to the number of patches."""

FOLLOW = 0.1
"""Share by which the usual means of batch normalisation follow those of a batch, at least. By .01,
as torchvision's EfficientNet-B5 has it, a hundred steps leave them nearly where they began."""


class Body(nn.Module):
    """Images (batch, 3, any side, same side) -> features (batch, channels) before a classifier.

    Of a convolutional network each channel of the last map, averaged over all places; of a
    transformer its class token. Images are brought to the side that the network takes.
    """

    def __init__(self, layers: nn.Module, side: int, channels: int) -> None:
        super().__init__()
        self.layers, self.side, self.channels = layers, side, channels

    def forward(self, images: Tensor) -> Tensor:
        """Features of all images."""
        found = self.layers(self._bring(images))
        return found.mean(dim=(2, 3)) if found.ndim == 4 else found

    def maps(self, images: Tensor) -> Tensor:
        """The last map (batch, channels, rows, columns), whose means over places are the features.

        Not of a transformer, which has none.
        """
        kept = []
        pool = getattr(self.layers, "avgpool", nn.Identity())
        with pool.register_forward_pre_hook(lambda _, given: kept.append(given[0])):
            found = self.layers(self._bring(images))
        return kept[0] if kept else found

    def _bring(self, images: Tensor) -> Tensor:
        if images.shape[-1] == self.side:
            return images
        return interpolate(images, size=(self.side,) * 2, mode="bilinear", antialias=True)


def build_body(network: str, weights: str, side: int, seed: int) -> Body:
    """A network without its classifier, on the CPU.

    Args:
        network: a name in NETWORKS.
        weights: `imagenet`, `file:PATH` or `scratch`.
        side: pixels a side of the tiles.
        seed: of random weights.

    Raises:
        WeightsError: the weights are not here, or not of this network.
    """
    seen = seen_side(network, side)
    if network in BACKBONES:
        spec = NetworkSpec(backbone=network, weights=weights, image_size=seen)
        stages = build_network(spec, 2, seed=seed)[0].stages.requires_grad_(True)
        with torch.no_grad():
            channels = stages.eval()(torch.zeros(1, 3, seen, seen)).shape[1]
        return Body(stages, seen, channels)
    more = {"image_size": seen} if network.startswith("vit") else {}
    if network.startswith("inception"):
        more = {"aux_logits": False, "init_weights": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = torchvision.models.get_model(network, weights=None, **more)
    name = next(name for name in CLASSIFIERS if hasattr(model, name))
    linear = [m for m in getattr(model, name).modules() if isinstance(m, nn.Linear)]
    setattr(model, name, nn.Identity())
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = max(layer.momentum, FOLLOW)
    if weights != "scratch":
        _load(model, network, weights, name)
    return Body(model, seen, linear[0].in_features)


def _load(model: nn.Module, network: str, weights: str, classifier: str) -> None:
    """Fill a model that has lost its classifier from a file of torchvision's names."""
    record = NETWORKS[network]
    path = fetch_imagenet(record) if weights == "imagenet" else weights_path(weights[5:])
    tensors = {
        name: tensor
        for name, tensor in read_tensors(path).items()
        if not name.startswith((f"{classifier}.", HELPER))
    }
    if PLACES in tensors and tensors[PLACES].ndim == 3:
        tensors = dict(interpolate_embeddings(model.image_size, model.patch_size, tensors))
    if network.startswith("inception"):
        model.transform_input = True  # torchvision's file expects another scale of colours
    if differences := describe_differences(model.state_dict(), tensors):
        raise WeightsError(f"{path} does not hold the weights of {record.title}: {differences}")
    model.load_state_dict(tensors)
