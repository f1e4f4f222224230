"""Checks of a dataset before anything is trained: what it is, what is wrong with it, what to do."""

import re
from typing import Literal

import numpy as np
import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict

from core.errors import InputError

LABEL_NAMES = ("tumour_type", "tumor_type", "cancer_type", "class", "label", "type", "acronym",
               "diagnosis", "disease", "subtype", "group", "condition")  # fmt: skip
GROUP_NAMES = ("patient", "patient_id", "case", "case_id", "donor", "donor_id", "subject",
               "subject_id", "individual", "participant")  # fmt: skip
TCGA = re.compile(r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}", re.IGNORECASE)
TCGA_NORMAL = re.compile(TCGA.pattern + "-1[0-9]", re.IGNORECASE)
"""Barcodes of normal tissue: the sample type is 10 to 19."""
SMALL_CLASS = 10


class Finding(BaseModel):
    """One thing that a user should know about the data."""

    model_config = ConfigDict(frozen=True)

    severity: Literal["error", "warning", "info"]
    code: str
    message: str


class DataCard(BaseModel):
    """What a dataset is, and what was found about it."""

    model_config = ConfigDict(frozen=True)

    samples: int
    genes: int
    label: str | None
    group: str | None
    classes: dict[str, int]
    """Class -> samples; empty without a label column."""
    scale: str
    findings: list[Finding]


def detect_scale(x: np.ndarray) -> str:
    """Tell counts, linear values (TPM, FPKM) and log2 values apart by their range.

    Whole non-negative numbers are counts. Of the rest, values up to 50 are log2 (log2 of a 16-bit
    number is 16), larger ones linear. NaN is ignored.
    """
    finite = x[np.isfinite(x)]
    if (finite >= 0).all() and (finite == np.round(finite)).all():
        return "counts"
    return "log2" if finite.max(initial=0) <= 50 else "linear"


def select_samples(data: AnnData, where: dict[str, list[str]]) -> AnnData:
    """Keep the samples whose column has one of the given values, for every column given.

    Raises InputError for an unknown column or value, naming those that exist.
    """
    keep = np.ones(data.n_obs, dtype=bool)
    for column, values in where.items():
        if column not in data.obs:
            known = ", ".join(data.obs.columns) or "none"
            raise InputError(f"There is no sample column {column!r} to choose by. Known: {known}.")
        found = data.obs[column].astype(str)
        unknown = sorted(set(values) - set(found))
        if unknown:
            known = ", ".join(sorted(set(found))[:20])
            raise InputError(f"Column {column!r} has no value {unknown[0]!r}. Known: {known}.")
        keep &= found.isin(values).to_numpy()
    if not keep.any():
        raise InputError("No sample fulfils all conditions at once. Choose other values.")
    return data if keep.all() else data[keep].copy()


