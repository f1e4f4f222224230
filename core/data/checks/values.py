"""Checks of the values: missing, below 0, of which scale, constant, copied, far from all others."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from core.data.checks.looked_at import Checked, list_names
from core.data.notes import Finding, Repair
from core.data.profile import CENTRED
from core.data.roles import SAMPLE_TYPE_NAMES, find_column

NEARLY_THE_SAME = 0.97
"""Correlation over standardised genes from which two samples are taken for one specimen. The
closest pairs of different patients in 1 204 TCGA samples reach .949."""
FAR_AWAY = 5.0
"""Robust SD below the median similarity from which a sample is unlike all others."""
POOR_LIBRARY = 0.1
"""Share of the median library size below which a sample was hardly sequenced."""


def check_missing(at: Checked) -> Iterator[Finding]:
    """Missing values, above all those that stand in some classes only."""
    missing = at.profile.missing
    if not missing.any():
        return
    done = {
        "median": "are filled with the gene's median over the training samples",
        "floor": f"become the floor, {at.preparation.floor:g}",
        "drop": "their genes are left out",
    }[at.preparation.missing]
    genes = int((at.profile.gene_missing > 0).sum())
    text = f"{missing.sum():,} values are missing, in {genes:,} genes; they {done}."
    if at.preparation.missing == "drop":
        text = f"{missing.sum():,} values are missing; the {genes:,} genes with such are left out."
        yield Finding(severity="info", code="missing_values", message=text)
        return
    where = _name_concentrated(missing, at.column(at.label))
    if where:
        text += f" They stand in {where} only: how they are filled may give the class away."
    yield Finding(
        severity="warning" if where else "info",
        code="missing_values",
        message=text,
        repair=Repair(
            title=f"Leave these {genes} genes out", changes={"preparation": {"missing": "drop"}}
        )
        if genes < at.data.n_vars // 2
        else None,
    )


def _name_concentrated(counts: np.ndarray, labels: pd.Series | None) -> str | None:
    """The classes that hold at least 95 % of the counted values, unless these are most classes."""
    if labels is None:
        return None
    by_class = pd.Series(counts, index=labels.index).groupby(labels).sum()
    by_class = by_class.sort_values(ascending=False, kind="stable")
    needed = int((by_class.cumsum() < 0.95 * by_class.sum()).sum()) + 1
    if needed > max(1, len(by_class) // 3) or len(by_class) < 2:
        return None
    return " and ".join(sorted(by_class.index[:needed]))


def check_floor(at: Checked) -> Iterator[Finding]:
    """Values below 0, and a lowest value that differs between classes."""
    negative = int(at.profile.negative.sum())
    if not negative:
        return
    lowest = np.nanmin(at.profile.lowest)
    if at.scale != "log2":
        text = f"{negative} values are below 0, which {at.scale} can't be. They count as 0."
        yield Finding(severity="warning", code="below_zero", message=text)
        return
    floor = at.preparation.floor
    measured = at.data.n_obs * at.data.n_vars - int(at.profile.missing.sum())
    if negative > CENTRED * measured and floor > lowest:
        yield Finding(
            severity="warning",
            code="centred",
            message=f"{negative / measured:.0%} of the values are below 0: these look like log "
            f"ratios, centred genes or z scores, and a floor of {floor:g} cuts their lower half "
            "off.",
            repair=Repair(
                title="Keep the low values",
                changes={"preparation": {"floor": max(-20.0, float(np.floor(lowest)))}},
            ),
        )
        return
    text = f"{negative:,} log2 values are below 0 (lowest {lowest:.3g})."
    where, common = _find_lower_floor(at.profile.lowest, at.column(at.label))
    if where is None:
        text += f" Values below {floor:g} become {floor:g} for all samples alike."
        yield Finding(severity="info", code="below_zero", message=text)
        return
    text += f" In {where} they reach much lower than elsewhere, a sign of another processing. "
    if floor >= common - 1:
        text += f"A common floor of {floor:g} for all samples hides that."
        yield Finding(severity="warning", code="below_zero", message=text)
        return
    text += f"With a floor of {floor:g} a model could tell the class by the processing."
    repair = Repair(
        title=f"A common floor of {max(0.0, common):.3g}",
        changes={"preparation": {"floor": max(0.0, round(common, 2))}},
    )
    yield Finding(severity="error", code="below_zero", message=text, repair=repair, decisive=True)


def _find_lower_floor(lowest: np.ndarray, labels: pd.Series | None) -> tuple[str | None, float]:
    """Classes whose lowest value is more than 1 below the median class's, and that value."""
    if labels is None or labels.nunique() < 3:
        return None, 0.0
    by_class = pd.Series(lowest, index=labels.index).groupby(labels).min()
    lower = by_class.index[by_class < by_class.median() - 1]
    return (" and ".join(sorted(lower)) if len(lower) else None), float(by_class.median())


