"""Checks of a dataset before anything is trained: what it is, what is wrong with it, what to do."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict
from scipy.stats.contingency import association, crosstab

from core.data.formats.unpack import Progress
from core.data.labels import find_alike
from core.data.notes import Finding, Repair
from core.data.prepare import PreparationSpec
from core.data.profile import MatrixProfile, profile
from core.data.roles import (
    LABEL_NAMES,
    SAMPLE_TYPE_NAMES,
    TCGA_NORMAL,
    find_column,
    suggest_batch,
    suggest_group,
    suggest_label,
)
from core.data.similarity import Similarity, compare_samples
from core.errors import InputError

SMALL_CLASS = 10
ID_LIKE = 0.5
"""Classes a sample from which a column looks like ids."""
MANY_NUMBERS = 10
"""Different numbers from which a column looks measured."""
NEARLY_THE_SAME = 0.97
"""Correlation over standardised genes from which two samples are taken for one specimen. The
closest pairs of different patients in 1 204 TCGA samples reach .949."""
FAR_AWAY = 5.0
"""Robust SD below the median similarity from which a sample is unlike all others."""
NESTED = 0.9
"""Share of samples in batches of one class from which class and batch can't be told apart."""
POOR_LIBRARY = 0.1
"""Share of the median library size below which a sample was hardly sequenced."""
LISTED = 4
STRONG = 0.3
"""Cramér's V from which class and batch are clearly associated."""


class DataCard(BaseModel):
    """What a dataset is, and what was found about it."""

    model_config = ConfigDict(frozen=True)

    samples: int
    genes: int
    label: str | None
    group: str | None
    batch: str | None
    classes: dict[str, int]
    """Class -> samples; empty without a label column."""
    patients: int | None
    batches: int | None
    scale: str
    evidence: str
    """What speaks for this scale."""
    steps: list[str]
    """The preparation in words."""
    findings: list[Finding]


@dataclass(frozen=True)
class _Checked:
    """Everything that the single checks look at."""

    data: AnnData
    profile: MatrixProfile
    similarity: Similarity
    preparation: PreparationSpec
    scale: str
    label: str | None
    group: str | None
    batch: str | None

    def column(self, name: str | None) -> pd.Series | None:
        return None if name is None else self.data.obs[name].astype(str)


def check_dataset(
    data: AnnData,
    label: str | None = None,
    group: str | None = None,
    batch: str | None = None,
    preparation: PreparationSpec | None = None,
    progress: Progress | None = None,
) -> DataCard:
    """Look through a dataset.

    Args:
        data: the samples that shall be used.
        label: the column of the class.
        group: the column of the patient.
        batch: the column of the batch, site or plate.
        preparation: how the values will be prepared; findings say what this does about them.
        progress: told the share that is done.

    Raises:
        InputError: a column isn't there.
    """
    for role, column in (("label", label), ("patient", group), ("batch", batch)):
        if column is not None and column not in data.obs:
            known = ", ".join(data.obs.columns) or "none"
            raise InputError(f"There is no {role} column {column!r}. Columns: {known}.")
    preparation = preparation or PreparationSpec()
    x = np.asarray(data.X)
    found = str(data.uns["scale"])
    scale = found if preparation.scale == "auto" else preparation.scale
    half: Callable[[float], None] | None = None
    if progress:
        half = lambda share: progress(share / 2)  # noqa: E731
    measured = profile(x, half)
    similarity = compare_samples(
        x, scale, None if progress is None else lambda share: progress(0.5 + share / 2)
    )
    checked = _Checked(data, measured, similarity, preparation, scale, label, group, batch)
    findings = [Finding.model_validate(finding) for finding in data.uns.get("findings", [])]
    findings += [finding for check in CHECKS for finding in check(checked)]
    order = {"error": 0, "warning": 1, "info": 2}
    labels = checked.column(label)
    groups, batches = checked.column(group), checked.column(batch)
    return DataCard(
        samples=data.n_obs,
        genes=data.n_vars,
        label=label,
        group=group,
        batch=batch,
        classes={} if labels is None else labels.value_counts().sort_index().to_dict(),
        patients=None if groups is None else groups[groups != ""].nunique(),
        batches=None if batches is None else batches[batches != ""].nunique(),
        scale=scale,
        evidence=measured.evidence,
        steps=preparation.describe(found),
        findings=sorted(findings, key=lambda finding: order[finding.severity]),
    )


def _name(names: Collection[str]) -> str:
    listed = [str(name) for name in names]
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more


def _check_label(at: _Checked) -> Iterator[Finding]:
    """A column must be chosen, with two classes or more, of some size each."""
    if at.label is None:
        yield _ask_for_label(at.data)
        return
    labels = at.column(at.label)
    classes = labels.value_counts().sort_index().to_dict()
    yield from _check_spellings(labels)
    yield from _check_classes(classes, at.label, at.data)


