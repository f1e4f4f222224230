"""Tables of other shapes than samples x genes: one sample, one value a row, columns of several
kinds for each sample."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.data.column_names import GENE_ID_NAMES
from core.data.matrix import MAX_VALUES, Matrix
from core.data.notes import Notes
from core.data.text import Table
from core.errors import InputError

GENE_NAMES = ("gene_id", "gene", "#gene", "geneid", "name", "target_id", "gene id")
"""Columns of genes in what tools write for one sample, the one to take first."""


@dataclass(frozen=True)
class SampleTable:
    """What a tool writes for one sample."""

    title: str
    needs: frozenset[str]
    """Lower-case columns by which it is known."""
    value: str | None
    """The column that is taken: counts where they are whole numbers, else TPM; None: the last."""


SAMPLE_TABLES = [
    SampleTable("STAR counts", frozenset({"unstranded", "stranded_first"}), "unstranded"),
    SampleTable("RSEM", frozenset({"expected_count", "tpm", "effective_length"}), "tpm"),
    SampleTable("salmon", frozenset({"name", "effectivelength", "tpm", "numreads"}), "tpm"),
    SampleTable("kallisto", frozenset({"target_id", "eff_length", "est_counts", "tpm"}), "tpm"),
    SampleTable("Cufflinks", frozenset({"tracking_id", "gene_short_name", "fpkm"}), "fpkm"),
    SampleTable("StringTie", frozenset({"gene id", "coverage", "fpkm", "tpm"}), "tpm"),
    SampleTable("a table of counts without header", frozenset({"gene", "column 2"}), "column 2"),
]
FEATURE_COUNTS = frozenset({"geneid", "chr", "start", "end", "strand", "length"})
KINDS = ("raw_count", "raw_counts", "count", "counts", "read_count", "raw_read_count",
         "expected_count", "normalized_count", "tpm", "ntpm", "fpkm", "rpkm", "nx",
         "normalized_read_count", "scaled_estimate")  # fmt: skip
"""Columns of values where there are several for one sample, the one to take first."""
MEASURED = ("raw read count", "raw readcount", "read count", "readcount", "raw counts", "raw count",
            "est counts", "expected count", "numreads", "counts", "count", "raw",
            "normalized counts", "normalized count", "norm", "lfq intensity", "avg signal",
            "signal", "tpm", "ntpm", "fpkm", "rpkm", "cpm", "abundance", "intensity",
            "ibaq")  # fmt: skip
"""Words that say beside a sample's name what a column holds, the one to take first."""
BESIDE_MEASURED = ("conf lo", "conf hi", "status", "length", "effective length", "eff length",
                   "detection pval", "detection p value", "detection", "bead stderr", "bead stdev",
                   "avg nbeads", "narrays", "array stdev", "min signal", "max signal", "log2 ratio",
                   "peptides", "unique peptides", "razor + unique peptides", "sequence coverage",
                   "ms/ms count", "identification type", "scaled estimate")  # fmt: skip
"""The same for what is no expression."""
KIND_WORDS = "|".join(
    re.escape(words).replace(r"\ ", "[ ._-]*")
    for words in sorted({*MEASURED, *BESIDE_MEASURED}, key=len, reverse=True)
)
KIND_BEFORE = re.compile(rf"(?P<kind>{KIND_WORDS})[ ._:-]+(?P<sample>.+)", re.IGNORECASE)
KIND_BEHIND = re.compile(rf"(?P<sample>.+?)[ ._:-]+(?P<kind>{KIND_WORDS})", re.IGNORECASE)
LONG_GENES = ("gene_id", "gene", "gene_name", "symbol", "gene_symbol", "ensembl_gene_id")
LONG_SAMPLES = ("icgc_sample_id", "sample_id", "sample", "sample_name", "sampleid", "barcode",
                "icgc_specimen_id", "cell_line", "tissue", "cell_type")  # fmt: skip
MOST_COLUMNS = 60
"""Columns up to which a table is looked at as one value a row."""
LEAST_FILLED = 0.5
"""Share of genes x samples that must stand in a table of one value a row."""
FEW = 0.05
"""Share of genes that may stand twice for one sample, and are then left out."""


def turn_other_shapes(table: Table, source: str, notes: Notes) -> Table | Matrix:
    """A table of another shape as a matrix; one of samples x genes as it is.

    Raises InputError as `take_kind` and `pivot` do.
    """
    table = take_kind_in_names(take_kind(table, notes), notes)
    if (one := take_sample_table(table)) is not None:
        title, column, genes, values = one
        notes.say(
            f"This is {title} of one sample; the column {column} was taken. To read many samples, "
            "put their files into one zip file."
        )
        sample = np.array([source.partition(".")[0]])
        return Matrix(values[None], sample, genes, pd.DataFrame(index=sample), table.notes)
    return pivot(table) or table


