"""Two groups of samples compared gene by gene: differential genes, and what speaks against them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import stats

from core.data.checks.classes import NESTED, STRONG, compare_columns
from core.data.groups import SampleGroup, check_apart
from core.data.notes import Finding
from core.data.prepare import find_per_million, to_log2
from core.errors import InputError
from core.explain.genes import has_fold_change, welch_test

LEAST = 2
"""Samples of a group, and values of a gene in each group, without which nothing can be tested."""
FEW = 10
"""Samples of a group below which the test finds large differences only."""
VALUES_AT_A_TIME = 4_000_000
"""Of the matrix, whose logarithms are taken some genes at a time."""


def compare_groups(data: AnnData, one: SampleGroup, other: SampleGroup) -> pd.DataFrame:
    """Each gene's log2 expression in one group against another, tested as usual in the field.

    Welch's t test on log2 expression (of counts: counts per million + 1), two-sided; the false
    discovery rate is Benjamini and Hochberg's over the genes tested (1995). It takes samples for
    independent; `judge_groups` says where they are not.

    Args:
        data: a dataset; samples of the groups that it lacks are left out.
        one: a group of two samples or more.
        other: another that shares no sample with it.

    Returns:
        A row a gene with two values or more in each group, the lowest p first: gene, log2fc (mean
        log2 expression in `one` minus that in `other`; where `has_fold_change` says no, of the
        file's values, in no unit), mean_one, mean_other, t, p, fdr.

    Raises:
        InputError: a sample is in both groups, or a group has fewer than two of these samples.
    """
    check_apart(one, other)
    sides = [np.flatnonzero(data.obs_names.isin(list(group.samples))) for group in (one, other)]
    for group, rows in zip((one, other), sides, strict=True):
        if len(rows) < LEAST:
            raise InputError(
                f"The group {group.name!r} has {len(rows)} of the samples that are used here. A "
                f"test needs at least {LEAST} in each group."
            )
    x, scale = np.asarray(data.X, np.float32), str(data.uns["scale"])
    per_million = find_per_million(x) if scale == "counts" else np.ones((len(x), 1), np.float32)
    parts = max(1, -(-x.size // VALUES_AT_A_TIME))
    found = [
        _compare([to_log2(x[rows][:, genes], scale, per_million[rows]) for rows in sides])
        for genes in np.array_split(np.arange(x.shape[1]), parts)
        if len(genes)
    ]
    table = pd.concat(found, ignore_index=True)
    table.insert(0, "gene", data.var_names.to_numpy().astype(str))
    table = table[np.isfinite(table["p"])].copy()
    if table.empty:
        raise InputError("No gene has two values in each group, so that none can be tested.")
    table["fdr"] = stats.false_discovery_control(table["p"])
    order = np.lexsort((-table["t"].abs(), table["p"]))
    return table.iloc[order].reset_index(drop=True)


def _compare(sides: list[np.ndarray]) -> pd.DataFrame:
    """Some genes: log2fc, mean_one, mean_other, t and p, NaN where a side has too few values."""
    one, other = (side.astype(np.float64) for side in sides)
    full = np.isfinite(one).all(axis=0) & np.isfinite(other).all(axis=0)
    t, p, means = *np.full((2, len(full)), np.nan), np.full((2, len(full)), np.nan)
    t[full], p[full] = welch_test(one[:, full], other[:, full])
    means[:, full] = one[:, full].mean(axis=0), other[:, full].mean(axis=0)
    for gene in np.flatnonzero(~full):
        a, b = (side[np.isfinite(side[:, gene])][:, [gene]] for side in (one, other))
        if min(len(a), len(b)) >= LEAST:
            (t[gene],), (p[gene],) = welch_test(a, b)
            means[:, gene] = a.mean(), b.mean()
    names = ("log2fc", "mean_one", "mean_other", "t", "p")
    values = (means[0] - means[1], *means, t, p)
    return pd.DataFrame(dict(zip(names, values, strict=True)))


def judge_groups(
    data: AnnData,
    one: SampleGroup,
    other: SampleGroup,
    patient: str | None = None,
    batch: str | None = None,
) -> list[Finding]:
    """What speaks against a comparison of two groups, worst first.

    Args:
        data: the dataset.
        one: a group.
        other: another.
        patient: the column of patients.
        batch: the column of batches or sites.
    """
    return list(_judge(data, one, other, patient, batch))


def _judge(
    data: AnnData, one: SampleGroup, other: SampleGroup, patient: str | None, batch: str | None
) -> Iterator[Finding]:
    obs = data.obs[data.obs_names.isin([*one.samples, *other.samples])].astype(str)
    named = pd.Series(np.where(obs.index.isin(list(one.samples)), one.name, other.name), obs.index)
    if batch is not None and obs[batch].nunique() > 1:
        v, alone = compare_columns(named, obs[batch])
        if alone >= NESTED:
            yield _warn(
                "batch",
                f"{alone:.0%} of the samples are in a {batch} with one group only. A gene may "
                f"differ because of the {batch}, and these samples can't show which it is.",
            )
        elif v >= STRONG:
            yield _warn(
                "batch",
                f"Group and {batch} go together (Cramér's V {v:.2f}): some of the differences may "
                f"come from the {batch}.",
            )
    if not has_fold_change(np.asarray(data.X), str(data.uns["scale"])):
        yield _warn(
            "centred",
            "Many of the file's log2 values are below 0: its genes were centred, so that "
            "differences are in no unit and no fold changes.",
        )
    if patient is not None:
        known = obs[patient][obs[patient] != ""]
        several = int((known.value_counts() > 1).sum())
        both = int((named[known.index].groupby(known).nunique() > 1).sum())
        if several:
            words = f"{several} patient{'s have' if several > 1 else ' has'} several samples here"
            words += f", {both} in both groups" if both else ""
            yield _warn(
                "dependent",
                f"{words}. The test takes samples for independent, so that its p is too low where "
                "a patient's samples are in one group.",
            )
    for group in (one, other):
        n = int((named == group.name).sum())
        if n < FEW:
            yield _warn("few", f"{group.name} has {n} samples: only large differences show.")


def _warn(code: str, message: str) -> Finding:
    return Finding(severity="warning", code=code, message=message)
