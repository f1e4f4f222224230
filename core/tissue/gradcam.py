"""Grad-CAM on a tile: which places of a network's last map raise a gene. Loads torch."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.tissue.body import Body, build_body
from core.tissue.fitted import FoldModel
from core.tissue.frozen import images, symmetries
from core.tissue.network import open_network
from core.tissue.spec import TissueSpec

GENES_AT_ONCE = 64


class _FromMaps(nn.Module):
    """Maps (batch, channels, rows, columns) -> (batch, genes): their means, then a linear layer."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.maps, self.weights = nn.Identity(), weights

    def forward(self, maps: Tensor) -> Tensor:
        return self.maps(maps).mean(dim=(2, 3)) @ self.weights


def map_genes(
    spec: TissueSpec, folder: Path, number: int, model: FoldModel, tile: np.ndarray, device: str
) -> np.ndarray:
    """(rows, columns, genes) of the last map: what each place adds to a gene's z score.

    Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) by captum, with its signs: each channel times
    its mean gradient. As genes are linear in the channels' means, the places of a gene add up to
    its prediction less a constant (where no feature is beyond those of training). Where the
    question takes the mean over a tile's symmetries, so does this, each map turned back.

    Args:
        spec: the question; of a network that has maps.
        folder: of its answer.
        number: of the fold.
        model: that of the fold.
        tile: (side, side, 3) uint8.
        device: where to compute.
    """
    from captum.attr import LayerGradCam

    body, weights = _open(spec, folder, number, model, len(tile))
    body = body.to(device).eval()
    linear = _FromMaps(weights.to(device))
    turned_back = LayerGradCam(linear, linear.maps)
    ways = symmetries(images(tile[None], device))
    if not (spec.symmetric or spec.train):
        ways = ways[:1]
    total = 0
    for way, image in enumerate(ways):
        with torch.no_grad():
            maps = body.maps(image).float()
        found = []
        for at in range(0, weights.shape[1], GENES_AT_ONCE):
            genes = torch.arange(at, min(at + GENES_AT_ONCE, weights.shape[1]), device=device)
            batch = maps.expand(len(genes), -1, -1, -1).requires_grad_()
            found.append(turned_back.attribute(batch, target=genes).detach())
        own = torch.cat(found)  # (genes, 1, rows, columns)
        own = own.flip(3) if way >= 4 else own
        total = total + torch.rot90(own, -(way % 4), (2, 3))
    return (total / len(ways))[:, 0].permute(1, 2, 0).cpu().numpy().astype(np.float32)


def _open(
    spec: TissueSpec, folder: Path, number: int, model: FoldModel, side: int
) -> tuple[Body, Tensor]:
    """A fold's network, and (channels, genes) its weights from features to z scores."""
    if model.line is None:
        network = open_network(spec, folder, number, side)
        return network.body, network.heads.weight[: len(model.genes)].detach().T
    weights = torch.from_numpy(model.line.weights).float()
    return build_body(spec.backbone, spec.weights, side, seed=0), weights
