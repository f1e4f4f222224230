"""Whole images of tissue, of which regions are taken; large ones are never unpacked as a whole.

Only for the process without rights (`core.data.confined`): image libraries are written in C.
"""

import math
from pathlib import Path
from typing import Protocol

import numpy as np
from openslide import OpenSlide, OpenSlideError
from PIL import Image

from core.errors import InputError

MOST_PIXELS = 500_000_000
"""Of an image that has to be unpacked as a whole: 1.5 GB."""
KINDS = ("JPEG", "PNG", "TIFF")
SLIDES = ("aperio", "generic-tiff", "leica", "philips-tiff", "trestle", "ventana", "zeiss")
"""What OpenSlide calls scanners whose slide is a single file. Of Hamamatsu's only NDPI is one;
MIRAX and DICOM take other files, which the confined process may not open."""
Box = tuple[float, float, float, float]
"""Left, top, right and lower edge in pixels."""


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


class Slide:
    """An image of a slide scanner or a tiled TIFF, of which OpenSlide unpacks regions.

    Of a pyramid the level is taken whose pixels are just finer than those that are asked for.
    """

    def __init__(self, slide: OpenSlide, path: Path) -> None:
        self.slide, self.path, self.size = slide, path, slide.dimensions

    def take(self, box: Box, side: int) -> np.ndarray:
        """The box, white where nothing was scanned."""
        level = self.slide.get_best_level_for_downsample(max((box[2] - box[0]) / side, 1))
        scale = self.slide.level_downsamples[level]
        left, top = int(box[0]), int(box[1])
        size = (math.ceil((box[2] - left) / scale), math.ceil((box[3] - top) / scale))
        try:
            found = self.slide.read_region((left, top), level, size)
        except OpenSlideError as error:
            raise InputError(f"{self.path.name} is damaged: {error}.") from None
        region = Image.new("RGB", found.size, "white")
        region.paste(found, mask=found.getchannel("A"))
        inside = [
            min(max((edge - start) / scale, 0), most)
            for edge, start, most in zip(box, (left, top) * 2, size * 2, strict=True)
        ]
        return Unpacked(region).take(tuple(inside), side)


def open_picture(path: Path) -> Picture:
    """An image of tissue; raises InputError for what is none, or too large.

    Tiled TIFFs and slides of scanners, in a single file, may be of any size.
    """
    vendor = OpenSlide.detect_format(path)
    if vendor in SLIDES or (vendor == "hamamatsu" and path.suffix.lower() == ".ndpi"):
        try:
            return Slide(OpenSlide(path), path)
        except OpenSlideError as error:
            raise InputError(
                f"{path.name} is damaged, or of a kind that OpenSlide doesn't read ({error}). Save "
                "it as a tiled TIFF by the scanner's own program."
            ) from None
    Image.MAX_IMAGE_PIXELS = None  # the size is looked at below, before anything is unpacked
    try:
        image = Image.open(path, formats=KINDS)
    except OSError:
        raise _refuse(path) from None
    columns, rows = image.size
    if columns * rows > MOST_PIXELS:
        raise InputError(
            f"{path.name} has {columns:,} x {rows:,} pixels; at most {MOST_PIXELS / 1e6:.0f} "
            "million are read as a whole. Save it as a tiled TIFF, of which only the regions of "
            "the spots are read: `vips tiffsave IMAGE slide.tif --tile --pyramid --bigtiff "
            "--compression jpeg`."
        )
    try:
        return Unpacked(image.convert("RGB"))
    except OSError:
        raise _refuse(path) from None


def _refuse(path: Path) -> InputError:
    return InputError(
        f"{path.name} is no image that can be read. Expected JPEG, PNG, TIFF or a slide in one "
        "file (SVS, NDPI, SCN, BIF, CZI)."
    )
