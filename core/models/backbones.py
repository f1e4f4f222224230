"""The ImageNet networks on offer: one frozen record each, readable without importing torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from core.records import Registry


@dataclass(frozen=True)
class Stage:
    """A run of layers that can be frozen or looked at together."""

    name: str
    layers: tuple[str, ...]
    """Names of torchvision's modules, in the order in which the image passes them."""
    side: Callable[[int], int]
    """Side of its map, from the side of the map (or image) that it is given."""


@dataclass(frozen=True)
class Published:
    """A torchvision network and the file of its ImageNet weights."""

    name: str
    title: str
    help: str
    reference: str
    licence: str
    url: str
    """torchvision's own file; the 8 hexadecimal digits in its name begin its SHA-256."""
    megabytes: float
    """Size of that file in MiB, as torchvision states it."""
    parameters: int
    """Parameters with torchvision's classifier for 1 000 classes."""
    learning_rate: float
    """Peak rate at which the network learns from scratch."""

    @property
    def file(self) -> str:
        """Name of the weights file."""
        return self.url.rpartition("/")[2]

    @property
    def sha256_prefix(self) -> str:
        """The first 8 hexadecimal digits of the weights file's SHA-256."""
        return self.file.removesuffix(".pth").rpartition("-")[2]

    @property
    def bytes(self) -> int:
        """Size of the weights file, to about a kilobyte."""
        return math.ceil(self.megabytes * 2**20)


@dataclass(frozen=True)
class Backbone(Published):
    """A network that looks at gene-images, cut into stages."""

    blocks: tuple[Stage, ...]
    """From the image to the head."""
    head: tuple[str, ...]
    """torchvision's modules after the last stage."""
    classifier: str
    """torchvision's last layer with weights: the one that names ImageNet's classes."""
    cut: Callable[[int], int] = lambda side: 0
    """Rows and columns at the end of an image of a side that no window of the network reaches."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages, from the image to the head."""
        return tuple(stage.name for stage in self.blocks)

    def map_sides(self, image_size: int) -> dict[str, int]:
        """Cells a side of each stage's map, of an image of `image_size` pixels a side."""
        sides, side = {}, image_size
        for stage in self.blocks:
            sides[stage.name] = side = stage.side(side)
        return sides

    def region_stage(self, image_size: int) -> str:
        """The stage that region methods look at unless another is chosen.

        The last one whose map has at least REGION_CELLS a side: of images of 224 pixels the last
        of all, as Grad-CAM was published, and of smaller images an earlier one, where the last
        map would be a few cells that say nothing about a place. Every network has one from 32
        pixels on, the smallest image there is.
        """
        sides = self.map_sides(image_size)
        return [name for name, side in sides.items() if side >= REGION_CELLS][-1]


REGION_CELLS = 7
"""Cells a side of the coarsest map that is taken by itself: what ResNet has left of 224 pixels,
the size that region methods were made for."""

TORCHVISION = "https://download.pytorch.org/models/"
LICENCE = "BSD-3-Clause (torchvision); weights learned from ImageNet, research use"
_VGG = "Simonyan and Zisserman 2015, arXiv:1409.1556"
_RESNET = "He et al. 2016, doi:10.1109/CVPR.2016.90"


def _vgg_stages(pools: tuple[int, ...]) -> tuple[Stage, ...]:
    """Cut VGG's `features` before each pooling, so that a stage ends with its finest map."""
    starts = (0, *pools[:-1])
    return tuple(
        Stage(
            f"block{number}",
            tuple(f"features.{i}" for i in range(start, stop)),
            (lambda side: side // 2) if start else (lambda side: side),
        )
        for number, (start, stop) in enumerate(zip(starts, pools, strict=True), 1)
    )


def _resnet_stages() -> tuple[Stage, ...]:
    return (
        Stage("stem", ("conv1", "bn1", "relu", "maxpool"), lambda side: -(-side // 4)),
        Stage("layer1", ("layer1",), lambda side: side),
        *(Stage(f"layer{n}", (f"layer{n}",), lambda side: -(-side // 2)) for n in range(2, 5)),
    )


def _squeezenet_stages() -> tuple[Stage, ...]:
    """Each begins with a window of 3 and stride 2: the stem's leaves out what doesn't fill one."""
    cuts = {"stem": (0, 2), "fire2_3": (2, 5), "fire4_5": (5, 8), "fire6_9": (8, 13)}
    return tuple(
        Stage(
            name,
            tuple(f"features.{i}" for i in range(*cut)),
            lambda side, first=not cut[0]: (side - 1) // 2 if first else side // 2,
        )
        for name, cut in cuts.items()
    )


BACKBONES: Registry[Backbone] = Registry(
    "backbone",
    [
        Backbone(
            name="vgg16",
            title="VGG16",
            help="16 layers without shortcuts; the best network of the paper. Large and slow.",
            reference=_VGG,
            licence=LICENCE,
            url=TORCHVISION + "vgg16-397923af.pth",
            megabytes=527.796,
            parameters=138_357_544,
            learning_rate=2e-4,
            blocks=_vgg_stages((4, 9, 16, 23, 30)),
            head=("features.30", "avgpool", "classifier"),
            classifier="classifier.6",
        ),
        Backbone(
            name="vgg19",
            title="VGG19",
            help="VGG16 with three more layers.",
            reference=_VGG,
            licence=LICENCE,
            url=TORCHVISION + "vgg19-dcbb9e9d.pth",
            megabytes=548.051,
            parameters=143_667_240,
            learning_rate=2e-4,
            blocks=_vgg_stages((4, 9, 18, 27, 36)),
            head=("features.36", "avgpool", "classifier"),
            classifier="classifier.6",
        ),
        Backbone(
            name="resnet50",
            title="ResNet50",
            help="50 layers with shortcuts and batch normalisation.",
            reference=_RESNET,
            licence=LICENCE,
            url=TORCHVISION + "resnet50-0676ba61.pth",
            megabytes=97.781,
            parameters=25_557_032,
            learning_rate=1e-3,
            blocks=_resnet_stages(),
            head=("avgpool", "fc"),
            classifier="fc",
        ),
        Backbone(
            name="resnet101",
            title="ResNet101",
            help="ResNet50 with a longer third stage: 101 layers.",
            reference=_RESNET,
            licence=LICENCE,
            url=TORCHVISION + "resnet101-63fe2227.pth",
            megabytes=170.511,
            parameters=44_549_160,
            learning_rate=1e-3,
            blocks=_resnet_stages(),
            head=("avgpool", "fc"),
            classifier="fc",
        ),
        Backbone(
            name="resnet152",
            title="ResNet152",
            help="The deepest: 152 layers.",
            reference=_RESNET,
            licence=LICENCE,
            url=TORCHVISION + "resnet152-394f9c45.pth",
            megabytes=230.434,
            parameters=60_192_808,
            learning_rate=1e-3,
            blocks=_resnet_stages(),
            head=("avgpool", "fc"),
            classifier="fc",
        ),
        Backbone(
            name="squeezenet1_1",
            title="SqueezeNet 1.1",
            help="A small, fast network that trains on a laptop in about a minute.",
            reference="Iandola et al. 2016, arXiv:1602.07360",
            licence=LICENCE,
            url=TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
            megabytes=4.729,
            parameters=1_235_496,
            learning_rate=2e-3,
            blocks=_squeezenet_stages(),
            head=("classifier",),
            classifier="classifier.1",
            cut=lambda side: (side - 3) % 2,  # windows of 3, stride 2, no padding
        ),
    ],
)
