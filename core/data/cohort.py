"""Which samples of a dataset a question is about, what each is, and which belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from core.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

GENE = "gene"
"""A label `gene:ID` is a gene of the matrix."""


class Cohort(BaseModel):
    """Samples of a dataset, and what its columns mean.

    A cohort without a dataset holds for the dataset that it is put to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", title="Dataset",
        description="SHA-256 of the dataset's content.",
    )  # fmt: skip
    label: str | None = Field(
        None, title="Class",
        description="Column of the samples that holds the class, or of a regression the number; "
        "gene:ID is the log2 expression of a gene, which is then left out of the matrix.",
    )  # fmt: skip
    group: str | None = Field(
        None, title="Patient",
        description="Column that holds the patient; a patient is never torn apart.",
    )  # fmt: skip
    batch: str | None = Field(
        None, title="Batch",
        description="Column that holds the batch or site. Findings compare it with the classes; "
        "it changes no result.",
    )  # fmt: skip
    where: dict[str, list[str]] = Field(
        default_factory=dict, title="Samples",
        description="Keep only samples whose column has one of these values.",
    )  # fmt: skip
    leave_out: tuple[str, ...] = Field(
        (), title="Samples left out", description="Ids of samples that are left out."
    )
    merge: dict[str, str] = Field(
        default_factory=dict, title="Merged classes",
        description="Class -> the class that it counts as.",
    )  # fmt: skip

    def select(self, data: AnnData) -> AnnData:
        """The cohort's samples of `data`, in their order; merged classes are renamed in `obs`.

        Where the label is a gene (`gene:ID`), `obs` gets its log2 expression as a column of that
        name, and the matrix loses it: what is predicted is never among the inputs.

        Raises:
            InputError: a column, value, sample or class isn't there, naming those that are, or no
                sample is left.
        """
        from anndata import AnnData

        data = _take_gene(data, self.label)
        for role, column in (("label", self.label), ("patient", self.group), ("batch", self.batch)):
            if column is not None:
                _check_column(data, column, role)
        chosen = self._choose(data)
        if self.label is None or not self.merge:
            return chosen
        classes = sorted(set(data.obs[self.label].astype(str)))
        unknown = sorted(set(self.merge) - set(classes))
        if unknown:
            known = ", ".join(classes)
            raise InputError(f"There is no class {unknown[0]!r} to merge. Classes: {known}.")
        labels = chosen.obs[self.label].astype(str).replace(self.merge)
        obs = chosen.obs.assign(**{self.label: labels})
        return AnnData(chosen.X, obs=obs, var=chosen.var, uns=chosen.uns)

    def _choose(self, data: AnnData) -> AnnData:
        keep = np.ones(data.n_obs, dtype=bool)
        for column, values in self.where.items():
            _check_column(data, column, "sample")
            found = data.obs[column].astype(str)
            unknown = sorted(set(values) - set(found))
            if unknown:
                known = ", ".join(sorted(set(found))[:20])
                raise InputError(f"Column {column!r} has no value {unknown[0]!r}. Known: {known}.")
            keep &= found.isin(values).to_numpy()
        unknown = sorted(set(self.leave_out) - set(data.obs_names))
        if unknown:
            raise InputError(f"There is no sample {unknown[0]!r} to leave out.")
        keep &= ~data.obs_names.isin(list(self.leave_out))
        if not keep.any():
            raise InputError("No sample fulfils all conditions at once. Choose other values.")
        return data if keep.all() else data[keep].copy()

    @property
    def unlabelled(self) -> Cohort:
        """The same samples, whatever they are and to whom they belong."""
        return Cohort(dataset=self.dataset, where=self.where, leave_out=self.leave_out)

    def changed(self, **changes: Any) -> Cohort:
        """The same with some fields changed.

        Samples to leave out are added to those that are left out already, conditions of `where`
        to those on other columns, merged classes to those merged. Another label has other classes,
        so that none of them is merged.
        """
        new = self.model_dump()
        for name, value in changes.items():
            if name == "leave_out":
                value = (*self.leave_out, *(s for s in value if s not in self.leave_out))
            elif name in ("where", "merge"):
                value = {**new[name], **value}
            elif name == "label" and value != self.label:
                new["merge"] = {}
            new[name] = value
        return Cohort.model_validate(new)


def _take_gene(data: AnnData, label: str | None) -> AnnData:
    """The dataset with a gene as a column of its samples; a column of that name comes first."""
    from anndata import AnnData

    kind, _, gene = (label or "").partition(":")
    if kind != GENE or not gene or label in data.obs:
        return data
    place = np.flatnonzero(data.var_names == gene)
    if len(place) != 1:
        raise InputError(
            f"The label is {label!r}, but the dataset has {len(place) or 'no'} gene"
            f"{'s' if len(place) else ''} {gene!r}. Name a gene by its id in the matrix, such as "
            f"{GENE}:{data.var_names[0]}."
        )
    values = log_gene(data, int(place[0]))
    others = data[:, data.var_names != gene].copy()
    return AnnData(others.X, obs=data.obs.assign(**{label: values}), var=others.var, uns=data.uns)


def log_gene(data: AnnData, place: int) -> np.ndarray:
    """(samples,) log2 expression of the gene in column `place`; NaN where it is missing.

    Of counts log2 of counts per million + 1, of linear values log2 of the value + 1; log2 values as
    they are.
    """
    x = np.asarray(data.X)
    values = x[:, place].astype(np.float64)
    if data.uns["scale"] == "log2":
        return values
    if data.uns["scale"] == "counts":
        library = np.nansum(x, axis=1, dtype=np.float64)
        values = 1e6 * values / np.maximum(library, 1)
    return np.log2(np.maximum(values, 0) + 1)


def nest_cohort(document: dict[str, Any]) -> dict[str, Any]:
    """A mapping with a part `cohort`, out of one as earlier versions wrote it.

    They had the cohort's fields beside the others. A field that stands in both places stays where
    it is, so that it is refused as unknown.
    """
    nested = document.get("cohort", {}) if isinstance(document, dict) else None
    if not isinstance(nested, dict):
        return document
    flat = [name for name in Cohort.model_fields if name in document and name not in nested]
    rest = {name: value for name, value in document.items() if name not in (*flat, "cohort")}
    return {"cohort": {**{name: document[name] for name in flat}, **nested}, **rest}


def _check_column(data: AnnData, column: str, role: str) -> None:
    if column not in data.obs:
        known = ", ".join(data.obs.columns) or "none"
        raise InputError(f"The dataset has no {role} column {column!r}. Columns: {known}.")
