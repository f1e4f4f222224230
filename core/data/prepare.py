"""Preparation: from measured expression to one value in [0, 1] a gene, fitted on training samples.

The steps and their order: counts to log2 of a library-size scaled count; a common floor; missing
values; across the genes of a sample; which genes; the scale of each gene. The order is fixed, since
every other one is a mistake (a filter on unscaled counts, a floor after scaling); what each step
does is chosen in `PreparationSpec`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from core.errors import DamageError, InputError
from core.files import UNREADABLE, write_atomic

Z_LIMIT = 4.0
"""z scores are clipped at this many SD on either side before they become [0, 1]."""
SMALLEST_SD = 1e-4
"""Genes whose log2 expression varies less are constant: float32 couldn't divide by their range."""
MAD_TO_SD = 1.4826
"""A normal distribution's SD over its median absolute deviation."""
FEWEST_GENES = 4
"""Fewer can't be asked for; a dataset that has fewer gives all of its own."""
RANK_STEPS = 101
"""Training quantiles by which a value's rank is found."""
VALUES_AT_A_TIME = 4_000_000
"""Matrices are worked on in parts of some genes, so that no second one is needed beside them."""

Absent = Literal["refuse", "mean"]
"""What is done about genes that a matrix lacks: refuse it, or put their training mean."""


class PreparationSpec(BaseModel):
    """What each step of the preparation does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    """Of all steps together; raised when one of them gives other values."""

    scale: Literal["auto", "counts", "linear", "log2"] = Field(
        "auto",
        title="Scale of the values",
        description="auto: as found when the file was read. counts: reads per gene. linear: TPM or "
        "FPKM. log2: logarithms already.",
    )
    library: Literal["cpm", "tmm"] = Field(
        "cpm",
        title="Library size of counts",
        description="cpm: counts per million. tmm: per million of a library size that a few very "
        "active genes can't distort (trimmed mean of M values, Robinson & Oshlack 2010).",
    )
    floor: float = Field(
        0.0,
        ge=-20,
        le=20,
        title="Floor",
        description="Lower log2 values become this one, for all samples alike: a floor that "
        "differs between laboratories gives the class away.",
    )
    missing: Literal["median", "floor", "drop"] = Field(
        "median",
        title="Missing values",
        description="median: the gene's median over the training samples. floor: the floor. drop: "
        "genes with a missing training value are left out.",
    )
    across: Literal["none", "quantile", "rank"] = Field(
        "none",
        title="Across the genes of a sample",
        description="quantile: every sample gets the training samples' mean distribution (Bolstad "
        "et al. 2003). rank: a gene's rank within its sample replaces its value. Both remove "
        "differences between platforms.",
    )
    gene_list: tuple[str, ...] = Field(
        (),
        title="Gene list",
        description="Only these genes, as far as the dataset has them; empty: all.",
    )
    without: tuple[str, ...] = Field(
        (), title="Genes left out", description="Never these genes, as in a what-if."
    )
    choose: Literal["variance", "dispersion"] = Field(
        "variance",
        title="Genes are chosen by",
        description="variance of the log2 values, or dispersion: variance beyond that of genes "
        "with a similar mean, in SD. On the training samples.",
    )
    genes: int = Field(
        1024,
        ge=FEWEST_GENES,
        le=20000,
        title="Genes",
        description="So many genes are painted, those with the highest variance or dispersion on "
        "the training samples.",
    )
    scaling: Literal["zscore", "robust", "minmax", "rank"] = Field(
        "zscore",
        title="Scaling of each gene",
        description="zscore: distance from the training mean in SD, clipped at 4. robust: distance "
        "from the training median in scaled absolute deviations, clipped at 4. minmax: from the "
        "lowest to the highest training value. rank: the share of training values below it.",
    )

    def describe(self, scale: str) -> list[str]:
        """The steps in words, in their order.

        Args:
            scale: the scale that was found when the dataset was read.
        """
        scale = scale if self.scale == "auto" else self.scale
        library = "counts per million" if self.library == "cpm" else "TMM-scaled counts per million"
        steps = {
            "counts": [f"log2 of {library} + 1"],
            "linear": ["log2 of the values + 1"],
            "log2": ["log2 values as they are"],
        }[scale]
        steps.append(f"values below {self.floor:g} become {self.floor:g}")
        steps.append(
            {
                "median": "missing values become the gene's training median",
                "floor": f"missing values become {self.floor:g}",
                "drop": "genes with a missing training value are left out",
            }[self.missing]
        )
        if self.across == "quantile":
            steps.append("every sample gets the training samples' mean distribution")
        if self.across == "rank":
            steps.append("values become ranks within their sample")
        if self.gene_list:
            steps.append(f"of a list of {len(self.gene_list):,} genes, those in the dataset")
        if self.without:
            steps.append(f"without {len(self.without):,} named genes")
        steps.append(f"the {self.genes:,} genes of highest {self.choose} on the training samples")
        steps.append(
            {
                "zscore": "each gene in SD from its training mean, clipped at 4",
                "robust": "each gene in scaled absolute deviations from its training median, "
                "clipped at 4",
                "minmax": "each gene from its lowest (0) to its highest (1) training value",
                "rank": "each gene as the share of training values below it",
            }[self.scaling]
        )
        return steps


@dataclass(frozen=True)
class Reads:
    """Counts of some samples, and what makes prepared values of them; arrays or tensors."""

    counts: np.ndarray
    """(samples, kept genes) reads; NaN where they are missing."""
    per_million: np.ndarray
    """(samples, 1) what a sample's counts are multiplied by."""
    floor: np.ndarray
    """() lowest log2 value."""
    low: np.ndarray
    """(kept genes,) log2 value that becomes 0."""
    high: np.ndarray
    """(kept genes,) log2 value that becomes 1."""


