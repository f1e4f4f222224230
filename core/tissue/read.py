"""Reading spots: a table of places, a matrix of counts, and tiles or whole images."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.apart import cut_apart, tiles_apart
from core.data.formats.asking import read_description
from core.data.notes import Notes
from core.data.read import read_dataset
from core.data.text import Table
from core.errors import InputError
from core.tissue.check import check_scale, check_tissue, check_turns, say_off_image
from core.tissue.spots import COLUMNS, Tissue, spacing

IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".svs", ".ndpi", ".scn", ".bif", ".czi")
FEWEST_READS = 500
"""Spots with fewer say little, and are left out by default."""
_AROUND = re.compile(r"^(align|her2)_|_(spots?|selection|positions?|align)$", re.IGNORECASE)
"""What stands around a section's name in the name of its table."""


class Picture(NamedTuple):
    """Where a section's image is."""

    path: Path
    library: str | None = None
    """Of an h5ad file, the library whose image is meant."""


def read_tissue(
    spots: Sequence[Path],
    counts: Path | None,
    tiles: Path | None = None,
    images: Path | None = None,
    *,
    width: float | None = None,
    side: int = 64,
    fewest_reads: int = FEWEST_READS,
) -> Tissue:
    """Read spots, their counts, and what the tissue looks like there.

    Args:
        spots: tables with a row a spot: columns x and y (or pixel_x and pixel_y) in pixels of the
            image, and where there are: section, patient, reads, and the ids in the first column.
            Without a column `section` a table is one section, called after its file, and its
            spots are called SECTION_XxY after their places in the array (her2st and ST's layout;
            those that are not `selected` are left out).
        counts: an expression file in any format that the app reads, with the same ids; None of
            sections whose genes shall be predicted.
        tiles: square RGB tiles in the order of the spots, as .npy or .npz; or
        images: a folder with an image a section, called as it: SECTION.jpg, .png or .tif.
        width: of a tile cut from an image, in its pixels; by default the distance between
            neighbouring spots.
        side: pixels a side that cut tiles are brought to.
        fewest_reads: spots with fewer are left out.

    Raises:
        InputError: with what is wrong, where, and what to change.
    """
    if (tiles is None) == (images is None):
        raise InputError("Give either ready tiles or a folder of images, not both.")
    notes = Notes()
    table = pd.concat([_read_places(path, notes) for path in spots])
    if (again := table.index.duplicated()).any():
        raise InputError(f"Two spots are called {table.index[again][0]!r}. Ids have to be unique.")
    ready = None
    if tiles is not None:
        ready = tiles_apart(tiles)
        if len(ready) != len(table):
            raise InputError(
                f"{tiles.name} holds {len(ready):,} tiles, the table of spots has {len(table):,} "
                "rows. Tiles have to stand in the order of the spots, one each."
            )
    if counts is None:
        matrix, genes, known = np.zeros((len(table), 0)), np.array([], str), np.arange(len(table))
        table["reads"] = 0.0
        notes.say("There are no counts: genes can be predicted here, and not learned.")
    else:
        table, matrix, genes, known = _join_counts(table, counts, notes)
    if ready is not None:
        ready = ready[known]
    else:
        found = {name: find_image(images, name) for name in table["section"].unique()}
        found = {name: at and Picture(at) for name, at in found.items()}
        table, ready, kept = cut(table, found, width, side, notes)
        matrix = matrix[kept]
    return finish(table, genes, matrix, ready, fewest_reads, notes)


def finish(
    table: pd.DataFrame, genes: np.ndarray, matrix: np.ndarray, ready: np.ndarray,
    fewest_reads: int, notes: Notes,
) -> Tissue:  # fmt: skip
    """Leave out spots of few reads, and look at the others."""
    enough = (table["reads"] >= fewest_reads).to_numpy() | (not len(genes))
    if not enough.all():
        notes.warn(
            "few_reads",
            f"{(~enough).sum():,} of {len(enough):,} spots have fewer than {fewest_reads} reads "
            "and are left out.",
        )
    if enough.sum() < 3:
        raise InputError(
            f"Only {enough.sum()} spots have {fewest_reads} reads or more: there is nothing to "
            "learn from. Are these counts?"
        )
    tissue = Tissue(table[enough], genes, matrix[enough], ready[enough], notes)
    notes.found.extend(check_tissue(tissue))
    return tissue


