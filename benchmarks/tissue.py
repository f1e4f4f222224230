"""What real tissue says of genes, and how much of it is depth, as tables.

    GENECANVAS_DATA=FOLDER python -m benchmarks.tissue [frozen|trained|ten|loop] [--weights FOLDER]

her2st (Andersson et al. 2021: 7 sections of 3 patients here, tiles of 64 pixels), each patient left
out in turn; and four sections of the mouse's olfactory bulb (Ståhl et al. 2016, tiles of 48
pixels), whose mice aren't known, so that a section is left out in turn, which is too good. The
250 genes of highest mean are those of the training patients; spots have 500 reads or more.

frozen: features of a network that stays as it is, beside what needs no network, under all targets.
trained: networks trained on her2st at 32 pixels, with and without the auxiliary head, on the
normalised target. ten: the networks of BrST-Net from random weights, on 64 planted tiles, whose
darkness is the depth of all genes, for six epochs (12 steps).
loop: tiles a second of the training, beside the bare steps.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd
import torch

from core.tissue.body import build_body
from core.tissue.frozen import Paint, frozen_features
from core.tissue.learning import MODELS, Train, learn
from core.tissue.network import BATCH, DECAY, Genes, TileNetwork, fit_network, trainer
from core.tissue.networks import LIGHT, NETWORKS, PUBLISHED
from core.tissue.read import read_tissue
from core.tissue.result import TissueResult, summarise
from core.tissue.scores import mean_interval
from core.tissue.simulate import simulate_tissue
from core.tissue.spec import NO_NETWORK, TissueSpec
from core.tissue.spots import Tissue
from core.tissue.targets import Scaling, Target, choose_genes, choose_others, transform
from core.training.device import choose_precision
from core.training.step import Step

FILES = {
    "squeezenet1_1": "squeezenet1_1_imagenet.pth",
    "vgg16": "vgg16_features_imagenet.safetensors",
}
SETS = {
    "her2st": ("her2st_spots.csv", "her2st_counts.parquet", "her2st_tiles64.npz", "patient"),
    "MOB": ("mob_spots.csv", "mob_counts.parquet", "mob_tiles48.npz", "section"),
}
TARGETS: dict[Target, str] = {
    "normalised": "normalised",
    "stnet": "ST-Net's",
    "raw": "log(1 + count)",
}


EPOCHS = {
    "her2st": dict(zip(LIGHT, (8, 3, 3, 2, 1), strict=True)),
    "MOB": dict(zip(LIGHT, (8, 3, 2, 2, 1), strict=True)),
}
"""So many as take about two minutes on one core: few, from random weights."""
ROUNDS = 5
"""In which the loop and the bare steps take turns; their median counts, in processor seconds."""
SIDES = {"her2st": 32, "MOB": 48}
"""Pixels a side of the tiles that networks are trained on here."""
USED: dict[str, Callable[[pd.DataFrame], np.ndarray]] = {
    "her2st": lambda spots: np.ones(len(spots), bool),
    "MOB": lambda spots: np.arange(len(spots)) % 2 == 0,
}
"""Spots that networks are trained on here, so that it takes minutes: all of her2st, whose tiles are
small, and every second one of the olfactory bulb."""


def main() -> None:
    """Print the tables; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="*", choices=list(DO), default=["frozen"])
    parser.add_argument("--weights", type=Path, help="folder of ImageNet files; else random ones")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--networks", nargs="*", choices=[NO_NETWORK, *NETWORKS.names])
    parser.add_argument(
        "--targets", nargs="*", choices=list(TARGETS), default=["normalised", "raw"],
        help="that networks are trained on",
    )  # fmt: skip
    parser.add_argument(
        "--keep", type=Path, help="folder in which trained answers stay, so that it can go on"
    )
    parser.add_argument("--epochs", type=int, help="of trained networks, instead of EPOCHS")
    parser.add_argument("--symmetric", action="store_true", help="mean over the 8 symmetries")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        options.keep = options.keep or Path(folder)
        for what in options.what:
            DO[what](options)


