"""The networks that can look at tiles. Readable without torch."""

from dataclasses import dataclass

from core.models.backbones import BACKBONES, LICENCE, TORCHVISION, Published
from core.records import Registry

SMALLEST = 32
"""Pixels a side from which a network's last map has a cell, unless it says more."""
_EFFICIENT = "Tan and Le 2019, arXiv:1905.11946"
_VIT = "Dosovitskiy et al. 2021, arXiv:2010.11929"


@dataclass(frozen=True)
class TileBackbone(Published):
    """A torchvision network for tiles alone, of which the layer before the classifier is taken."""

    smallest: int = SMALLEST
    """Pixels a side of the smallest image that it takes."""
    patch: int = 1
    """An image's side has to be a multiple of it."""
    slow_bfloat16: bool = False
    """Its depthwise convolutions take a processor three times as long in bfloat16 (measured)."""


def _efficientnet(size: int, file: str, megabytes: float, parameters: int) -> TileBackbone:
    return TileBackbone(
        name=f"efficientnet_b{size}", title=f"EfficientNet-B{size}",
        help="Depthwise convolutions, scaled in depth and width; one of BrST-Net's ten networks.",
        reference=_EFFICIENT, licence=LICENCE, url=f"{TORCHVISION}efficientnet_b{size}_{file}.pth",
        megabytes=megabytes, parameters=parameters, learning_rate=1e-3, slow_bfloat16=True,
    )  # fmt: skip


def _vit(patch: int, file: str, megabytes: float, parameters: int) -> TileBackbone:
    return TileBackbone(
        name=f"vit_b_{patch}", title=f"ViT-B/{patch}",
        help=f"A transformer of patches of {patch} pixels; one of BrST-Net's ten networks. Large.",
        reference=_VIT, licence=LICENCE, url=f"{TORCHVISION}vit_b_{patch}-{file}.pth",
        megabytes=megabytes, parameters=parameters, learning_rate=1e-4, smallest=patch, patch=patch,
    )  # fmt: skip


NETWORKS: Registry[Published] = Registry(
    "network",
    [
        *BACKBONES,
        TileBackbone(
            name="inception_v3", title="Inception-v3",
            help="Windows of several sizes side by side; one of BrST-Net's ten networks.",
            reference="Szegedy et al. 2016, arXiv:1512.00567", licence=LICENCE,
            url=TORCHVISION + "inception_v3_google-0cc3c7bd.pth", megabytes=103.903,
            parameters=27_161_264, learning_rate=1e-3, smallest=75,
        ),
        _efficientnet(0, "rwightman-7f5810bc", 20.451, 5_288_548),
        _efficientnet(1, "rwightman-bac287d4", 30.134, 7_794_184),
        _efficientnet(2, "rwightman-c35c1473", 35.174, 9_109_994),
        _efficientnet(3, "rwightman-b3899882", 47.184, 12_233_232),
        _efficientnet(4, "rwightman-23ab8bcd", 74.489, 19_341_616),
        _efficientnet(5, "lukemelas-1a07897c", 116.864, 30_389_784),
        _vit(16, "c867db91", 330.285, 86_567_656),
        _vit(32, "d86f8d99", 336.604, 88_224_232),
    ],
)  # fmt: skip
"""Those that gene-images have too, and the others of BrST-Net."""
PUBLISHED = (
    "resnet101", "inception_v3", *(f"efficientnet_b{size}" for size in range(6)), "vit_b_16",
    "vit_b_32",
)  # fmt: skip
"""BrST-Net's ten."""
LIGHT = ("squeezenet1_1", "efficientnet_b0", "efficientnet_b1", "resnet50", "vgg16")
"""Quick enough to be trained on a processor, the quickest first."""


UNUSED = dict.fromkeys(("vgg16", "vgg19"), 123_642_856)
"""Parameters of a classifier that nothing here needs, where they are most of the network."""


def kept_parameters(network: str) -> int:
    """How many parameters of a network are kept to look at tiles, at most."""
    return NETWORKS[network].parameters - UNUSED.get(network, 0)


def has_maps(network: str) -> bool:
    """Whether a network's features are means of maps over places, as a transformer's are not."""
    return getattr(NETWORKS[network], "patch", 1) == 1


def seen_side(network: str, side: int) -> int:
    """Pixels a side in which a network sees tiles of `side` pixels: as many, where it can."""
    record = NETWORKS[network]
    smallest, patch = SMALLEST, 1
    if isinstance(record, TileBackbone):
        smallest, patch = record.smallest, record.patch
    return -(-max(side, smallest) // patch) * patch
