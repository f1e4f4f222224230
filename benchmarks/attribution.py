"""How long integrated gradients take: 100 gene-images of ResNet50, 64 x 64, 32 steps.

    python -m benchmarks.attribution [THREADS] [BACKBONE]

Prints wall and CPU seconds for 100 samples of 1 024 genes, measured on 20 of them: the time is
proportional to their number. Where others use the machine, CPU seconds of one thread say more.
"""

import sys
import time

import numpy as np
import torch

from core.explain.attribution import attribute
from core.images.imager import GeneImager
from core.images.layout import GeneLayout
from core.models.network import build_network
from core.models.spec import NetworkSpec

SAMPLES, MEASURED, GENES, SIDE = 100, 20, 1024, 32


def main(threads: str = "2", backbone: str = "resnet50") -> None:
    """Print the seconds."""
    torch.set_num_threads(int(threads))
    places = np.arange(GENES)
    layout = GeneLayout("rows", places.astype(str), places // SIDE, places % SIDE, (SIDE, SIDE))
    spec = NetworkSpec(backbone=backbone, weights="scratch", image_size=64)
    network, _ = build_network(spec, 5, seed=0)
    x = np.random.default_rng(0).random((MEASURED, GENES), dtype=np.float32)
    targets, baseline = np.zeros(MEASURED, dtype=int), x.mean(axis=0)
    wall, cpu = time.perf_counter(), time.process_time()
    attribute(
        "integrated_gradients", network, GeneImager(layout, 64), x, targets, baseline, device="cpu"
    )
    scale = SAMPLES / MEASURED
    print(f"{backbone}, {threads} threads, {SAMPLES} samples: "
          f"{scale * (time.perf_counter() - wall):.0f} s, "
          f"{scale * (time.process_time() - cpu):.0f} CPU s")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
