"""All tiles of a section in one picture, of which a page shows the one under the pointer."""

import io
from dataclasses import dataclass

import numpy as np

MOST_SIDE, LEAST_SIDE = 96, 16
"""Pixels a side of a tile in the picture."""
BLOCK = 8
"""Pixels a side of what JPEG codes together: tiles of whole blocks do not run into each other."""
MOST_PIXELS = 8_000_000
"""Of the picture, which a browser holds with four bytes each."""
MOST_BYTES = 4_000_000
"""Of the picture as a file."""
QUALITY = 80


@dataclass(frozen=True)
class TileSheet:
    """Tiles in rows, from left to right: tile n is in row n // columns, column n % columns."""

    jpeg: bytes
    side: int
    """Pixels a side of a tile."""
    columns: int


def make_sheet(tiles: np.ndarray) -> TileSheet:
    """Tiles (spots, side, side, 3), uint8, in one picture; the more there are, the smaller each.

    Nothing is left out: tiles of LEAST_SIDE are kept also where the file is larger than MOST_BYTES
    then, which takes some ten thousand spots.
    """
    most = int((MOST_PIXELS / len(tiles)) ** 0.5) // BLOCK * BLOCK
    side = min(tiles.shape[1], MOST_SIDE, max(LEAST_SIDE, most))
    while True:
        picture = arrange(tiles, side)
        jpeg = _encode(picture)
        if len(jpeg) <= MOST_BYTES or side <= LEAST_SIDE:
            return TileSheet(jpeg, side, picture.shape[1] // side)
        side = max(LEAST_SIDE, (side - 1) // BLOCK * BLOCK)


def arrange(tiles: np.ndarray, side: int) -> np.ndarray:
    """(rows, columns, 3) uint8: tiles of so many pixels a side in about as many rows as columns."""
    from PIL import Image

    columns = int(np.ceil(len(tiles) ** 0.5))
    picture = np.full((-(-len(tiles) // columns) * side, columns * side, 3), 255, np.uint8)
    for row, first in enumerate(range(0, len(tiles), columns)):
        beside = tiles[first : first + columns]
        strip = beside.transpose(1, 0, 2, 3).reshape(tiles.shape[1], -1, 3)
        width = len(beside) * side
        small = Image.fromarray(strip).resize((width, side), Image.Resampling.BOX)
        picture[row * side : (row + 1) * side, :width] = small
    return picture


def _encode(picture: np.ndarray) -> bytes:
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(picture).save(held, "JPEG", quality=QUALITY, subsampling=0)
    return held.getvalue()
