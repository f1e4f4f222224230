"""Spots in containers that hold all of it: Space Ranger's folders (Visium), and h5ad files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.apart import places_apart
from core.data.formats.asking import list_parts
from core.data.notes import Notes
from core.data.read import read_dataset
from core.errors import InputError
from core.files import read_json
from core.tissue.read import (
    FEWEST_READS,
    Picture,
    are_counts,
    cut,
    find_image,
    finish,
    take_counts,
)
from core.tissue.spots import COLUMNS, Tissue

ZARR = ("zarr.json", ".zgroup", ".zattrs")
"""Files that zarr's folders have, by its versions."""
VISIUM_X, VISIUM_Y = "pxl_col_in_fullres", "pxl_row_in_fullres"
SECTIONS = ("library_id", "section", "sample", "sample_id", "library", "slide", "batch")
PATIENTS = ("patient", "patient_id", "donor", "donor_id", "subject", "individual")
"""Columns of `obs` that say it, in any case; the first one that is there."""


def read_visium(
    folders: Sequence[Path],
    *,
    width: float | None = None,
    side: int = 64,
    fewest_reads: int = FEWEST_READS,
) -> Tissue:
    """Read Space Ranger's folders, one a section, called as it; the patient isn't known from them.

    Each has `filtered_feature_bc_matrix.h5` and `spatial` with tissue_positions (either version's),
    scalefactors_json.json and tissue_hires_image.png, from which tiles are cut. Spots beside the
    tissue are left out. The other arguments, and errors, are those of `read_tissue`.
    """
    for folder in folders:
        if any((folder / name).exists() for name in ZARR):
            raise InputError(
                f"{folder.name} is a zarr folder, as SpatialData keeps it, which isn't read. Save "
                "it as h5ad with its images: `from spatialdata_io.experimental import "
                "to_legacy_anndata`, then `to_legacy_anndata(data, include_images=True)"
                ".write_h5ad('spots.h5ad')`."
            )
    notes, tables, counts = Notes(), [], []
    images: dict[str, Picture | None] = {}
    for folder in folders:
        data = read_dataset(_need(folder / "filtered_feature_bc_matrix.h5"))
        table = _read_visium_places(folder)
        table = table[table.index.isin(data.obs_names)]
        found = pd.DataFrame(data[table.index].X, data[table.index].obs_names, data.var_names)
        found.index = table.index = [f"{folder.name}_{name}" for name in table.index]
        tables.append(table)
        counts.append(found)
        images[folder.name] = Picture(_need(folder / "spatial/tissue_hires_image.png"))
    table, matrix = pd.concat(tables), pd.concat(counts, join="inner")
    if not len(matrix.columns):
        raise InputError("The sections have no gene in common. Are they of one species?")
    values = matrix.to_numpy(np.float32)
    table["reads"] = pd.concat([found.sum(axis=1) for found in counts])
    table, tiles, kept = cut(table, images, width, side, notes)
    genes = np.asarray(matrix.columns, dtype=str)
    return finish(table, genes, values[kept], tiles, fewest_reads, notes)


def read_spatial(
    path: Path,
    images: Path | None = None,
    *,
    width: float | None = None,
    side: int = 64,
    fewest_reads: int = FEWEST_READS,
) -> Tissue:
    """Read an h5ad file as squidpy and scanpy keep tissue; see `core.data.formats.spatial`.

    Counts are those of layers/counts, else of X, else of raw. The section is the library, or what
    `obs` says in the column that spatialdata calls its regions, or in one of SECTIONS; the patient
    what it says in one of PATIENTS.

    Args:
        path: the file.
        images: a folder with an image of full resolution a section, called as it, instead of the
            images of high resolution in the file.
        width: as for `read_tissue`, and so are the others, and errors.
        side: see there.
        fewest_reads: see there.
    """
    notes, found = Notes(), places_apart(path)
    parts = list_parts(path)
    part = next((name for name in ("layers/counts", "X", "raw") if name in parts), None)
    data = read_dataset(path, part=part)
    if part == "X" and "raw" in parts and not are_counts(np.asarray(data.X)):
        data = read_dataset(path, part="raw")
    scales = found["scales"]
    names = {name.lower(): name for name in data.obs.columns}
    patient, own = (
        next((names[name] for name in known if name in names), None)
        for known in (PATIENTS, SECTIONS)
    )
    own = found["regions"] if found["regions"] in data.obs.columns else own
    if own is None and len(scales) > 1:
        raise InputError(
            f"{path.name} holds {len(scales)} images ({', '.join(scales)}), and no column says "
            f"which spot is on which. Expected one of {', '.join(SECTIONS)} in obs."
        )
    table = pd.DataFrame(found["places"], pd.Index(found["spots"]), ["x", "y"])
    table = table.reindex(data.obs_names).dropna()
    data = data[table.index]
    table["section"] = next(iter(scales), path.stem) if own is None else data.obs[own].to_numpy(str)
    table["patient"] = "" if patient is None else data.obs[patient].to_numpy(str)
    matrix, genes = take_counts(data, path.name)
    table["reads"] = matrix.sum(axis=1, dtype=np.float64)
    places: dict[str, Picture | None] = {}
    for section in table["section"].unique():
        alone = len(scales) == 1 and table["section"].nunique() == 1
        library = next(iter(scales)) if alone else section
        scale = scales.get(library)
        if images is not None:
            path_ = find_image(images, section)
            places[section] = path_ and Picture(path_)
        elif scale is None:
            places[section] = None
        else:
            places[section] = Picture(path, library)
            table.loc[table["section"] == section, ["x", "y"]] *= scale
    if not any(places.values()) and images is None:
        raise InputError(
            f"{path.name} holds no image of high resolution for its spots "
            f"({', '.join(places)}). Give a folder with an image a section."
        )
    table, tiles, kept = cut(table[list(COLUMNS)], places, width, side, notes)
    return finish(table, genes, matrix[kept], tiles, fewest_reads, notes)


def _read_visium_places(folder: Path) -> pd.DataFrame:
    """Spots under tissue by their barcodes, at their places on the image of high resolution."""
    spatial = folder / "spatial"
    path = spatial / "tissue_positions.csv"
    if path.exists():
        places = pd.read_csv(path, index_col=0)
    else:
        names = ["barcode", "in_tissue", "row", "column", VISIUM_Y, VISIUM_X]
        path = _need(spatial / "tissue_positions_list.csv")
        places = pd.read_csv(path, header=None, names=names, index_col=0)
    if not {"in_tissue", VISIUM_X, VISIUM_Y} <= set(places.columns):
        raise InputError(f"{path} is no table of tissue positions as Space Ranger writes it.")
    try:
        scale = float(read_json(_need(spatial / "scalefactors_json.json"))["tissue_hires_scalef"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{spatial}/scalefactors_json.json has no tissue_hires_scalef.") from None
    places = places[places["in_tissue"] == 1]
    found = pd.DataFrame(
        {
            "section": folder.name, "patient": "", "x": places[VISIUM_X] * scale,
            "y": places[VISIUM_Y] * scale, "reads": np.nan,
        },
        index=places.index.astype(str),
    )  # fmt: skip
    return found


def _need(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path} is missing. Expected a folder as Space Ranger writes it.")
    return path
