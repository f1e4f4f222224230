"""Names that the field uses: which look like genes, samples, or what is known about samples."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

MISSING = frozenset(("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "#N/A"))
"""Cells that mean: no value. Names of genes and samples are never taken for missing."""

LABEL_NAMES = [
    "tumour_type",
    "tumor_type",
    "cancer_type",
    "label",
    "class",
    "subtype",
    "tumour_subtype",
    "tumor_subtype",
    "cancer_subtype",
    "acronym",
    "diagnosis",
    "disease",
    "histology",
    "cancer",
    "project_id",
    "condition",
    "phenotype",
    "cell_type",
    "tissue",
    "type",
    "sample_type",
    "group",
]
"""Columns that hold classes, the likeliest first."""
GROUP_NAMES = [
    "patient",
    "patient_id",
    "patientid",
    "patient_barcode",
    "bcr_patient_barcode",
    "subject",
    "subject_id",
    "donor",
    "donor_id",
    "individual",
    "individual_id",
    "participant",
    "participant_id",
    "case",
    "case_id",
]
OTHER_NAMES = [
    "batch",
    "plate",
    "centre",
    "center",
    "site",
    "platform",
    "cohort",
    "study",
    "dataset",
    "sex",
    "gender",
    "age",
    "age_at_diagnosis",
    "race",
    "ethnicity",
    "stage",
    "grade",
    "tumour_stage",
    "tumor_stage",
    "treatment",
    "response",
    "survival",
    "os",
    "os_time",
    "os_status",
    "pfs",
    "vital_status",
    "days_to_death",
    "purity",
]
SAMPLE_ID = frozenset(
    [
        "sample",
        "samples",
        "sample_id",
        "sampleid",
        "sample_name",
        "sample_barcode",
        "barcode",
        "id",
        "index",
        "cell",
        "cell_id",
        "run",
        "accession",
        "submitter_id",
    ]
)
GENE_ID = frozenset(
    [
        "gene",
        "genes",
        "gene_id",
        "geneid",
        "gene_symbol",
        "gene_name",
        "genename",
        "genesymbol",
        "symbol",
        "hgnc_symbol",
        "name",
        "hugo_symbol",
        "ensembl",
        "ensembl_id",
        "ensembl_gene_id",
        "ensgene",
        "entrez",
        "entrez_id",
        "entrezid",
        "entrez_gene_id",
        "probe",
        "probe_id",
        "feature",
    ]
)
GENE_ANNOTATION = GENE_ID | frozenset(
    [
        "description",
        "chr",
        "chrom",
        "chromosome",
        "seqname",
        "start",
        "end",
        "strand",
        "length",
        "gene_length",
        "width",
        "biotype",
        "gene_type",
        "gene_biotype",
        "locus",
        "cytoband",
    ]
)
NOT_GENES = re.compile(r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)")
"""Rows of counting tools that count reads without a gene."""

TCGA_BARCODE = re.compile(r"TCGA[-.][A-Z0-9]{2}[-.][A-Z0-9]{4}(?:[-.](\d{2})[A-Z]?(?:[-.].*)?)?")
"""Group 1 is the sample type: 01 to 09 tumour, 10 to 19 normal."""

_SAMPLE = re.compile(
    r"TCGA[-.].+|[GES]RR\d+|GSM\d+|SIM-\d+-.+|(sample|patient|donor)[-_. ]?\d+", re.I
)
_GENE = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?|HGNC:\d+")


@cache
def gene_symbols() -> tuple[str, ...]:
    """Symbols of human protein-coding genes, in alphabetical order."""
    lines = files("core.data").joinpath("symbols.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))


@cache
def _symbol_set() -> frozenset[str]:
    return frozenset(gene_symbols())


def describes_samples(name: str) -> bool:
    """Whether a column of this name is known to describe samples."""
    return name.lower().replace(" ", "_") in {*LABEL_NAMES, *GROUP_NAMES, *OTHER_NAMES}


def share_of_genes(names: Sequence[str]) -> float:
    """Share of names that are known gene symbols or Ensembl or HGNC ids."""
    known = _symbol_set()
    return sum(name in known or bool(_GENE.fullmatch(name)) for name in names) / max(len(names), 1)


def share_of_samples(names: Sequence[str]) -> float:
    """Share of names that look like sample ids."""
    return sum(bool(_SAMPLE.fullmatch(name)) for name in names) / max(len(names), 1)