@dataclass(frozen=True)
class Preprocessor:
    """What was learned from training samples; applied alike to every sample."""

    spec: PreparationSpec
    scale: str
    """counts, linear or log2."""
    all_genes: np.ndarray
    """Gene ids of the matrix that it was fitted on, in order."""
    index: np.ndarray
    """(genes,) positions of the kept genes in `all_genes`, in the order of the matrix."""
    reference: np.ndarray
    """(all genes,) counts of the TMM reference sample; empty unless TMM is asked for."""
    log_library: float
    """Training mean of the log of the TMM factors, so that these average to 1."""
    fill: np.ndarray
    """(all genes,) log2 expression put where a value is missing; NaN for genes that aren't used."""
    distribution: np.ndarray
    """(all genes,) sorted mean training profile; empty unless quantiles are asked for."""
    low: np.ndarray
    """(genes,) value that becomes 0."""
    high: np.ndarray
    """(genes,) value that becomes 1."""
    steps: np.ndarray
    """(RANK_STEPS, genes) training quantiles; empty unless genes are scaled by rank."""
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
            scale: counts, linear or log2, as found in the data; `spec.scale` may say otherwise.
            spec: what each step does. Constant genes are never kept.

        Raises:
            InputError: fewer than two genes are left.
        """
        x = np.asarray(x, dtype=np.float32)
        names = np.asarray(genes, dtype=str)
        scale = scale if spec.scale == "auto" else spec.scale
        reference, log_library = np.empty(0, np.float32), 0.0
        if scale == "counts" and spec.library == "tmm":
            reference = _choose_reference(x)
            log_library = float(np.mean(np.log2([_tmm_factor(row, reference) for row in x])))
        columns = Columns(x, scale, spec, reference, log_library)

        holes = np.array([np.isnan(part).any(axis=0) for part in np.array_split(x, 8)]).any(axis=0)
        fill = np.full(len(names), np.nan, np.float32)
        early = holes if spec.across == "none" else np.ones(len(names), bool)
        for part in columns.parts(np.arange(len(names))):
            part = part[early[part]]
            fill[part] = _fill_values(columns.take(part), spec)
        usable = np.isin(names, spec.gene_list) if spec.gene_list else np.ones(len(names), bool)
        usable &= ~np.isin(names, spec.without)
        if spec.missing == "drop":
            usable &= ~holes
        distribution = np.empty(0, np.float32)
        across = None
        if spec.across != "none":
            whole = columns.filled(np.arange(len(names)), fill)
            if spec.across == "quantile":
                distribution = np.sort(whole, axis=1).mean(axis=0, dtype=np.float64)
                distribution = distribution.astype(np.float32)
            across = _across(whole, distribution if len(distribution) else _ranks(len(names)))

        variance, mean = np.empty(len(names)), np.empty(len(names))
        for part in columns.parts(np.arange(len(names))):
            values = columns.filled(part, fill) if across is None else across[:, part]
            variance[part] = values.var(axis=0, dtype=np.float64)
            mean[part] = values.mean(axis=0, dtype=np.float64)
        usable &= variance > (SMALLEST_SD if spec.across != "rank" else 0) ** 2
        score = variance if spec.choose == "variance" else _dispersion(mean, variance, usable)
        order = np.lexsort((names, -np.where(usable, score, -np.inf)))
        index = np.sort(order[: min(spec.genes, int(usable.sum()))])
        if len(index) < 2:
            of = f" of the list's {len(spec.gene_list)}" if spec.gene_list else ""
            raise InputError(
                f"Only {len(index)} genes{of} vary between the training samples; at least 2 are "
                "needed."
            )
        scaling = []
        for part in columns.parts(index):
            late = part[~early[part]]
            fill[late] = _fill_values(columns.take(late), spec)
            kept = columns.filled(part, fill) if across is None else across[:, part]
            fitted = _fit_scaling(kept.astype(np.float64), spec.scaling)
            unit = _to_unit(kept, spec.scaling, *fitted)
            mean, sd = unit.mean(axis=0, dtype=np.float64), unit.std(axis=0, dtype=np.float64)
            scaling.append((*fitted, mean.astype(np.float32), sd.astype(np.float32)))
        low, high, steps, mean, sd = (
            np.concatenate(parts, axis=-1) for parts in zip(*scaling, strict=True)
        )
        return cls(
            spec=spec,
            scale=scale,
            all_genes=names,
            index=index,
            reference=reference,
            log_library=log_library,
            fill=fill,
            distribution=distribution,
            low=low,
            high=high,
            steps=steps,
            mean=mean,
            unit_sd=sd,
        )

    @property
    def genes(self) -> np.ndarray:
        """(genes,) ids of the kept genes."""
        return self.all_genes[self.index]

    def log_expression(self, x: np.ndarray, genes: Sequence[str]) -> np.ndarray:
        """log2 expression (samples, kept genes) float32, `x` and `genes` as in `transform`.

        After the floor and with missing values filled, before anything across genes or per gene.
        """
        return self.columns(x, genes).filled(self.index, self.fill)

    def transform(
        self,
        x: np.ndarray,
        genes: Sequence[str],
        *,
        absent: Absent = "refuse",
        library_share: float = 1.0,
    ) -> np.ndarray:
        """Values in [0, 1], (samples, kept genes) float32.

        Genes are found by their ids: their order doesn't matter, and genes that training did not
        know are passed over, in the library size too.

        Args:
            x: (samples, any genes) expression on the scale of training; NaN where it is missing.
            genes: gene ids of the columns.
            absent: what is done about genes that are needed and not there. `mean` paints the
                training mean of the prepared values, so that such a gene says nothing about a
                sample; library sizes miss it, and ranks are those among the others, stretched to as
                many as there were in training.
            library_share: of counts per million, the share of a training sample's reads that the
                genes which are there have: a library over fewer genes is smaller by so much. (TMM
                compares genes that both have, and needs no such share.)

        Raises:
            InputError: genes that are needed are not there, or stand there twice.
        """
        genes = np.asarray(genes, dtype=str)  # of Python objects NumPy compares each with each
        columns = self.columns(x, genes, absent=absent)
        if self.spec.library == "cpm":
            columns.per_million *= np.float32(library_share)
        across = None
        if self.spec.across != "none":
            there = np.isin(self.all_genes, genes)
            across = np.zeros((len(x), len(there)), np.float32)
            whole = columns.filled(np.flatnonzero(there), self.fill)
            ranked = self.spec.across == "rank"
            across[:, there] = _across(whole, _ranks(len(there)) if ranked else self.distribution)
        unit = np.empty((len(x), len(self.index)), np.float32)
        for part in columns.parts(np.arange(len(self.index))):
            kept, at = self.index[part], slice(part[0], part[-1] + 1)
            values = columns.filled(kept, self.fill) if across is None else across[:, kept]
            unit[:, at] = _to_unit(
                values, self.spec.scaling, self.low[at], self.high[at], self.steps[:, at]
            )
        if absent == "mean":
            lacking = ~np.isin(self.genes, genes)
            unit[:, lacking] = self.mean[lacking]
        return unit

    def scale_log(self, log: np.ndarray) -> np.ndarray:
        """log2 expression (samples, kept genes) as [0, 1] float32; NaN becomes the training mean.

        For values of other origin than `log_expression`'s, such as those of another cohort that
        were brought to training's. The floor holds for them as well.

        Raises InputError where values follow from a sample's other genes instead.
        """
        if self.spec.across != "none":
            raise InputError(
                f"With across: {self.spec.across} a gene's prepared value follows from all genes "
                "of its sample, so log2 values can't be scaled gene by gene."
            )
        floored = np.maximum(log, np.float32(self.spec.floor))
        unit = _to_unit(floored, self.spec.scaling, self.low, self.high, self.steps)
        return np.where(np.isnan(unit), self.mean, unit)

    def reads(self, x: np.ndarray, genes: Sequence[str]) -> Reads:
        """The counts behind prepared values, for who draws other counts of the same samples.

        Args:
            x: (samples, any genes) counts.
            genes: gene ids of the columns.

        Raises:
            InputError: the values are no counts, or their preparation needs more than them.
        """
        check_reads(self.spec, self.scale)
        columns = self.columns(x, genes)
        return Reads(
            columns.x[:, self.index], columns.per_million, columns.floor, self.low, self.high
        )

    def columns(
        self, x: np.ndarray, genes: Sequence[str], *, absent: Absent = "refuse"
    ) -> "Columns":
        """log2 expression of all genes of training, to be read some genes at a time.

        Arguments and errors are those of `transform`.
        """
        x = self._align(np.asarray(x, dtype=np.float32), np.asarray(genes, dtype=str), absent)
        return Columns(x, self.scale, self.spec, self.reference, self.log_library)

    @property
    def needed(self) -> np.ndarray:
        """Gene ids without which a sample can't be prepared.

        All that training had where a value depends on other genes (library sizes of counts, what
        is done across genes); else those that are kept.
        """
        depends = self.scale == "counts" or self.spec.across != "none"
        return self.all_genes if depends else self.genes

    def _align(self, x: np.ndarray, genes: np.ndarray, absent: Absent) -> np.ndarray:
        """`x` with the genes of training in their order; NaN where it lacks one."""
        if x.ndim != 2 or x.shape[1] != len(genes):
            raise InputError(f"Expected a column for each of {len(genes)} genes, got {x.shape}.")
        if np.array_equal(genes, self.all_genes):
            return x
        import pandas as pd

        index = pd.Index(genes)
        twice = np.unique(genes[index.duplicated() & np.isin(genes, self.needed)])
        if len(twice):
            raise InputError(
                f"{_few(twice)} stand there more than once, so which column is meant can't be told."
            )
        first = np.flatnonzero(~index.duplicated())
        found = index[first].get_indexer(self.all_genes)
        lacking = self.needed[~np.isin(self.needed, genes)]
        if len(lacking) and absent == "refuse":
            raise InputError(
                f"{_few(lacking)} are missing of the {len(self.needed):,} genes that are needed. "
                "Add them, or ask for their training mean instead (absent: mean)."
            )
        if len(lacking) == len(self.needed):
            raise InputError(
                f"None of the {len(self.needed):,} genes that are needed is there: expected ids "
                f"such as {self.needed[0]}, got ids such as {genes[0] if len(genes) else 'none'}."
            )
        aligned = x[:, first[found]]
        aligned[:, found < 0] = np.nan
        return aligned

    def save(self, path: Path) -> None:
        """Write everything to an npz file without pickle, atomically."""
        content = {**vars(self), "spec": self.spec.model_dump_json()}

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(file, **content)

        write_atomic(path, write)

    @classmethod
    def load(cls, path: Path) -> "Preprocessor":
        """Read what `save` wrote, in this version or an earlier one.

        Raises DamageError when the file can't be read.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            if "spec" not in found:
                found = _from_first(found)
            content = {field.name: found[field.name] for field in fields(cls)}
            content["spec"] = PreparationSpec.model_validate_json(str(content["spec"]))
            content["scale"] = str(content["scale"])
            content["log_library"] = float(content["log_library"])
        except UNREADABLE:
            raise DamageError(
                f"The preparation ({path.name}) can't be read: it is cut short or damaged."
            ) from None
        return cls(**content)


