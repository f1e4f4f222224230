"""What columns are: the roles they can have, and what their names say about them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import BaseModel, ConfigDict

from core.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

Role = Literal["id", "class", "patient", "batch", "label", "gene", "sample", "ignore"]
"""id names the rows; class, patient, batch and label (any other) describe samples; gene and sample
are measured; ignore is left out."""
ROLES: tuple[Role, ...] = get_args(Role)
ABOUT_SAMPLES = ("class", "patient", "batch", "label")
CHOSEN = {"class": "label", "patient": "group", "batch": "batch"}
"""Roles that one column has at most -> the field of `Choices` that names it."""

LABEL_NAMES = ("tumour_type", "tumor_type", "cancer_type", "class", "label", "type", "acronym",
               "diagnosis", "disease", "_primary_disease", "subtype", "group", "condition",
               "target", "labels", "phenotype", "outcome")  # fmt: skip
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


WORD = re.compile(r"[A-Z]+\d*(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
"""The words of days_to_death, DaysToDeath and OS.time; RIN1 is one, as a gene's symbol."""
ABOUT_WORDS = frozenset({
    "age", "sex", "gender", "race", "ethnicity", "bmi", "weight", "height", "survival",
    "time", "day", "days", "month", "months", "year", "years", "date", "status", "event",
    "vital", "dead", "death", "alive", "purity", "ploidy", "score", "stage", "grade",
    "gleason", "tmb", "rin", "smoking", "dose", "passage", "library", "reads",
    "concentration", "follow", "followup", "recurrence", "relapse", "metastasis", "outcome",
    "response", "responder", "treatment", "plate", "lane", "batch", "label", "labels",
    "class", "classes", "code", "encoded", "category", "group", "target", "cluster",
    "patient", "case", "donor", "subject", "phenotype", "diagnosis", "condition",
})  # fmt: skip
"""Words that stand in names of what is known about samples, and in no gene symbol."""
ABOUT_WHOLE = frozenset({"y", "os", "pfs", "dfs", "dss", "pfi", "dfi", "rfs", "efs", "ttp"})
"""Names that say so when nothing else stands beside them."""
ABOUT_SHORT = frozenset({
    "tumor", "tumour", "cancer", "disease", "normal", "malignant", "type", "subtype", "cohort",
    "site", "tissue", "smoker",
})  # fmt: skip
"""The same, of names of one or two words only: tumor protein p53 is a gene."""
SUMMARY = re.compile(
    r"(grand|column|col|row)?[ _.-]?(totals?|sums?|means?|averages?|avg|medians?|sd|sem|stdev|std|"
    r"stderr|variance)([ _.:(].*)?",
    re.IGNORECASE,
)
"""Names of what a spreadsheet counts below the last row, or beside the last column."""
MEANS = frozenset({"mean", "average", "avg", "median", "sem", "stdev", "stderr"})
"""Words in a column's name that say that it was counted out of others, as in Group A mean."""
ROW_NUMBER = re.compile(
    r"|x(\.\d+)?|unnamed: ?\d+(\.\d+)*|index|level_\d+|\.\.\.1|#|idx|"
    r"row[ ._]?(names?|numbers?|ids?)?|s\.? ?no\.?|no\.?|nr\.?",
    re.IGNORECASE,
)
"""Names that programs give to the numbers of rows."""

ABOUT_GENES = re.compile(
    r"(ncbi|entrez|ensembl|hgnc|mgi|omim|refseq|uniprot|locus)?(gene)?"
    r"(id|symbol|name|accession|ids)|entrez(gene)?(id)?|ncbi(gene)?(id)?|locuslink|taxid|"
    r"chr|chrom|chromosome|chromosome(scaffold)?name|seqnames?|contig|strand|(cyto)?band|"
    r"(gene|tx|transcript|exon|cds)?(start|end|stop|position|width|length|len)s?(bp|kb)?|tss|"
    r"(transcriptlength.*)|eff(ective)?length|(n|num|number(of)?)?exons?(count|number|length)?|"
    r"(gene|percent|percentage|perc|pct|percentgene|percentagegene)?gc(content|percent|pct)?|"
    r"(gene|transcript)?(bio)?type|description|"
    r"basemean.*|basevar|(log2?|ln)?(fold(change)?|fc)[ab]?|lfc|(log2?fc|log2foldchange|lfc).*|"
    r"lfcse|stat|(p|q)val(ue)?s?|(p|q)val(ue)?[a-z].*|p?adj(usted)?(p|pval|pvalue)?|padj.*|fdr.*|"
    r"adjp(val|value)?.*|bonferroni|ave(rage)?expr(ession)?|logcpm|"
    r"mean|median|average|avg|sd|sem|stdev|stderr|variance|cv|total|sum|rowsums?|rowmeans?|"
    r".*detectionp(val(ue)?)?\d*"
)
"""Names, without case and punctuation, of what programs tell about genes beside samples."""
BESIDE_TESTS = frozenset("ptbfz") | {"lr"}
"""Single letters that are a test's when other columns are."""
TESTS = re.compile(r".*(logfc|foldchange|padj|adjpval|pvalue|lfcse).*")


