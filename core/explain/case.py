"""One question to a trained network with all that answering takes, to be asked in variations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from core.explain.attribution import Attribution, attribute, score_classes

if TYPE_CHECKING:
    import torch

    from core.images.imager import GeneImager
    from core.models.network import GeneImageNetwork


@dataclass(frozen=True)
class Case:
    """A network, samples, and how they are explained."""

    method: str
    network: GeneImageNetwork
    untrained: GeneImageNetwork
    """The same architecture with random weights"""
    imager: GeneImager
    x: np.ndarray
    """(samples, genes) prepared expression"""
    targets: np.ndarray
    """(samples,) class numbers"""
    baseline: np.ndarray
    """(samples, genes)"""
    background: np.ndarray
    """(any number, genes) training samples"""
    device: torch.device | str
    against: np.ndarray | None = None
    """(samples,) class numbers"""
    stage: str | None = None
    sets: np.ndarray | None = None
    """(sets, genes) which genes each set holds"""
    set_names: Sequence[str] = ()
    steps: int = 32
    batch_size: int = 64

    def explain(self, progress: Callable[[int, int], None] | None = None) -> Attribution:
        """Attribute the samples; `progress` is called with samples done and samples in all."""
        return attribute(
            self.method, self.network, self.imager, self.x, self.targets, self.baseline,
            device=self.device, against=self.against, background=self.background,
            stage=self.stage, sets=self.sets, steps=self.steps, batch_size=self.batch_size,
            progress=progress,
        )  # fmt: skip

    def rows(self, rows: np.ndarray, x: np.ndarray) -> Case:
        """The same question about other expression `x`, each row that of the sample numbered."""
        against = None if self.against is None else self.against[rows]
        return replace(
            self, x=x, targets=self.targets[rows], baseline=self.baseline[rows], against=against
        )

    def class_scores(self, rows: np.ndarray, x: np.ndarray) -> np.ndarray:
        """(rows,) target scores of expression `x`, each row that of the sample numbered."""
        return score_classes(
            self.network, self.imager, x, self.targets[rows],
            None if self.against is None else self.against[rows],
            device=self.device, batch_size=self.batch_size,
        )  # fmt: skip
