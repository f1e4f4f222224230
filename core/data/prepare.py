"""Preparation: gene filter, log and scaling to [0, 1], fitted on training samples only."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from core.errors import InputError
from core.files import write_atomic

Z_LIMIT = 4.0
"""z scores are clipped at this many SD on either side before they become [0, 1]."""
SMALLEST_SD = 1e-4
"""Genes whose log2 expression varies less are constant: float32 couldn't divide by their range."""


class PreparationSpec(BaseModel):
    """Which genes are kept and how each is scaled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    genes: int = Field(
        1024,
        ge=4,
        le=20000,
        title="Genes",
        description="The most variable genes on the training samples are painted.",
    )
    scaling: Literal["zscore", "minmax"] = Field(
        "zscore",
        title="Scaling of each gene",
        description="zscore: distance from the training mean in SD, clipped at 4. minmax: from the "
        "lowest to the highest training value.",
    )


@dataclass(frozen=True)
class Preprocessor:
    """What was learned from training samples; applied alike to every sample."""

    all_genes: np.ndarray
    """Gene ids of the matrix that it was fitted on, in order."""
    index: np.ndarray
    """(genes,) positions of the kept genes in `all_genes`, in the order of the matrix."""
    scale: str
    scaling: str
    fill: np.ndarray
    """(genes,) training median of the log expression, put where a value is missing."""
    low: np.ndarray
    """(genes,) log expression that becomes 0."""
    high: np.ndarray
    """(genes,) log expression that becomes 1."""
    mean: np.ndarray
    """(genes,) training mean of the transformed values."""
    unit_sd: np.ndarray
    """(genes,) training SD of the transformed values."""

    @classmethod
    def fit(
        cls, x: np.ndarray, genes: Sequence[str], scale: str, spec: PreparationSpec
    ) -> "Preprocessor":
        """Learn from training samples.

        Args:
            x: (samples, genes) float32 expression as it was measured; NaN where it is missing.
            genes: gene ids of the columns.
            scale: counts, linear or log2.
            spec: how many genes to keep and how to scale them. Constant genes are never kept.
        """
        log = _to_log2(np.asarray(x, dtype=np.float32), scale)
        with np.errstate(invalid="ignore"):
            empty = np.isnan(log).all(axis=0)
            fill = np.nanmedian(np.where(empty, 0, log), axis=0)
        log = np.where(np.isnan(log), fill, log)
        variance = log.var(axis=0, dtype=np.float64)
        order = np.lexsort((np.asarray(genes, dtype=str), -variance))
        index = np.sort(order[: min(spec.genes, int((variance > SMALLEST_SD**2).sum()))])
        if len(index) < 2:
            raise InputError(
                f"Only {len(index)} genes vary between the training samples; at least 2 are needed."
            )
        kept = log[:, index].astype(np.float64)
        if spec.scaling == "zscore":
            mean, sd = kept.mean(axis=0), kept.std(axis=0)
            low, high = mean - Z_LIMIT * sd, mean + Z_LIMIT * sd
        else:
            low, high = kept.min(axis=0), kept.max(axis=0)
        unit = np.clip((kept - low) / (high - low), 0, 1)
        return cls(
            all_genes=np.asarray(genes, dtype=str),
            index=index,
            scale=scale,
            scaling=spec.scaling,
            fill=fill[index].astype(np.float32),
            low=low.astype(np.float32),
            high=high.astype(np.float32),
            mean=unit.mean(axis=0).astype(np.float32),
            unit_sd=unit.std(axis=0).astype(np.float32),
        )

    @property
    def genes(self) -> np.ndarray:
        """(genes,) ids of the kept genes."""
        return self.all_genes[self.index]

    def log_expression(self, x: np.ndarray) -> np.ndarray:
        """log2 expression (samples, kept genes) float32 of a matrix with all genes.

        Counts become log2(counts per million + 1), linear values log2(x + 1); log2 values keep
        their scale. Values below 0 on the log scale become 0 for all samples alike, because a
        floor that differs between laboratories would give the class away. Missing values become
        the gene's training median.

        Raises:
            InputError: another number of genes than the preprocessor was fitted on.
        """
        if x.shape[1] != len(self.all_genes):
            raise InputError(
                f"Expected {len(self.all_genes)} genes as in training, got {x.shape[1]}."
            )
        log = _to_log2(np.asarray(x, dtype=np.float32), self.scale)[:, self.index]
        return np.where(np.isnan(log), self.fill, log)

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Values in [0, 1], (samples, kept genes) float32, of a matrix with all genes."""
        unit = (self.log_expression(x) - self.low) / (self.high - self.low)
        return np.clip(unit, 0, 1).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write everything to an npz file without pickle, atomically."""

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **vars(self))

        write_atomic(path, write)

    @classmethod
    def load(cls, path: Path) -> "Preprocessor":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return cls(
            **{
                name: str(value) if name in ("scale", "scaling") else value
                for name, value in arrays.items()
            }
        )


def _to_log2(x: np.ndarray, scale: str) -> np.ndarray:
    """log2 expression of all genes; the library size of counts is a sample's sum over all genes."""
    if scale == "counts":
        library = np.nansum(x, axis=1, keepdims=True, dtype=np.float64)
        return np.log2(x * (1e6 / np.maximum(library, 1)).astype(np.float32) + 1)
    if scale == "linear":
        return np.log2(np.maximum(x, 0) + 1)
    if scale == "log2":
        return np.maximum(x, 0)
    raise InputError(f"Unknown scale {scale!r}. Known: counts, linear, log2.")
