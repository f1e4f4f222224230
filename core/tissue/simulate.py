"""Spots whose answer is known: a tile's hue drives some genes, its darkness the depth alone."""

import colorsys

import numpy as np
import pandas as pd

from core.tissue.spots import Tissue

READS = 8000


def simulate_tissue(
    patients: int = 4, spots: int = 60, genes: int = 60, *, driven: int = 10, side: int = 16,
    seed: int = 0,
) -> Tissue:  # fmt: skip
    """Sections, one a patient, of spots on a grid.

    The hue of a tile sets the share of reads of the first `driven` genes, of every second one
    downwards. How dark it is sets the number of reads, ninefold from light to dark, and so the
    counts of every gene. Other genes keep their share of the reads.

    Args:
        patients: how many.
        spots: of each.
        genes: named HUE1, … and GENE1, …
        driven: genes that follow the hue; 0: all that the tiles show is depth.
        side: pixels a side of a tile.
        seed: of all that is random.
    """
    draw = np.random.default_rng(seed)
    columns = int(np.ceil(np.sqrt(spots)))
    base = draw.uniform(0.5, 2.0, genes)
    signs = np.where(np.arange(driven) % 2, -1, 1)  # what some genes gain others lose
    tables, counts, tiles = [], [], []
    for patient in range(patients):
        x, y = np.arange(spots) % columns, np.arange(spots) // columns
        hue, dark = (draw.permutation(spots) / (spots - 1) for _ in range(2))
        reads = (READS * 3 ** (2 * dark - 1)).round()
        shares = np.tile(base, (spots, 1))
        own = shares[:, :driven] * np.exp(2 * (hue[:, None] - 0.5) * signs)
        shares[:, :driven] = own * base[:driven].sum() / own.sum(axis=1, keepdims=True)
        rates = reads[:, None] * shares / base.sum()
        counts.append(draw.poisson(rates))
        colours = np.array(
            [colorsys.hsv_to_rgb(0.75 + 0.2 * h, 0.4, 0.9 - 0.5 * d)
             for h, d in zip(hue, dark, strict=True)]
        )  # fmt: skip
        noise = draw.normal(0, 6, (spots, side, side, 3))
        tiles.append(np.clip(255 * colours[:, None, None] + noise, 0, 255).astype(np.uint8))
        tables.append(
            pd.DataFrame(
                {"section": f"S{patient + 1}", "patient": f"P{patient + 1}", "x": x * 20.0 + 10,
                 "y": y * 20.0 + 10, "reads": counts[-1].sum(axis=1).astype(float)},
                index=[f"S{patient + 1}_{a}x{b}" for a, b in zip(x, y, strict=True)],
            )
        )  # fmt: skip
    names = [f"HUE{n + 1}" for n in range(driven)]
    names += [f"GENE{n + 1}" for n in range(genes - driven)]
    return Tissue(
        pd.concat(tables), np.array(names), np.concatenate(counts).astype(np.float32),
        np.concatenate(tiles),
    )  # fmt: skip
