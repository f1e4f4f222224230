"""Accuracies that others published for gene-images, to stand beside a study's own.

Facts with their sources. They are of other samples, other genes and other splits, so the distance
to a study's own figure is no difference between methods.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.compare.records import ComparedRun, Comparison
from core.models.backbones import BACKBONES


@dataclass(frozen=True)
class Source:
    """Where published figures are from, and what they are of."""

    name: str
    citation: str
    samples: str
    split: str
    """In words."""
    accuracy: dict[str, float]
    """Network -> accuracy; those of ours by their names in BACKBONES."""
    test_size: float | None = None
    """Test share of the hold-out split, where it is told."""


MENDELEY = "Mendeley 10.17632/sf5n64hydt.1: 2 086 samples, 971 genes, 5 tumour types"
SOURCES = (
    Source(
        "Paper",
        "The paper on gene-images of five tumour types whose comparison this app repeats: 70-30 "
        "the best split, VGG16 best overall with 95 %, which we read as its figure at 70-30",
        MENDELEY,
        "70/30",
        {"vgg16": 0.95},
        test_size=0.3,
    ),
    Source(
        "Rukhsar 2022",
        "Rukhsar et al. 2022, Appl. Sci. 12:1850",
        MENDELEY,
        "not told",
        {
            "CNN": 0.970, "AlexNet": 0.931, "GoogLeNet": 0.959, "vgg16": 0.929, "vgg19": 0.911,
            "resnet50": 0.967, "resnet101": 0.954, "resnet152": 0.948,
        },
    ),
    Source(
        "Reproduction",
        "An independent reproduction of Rukhsar et al.: pixel = round(255 value / max), 32 x 32 in "
        "the order of the file, resized to 224, Adam 1e-4, batches of 4",
        MENDELEY,
        "random 70/20/10",
        {
            "vgg16": 0.957, "resnet101": 0.954, "vgg19": 0.914, "resnet50": 0.930,
            "resnet152": 0.910,
        },
    ),
    Source("GexpNet 2025", "GexpNet 2025", MENDELEY, "not told", {"GexpNet": 0.9899}),
    Source("Khalifa 2020", "Khalifa et al. 2020", MENDELEY, "not told", {"their network": 0.969}),
)  # fmt: skip


def list_published() -> pd.DataFrame:
    """All published figures: network, accuracy, source, citation, samples, split."""
    return pd.DataFrame(
        [
            (
                BACKBONES[network].title if network in BACKBONES else network,
                accuracy,
                source.name,
                source.citation,
                source.samples,
                source.split,
            )
            for source in SOURCES
            for network, accuracy in source.accuracy.items()
        ],
        columns=["network", "accuracy", "source", "citation", "samples", "split"],
    )


def put_beside_published(comparison: Comparison) -> pd.DataFrame:
    """A study's own accuracies by network, split and augmentation, and the published ones.

    A source whose split is told stands beside runs of that split only; none tells its augmentation.

    Args:
        comparison: of the accuracy.

    Returns:
        Columns network, split, augmentation, setup, accuracy, low, high, splits, n, then one for
        each source that has any of the networks, NaN where it says nothing. Empty when none has.
    """
    columns = [
        "network",
        "split",
        "augmentation",
        "setup",
        "accuracy",
        "low",
        "high",
        "splits",
        "n",
    ]
    by_id = {run.run: run for run in comparison.runs}
    rows: list[tuple] = []
    first: list[ComparedRun] = []
    for setup in comparison.setups:
        if setup.kind != "network":
            continue
        runs = [by_id[run] for run in setup.runs]
        low, high = setup.low, setup.high
        if low is None and len(runs) == 1 and runs[0].interval is not None:
            low, high = runs[0].interval
        rows.append((runs[0].network, runs[0].split, runs[0].augmentation, setup.name,
                     setup.mean, low, high, setup.splits, setup.n_test))  # fmt: skip
        first.append(runs[0])
    table = pd.DataFrame(rows, columns=columns)
    table[["low", "high"]] = table[["low", "high"]].astype(float)
    for source in SOURCES:
        alike = [run.test_size == source.test_size or source.test_size is None for run in first]
        published = np.array([source.accuracy.get(run.backbone, np.nan) for run in first])
        published = np.where(alike, published, np.nan)
        if np.isfinite(published).any():
            table[source.name] = published
    return table if len(table.columns) > len(columns) else table.iloc[:0]
