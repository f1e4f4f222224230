"""What a GPU does: all checks of speed in one table, in at most eight minutes.

    python -m benchmarks.gpu
    python -m benchmarks.gpu --device cpu --quick

Needs neither Streamlit nor Playwright, no network and no data: samples are simulated, weights
random. `--quick` goes through all of it in tiny sizes, so that the script is proved where there is
no GPU; its figures say nothing. A part that no time is left for is named and left out.

Bare steps are forward, backward and fused AdamW of the same network on one batch that is there
already, eager and as a CUDA graph; ours is the app's own loop, with augmentation, painting,
clipping, schedule and progress.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
import torchvision

from core.errors import Cancelled
from core.explain.attribution import attribute
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout
from core.models.network import GeneImageNetwork
from core.models.spec import NetworkSpec
from core.training.augmentations import Known
from core.training.captured import Captured
from core.training.device import choose_precision, describe_device
from core.training.features import FrozenPart
from core.training.loop import FoldData, predict, train
from core.training.spec import TrainingSpec

MINUTES = 8.0
NETWORKS = ("vgg16", "vgg19", "resnet50", "resnet101", "resnet152", "squeezenet1_1")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    networks: tuple[str, ...] = NETWORKS
    explained: tuple[str, ...] = ("resnet50", "vgg16")
    pixels: int = 224
    samples: int = 602
    genes: int = 1024
    classes: int = 11
    epochs: int = 6
    steps: int = 60
    """Bare steps, timed."""
    samples_explained: int = 182
    path: int = 32
    """Points between baseline and sample."""
    paper: tuple[int, ...] = tuple(range(2, 10))
    """Which of the paper's 40 runs."""
    paper_epochs: int = 30
    beside: tuple[int, ...] = (1, 2, 4, 8)
    seconds: float = 10.0
    """Of runs side by side."""


QUICK = Sizes(
    networks=("squeezenet1_1",), explained=("squeezenet1_1",), pixels=32, samples=60, genes=200,
    classes=5, epochs=4, steps=2, samples_explained=4, path=2, paper=(4,), paper_epochs=1,
    beside=(1, 2), seconds=1.0,
)  # fmt: skip


class Silent:
    """Watches a training and does nothing."""

    def on_batch(self, done: int, total: int) -> None:
        """Nothing."""

    def on_epoch(self, row: dict) -> None:
        """Nothing."""


class Stopped(Silent):
    """Stops a training before its last batch, and knows when it did."""

    asked = 0.0

    def on_batch(self, done: int, total: int) -> None:
        """Stop here."""
        if done == total - 1:
            self.asked = time.perf_counter()
            raise Cancelled("enough")


class Counted(Silent):
    """Says on standard output when it is under way, waits for a line, counts for some seconds."""

    def __init__(self, seconds: float, after: int) -> None:
        self.seconds, self.after, self.started, self.batches = seconds, after, 0.0, 0

    def on_batch(self, done: int, total: int) -> None:
        """Count."""
        if done == self.after:
            print("ready", flush=True)
            sys.stdin.readline()
            self.started = time.perf_counter()
        elif done > self.after:
            self.batches += 1
            if time.perf_counter() - self.started > self.seconds:
                raise Cancelled("enough")


