"""What real tissue says of genes, and how much of it is depth, as two tables.

    GENECANVAS_DATA=FOLDER python -m benchmarks.tissue [--weights FOLDER] [--train EPOCHS]

her2st (Andersson et al. 2021: 7 sections of 3 patients here, tiles of 64 pixels), each patient left
out in turn; and four sections of the mouse's olfactory bulb (Ståhl et al. 2016, tiles of 48
pixels), whose mice aren't known, so that a section is left out in turn, which is too good. The
250 genes of highest mean are those of the training patients; spots have 500 reads or more.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from core.tissue.frozen import frozen_features
from core.tissue.learning import MODELS, learn
from core.tissue.network import trainer
from core.tissue.read import read_tissue
from core.tissue.result import TissueResult, summarise
from core.tissue.spec import NO_NETWORK, TissueSpec
from core.tissue.spots import Tissue

FILES = {
    "squeezenet1_1": "squeezenet1_1_imagenet.pth",
    "vgg16": "vgg16_features_imagenet.safetensors",
}
SETS = {
    "her2st": ("her2st_spots.csv", "her2st_counts.parquet", "her2st_tiles64.npz", "patient"),
    "MOB": ("mob_spots.csv", "mob_counts.parquet", "mob_tiles48.npz", "section"),
}
TARGETS = {"normalised": "normalised", "stnet": "ST-Net's", "raw": "log(1 + count)"}


def main() -> None:
    """Print the tables; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, help="folder of ImageNet files; else downloaded")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument(
        "--networks", nargs="*", default=[NO_NETWORK, *FILES], choices=[NO_NETWORK, *FILES]
    )
    parser.add_argument("--symmetric", action="store_true", help="mean over the 8 symmetries")
    parser.add_argument("--train", type=int, default=0, metavar="EPOCHS", help="networks as well")
    parser.add_argument("--auxiliary", type=float, default=1.0, help="weight of the other genes")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(os.environ["GENECANVAS_DATA"]) / "histology"
    for name in options.sets:
        spots, counts, tiles, held_out = SETS[name]
        tissue = read_tissue([folder / spots], folder / counts, folder / tiles)
        rows: list[dict] = []
        for backbone in options.networks:
            weights = "imagenet"
            if options.weights and backbone in FILES:
                weights = f"file:{options.weights / FILES[backbone]}"
            spec = TissueSpec(
                tissue="0" * 16, held_out=held_out, backbone=backbone, weights=weights,
                symmetric=options.symmetric, train=options.train > 0,
                epochs=max(options.train, 1), auxiliary=options.auxiliary,
            )  # fmt: skip
            result, seconds = ask(tissue, spec)
            said = f"{name} {backbone} {seconds:.0f} s"
            print(said, *result.verdict(), sep="\n", file=sys.stderr, flush=True)
            rows += list_scores(result, seconds)
        print(f"## {name}: {result.genes} genes, {len(tissue.spots):,} spots\n")
        print_table(rows)


def ask(tissue: Tissue, spec: TissueSpec) -> tuple[TissueResult, float]:
    """The answer to a question, and the seconds that it took."""
    started, frozen, train = time.perf_counter(), None, None
    if spec.has_network:
        frozen = frozen_features(
            tissue.tiles, spec.backbone, spec.weights, symmetric=spec.symmetric
        )
    if spec.train:
        train = trainer(tissue.tiles, spec, "cpu")
    genes, learned = learn(tissue, spec, frozen, train_network=train)
    result, _ = summarise(spec, genes, learned, tissue.patients)
    return result, time.perf_counter() - started


def list_scores(result: TissueResult, seconds: float) -> list[dict]:
    """A row a model and target; of a network's question the network and its shuffled tiles."""
    rows = []
    for score in result.scores:
        if result.spec.has_network and score.model not in ("frozen", "shuffled", "trained"):
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


if __name__ == "__main__":
    main()
