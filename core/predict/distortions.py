"""What differs between laboratories, simulated: distortions of values as they were measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from core.records import Registry

ALL = ("counts", "linear", "log2")
PLATFORMS = 3
"""How often, for each fold, what is the same for all samples is drawn: one draw says little."""
LARGEST = 100
"""log2 of the largest value that is made: sums of such are finite."""


@dataclass(frozen=True)
class Measured:
    """Values of some samples as they were measured."""

    x: np.ndarray
    """(samples, genes) float32; NaN where a value is missing"""
    genes: np.ndarray
    """(genes,) ids"""
    scale: str
    """counts, linear or log2"""


@dataclass(frozen=True)
class Weights:
    """The genes that a fold's network rests on."""

    genes: np.ndarray
    """(model's genes,) ids"""
    importance: np.ndarray
    """(model's genes,) each one's share"""


Distort = Callable[[Measured, float, np.random.Generator, Weights], Measured]


@dataclass(frozen=True)
class Distortion:
    """A way in which the values of another laboratory differ, at several strengths."""

    name: str
    title: str
    help: str
    unit: str
    """What strengths are counted in; follows the number."""
    levels: tuple[float, ...]
    """Strengths, from 0, which changes nothing."""
    distort: Distort
    scales: tuple[str, ...] = ALL
    """Scales of values that it is for."""
    draws: int = 1
    """How often it is drawn anew for the same samples."""
    is_share: bool = False
    """Whether strengths are shares, which are written in percent."""

    def apply(
        self, data: Measured, level: float, weights: Weights, fold: int = 0, draw: int = 0
    ) -> Measured:
        """Distort samples; the same arguments give the same values.

        A stronger level of the same draw is the same distortion, stronger: the same genes are
        missing and more of them, the same samples are scaled up and by more. (Thinned counts are
        drawn anew.)

        Args:
            data: the samples.
            level: its strength, in the distortion's unit; 0 gives the samples back.
            weights: what the model rests on.
            fold: of the model, whose samples are drawn apart.
            draw: which of several draws.
        """
        if level == 0:
            return data
        seed = (crc32(self.name.encode()), fold, draw)
        return self.distort(data, level, np.random.default_rng(seed), weights)

    def say(self, level: float) -> str:
        """A strength in words."""
        return f"{level:.0%} {self.unit}" if self.is_share else f"{level:g} {self.unit}"


def _bend(data: Measured, level: float, rng: np.random.Generator, _: Weights) -> Measured:
    """Each sample's values to a power of its own, around the median of what it expresses."""
    power = np.exp2(level * rng.standard_normal((len(data.x), 1)).clip(-2, 2))
    with np.errstate(divide="ignore"):
        log = data.x.astype(np.float64) if data.scale == "log2" else np.log2(np.maximum(data.x, 0))
    centre = np.array([[_median(row, data.scale)] for row in log])
    bent = centre + power * (log - centre)
    return _with(data, bent if data.scale == "log2" else np.exp2(np.minimum(bent, LARGEST)))


def _median(log: np.ndarray, scale: str) -> float:
    """The median of log2 values that are there; of counts and linear ones of those above 0."""
    there = log[np.isfinite(log)]
    return float(np.median(there)) if len(there) else 0.0


def _shift(data: Measured, level: float, rng: np.random.Generator, _: Weights) -> Measured:
    return _move(data, level * rng.standard_normal(data.x.shape[1]))


def _scale(data: Measured, level: float, rng: np.random.Generator, _: Weights) -> Measured:
    return _move(data, level * rng.standard_normal((len(data.x), 1)))


def _move(data: Measured, log_change: np.ndarray) -> Measured:
    """Values changed by so much in log2 units."""
    x = data.x.astype(np.float64)
    return _with(data, x + log_change if data.scale == "log2" else x * np.exp2(log_change))


def _lose_any(data: Measured, level: float, rng: np.random.Generator, by: Weights) -> Measured:
    return _without(data, rng.permutation(by.genes), level)


def _lose_first(data: Measured, level: float, _: np.random.Generator, by: Weights) -> Measured:
    return _without(data, by.genes[np.argsort(-by.importance, kind="stable")], level)


def _without(data: Measured, order: np.ndarray, share: float) -> Measured:
    """Without the first genes of an order."""
    kept = ~np.isin(data.genes, order[: round(share * len(order))])
    return replace(data, x=data.x[:, kept], genes=data.genes[kept])


def _thin(data: Measured, level: float, rng: np.random.Generator, _: Weights) -> Measured:
    """Each read stays with a chance of a half, `level` times over."""
    missing = np.isnan(data.x)
    reads = np.where(missing, 0, np.round(data.x)).astype(np.int64)
    thinned = rng.binomial(reads, 2.0**-level).astype(np.float32)
    return _with(data, np.where(missing, np.nan, thinned))


def _with(data: Measured, x: np.ndarray) -> Measured:
    return replace(data, x=x.astype(np.float32))


DISTORTIONS: Registry[Distortion] = Registry(
    "distortion",
    [
        Distortion(
            name="monotone",
            title="Each sample's values bent",
            help="Each sample's values are raised to a random power of its own, around its median: "
            "contrasts within the sample grow or shrink, and the order of its genes stays. As "
            "where background, amplification or a laboratory's own transformation differ.",
            unit="doublings of the power (SD over samples)",
            levels=(0, 0.2, 0.4, 0.8, 1.6),
            distort=_bend,
        ),
        Distortion(
            name="gene_shift",
            title="Each gene shifted",
            help="Each gene is shifted by a random amount, the same in all samples of a fold, as "
            "another platform, library kit or reference does. Drawn several times: the score is "
            "the mean.",
            unit="log2 units (SD over genes)",
            levels=(0, 0.5, 1, 2, 4),
            distort=_shift,
            draws=PLATFORMS,
        ),
        Distortion(
            name="missing_random",
            title="Genes missing at random",
            help="So many of the model's genes are missing in all samples and painted as their "
            "training mean. Drawn several times: the score is the mean.",
            unit="of the model's genes",
            levels=(0, 0.1, 0.25, 0.5, 0.75, 0.9),
            distort=_lose_any,
            draws=PLATFORMS,
            is_share=True,
        ),
        Distortion(
            name="missing_important",
            title="Most important genes missing",
            help="The genes that the network rests on most are missing, in the order of their "
            "importance. It is the network's order, so that this is harder on the network than on "
            "the linear model.",
            unit="of the model's genes",
            levels=(0, 0.1, 0.25, 0.5, 0.75, 0.9),
            distort=_lose_first,
            is_share=True,
        ),
        Distortion(
            name="depth",
            title="Fewer reads",
            help="Each read is kept with the same chance (binomial thinning), as where samples are "
            "sequenced less deeply.",
            unit="halvings of the reads",
            levels=(0, 2, 4, 6, 8, 10),
            distort=_thin,
            scales=("counts",),
        ),
        Distortion(
            name="sample_factor",
            title="Another normalisation",
            help="All values of a sample are scaled by a random factor of its own, as another "
            "normalisation does. (Counts are divided by their sum, which takes it away again.)",
            unit="log2 units (SD over samples)",
            levels=(0, 0.5, 1, 2, 4),
            distort=_scale,
            scales=("linear", "log2"),
        ),
    ],
)
"""Applied to a run's own held-out samples, one at a time."""
