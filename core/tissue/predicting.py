"""What an answer's models say of other sections, and where on a tile they see a gene."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.store import DatasetRecord, add_dataset
from core.errors import InputError
from core.files import UNREADABLE, read_json, write_array, write_json
from core.identity import identify
from core.tissue.features import colour_features
from core.tissue.fitted import cover, effect_of_cells, predict_expression
from core.tissue.look import looker
from core.tissue.networks import has_maps
from core.tissue.result import TissueAnswer, answer_folder, load_answer, with_version
from core.tissue.spec import TissueSpec
from core.tissue.spots import Tissue
from core.tissue.stain import repaint_sections
from core.tissue.store import get_tissue, load_tissue, say_broken, tissue_folder
from core.tissue.targets import SIZE

VALUES, ABOUT = "values.npy", "about.json"
EXPERIMENTAL = "predicted from tissue, experimental"
"""Stands in the name of every dataset that is made of predictions."""
PER_MILLION = 1_000_000 / SIZE


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was said of the spots of other sections."""

    genes: np.ndarray
    """(genes,) names."""
    values: np.ndarray
    """(spots, genes) log(1 + 10,000 count / reads)."""
    strange: float
    """Share of the tiles of which a colour feature is beyond all of the training tiles'."""

    def doubts(self) -> list[str]:
        """What speaks against it, in sentences."""
        if self.strange < 0.1:
            return []
        return [
            f"{self.strange:.0%} of these tiles have colours or textures that no training tile "
            "has: another stain, scanner or width of a tile. Don't trust what is said of them."
        ]


def prediction_folder(asked: TissueSpec, section: str) -> Path:
    """Where a prediction stands."""
    key = identify("tissue_prediction", with_version(asked))
    return tissue_folder(section) / "predictions" / key


def has_prediction(asked: TissueSpec, section: str) -> bool:
    """Whether it stands."""
    return (prediction_folder(asked, section) / ABOUT).exists()


def predict_section(asked: TissueSpec, section: str, device: str) -> None:
    """Have an answer's models look at stored tiles, and keep what they say.

    Raises InputError where the answer or the section isn't there.
    """
    answer, new = load_answer(asked), load_tissue(section)
    look = looker(asked, answer.folder, new.tiles.shape[1], device)
    genes, values = predict_expression(
        answer.models, look, new.tiles, new.spots["section"].to_numpy()
    )
    taught, shown = (colour_features(t) for t in (load_tissue(asked.tissue).tiles, new.tiles))
    beyond = (shown < taught.min(axis=0)) | (shown > taught.max(axis=0))
    folder = prediction_folder(asked, section)
    write_array(folder / VALUES, values)
    about = {"genes": genes.tolist(), "strange": float(beyond.any(axis=1).mean())}
    write_json(folder / ABOUT, about)


def load_prediction(asked: TissueSpec, section: str) -> Prediction:
    """What was said; raises InputError until it stands, DamageError where it broke."""
    folder = prediction_folder(asked, section)
    try:
        about = read_json(folder / ABOUT)
        values = np.load(folder / VALUES, allow_pickle=False)
        return Prediction(np.array(about["genes"], dtype=str), values, about["strange"])
    except FileNotFoundError:
        raise InputError("These sections have not been predicted yet.") from None
    except (*UNREADABLE, KeyError):
        raise say_broken("What was predicted of these sections") from None


class Effects(NamedTuple):
    """Where on a spot's tile a model sees its genes, in the order of the answer's places; in SD.

    NaN of genes that the fold did not choose.
    """

    covered: np.ndarray
    """(CELLS, CELLS, genes) by how much the prediction falls when a cell is covered."""
    mapped: np.ndarray | None
    """(rows, columns, genes) what each place of the network's last map adds (Grad-CAM); None where
    no network with maps looks, or its last map has a single place."""


def effects_path(asked: TissueSpec, spot: str) -> Path:
    """Where the effects of a tile's cells stand; they are written last."""
    return answer_folder(asked) / "cells" / f"{identify('spot', {'spot': spot})}.npy"


def _map_path(asked: TissueSpec, spot: str) -> Path:
    return effects_path(asked, spot).with_suffix(".map.npy")


