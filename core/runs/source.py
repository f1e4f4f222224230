"""Sources: what makes images out of a run's samples.

A source is fitted on a fold's training samples, stands in the fold's folder, and gives two things:
prepared rows, an array with a row a sample, and the painter, a module that turns such rows into
images. The loop, the cache of frozen stages, fitted models and attributions know a source by these
alone; what genes are, only `Expression` knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from core.data.prepare import Preprocessor
from core.errors import InputError
from core.images.layout import GeneLayout
from core.images.layouts import fit_layout
from core.models.spec import PRODUCT_PLACES, NetworkSpec
from core.runs.spec import RunSpec
from core.runs.study import Samples
from core.training.augmentations import AUGMENTATIONS, Known
from core.training.repeats import repeat_sd
from core.training.splits import Fold

if TYPE_CHECKING:
    from core.images.painter import Painter

PREPROCESSOR, LAYOUT = "preprocessor.npz", "layout.npz"
Find = Callable[[str], Path]
"""Name of a file -> where it stands; may refuse one that is damaged."""


class Source(Protocol):
    """What makes images out of samples, fitted on one fold."""

    @classmethod
    def fit(cls, spec: RunSpec, samples: Samples, fold: Fold) -> Source:
        """Learn from the fold's training and validation samples, never from its test samples."""

    @classmethod
    def load(cls, find: Find) -> Source:
        """Read what `save` wrote; raises DamageError, or ValueError where parts don't fit."""

    def save(self, folder: Path) -> None:
        """Write everything to a fold's folder."""

    def transform(self, samples: Samples) -> np.ndarray:
        """Prepared rows (samples, ...) float32, of any samples."""

    def painter(self, network: NetworkSpec) -> Painter:
        """The module that turns prepared rows into images of the size that the network sees."""

    def known(self, spec: RunSpec, samples: Samples, rows: np.ndarray, fold: Fold) -> Known | None:
        """What augmentations of prepared rows may know; None where there are no such ones.

        `rows` are the prepared rows of the samples.
        """


@dataclass(frozen=True)
class Expression:
    """Gene expression: a preprocessor, a layout, and an imager as the painter."""

    preprocessor: Preprocessor
    layout: GeneLayout

    @classmethod
    def fit(cls, spec: RunSpec, samples: Samples, fold: Fold) -> Expression:
        """Fit the preparation, then the layout to what it gives.

        Raises:
            InputError: products of genes are asked for where genes share the places that they are
                taken at.
        """
        fitting, genes = samples.x[fold.fitting], samples.genes
        prepared = Preprocessor.fit(fitting, genes, samples.scale, spec.preparation)
        unit = prepared.transform(fitting, genes)
        layout = fit_layout(unit, prepared.genes, spec.layout, spec.network.image_size, spec.seed)
        side = layout.shape[0]
        if spec.network.products and PRODUCT_PLACES % side:
            raise InputError(
                f"Products of genes need a canvas of {PRODUCT_PLACES} x {PRODUCT_PLACES} pixels, "
                f"or of 4, 2 or 1 a side; this one has {side} x {side}, so that places would mix "
                f"genes. Set layout.side to {PRODUCT_PLACES} and network.image_size to 32, or "
                "leave products out."
            )
        return cls(prepared, layout)

    @classmethod
    def load(cls, find: Find) -> Expression:
        """Read preprocessor and layout."""
        prepared, layout = Preprocessor.load(find(PREPROCESSOR)), GeneLayout.load(find(LAYOUT))
        if not np.array_equal(layout.genes, prepared.genes):
            raise ValueError(f"{LAYOUT} and {PREPROCESSOR} are of other genes.")
        return cls(prepared, layout)

    def save(self, folder: Path) -> None:
        """Write preprocessor and layout."""
        self.preprocessor.save(folder / PREPROCESSOR)
        self.layout.save(folder / LAYOUT)

    def transform(self, samples: Samples) -> np.ndarray:
        """Prepared expression in [0, 1], (samples, genes of the image)."""
        return self.preprocessor.transform(samples.x, samples.genes)

    def painter(self, network: NetworkSpec) -> Painter:
        """The gene imager."""
        from core.images.imager import GeneImager

        prepared = self.preprocessor
        return GeneImager(
            self.layout, network.image_size, network.channels, prepared.mean, prepared.unit_sd
        )

    def known(self, spec: RunSpec, samples: Samples, rows: np.ndarray, fold: Fold) -> Known:
        """Means and SD of the genes, and what the run's augmentation needs beside."""
        needs, prepared = AUGMENTATIONS[spec.training.augmentation].needs, self.preprocessor
        repeats = reads = None
        if needs == "repeats":
            own = fold.fitting
            repeats = repeat_sd(rows[own], samples.labels[own], samples.patients[own])
        if needs == "counts":
            reads = prepared.reads(samples.x[fold.train], samples.genes)
        return Known(prepared.unit_sd, prepared.mean, repeats, reads)


def source_of(spec: RunSpec) -> type[Source]:
    """The kind of source that a run's images come from: its expression, until there is another."""
    return Expression