def read(name: str) -> tuple[Tissue, str]:
    """A set, and what is left out of it in turn."""
    folder = Path(os.environ["GENECANVAS_DATA"]) / "histology"
    spots, counts, tiles, held_out = SETS[name]
    return read_tissue([folder / spots], folder / counts, folder / tiles), held_out


def shrink(tissue: Tissue, side: int) -> Tissue:
    """The same with tiles of `side` pixels, which divides theirs: means over squares."""
    by = tissue.tiles.shape[1] // side
    tiles = tissue.tiles.reshape(-1, side, by, side, by, 3).mean(axis=(2, 4)).round()
    return Tissue(tissue.spots, tissue.genes, tissue.counts, tiles.astype(np.uint8))


def start_from(options: argparse.Namespace, backbone: str) -> str:
    """ImageNet's weights where the folder has them, else random ones."""
    if options.weights and backbone in FILES:
        return f"file:{options.weights / FILES[backbone]}"
    return "scratch"


def frozen(options: argparse.Namespace) -> None:
    """Frozen networks and plain comparisons, under all targets."""
    for name in options.sets:
        tissue, held_out = read(name)
        rows: list[dict] = []
        for backbone in options.networks or [NO_NETWORK, *LIGHT]:
            spec = TissueSpec(
                tissue="0" * 16, held_out=held_out, backbone=backbone,
                weights=start_from(options, backbone), symmetric=options.symmetric,
            )  # fmt: skip
            result, seconds = ask(tissue, spec)
            said = f"{name} {backbone} {seconds:.0f} s"
            print(said, *result.verdict(), sep="\n", file=sys.stderr, flush=True)
            rows += list_scores(result, seconds)
        print(f"## {name}: {result.genes} genes, {len(tissue.spots):,} spots\n")
        print_table(rows)


def see_by(spec: TissueSpec) -> partial | None:
    """What looks at tiles for a question."""
    if not spec.has_network:
        return None
    how = {name: getattr(spec, name) for name in ("backbone", "weights", "symmetric")}
    return partial(frozen_features, **how)


def ask(tissue: Tissue, spec: TissueSpec) -> tuple[TissueResult, float]:
    """The answer to a question, and the seconds that it took."""
    started = time.perf_counter()
    genes, learned = learn(tissue, spec, see_by(spec))
    result, _ = summarise(spec, genes, learned, tissue.patients)
    return result, time.perf_counter() - started


def trained(options: argparse.Namespace) -> None:
    """Light networks trained with and without the auxiliary head, beside all comparisons."""
    for name in options.sets:
        tissue, held_out = read(name)
        tissue = shrink(tissue.take(USED[name](tissue.spots)), SIDES[name])
        rows: list[dict] = []
        for target in options.targets:
            for number, backbone in enumerate(options.networks or LIGHT):
                spec = TissueSpec(
                    tissue="0" * 16, held_out=held_out, backbone=backbone,
                    weights=start_from(options, backbone), train=True,
                    epochs=options.epochs or EPOCHS[name][backbone],
                )  # fmt: skip
                rows += train_both(tissue, spec, target, options.keep / name, plain=not number)
        print(f"## {name}: {len(tissue.spots):,} spots, {SIDES[name]} pixels\n")
        print_table(rows)