def find_effects(asked: TissueSpec, spot: str, device: str) -> None:
    """Find and keep where a spot's tile shows its genes to the model that has not seen the spot.

    A cell is covered with the tile's mean colour (occlusion: Zeiler and Fergus 2014,
    arXiv:1311.2901).

    Raises InputError where there is no such spot.
    """
    answer, tissue = load_answer(asked), load_tissue(asked.tissue)
    if spot not in tissue.spots.index:
        raise InputError(f"There is no spot {spot!r} in this tissue.")
    row = tissue.spots.index.get_loc(spot)
    unseen = tissue.spots[asked.held_out].iloc[row]
    models = answer.models
    fold = next(n for n, model in enumerate(models) if unseen in model.left_out)
    own = np.flatnonzero(tissue.spots["section"] == tissue.spots["section"].iloc[row])
    tiles = repaint_sections(tissue.tiles[own], np.zeros(len(own)), models[fold].stains)
    tile = tiles[np.flatnonzero(own == row)[0]]
    places = answer.genes.set_index("gene")["place"].loc[models[fold].genes].to_numpy()

    def keep(path: Path, effect: np.ndarray) -> None:
        found = np.full((*effect.shape[:2], len(answer.genes)), np.nan, np.float32)
        found[..., places] = effect
        write_array(path, found)

    if asked.has_network and has_maps(asked.backbone):
        from core.tissue.gradcam import map_genes  # loads torch

        mapped = map_genes(asked, answer.folder, fold, models[fold], tile, device)
        if mapped.shape[0] > 1:
            keep(_map_path(asked, spot), mapped)
    look = looker(asked, answer.folder, len(tile), device)
    keep(effects_path(asked, spot), effect_of_cells(look(fold, models[fold], cover(tile))))


def load_effects(asked: TissueSpec, spot: str) -> Effects:
    """What `find_effects` kept; DamageError where that broke."""
    path, mapped = effects_path(asked, spot), _map_path(asked, spot)
    try:
        return Effects(
            np.load(path, allow_pickle=False),
            np.load(mapped, allow_pickle=False) if mapped.exists() else None,
        )
    except UNREADABLE:
        raise say_broken("What was seen on this spot") from None


# --- for other programs -------------------------------------------------------------------------


def answer_as_anndata(answer: TissueAnswer, tissue: Tissue) -> AnnData:
    """What was predicted of held-out spots as h5ad keeps it.

    X are the predicted z scores (spots x genes; NaN where a gene was not predicted), the layer
    `measured` the measured ones, `obsm["spatial"]` the places, `var` the table of genes.
    """
    table = answer.genes.set_index("gene")
    table = table.iloc[np.argsort(table["place"].to_numpy())].drop(columns="place")
    predicted, measured = (answer.values(what, "normalised") for what in ("predicted", "measured"))
    data = AnnData(predicted.astype(np.float32), _about(tissue), table)
    data.layers["measured"] = measured.astype(np.float32)
    return _place(data, tissue)


def prediction_as_anndata(prediction: Prediction, tissue: Tissue) -> AnnData:
    """Predicted log(1 + 10,000 count / reads) of other sections, with their places."""
    data = AnnData(prediction.values, _about(tissue), pd.DataFrame(index=prediction.genes))
    return _place(data, tissue)


def _about(tissue: Tissue) -> pd.DataFrame:
    return tissue.spots[["section", "patient"]].copy()


def _place(data: AnnData, tissue: Tissue) -> AnnData:
    data.obsm["spatial"] = tissue.spots[["x", "y"]].to_numpy(float)
    return data


def add_predicted(asked: TissueSpec, section: str, by: str) -> DatasetRecord:
    """Keep a prediction as a dataset, so that gene-images are painted and models asked of it.

    Args:
        asked: the question whose models predicted.
        section: the id of the stored spots.
        by: what a sample is: `section` (the mean over its spots) or `spot`.

    Returns:
        The dataset: log2(1 + counts per million) of the predicted genes, as most cohorts are kept.
    """
    prediction, tissue = load_prediction(asked, section), load_tissue(section)
    table = pd.DataFrame(
        PER_MILLION * np.expm1(prediction.values), tissue.spots.index, prediction.genes
    )
    about = _about(tissue)
    if by == "section":
        table = table.groupby(about["section"].to_numpy()).mean()
        about = about.drop_duplicates("section").set_index("section", drop=False)
        about = about.loc[table.index].rename_axis(None)
    about = about.loc[:, (about != "").any()].astype(object)
    values = np.log2(1 + table.to_numpy(np.float32))
    data = AnnData(values, about, pd.DataFrame(index=table.columns))
    name = get_tissue(section).name
    data.uns |= {"scale": "log2", "source": f"{name}: {EXPERIMENTAL}"}
    return add_dataset(data, f"{name} ({EXPERIMENTAL}, a {by} each)")