def take_sample_table(
    table: Table, *, of_many: bool = False
) -> tuple[str, str, np.ndarray, np.ndarray] | None:
    """What a tool wrote for one sample: its title, the column taken, genes and values; else None.

    Args:
        table: any table.
        of_many: whether it stands among others of its kind, so that a column of names and one of
            numbers are enough.
    """
    lower = [name.lower() for name in table.names]
    for kind in SAMPLE_TABLES:
        if kind.needs <= set(lower):
            genes = next((lower.index(name) for name in GENE_NAMES if name in lower), 0)
            return _take(table, kind.title, genes, lower.index(kind.value))
    if not of_many:
        return None
    if set(lower) >= FEATURE_COUNTS and len(lower) == len(FEATURE_COUNTS) + 1:
        return _take(table, "featureCounts", lower.index("geneid"), len(lower) - 1)
    named = len(lower) == 2 and not re.fullmatch(r"[\d.,]+", lower[1])  # else a lost first gene
    if named and not table.is_number(0) and table.is_number(1):
        return _take(table, "tables of a gene and a number", 0, 1)
    return None


def _take(table: Table, title: str, gene: int, value: int) -> tuple:
    return title, table.names[value], table.texts(gene), table.values([value])[:, 0]


def take_kind(table: Table, notes: Notes) -> Table:
    """Of several columns a sample (Firehose: raw_count, scaled_estimate, …), one kind.

    The row below the header says what each column is. Where it names each column, it is the header,
    and the one above has groups of samples. Other tables are given back as they are.

    Raises:
        InputError: the kinds are unknown.
    """
    row = next((name for name in table.above if name.lower() in GENE_ID_NAMES), None)
    if row is None or len(table.above) > 1:
        return table
    kinds = table.above[row]
    found = list(dict.fromkeys(kinds[1:]))
    repeated = len(set(table.names[1:])) < len(table.names) - 1
    if len(found) > 1 and not repeated:
        return table
    if len(found) == len(kinds) - 1 > 1 and all(found) and not _first_of(KINDS, found):
        group = table.names[0] or "group"
        notes.say(f"The header is the line that begins with {row}; the one above is {group}.")
        above = {group: ["", *table.names[1:]]}
        return replace(table, names=[row, *kinds[1:]], above=above)
    taken = _first_of(KINDS, found) or (found[0] if len(found) == 1 else None)
    if taken is None:
        raise InputError(
            f"{table.source} has several columns a sample: {', '.join(found[:6])}. Leave one of "
            "them for each sample."
        )
    columns = [0, *(place for place, kind in enumerate(kinds) if place and kind == taken)]
    if len(found) > 1:
        others = ", ".join(kind for kind in found if kind != taken)
        notes.say(f"Each sample has several columns; {taken} was taken, not {others}.")
    return table.keep(columns, [row, *(table.names[place] for place in columns[1:])], above={})


def take_kind_in_names(table: Table, notes: Notes) -> Table:
    """Of several columns a sample (S1_readcount, S1_fpkm), one kind, named by the samples.

    So write Cufflinks, tximport, GenomeStudio, MaxQuant and many who sequence for others: a word
    before or behind a sample's name, and the same samples for each word. Other tables are given
    back as they are.
    """
    for form in (KIND_BEHIND, KIND_BEFORE):
        found: dict[str, dict[str, int]] = {}
        for place, name in enumerate(table.names):
            if match := form.fullmatch(name):
                found.setdefault(_letters(match["kind"]), {})[match["sample"]] = place
        most = max(map(len, found.values()), default=0)
        whole = [kind for kind, samples in found.items() if len(samples) == most > 1]
        taken = next(
            (kind for kind in map(_letters, MEASURED) if kind in whole
             and all(map(table.is_number, found[kind].values()))), None,
        )  # fmt: skip
        if taken is None or len(whole) < 2:
            continue
        places = found[taken]
        others = [kind for kind in found if kind != taken and found[kind].keys() <= places.keys()]
        gone = {place for kind in others for place in found[kind].values()}
        examples = ", ".join(table.names[next(iter(found[kind].values()))] for kind in others)
        first = next(iter(places))
        notes.say(
            f"Each sample has several columns; {table.names[places[first]]} was taken for {first}, "
            f"not {examples}."
        )
        called = {place: sample for sample, place in places.items()}
        left = [place for place in range(len(table.names)) if place not in gone]
        return table.keep(
            left,
            [called.get(place, table.names[place]) for place in left],
            above={name: [row[c] for c in left] for name, row in table.above.items()},
            describing=frozenset(at for at, c in enumerate(left) if c and c not in called),
        )
    return table


