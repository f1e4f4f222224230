"""Bringing the stain of all sections to that of the training patients.

Macenko et al. 2009, "A method for normalizing histology slides for quantitative analysis" (ISBI):
optical densities of tissue lie in a plane; the directions at its two edges are those of
haematoxylin and eosin; a section's amounts of both are scaled to the reference's and painted in
its colours.
"""

from dataclasses import dataclass

import numpy as np

LIGHT = 255.0
FAINT = 0.15
"""Optical density up to which a pixel is taken for empty, as published."""
EDGE = 1.0
"""Per cent of pixels beyond each of the two directions, as published."""
STRONGEST = 99.0
"""Percentile of an amount that is matched, as published."""
FEWEST = 200
"""Pixels of tissue that are needed to fit anything."""
MOST = 200_000
"""Pixels that are looked at, evenly taken."""
AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Stains:
    """Colours of two stains, and how strong they are."""

    colours: np.ndarray
    """(2, 3) optical density of haematoxylin and eosin in red, green and blue, of length 1."""
    strongest: np.ndarray
    """(2,) the amount of each that 1 % of the tissue exceeds."""

    @classmethod
    def fit(cls, tiles: np.ndarray) -> "Stains | None":
        """Of tiles (n, side, side, 3) uint8; None of hardly any tissue, or of a single colour."""
        pixels = tiles.reshape(-1, 3)
        density = _density(pixels[:: -(-len(pixels) // MOST)])
        density = density[(density > FAINT).all(axis=1)]
        if len(density) < FEWEST:
            return None
        sizes, axes = np.linalg.eigh(np.cov(density.T))
        if sizes[1] < 1e-6:
            return None
        plane = axes[:, :0:-1] * np.where(axes[:, :0:-1].sum(axis=0) < 0, -1, 1)
        across, along = (density @ plane).T[::-1]
        low, high = np.percentile(np.arctan2(across, along), (EDGE, 100 - EDGE))
        found = np.stack([plane @ (np.cos(angle), np.sin(angle)) for angle in (low, high)])
        if found[0, 0] < found[1, 0]:  # haematoxylin takes more of the red
            found = found[::-1]
        amounts = _amounts(density, found)
        return cls(found, np.maximum(np.percentile(amounts, STRONGEST, axis=0), 1e-6))

    def repaint(self, tiles: np.ndarray, reference: "Stains") -> np.ndarray:
        """Tiles of these stains as if they had the reference's."""
        found = np.empty_like(tiles)
        scale = (reference.strongest / self.strongest)[:, None] * reference.colours
        for at in range(0, len(tiles), AT_ONCE):
            part = tiles[at : at + AT_ONCE]
            amounts = _amounts(_density(part.reshape(-1, 3)), self.colours)
            light = LIGHT * np.exp(-amounts @ scale)
            found[at : at + AT_ONCE] = np.clip(light, 0, 255).round().reshape(part.shape)
        return found


def repaint_sections(
    tiles: np.ndarray, sections: np.ndarray, reference: Stains | None
) -> np.ndarray:
    """All tiles in the reference's stain.

    Args:
        tiles: (spots, side, side, 3) uint8.
        sections: (spots,) whose own stains are looked for, without any of its counts.
        reference: that of the training spots; None where they have hardly any tissue.

    Returns:
        The same; sections with hardly any tissue as they are.
    """
    found = tiles.copy()
    for section in np.unique(sections) if reference else ():
        own = sections == section
        stains = Stains.fit(tiles[own])
        if stains is not None:
            found[own] = stains.repaint(tiles[own], reference)
    return found


def _density(pixels: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum(pixels.astype(np.float32), 1) / LIGHT)


def _amounts(density: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(pixels, 2) by least squares; none is below 0."""
    return np.maximum(density @ np.linalg.pinv(colours).astype(np.float32), 0)
