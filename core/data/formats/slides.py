"""Whole images of tissue, of which regions are taken; large ones are never unpacked as a whole.

Only for the process without rights (`core.data.confined`): image libraries are written in C.
"""

import io
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from core.errors import InputError

MOST_PIXELS = 500_000_000
"""Of an image that has to be unpacked as a whole: 1.5 GB."""
MOST_BLOCK = 64_000_000
"""Pixels of a block of a large image."""
KEPT = 48
"""Blocks that are kept unpacked: neighbouring spots lie on the same ones."""
KINDS = ("JPEG", "PNG", "TIFF")
Box = tuple[float, float, float, float]
"""Left, top, right and lower edge in pixels."""
_WIDTH, _HEIGHT, _BITS, _PACKING, _COLOURS = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANES = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_KEPT = (_BITS, _PACKING, _COLOURS, _SAMPLES, _PLANES, 317, 338, 347, 530, 532)
"""Tags of TIFF 6.0 that say how a block is packed and coloured, as its image's do."""


class Picture(Protocol):
    """An image of which regions are taken."""

    size: tuple[int, int]
    """Columns and rows."""

    def take(self, box: Box, side: int) -> np.ndarray:
        """(side, side, 3) uint8: the mean colours of a box within the image."""


class Unpacked:
    """An image that is in memory."""

    def __init__(self, image: Image.Image) -> None:
        self.image, self.size = image, image.size

    def take(self, box: Box, side: int) -> np.ndarray:
        """The box, made smaller or larger."""
        return np.asarray(self.image.resize((side, side), Image.Resampling.BOX, box))


class Blocks:
    """A TIFF in tiles or strips, of which only those are unpacked that a box lies on.

    Each is unpacked as a small TIFF of its own, so that every packing is known that Pillow knows.
    Of a pyramid the first image is taken, which is the finest.
    """

    def __init__(self, image: TiffImagePlugin.TiffImageFile, path: Path) -> None:
        self.size, self.path, self.tags = image.size, path, image.tag_v2
        self.prefix = self.tags.prefix
        tiled = _TILES in self.tags
        places, sizes = (_TILES, _TILE_BYTES) if tiled else (_STRIPS, _STRIP_BYTES)
        self.places, self.bytes = self.tags[places], self.tags[sizes]
        columns, rows = self.size
        self.block = (
            (self.tags[_TILE_WIDTH], self.tags[_TILE_HEIGHT])
            if tiled
            else (columns, min(self.tags.get(_STRIP_ROWS, rows), rows))
        )
        self.across = -(-columns // self.block[0])
        down = -(-rows // self.block[1])
        if len(self.places) != self.across * down or len(self.bytes) != len(self.places):
            raise _refuse(path, "announces other blocks than it has")
        if self.block[0] * self.block[1] > MOST_BLOCK:
            raise InputError(
                f"{path.name} has {columns:,} x {rows:,} pixels in blocks of {self.block[0]:,} x "
                f"{self.block[1]:,}, which are too large to be unpacked. Save it as a tiled TIFF."
            )
        self.unpack = lru_cache(KEPT)(self._unpack)

    def take(self, box: Box, side: int) -> np.ndarray:
        """The box, put together from its blocks."""
        left, top = int(box[0]), int(box[1])
        right, low = min(-int(-box[2] // 1), self.size[0]), min(-int(-box[3] // 1), self.size[1])
        wide, high = self.block
        region = Image.new("RGB", (right - left, low - top))
        for row in range(top // high, -(-low // high)):
            for column in range(left // wide, -(-right // wide)):
                block = self.unpack(row * self.across + column)
                region.paste(block, (column * wide - left, row * high - top))
        inside = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
        return Unpacked(region).take(inside, side)

    def _unpack(self, number: int) -> Image.Image:
        wide, high = self.block
        if _TILES not in self.tags:  # the last strip may be lower
            high = min(high, self.size[1] - number * high)
        tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=self.prefix)
        for tag in _KEPT:
            if tag in self.tags:
                tags.tagtype[tag] = self.tags.tagtype[tag]
                tags[tag] = self.tags[tag]
        tags[_WIDTH], tags[_HEIGHT], tags[_STRIP_ROWS] = wide, high, high
        tags[_STRIP_BYTES], tags[_STRIPS] = self.bytes[number], 0  # right behind the tags
        small = io.BytesIO()
        tags.save(small)
        with self.path.open("rb") as file:
            file.seek(self.places[number])
            small.write(file.read(self.bytes[number]))
        small.seek(0)
        try:
            return Image.open(small, formats=("TIFF",)).convert("RGB")
        except (OSError, ValueError, UnidentifiedImageError):
            raise _refuse(self.path, "is packed in a way that isn't known, or damaged") from None


def open_picture(path: Path) -> Picture:
    """An image of tissue; raises InputError for what is none, or too large.

    Tiled TIFFs, as slide scanners write them, may be of any size.
    """
    Image.MAX_IMAGE_PIXELS = None  # the size is looked at below, before anything is unpacked
    try:
        image = Image.open(path, formats=KINDS)
    except OSError:
        raise _refuse(path, "is no image that can be read") from None
    columns, rows = image.size
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = image.tag_v2
        plain = set(_as_tuple(tags.get(_BITS, 1))) == {8} and tags.get(_PLANES, 1) == 1
        if plain and (_TILES in tags or (_STRIPS in tags and columns * rows > MOST_PIXELS)):
            return Blocks(image, path)
    if columns * rows > MOST_PIXELS:
        raise InputError(
            f"{path.name} has {columns:,} x {rows:,} pixels; at most {MOST_PIXELS / 1e6:.0f} "
            "million are read as a whole. Save it as a tiled TIFF of 8 bits, of which only the "
            "regions of the spots are read."
        )
    try:
        return Unpacked(image.convert("RGB"))
    except OSError:
        raise _refuse(path, "is no image that can be read") from None


def _as_tuple(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _refuse(path: Path, why: str) -> InputError:
    return InputError(f"{path.name} {why}. Expected JPEG, PNG or TIFF.")
