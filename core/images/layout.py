"""GeneLayout: which gene stands on which pixel of the canvas."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from core.errors import InputError
from core.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
Channels = Literal["value", "value_z_rank"]
"""What the three channels of an image hold: the value thrice (as in the paper), or value, z and
rank."""


@dataclass(frozen=True)
class GeneLayout:
    """A place for each gene on a canvas of `shape` (rows, columns)."""

    name: str
    genes: np.ndarray
    """(genes,) ids"""
    row: np.ndarray
    """(genes,) int64"""
    col: np.ndarray
    """(genes,) int64"""
    shape: tuple[int, int]
    group: np.ndarray | None = None
    """(genes,) chromosome or gene set that a gene stands with, empty for a gene that has none;
    None for layouts without groups"""

    @cached_property
    def _position(self) -> dict[str, int]:
        return {gene: index for index, gene in enumerate(self.genes.tolist())}

    def pixel_of(self, gene: str) -> tuple[int, int]:
        """Row and column of a gene; raises InputError for a gene that is not on the canvas."""
        if gene not in self._position:
            raise InputError(f"Gene {gene!r} is not among the {len(self.genes)} genes painted.")
        index = self._position[gene]
        return int(self.row[index]), int(self.col[index])

    def genes_at(self, row: int, col: int) -> list[str]:
        """The genes on a pixel: one, none on a free pixel, several where the layout shares."""
        return self.genes[(self.row == row) & (self.col == col)].tolist()

    def neighbours(self, gene: str) -> list[str]:
        """The other genes on a gene's own pixel and on the eight around it."""
        row, col = self.pixel_of(gene)
        near = (abs(self.row - row) <= 1) & (abs(self.col - col) <= 1)
        return [name for name in self.genes[near].tolist() if name != gene]

    def shared_pixels(self) -> int:
        """How many genes stand on a pixel that holds another gene as well."""
        _, index, counts = np.unique(
            self.row * self.shape[1] + self.col, return_inverse=True, return_counts=True
        )
        return int((counts[index] > 1).sum())

    def free_pixels(self) -> np.ndarray:
        """(rows, columns) bool: True where no gene stands."""
        free = np.ones(self.shape, dtype=bool)
        free[self.row, self.col] = False
        return free

    def describe(self) -> str:
        """How many genes stand on how many pixels, which of them share one, and what is free."""
        rows, columns = self.shape
        shared, free = self.shared_pixels(), int(self.free_pixels().sum())
        parts = [f"{len(self.genes):,} genes on {rows} x {columns} pixels"]
        if shared:
            most = np.bincount(self.row * columns + self.col).max()
            parts.append(f"{shared:,} share a pixel with another (up to {most} on one)")
        else:
            parts.append("each on its own")
        if free:
            parts.append(f"{free:,} pixels free (chequered)")
        return ", ".join(parts)

    def table(self, **columns: np.ndarray) -> pd.DataFrame:
        """Genes, their pixels (from 0 at the top left), the layout's groups, and more columns."""
        import pandas as pd

        places = {"gene": self.genes, "row": self.row, "column": self.col}
        groups = {} if self.group is None else {"group": self.group}
        return pd.DataFrame({**places, **groups, **columns})

    def image(self, values: np.ndarray) -> np.ndarray:
        """Paint values (..., genes) on the canvas: (..., rows, columns) float32.

        Free pixels are NaN; genes that share a pixel are averaged.
        """
        values = np.asarray(values, dtype=np.float32)
        flat = np.zeros((*values.shape[:-1], self.shape[0] * self.shape[1]), dtype=np.float32)
        pixel = self.row * self.shape[1] + self.col
        count = np.bincount(pixel, minlength=flat.shape[-1])
        if count.max(initial=0) > 1:
            np.add.at(flat, (..., pixel), values)
        else:
            flat[..., pixel] = values
        with np.errstate(invalid="ignore", divide="ignore"):
            flat /= count.astype(np.float32)
        return flat.reshape(*values.shape[:-1], *self.shape)

    def reindex(self, genes: Sequence[str]) -> GeneLayout:
        """The same places with the genes in another order.

        Raises InputError that names the genes of either side which the other lacks.
        """
        given = np.asarray(genes, dtype=str).tolist()
        here = set(given)
        missing = [gene for gene in self.genes.tolist() if gene not in here]
        unknown = [gene for gene in given if gene not in self._position]
        if missing or unknown or len(given) != len(self.genes):
            raise InputError(
                f"The layout has {len(self.genes)} genes, the data {len(given)}. "
                f"Not in the data: {_list_some(missing)}. Not in the layout: {_list_some(unknown)}."
            )
        order = [self._position[gene] for gene in given]
        group = None if self.group is None else self.group[order]
        return GeneLayout(
            self.name, self.genes[order], self.row[order], self.col[order], self.shape, group
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What a saved layout holds: genes, row, col, shape, name, version; group if it has any."""
        groups = {} if self.group is None else {"group": self.group.astype(str)}
        return {
            **groups,
            "genes": self.genes.astype(str),
            "row": self.row,
            "col": self.col,
            "shape": np.array(self.shape),
            "name": np.array(self.name),
            "version": np.array(VERSION),
        }

    def to_bytes(self) -> bytes:
        """The layout as an npz file without pickle."""
        buffer = io.BytesIO()
        np.savez(buffer, **self.arrays())
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Write the npz file, atomically."""
        write_atomic(path, lambda temporary: temporary.write_bytes(self.to_bytes()))

    @classmethod
    def load(cls, path: Path) -> GeneLayout:
        """Read what `save` wrote; raises InputError for anything else."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if int(arrays["version"]) != VERSION:
                raise InputError(
                    f"{path.name} is a layout of version {arrays['version']}, expected {VERSION}."
                )
            rows, columns = (int(side) for side in arrays["shape"])
            row, col = arrays["row"].astype(np.int64), arrays["col"].astype(np.int64)
            if not len(arrays["genes"]) == len(row) == len(col):
                raise ValueError("genes, rows and columns differ in number")
            if ((row < 0) | (row >= rows) | (col < 0) | (col >= columns)).any():
                raise ValueError(f"a gene lies outside of the canvas of {rows} x {columns}")
            return cls(
                str(arrays["name"]),
                arrays["genes"],
                row,
                col,
                (rows, columns),
                arrays.get("group"),
            )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{path.name} is not a gene layout ({error}).") from None


def canvas_side(genes: int, image_size: int) -> int:
    """The smallest side that holds the genes and divides the image size.

    Raises InputError when the image has fewer pixels than there are genes.
    """
    for side in range(1, image_size + 1):
        if image_size % side == 0 and side * side >= genes:
            return side
    raise InputError(
        f"{genes} genes don't fit on an image of {image_size} x {image_size} pixels: at most "
        f"{image_size**2}. Choose a larger image or fewer genes."
    )


def _list_some(genes: list[str], most: int = 5) -> str:
    if not genes:
        return "none"
    more = f" and {len(genes) - most} more" if len(genes) > most else ""
    return ", ".join(genes[:most]) + more
