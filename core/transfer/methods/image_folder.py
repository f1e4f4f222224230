"""Networks that learned to see elsewhere, compared on any folder of labelled images."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.data.apart import picture_apart
from core.errors import InputError, WeightsError
from core.models.backbones import BACKBONES, LICENCE, TORCHVISION, Published
from core.records import Registry

if TYPE_CHECKING:
    from torch import nn

SIDE = 64
"""Pixels a side that images are brought to."""
PRINT = 8
"""Places a side of the print by which copies are told."""
ALIKE = 1
"""Places in which the prints of two copies may differ, as after saving with losses."""
FLAT = 4.0
"""An image whose places differ less, in grey levels of 255, has a print of noise."""
KINDS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
HELD_OUT = 4
"""One patient in so many is asked about."""
SHUFFLED = "labels shuffled"
SHUFFLES = 10
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue."""
BATCH = 64


@dataclass(frozen=True)
class Images:
    """Labelled images."""

    names: tuple[str, ...]
    """CLASS/FILE"""
    pixels: np.ndarray
    """(images, SIDE, SIDE, 3) uint8"""
    classes: tuple[str, ...]
    labels: np.ndarray
    """(images,) class numbers"""
    patients: np.ndarray
    """(images,) as text; each image's name where nobody told"""


@dataclass(frozen=True)
class Copies:
    """Two images that look the same."""

    one: str
    other: str
    across: bool
    """Whether one is learned from and the other asked about"""
    other_class: bool
    """Whether they bear different labels"""


@dataclass(frozen=True)
class Compared:
    """What networks made of the same asked images."""

    table: pd.DataFrame
    """a row a network, and one with the labels shuffled: network, accuracy, recall, precision, f1
    (means over classes), seconds"""
    right: dict[str, np.ndarray]
    """network -> (asked,) whether its answer for each asked image is right"""
    patients: np.ndarray
    """(asked,) whose each asked image is"""
    copies: tuple[Copies, ...]
    left_out: int
    """Images that were not learned from because a copy of them is asked about."""


IMAGE_NETWORKS: Registry[Published] = Registry(
    "network",
    [
        *BACKBONES,
        Published(
            name="mobilenet_v2", title="MobileNetV2",
            help="Depthwise convolutions between narrow layers; light.",
            reference="Sandler et al. 2018, arXiv:1801.04381", licence=LICENCE,
            url=TORCHVISION + "mobilenet_v2-b0353104.pth", megabytes=13.555,
            parameters=3_504_872, learning_rate=1e-3,
        ),
        Published(
            name="efficientnet_b3", title="EfficientNet-B3",
            help="Depthwise convolutions, scaled in depth and width.",
            reference="Tan and Le 2019, arXiv:1905.11946", licence=LICENCE,
            url=TORCHVISION + "efficientnet_b3_rwightman-b3899882.pth", megabytes=47.184,
            parameters=12_233_232, learning_rate=1e-3,
        ),
    ],
)  # fmt: skip
"""Networks that can look at a folder of images."""
FIVE = ("vgg19", "vgg16", "resnet50", "mobilenet_v2", "efficientnet_b3")
"""Those that Jaradat et al. compared."""
SECONDS = {"squeezenet1_1": 0.004, "mobilenet_v2": 0.006, "efficientnet_b3": 0.015,
           "resnet50": 0.015, "resnet101": 0.03, "resnet152": 0.045, "vgg16": 0.04,
           "vgg19": 0.05}  # fmt: skip
"""Roughly what a network takes for an image on one core."""


def title_of(network: str, weights: str) -> str:
    """A network and where its weights are from, in words."""
    name = IMAGE_NETWORKS[network].title
    return f"{name}, random weights" if weights == "scratch" else name


def read_images(folder: Path, patients: Mapping[str, str] | None = None) -> Images:
    """Read a folder that has a folder of images for each class.

    Args:
        folder: of JPEG, PNG or TIFF images; opened in the process without rights.
        patients: name (CLASS/FILE) -> patient; images without one are each of a patient of its own.

    Raises:
        InputError: there aren't two classes of images, or one can't be read.
    """
    paths = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in KINDS)
    classes = sorted({path.parent.name for path in paths})
    if len(classes) < 2:
        raise InputError(
            f"Expected a folder of images for each class in {folder.name}, two or more; got "
            f"{', '.join(classes) or 'none'}."
        )
    names = tuple(f"{path.parent.name}/{path.name}" for path in paths)
    return Images(
        names, np.stack([picture_apart(path, SIDE) for path in paths]), tuple(classes),
        np.array([classes.index(path.parent.name) for path in paths]),
        np.array([(patients or {}).get(name, name) for name in names]),
    )  # fmt: skip


