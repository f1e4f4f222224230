"""What the columns about samples are: class, patient, batch; guessed from names and values."""

import re
from collections.abc import Sequence

from anndata import AnnData

LABEL_NAMES = ("tumour_type", "tumor_type", "cancer_type", "class", "label", "type", "acronym",
               "diagnosis", "disease", "_primary_disease", "subtype", "group",
               "condition")  # fmt: skip
GROUP_NAMES = ("patient", "patient_id", "case", "case_id", "donor", "donor_id", "subject",
               "subject_id", "individual", "participant", "_patient", "case_submitter_id",
               "cases_submitter_id", "bcr_patient_barcode", "icgc_donor_id")  # fmt: skip
BATCH_NAMES = ("batch", "batch_id", "plate", "run", "platform", "center", "centre", "site",
               "tissue_source_site", "hospital", "study", "cohort")  # fmt: skip
TCGA = re.compile(r"TCGA[-._][A-Z0-9]{2}[-._][A-Z0-9]{4}", re.IGNORECASE)
"""The patient of a TCGA barcode; R writes dots for its dashes."""
TCGA_NORMAL = re.compile(TCGA.pattern + "[-._]1[0-9]", re.IGNORECASE)
"""Barcodes of normal tissue: the sample type is 10 to 19."""
SAMPLE_TYPE_NAMES = ("sample_type", "tissue_type")
"""Columns that tell tumours from normal tissue."""


def plain(name: str) -> str:
    """A column's name in lower case with underscores: sample_type for Sample Type."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[\s.\-]+", "_", words).lower()


def find_column(data: AnnData, names: Sequence[str]) -> str | None:
    """The column that has the first of these names, however it is written."""
    return next((c for name in names for c in data.obs.columns if plain(c) == name), None)


def suggest_label(data: AnnData) -> str | None:
    """The column that most likely holds the class: by its name, else by its few values."""
    sizes = {column: data.obs[column].nunique() for column in data.obs.columns}
    fitting = [column for column, n in sizes.items() if 2 <= n <= min(60, data.n_obs // 2)]
    named = [column for name in LABEL_NAMES for column in fitting if plain(column) == name]
    others = (suggest_group(data), suggest_batch(data))
    return next(iter(named + [column for column in fitting if column not in others]), None)


def suggest_group(data: AnnData) -> str | None:
    """The column that most likely holds the patient, by its name."""
    return find_column(data, GROUP_NAMES)


def suggest_batch(data: AnnData) -> str | None:
    """The column that most likely holds the batch or site: by its name, with several values."""
    return next(
        (
            column
            for name in BATCH_NAMES
            for column in data.obs.columns
            if plain(column) == name and 1 < data.obs[column].nunique() < data.n_obs
        ),
        None,
    )
