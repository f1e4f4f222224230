"""`simulate`: the example dataset, whose answer is known."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.output import give
from core.cli.parser import add_command
from core.data.simulate import simulate, write_simulated
from core.escape import write_csv
from core.files import write_atomic


def add_commands(commands: Any) -> None:
    """Add `simulate`."""
    simulated = add_command(
        commands, "simulate", simulate_data, "write the simulated example dataset"
    )
    simulated.add_argument("--out", type=Path, required=True, help="CSV of the samples")
    simulated.add_argument("--truth", type=Path, required=True, help="CSV of the planted genes")
    for name, default in (("samples", 600), ("genes", 1000), ("seed", 0)):
        simulated.add_argument(f"--{name}", type=int, default=default, help="default: %(default)s")


def simulate_data(options: argparse.Namespace) -> int:
    """Write the samples, and which genes were planted."""
    data, truth = simulate(options.samples, options.genes, options.seed)
    write_simulated(data, options.out)
    write_atomic(options.truth, lambda path: write_csv(truth, path))
    document = {
        "out": str(options.out),
        "truth": str(options.truth),
        "samples": data.n_obs,
        "genes": data.n_vars,
        "planted": len(truth),
    }
    text = (
        f"{data.n_obs} samples x {data.n_vars} genes in {options.out}, "
        f"{len(truth)} planted genes in {options.truth}"
    )
    return give(options, document, text)
