"""What is in a dataset and what is wrong with it, before anything is trained."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict

from core.data.names import GROUP_NAMES, LABEL_NAMES, OTHER_NAMES, TCGA_BARCODE
from core.errors import InputError

HIGHEST_LOG2 = 30.0
"""Without a value above this (and without counts), values are taken for logarithms."""
FEW = 10
"""A class with fewer samples gets a warning."""


class Finding(BaseModel):
    """One thing that a user should know; `code` is stable, `message` says what to do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Literal["error", "warning", "info"]
    code: str
    message: str


class DataCard(BaseModel):
    """A dataset at a glance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int
    genes: int
    classes: dict[str, int]
    """Samples by class, the largest first; empty without a label column."""
    label: str | None
    group: str | None
    scale: str
    findings: list[Finding]


def detect_scale(x: np.ndarray) -> Literal["counts", "linear", "log2"]:
    """Tell counts, linear values (TPM, FPKM) and logarithms apart by their size and form.

    Counts: at least 90 % of the values above 0 are whole numbers and none is below 0. log2: some
    value is below 0 or none is above 30. Otherwise linear.
    """
    finite = x[np.isfinite(x)]
    if not finite.size:
        return "log2"
    if finite.min() < 0:
        return "log2"
    positive = finite[finite > 0]
    if positive.size and (positive == np.round(positive)).mean() >= 0.9:
        return "counts"
    return "log2" if finite.max() <= HIGHEST_LOG2 else "linear"


def suggest_label(data: AnnData) -> str | None:
    """The column that most likely holds the classes: by name, else by its number of values."""
    fitting = [
        column
        for column in data.obs.columns
        if 2 <= data.obs[column].nunique() <= min(60, max(2, data.n_obs // 2))
    ]
    by_name = _first_named(fitting, LABEL_NAMES)
    others = [c for c in fitting if _plain(c) not in (*GROUP_NAMES, *OTHER_NAMES)]
    return by_name or (others[0] if others else None)


def suggest_group(data: AnnData) -> str | None:
    """The column that most likely holds patient ids."""
    fitting = [column for column in data.obs.columns if data.obs[column].nunique() >= 2]
    return _first_named(fitting, GROUP_NAMES)


def select_samples(data: AnnData, where: dict[str, list[str]]) -> AnnData:
    """Keep the samples whose columns have one of the values given.

    Raises:
        InputError: an unknown column or value, with those that exist; or no sample is left.
    """
    keep = np.ones(data.n_obs, dtype=bool)
    for column, values in where.items():
        _require_column(data, column, "choose samples by")
        present = data.obs[column].astype(str)
        for value in values:
            if not (present == value).any():
                known = ", ".join(sorted(present.unique())[:20])
                raise InputError(f"No sample has {column} = {value!r}. Values: {known}.")
        keep &= present.isin(values).to_numpy()
    if not keep.any():
        raise InputError("No sample is left: no sample meets all the conditions at once.")
    return data if keep.all() else data[keep].copy()


def check_dataset(data: AnnData, label: str | None = None, group: str | None = None) -> DataCard:
    """Look for what would spoil a training or its result.

    Args:
        data: a dataset as read.
        label: column of the classes; without it the likeliest one is taken, and said.
        group: column of the patients, whose samples must stay on one side of a split.

    Raises:
        InputError: an unknown column.
    """
    findings = [
        Finding(severity="info", code="reading", message=note) for note in data.uns.get("notes", [])
    ]
    for column in (label, group):
        if column is not None:
            _require_column(data, column, "use")
    if label is None:
        label = suggest_label(data)
        findings.append(_say_label(label))
    classes: dict[str, int] = {}
    names = None
    if label is not None:
        names = data.obs[label].astype(str).to_numpy()
        counts = pd.Series(names[names != ""]).value_counts()
        classes = {str(name): int(count) for name, count in counts.items()}
        findings += _check_classes(label, names, classes)
    findings += _check_groups(data, group)
    findings += _check_values(data, names)
    findings += _check_identical(data)
    order = {"error": 0, "warning": 1, "info": 2}
    return DataCard(
        samples=data.n_obs,
        genes=data.n_vars,
        classes=classes,
        label=label,
        group=group,
        scale=str(data.uns["scale"]),
        findings=sorted(findings, key=lambda finding: order[finding.severity]),
    )


def _plain(name: str) -> str:
    return name.lower().replace(" ", "_")


def _first_named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column whose name comes first in `names`."""
    ranked = [(names.index(_plain(c)), c) for c in columns if _plain(c) in names]
    return min(ranked)[1] if ranked else None


def _require_column(data: AnnData, column: str, purpose: str) -> None:
    if column not in data.obs:
        known = ", ".join(data.obs.columns) or "none"
        raise InputError(f"There is no column {column!r} to {purpose}. Columns: {known}.")