def _check_spellings(labels: pd.Series) -> Iterator[Finding]:
    """Classes that look like one, written in several ways."""
    alike = find_alike(labels)
    if alike:
        told = [f"{_quote(old)} for {_quote(new)}" for old, new in alike.items()]
        yield Finding(
            severity="warning",
            code="alike_classes",
            message=f"Classes that look like other spellings of one: {_name(told)}. As they are, "
            "each is learned as a class of its own.",
            repair=Repair(title="Take them as one", changes={"merge": alike}),
        )


def _quote(name: str) -> str:
    """A name in quotes, with letters that aren't Latin told by their number."""
    strange = sorted({letter for letter in name if not letter.isascii()})
    codes = ", ".join(f"U+{ord(letter):04X}" for letter in strange)
    return f"'{name}'" + (f" ({codes})" if codes else "")


def _ask_for_label(data: AnnData) -> Finding:
    suggested = suggest_label(data)
    if suggested:
        text = f"No label column is chosen; {suggested!r} looks like one."
        return Finding(severity="warning", code="no_label", message=text)
    for name in LABEL_NAMES:
        for column in data.obs.columns:
            if column.lower() == name and data.obs[column].nunique() == 1:
                return next(_check_classes({data.obs[column].iloc[0]: data.n_obs}, column, data))
    text = "There is no column of classes, so nothing can be trained. Add a table of labels."
    return Finding(severity="warning", code="no_label", message=text)


def _check_classes(classes: dict[str, int], label: str, data: AnnData) -> Iterator[Finding]:
    named = {name: n for name, n in classes.items() if name}
    kind = _name_no_classes(named, data.n_obs)
    if kind:
        yield Finding(
            severity="error" if kind == "ids" else "warning",
            code=f"label_{kind}",
            message=f"{label} has {len(named)} different values for {data.n_obs} samples (such as "
            f"{_name(list(named)[:3])}): it looks like "
            + ("an id" if kind == "ids" else "something measured")
            + ", not like classes. Choose another column.",
        )
        return
    if "" in classes:
        ids = data.obs_names[data.obs[label].astype(str) == ""].tolist()
        yield Finding(
            severity="error",
            code="unlabelled",
            message=f"{len(ids)} samples have no {label}: nothing can be learned from them.",
            repair=Repair(title="Leave them out", changes={"leave_out": ids}),
        )
    if len(named) < 2:
        only = ", ".join(map(repr, named)) or "without a class"
        text = f"All samples are {only}: training needs at least two classes."
        yield Finding(severity="error", code="one_class", message=text)
    small = {name: n for name, n in named.items() if n < SMALL_CLASS}
    if small:
        rest = [name for name in named if name not in small]
        listed = _name([f"{name} ({n})" for name, n in small.items()])
        yield Finding(
            severity="warning",
            code="small_class",
            message=f"Very few samples in {listed}: their scores will hang on single samples, and "
            "some splits are impossible.",
            repair=Repair(title="Leave these classes out", changes={"where": {label: sorted(rest)}})
            if len(rest) > 1
            else None,
        )


def _name_no_classes(named: Collection[str], samples: int) -> str:
    """What the values of a column are, when they are no classes: ids, numbers, or nothing."""
    if len(named) < MANY_NUMBERS:
        return ""
    numbers = pd.to_numeric(pd.Series(list(named)), errors="coerce")
    if numbers.notna().all() and (numbers % 1 != 0).any():
        return "numbers"
    if len(named) >= ID_LIKE * samples:
        whole = bool(numbers.notna().all())
        return "numbers" if whole and len(named) < samples else "ids"
    return "numbers" if numbers.notna().all() and len(named) > 2 * MANY_NUMBERS else ""


def _check_patients(at: _Checked) -> Iterator[Finding]:
    """Samples of one patient must be known as such."""
    patients = at.column(at.group)
    if patients is not None:
        counts = patients[patients != ""].value_counts()
        text = (
            f"{len(counts):,} patients, {int((counts > 1).sum()):,} of them with several samples."
        )
        paired = _count_pairs(at.data, patients)
        if paired:
            text += f" {paired} have both tumour and normal tissue here."
        yield Finding(severity="info", code="patients", message=text)
        unknown = int((patients == "").sum())
        if unknown:
            text = f"{unknown} samples have no {at.group}; they count as one patient."
            yield Finding(severity="warning", code="missing_patients", message=text)
        return
    text = (
        "Without a patient column samples can't be grouped: two samples of one patient may stand "
        "on both sides of a split and make results look better than they are."
    )
    suggested = suggest_group(at.data)
    if suggested:
        several = int((at.data.obs[suggested].astype(str).value_counts() > 1).sum())
        text += f" Column {suggested!r} looks like patients; {several} have several samples."
    else:
        text += " There are no patient ids that could be used."
    yield Finding(
        severity="warning",
        code="no_patients",
        message=text,
        repair=Repair(title=f"Take {suggested}", changes={"group": suggested})
        if suggested
        else None,
    )


def _count_pairs(data: AnnData, patients: pd.Series) -> int:
    """Patients with both normal and other tissue, by their TCGA barcodes or sample_type."""
    normal = _are_normal(data)
    both = pd.Series(normal).groupby(patients.to_numpy()).nunique()
    return int((both > 1).sum())