def _letters(words: str) -> str:
    return re.sub(r"[^a-z0-9]", "", words.lower())


def _first_of(wanted: Sequence[str], names: Sequence[str]) -> str | None:
    """The name that stands first in `wanted`, whatever its case and spaces."""
    known = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    return next((known[name] for name in wanted if name in known), None)


def pivot(table: Table) -> Matrix | None:
    """The expression in a table of one value a row (gene, sample, value); None for other tables.

    Columns that say the same about all rows of a sample describe it.

    Raises:
        InputError: too few genes and samples meet, or many do so twice.
    """
    roles = None if len(table.names) > MOST_COLUMNS else _find_long(table)
    if roles is None:
        return None
    gene, sample, value = roles
    genes, gene_names = pd.factorize(table.texts(gene))
    samples, sample_names = pd.factorize(table.texts(sample))
    shape = (len(sample_names), len(gene_names))
    advice = (
        f"{table.source} has one value a row (columns {table.names[gene]}, {table.names[sample]}, "
        f"{table.names[value]})"
    )
    if shape[0] * shape[1] > MAX_VALUES or table.rows < LEAST_FILLED * shape[0] * shape[1]:
        raise InputError(
            f"{advice}, and {table.rows:,} rows are less than half of {shape[1]:,} genes x "
            f"{shape[0]:,} samples. Make it a table with one row per gene, one column per sample."
        )
    notes = table.notes
    cells = samples.astype(np.int64) * shape[1] + genes
    twice = pd.Series(cells).duplicated(keep=False).to_numpy()
    unsure = np.unique(genes[twice])
    if len(unsure) > FEW * shape[1]:
        row = int(np.flatnonzero(twice)[0])
        raise InputError(
            f"{advice}, but several rows for {table.texts(gene)[row]} in "
            f"{table.texts(sample)[row]}. Leave one value for each gene and sample."
        )
    x = np.full(shape[0] * shape[1], np.nan, np.float32)
    x[cells] = table.values([value])[:, 0]
    x = x.reshape(shape)
    if len(unsure):
        notes.warn(
            "genes_twice_a_sample",
            f"{len(unsure)} genes stand several times for one sample, with values that can't be "
            f"told apart, and were left out: {', '.join(map(str, gene_names[unsure][:10]))}.",
        )
        x, gene_names = np.delete(x, unsure, axis=1), np.delete(gene_names, unsure)
    notes.say(f"{advice}; it was turned into samples x genes.")
    others = [name for place, name in enumerate(table.names)
              if table.is_number(place) and place != value]  # fmt: skip
    if others:
        notes.say(f"Other columns of numbers were left out: {', '.join(others)}.")
    obs = _describe_samples(table, samples, {gene, sample}, len(sample_names))
    return Matrix(x, np.array(sample_names, str), np.array(gene_names, str), obs, notes)


def _find_long(table: Table) -> tuple[int, int, int] | None:
    """Columns of gene, sample and value, if both names repeat and no other column is an id."""
    texts = [place for place in range(len(table.names)) if not table.is_number(place)]
    numbers = [table.names[place] for place in range(len(table.names)) if table.is_number(place)]
    gene = _first_of(LONG_GENES, [table.names[place] for place in texts])
    if gene is None or not numbers:
        return None
    sample = _first_of(LONG_SAMPLES, [table.names[place] for place in texts])
    if sample is None:
        return None
    columns = [table.names.index(gene), table.names.index(sample)]
    if any(pd.unique(table.texts(place)).size * 2 > table.rows for place in columns):
        return None
    value = _first_of(KINDS, numbers) or numbers[0]
    return columns[0], columns[1], table.names.index(value)


def _describe_samples(
    table: Table, samples: np.ndarray, taken: set[int], count: int
) -> pd.DataFrame:
    """The columns of text in which all rows of a sample say the same."""
    first = np.unique(samples, return_index=True)[1]
    found = {}
    for place, name in enumerate(table.names):
        if place in taken or table.is_number(place):
            continue
        texts = table.texts(place)
        if (texts == texts[first][samples]).all():
            found[name] = texts[first]
    return pd.DataFrame(found, index=range(count))
