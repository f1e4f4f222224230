"""h5ad files with places of spots and images of the tissue, as squidpy and scanpy keep them.

`obsm["spatial"]` holds the middles of the spots, in pixels of the image of full resolution;
`uns["spatial"][library]` an image of high resolution and its scale. Only for the process without
rights (`core.data.confined`).
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from core.data.formats.hdf5 import check_declared, open_hdf5
from core.data.formats.slides import MOST_PIXELS, Unpacked
from core.errors import InputError

PLACES, LIBRARIES = "obsm/spatial", "uns/spatial"
REGIONS = "uns/spatialdata_attrs/region_key"
IMAGE, SCALE = "images/hires", "scalefactors/tissue_hires_scalef"


def read_places(path: Path) -> dict[str, Any]:
    """The spots' places, and the scale of each library's image.

    Returns:
        `spots` their ids; `places` (spots, 2) in pixels of the image of full resolution; `scales`
        library -> pixels of its image for one of those, None where it has no image; `regions` the
        column of `obs` that says a spot's section, where spatialdata wrote the file, else None.

    Raises:
        InputError: the file holds no places.
    """
    with open_hdf5(path) as file:
        if PLACES not in file or not isinstance(file[PLACES], h5py.Dataset):
            raise InputError(
                f'{path.name} holds no places of spots. Expected obsm["spatial"] with x and y, as '
                "squidpy and scanpy keep them."
            )
        check_declared([file[PLACES]], path)
        places = np.asarray(file[PLACES][()], dtype=float)
        if places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
            raise InputError(
                f'{path.name}: obsm["spatial"] has shape {places.shape}. Expected two numbers a '
                "spot: x and y."
            )
        index = file["obs"].attrs.get("_index", "_index")
        spots = file["obs"][index].asstr()[()] if index in file["obs"] else []
        if len(spots) != len(places):
            raise InputError(
                f'{path.name}: obsm["spatial"] has {len(places)} rows, but there are {len(spots)} '
                "spots."
            )
        scales = {name: _scale(group) for name, group in file.get(LIBRARIES, {}).items()}
        key = file.get(REGIONS)
        regions = key.asstr()[()] if isinstance(key, h5py.Dataset) and key.shape == () else None
    return {
        "spots": list(map(str, spots)), "places": places.tolist(), "scales": scales,
        "regions": regions,
    }  # fmt: skip


def open_spatial_image(path: Path, library: str) -> Unpacked:
    """A library's image; raises InputError where it is none of colours."""
    with open_hdf5(path) as file:
        data = file[f"{LIBRARIES}/{library}/{IMAGE}"]
        shape = data.shape
        if len(shape) != 3 or shape[2] not in (3, 4) or shape[0] * shape[1] > MOST_PIXELS:
            raise InputError(
                f"{path.name}: the image of {library} has shape {shape}. Expected rows x columns x "
                f"3 of at most {MOST_PIXELS / 1e6:.0f} million pixels."
            )
        check_declared([data], path)
        values = data[()][..., :3]
    if values.dtype != np.uint8:
        largest = 1 if values.max(initial=0) <= 1 else 255
        values = (255 / largest * np.clip(values, 0, largest)).round().astype(np.uint8)
    return Unpacked(Image.fromarray(values))


def _scale(library: h5py.Group) -> float | None:
    if not isinstance(library, h5py.Group) or IMAGE not in library or SCALE not in library:
        return None
    return float(np.asarray(library[SCALE][()]).ravel()[0])
