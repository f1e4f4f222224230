"""What training costs beyond the network itself, as ratios that are measured in one process.

    OMP_NUM_THREADS=1 python -m benchmarks.training --backbone squeezenet1_1 --image-size 64

After each epoch of the app's own loop come an epoch of bare forward and backward passes of the same
network on random images, and one of a plain torchvision loop that reads PNG files from disk with a
data loader; the ratios are medians over epochs, so that a busy machine slows all three. Then a
frozen backbone trains its head with and without the cache of features.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torchvision
from torch import nn
from torchvision.transforms.v2 import functional as transforms

from core.images.imager import IMAGENET_MEAN, IMAGENET_SD, GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.network import GeneImageNetwork
from core.models.spec import NetworkSpec
from core.training.augmentations import Known
from core.training.device import choose_device, choose_precision, describe_device
from core.training.features import FrozenPart
from core.training.loop import FoldData, train
from core.training.spec import TrainingSpec

CLASSES, GENES = 11, 1024
DEVICE = choose_device()


class PngFolder(torch.utils.data.Dataset):
    """Gene-images as files, as gene-image tools keep them."""

    def __init__(self, folder: Path, images: torch.Tensor, y: np.ndarray, size: int) -> None:
        self.paths, self.y, self.size = [], y, size
        for number, image in enumerate(images):
            path = folder / f"{number}.png"
            torchvision.io.write_png((255 * image).byte().expand(3, -1, -1), str(path))
            self.paths.append(path)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torchvision.io.read_image(str(self.paths[index]))
        image = transforms.resize(image, [self.size, self.size])
        image = transforms.to_dtype(image, torch.float32, scale=True)
        return transforms.normalize(image, IMAGENET_MEAN, IMAGENET_SD), int(self.y[index])


class Beside:
    """Watches a training and runs the other loops after each of its epochs."""

    def __init__(self, loops: dict[str, callable]) -> None:
        self.loops, self.seconds = loops, {name: [] for name in loops}

    def on_batch(self, done: int, total: int) -> None:
        """Nothing."""

    def on_epoch(self, row: dict[str, float]) -> None:
        """Run and time each loop once."""
        for name, loop in self.loops.items():
            started = now()
            loop()
            self.seconds[name].append(now() - started)


def now() -> float:
    """Seconds, when the device has done all that it was asked to."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)
    return time.perf_counter()


def step_through(batches, network: nn.Module, optimiser: torch.optim.Optimizer | None) -> None:
    """Forward and backward over (images, classes), with a step of the optimiser where it is one."""
    autocast = torch.autocast(
        DEVICE.type, torch.bfloat16, enabled=choose_precision("auto", DEVICE) == "bfloat16"
    )
    network.train()
    for images, y in batches:
        with autocast:
            scores = network(images.to(DEVICE, memory_format=torch.channels_last))
        loss = nn.functional.cross_entropy(scores.float(), y.to(DEVICE))
        network.zero_grad()
        loss.backward()
        if optimiser is not None:
            optimiser.step()


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--samples", type=int, default=602)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--workers", type=int, default=0, help="of the reference's data loader")
    parser.add_argument("--cache-only", action="store_true", help="only the frozen backbone")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.random((given.samples, GENES), dtype=np.float32)
    y = rng.integers(0, CLASSES, given.samples)
    data = FoldData(x, y, x[:64], y[:64], CLASSES, Known(x.std(0), x.mean(0)))
    layout = fit_layout(
        x, [f"G{i}" for i in range(GENES)], LayoutSpec(name="order"), given.image_size, 0
    )
    imager = GeneImager(layout, given.image_size).to(DEVICE)
    print(f"{given.backbone}, {given.image_size} px, batches of {given.batch_size}, torch "
          f"{torch.__version__}, {describe_device(DEVICE)}")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GENECANVAS_HOME"] = folder
        for head in () if given.cache_only else ("scales", "torchvision"):
            compare_loops(given, data, imager, Path(folder), head)
        compare_cache(given, data, imager, Path(folder))