def check_scale(at: Checked) -> Iterator[Finding]:
    """Values that may be counts although few are whole: their depth would stay uncorrected."""
    if at.profile.doubt and at.preparation.scale == "auto":
        yield Finding(
            severity="warning",
            code="scale",
            message=f"The scale isn't clear. {at.profile.evidence} If these are counts (estimated "
            "by RSEM, salmon or tximport), the depth of sequencing must be corrected, or it tells "
            "samples apart.",
            repair=Repair(
                title=f"They are {at.profile.doubt}",
                changes={"preparation": {"scale": at.profile.doubt}},
            ),
        )


def check_constant(at: Checked) -> Iterator[Finding]:
    """Genes without any variation."""
    constant = ~(at.profile.gene_highest > at.profile.gene_lowest)
    if constant.any():
        text = (
            f"{constant.sum()} genes have the same value in all samples (such as "
            f"{list_names(at.data.var_names[constant][:3])}); they are left out."
        )
        yield Finding(severity="info", code="constant_genes", message=text)


def check_copies(at: Checked) -> Iterator[Finding]:
    """Samples that are the same, or nearly: the same specimen measured twice, or mixed up."""
    hashes = np.array(
        [hashlib.blake2b(np.ascontiguousarray(row), digest_size=8).hexdigest() for row in at.data.X]
    )
    series = pd.Series(hashes)
    copies = series.duplicated(keep=False).to_numpy()
    names = at.data.obs_names
    if copies.any():
        again = names[series.duplicated().to_numpy()].tolist()
        yield Finding(
            severity="warning",
            code="identical_samples",
            message=f"{copies.sum()} samples are copies of one another (such as "
            f"{list_names(names[copies])}). On two sides of a split they make results look "
            "better than they are.",
            repair=Repair(title="Keep one of each", changes={"leave_out": again}),
        )
    pairs = [
        (a, b, r) for a, b, r in at.similarity.pairs
        if r >= NEARLY_THE_SAME and hashes[a] != hashes[b]
    ]  # fmt: skip
    if not pairs:
        return
    a, b, r = pairs[0]
    text = f"{names[a]} and {names[b]} are nearly the same (correlation {r:.3f})"
    if len(pairs) > 1:
        text = f"{len(pairs)} pairs of samples are nearly the same; {text}"
    if unlike := _differ_in(at, a, b):
        text += f", yet they differ in {unlike}, so one of them may be mixed up"
    text += ". On two sides of a split such samples make results look better than they are."
    doubtful = {str(names[n]) for a, b, _ in pairs for n in (a, b) if _differ_in(at, a, b)}
    again = {str(names[b]) for _, b, _ in pairs}
    yield Finding(
        severity="warning",
        code="similar_samples",
        message=text,
        repair=Repair(
            title="Leave both out" if unlike else "Keep one of each",
            changes={"leave_out": sorted(doubtful | again)},
        ),
    )


def _differ_in(at: Checked, a: int, b: int) -> str:
    """The columns of class, patient or sample type in which two samples differ."""
    named = (at.label, at.group, find_column(at.data, SAMPLE_TYPE_NAMES))
    columns = [name for name in named if name in at.data.obs]
    unlike = [n for n in dict.fromkeys(columns) if at.data.obs[n].iloc[a] != at.data.obs[n].iloc[b]]
    return " and ".join(unlike)


def check_outliers(at: Checked) -> Iterator[Finding]:
    """Samples unlike all others, or hardly sequenced."""
    names = at.data.obs_names
    near = at.similarity.nearest
    spread = 1.4826 * np.median(np.abs(near - np.median(near)))
    far = near < np.median(near) - FAR_AWAY * max(spread, 1e-6)
    if far.any() and at.data.n_obs >= 20:
        ids = names[far][np.argsort(near[far])].tolist()
        yield Finding(
            severity="warning",
            code="outliers",
            message=f"{len(ids)} samples are unlike all others ({list_names(ids)}): degraded RNA, "
            "another tissue or a mix-up? They may distort the scaling of genes.",
            repair=Repair(title="Leave them out", changes={"leave_out": ids}),
        )
    if at.scale == "counts":
        poor = at.profile.total < POOR_LIBRARY * np.median(at.profile.total)
        if poor.any():
            ids = names[poor].tolist()
            yield Finding(
                severity="warning",
                code="poor_library",
                message=f"{len(ids)} samples have less than a tenth of the median reads "
                f"({list_names(ids)}): their low values are mostly noise.",
                repair=Repair(title="Leave them out", changes={"leave_out": ids}),
            )
