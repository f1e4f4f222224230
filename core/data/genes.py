"""Gene ids as laboratories write them: versions, an id and a symbol, repeats."""

import re

import numpy as np

from core.data.gene_dates import undo_dates
from core.data.notes import Notes
from core.data.profile import detect_scale

ENSEMBL_ID = r"ENS[A-Z]*[GT]\d{6,}"
ENSEMBL = re.compile(rf"({ENSEMBL_ID})\.\d+(_PAR_Y)?")
PAIR = re.compile(r"([^|]+)\|(\d+)")
"""SYMBOL|ENTREZ, as TCGA's RSEM tables have it; the symbol is ? where there is none."""
PIPED = re.compile(rf"({ENSEMBL_ID}[^|]*)\|({ENSEMBL_ID}[^|]*)\|[^|]*\|[^|]*\|[^|]*\|([^|]*)\|.*")
"""A transcript as GENCODE's FASTA files name it: its id, its gene's id, … and the gene's symbol."""
ID_SYMBOL = re.compile(
    rf"({ENSEMBL_ID}(?:\.\d+)?(?:_PAR_Y)?|M?STRG\.\d+(?:\.\d+)?|XLOC_\d+)[|_:;,/ ]+(.+)"
)
"""An id and a symbol: of Ensembl, or of a gene that StringTie or gffcompare numbered."""
SYMBOL_ID = re.compile(
    rf"(.*?)(?:[|_:;,/ ]+({ENSEMBL_ID}(?:\.\d+)?)| ?\(({ENSEMBL_ID}(?:\.\d+)?|\d+)\))"
)
"""A symbol and an id: of Ensembl, or (as in DepMap) that or Entrez's in parentheses."""
NO_SYMBOL = {"", "?", "-", ".", "NA", "nan", "None", "unknown", "Unknown"}
TRANSCRIPT = re.compile(r"ENS[A-Z]*T\d{6,}(\.\d+)?|[NX][MR]_\d+(\.\d+)?|uc\d{3}[a-z]{3}\.\d")
NOT_GENES = re.compile(r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)")
"""Rows in which counting tools put reads without a gene."""


def clean_genes(genes: np.ndarray, notes: Notes) -> np.ndarray:
    """One id a gene, without version, second id or date; what was changed is added to `notes`.

    Rows that are no genes, or whose gene can't be known, become the empty text.
    """
    raw = np.array([gene.strip() for gene in genes.astype(str)], dtype=object)
    genes = raw
    for clean in (_take_pairs, _take_symbols, _strip_versions):
        genes = clean(genes, notes)
    genes = undo_dates(genes, raw, notes)
    stray = np.array([bool(NOT_GENES.fullmatch(gene)) for gene in genes])
    if stray.any():
        notes.say(
            f"{stray.sum()} rows that count reads without a gene were left out (such as "
            f"{genes[stray][0]})."
        )
        genes[stray] = ""
    _tell_transcripts(genes, notes)
    return genes.astype(str)


def _take_pairs(genes: np.ndarray, notes: Notes) -> np.ndarray:
    pairs = [PAIR.fullmatch(gene) for gene in genes]
    if sum(map(bool, pairs)) <= len(genes) / 2:
        return genes
    notes.say(
        "Gene names are SYMBOL|ENTREZ: the symbol was taken, the Entrez id where it is missing."
    )
    taken = [
        gene if pair is None else pair[2] if pair[1] == "?" else pair[1]
        for gene, pair in zip(genes, pairs, strict=True)
    ]
    return np.array(taken, dtype=object)


def _take_symbols(genes: np.ndarray, notes: Notes) -> np.ndarray:
    """The symbol where a name holds an id and a symbol, the id where the symbol is missing."""
    taken = np.array([_symbol_of(gene) for gene in genes], dtype=object)
    changed = taken != genes
    if changed.any():
        notes.say(
            f"{changed.sum()} names of genes hold an id and a symbol; the symbol was taken, such "
            f"as {taken[changed][0]} of {genes[changed][0]}."
        )
    if any(PIPED.fullmatch(gene) for gene in genes[changed][:100]):
        notes.say("These were transcripts: those of a gene are put together.")
    return taken


def _symbol_of(gene: str) -> str:
    if match := PIPED.fullmatch(gene):
        symbol, other = match[3], match[2]
        symbol += "_PAR_Y" if symbol and other.endswith("_PAR_Y") else ""
    elif match := ID_SYMBOL.fullmatch(gene):
        other, symbol = match[1], match[2]
        if symbol == "PAR_Y":  # of a gene on Y: a part of the id
            return gene
        symbol += "_PAR_Y" if other.endswith("_PAR_Y") else ""
    elif match := SYMBOL_ID.fullmatch(gene):
        symbol, other = match[1], match[2] or match[3]
    else:
        return gene
    return other if symbol.strip() in NO_SYMBOL else symbol.strip()


def _strip_versions(genes: np.ndarray, notes: Notes) -> np.ndarray:
    found = [ENSEMBL.fullmatch(gene) for gene in genes]
    count = sum(map(bool, found))
    if count:
        example = next(gene for gene, match in zip(genes, found, strict=True) if match)
        notes.say(f"The version was removed from {count} Ensembl ids (such as {example}).")
    stripped = [
        match[1] + (match[2] or "") if match else gene
        for gene, match in zip(genes, found, strict=True)
    ]
    return np.array(stripped, dtype=object)


def _tell_transcripts(genes: np.ndarray, notes: Notes) -> None:
    found = np.array([bool(TRANSCRIPT.fullmatch(gene)) for gene in genes])
    if found.sum() > len(genes) / 2:
        notes.warn(
            "transcripts",
            f"{found.sum()} of {len(genes)} names are transcripts (such as {genes[found][0]}), not "
            "genes: each is taken for a gene of its own, and no gene set knows them. Export the "
            "values of genes instead (in R, tximport with a table of transcripts and genes).",
        )


def merge_genes(x: np.ndarray, genes: np.ndarray, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Make gene ids unique: sum counts and linear values, keep the most expressed of log2.

    Columns whose id is empty are left out.

    Args:
        x: (samples, genes) expression.
        genes: (genes,) ids.
        notes: what was done is added here.
    """
    if (genes == "").any():
        x, genes = x[:, genes != ""], genes[genes != ""]
    unique, first, inverse = np.unique(genes, return_index=True, return_inverse=True)
    if len(unique) == len(genes):
        return x, genes
    log = detect_scale(x) == "log2"
    twice = unique[np.bincount(inverse) > 1]
    keep = np.sort(first)
    merged = x[:, keep].copy()
    by_gene = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    for columns in by_gene:
        if len(columns) == 1:
            continue
        place = np.searchsorted(keep, columns[0])
        if log:
            with np.errstate(invalid="ignore"):
                means = np.nan_to_num(_nanmean(x[:, columns]), nan=-np.inf)
            merged[:, place] = x[:, columns[means.argmax()]]
        else:
            merged[:, place] = x[:, columns].sum(axis=1)
    notes.warn(
        "repeated_genes",
        f"{len(twice)} genes stand several times (such as {', '.join(twice[:3])}): "
        + ("the most expressed of each was kept." if log else "their values were added up."),
    )
    return merged, genes[keep]


def _nanmean(x: np.ndarray) -> np.ndarray:
    """Mean of each column over what isn't missing; NaN for a column without a value."""
    counts = np.isfinite(x).sum(axis=0)
    return np.where(counts > 0, np.nansum(x, axis=0) / np.maximum(counts, 1), np.nan)
