"""Checks of what is known about the samples: classes, patients, tissue and batches."""

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.stats.contingency import association, crosstab

from core.data.checks.looked_at import Checked, list_names
from core.data.labels import find_alike
from core.data.notes import Finding, Repair
from core.data.roles import (
    LABEL_NAMES,
    SAMPLE_TYPE_NAMES,
    TCGA_NORMAL,
    find_column,
    suggest_batch,
    suggest_group,
    suggest_label,
)

SMALL_CLASS = 10
ID_LIKE = 0.5
"""Classes a sample from which a column looks like ids."""
MANY_NUMBERS = 10
"""Different numbers from which a column looks measured."""
NESTED = 0.9
"""Share of samples in batches of one class from which class and batch can't be told apart."""
STRONG = 0.3
"""Cramér's V from which class and batch are clearly associated."""


def check_label(at: Checked) -> Iterator[Finding]:
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
            message=f"Classes that look like other spellings of one: {list_names(told)}. As they "
            "are, each is learned as a class of its own.",
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
            f"{list_names(list(named)[:3])}): it looks like "
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
        listed = list_names([f"{name} ({n})" for name, n in small.items()])
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


def check_patients(at: Checked) -> Iterator[Finding]:
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


def check_normal_tissue(at: Checked) -> Iterator[Finding]:
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


def check_batch(at: Checked) -> Iterator[Finding]:
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
    v, alone = compare_columns(labels, batches)
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


def compare_columns(labels: pd.Series, batches: pd.Series) -> tuple[float, float]:
    """How closely two columns of the samples go together, both with two values or more.

    Returns:
        Cramér's V, and the share of samples whose batch has one label only.
    """
    table = crosstab(labels.to_numpy(), batches.to_numpy()).count
    v = float(association(table, method="cramer", correction=False))
    return v, float(table[:, (table > 0).sum(axis=0) == 1].sum() / table.sum())