def _some(names: Sequence[str]) -> str:
    """Up to five names, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(str, names[:5])) + more


def _say_label(label: str | None) -> Finding:
    if label is None:
        message = "No column holds classes. Add a labels file to train on this dataset."
        return Finding(severity="warning", code="no_label", message=message)
    message = f"Column {label!r} was taken for the classes. Choose another if that's wrong."
    return Finding(severity="info", code="label_suggested", message=message)


def _check_classes(label: str, names: np.ndarray, classes: dict[str, int]) -> list[Finding]:
    findings = []
    if len(classes) < 2:
        only = f" ({next(iter(classes))})" if classes else ""
        findings.append(
            Finding(
                severity="error",
                code="one_class",
                message=f"Column {label!r} has {len(classes)} class{only}. Training needs at "
                "least 2 classes: choose another column or add samples.",
            )
        )
    empty = int((names == "").sum())
    if empty:
        findings.append(
            Finding(
                severity="error",
                code="unlabelled",
                message=f"{empty} samples have no value in {label!r}. Fill the column, or leave "
                "these samples out.",
            )
        )
    few = [f"{name} ({count})" for name, count in classes.items() if count < FEW]
    if few:
        findings.append(
            Finding(
                severity="warning",
                code="small_classes",
                message=f"Fewer than {FEW} samples: {_some(few)}. Too few to test reliably.",
            )
        )
    return findings


def _check_groups(data: AnnData, group: str | None) -> list[Finding]:
    findings = []
    suggested = suggest_group(data)
    if group is None and suggested is None:
        findings.append(
            Finding(
                severity="warning",
                code="no_patients",
                message="There are no patient ids, so samples can't be grouped. If a patient has "
                "several samples, test results will look better than they are.",
            )
        )
    column = group or suggested
    if column is not None:
        patients = data.obs[column].astype(str)
        missing = int((patients == "").sum())
        if missing:
            findings.append(
                Finding(
                    severity="warning",
                    code="missing_patients",
                    message=f"{missing} samples have no {column}; they count as one patient.",
                )
            )
        several = int((patients[patients != ""].value_counts() > 1).sum())
        if several:
            message = f"{several} patients in {column!r} have several samples"
            findings.append(
                Finding(severity="info", code="repeated_patients", message=f"{message}.")
                if group
                else Finding(
                    severity="warning",
                    code="ungrouped_patients",
                    message=f"{message}. Choose it as the patient column, so that they stay on "
                    "one side of a split.",
                )
            )
    types = [TCGA_BARCODE.fullmatch(name) for name in data.obs_names]
    codes = [match[1] for match in types if match and match[1]]
    normal = sum(code.startswith("1") for code in codes)
    if normal:
        findings.append(
            Finding(
                severity="warning" if normal < len(codes) else "info",
                code="normal_tissue",
                message=f"{normal} of {data.n_obs} samples are normal tissue by their TCGA "
                "barcodes (10 to 19). To learn tumour types, keep the tumours only.",
            )
        )
    return findings


def _check_values(data: AnnData, names: np.ndarray | None) -> list[Finding]:
    x = data.X
    findings = []
    missing = np.isnan(x).sum(axis=1)
    if missing.any():
        total = int(missing.sum())
        message = f"{total} values are missing ({_percent(total / x.size)})"
        where = _concentrated(missing, names)
        findings.append(
            Finding(
                severity="warning",
                code="missing_values_by_class",
                message=f"{message}, {where}: other processing can give a class away. They are "
                "filled with the gene's training median for all classes alike.",
            )
            if where
            else Finding(
                severity="info",
                code="missing_values",
                message=f"{message}. They are filled with the gene's training median.",
            )
        )
    below = (x < 0).sum(axis=1)
    if below.any():
        total = int(below.sum())
        share = total / x.size
        message = f"{total} values are below 0 ({_percent(share)})"
        where = _concentrated(below, names)
        if share > 0.2:
            findings.append(
                Finding(
                    severity="warning",
                    code="centred_values",
                    message=f"{message}: the genes look centred or z-scored already. Values below "
                    "0 become 0 here, so use the matrix from before that step.",
                )
            )
        elif where:
            findings.append(
                Finding(
                    severity="warning",
                    code="negative_values_by_class",
                    message=f"{message}, {where}: other processing can give a class away. They "
                    "become 0 for all classes alike.",
                )
            )
        else:
            findings.append(
                Finding(
                    severity="info",
                    code="negative_values",
                    message=f"{message}. They become 0.",
                )
            )
    with np.errstate(invalid="ignore"):
        high = np.fmax.reduce(x, axis=0)
        low = np.fmin.reduce(x, axis=0)
    constant = int((~(high > low)).sum())
    if constant:
        findings.append(
            Finding(
                severity="info",
                code="constant_genes",
                message=f"{constant} genes have the same value in all samples and are left out "
                "when the data are prepared.",
            )
        )
    return findings


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "under 0.1 %"


def _concentrated(events: np.ndarray, names: np.ndarray | None) -> str | None:
    """In words, the few classes that have nearly all events, or None.

    The fewest classes with at least 90 % of all events are named if an event is at least five
    times as frequent in their samples as in the others.
    """
    if names is None or events.sum() < 10:
        return None
    table = pd.DataFrame({"events": events, "samples": 1}).groupby(names).sum()
    rate = table["events"] / table["samples"]
    table = table.loc[rate.sort_values(ascending=False, kind="stable").index]
    share = table["events"].cumsum() / events.sum()
    count = int((share < 0.9).sum()) + 1
    inside, outside = table.iloc[:count], table.iloc[count:]
    if outside.empty:
        return None
    rate_inside = inside["events"].sum() / inside["samples"].sum()
    rate_outside = outside["events"].sum() / outside["samples"].sum()
    if rate_inside < 5 * rate_outside:
        return None
    only = "only in" if not outside["events"].any() else "nearly all in"
    return f"{only} {' and '.join(sorted(map(str, inside.index)))}"


def _check_identical(data: AnnData) -> list[Finding]:
    first: dict[bytes, str] = {}
    pairs = []
    for name, row in zip(data.obs_names, np.ascontiguousarray(data.X), strict=True):
        key = hashlib.sha256(row.tobytes()).digest()
        if key in first:
            pairs.append(f"{name} = {first[key]}")
        first.setdefault(key, str(name))
    if not pairs:
        return []
    message = (
        f"{len(pairs)} samples have exactly the values of another one: {_some(pairs)}. Remove the "
        "copies, or the test will contain training samples."
    )
    return [Finding(severity="warning", code="identical_samples", message=message)]