def train_both(
    tissue: Tissue, spec: TissueSpec, target: Target, keep: Path, plain: bool
) -> list[dict]:
    """Rows of one network under one target; those of what needs no network too, where asked."""
    rows: list[dict] = []
    by_unit: dict[str, np.ndarray] = {}
    for weight in (1.0, 0.0):
        asked = spec.changed(auxiliary=weight)
        folder = keep / f"{spec.backbone}_{weight:g}_{spec.epochs}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as networks:
            train = timed(trainer(asked, folder, Path(networks), "cpu"), folder)
            see = see_by(asked) if weight else None
            _, learned = learn(tissue, asked, see, train_network=train, targets=(target,))
        found = learned[target]
        seconds = sum(float(path.read_text()) for path in folder.glob(f"{target}_*.seconds"))
        for name, score in found.scores.items():
            own = name == "trained" or (weight and name in ("frozen", "shuffled"))
            if not own and not (plain and weight):
                continue
            title = MODELS[name]
            if own:
                title = title.replace(" network", "") + f", {NETWORKS[spec.backbone].title}"
            title += "" if weight else ", no auxiliary head"
            by_unit[f"{name}{'' if weight else ' alone'}"] = score.by_patient
            (mean, limits), above = score.overall(), list(score.count().values())
            low, high = limits or (np.nan, np.nan)
            rows.append(
                {
                    "target": TARGETS[target], "model": title,
                    "weights": "" if not own else
                    "random" if spec.weights == "scratch" else "ImageNet",
                    "epochs": spec.epochs if name == "trained" else "",
                    "r > 0": above[0], "r > .3": above[1], "r > .5": above[2],
                    "mean r (95 %)": f"{mean:.3f} ({low:.2f} to {high:.2f})",
                    "error": f"{found.error(name):.2f}",
                    "seconds": f"{seconds:.0f}" if name == "trained" else "",
                }
            )  # fmt: skip
            print(rows[-1], file=sys.stderr, flush=True)
        for other in ("reads", "colour", "frozen") if weight else ():
            by_unit[other] = found.scores[other].by_patient
    for other, words in (
        ("trained alone", "no auxiliary head"), ("frozen", "the frozen network"),
        ("colour", "colour and texture"), ("reads", "the number of reads"),
    ):  # fmt: skip
        gain = np.nanmean(by_unit["trained"] - by_unit[other], axis=1)
        low, high = mean_interval(gain[:, None])[:, 0]
        print(
            f"{target}: trained {spec.backbone} less {words}: mean r {gain.mean():+.3f} "
            f"({low:+.3f} to {high:+.3f}, {len(gain)} {spec.held_out}s)", flush=True,
        )  # fmt: skip
    return rows


def timed(train: Train, folder: Path) -> Train:
    """The same, which keeps the processor seconds that each fold took."""

    def ask(*args: np.ndarray, target: Target, fold: int) -> np.ndarray:
        started, kept = time.process_time(), folder / f"{target}_{fold}.seconds"
        said = train(*args, target=target, fold=fold)
        if not kept.exists():
            kept.write_text(f"{time.process_time() - started}")
        return said

    return ask


def ten(options: argparse.Namespace) -> None:
    """BrST-Net's ten networks from random weights: does the loss fall?"""
    tissue = simulate_tissue(1, 64, 60, driven=0, side=32)
    reads = tissue.spots["reads"].to_numpy(float)
    genes = choose_genes(tissue.counts, 40)
    z, others = (
        Scaling.fit(values).apply(values)
        for values in (
            transform(tissue.counts[:, chosen], reads, len(tissue.genes), "raw")
            for chosen in (genes, choose_others(tissue.counts, genes))
        )
    )
    groups, rows = tissue.spots["section"].to_numpy(), []
    for backbone in options.networks or PUBLISHED:
        spec = TissueSpec(
            tissue="0" * 16, backbone=backbone, weights="scratch", train=True, epochs=6
        )
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            network, history = fit_network(
                tissue.tiles, groups, z, others, spec, Path(folder) / "network.pt", "cpu"
            )
        losses = [row["train_loss"] for row in history]
        rows.append(
            {
                "network": NETWORKS[backbone].title, "side": network.body.side,
                "features": network.body.channels,
                "loss by epoch": " ".join(f"{loss:.3f}" for loss in losses),
                "falls": "yes" if losses[-1] < losses[0] else "no",
                "seconds": f"{time.perf_counter() - started:.0f}",
            }
        )  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
    print_table(rows)


