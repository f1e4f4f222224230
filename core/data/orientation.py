"""Where the samples of a table stand: in rows or in columns, judged by what is in it.

Each clue has a weight: the names on either side and what stands beside them say most, the word in
the corner is a hint, the form of the table hardly one.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from core.data.column_names import (
    GENE_ANNOTATION,
    GENE_ID,
    GENE_ID_NAMES,
    METADATA_NAMES,
    SAMPLE_ID_NAMES,
)
from core.data.notes import Notes, Repair
from core.data.simulate import read_symbols
from core.data.text import Table
from core.errors import InputError

Orientation = Literal["auto", "samples_in_rows", "genes_in_rows"]
NAMES, DESCRIBED, ANNOTATED, CORNER, ALIKE, SPREAD, SHAPE = 4.0, 3.0, 2.0, 1.5, 1.0, 1.0, 0.3
"""Weights of clues."""
SURE = 1.0
"""Sum of weights from which nothing needs to be asked."""
LISTED_SYMBOLS = 4
"""One in so many genes of a genome is in our list of symbols."""
LOOKED_AT = 300
"""Rows and columns whose values are compared."""
FEWEST = 8
"""Rows and columns from which their means can be compared."""
LARGEST_LOG2 = 50
GENE_NAME = re.compile(
    rf"{GENE_ID.pattern}|MIMAT\d{{7}}(_\d)?|[a-z]{{3}}-(mir|let)-\S+|\d+(_[a-z]+)*_at|AFFX-\S+|"
    r"c[gh]\d{8}|ILMN_\d+|A_\d{2}_P\d+|[NX][MR]_\d+(\.\d+)?|LOC\d+|LINC\d+|A[CLP]\d{6}\.\d+|"
    r"RP\d+-\S+|\S+\|\d+|\S+ \(\d+\)|Hs\.\d+|FBgn\d{7}|AT[1-5CM]G\d{5}|WBGene\d+|"
    r"Y[A-P][LR]\d{3}[CW](-[A-Z])?|(gene|probe|transcript|mirna)[ _.-]?\d+",
    re.IGNORECASE,
)
"""Ids of genes, transcripts and probes as data banks and makers of arrays write them."""
SAMPLE_NAME = re.compile(
    r"(TCGA|TARGET|GTEX|ACH)[-._].+|GSM\d+.*|[SED]R[RSX]\d+.*|SAM[NED][A-Z]?\d+|.+\.bam|"
    r"[ACGT]{10,}(-\d+)?|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}.*|"
    r"(sample|patient|subject|donor|case|control|ctrl|tumou?r|normal|cell|individual|biopsy|"
    r"replicate|pat|rep)[ _.-]?[a-z]{0,3}[ _.-]?\d+",
    re.IGNORECASE,
)
"""Names of samples as data banks and laboratories write them."""


@dataclass(frozen=True)
class _Clue:
    """What speaks for genes in rows (a weight above 0) or for samples in rows (below 0)."""

    weight: float
    why: str


def find_orientation(
    table: Table, ids: int | None, known: Collection[str], notes: Notes
) -> Orientation:
    """Find where the samples stand, say why, and warn where it isn't clear.

    Args:
        table: as it was read.
        ids: the column with the names of its rows.
        known: names on one side that stand in a table about the samples as well.
        notes: what was found is added here.
    """
    first = [] if ids is None else [str(name) for name in table.texts(ids)]
    header = [name for place, name in enumerate(table.names) if place != ids]
    clues = [clue for clue in _list_clues(table, ids, first, header, known) if clue.weight]
    total = sum(clue.weight for clue in clues)
    genes = total > 0
    side = [clue for clue in clues if (clue.weight > 0) == genes]
    why = max(side, key=lambda clue: abs(clue.weight)).why
    word = "Genes" if genes else "Samples"
    notes.say(f"{word} are in rows: {why}.")
    if abs(total) < SURE:
        other: Orientation = "samples_in_rows" if genes else "genes_in_rows"
        against = "".join(f", but {c.why}" for c in clues if (c.weight > 0) != genes and c.weight)
        samples = header if genes else first
        notes.warn(
            "orientation",
            f"It isn't clear whether samples or genes are in rows. {word} were taken to be "
            f"({why}{against}), so that the samples are {', '.join(samples[:3])}, … Are they?",
            Repair(title=f"Read with {other.replace('_', ' ')}", changes={"orientation": other}),
        )
    return "genes_in_rows" if genes else "samples_in_rows"


def refuse_turned(samples: np.ndarray, genes: np.ndarray, source: str) -> None:
    """Raise InputError for a file with samples and genes of its own in which they stand swapped."""
    names = [str(name) for name in samples]
    if _share_of_genes(names) > 0.5 + _share_of_genes([str(name) for name in genes]):
        raise InputError(
            f"{source} has genes ({', '.join(names[:3])}, …) where a file of its kind has samples. "
            "Store it turned (in Python adata.T, in R t(x)), or read it with samples in rows if "
            "these are samples."
        )


def _list_clues(
    table: Table, ids: int | None, first: list[str], header: list[str], known: Collection[str]
) -> list[_Clue]:
    in_rows, in_columns = (sum(name in known for name in names) for names in (first, header))
    if in_rows or in_columns:
        found = max(in_rows, in_columns)
        why = f"{found} samples stand in the table of labels as well"
        return [_Clue(-NAMES if in_rows >= in_columns else NAMES, why)]
    if table.describing:
        first_one = table.names[min(table.describing)]
        return [_Clue(NAMES, f"the column {first_one} describes genes")]
    return [
        _judge_names(first, header),
        *_judge_described(table, header),
        _judge_corner("" if ids is None else table.names[ids]),
        _judge_likeness(first, header),
        _judge_spread(table, ids),
        _Clue(SHAPE, "there are more rows than columns") if table.rows > len(table.names)
        else _Clue(-SHAPE, "there are more columns than rows"),
    ]  # fmt: skip


def _judge_names(first: list[str], header: list[str]) -> _Clue:
    """Names of genes on one side, barcodes and the like on the other."""
    shares = {
        (_share_of_genes(first), 1, "the first column has names of genes"),
        (_share_of_samples(header), 1, "the header has names of samples"),
        (_share_of_genes(header), -1, "the header has names of genes"),
        (_share_of_samples(first), -1, "the first column has names of samples"),
    }
    best = max(share for share, sign, _ in shares if sign > 0)
    best -= max(share for share, sign, _ in shares if sign < 0)
    _, _, why = max(share for share in shares if share[1] * best >= 0)
    return _Clue(NAMES * best, why)


@cache
def _symbols() -> frozenset[str]:
    return frozenset(read_symbols())


def _share_of_genes(names: list[str]) -> float:
    names = list(dict.fromkeys(names))
    listed = sum(name in _symbols() or (name.istitle() and name.upper() in _symbols())
                 for name in names)  # fmt: skip
    written = sum(bool(GENE_NAME.fullmatch(name)) for name in names)
    return min(1.0, (LISTED_SYMBOLS * listed + written) / max(len(names), 1))


def _share_of_samples(names: list[str]) -> float:
    return sum(bool(SAMPLE_NAME.fullmatch(name)) for name in names) / max(len(names), 1)


def _judge_described(table: Table, header: list[str]) -> list[_Clue]:
    """Rows above that describe columns, columns that describe samples or genes."""
    clues = []
    if table.above:
        clues.append(_Clue(DESCRIBED, f"the row {next(iter(table.above))} describes the columns"))
    described = [name for name in header if name.lower() in METADATA_NAMES]
    if described:
        clues.append(_Clue(-DESCRIBED, f"the column {described[-1]} describes samples"))
    annotating = [name for name in header if name.lower() in GENE_ANNOTATION | GENE_ID_NAMES]
    if annotating:
        clues.append(_Clue(ANNOTATED, f"the column {annotating[0]} describes genes"))
    return clues


def _judge_corner(name: str) -> _Clue:
    """What the column of ids is called; the word is left where a table was turned over."""
    lower, why = name.lower(), f"the first column is called {name}"
    if lower in GENE_ID_NAMES - {"name"}:
        return _Clue(CORNER, why)
    return _Clue(-CORNER if lower in SAMPLE_ID_NAMES else 0.0, why)


def _judge_likeness(first: list[str], header: list[str]) -> _Clue:
    """Samples are often numbered; genes have names of their own."""
    shares = []
    for names in (first, header):
        kinds = Counter(re.sub(r"\d+", "9", name) for name in names if re.search(r"\d", name))
        shares.append(kinds.most_common(1)[0][1] / len(names) if kinds else 0.0)
    weight = ALIKE * (shares[1] - shares[0]) if min(len(first), len(header)) >= FEWEST else 0.0
    return _Clue(weight, f"names in the {'header' if weight > 0 else 'first column'} are numbered")


def _judge_spread(table: Table, ids: int | None) -> _Clue:
    """Means of genes differ by orders of magnitude, means of samples hardly."""
    columns = [c for c in range(len(table.names)) if c != ids and table.is_number(c)]
    chosen = columns[:: len(columns) // LOOKED_AT + 1]
    x = table.values(chosen)[:: table.rows // LOOKED_AT + 1].astype(np.float64)
    x = x[:, np.isfinite(x).all(axis=0)]
    if min(x.shape) < FEWEST:
        return _Clue(0.0, "")
    if x.max() > LARGEST_LOG2 and x.min() >= 0:
        x = np.log2(x + 1)
    by_row, by_column = x.mean(axis=1).var(), x.mean(axis=0).var()
    if min(by_row, by_column) <= 1e-6 * x.var():  # standardised on one side: means say nothing
        return _Clue(0.0, "")
    weight = SPREAD * float(np.clip(np.log2(by_row / by_column) / 3, -1, 1))
    side = "rows" if weight > 0 else "columns"
    return _Clue(weight, f"{side} differ more in their means, as genes do")
