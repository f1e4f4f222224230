"""Means of classes, to paint: what each looks like, and how it differs from the others."""

from dataclasses import dataclass

import numpy as np

from core.data.prepare import Z_LIMIT


@dataclass(frozen=True)
class ClassMeans:
    """Mean expression of each class."""

    names: list[str]
    sizes: list[int]
    """Samples of each class."""
    means: np.ndarray
    """(classes, genes)"""
    differences: np.ndarray
    """(classes, genes) mean of the class minus mean of all other samples"""

    def size_of(self, name: str) -> int:
        """How many samples a class has."""
        return self.sizes[self.names.index(name)]

    def mean_of(self, name: str) -> np.ndarray:
        """(genes,) the mean of one class."""
        return self.means[self.names.index(name)]


def to_sd(unit: np.ndarray) -> np.ndarray:
    """Values that were scaled by mean and SD to [0, 1], as SD from the mean again."""
    return (2 * unit - 1) * Z_LIMIT


def average_classes(unit: np.ndarray, labels: np.ndarray, *, in_sd: bool) -> ClassMeans:
    """The mean of each class, and how it differs from the mean of all other samples.

    Args:
        unit: (samples, genes) float32 prepared expression in [0, 1].
        labels: (samples,) the class of each sample.
        in_sd: give the means back in SD from the genes' means.
    """
    names, sizes = np.unique(labels, return_counts=True)
    belongs = (labels == names[:, None]).astype(np.float32)
    means = belongs / sizes[:, None].astype(np.float32) @ unit
    means = to_sd(means) if in_sd else means
    rest = np.maximum(sizes.sum() - sizes, 1)[:, None]
    others = (sizes @ means - sizes[:, None] * means) / rest
    return ClassMeans(names.tolist(), sizes.tolist(), means, means - others)
