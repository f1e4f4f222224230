"""How unlike everything that was learned a sample is: "none of these" is an answer too.

A network's probabilities add up to 1 whatever it is shown, so something else has to say that a
sample is of no class that it knows. Tried on `tcga11`, each tumour type in turn left out of what is
learned (benchmarks/results/novelty.md): Mahalanobis distances find the unknown type better than
nearest neighbours, relative Mahalanobis distances, what principal components leave over, and the
probabilities and scores themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf

MOST_AXES = 150
"""Principal components of the features that distances are taken in, at most."""
SAMPLES_AN_AXIS = 3
"""So many samples, at least, for each of them."""


@dataclass(frozen=True, eq=False)
class Novelty:
    """Distance to the nearest class of what was learned, in the network's features.

    The Mahalanobis distance (Lee et al. 2018, arXiv:1807.03888) to the nearest class mean, with one
    covariance within classes, shrunk (Ledoit and Wolf 2004), in the first principal components of
    the features.
    """

    axes: np.ndarray
    """(features, axes) float32"""
    offset: np.ndarray
    """(axes,) where the mean of what was learned lies"""
    means: np.ndarray
    """(classes, axes)"""
    precision: np.ndarray
    """(axes, axes) inverse of the covariance within classes"""

    @classmethod
    def fit(cls, maps: Sequence[np.ndarray], labels: np.ndarray) -> Novelty:
        """Learn what is usual.

        Args:
            maps: (samples, features) of each map that the head looks at; each counts alike.
            labels: (samples,) classes, two samples of each or more; of a regression all the same.
        """
        samples = len(labels)
        centred, scales = [], []
        gram = np.zeros((samples, samples))
        for features in maps:
            part = features - features.mean(axis=0)
            scale = 1 / (np.sqrt(np.square(part, dtype=np.float64).sum() / samples) or 1.0)
            gram += scale**2 * (part @ part.T)
            centred.append(part)
            scales.append(scale)
        number = int(min(MOST_AXES, max(1, samples // SAMPLES_AN_AXIS)))
        squares, unit = eigh(gram, subset_by_index=[max(samples - number, 0), samples - 1])
        kept = squares > 1e-8 * squares[-1]
        kept[-1] = True  # where all samples are alike
        squares, unit = np.maximum(squares[kept][::-1], 1e-30), unit[:, kept][:, ::-1]
        turned = unit / np.sqrt(squares)
        axes = np.vstack(
            [s**2 * (part.T @ turned) for s, part in zip(scales, centred, strict=True)]
        )
        axes = axes.astype(np.float32)
        together = np.hstack([features.mean(axis=0) for features in maps])
        found = cls(axes, together @ axes, np.empty((0, 0)), np.empty((0, 0)))
        places = found.place(np.hstack(maps))
        names, number_of = np.unique(labels, return_inverse=True)
        means = np.stack([places[number_of == k].mean(axis=0) for k in range(len(names))])
        within, _ = ledoit_wolf(places - means[number_of], assume_centered=True)
        return cls(axes, found.offset, means, np.linalg.pinv(within, hermitian=True))

    def place(self, features: np.ndarray) -> np.ndarray:
        """(samples, axes) coordinates of features (samples, features), all maps side by side."""
        return features.astype(np.float64) @ self.axes - self.offset

    def score(self, places: np.ndarray) -> np.ndarray:
        """(samples,) squared distance of coordinates (samples, axes) to the nearest class."""
        squared = []
        for mean in self.means:
            away = places - mean
            squared.append(np.einsum("ij,jk,ik->i", away, self.precision, away, optimize=True))
        return np.min(squared, axis=0)

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def energy_of(scores: np.ndarray) -> np.ndarray:
    """(samples,) energy of class scores (samples, classes): low where the network is sure.

    Liu et al. 2020 (arXiv:2010.03759).
    """
    top = scores.max(axis=1)
    return -(top + np.log(np.exp(scores - top[:, None]).sum(axis=1)))


def share_below(held_out: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(values,) share of the held-out samples' values, ascending, that are lower."""
    return np.searchsorted(held_out, values) / max(len(held_out), 1)
