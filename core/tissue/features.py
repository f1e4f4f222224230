"""Fourteen numbers a tile that any image program could give: colour, stain, texture."""

import numpy as np

NAMES = (
    "red", "green", "blue", "SD of red", "SD of green", "SD of blue", "haematoxylin", "eosin",
    "SD of haematoxylin", "SD of eosin", "white", "nuclei", "fine texture", "coarse texture",
)  # fmt: skip
STAINS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
"""Optical density of haematoxylin, eosin and a rest in red, green and blue (Ruifrok and Johnston
2001, "Quantification of histochemical staining by color deconvolution")."""
WHITE = 0.85
"""Brightness from which a pixel shows no tissue."""
NUCLEUS = 0.3
"""Density of haematoxylin above which a pixel is taken for a nucleus."""
AT_ONCE = 256


def colour_features(tiles: np.ndarray) -> np.ndarray:
    """(tiles, NAMES) float32 of (tiles, side, side, 3) uint8."""
    parts = [_measure(tiles[at : at + AT_ONCE]) for at in range(0, len(tiles), AT_ONCE)]
    return np.concatenate(parts).astype(np.float32)


def _measure(tiles: np.ndarray) -> np.ndarray:
    unit = tiles.astype(np.float32) / 255
    density = -np.log10(np.maximum(unit, 1 / 255))
    stains = density @ np.linalg.inv(STAINS).astype(np.float32)
    grey = unit.mean(axis=3)
    half = grey.shape[1] // 2 * 2
    coarse = grey[:, :half, :half].reshape(len(grey), half // 2, 2, half // 2, 2).mean(axis=(2, 4))
    pixels = (1, 2)
    return np.column_stack(
        [
            unit.mean(axis=pixels),
            unit.std(axis=pixels),
            stains[..., :2].mean(axis=pixels),
            stains[..., :2].std(axis=pixels),
            (grey > WHITE).mean(axis=pixels),
            (stains[..., 0] > NUCLEUS).mean(axis=pixels),
            _roughness(grey),
            _roughness(coarse),
        ]
    )


def _roughness(grey: np.ndarray) -> np.ndarray:
    """Mean difference between neighbouring pixels."""
    across = np.abs(np.diff(grey, axis=2)).mean(axis=(1, 2))
    return across + np.abs(np.diff(grey, axis=1)).mean(axis=(1, 2))
