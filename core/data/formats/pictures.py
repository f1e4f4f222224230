"""Pictures of tissue: tiles around places of a whole image, or tiles that are ready.

Only for the process without rights (`core.data.confined`): image libraries are written in C.
"""

from pathlib import Path

import numpy as np

from core.data.formats.slides import open_picture
from core.data.formats.spatial import open_spatial_image
from core.errors import InputError

MOST_TILES = 2_000_000_000
"""Bytes of all tiles together."""
TURNS = ("as given", "x and y swapped", "x mirrored", "y mirrored")
"""Ways in which coordinates may be meant."""


def read_tiles(path: Path) -> np.ndarray:
    """(tiles, side, side, 3) uint8 of an .npy file, or of the one array of an .npz file.

    Raises InputError for anything else; nothing is unpickled.
    """
    loaded = np.load(path, allow_pickle=False, mmap_mode="r")
    if isinstance(loaded, np.lib.npyio.NpzFile):
        if len(loaded.files) != 1:
            raise InputError(
                f"{path.name} holds {len(loaded.files)} arrays. Expected one, the tiles."
            )
        loaded = loaded[loaded.files[0]]
    shape = loaded.shape
    if loaded.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
        raise InputError(
            f"{path.name} holds {loaded.dtype} of shape {shape}. Expected square RGB tiles: uint8 "
            "of shape (spots, side, side, 3)."
        )
    if loaded.nbytes > MOST_TILES:
        raise InputError(
            f"The tiles of {path.name} are {loaded.nbytes / 1e9:.1f} GB, at most "
            f"{MOST_TILES / 1e9:.0f} GB are read. Make them smaller, for example 64 pixels a side."
        )
    return np.ascontiguousarray(loaded)


def cut_tiles(
    path: Path, part: str | None, places: np.ndarray, width: float, side: int
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Tiles around places of a whole image, how dark it is there, and how large it is.

    Args:
        path: a JPEG, PNG or TIFF image, or an h5ad file.
        part: of an h5ad file, the library whose image is cut.
        places: (n, 2) the middles, x to the right and y downwards, in pixels.
        width: of a tile, in pixels of the image.
        side: pixels a side that tiles are brought to.

    Returns:
        (n, side, side, 3) uint8 tiles, white where they reach out of the image; (TURNS, n) mean
        darkness, 0 for white to 1 for black, at the places that each way of reading the
        coordinates gives, NaN where that is outside; the image's columns and rows.
    """
    picture = open_spatial_image(path, part) if part else open_picture(path)
    columns, rows = picture.size
    tiles = np.full((len(places), side, side, 3), 255, np.uint8)
    dark = np.full((len(TURNS), len(places)), np.nan)
    for number, (x, y) in enumerate(places):
        turned = ((x, y), (y, x), (columns - x, y), (x, rows - y))
        for turn, (at, down) in enumerate(turned):
            box = (at - width / 2, down - width / 2, at + width / 2, down + width / 2)
            if box[0] < 0 or box[1] < 0 or box[2] > columns or box[3] > rows:
                continue
            values = picture.take(box, side if turn == 0 else 4)
            dark[turn, number] = 1 - values.mean() / 255
            if turn == 0:
                tiles[number] = values
    return tiles, dark, (columns, rows)


def read_whole(path: Path, side: int) -> np.ndarray:
    """(side, side, 3) uint8, the whole of a JPEG, PNG or TIFF image, brought to a square."""
    picture = open_picture(path)
    return picture.take((0, 0, *picture.size), side)
