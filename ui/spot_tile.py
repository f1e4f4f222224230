"""The tile of the spot under the pointer, enlarged at once: the browser has all of a section's."""

from base64 import b64encode

import numpy as np
import pandas as pd

from core.escape import escape_all
from core.tissue.sheet import make_sheet
from ui.kept import cache_resource
from ui.parts import component

SPOT_TILE = component("spot_tile")
"""Nothing while no spot is under the pointer; then it covers what stands in the same place."""


@cache_resource(max_entries=8, show_spinner=False)
def lay_tiles(tissue: str, section: str, _tiles: np.ndarray, _names: pd.Index) -> dict:
    """The tiles of a section as the browser gets them, with its spots as its charts name them."""
    sheet = make_sheet(_tiles)
    return {
        "sheet": b64encode(sheet.jpeg).decode(), "side": sheet.side, "columns": sheet.columns,
        "spots": escape_all(_names).tolist(),
    }  # fmt: skip


def show_tile_under_pointer(
    tissue: str, section: str, tiles: np.ndarray, names: pd.Index, *, key: str
) -> None:
    """Where this is called, the tile under the pointer over the charts of a section beside it.

    Args:
        tissue: its id.
        section: of which all is.
        tiles: (spots, side, side, 3) uint8.
        names: of the spots.
        key: of the component.
    """
    SPOT_TILE(key=f"{key} under pointer", data=lay_tiles(tissue, section, tiles, names))