def loop(options: argparse.Namespace) -> None:
    """Tiles a processor second of the loop, which picks, paints and turns, beside bare steps."""
    tissue = read("her2st")[0]
    z = np.random.default_rng(0).normal(size=(len(tissue.spots), 250)).astype(np.float32)
    rows = []
    for backbone in options.networks or ["squeezenet1_1", "resnet50"]:
        weights = start_from(options, backbone)
        spec = TissueSpec(tissue="0" * 16, backbone=backbone, weights=weights, train=True, epochs=2)
        use = slice(0, len(tissue.tiles) if backbone == "squeezenet1_1" else 256)
        tiles, groups = tissue.tiles[use], tissue.spots["section"].to_numpy()[use]
        network = TileNetwork(build_body(backbone, weights, tiles.shape[1], 0), 250, 250).train()
        network.to(memory_format=torch.channels_last)
        images, rates = Paint()(torch.from_numpy(tiles[:BATCH])), []
        for _ in range(ROUNDS):
            marks: list[float] = []
            with tempfile.TemporaryDirectory() as folder:
                fit_network(
                    tiles, groups, z[use], z[use], spec, Path(folder) / "network.pt", "cpu",
                    lambda *_, marks=marks: marks.append(time.process_time()),
                )  # fmt: skip
            rates.append((BATCH / np.median(np.diff(marks)), time_steps(network, images)))
        shares = [rate / bare for rate, bare in rates]
        rate, bare = np.median(rates, axis=0)
        rows.append(
            {
                "network": backbone, "tiles a second": f"{rate:.0f}", "bare": f"{bare:.0f}",
                "share": f"{np.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})",
            }
        )  # fmt: skip
    print_table(rows)


def time_steps(network: TileNetwork, images: torch.Tensor) -> float:
    """Tiles a processor second of steps on the same images, none picked, painted or turned."""
    device = torch.device("cpu")
    format_ = choose_precision("auto", device)

    def loss_of(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=format_ == "bfloat16"):
            said = network.heads(network.body(images))
        return Genes(250, 1).loss(said.float(), targets, None, None)

    step = Step(
        lambda x, targets, positions: (x, targets), loss_of, list(network.parameters()),
        weight_decay=DECAY, at_once=BATCH, device=device,
    )  # fmt: skip
    step.set_rate(1e-4)
    targets, seconds = torch.zeros(len(images), 500), []
    for _ in range(12):
        started = time.process_time()
        step(images, targets, torch.arange(len(images)))
        seconds.append(time.process_time() - started)
    return len(images) / float(np.median(seconds))


def list_scores(result: TissueResult, seconds: float) -> list[dict]:
    """A row a model and target; of a network's question the network and its shuffled tiles."""
    rows = []
    for score in result.scores:
        if result.spec.has_network and score.model not in ("frozen", "shuffled"):
            continue
        title = MODELS[score.model]
        if result.spec.has_network:
            title = title.replace(" network", "") + f", {result.spec.backbone}"
        low, high = score.interval or (float("nan"), float("nan"))
        last = score.model == result.main
        rows.append(
            {
                "target": TARGETS[score.target],
                "model": title,
                "r > 0": score.above[0],
                "r > .3": score.above[1],
                "r > .5": score.above[2],
                "mean r (95 %)": f"{score.mean:.2f} ({low:.2f} to {high:.2f})",
                "error": f"{score.error:.2f}",
                "beyond": result.beyond if last and score.target == "normalised" else "",
                "seconds": f"{seconds:.0f}" if last and score.target == "normalised" else "",
            }
        )
    return rows


def print_table(rows: list[dict]) -> None:
    """As Markdown."""
    print("|", " | ".join(rows[0]), "|")
    print("|", " | ".join("---" for _ in rows[0]), "|")
    for row in rows:
        print("|", " | ".join(str(cell) for cell in row.values()), "|")
    print(flush=True)


DO = {"frozen": frozen, "trained": trained, "ten": ten, "loop": loop}

if __name__ == "__main__":
    main()
