"""What one pass over an expression matrix tells about its samples, its genes and its scale."""

from dataclasses import dataclass

import numpy as np

from core.data.unpack import Progress

ROWS = 200
"""Samples that are looked at together, so that no second matrix is needed."""
QUANTILES = (5, 25, 50, 75, 95)
LARGEST_LOG2 = 50
"""Larger values are no logarithms: log2 of a 16-bit number is 16."""


@dataclass(frozen=True)
class MatrixProfile:
    """Counts and extremes of an expression matrix."""

    scale: str
    """counts, linear or log2."""
    evidence: str
    """What speaks for this scale, in one sentence."""
    missing: np.ndarray
    """(samples,) missing values."""
    negative: np.ndarray
    """(samples,) values below 0."""
    zeros: np.ndarray
    """(samples,) values that are 0."""
    lowest: np.ndarray
    """(samples,) lowest value; NaN without any."""
    total: np.ndarray
    """(samples,) sum over genes: the library size of counts."""
    quantiles: np.ndarray
    """(samples, 5) the 5th, 25th, 50th, 75th and 95th percentile of the sample's values."""
    gene_missing: np.ndarray
    """(genes,) missing values."""
    gene_lowest: np.ndarray
    """(genes,) lowest value; NaN without any."""
    gene_highest: np.ndarray
    """(genes,) highest value; NaN without any."""


def detect_scale(x: np.ndarray) -> str:
    """Tell counts, linear values (TPM, FPKM) and log2 values apart by their range.

    Whole non-negative numbers are counts. Of the rest, values up to 50 are log2, larger ones
    linear. NaN is ignored.
    """
    whole, lowest, highest = True, np.inf, -np.inf
    for start in range(0, len(x), ROWS):
        part = x[start : start + ROWS]
        whole = whole and _are_whole(part)
        lowest = min(lowest, np.fmin.reduce(part, axis=None, initial=np.inf))
        highest = max(highest, np.fmax.reduce(part, axis=None, initial=-np.inf))
    return _name_scale(whole, lowest, highest)


def _are_whole(x: np.ndarray) -> bool:
    return bool(((x == np.round(x)) | np.isnan(x)).all())


def _name_scale(whole: bool, lowest: float, highest: float) -> str:
    if whole and lowest >= 0:
        return "counts"
    return "log2" if highest <= LARGEST_LOG2 else "linear"


def profile(x: np.ndarray, progress: Progress | None = None) -> MatrixProfile:
    """Look through (samples, genes) expression once, with NaN where it is missing."""
    samples, genes = x.shape
    missing, negative, zeros = (np.zeros(samples, np.int64) for _ in range(3))
    lowest, total = np.full(samples, np.nan), np.zeros(samples)
    quantiles = np.full((samples, len(QUANTILES)), np.nan, np.float32)
    gene_missing = np.zeros(genes, np.int64)
    gene_lowest, gene_highest = np.full(genes, np.nan), np.full(genes, np.nan)
    whole, highest = True, -np.inf
    for start in range(0, samples, ROWS):
        rows = slice(start, start + ROWS)
        part = np.asarray(x[rows])
        holes = np.isnan(part)
        some = bool(holes.any())
        missing[rows], negative[rows] = holes.sum(axis=1), (part < 0).sum(axis=1)
        zeros[rows] = (part == 0).sum(axis=1)
        lowest[rows] = np.fmin.reduce(part, axis=1)
        total[rows] = np.nansum(part, axis=1, dtype=np.float64)
        quantiles[rows] = _quantiles(part, holes if some else None)
        gene_missing += holes.sum(axis=0)
        gene_lowest = np.fmin(gene_lowest, np.fmin.reduce(part, axis=0))
        gene_highest = np.fmax(gene_highest, np.fmax.reduce(part, axis=0))
        whole = whole and _are_whole(part)
        highest = max(highest, np.fmax.reduce(part, axis=None, initial=-np.inf))
        if progress:
            progress(min(1.0, (start + ROWS) / samples))
    least = float(np.fmin.reduce(lowest, initial=np.inf))
    scale = _name_scale(whole, least, float(highest))
    share = zeros.sum() / max(1, samples * genes - missing.sum())
    kind = {
        "counts": f"all values are whole numbers; a sample has {_say(np.median(total))} reads in "
        "the median",
        "linear": "values aren't whole and reach too high for logarithms",
        "log2": f"no value is above {LARGEST_LOG2}",
    }[scale]
    evidence = f"From {least:.4g} to {highest:.4g}, {share:.0%} of them 0; {kind}."
    return MatrixProfile(
        scale, evidence, missing, negative, zeros, lowest, total, quantiles,
        gene_missing, gene_lowest, gene_highest,
    )  # fmt: skip


def _quantiles(part: np.ndarray, holes: np.ndarray | None) -> np.ndarray:
    """(rows, 5) percentiles, each the value at that rank, of what isn't missing."""
    last = part.shape[1] - 1
    if holes is None:
        places = np.floor(last * np.array(QUANTILES) / 100).astype(int)
        return np.partition(part, places, axis=1)[:, places]
    ordered = np.sort(part, axis=1)  # NaN come last
    count = (~holes).sum(axis=1)
    places = np.floor(np.outer(np.maximum(count - 1, 0), np.array(QUANTILES) / 100)).astype(int)
    return np.take_along_axis(ordered, places, axis=1)


def _say(number: float) -> str:
    return f"{number / 1e6:.1f} million" if number >= 1e6 else f"{number:,.0f}"
