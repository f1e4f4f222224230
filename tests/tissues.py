"""Files of tissue as other programs write them."""

from pathlib import Path

import numpy as np

from core.tissue.spots import Tissue


def paint(folder: Path, tissue: Tissue) -> None:
    """One image a section, of the tiles at their places, wider than high."""
    from PIL import Image

    for section in tissue.sections:
        own = tissue.spots["section"] == section
        image = np.full((200, 260, 3), 255, np.uint8)
        for (x, y), tile in zip(
            tissue.spots.loc[own, ["x", "y"]].to_numpy(int), tissue.tiles[own], strict=True
        ):
            image[y - 8 : y + 8, x - 8 : x + 8] = tile
        Image.fromarray(image).save(folder / f"slide_{section}.png")


def write_visium(folder: Path, tissue: Tissue) -> None:
    """Space Ranger's folders, one a section; the first spot of each is beside the tissue."""
    paint(folder, tissue)
    for section in tissue.sections:
        own = tissue.take((tissue.spots["section"] == section).to_numpy())
        spatial = folder / section / "spatial"
        spatial.mkdir(parents=True)
        (folder / f"slide_{section}.png").rename(spatial / "tissue_hires_image.png")
        (spatial / "scalefactors_json.json").write_text('{"tissue_hires_scalef": 0.5}')
        barcodes = [f"{'ACGT'[n % 4]}{'ACGT'[n // 4 % 4]}{'ACGT'[n // 16]}TTT-1" for n in range(20)]
        places = [
            f"{barcode},{int(n > 0)},0,{n},{2 * y:.0f},{2 * x:.0f}"
            for n, (barcode, x, y) in enumerate(
                zip(barcodes, own.spots["x"], own.spots["y"], strict=True)
            )
        ]
        head = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres"
        old = section == "S1"  # the first version has no header
        name = "tissue_positions_list.csv" if old else "tissue_positions.csv"
        (spatial / name).write_text("\n".join(places if old else [head, *places]))
        write_10x(folder / section / "filtered_feature_bc_matrix.h5", own, barcodes)


def write_10x(path: Path, tissue: Tissue, barcodes: list[str]) -> None:
    """Counts as 10x Genomics' HDF5, genes x barcodes in columns."""
    import h5py
    from scipy import sparse

    matrix = sparse.csr_array(tissue.counts.astype(np.int32))
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)
        group["shape"] = np.array(tissue.counts.T.shape)
        group["barcodes"] = np.array(barcodes, "S")
        features = group.create_group("features")
        features["id"] = features["name"] = np.array(tissue.genes, "S")
        features["feature_type"] = np.array(["Gene Expression"] * len(tissue.genes), "S")