def suggest_label(data: AnnData) -> str | None:
    """The column that most likely holds the class: by its name, else by its few values."""
    sizes = {column: data.obs[column].nunique() for column in data.obs.columns}
    fitting = [column for column, n in sizes.items() if 2 <= n <= min(60, data.n_obs // 2)]
    named = [column for name in LABEL_NAMES for column in fitting if column.lower() == name]
    groups = suggest_group(data)
    return next(iter(named + [column for column in fitting if column != groups]), None)


def suggest_group(data: AnnData) -> str | None:
    """The column that most likely holds the patient, by its name."""
    return next((c for name in GROUP_NAMES for c in data.obs.columns if c.lower() == name), None)


def check_dataset(data: AnnData, label: str | None = None, group: str | None = None) -> DataCard:
    """Look through a dataset; raises InputError for a label or patient column that isn't there."""
    for role, column in (("label", label), ("patient", group)):
        if column is not None and column not in data.obs:
            known = ", ".join(data.obs.columns) or "none"
            raise InputError(f"There is no {role} column {column!r}. Columns: {known}.")
    x = np.asarray(data.X)
    scale = str(data.uns["scale"])
    labels = None if label is None else data.obs[label].astype(str)
    classes = {} if labels is None else labels.value_counts().sort_index().to_dict()
    findings = [
        *(_find_class_problems(classes, label) if label else _find_label_problems(data)),
        *_find_patient_problems(data, group),
        *_find_normal_tissue(data),
        *_find_missing(x, labels),
        *_find_floor(x, scale, labels),
        *_find_constant(x, data),
        *_find_copies(x, data),
    ]
    order = {"error": 0, "warning": 1, "info": 2}
    return DataCard(
        samples=data.n_obs,
        genes=data.n_vars,
        label=label,
        group=group,
        classes=classes,
        scale=scale,
        findings=sorted(findings, key=lambda finding: order[finding.severity]),
    )


def _find_label_problems(data: AnnData) -> list[Finding]:
    """What to say when no label column is chosen."""
    suggested = suggest_label(data)
    if suggested:
        text = f"No label column is chosen; {suggested!r} looks like one."
        return [Finding(severity="warning", code="no_label", message=text)]
    for name in LABEL_NAMES:
        for column in data.obs.columns:
            if column.lower() == name and data.obs[column].nunique() == 1:
                return _find_class_problems({data.obs[column].iloc[0]: data.n_obs}, column)
    text = "There is no column of classes, so nothing can be trained. Add a table of labels."
    return [Finding(severity="warning", code="no_label", message=text)]


def _find_class_problems(classes: dict[str, int], label: str) -> list[Finding]:
    found = []
    if "" in classes:
        text = f"{classes['']} samples have no {label}: fill the column or leave them out."
        found.append(Finding(severity="error", code="unlabelled", message=text))
    if len(classes.keys() - {""}) < 2:
        only = ", ".join(repr(name) for name in classes if name) or "without a class"
        text = f"All samples are {only}: training needs at least two classes."
        found.append(Finding(severity="error", code="one_class", message=text))
    small = {name: n for name, n in classes.items() if n < SMALL_CLASS}
    if small:
        listed = ", ".join(f"{name} ({n})" for name, n in small.items())
        text = (
            f"Very few samples in {listed}: their scores will hang on single samples, and some "
            "splits are impossible."
        )
        found.append(Finding(severity="warning", code="small_class", message=text))
    return found


def _find_patient_problems(data: AnnData, group: str | None) -> list[Finding]:
    if group is not None:
        patients = data.obs[group].astype(str)
        several = int((patients.value_counts() > 1).sum())
        text = f"{patients.nunique()} patients, {several} of them with several samples."
        found = [Finding(severity="info", code="patients", message=text)]
        unknown = int((patients == "").sum())
        if unknown:
            text = f"{unknown} samples have no {group}; they count as one patient."
            found.append(Finding(severity="warning", code="missing_patients", message=text))
        return found
    text = (
        "Without a patient column samples can't be grouped: two samples of one patient may stand "
        "on both sides of a split and make results look better than they are."
    )
    if suggested := suggest_group(data):
        several = int((data.obs[suggested].astype(str).value_counts() > 1).sum())
        text += f" Column {suggested!r} looks like patients; {several} have several samples."
        return [Finding(severity="warning", code="no_patients", message=text)]
    text += " There are no patient ids that could be used."
    return [Finding(severity="warning", code="no_patients", message=text)]


def _find_normal_tissue(data: AnnData) -> list[Finding]:
    normal = sum(bool(TCGA_NORMAL.match(name)) for name in data.obs_names)
    if not normal:
        return []
    text = (
        f"{normal} of {data.n_obs} samples are normal tissue by their TCGA barcodes. To learn "
        "tumour types, choose the tumours only."
    )
    return [Finding(severity="warning", code="normal_tissue", message=text)]


def _find_missing(x: np.ndarray, labels: pd.Series | None) -> list[Finding]:
    missing = np.isnan(x).sum(axis=1)
    if not missing.any():
        return []
    text = (
        f"{missing.sum()} values are missing. They are filled with the gene's median over the "
        "training samples."
    )
    where = _name_concentrated(missing, labels)
    if where:
        text += f" They stand in {where} only: how they are filled may give the class away."
    severity = "warning" if where else "info"
    return [Finding(severity=severity, code="missing_values", message=text)]


def _find_floor(x: np.ndarray, scale: str, labels: pd.Series | None) -> list[Finding]:
    with np.errstate(invalid="ignore"):
        negative = (x < 0).sum(axis=1)
    if not negative.any():
        return []
    lowest = np.nanmin(x)
    if scale != "log2":
        text = f"{negative.sum()} values are below 0, which {scale} can't be. They count as 0."
        return [Finding(severity="warning", code="below_zero", message=text)]
    share = negative.sum() / np.isfinite(x).sum()
    if share > 0.2:
        text = (
            f"{share:.0%} of the values are below 0: the genes look centred or z-scored. Values "
            "below 0 become 0 here, so use the matrix from before that step."
        )
        return [Finding(severity="warning", code="centred", message=text)]
    text = (
        f"{negative.sum()} log2 values are below 0 (lowest {lowest:.3g}). They become 0 for all "
        "samples alike."
    )
    where = _name_lower_floor(x, labels)
    if where:
        text += (
            f" In {where} they reach much lower than elsewhere, a sign of another processing: "
            "without this common floor a model could tell the class by the processing."
        )
    return [Finding(severity="warning" if where else "info", code="below_zero", message=text)]


def _name_lower_floor(x: np.ndarray, labels: pd.Series | None) -> str | None:
    """The classes whose lowest value is more than 1 (a factor of 2) below the median class's."""
    if labels is None or labels.nunique() < 3:
        return None
    lowest = pd.Series(np.nanmin(x, axis=1), index=labels.index).groupby(labels).min()
    lower = lowest.index[lowest < lowest.median() - 1]
    return " and ".join(sorted(lower)) if len(lower) else None


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


def _find_constant(x: np.ndarray, data: AnnData) -> list[Finding]:
    with np.errstate(invalid="ignore"):
        constant = np.nanmax(x, axis=0) == np.nanmin(x, axis=0)
    if not constant.any():
        return []
    names = ", ".join(data.var_names[constant][:3])
    text = f"{constant.sum()} genes have the same value in all samples (such as {names}); they are "
    return [Finding(severity="info", code="constant_genes", message=text + "left out.")]


def _find_copies(x: np.ndarray, data: AnnData) -> list[Finding]:
    hashes = pd.util.hash_array(
        np.array([row.tobytes() for row in np.ascontiguousarray(x)], object)
    )
    copies = pd.Series(hashes).duplicated(keep=False).to_numpy()
    if not copies.any():
        return []
    names = ", ".join(data.obs_names[copies][:4])
    text = (
        f"{copies.sum()} samples are copies of one another (such as {names}). On two sides of a "
        "split they make results look better than they are: remove all but one."
    )
    return [Finding(severity="warning", code="identical_samples", message=text)]