def _from_first(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What 0.1.0 wrote, with what it lacked: it had one choice of genes and two scalings."""
    spec = PreparationSpec(
        genes=max(len(found["index"]), FEWEST_GENES), scaling=str(found["scaling"])
    )
    fill = np.full(len(found["all_genes"]), np.nan, np.float32)
    fill[found["index"]] = found["fill"]
    nothing = np.empty(0, np.float32)
    return {
        **found,
        "spec": np.array(spec.model_dump_json()),
        "fill": fill,
        "reference": nothing,
        "log_library": np.array(0.0),
        "distribution": nothing,
        "steps": np.empty((0, len(found["index"])), np.float32),
    }


def _few(genes: np.ndarray) -> str:
    """How many genes, and which the first are."""
    more = ", …" if len(genes) > 5 else ""
    return f"{len(genes):,} genes ({', '.join(genes[:5])}{more})"


def check_reads(spec: PreparationSpec, scale: str) -> None:
    """Raise InputError unless prepared values follow from a sample's counts gene by gene.

    Args:
        spec: the preparation.
        scale: the scale that was found when the dataset was read.
    """
    scale = scale if spec.scale == "auto" else spec.scale
    if scale != "counts":
        raise InputError(
            "Binomial thinning draws fewer of a sample's reads, so it needs counts, but the values "
            f"are {scale}. Choose another augmentation."
        )
    if spec.across != "none" or spec.scaling == "rank":
        field, value = ("across", spec.across) if spec.across != "none" else ("scaling", "rank")
        raise InputError(
            "Binomial thinning needs values that follow from a gene's own reads, but with "
            f"{field}: {value} they depend on other genes or samples. Choose another preparation "
            "or another augmentation."
        )


class Columns:
    """log2 expression of a matrix, some genes at a time."""

    def __init__(
        self,
        x: np.ndarray,
        scale: str,
        spec: PreparationSpec,
        reference: np.ndarray,
        log_library: float,
    ) -> None:
        if scale not in ("counts", "linear", "log2"):
            raise InputError(f"Unknown scale {scale!r}. Known: counts, linear, log2.")
        self.x, self.scale, self.floor = x, scale, np.float32(spec.floor)
        self.per_million = np.ones((len(x), 1), np.float32)
        if scale == "counts":
            factors = None
            if len(reference):
                factors = np.array([[_tmm_factor(row, reference)] for row in x]) / 2**log_library
            self.per_million = find_per_million(x, factors)

    def parts(self, genes: np.ndarray) -> list[np.ndarray]:
        """Genes cut into parts that are small beside the matrix."""
        return np.array_split(genes, max(1, -(-len(genes) * len(self.x) // VALUES_AT_A_TIME)))

    def take(self, genes: np.ndarray) -> np.ndarray:
        """log2 expression (samples, len(genes)) with the floor; NaN where it is missing."""
        x = to_log2(np.take(self.x, genes, axis=1), self.scale, self.per_million)
        return np.maximum(x, self.floor, out=x)

    def filled(self, genes: np.ndarray, fill: np.ndarray) -> np.ndarray:
        """The same, with `fill` (all genes,) where a value is missing."""
        log = self.take(genes)
        np.copyto(log, fill[genes], where=np.isnan(log))
        return log


def find_per_million(x: np.ndarray, factors: np.ndarray | None = None) -> np.ndarray:
    """(samples, 1) float32: what the counts of each sample are multiplied by.

    Args:
        x: (samples, all genes of the library) counts; NaN where they are missing.
        factors: (samples, 1) by which libraries are corrected, as by TMM.
    """
    library = np.array([[np.nansum(row, dtype=np.float64)] for row in x])
    if factors is not None:
        library *= factors
    return (1e6 / np.maximum(library, 1)).astype(np.float32)


def to_log2(x: np.ndarray, scale: str, per_million: np.ndarray | float = 1.0) -> np.ndarray:
    """log2 expression (samples, genes) float32: of counts log2 of counts per million + 1.

    Of linear values log2 of the value + 1; log2 values are given back as they are, not copied.
    Counts and linear values below 0 count as 0.

    Args:
        x: (samples, genes) float32 as measured.
        scale: counts, linear or log2.
        per_million: of counts, as `find_per_million` gives it.
    """
    if scale == "log2":
        return x
    raised = np.maximum(x, 0)
    return _log2(raised * per_million + 1 if scale == "counts" else raised + 1)


def _log2(x: np.ndarray) -> np.ndarray:
    """Logarithms in place of float32 x, rounded from float64.

    float32 ones differ in their last bits between kinds of processor.
    """
    return np.log2(x, out=x, dtype=np.float64, casting="same_kind")


def _fill_values(log: np.ndarray, spec: PreparationSpec) -> np.ndarray:
    """What replaces a missing value of each gene."""
    if spec.missing == "floor":
        return np.full(log.shape[1], spec.floor, np.float32)
    holes = np.isnan(log)
    if not holes.any():
        return np.median(np.ascontiguousarray(log.T), axis=1, overwrite_input=True)
    empty = holes.all(axis=0)
    return np.nanmedian(np.where(empty, np.float32(spec.floor), log), axis=0)


def _choose_reference(x: np.ndarray) -> np.ndarray:
    """The sample whose upper quartile, over its library size, is nearest to the mean of all."""
    x = np.nan_to_num(x)
    library = np.maximum(x.sum(axis=1, dtype=np.float64), 1)
    upper = np.array([np.percentile(row[row > 0], 75) if (row > 0).any() else 0 for row in x])
    share = upper / library
    return x[int(np.abs(share - share.mean()).argmin())].copy()


def _tmm_factor(counts: np.ndarray, reference: np.ndarray) -> float:
    """Trimmed mean of M values of one sample (Robinson & Oshlack 2010, Genome Biol. 11:R25).

    30 % of the log ratios and 5 % of the mean intensities are trimmed on either side; the rest is
    weighted by the inverse of its asymptotic variance.
    """
    own, other = np.nan_to_num(counts).astype(np.float64), reference.astype(np.float64)
    n_own, n_other = own.sum(), other.sum()
    both = (own > 0) & (other > 0)
    if not both.any():
        return 1.0
    own, other = own[both], other[both]
    ratio = np.log2((own / n_own) / (other / n_other))
    intensity = 0.5 * np.log2((own / n_own) * (other / n_other))
    if np.abs(ratio).max() < 1e-6:
        return 1.0
    n = len(ratio)
    keep = np.ones(n, bool)
    for values, share in ((ratio, 0.3), (intensity, 0.05)):
        cut = int(n * share)
        rank = values.argsort(kind="stable").argsort(kind="stable")
        keep &= (rank >= cut) & (rank < n - cut)
    if not keep.any():
        return 1.0
    weight = 1 / ((n_own - own) / (n_own * own) + (n_other - other) / (n_other * other))
    return float(2 ** np.average(ratio[keep], weights=weight[keep]))


def _ranks(genes: int) -> np.ndarray:
    """What replaces a sample's values, from the lowest to the highest, with across: rank."""
    return np.arange(genes, dtype=np.float32) / np.float32(max(genes - 1, 1))


def _across(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Replace each sample's values by those of a sorted profile at their ranks."""
    target = stretch(target, x.shape[1])
    out = np.empty_like(x)
    for row, values in enumerate(x):
        out[row] = spread_ranks(values, target)
    return out


def stretch(distribution: np.ndarray, count: int) -> np.ndarray:
    """A sorted profile for another number of genes, (count,).

    The value of rank r among so many is the profile's at the share (r + 1/2) / count.
    """
    if count == len(distribution):
        return distribution
    places = (np.arange(count) + 0.5) / max(count, 1) * len(distribution) - 0.5
    return np.interp(places, np.arange(len(distribution)), distribution)


def spread_ranks(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Values (n,) replaced by the sorted ones of `target` (n,) at their ranks, as float32.

    Equal values get the mean of what their ranks get.
    """
    sums = np.concatenate([[0], np.cumsum(target, dtype=np.float64)])
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((sums[ends] - sums[ends - counts]) / counts)[inverse].astype(np.float32)


def _dispersion(mean: np.ndarray, variance: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Variance in SD above that of genes with a similar mean, in twenty groups of equal size.

    As Seurat's mean.var.plot (Satija et al. 2015), on the log scale.
    """
    score = np.full(len(mean), -np.inf)
    order = np.flatnonzero(usable)[np.argsort(mean[usable], kind="stable")]
    for group in np.array_split(order, min(20, max(1, len(order) // 10))):
        log = np.log(variance[group])
        score[group] = (log - log.mean()) / max(log.std(), 1e-9)
    return score


def _fit_scaling(kept: np.ndarray, scaling: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values that become 0 and 1 for each gene, and the quantiles by which ranks are found."""
    steps = np.empty((0, kept.shape[1]), np.float32)
    if scaling == "zscore":
        centre, spread = kept.mean(axis=0), kept.std(axis=0)
    elif scaling == "robust":
        centre = np.median(kept, axis=0)
        spread = MAD_TO_SD * np.median(np.abs(kept - centre), axis=0)
        spread = np.where(spread > SMALLEST_SD, spread, kept.std(axis=0))
    if scaling in ("zscore", "robust"):
        low, high = centre - Z_LIMIT * spread, centre + Z_LIMIT * spread
    else:
        low, high = kept.min(axis=0), kept.max(axis=0)
    if scaling == "rank":
        steps = np.quantile(kept, np.linspace(0, 1, RANK_STEPS), axis=0).astype(np.float32)
    return low.astype(np.float32), high.astype(np.float32), steps


def _to_unit(
    values: np.ndarray, scaling: str, low: np.ndarray, high: np.ndarray, steps: np.ndarray
) -> np.ndarray:
    """Values (samples, genes) as [0, 1] float32."""
    if scaling != "rank":
        return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    unit = np.empty(values.shape, np.float32)
    share = np.linspace(0, 1, len(steps))
    for gene in range(values.shape[1]):
        below = np.interp(values[:, gene], *_first_of_equals(steps[:, gene], share))
        unit[:, gene] = below
    return unit


def _first_of_equals(steps: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles without repeats, each with the mean of the shares that it stands for."""
    values, inverse = np.unique(steps, return_inverse=True)
    return values, np.bincount(inverse, weights=share) / np.bincount(inverse)