def _are_normal(data: AnnData) -> np.ndarray:
    column = find_column(data, SAMPLE_TYPE_NAMES)
    if column is not None:
        types = data.obs[column].astype(str).str.lower()
        if types.str.contains("normal").any():
            return types.str.contains("normal").to_numpy()
    return np.array([bool(TCGA_NORMAL.match(name)) for name in data.obs_names])


def _check_normal_tissue(at: _Checked) -> Iterator[Finding]:
    """Normal tissue among tumours, unless that is the question."""
    normal = _are_normal(at.data)
    labels = at.column(at.label)
    if not normal.any() or normal.all():
        return
    if labels is not None and pd.crosstab(labels.to_numpy(), normal).gt(0).sum(axis=1).max() == 1:
        return  # the classes tell them apart
    repair = Repair(
        title="Keep tumours only", changes={"leave_out": at.data.obs_names[normal].tolist()}
    )
    column = find_column(at.data, SAMPLE_TYPE_NAMES)
    if column is not None:
        others = sorted(set(at.column(column)[~normal]))
        repair = Repair(title="Keep tumours only", changes={"where": {column: others}})
    yield Finding(
        severity="warning",
        code="normal_tissue",
        message=f"{normal.sum()} of {at.data.n_obs} samples are normal tissue. Together with "
        "tumours in one class they blur what tells tumour types apart.",
        repair=repair,
    )


def _check_missing(at: _Checked) -> Iterator[Finding]:
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


def _check_floor(at: _Checked) -> Iterator[Finding]:
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
    if negative > 0.2 * measured and floor > lowest:
        yield Finding(
            severity="warning",
            code="centred",
            message=f"{negative / measured:.0%} of the values are below 0: the genes look centred "
            f"or z-scored, and a floor of {floor:g} cuts their lower half off.",
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


def _check_scale(at: _Checked) -> Iterator[Finding]:
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


def _check_constant(at: _Checked) -> Iterator[Finding]:
    """Genes without any variation."""
    constant = ~(at.profile.gene_highest > at.profile.gene_lowest)
    if constant.any():
        text = (
            f"{constant.sum()} genes have the same value in all samples (such as "
            f"{_name(at.data.var_names[constant][:3])}); they are left out."
        )
        yield Finding(severity="info", code="constant_genes", message=text)


def _check_copies(at: _Checked) -> Iterator[Finding]:
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
            f"{_name(names[copies])}). On two sides of a split they make results look better than "
            "they are.",
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


def _differ_in(at: _Checked, a: int, b: int) -> str:
    """The columns of class, patient or sample type in which two samples differ."""
    named = (at.label, at.group, find_column(at.data, SAMPLE_TYPE_NAMES))
    columns = [name for name in named if name in at.data.obs]
    unlike = [n for n in dict.fromkeys(columns) if at.data.obs[n].iloc[a] != at.data.obs[n].iloc[b]]
    return " and ".join(unlike)


def _check_outliers(at: _Checked) -> Iterator[Finding]:
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
            message=f"{len(ids)} samples are unlike all others ({_name(ids)}): degraded RNA, "
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
                f"({_name(ids)}): their low values are mostly noise.",
                repair=Repair(title="Leave them out", changes={"leave_out": ids}),
            )


def _check_batch(at: _Checked) -> Iterator[Finding]:
    """Class against batch: where they go together, a network may learn the batch."""
    if at.batch is None:
        suggested = suggest_batch(at.data)
        if suggested:
            yield Finding(
                severity="info",
                code="no_batch",
                message=f"Column {suggested!r} looks like a batch or site. Chosen as such, it is "
                "compared with the classes.",
                repair=Repair(title=f"Take {suggested}", changes={"batch": suggested}),
            )
        return
    labels, batches = at.column(at.label), at.column(at.batch)
    if labels is None or batches.nunique() < 2 or labels.nunique() < 2:
        return
    table = crosstab(labels.to_numpy(), batches.to_numpy()).count
    v = float(association(table, method="cramer", correction=False))
    alone = table[:, (table > 0).sum(axis=0) == 1].sum() / table.sum()
    text = f"Class and {at.batch}: Cramér's V {v:.2f}"
    if alone >= NESTED:
        text += (
            f"; {alone:.0%} of the samples are in a {at.batch} with one class only. The two can't "
            f"be told apart: a network may learn the {at.batch}, and no split of these data can "
            "show it. Test on data from elsewhere before you believe the result."
        )
        yield Finding(severity="warning", code="batch", message=text, decisive=True)
    elif v >= STRONG:
        text += f", clearly associated. Part of the accuracy may come from the {at.batch}."
        yield Finding(severity="warning", code="batch", message=text)
    else:
        yield Finding(severity="info", code="batch", message=text + ", hardly associated.")


CHECKS: list[Callable[[_Checked], Iterator[Finding]]] = [
    _check_label,
    _check_patients,
    _check_normal_tissue,
    _check_missing,
    _check_floor,
    _check_scale,
    _check_constant,
    _check_copies,
    _check_outliers,
    _check_batch,
]
