"""Bringing another cohort to the cohort that a model learned from, in log2 expression.

Everything here ends with the rows that the model's networks see. A cohort may be large, so that
samples are worked on some at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from anndata import AnnData

from core.data.prepare import Preprocessor, find_per_million, spread_ranks, stretch, to_log2
from core.data.profile import is_centred
from core.errors import InputError
from core.predict.combat import shrink_moments
from core.records import Registry

if TYPE_CHECKING:
    from core.predict.reference import Reference

ROWS = 256
"""Samples that are worked on at once."""
SMALLEST_SD = 1e-4
"""Genes of a cohort that vary less say nothing about its samples."""


class Prepared(Protocol):
    """A fold with its fitted preparation: a `FittedModel`."""

    @property
    def preprocessor(self) -> Preprocessor:
        """What was fitted on the fold's samples."""


@dataclass(frozen=True)
class Together:
    """A way of bringing a cohort to the one that a model learned from."""

    name: str
    title: str
    help: str
    learns_from_cohort: bool = False
    """Whether a sample's values depend on the other samples of its cohort."""
    needs_like_classes: bool = False
    """Whether it is right only where the cohort has a mix of classes like that of training."""
    any_scale: bool = True
    """Whether values on another scale than training's are taken, as log2 of them."""
    fewest: int = 1
    """Samples that it needs."""


TOGETHER: Registry[Together] = Registry(
    "way of bringing cohorts together",
    [
        Together(
            name="none",
            title="None",
            help="Values are prepared as those of training were. Right where both cohorts were "
            "measured and processed alike.",
            any_scale=False,
        ),
        Together(
            name="quantile",
            title="Quantiles of each sample",
            help="Each sample's values over the model's genes are replaced by those that training "
            "samples have at the same ranks, on average (Bolstad et al. 2003). Each sample by "
            "itself: nothing is learned from the new cohort. It takes away what differs between "
            "whole samples, not what differs between single genes.",
        ),
        Together(
            name="gene_moments",
            title="Mean and SD of each gene",
            help="Each gene of the new cohort is moved and stretched to the mean and SD that it "
            "has in training. It is learned from all samples of the new cohort, and right only if "
            "they are a like mix of classes: where one class is more frequent than in training, "
            "its own genes are taken for a difference between laboratories.",
            learns_from_cohort=True,
            needs_like_classes=True,
            fewest=10,
        ),
        Together(
            name="combat",
            title="ComBat",
            help="Mean and SD of each gene, drawn towards what all genes have in common, the more "
            "so the fewer samples there are (Johnson et al. 2007; training is the reference batch "
            "and stays as it is). Learned from all samples of the new cohort, and right only if "
            "they are a like mix of classes.",
            learns_from_cohort=True,
            needs_like_classes=True,
            fewest=10,
        ),
    ],
)


def same_scale(preprocessor: Preprocessor, scale: str) -> bool:
    """Whether values on a scale (counts, linear or log2) can be prepared as those of training.

    Where a run was told that its values are counts, or linear, what was read as the other may be
    the same kind of values.
    """
    told = preprocessor.spec.scale != "auto"
    doubtful = {"counts", "linear"}
    return scale == preprocessor.scale or (told and {scale, preprocessor.scale} == doubtful)


def check_together(preprocessor: Preprocessor, data: AnnData, together: str) -> None:
    """Raise InputError, with what to do, where a cohort can't be brought to training this way."""
    record, spec, scale = TOGETHER[together], preprocessor.spec, str(data.uns["scale"])
    if together != "none" and spec.across != "none":
        how = "ranks" if spec.across == "rank" else "quantiles"
        raise InputError(
            f"The model's own preparation takes {how} within each sample (across: {spec.across}), "
            f"which brings cohorts together already. Choose {TOGETHER['none'].title!r}."
        )
    if not record.any_scale and not same_scale(preprocessor, scale):
        wanted, found = _SCALES[preprocessor.scale], _SCALES[scale]
        others = [other.title for other in TOGETHER if other.any_scale]
        or_choose = ""
        if spec.across == "none":
            or_choose = f", or choose {' or '.join(map(repr, others))}, which take any scale"
        raise InputError(
            f"The model learned from {wanted}, and these are {found}. Bring {wanted}{or_choose}."
        )
    if data.n_obs < record.fewest:
        raise InputError(
            f"{record.title!r} is learned from the new cohort and needs at least {record.fewest} "
            f"samples of it; there are {data.n_obs}. Choose {TOGETHER['quantile'].title!r}, which "
            "takes each sample by itself."
        )