def compare_loops(given, data: FoldData, imager: GeneImager, folder: Path, head: str) -> None:
    """Training against bare passes, and with torchvision's head against the torchvision loop."""
    spec = NetworkSpec(backbone=given.backbone, image_size=given.image_size, head=head)
    twin = GeneImageNetwork(spec, CLASSES, seed=0).to(DEVICE, memory_format=torch.channels_last)
    size = given.image_size
    random = [
        (torch.randn(len(part), 3, size, size).to(DEVICE), torch.from_numpy(part).to(DEVICE))
        for part in np.array_split(data.y_train, -(-given.samples // given.batch_size))
    ]
    plain = torchvision.models.get_model(given.backbone, weights=None, num_classes=CLASSES)
    plain.to(DEVICE, memory_format=torch.channels_last)
    pixels = imager.pixels(torch.from_numpy(data.x_train).to(DEVICE))[:, None].cpu()
    loader = torch.utils.data.DataLoader(
        PngFolder(folder, pixels, data.y_train, size),
        batch_size=given.batch_size,
        shuffle=True,
        num_workers=given.workers,
        persistent_workers=given.workers > 0,
    )
    optimiser = torch.optim.Adam(plain.parameters(), 1e-4)
    loops = {"bare": lambda: step_through(random, twin, None)}
    if head == "torchvision":
        loops["torchvision"] = lambda: step_through(loader, plain, optimiser)
    beside = Beside(loops)
    checkpoint = folder / f"{head} loops.pt"
    history = fit(given, data, imager, spec, checkpoint, beside, augmentation="expression")
    own = [given.samples / row["samples_per_second"] for row in history]
    print(f"head {head:12} training {given.samples / median(own[1:]):12.0f} samples/s")
    for name, seconds in beside.seconds.items():
        ratio = median(other / mine for other, mine in zip(seconds[1:], own[1:], strict=True))
        print(f"{name:>26} {given.samples / median(seconds[1:]):12.0f} samples/s   "
              f"training is {ratio:.2f} x as fast")  # fmt: skip


def compare_cache(given, data: FoldData, imager: GeneImager, folder: Path) -> None:
    """A frozen backbone's head, trained without the cache, filling it, and out of it."""
    seconds = {}
    for head in ("scales", "position"):
        spec = NetworkSpec(
            backbone=given.backbone, image_size=given.image_size, freeze="backbone", head=head
        )
        for attempt in ("uncached", "first", "again"):
            started = now()
            fit(given, data, imager, spec, folder / f"{head} {attempt}.pt", Beside({}),
                augmentation="none", cached=attempt != "uncached")  # fmt: skip
            seconds[attempt] = now() - started
        megabytes = sum(path.stat().st_size for path in (folder / "features").glob("*")) / 1e6
        print(
            f"frozen, head {head:9} {given.epochs} epochs: {seconds['uncached']:.2f} s uncached, "
            f"{seconds['first']:.2f} s filling the cache, {seconds['again']:.2f} s from it "
            f"({seconds['uncached'] / seconds['again']:.1f} x), {megabytes:.0f} MB kept"
        )


def fit(
    given,
    data: FoldData,
    imager: GeneImager,
    spec: NetworkSpec,
    checkpoint: Path,
    callback: Beside,
    *,
    augmentation: str,
    cached: bool = False,
) -> list[dict[str, float]]:
    """The app's own loop."""
    network = GeneImageNetwork(spec, CLASSES, seed=0).to(DEVICE)
    training = TrainingSpec(
        epochs=given.epochs, batch_size=given.batch_size, augmentation=augmentation
    )
    precision = choose_precision("auto", DEVICE)
    return train(
        network, imager, data, training, callback, learning_rate=1e-3, seed=0, device=DEVICE,
        checkpoint=checkpoint,
        frozen=FrozenPart(network, imager, precision, keep=True) if cached else None,
    )  # fmt: skip


if __name__ == "__main__":
    main()
