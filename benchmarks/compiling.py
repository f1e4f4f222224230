"""What makes a training step on a CPU faster: order of memory, torch.compile, a second thread.

    OMP_NUM_THREADS=1 python -m benchmarks.compiling squeezenet1_1:64 vgg16:32

For each network and image size one step (forward, backward, AdamW; 32 random images, float32, the
backbone with a linear layer on the mean of its last map) is taken in each way in turn. Ratios are
medians over the rounds: of processor seconds, so that other work disturbs less; of two threads, of
seconds by the clock. The last column: after how many epochs of 602 samples compiling has paid.
"""

import argparse
import os
import time
from statistics import median

import torch
from torch import nn

from core.models.network import GeneImageNetwork
from core.models.spec import NetworkSpec
from core.training.device import choose_device, computes_bfloat16

BATCH, CLASSES, SAMPLES = 32, 11, 602


def build(backbone: str, size: int, layout: torch.memory_format) -> nn.Module:
    """The backbone's stages and the smallest head."""
    stages = GeneImageNetwork(NetworkSpec(backbone=backbone, image_size=size), 2, seed=0).stages
    channels = stages.eval()(torch.zeros(1, 3, size, size)).shape[1]
    network = nn.Sequential(
        stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)
    )
    return network.train().to(memory_format=layout)


def stepper(network: nn.Module, called: nn.Module, images: torch.Tensor, threads: int):
    """A function that takes one step."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)
    y = torch.arange(BATCH) % CLASSES

    def step() -> None:
        torch.set_num_threads(threads)
        optimiser.zero_grad()
        nn.functional.cross_entropy(called(images), y).backward()
        optimiser.step()
        torch.set_num_threads(1)

    return step


def processor_seconds() -> float:
    """Of this process and of what it started, such as a compiler."""
    return sum(os.times()[:4])


def measure(backbone: str, size: int, rounds: int) -> str:
    """A row of the table."""
    rows = torch.randn(BATCH, 3, size, size)
    last = rows.contiguous(memory_format=torch.channels_last)
    plain, ours = (build(backbone, size, f) for f in (torch.contiguous_format, torch.channels_last))
    compiled = build(backbone, size, torch.channels_last)
    steps = {
        "channels first": stepper(plain, plain, rows, 1),
        "ours": stepper(ours, ours, last, 1),
        "compiled": stepper(compiled, torch.compile(compiled), last, 1),
        "two threads": stepper(ours, ours, last, 2),
    }
    compiling = 0.0
    for name, step in steps.items():
        started = processor_seconds()
        step()
        if name == "compiled":
            compiling = processor_seconds() - started
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            begun, clock = processor_seconds(), time.perf_counter()
            step()
            spent[name].append((processor_seconds() - begun, time.perf_counter() - clock))

    def ratio(name: str, by: int) -> float:
        return median(a[by] / b[by] for a, b in zip(spent["ours"], spent[name], strict=True))

    ours_seconds, compiled_seconds = (
        median(cpu for cpu, _ in spent[name]) for name in ("ours", "compiled")
    )
    saved = (ours_seconds - compiled_seconds) * SAMPLES / BATCH
    paid = f"{compiling / saved:.0f}" if saved > 0 else "never"
    speeds = ratio("channels first", 0), ratio("compiled", 0), ratio("two threads", 1)
    said = " | ".join(f"{speed:.2f}" for speed in speeds)
    return (
        f"| {backbone}, {size} px | {BATCH / ours_seconds:.0f} | {said} | {compiling:.0f} s | "
        f"{paid} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="NETWORK:PIXELS",
                        default=["squeezenet1_1:32", "squeezenet1_1:64", "vgg16:32", "vgg16:64",
                                 "resnet50:64"])  # fmt: skip
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    amx = "" if computes_bfloat16(torch.device("cpu")) else "no "
    print(f"torch {torch.__version__}, {choose_device()}, {amx}AMX; speed as a multiple of ours\n")
    print("| network | ours, samples/processor s | channels first | compiled | two threads, by the "
          f"clock | compiling | epochs until it pays |\n| {'--- | ' * 7}")  # fmt: skip
    for case in given.cases:
        backbone, _, size = case.partition(":")
        print(measure(backbone, int(size), given.rounds), flush=True)


if __name__ == "__main__":
    main()
