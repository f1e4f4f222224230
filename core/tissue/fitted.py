"""Models of the folds, as they are kept to be asked about other tiles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.files import UNREADABLE, write_atomic
from core.tissue.ridge import Line
from core.tissue.stain import Stains, repaint_sections
from core.tissue.store import say_broken
from core.tissue.targets import Scaling

CELLS = 8
"""Places a side of a tile that are covered in turn."""


@dataclass(frozen=True, eq=False)
class FoldModel:
    """What one fold's training patients taught of the normalised expression."""

    left_out: np.ndarray
    """Names of the patients (or sections) that it has not seen."""
    genes: np.ndarray
    """(genes,) names of those that it chose."""
    scaling: Scaling
    """Of these, over its training spots."""
    line: Line | None
    """From features to z scores; None of a trained network, whose file lies beside."""
    stains: Stains | None
    """The stain that tiles are brought to, where the question asks for that."""

    def save(self, path: Path) -> None:
        """Write it as .npz, atomically."""
        parts = {"left_out": self.left_out.astype(str), "genes": self.genes.astype(str),
                 "mean": self.scaling.mean, "sd": self.scaling.sd}  # fmt: skip
        if self.line is not None:
            parts |= vars(self.line)
        if self.stains is not None:
            parts |= {"colours": self.stains.colours, "strongest": self.stains.strongest}

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **parts)

        write_atomic(path, write)

    @classmethod
    def load(cls, path: Path) -> "FoldModel":
        """Raises DamageError where it can't be read."""
        try:
            with np.load(path, allow_pickle=False) as file:
                parts = dict(file)
            line = None
            if "weights" in parts:
                far = np.full(len(parts["weights"]), np.inf)  # files from before there were limits
                low, high = parts.get("low", -far), parts.get("high", far)
                line = Line(parts["weights"], parts["intercept"], low, high)
            stains = Stains(parts["colours"], parts["strongest"]) if "colours" in parts else None
            scaling = Scaling(parts["mean"], parts["sd"])
            return cls(parts["left_out"], parts["genes"], scaling, line, stains)
        except UNREADABLE:
            raise say_broken(f"The model {path.name}") from None


Look = Callable[[int, FoldModel, np.ndarray], np.ndarray]
"""A fold's number, its model and tiles -> (tiles, genes) z scores."""


def predict_expression(
    models: Sequence[FoldModel], look: Look, tiles: np.ndarray, sections: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What all folds say of new tiles: the mean over those that know a gene.

    Args:
        models: of the folds.
        look: asks one of them.
        tiles: (spots, side, side, 3) uint8.
        sections: (spots,) where each is.

    Returns:
        Names of the genes, and (spots, genes) log(1 + 10,000 count / reads), not below 0.
    """
    genes = np.unique(np.concatenate([model.genes for model in models]))
    total, known = np.zeros((len(tiles), len(genes))), np.zeros(len(genes))
    for number, model in enumerate(models):
        z = look(number, model, repaint_sections(tiles, sections, model.stains))
        place = np.searchsorted(genes, model.genes)
        total[:, place] += model.scaling.mean + model.scaling.sd * z
        known[place] += 1
    return genes, np.maximum(total / known, 0).astype(np.float32)


def cover(tile: np.ndarray) -> np.ndarray:
    """(1 + CELLS², side, side, 3): a tile, and the tile with each cell in its own mean colour."""
    side = len(tile)
    edges = np.linspace(0, side, CELLS + 1).round().astype(int)
    found = np.repeat(tile[None], 1 + CELLS**2, axis=0)
    for number in range(CELLS**2):
        row, column = divmod(number, CELLS)
        found[1 + number, edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = (
            tile.mean(axis=(0, 1)).round()
        )
    return found


def effect_of_cells(z: np.ndarray) -> np.ndarray:
    """(CELLS, CELLS, genes) by how much a prediction falls when a cell is covered, of `cover`'s
    tiles' z scores (1 + CELLS², genes).
    """
    return (z[0] - z[1:]).reshape(CELLS, CELLS, -1)
