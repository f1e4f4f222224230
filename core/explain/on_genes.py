"""Which genes decide in a network on genes, without a picture, by the methods that explain runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.errors import InputError
from core.explain.methods import METHODS, Question

if TYPE_CHECKING:
    from core.models.gene_networks import Trained

ATTRIBUTION = "integrated_gradients"
"""A name in METHODS, unless another is named."""
STEPS, BATCH = 32, 64


def attribute_network(
    trained: Trained,
    x: np.ndarray,
    targets: np.ndarray,
    known: np.ndarray,
    seed: int,
    attribution: str = ATTRIBUTION,
) -> np.ndarray:
    """(samples, genes) scores of a network's answers, from the mean of the samples `known`.

    Args:
        trained: the network.
        x: (samples, genes) as it is asked.
        targets: (samples,) which of its outputs is explained.
        known: (n, genes) samples that it learned from.
        seed: of methods that draw.
        attribution: a name in METHODS of a method that scores genes one by one.

    Raises:
        InputError: the attribution needs an image or a set.
    """
    import torch
    from torch import nn

    from core.models.gene_networks import repeatable

    record = METHODS[attribution]
    if record.unit != "gene":
        raise InputError(f"{record.title} scores regions or sets. Take a method that scores genes.")
    with repeatable(seed):
        background = trained.scale(known)
        return record.compute(
            Question(
                forward=trained.network.eval(), layer=nn.Identity(), layout=None,
                x=trained.scale(x).requires_grad_(),
                targets=torch.from_numpy(np.asarray(targets, dtype=np.int64)),
                baseline=background.mean(dim=0, keepdim=True), background=background, sets=None,
                steps=STEPS, batch_size=BATCH,
            )
        ).detach().numpy()  # fmt: skip