class Bench:
    """The measurements, each a generator of rows: what, value, beside what."""

    def __init__(self, device: torch.device, sizes: Sizes, folder: Path) -> None:
        self.device, self.sizes, self.folder = device, sizes, folder
        rng = np.random.default_rng(0)
        n, genes = sizes.samples, sizes.genes
        x = rng.random((n, genes), dtype=np.float32)
        y = np.arange(n) % sizes.classes
        self.data = FoldData(x, y, x[:64], y[:64], sizes.classes, Known(x.std(0), x.mean(0)))
        names = [f"G{number}" for number in range(genes)]
        layout = fit_layout(x, names, LayoutSpec(name="order"), sizes.pixels, 0)
        self.imager = GeneImager(layout, sizes.pixels).to(device)
        self.trained = 0

    def network(self, backbone: str, **fields: object) -> GeneImageNetwork:
        """One with random weights, on the device."""
        spec = NetworkSpec(backbone=backbone, image_size=self.sizes.pixels, **fields)
        network = GeneImageNetwork(spec, self.sizes.classes, seed=0).to(self.device)
        return network.to(memory_format=torch.channels_last)

    def fit(
        self,
        network: GeneImageNetwork,
        watch: object = None,
        frozen: FrozenPart | None = None,
        **fields: object,
    ) -> list[dict]:
        """The app's own loop."""
        self.trained += 1
        spec = TrainingSpec.model_validate({"epochs": self.sizes.epochs, **fields})
        return train(
            network, self.imager, self.data, spec, watch or Silent(), learning_rate=1e-4, seed=0,
            device=self.device, checkpoint=self.folder / f"{self.trained}.pt", frozen=frozen,
        )  # fmt: skip

    def now(self) -> float:
        """Seconds, when the device has done all that it was asked to."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def time(self, work: Callable[[], object]) -> float:
        """Seconds of a piece of work."""
        started = self.now()
        work()
        return self.now() - started

    def bare(self, network: torch.nn.Module, *, recorded: bool) -> float:
        """Samples a second of bare steps on one batch of 32."""
        images = torch.randn(32, 3, self.sizes.pixels, self.sizes.pixels, device=self.device)
        images = images.contiguous(memory_format=torch.channels_last)
        y = torch.arange(32, device=self.device) % self.sizes.classes
        on_gpu = self.device.type == "cuda"
        optimiser = torch.optim.AdamW(
            network.train().parameters(), lr=1e-6, fused=True, capturable=on_gpu
        )
        bfloat16 = choose_precision("auto", self.device) == "bfloat16"

        def step(images: torch.Tensor) -> torch.Tensor:
            optimiser.zero_grad()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
                scores = network(images)
            loss = torch.nn.functional.cross_entropy(scores.float(), y)
            loss.backward()
            optimiser.step()
            return loss.detach()

        take = Captured(step, self.device) if recorded else step
        for _ in range(5):
            take(images)
        spent = self.time(lambda: [take(images) for _ in range(self.sizes.steps)])
        return 32 * self.sizes.steps / spent

    def training(self) -> Iterator[str]:
        """Training beside bare steps."""
        for name in self.sizes.networks:
            rows = self.fit(self.network(name))[3:]
            ours = median(row["samples_per_second"] for row in rows)
            eager = self.bare(self.network(name), recorded=False)
            graph = self.bare(self.network(name), recorded=True)
            plain = torchvision.models.get_model(name, weights=None)
            plain = plain.to(self.device, memory_format=torch.channels_last)
            theirs = self.bare(plain, recorded=True)
            yield (
                f"training {name}, samples/s | {ours:.0f} | bare eager {eager:.0f}, bare graph "
                f"{graph:.0f} (ours is {ours / graph:.2f} of it), torchvision's in a graph "
                f"{theirs:.0f}"
            )
            self.tidy()

    def equality(self) -> Iterator[str]:
        """Whether recorded and plain steps lead to the same weights, and how soon a stop is."""
        found = []
        for warm_up in (2, 10**9):
            network = self.network(self.sizes.networks[-1])
            with patch("core.training.captured.WARM_UP", warm_up):
                self.fit(network, epochs=3)
            found.append(network.state_dict())
        apart = max(
            (a.double() - b.double()).abs().max().item()
            for a, b in zip(*(tensors.values() for tensors in found), strict=True)
        )
        yield f"recorded against plain steps, largest difference of a weight | {apart:g} | 3 epochs"
        watch = Stopped()
        try:
            self.fit(self.network(self.sizes.networks[-2:][0]), watch)
        except Cancelled:
            yield f"from asking to stop to an idle device, s | {self.now() - watch.asked:.3f} |"
        self.tidy()

    def explanation(self) -> Iterator[str]:
        """Integrated gradients with the untrained control; scores in bfloat16."""
        n = self.sizes.samples_explained
        x = self.data.x_train[:n]
        targets, baseline = self.data.y_train[:n], self.data.x_train.mean(0)
        for name in self.sizes.explained:
            pair = self.network(name), self.network(name)

            def explain(rows: slice, pair: tuple = pair) -> None:
                for network in pair:
                    attribute(
                        "integrated_gradients", network, self.imager, x[rows], targets[rows],
                        baseline, device=self.device, steps=self.sizes.path,
                    )  # fmt: skip

            explain(slice(2))
            seconds = self.time(lambda explain=explain: explain(slice(None)))
            yield (
                f"integrated gradients {name}, s | {seconds:.1f} | {n} samples, "
                f"{self.sizes.path} steps, trained and untrained, float32"
            )
            network, found = pair[0], []
            for bfloat16 in (False, True):
                with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
                    seconds = self.time(
                        lambda network=network, found=found: found.append(
                            attribute(
                                "integrated_gradients",
                                network,
                                self.imager,
                                x,
                                targets,
                                baseline,
                                device=self.device,
                                steps=self.sizes.path,
                            ).scores
                        )
                    )
            largest = np.abs(found[0] - found[1]).max() / np.abs(found[0]).max()
            yield (
                f"integrated gradients {name} in bfloat16, one network, s | {seconds:.1f} | "
                f"largest change of a score {largest:.4f} of the largest score"
            )
            exact = predict(network, self.imager, x, self.device)
            with torch.autocast(self.device.type, torch.bfloat16):
                rounded = predict(network, self.imager, x, self.device)
            yield (
                f"bfloat16 scores {name}, largest difference of a probability | "
                f"{np.abs(exact - rounded).max():.4f} | the app scores in float32"
            )
            self.tidy()

    def features(self) -> Iterator[str]:
        """Frozen features: computed each time, written and read, and what the app decides."""
        x = torch.as_tensor(self.data.x_train, device=self.device)
        for name in self.sizes.explained:
            network, seconds = self.network(name, freeze="backbone").eval(), {}
            for way, keep in (("computed", False), ("filling", True), ("read", True)):
                frozen = FrozenPart(network, self.imager, "float32", keep=keep)
                seconds[way] = self.time(lambda frozen=frozen: frozen.features(x))
            for path in (self.folder / "features").glob("*.npy"):
                path.unlink()
            frozen = FrozenPart(network, self.imager, "float32")
            frozen.features(x)
            said = ", ".join(f"{way} {spent:.2f} s" for way, spent in seconds.items())
            yield f"frozen features {name} | {'kept' if frozen.keep else 'not kept'} | {said}"
            self.tidy()

    def paper(self) -> Iterator[str]:
        """A fifth of the paper's 40 runs, one after the other."""
        from core.data.simulate import simulate
        from core.data.store import add_dataset
        from core.runs.execute import Silent as Unheard
        from core.runs.execute import execute
        from core.runs.paper import paper_study

        data, _ = simulate(self.sizes.samples, self.sizes.genes)
        dataset = add_dataset(data, "simulated").id
        common = {
            "cohort": {"dataset": dataset, "label": "tumour_type"},
            "preparation": {"genes": self.sizes.genes},
            "network": {"weights": "scratch", "image_size": self.sizes.pixels},
            "training": {"epochs": self.sizes.paper_epochs},
        }
        if self.sizes.networks == QUICK.networks:
            common["network"]["head"] = "scales"
        study, total = paper_study(common), 0.0
        for number in self.sizes.paper:
            spec = study[number]
            folder = self.folder / "runs" / spec.id
            folder.mkdir(parents=True)
            seconds = self.time(lambda s=spec, f=folder: execute(s, f, Unheard(), self.device))
            total += seconds
            yield (
                f"paper's run {spec.network.backbone}, test {spec.split.test_size}, "
                f"{spec.training.augmentation}, s | {seconds:.1f} | {spec.training.epochs} epochs"
            )
            self.tidy()
        share = len(study) / len(self.sizes.paper)
        yield f"all 40 of the paper by these, min | {total * share / 60:.1f} | one after the other"

    def beside(self) -> Iterator[str]:
        """Runs side by side on one device: the paper's batches of 4."""
        alone = 0.0
        for count in self.sizes.beside:
            command = [sys.executable, "-m", "benchmarks.gpu", "--device", str(self.device),
                       "--child", *(["--quick"] if self.sizes is QUICK else [])]  # fmt: skip
            children = [
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
                for _ in range(count)
            ]  # fmt: skip
            for child in children:
                child.stdout.readline()
            for child in children:
                child.stdin.write("go\n")
                child.stdin.flush()
            each = [float(child.communicate()[0].split()[-1]) for child in children]
            alone = alone or sum(each) / count
            yield (
                f"{count} runs side by side, samples/s of all | {sum(each):.0f} | "
                f"{sum(each) / alone:.2f} x one, batches of 4"
            )

    def child(self) -> None:
        """One of the runs side by side: prints its samples a second."""
        watch = Counted(self.sizes.seconds, after=10)
        try:
            network = self.network(self.sizes.explained[0])
            self.fit(network, watch, epochs=1000, batch_size=4)
        except Cancelled:
            print(4 * watch.batches / (time.perf_counter() - watch.started))

    def tidy(self) -> None:
        """Give memory back between measurements."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to prove the script")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--only", nargs="*", help="parts: training, equality, explanation, …")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    device, sizes = torch.device(given.device), QUICK if given.quick else Sizes()
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(f"This machine has no CUDA device that torch {torch.__version__} can use.")
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GENECANVAS_HOME"] = folder
        bench = Bench(device, sizes, Path(folder))
        if given.child:
            bench.child()
            return
        print(f"{describe_device(device)}, torch {torch.__version__}, Python "
              f"{platform.python_version()}, {sizes.pixels} px, {sizes.samples} samples, "
              f"{choose_precision('auto', device)}\n")  # fmt: skip
        print("| what | | beside |\n| --- | ---: | --- |")
        end = time.monotonic() + 60 * given.minutes
        parts = {part.__name__: part for part in (
            bench.training, bench.equality, bench.explanation, bench.features, bench.beside,
            bench.paper,
        )}  # fmt: skip
        for name, part in parts.items():
            if given.only and name not in given.only:
                continue
            for row in part():
                print(f"| {row} |", flush=True)
                if time.monotonic() > end:
                    sys.exit(f"{given.minutes:g} minutes are over; {name} or what follows is "
                             "missing.")  # fmt: skip


if __name__ == "__main__":
    main()
