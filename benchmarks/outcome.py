"""What a layout is worth to a network: accuracy of one small fixed network on each, as a table.

    GENECANVAS_DATA=FOLDER python -m benchmarks.outcome [--splits 5] [--layouts NAME ...]

The tumours of tcga11 (one a patient), their 1,024 most variable genes, z-scored; 70 % of the
samples train, 30 % test, each layout on the same splits with the same first weights. Genes, scaling
and layout are fitted on the training samples. The network has two convolutions of 3 x 3 with
pooling and a linear layer on all places of the map, so that it can tell a place; nothing is
augmented and nothing tuned. All of it takes one thread.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd
import torch
from scipy.stats import t
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from torch import nn

from core.data.prepare import PreparationSpec, Preprocessor
from core.images.imager import GeneImager
from core.images.layouts import LayoutSpec, fit_layout

GENES, SIDE, EPOCHS, BATCH, RATE = 1024, 32, 15, 32, 1e-3
TEST = 0.3
PLAIN = "logistic regression on the genes"


def main() -> None:
    """Print the table; progress goes to stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument(
        "--layouts", nargs="*", default=["random", "order", "pca_grid", "pca", "hierarchical",
                                         "igtd", "tsne", "deepinsight_pca"],
    )  # fmt: skip
    options = parser.parse_args()
    torch.set_num_threads(1)
    x, genes, y = read_tumours(Path(os.environ["GENECANVAS_DATA"]))
    splits = StratifiedShuffleSplit(options.splits, test_size=TEST, random_state=0)
    scores: dict[str, list[float]] = {name: [] for name in (*options.layouts, PLAIN)}
    for number, (train, test) in enumerate(splits.split(x, y)):
        prepared = Preprocessor.fit(x[train], genes, "log2", PreparationSpec(genes=GENES))
        unit = prepared.transform(x, genes)
        for name in options.layouts:
            started = time.perf_counter()
            layout = fit_layout(unit[train], prepared.genes, LayoutSpec(name=name), SIDE, number)
            scores[name].append(learn(GeneImager(layout, SIDE), unit, y, train, test, number))
            seconds = time.perf_counter() - started
            print(f"{number} {name} {scores[name][-1]:.3f} {seconds:.0f} s", file=sys.stderr)
        plain = LogisticRegression(max_iter=2000).fit(unit[train], y[train])
        scores[PLAIN].append(plain.score(unit[test], y[test]))
    print("| layout | accuracy, mean | lowest to highest | points above random | 95 % interval |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, found in scores.items():
        print(describe(name, np.array(found), np.array(scores["random"])))


def describe(name: str, found: np.ndarray, random: np.ndarray) -> str:
    """A row; the interval is that of Nadeau and Bengio (2003, Mach. Learn. 52:239) for splits."""
    title = name if name == PLAIN else f"`{name}`"
    row = f"| {title} | {found.mean():.3f} | {found.min():.3f} to {found.max():.3f} |"
    if name == "random":
        return f"{row} | |"
    points = 100 * (found - random)
    spread = np.sqrt((1 / len(points) + TEST / (1 - TEST)) * points.var(ddof=1))
    reach = t.ppf(0.975, len(points) - 1) * spread
    return (
        f"{row} {points.mean():.1f} | {points.mean() - reach:.1f} to {points.mean() + reach:.1f} |"
    )


def read_tumours(data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expression (samples, genes), gene symbols and class numbers."""
    samples = pd.read_csv(data / "tcga11_samples.csv").set_index("barcode")
    samples = samples[samples["sample_type"] == "tumour"]
    table = pd.read_parquet(data / "tcga11_expression.parquet").loc[samples.index]
    _, y = np.unique(samples["tumour_type"], return_inverse=True)
    return table.to_numpy(np.float32), table.columns.to_numpy().astype(str), y


def learn(
    imager: GeneImager, unit: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray,
    seed: int,
) -> float:  # fmt: skip
    """Accuracy on the test samples after a fixed number of epochs."""
    torch.manual_seed(seed)
    classes = int(y.max()) + 1
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (SIDE // 4) ** 2, classes),
    )  # fmt: skip
    optimiser = torch.optim.AdamW(network.parameters(), RATE)
    with torch.no_grad():
        images = imager(torch.from_numpy(unit))
    targets = torch.from_numpy(y)
    for _ in range(EPOCHS):
        for rows in torch.from_numpy(train)[torch.randperm(len(train))].split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), targets[rows]).backward()
            optimiser.step()
    network.eval()
    with torch.inference_mode():
        return (network(images[test]).argmax(1) == targets[test]).float().mean().item()


if __name__ == "__main__":
    main()
