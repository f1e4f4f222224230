"""Genes that vary over the tissue: Moran's I."""

import numpy as np
from scipy import sparse

NEIGHBOURS = 6
"""As many as a spot has on Visium's grid."""


def neighbours(places: np.ndarray, number: int = NEIGHBOURS) -> sparse.csr_array:
    """(spots, spots) 1 / number for each of a spot's nearest others, in rows that add up to 1.

    Args:
        places: (spots, 2).
        number: how many; fewer where there are no more spots.
    """
    from scipy.spatial import cKDTree

    number = min(number, len(places) - 1)
    _, near = cKDTree(places).query(places, k=number + 1)
    rows = np.repeat(np.arange(len(places)), number)
    others = np.array([[n for n in row if n != own][:number] for own, row in enumerate(near)])
    weights = np.full(len(rows), 1 / number)
    return sparse.csr_array((weights, (rows, others.ravel())), shape=(len(places),) * 2)


def moran(values: np.ndarray, weights: sparse.csr_array) -> np.ndarray:
    """(genes,) Moran's I (Moran 1950, Biometrika 37:17): n / W sum w_ij z_i z_j / sum z_i^2.

    About -1 / (n - 1) where values lie at random, towards 1 where neighbours are alike, below that
    where they differ; 0 of a gene that doesn't vary.

    Args:
        values: (spots, genes).
        weights: (spots, spots) of each spot's neighbours.
    """
    z = values - values.mean(axis=0)
    squares = (z**2).sum(axis=0)
    varies = squares > 1e-12 * len(z)
    found = (z * (weights @ z)).sum(axis=0) * len(z) / weights.sum()
    return np.where(varies, found / np.where(varies, squares, 1), 0)


def moran_over_sections(values: np.ndarray, places: np.ndarray, sections: np.ndarray) -> np.ndarray:
    """(genes,) the mean of Moran's I over sections, by their numbers of spots.

    Sections of fewer than three spots say nothing.
    """
    total, spots = np.zeros(values.shape[1]), 0
    for section in np.unique(sections):
        own = sections == section
        if own.sum() >= 3:
            total += own.sum() * moran(values[own], neighbours(places[own]))
            spots += own.sum()
    return total / max(spots, 1)
