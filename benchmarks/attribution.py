"""How long integrated gradients take, and how much of that the network itself takes.

    OMP_NUM_THREADS=1 python -m benchmarks.attribution [BACKBONE] [PIXELS]

Samples of 1 024 genes are explained with 32 steps; in turn with it, the same network goes forward
and backward over as many random images as that asks for. Prints processor seconds for 100 samples,
which other work disturbs less than those of the clock, and the share of the bare passes: the median
over the rounds.
"""

import sys
import time
from statistics import median

import numpy as np
import torch

from core.explain.attribution import attribute
from core.explain.forward import evaluating
from core.images.imager import GeneImager
from core.images.layout import GeneLayout
from core.models.network import build_network
from core.models.spec import NetworkSpec

SAMPLES, GENES, SIDE, STEPS, AT_ONCE, ROUNDS = 8, 1024, 32, 32, 64, 5


def main(backbone: str = "resnet50", pixels: str = "64") -> None:
    """Print the seconds and the share."""
    places, size = np.arange(GENES), int(pixels)
    layout = GeneLayout("rows", places.astype(str), places // SIDE, places % SIDE, (SIDE, SIDE))
    spec = NetworkSpec(backbone=backbone, weights="scratch", image_size=size)
    network, _ = build_network(spec, 5, seed=0)
    imager = GeneImager(layout, size)
    x = np.random.default_rng(0).random((SAMPLES, GENES), dtype=np.float32)
    targets, baseline = np.zeros(SAMPLES, dtype=int), x.mean(axis=0)

    def explain() -> None:
        attribute("integrated_gradients", network, imager, x, targets, baseline, device="cpu")

    def pass_bare() -> None:
        with evaluating(network):
            for _ in range(SAMPLES * STEPS // AT_ONCE):
                images = torch.randn(AT_ONCE, 3, size, size, requires_grad=True)
                torch.autograd.grad(network(images)[:, 0].sum(), images)

    spent: dict = {explain: [], pass_bare: []}
    for _ in range(ROUNDS):
        for work, seconds in spent.items():
            started = time.process_time()
            work()
            seconds.append(time.process_time() - started)
    share = median(b / a for a, b in zip(spent[explain], spent[pass_bare], strict=True))
    print(f"{backbone}, {size} px, {torch.get_num_threads()} thread(s), 100 samples: "
          f"{100 / SAMPLES * median(spent[explain]):.0f} processor s, of which the bare passes are "
          f"{share:.2f}")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
