"""What describes a gene: its standardised expression and principal components of that."""

import numpy as np

COMPONENTS = 50
"""Principal components that describe a gene."""
EXACT_COMPONENTS = 2000
"""Samples or genes, whichever are fewer, up to which these are exact."""
SPARE = 10
PASSES = 4
"""Of a random projection: directions beyond those wanted, and looks at all samples and genes."""
STEPS = 10_000
"""Steps in the largest value of a component, to which all are rounded."""
VALUES_AT_A_TIME = 4_000_000
"""Values that are held in float64 at once."""


def standardise(x: np.ndarray) -> np.ndarray:
    """Columns of x with mean 0 and norm 1, so that products are correlations; constant ones 0."""
    z = x - x.mean(axis=0)
    norm = np.linalg.norm(z, axis=0)
    constant = norm <= 1e-6 * np.sqrt(len(x)) * np.maximum(np.abs(x).max(axis=0), 1e-30)
    z /= np.where(constant, 1, norm)
    z[:, constant] = 0
    return z


def describe_genes(x: np.ndarray) -> np.ndarray:
    """Principal components (genes, at most 50) of standardised genes, signs fixed, in whole steps.

    A step is a ten-thousandth of the largest value. Processors add up products in orders of their
    own; in float64 their components differ by less than a millionth of a step, so that all of them
    round to the same steps, and what is compared afterwards doesn't hang on the last bits. The
    sign of a component is that of its largest value, of equal ones the first gene's.
    Beyond 2000 samples and genes components are those of a random projection (Halko et al. 2011,
    SIAM Rev. 53:217), as exact ones take time with the cube of the smaller number.
    """
    samples, genes = x.shape
    parts = np.array_split(np.arange(genes), -(-x.size // VALUES_AT_A_TIME))

    def take(part: np.ndarray) -> np.ndarray:
        return standardise(x[:, part].astype(np.float64))

    if genes < samples and genes <= EXACT_COMPONENTS:
        z = take(np.arange(genes))
        values, right = np.linalg.eigh(z.T @ z)
        scores = (right * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :COMPONENTS]
    elif samples <= EXACT_COMPONENTS:
        _, left = np.linalg.eigh(sum(z @ z.T for z in map(take, parts)))
        left = left[:, ::-1][:, :COMPONENTS]
        scores = np.concatenate([take(part).T @ left for part in parts])
    else:
        left = np.random.default_rng(0).normal(size=(samples, COMPONENTS + SPARE))
        for _ in range(PASSES):
            left, _ = np.linalg.qr(sum(z @ (z.T @ left) for z in map(take, parts)))
        spread = np.concatenate([take(part).T @ left for part in parts])
        _, turn = np.linalg.eigh(spread.T @ spread)
        scores = spread @ turn[:, ::-1][:, :COMPONENTS]
    steps = np.round(scores * (STEPS / (np.abs(scores).max() or 1.0)))
    strongest = steps[np.abs(steps).argmax(axis=0), np.arange(steps.shape[1])]
    return (steps * np.where(strongest < 0, -1, 1)).astype(np.float32)
