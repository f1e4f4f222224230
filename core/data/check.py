"""Checks of a dataset before anything is trained: what it is, what is wrong with it, what to do."""

from collections.abc import Callable, Iterator

import numpy as np
from anndata import AnnData
from pydantic import BaseModel, ConfigDict

from core.data.checks.classes import check_batch, check_label, check_normal_tissue, check_patients
from core.data.checks.looked_at import Checked
from core.data.checks.values import (
    check_constant,
    check_copies,
    check_floor,
    check_missing,
    check_outliers,
    check_scale,
)
from core.data.formats.unpack import Progress
from core.data.notes import Finding
from core.data.prepare import PreparationSpec
from core.data.profile import profile
from core.data.similarity import compare_samples
from core.errors import InputError

CHECKS: list[Callable[[Checked], Iterator[Finding]]] = [
    check_label,
    check_patients,
    check_normal_tissue,
    check_missing,
    check_floor,
    check_scale,
    check_constant,
    check_copies,
    check_outliers,
    check_batch,
]
"""In this order; the findings are then sorted by severity."""


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
    checked = Checked(data, measured, similarity, preparation, scale, label, group, batch)
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
