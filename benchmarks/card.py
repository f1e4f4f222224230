"""Time of a data card.

    python -m benchmarks.card --samples 10000 --genes 20000

Prints seconds of the clock and of the processor, which other work on the machine disturbs less, for
a simulated log2 matrix, and for tcga11 where GENECANVAS_DATA names the real data.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.check import check_dataset
from core.data.read import read_dataset


def simulate_matrix(samples: int, genes: int) -> AnnData:
    """Log2 values of ten classes that differ in a tenth of the genes."""
    rng = np.random.default_rng(0)
    labels = np.arange(samples) % 10
    x = rng.standard_normal((samples, genes), dtype=np.float32) + 6
    x[:, : genes // 10] += rng.standard_normal((10, genes // 10), dtype=np.float32)[labels]
    obs = pd.DataFrame(
        {"class": labels.astype(str), "patient": [f"p{n}" for n in range(samples)]},
        index=[f"s{n}" for n in range(samples)],
    )
    var = pd.DataFrame(index=[f"g{n}" for n in range(genes)])
    return AnnData(x, obs=obs, var=var, uns={"scale": "log2", "source": "", "notes": []})


def report(name: str, data: AnnData, label: str) -> None:
    """Make a card and print how long it took."""
    wall, processor = time.perf_counter(), time.process_time()
    card = check_dataset(data, label, "patient")
    print(
        f"| {name} | {card.samples} x {card.genes} | {time.perf_counter() - wall:.1f} | "
        f"{time.process_time() - processor:.1f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--genes", type=int, default=20000)
    options = parser.parse_args()
    print("| data | size | seconds | processor seconds |\n"
          "| --- | --- | --- | --- |")  # fmt: skip
    if folder := os.environ.get("GENECANVAS_DATA"):
        files = Path(folder) / "tcga11_expression.parquet", Path(folder) / "tcga11_samples.csv"
        report("tcga11", read_dataset(*files), "tumour_type")
    report("simulated", simulate_matrix(options.samples, options.genes), "class")


if __name__ == "__main__":
    main()