_SCALES = {
    "counts": "counts of reads",
    "linear": "linear values (TPM, FPKM)",
    "log2": "log2 values",
}


def prepare_rows(
    fitted: Prepared,
    reference: Reference,
    data: AnnData,
    together: str,
    positions: np.ndarray | None = None,
) -> np.ndarray:
    """What a fold's network sees of some samples: `prepare_parts` in one matrix."""
    parts = [rows for _, rows in prepare_parts(fitted, reference, data, together, positions)]
    return np.concatenate(parts)


def prepare_parts(
    fitted: Prepared,
    reference: Reference,
    data: AnnData,
    together: str,
    positions: np.ndarray | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """What a fold's network sees of a cohort, some samples at a time.

    Genes that are missing become their training mean. A library of counts that lacks genes is
    taken for the share of a training library that the others have.

    Args:
        fitted: the fold.
        reference: what is kept of the samples that it learned from.
        data: the cohort, with genes under the model's ids (`match_genes`) and `uns["scale"]`.
        together: a name in TOGETHER.
        positions: of the samples that are asked for, by default all. What is learned from the
            cohort is learned from all of it.

    Yields:
        Where they stand among those that are asked for, and (samples, genes of the model) float32
        in [0, 1].

    Raises:
        InputError: as `check_together` does; none of the model's genes is there, or one stands
            there twice.
    """
    preprocessor = fitted.preprocessor
    check_together(preprocessor, data, together)
    genes = data.var_names.to_numpy().astype(str)
    if together == "none":
        share = library_share(preprocessor, reference, genes)
        for at, x in _parts(data, positions):
            yield at, preprocessor.transform(x, genes, absent="mean", library_share=share)
    elif together == "quantile":
        for at, log in _floored(preprocessor, data, positions):
            yield at, preprocessor.scale_log(_to_distribution(log, reference.distribution))
    else:
        learn = _shrink if together == "combat" else _match
        centre, factor = learn(_moments(preprocessor, data), reference)
        for at, log in _floored(preprocessor, data, positions):
            yield at, preprocessor.scale_log((log - centre) * factor + reference.log_mean)


def library_share(preprocessor: Preprocessor, reference: Reference, genes: np.ndarray) -> float:
    """The share of a training sample's reads that is in `genes`; 1 where it isn't known.

    Args:
        preprocessor: of a fold.
        reference: what is kept of its training samples.
        genes: ids of a cohort.
    """
    if not len(reference.library_share):
        return 1.0
    return float(reference.library_share[np.isin(preprocessor.all_genes, genes)].sum())


def log_parts(
    preprocessor: Preprocessor, data: AnnData, positions: np.ndarray | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Some samples at a time, their log2 expression (samples, genes of the model) float32.

    Of counts log2 of counts per million + 1, of linear values log2 of the value + 1, whatever the
    model learned from; without a floor, NaN where a value or a gene is missing.

    Raises InputError where none of the model's genes is there, or one stands there twice.
    """
    genes, scale = data.var_names.to_numpy().astype(str), str(data.uns["scale"])
    where, places = _places(preprocessor.genes, genes)
    for at, x in _parts(data, positions):
        log = np.full((len(x), len(preprocessor.genes)), np.nan, np.float32)
        per_million = find_per_million(x) if scale == "counts" else 1.0
        log[:, where] = to_log2(x[:, places], scale, per_million)
        yield at, log


def _floored(
    preprocessor: Preprocessor, data: AnnData, positions: np.ndarray | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """The same with the preparation's floor, unless that would take half of the values away.

    log2 values around 0 are log ratios or centred genes: they are moved to training's first.
    """
    keeps_low = data.uns["scale"] == "log2" and is_centred(np.asarray(data.X))
    floor = np.float32(-np.inf if keeps_low else preprocessor.spec.floor)
    for at, log in log_parts(preprocessor, data, positions):
        yield at, np.maximum(log, floor)


def _places(wanted: np.ndarray, genes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the wanted genes are there, and in which column each of these is."""
    order = np.argsort(genes, kind="stable")
    left = np.searchsorted(genes, wanted, side="left", sorter=order)
    right = np.searchsorted(genes, wanted, side="right", sorter=order)
    if (twice := right - left > 1).any():
        raise InputError(
            f"{twice.sum()} genes of the model stand there more than once (such as "
            f"{wanted[twice][0]}), so which column is meant can't be told."
        )
    where = np.flatnonzero(right > left)
    if not len(where):
        raise InputError(
            f"None of the {len(wanted):,} genes of the model is there: expected ids such as "
            f"{wanted[0]}, got ids such as {genes[0] if len(genes) else 'none'}."
        )
    return where, order[left[where]]


def _parts(
    data: AnnData, positions: np.ndarray | None = None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Some samples at a time, as measured: (samples, genes of the cohort) float32."""
    x = np.asarray(data.X)  # once: of a part of a dataset it is a copy
    asked = len(x) if positions is None else len(positions)
    for start in range(0, asked, ROWS):
        at = slice(start, min(start + ROWS, asked))
        yield at, np.asarray(x[at if positions is None else positions[at]], dtype=np.float32)


def _to_distribution(log: np.ndarray, distribution: np.ndarray) -> np.ndarray:
    """Each sample's values replaced by the distribution's at their ranks; NaN stay."""
    out = np.full_like(log, np.nan)
    targets: dict[int, np.ndarray] = {}
    for row, values in enumerate(log):
        there = np.isfinite(values)
        count = int(there.sum())
        if count not in targets:
            targets[count] = stretch(distribution, count)
        out[row, there] = spread_ranks(values[there], targets[count])
    return out


@dataclass(frozen=True)
class _Moments:
    """Of a cohort's log2 expression, (genes,) each."""

    count: np.ndarray
    """Samples that have a value"""
    mean: np.ndarray
    """NaN for genes without one"""
    sd: np.ndarray


def _moments(preprocessor: Preprocessor, data: AnnData) -> _Moments:
    count, total, squares = np.zeros((3, len(preprocessor.genes)))
    near: np.ndarray | None = None
    for _, log in _floored(preprocessor, data):
        there = np.isfinite(log)
        if near is None:  # squares of what is left lose no digits
            near = np.where(there, log, 0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        moved = np.where(there, log - near, 0).astype(np.float64)
        count += there.sum(axis=0)
        total += moved.sum(axis=0)
        squares += (moved**2).sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = total / count
        sd = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return _Moments(count, (mean + near).astype(np.float32), sd.astype(np.float32))


def _match(found: _Moments, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """What is taken from each gene, and by what the rest is multiplied: its mean, and its SD."""
    factor = reference.log_sd / np.maximum(found.sd, SMALLEST_SD)
    return found.mean, np.where(found.sd > SMALLEST_SD, factor, 0)


def _shrink(found: _Moments, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """The same by ComBat; genes that don't vary in one of the cohorts stay as they are."""
    vary = (found.sd > SMALLEST_SD) & (reference.log_sd > SMALLEST_SD)
    count, mean, sd = found.count[vary], reference.log_mean[vary], reference.log_sd[vary]
    shift, variance = shrink_moments(
        count, (found.mean[vary] - mean) / sd, (found.sd[vary] / sd) ** 2 * count / (count - 1)
    )
    centre, factor = np.array(reference.log_mean, np.float64), np.ones(len(vary))
    centre[vary] = mean + sd * shift
    factor[vary] = 1 / np.sqrt(variance)
    return centre, factor