class Column(BaseModel):
    """What one column (or row) was taken for."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role
    why: str
    """What speaks for it, in some words."""
    doubtful: bool = False
    example: str = ""
    """Some of its values."""
    can: tuple[Role, ...] = ()
    """What else it could be."""


def check_role(name: str, role: str) -> Role:
    """A role by its name; raises InputError for an unknown one, naming those that exist."""
    if role not in ROLES:
        raise InputError(f"{name!r} can't be {role!r}. A column is one of: {', '.join(ROLES)}.")
    return role


@cache
def describes_samples(name: str) -> bool:
    """Whether a name is of something known about samples, such as OS.time or age_at_diagnosis."""
    words = [word.lower() for word in WORD.findall(name)]
    if not ABOUT_WORDS.isdisjoint(words):
        return True
    if len(words) <= 2 and not ABOUT_SHORT.isdisjoint(words):
        return True
    return bool(words) and words[0] in ABOUT_WHOLE and len(words) == 1


@cache
def says_mean(name: str) -> bool:
    """Whether a column's name says that it holds a mean or a spread of others."""
    return not MEANS.isdisjoint(word.lower() for word in WORD.findall(name))


def describe_genes(names: Collection[str]) -> set[str]:
    """Those of a table's column names that tell about its genes, such as padj beside samples."""
    plain = {name: re.sub(r"[^a-z0-9]", "", name.lower()) for name in names}
    found = {name for name, text in plain.items() if text and ABOUT_GENES.fullmatch(text)}
    if any(TESTS.fullmatch(text) for text in plain.values()):
        found |= {name for name, text in plain.items() if text in BESIDE_TESTS}
    return found


def assign_roles(data: AnnData, roles: Mapping[str, Role]) -> dict[str, str]:
    """Class, patient and batch -> the column that has this role: said, else suggested.

    Args:
        data: with the columns about samples.
        roles: what a user said; of two columns with one role the last has it.
    """
    said = {role: name for name, role in roles.items() if role in CHOSEN and name in data.obs}
    free = data.obs[[name for name in data.obs.columns if name not in roles]]
    from anndata import AnnData

    rest = AnnData(obs=free)
    suggested = {"class": suggest_label(rest), "patient": suggest_group(rest),
                 "batch": suggest_batch(rest)}  # fmt: skip
    return {role: said.get(role) or suggested[role] for role in CHOSEN
            if said.get(role) or suggested[role]}  # fmt: skip


def suggest_label(data: AnnData) -> str | None:
    """The column that most likely holds the class: by its name, else by its few values."""
    sizes = {column: data.obs[column].nunique() for column in data.obs.columns}
    fitting = [column for column, n in sizes.items() if 2 <= n <= min(60, data.n_obs // 2)]
    named = [column for name in LABEL_NAMES for column in fitting if plain(column) == name]
    others = (suggest_group(data), suggest_batch(data))
    return next(iter(named + [column for column in fitting if column not in others]), None)


def suggest_group(data: AnnData) -> str | None:
    """The column that most likely holds the patient: by its name, with several samples each.

    One that differs in every sample, as samples' barcodes do under PatientID, is taken only where
    no other has the name.
    """
    named = [c for name in GROUP_NAMES for c in data.obs.columns if plain(c) == name]
    repeated = (column for column in named if data.obs[column].nunique() < data.n_obs)
    return next(repeated, next(iter(named), None))


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
