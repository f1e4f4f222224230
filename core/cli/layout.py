"""`layout`: lay the genes of a file out on a canvas."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.options import (
    add_data_options,
    add_spec_options,
    given_cohort,
    given_fields,
    read_data,
    take_roles,
)
from core.cli.output import give
from core.cli.parser import add_command
from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec, Preprocessor
from core.images.layouts import LAYOUTS, LayoutSpec, fit_layout
from core.models.spec import NetworkSpec


def add_commands(commands: Any) -> None:
    """Add `layout`."""
    layout = add_command(commands, "layout", lay_out, "lay genes out on a canvas, on all samples")
    add_data_options(layout)
    layout.add_argument("--out", type=Path, required=True, help="npz with genes, row, col, shape")
    add_spec_options(layout, ["preparation", "layout"])
    layout.add_argument(
        "--image-size", type=int, default=NetworkSpec().image_size,
        help="pixels per side (default: %(default)s)",
    )  # fmt: skip
    layout.add_argument("--seed", type=int, default=0, help="default: %(default)s")


def lay_out(options: argparse.Namespace) -> int:
    """Fit the layout and save it."""
    given = given_fields(options)
    preparation = PreparationSpec(**given.get("preparation", {}))
    chosen = LayoutSpec(**given.get("layout", {}))
    take_roles(options)
    data = Cohort(**given_cohort(options)).select(read_data(options))
    genes = data.var_names.to_numpy()
    prepared = Preprocessor.fit(data.X, genes, data.uns["scale"], preparation)
    unit = prepared.transform(data.X, genes)
    layout = fit_layout(unit, prepared.genes, chosen, options.image_size, options.seed)
    layout.save(options.out)
    document = {
        "out": str(options.out),
        "layout": chosen.name,
        "genes": len(layout.genes),
        "shape": list(layout.shape),
        "samples": data.n_obs,
        "learns": LAYOUTS[chosen.name].learns,
    }
    text = f"{len(layout.genes)} genes on {layout.shape[0]} x {layout.shape[1]} in {options.out}"
    return give(options, document, text)
