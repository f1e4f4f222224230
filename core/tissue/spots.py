"""Spots of tissue sections: where they are, what the image shows there, and their counts."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.data.notes import Notes
from core.errors import InputError

COLUMNS = ("section", "patient", "x", "y", "reads")


@dataclass(frozen=True, eq=False)
class Tissue:
    """Spots of one or more sections."""

    spots: pd.DataFrame
    """A row a spot, by its id; see COLUMNS. `patient` is empty where it isn't known; x and y in
    pixels of the image; `reads` is the spot's number of reads, of all genes."""
    genes: np.ndarray
    """(genes,) names."""
    counts: np.ndarray
    """(spots, genes) float32."""
    tiles: np.ndarray
    """(spots, side, side, 3) uint8."""
    notes: Notes = field(default_factory=Notes)
    """What was understood, and what is doubtful."""

    def __post_init__(self) -> None:
        """Raise InputError where the parts are not of the same spots."""
        sizes = {"spots": len(self.spots), "counts": len(self.counts), "tiles": len(self.tiles)}
        if len(set(sizes.values())) > 1:
            said = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
            raise InputError(f"Expected as many rows of each, got {said}.")
        if self.counts.shape[1] != len(self.genes):
            raise InputError(
                f"Expected a column of counts for each of {len(self.genes)} genes, got "
                f"{self.counts.shape[1]}."
            )

    @property
    def sections(self) -> list[str]:
        """Names, sorted."""
        return sorted(self.spots["section"].unique())

    @property
    def patients(self) -> list[str]:
        """Names, sorted; none where they aren't known."""
        return sorted(set(self.spots["patient"]) - {""})

    def take(self, rows: np.ndarray) -> "Tissue":
        """Some of the spots: a mask or positions."""
        return Tissue(
            self.spots.iloc[np.arange(len(self.spots))[rows]], self.genes, self.counts[rows],
            self.tiles[rows], self.notes,
        )  # fmt: skip


def lay_out(
    tiles: np.ndarray, x: np.ndarray, y: np.ndarray, width: float, pixels: int = 14
) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """A small picture of a section, put together from its tiles.

    Args:
        tiles: (spots, side, side, 3) uint8.
        x: (spots,) the middles, to the right, in any unit.
        y: (spots,) downwards.
        width: of a tile, in that unit.
        pixels: a tile's side in the picture.

    Returns:
        (rows, columns, 3) uint8, white where there is no tile; its left, top, right and lower edge.
    """
    step = max(tiles.shape[1] // pixels, 1)
    small = tiles[:, ::step, ::step]
    side = small.shape[1]
    left, top = x.min() - width / 2, y.min() - width / 2
    columns, rows = (round((v.max() - v.min()) / width * side) + side for v in (x, y))
    picture = np.full((rows, columns, 3), 255, np.uint8)
    for tile, across, down in zip(small, x - width / 2 - left, y - width / 2 - top, strict=True):
        column, row = round(across / width * side), round(down / width * side)
        picture[row : row + side, column : column + side] = tile
    scale = width / side
    return picture, (left, top, left + columns * scale, top + rows * scale)


def spacing(places: np.ndarray) -> float:
    """The usual distance from a spot (spots, 2) to its nearest neighbour."""
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(places).query(places, k=2)
    return float(np.median(distances[:, 1]))


def darkness(tiles: np.ndarray) -> np.ndarray:
    """(spots,) how dark each tile (spots, side, side, 3) is: 0 is white, 1 is black."""
    return 1 - tiles.mean(axis=(1, 2, 3)) / 255