def find_copies(pixels: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of images (images, side, side, 3) that look the same, by their prints.

    A print says of each of 8 x 8 places whether it is brighter than the next one to the right
    (difference hash), and copies agree in all but one at most. Their means must agree too, so that
    an image and its brighter version aren't copies; images of one colour are by all pixels.
    """
    grey = pixels.astype(np.float32).mean(axis=3)
    edges = np.linspace(0, grey.shape[1], PRINT + 2).round().astype(int)
    rows = np.add.reduceat(grey, edges[:-1], axis=1)
    cells = np.add.reduceat(rows, edges[:-1], axis=2)
    cells /= np.outer(np.diff(edges), np.diff(edges))
    prints = (np.diff(cells, axis=2) > 0).reshape(len(pixels), -1)
    flat = np.ptp(cells.reshape(len(cells), -1), axis=1) < FLAT
    means = grey.mean(axis=(1, 2))
    pairs = []
    for one in range(len(pixels)):
        others = np.arange(one + 1, len(pixels))
        alike = (prints[others] != prints[one]).sum(axis=1) <= ALIKE
        alike &= np.abs(means[others] - means[one]) < FLAT
        for other in others[alike]:
            if not (flat[one] or flat[other]) or (pixels[one] == pixels[other]).all():
                pairs.append((one, int(other)))
    return pairs


def divide(images: Images, seed: int) -> np.ndarray:
    """(images,) whether each is asked about: about a quarter, patients together."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(HELD_OUT, shuffle=True, random_state=seed)
    _, asked = next(folds.split(images.labels, images.labels, images.patients))
    return np.isin(np.arange(len(images.labels)), asked)


def compare_networks(
    images: Images,
    networks: Sequence[tuple[str, str]],
    *,
    seed: int = 0,
    progress: Callable[[str], None] = lambda doing: None,
) -> Compared:
    """Which network's features tell the classes of images apart best.

    Jaradat et al. 2023 (International Journal of Environmental Research and Public Health 20:4422)
    fine-tuned five networks from ImageNet and compared them on one division of the images. Departs:
    the networks stay as they are, and a tuned linear model of their last maps' means is fitted, so
    that the answer takes seconds and not hours of a graphics card; nothing is augmented; images are
    divided by patient; of copies on both sides of the division the one that would be learned from
    is left out, and told; the first network is asked ten times more with the labels shuffled,
    where it has to be at chance on average.

    Args:
        images: as `read_images` gives them.
        networks: a name in IMAGE_NETWORKS and weights (`imagenet`, `file:PATH`, `scratch`).
        seed: of the division and of random weights.
        progress: told what is being done.

    Raises:
        InputError: a class isn't on both sides of the division.
        WeightsError: weights are not here, or not of this network.
    """
    from sklearn.metrics import precision_recall_fscore_support

    from core.models.baselines import fit_predict_proba

    asked = divide(images, seed)
    copies = tuple(
        Copies(images.names[one], images.names[other], bool(asked[one] != asked[other]),
               bool(images.labels[one] != images.labels[other]))
        for one, other in find_copies(images.pixels)
    )  # fmt: skip
    doubled = {name for pair in copies if pair.across for name in (pair.one, pair.other)}
    learned = ~asked & ~np.isin(images.names, list(doubled))
    count = len(images.classes)
    if min(len(np.unique(images.labels[side])) for side in (learned, asked)) < count:
        raise InputError(
            "A class has too few patients to be learned from and asked about. Each needs "
            f"{HELD_OUT} or more."
        )
    truth, rows = images.labels[asked], []
    right: dict[str, np.ndarray] = {}

    def ask(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return fit_predict_proba(
            "tuned_linear", features[learned], labels, features[asked], count, seed,
            images.patients[learned],
        ).argmax(axis=1)  # fmt: skip

    def judge(said: np.ndarray) -> dict[str, float]:
        scores = precision_recall_fscore_support(truth, said, average="macro", zero_division=0)
        return {
            "accuracy": float((said == truth).mean()), "recall": float(scores[1]),
            "precision": float(scores[0]), "f1": float(scores[2]),
        }  # fmt: skip

    first = None
    for backbone, weights in networks:
        name = title_of(backbone, weights)
        progress(name)
        started = time.perf_counter()
        features = _see(images.pixels, backbone, weights)
        first = features if first is None else first
        said = ask(features, images.labels[learned])
        right[name] = said == truth
        rows.append({"network": name, **judge(said), "seconds": time.perf_counter() - started})
    rng, started = np.random.default_rng(seed), time.perf_counter()
    progress(SHUFFLED)
    guesses = [ask(first, rng.permutation(images.labels[learned])) for _ in range(SHUFFLES)]
    chance = pd.DataFrame([judge(said) for said in guesses])
    spent = time.perf_counter() - started
    rows.append({"network": SHUFFLED, **chance.mean().to_dict(), "seconds": spent})
    left_out = int((~asked).sum() - learned.sum())
    return Compared(pd.DataFrame(rows), right, images.patients[asked], copies, left_out)


def _see(pixels: np.ndarray, network: str, weights: str) -> np.ndarray:
    """(images, channels) each channel of the last stage's map, its mean over all places."""
    import torch

    stages = _open_network(network, weights, pixels.shape[1]).eval()
    mean, sd = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, SD))
    found = []
    with torch.inference_mode():
        for at in range(0, len(pixels), BATCH):
            batch = torch.from_numpy(pixels[at : at + BATCH]).permute(0, 3, 1, 2) / 255
            found.append(stages((batch - mean) / sd).mean(dim=(2, 3)).numpy())
    return np.concatenate(found)


def _open_network(network: str, weights: str, side: int) -> nn.Module:
    """All layers up to the last map; raises WeightsError where the weights are not to be had."""
    import torch
    import torchvision

    from core.models.imagenet import fetch_imagenet
    from core.models.network import build_network
    from core.models.own_weights import weights_path
    from core.models.spec import NetworkSpec
    from core.models.weights import describe_differences, read_tensors

    if network in BACKBONES:
        spec = NetworkSpec(backbone=network, weights=weights, freeze="backbone", image_size=side)
        return build_network(spec, 2, seed=0)[0].stages
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = torchvision.models.get_model(network, weights=None).features
    if weights != "scratch":
        record = IMAGE_NETWORKS[network]
        path = fetch_imagenet(record) if weights == "imagenet" else weights_path(weights[5:])
        tensors = {
            name.removeprefix("features."): tensor
            for name, tensor in read_tensors(path).items() if name.startswith("features.")
        }  # fmt: skip
        if differences := describe_differences(layers.state_dict(), tensors):
            raise WeightsError(f"{path} does not hold the weights of {record.title}: {differences}")
        layers.load_state_dict(tensors)
    return layers
