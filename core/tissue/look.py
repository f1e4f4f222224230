"""Asking the kept models of an answer about tiles. Loads torch where a network looks."""

from pathlib import Path

import numpy as np

from core.tissue.features import colour_features
from core.tissue.fitted import FoldModel, Look
from core.tissue.spec import TissueSpec


def looker(spec: TissueSpec, folder: Path, side: int, device: str) -> Look:
    """What asks a fold's model as the question had it look: by colour, frozen, or trained.

    Args:
        spec: the question.
        folder: of its answer.
        side: pixels a side of the tiles.
        device: where a network computes.
    """
    seen: dict[tuple[int, int], np.ndarray] = {}

    def look(number: int, model: FoldModel, tiles: np.ndarray) -> np.ndarray:
        if model.line is None:
            from core.tissue.network import open_network, predict_tiles

            network = open_network(spec, folder, number, side)
            return predict_tiles(network, tiles, device)[:, : len(model.genes)]
        if not spec.has_network:
            return model.line.apply(colour_features(tiles))
        from core.tissue.frozen import frozen_features

        key = len(tiles), hash(tiles.tobytes())
        if key not in seen:  # without another stain all folds see the same tiles
            seen.clear()
            seen[key] = frozen_features(
                tiles, spec.backbone, spec.weights, symmetric=spec.symmetric, device=device
            )
        return model.line.apply(seen[key])

    return look
