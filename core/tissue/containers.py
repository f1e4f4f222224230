"""Spots in containers that hold all of it: Space Ranger's folders (Visium), and h5ad files."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from core.data.apart import places_apart, unpack_apart
from core.data.formats.asking import ARCHIVES, detect_format, list_parts
from core.data.notes import Notes
from core.data.read import read_dataset
from core.errors import InputError
from core.files import read_json
from core.scratch import scratch
from core.tissue.read import (
    FEWEST_READS,
    Picture,
    are_counts,
    cut,
    find_image,
    finish,
    read_tissue,
    take_counts,
)
from core.tissue.spots import COLUMNS, Tissue

ZARR = ("zarr.json", ".zgroup", ".zattrs")
"""Files that zarr's folders have, by its versions."""
MATRIX, RAW = "filtered_feature_bc_matrix.h5", "raw_feature_bc_matrix.h5"
"""Counts of the spots under tissue, and of all spots."""
PLACES, OLD_PLACES = "tissue_positions.csv", "tissue_positions_list.csv"
HD_PLACES = "tissue_positions.parquet"
SCALES, IMAGE = "scalefactors_json.json", "tissue_hires_image.png"
SPATIAL = (PLACES, OLD_PLACES, HD_PLACES, SCALES, IMAGE)
"""What Space Ranger's folder `spatial` holds; the matrix lies beside that folder."""
PARTS = (MATRIX, RAW, *SPATIAL)
UNUSED = (
    "tissue_lowres_image.png", "aligned_fiducials.jpg", "aligned_tissue_image.jpg",
    "detected_tissue_image.jpg", "cytassist_image.tiff", "spatial_enrichment.csv",
    "barcode_fluorescence_intensity.csv",
)  # fmt: skip
"""What else lies in that folder, and is passed over."""
_PACKED = re.compile(r"(?<!\.csv)(?<!\.tsv)(?<!\.txt)\.(zip|tar|tgz|tar\.\w+)$", re.IGNORECASE)
_NAMELESS = re.compile(r"(^|[ ._-])(spatial|outs)$", re.IGNORECASE)
"""Names of folders, or ends of them, that name no section."""
VISIUM_X, VISIUM_Y = "pxl_col_in_fullres", "pxl_row_in_fullres"
SECTIONS = ("library_id", "section", "sample", "sample_id", "library", "slide", "batch")
PATIENTS = ("patient", "patient_id", "donor", "donor_id", "subject", "individual")
"""Columns of `obs` that say it, in any case; the first one that is there."""


def read_any_tissue(
    paths: Sequence[Path],
    counts: Path | None = None,
    tiles: Path | None = None,
    images: Path | None = None,
    **how: Any,
) -> Tissue:
    """Read spots in any form: tables, an h5ad file, or Visium sections as folders or files.

    Args:
        paths: what `read_tissue`, `read_spatial`, `read_visium` or `unpack_visium` takes.
        counts: of tables alone.
        tiles: of tables alone.
        images: a folder with an image a section.
        how: as for these, and so are errors.
    """
    if all(path.is_dir() for path in paths):
        return read_visium(paths, images, **how)
    if [path.suffix for path in paths] == [".h5ad"]:
        return read_spatial(paths[0], images, **how)
    if any(is_visium(path.name) for path in paths):
        with scratch() as folder:
            return read_visium(unpack_visium(paths, folder), images, **how)
    return read_tissue(paths, counts, tiles, images, **how)


def is_visium(name: str) -> bool:
    """Whether a file's name is that of one of Space Ranger's, or of an archive."""
    return bool(_PACKED.search(name)) or name.endswith((*PARTS, *UNUSED))


def unpack_visium(files: Sequence[Path], folder: Path) -> list[Path]:
    """Space Ranger's files, loose or in archives, as its folders, as `read_visium` takes them.

    A section is called after what stands before its file's name, as 10x Genomics hands files out
    (NAME_filtered_feature_bc_matrix.h5, NAME_spatial.tar.gz), else after the folder in the archive
    that its files lie in, `outs` and `spatial` aside, else after the archive. Files without any
    name belong to the only section that there is.

    Args:
        files: their names are those of `is_visium`.
        folder: where archives are unpacked, and the folders made.

    Raises:
        InputError: none of these files is there, one isn't one of them, is there twice, or
            can't be told to be of a section; or an archive is damaged.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in [path for path in files if not path.name.endswith(UNUSED)] or files:
        packed = detect_format(path) in ARCHIVES
        patterns = [f"*{name}" for name in PARTS]
        members = unpack_apart(path, patterns, folder) if packed else {path.name: path}
        if not members:
            raise InputError(
                f"{path.name} holds no file as Space Ranger writes it, such as {MATRIX} and "
                f"spatial/{IMAGE}."
            )
        around = _PACKED.sub("", path.name) if packed else ""
        for member, place in members.items():
            section, kind = _name_member(PurePosixPath(member), around)
            own = found.setdefault(section, {})
            if kind in own:
                raise InputError(
                    f"{kind} is there twice. Pack each section's folder under a name of its own."
                )
            own[kind] = place
    nameless = found.pop("", {})
    if nameless and len(found) > 1:
        raise InputError(
            f"Which section is {next(iter(nameless))} of? There are {', '.join(sorted(found))}. "
            "Put its name before the file's, or pack each section's folder."
        )
    [*only] = found or ("section",)
    for kind, place in nameless.items():
        if found.setdefault(only[0], {}).setdefault(kind, place) != place:
            raise InputError(f"{kind} is there twice. Pack each section's folder by itself.")
    for section, parts in found.items():
        for kind, place in parts.items():
            own = folder / "sections" / section / ("spatial" if kind in SPATIAL else "") / kind
            own.parent.mkdir(parents=True, exist_ok=True)
            own.symlink_to(place.absolute())
    return [folder / "sections" / section for section in sorted(found)]


def _name_member(member: PurePosixPath, around: str) -> tuple[str, str]:
    """The section of one of Space Ranger's files, empty where nothing names it; and which it is."""
    kind = next((name for name in PARTS if member.name.endswith(name)), None)
    if kind is None:
        raise InputError(
            f"{member.name} is none of the files that are read here. Expected Space Ranger's "
            f"{MATRIX}, {PLACES}, {SCALES} and {IMAGE}, or an archive of them."
        )
    before = member.name.removesuffix(kind).rstrip(" ._-")
    for name in (before, *reversed(member.parts[:-1]), around):
        if words := re.sub(r"[^\w .+-]", "_", _NAMELESS.sub("", name)).strip(" ._-"):
            return words[:80], kind
    return "", kind