def _read_places(path: Path, notes: Notes) -> pd.DataFrame:
    """A table of spots by their ids, with the columns COLUMNS; reads are NaN where unknown."""
    table = read_description(path)
    names = [name.strip().lower() for name in table.names]

    def texts(*wanted: str) -> np.ndarray | None:
        place = next((names.index(name) for name in wanted if name in names), None)
        return None if place is None else table.texts(place)

    x, y = texts("pixel_x", "x"), texts("pixel_y", "y")
    if x is None or y is None:
        raise InputError(
            f"{path.name} has no columns x and y. Its columns: {', '.join(table.names[:10])}."
        )
    section, patient, reads = texts("section"), texts("patient"), texts("reads", "total")
    index = table.texts(0)
    if section is None:
        name = _AROUND.sub("", _AROUND.sub("", path.stem))
        section = np.full(table.rows, name, dtype=object)
        at = (texts("x"), texts("y"))
        index = np.array([f"{name}_{a}x{b}" for a, b in zip(*at, strict=True)], dtype=object)
        notes.say(f"{path.name} is taken for section {name}.")
    found = pd.DataFrame(
        {
            "section": section,
            "patient": "" if patient is None else patient,
            "x": _numbers(x, "x", table),
            "y": _numbers(y, "y", table),
            "reads": np.nan if reads is None else _numbers(reads, "reads", table),
        },
        index=index,
    )[list(COLUMNS)]
    chosen = texts("selected")
    return found if chosen is None else found[chosen != "0"]


def _numbers(texts: np.ndarray, name: str, table: Table) -> np.ndarray:
    values = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(float)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(
            f"{table.source}, line {table.line(row)}: {name} is {texts[row]!r}, which is no number."
        )
    return values


def _join_counts(
    table: pd.DataFrame, path: Path, notes: Notes
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Spots that have counts, these (spots, genes), the genes, and positions in the table."""
    data = read_dataset(path)
    place = pd.Index(data.obs_names).get_indexer(table.index)
    if not (place >= 0).any():
        raise InputError(
            f"No spot of the table stands in {path.name}: it calls them {data.obs_names[0]!r}, the "
            f"table {table.index[0]!r}. Ids have to be the same."
        )
    known = np.flatnonzero(place >= 0)
    if len(known) < len(table):
        notes.warn(
            "no_counts",
            f"{len(table) - len(known):,} of {len(table):,} spots have no counts in {path.name} "
            "and are left out.",
        )
    matrix, genes = take_counts(data[place[known]], path.name)
    table = table.iloc[known].copy()
    table["reads"] = table["reads"].fillna(pd.Series(matrix.sum(axis=1), index=table.index))
    return table, matrix, genes, known


def take_counts(data: AnnData, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Counts (spots, genes) and the genes that have one in each spot."""
    matrix = np.asarray(data.X, dtype=np.float32)
    missing = np.isnan(matrix).any(axis=0)
    matrix = matrix[:, ~missing]
    if not are_counts(matrix):
        raise InputError(
            f"{name} holds no counts (0, 1, 2, …), but other values. Histology is learned "
            "from counts, because the number of reads in a spot has to be known."
        )
    return matrix, np.asarray(data.var_names)[~missing].astype(str)


def are_counts(matrix: np.ndarray) -> bool:
    """Whether no number is below 0 or, in the first 50 rows, anything but whole."""
    return not (matrix < 0).any() and np.array_equal(matrix[:50], matrix[:50].round())


def cut(
    table: pd.DataFrame,
    images: Mapping[str, Picture | None],
    width: float | None,
    side: int,
    notes: Notes,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Spots that are on their section's image, their tiles, and a mask of the table's rows."""
    found, kept = np.empty((len(table), side, side, 3), np.uint8), np.zeros(len(table), bool)
    for section in sorted(table["section"].unique()):
        own = (table["section"] == section).to_numpy()
        picture = images[section]
        if picture is None:
            notes.warn(
                "no_image",
                f"There is no image of section {section}; its {own.sum()} spots are left out.",
            )
            continue
        places = table.loc[own, ["x", "y"]].to_numpy(float)
        pixels = width or spacing(places)
        tiles, dark, size = cut_apart(picture.path, places, pixels, side, picture.library)
        outside = np.isnan(dark[0])
        if outside.mean() > 0.5:
            raise InputError(say_off_image(section, picture.path.name, np.isnan(dark)))
        if outside.any():
            notes.warn(
                "off_image",
                f"{outside.sum()} of {len(places)} spots of section {section} reach out of the "
                "image and are left out.",
            )
        notes.found.extend(check_turns(section, dark, table.loc[own, "reads"].to_numpy(float)))
        notes.found.extend(check_scale(section, places, size))
        notes.say(f"Section {section}: tiles of {pixels:.0f} pixels of {picture.path.name}.")
        found[own], kept[own] = tiles, ~outside
    if not kept.any():
        raise InputError(
            f"No section has an image. Images are called as their sections: {section}.jpg."
        )
    return table[kept], found[kept], kept


def find_image(folder: Path, section: str) -> Path | None:
    """The image in a folder that is called as a section, or ends with _SECTION."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder. Name the one that holds the sections' images.")
    for path in sorted(folder.iterdir()):
        stem = path.stem
        if path.suffix.lower() in IMAGES and (stem == section or stem.endswith(f"_{section}")):
            return path
    return None
