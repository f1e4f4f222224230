"""What one pass over an expression matrix tells about its samples, its genes and its scale."""

from dataclasses import dataclass

import numpy as np

from core.data.formats.unpack import Progress

ROWS = 200
"""Samples that are looked at together, so that no second matrix is needed."""
QUANTILES = (5, 25, 50, 75, 95)
LARGEST_LOG2 = 50
"""Larger values are no logarithms: log2 of a 16-bit number is 16."""
FEW_READS = (1, 100)
"""Values among which whole ones are counted: larger ones may be whole because they were rounded."""
ENOUGH = 30
"""Such values from which a share of them means anything."""
WHOLE = 0.15
"""Share of whole ones from which values are counts: of reads that fit one gene only, most are."""
UNEQUAL = 3.0
"""The 95th over the 5th percentile of the samples' sums, from which depth isn't corrected: the sums
of TPM are equal, those of FPKM differ by less."""
CENTRED = 0.2
"""Share of values below 0 from which log2 values are log ratios, centred genes or z scores."""
LOOKED_AT = 200
"""Samples that are enough to tell it."""


@dataclass(frozen=True)
class MatrixProfile:
    """Counts and extremes of an expression matrix."""

    scale: str
    """counts, linear or log2."""
    evidence: str
    """What speaks for this scale, in one sentence."""
    doubt: str
    """The scale that the values may have instead; empty where there is no doubt."""
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


class _Scale:
    """What tells the scale, gathered over parts of a matrix."""

    def __init__(self) -> None:
        self.whole, self.lowest, self.highest = True, np.inf, -np.inf
        self.few = self.few_whole = self.few_tenths = 0
        self.totals: list[np.ndarray] = []

    def add(self, part: np.ndarray) -> None:
        """Take some samples, (samples, genes)."""
        rounded = np.round(part)
        self.whole = self.whole and bool(((part == rounded) | np.isnan(part)).all())
        self.lowest = min(self.lowest, float(np.fmin.reduce(part, axis=None, initial=np.inf)))
        self.highest = max(self.highest, float(np.fmax.reduce(part, axis=None, initial=-np.inf)))
        self.totals.append(np.nansum(part, axis=1, dtype=np.float64))
        if self.whole:
            return
        few = part[(part >= FEW_READS[0]) & (part < FEW_READS[1])]
        self.few += len(few)
        self.few_whole += int((few == np.round(few)).sum())
        self.few_tenths += int((np.abs(10 * few - np.round(10 * few)) < 1e-3).sum())

    def counted(self) -> float:
        """The share of whole ones among low values, 0 where it may be chance."""
        if self.few < ENOUGH:
            return 0.0
        share, tenths = self.few_whole / self.few, self.few_tenths / self.few
        return share if share >= max(WHOLE, 0.3 * tenths) else 0.0

    def spread(self) -> float:
        """How many times larger the sum of a large sample is than that of a small one."""
        totals = np.concatenate(self.totals)
        totals = totals[totals > 0]
        low, high = np.percentile(totals, (5, 95)) if len(totals) else (1.0, 1.0)
        return float(high / low)

    def name(self) -> str:
        """counts, linear or log2."""
        if self.whole and self.lowest >= 0:
            return "counts"
        if self.highest <= LARGEST_LOG2:
            return "log2"
        return "counts" if self.lowest >= 0 and self.counted() else "linear"


def detect_scale(x: np.ndarray) -> str:
    """Tell counts, linear values (TPM, FPKM) and log2 values apart by their range and fractions.

    Whole non-negative numbers are counts. Of the rest, values up to 50 are log2. Of larger ones
    those are counts, estimated by RSEM or salmon, among whose low values many are whole; all others
    are linear. NaN is ignored.
    """
    scale = _Scale()
    for start in range(0, len(x), ROWS):
        scale.add(np.asarray(x[start : start + ROWS]))
    return scale.name()


def is_centred(x: np.ndarray) -> bool:
    """Whether log2 values stand around 0 (log ratios, centred genes, z scores); NaN is ignored."""
    rows = np.asarray(x[:: max(1, len(x) // LOOKED_AT)])
    return bool((rows < 0).sum() > CENTRED * np.isfinite(rows).sum())


def profile(x: np.ndarray, progress: Progress | None = None) -> MatrixProfile:
    """Look through (samples, genes) expression once, with NaN where it is missing."""
    samples, genes = x.shape
    missing, negative, zeros = (np.zeros(samples, np.int64) for _ in range(3))
    lowest, total = np.full(samples, np.nan), np.zeros(samples)
    quantiles = np.full((samples, len(QUANTILES)), np.nan, np.float32)
    gene_missing = np.zeros(genes, np.int64)
    gene_lowest, gene_highest = np.full(genes, np.nan), np.full(genes, np.nan)
    found = _Scale()
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
        found.add(part)
        if progress:
            progress(min(1.0, (start + ROWS) / samples))
    scale, spread = found.name(), found.spread()
    share = zeros.sum() / max(1, samples * genes - missing.sum())
    kind = {
        "counts": f"all values are whole numbers; a sample has {_say(np.median(total))} reads in "
        "the median",
        "linear": "values aren't whole and reach too high for logarithms",
        "log2": f"no value is above {LARGEST_LOG2}",
    }[scale]
    if scale == "counts" and not found.whole:
        kind = (
            f"{found.counted():.0%} of the values below {FEW_READS[1]} are whole, as where RSEM or "
            f"salmon estimate counts; a sample has {_say(np.median(total))} reads in the median"
        )
    doubt = ""
    if scale == "linear" and found.lowest >= 0 and spread > UNEQUAL:
        doubt = "counts"
        kind += f", but samples differ {spread:.1f}-fold in their sums"
    evidence = f"From {found.lowest:.4g} to {found.highest:.4g}, {share:.0%} of them 0; {kind}."
    return MatrixProfile(
        scale, evidence, doubt, missing, negative, zeros, lowest, total, quantiles,
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