def read_visium(
    folders: Sequence[Path],
    images: Path | None = None,
    *,
    width: float | None = None,
    side: int = 64,
    fewest_reads: int = FEWEST_READS,
) -> Tissue:
    """Read Space Ranger's folders, one a section, called as it; the patient isn't known from them.

    Each has `filtered_feature_bc_matrix.h5` (or the raw one) and `spatial` with tissue_positions
    (either version's), scalefactors_json.json and tissue_hires_image.png, from which tiles are cut.
    Spots beside the tissue are left out.

    Args:
        folders: of the sections.
        images: a folder with an image of full resolution a section, called as it, instead of those
            of high resolution.
        width: as for `read_tissue`, and so are the others, and errors.
        side: see there.
        fewest_reads: see there.
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
    pictures: dict[str, Picture | None] = {}
    for folder in folders:
        whole = (folder / RAW).exists() and not (folder / MATRIX).exists()
        data = read_dataset(_need(folder, RAW if whole else MATRIX))
        table = _read_visium_places(folder, scaled=images is None)
        table = table[table.index.isin(data.obs_names)]
        if table.empty:
            raise InputError(
                f"No spot under tissue of section {folder.name} has counts in its matrix. Are "
                "these files of one section?"
            )
        data = data[table.index]
        table = table.assign(reads=data.X.sum(axis=1, dtype=np.float64))
        table.index = [f"{folder.name}_{name}" for name in table.index]
        tables.append(table)
        counts.append(data)
        if images is None:
            pictures[folder.name] = Picture(_need(folder, f"spatial/{IMAGE}"))
        else:
            path = find_image(images, folder.name)
            pictures[folder.name] = path and Picture(path)
    table, shared = pd.concat(tables), counts[0].var_names
    for data in counts[1:]:
        shared = shared.intersection(data.var_names, sort=False)
    if not len(shared):
        raise InputError("The sections have no gene in common. Are they of one species?")
    values = np.concatenate([np.asarray(data[:, shared].X, np.float32) for data in counts])
    table, tiles, kept = cut(table, pictures, width, side, notes)
    genes = np.asarray(shared, dtype=str)
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


def _read_visium_places(folder: Path, scaled: bool) -> pd.DataFrame:
    """Spots under tissue by their barcodes, in pixels of the image of full resolution.

    Or, where that is asked for, of the image of high resolution, by the folder's own scale.
    """
    if (folder / "spatial" / HD_PLACES).exists():
        raise InputError(
            f"Section {folder.name} is Visium HD ({HD_PLACES}), which isn't read: its bins are "
            "much smaller than a spot. Expected a section of Visium's spots."
        )
    old = (folder / "spatial" / OLD_PLACES).exists()
    path = _need(folder, f"spatial/{OLD_PLACES if old else PLACES}")
    names = ["barcode", "in_tissue", "array_row", "array_col", VISIUM_Y, VISIUM_X]
    try:
        read = pd.read_csv(path, index_col=0, **({"header": None, "names": names} if old else {}))
        wanted = read[["in_tissue", VISIUM_X, VISIUM_Y]].astype(float).dropna()
    except (ValueError, KeyError):  # ParserError and UnicodeDecodeError are ValueErrors
        raise InputError(
            f"{path.name} of {folder.name} is no table of tissue positions as Space Ranger writes "
            f"it: {', '.join(names)}."
        ) from None
    scale = 1.0
    if scaled:
        try:
            scale = float(read_json(_need(folder, f"spatial/{SCALES}"))["tissue_hires_scalef"])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{SCALES} of {folder.name} has no tissue_hires_scalef.") from None
    places = wanted[wanted["in_tissue"] == 1]
    return pd.DataFrame(
        {
            "section": folder.name, "patient": "", "x": places[VISIUM_X] * scale,
            "y": places[VISIUM_Y] * scale, "reads": np.nan,
        },
        index=places.index.astype(str),
    )  # fmt: skip


def _need(folder: Path, part: str) -> Path:
    if not (folder / part).is_file():
        raise InputError(
            f"{part} of section {folder.name} is missing. As Space Ranger writes it, a section has "
            f"{MATRIX}, and in spatial {PLACES} (or {OLD_PLACES}), {SCALES} and {IMAGE}."
        )
    return folder / part
