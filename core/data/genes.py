"""Gene ids as laboratories write them: versions, pairs of ids, dates that Excel made, repeats."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.notes import Notes
from core.data.profile import detect_scale
from core.errors import InputError

ENSEMBL = re.compile(r"(ENS[A-Z]*[GT]\d{6,})\.\d+(_PAR_Y)?")
PAIR = re.compile(r"([^|]+)\|(\d+)")
"""SYMBOL|ENTREZ, as TCGA's RSEM tables have it; the symbol is ? where there is none."""
NOT_GENES = re.compile(r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)")
"""Rows in which counting tools put reads without a gene."""
DAY_MONTH = re.compile(r"0?(\d{1,2})[-. ](Mar|Sep|Dec)[a-z]*", re.IGNORECASE)
MONTH_DAY = re.compile(r"(Mar|Sep|Dec)[a-z]*[-. ]0?(\d{1,2})", re.IGNORECASE)
ISO_DATE = re.compile(r"\d{4}-(03|09|12)-(\d{2})( 00:00:00)?")
DATE_GENES = {
    **{("mar", day): f"MARCHF{day}" for day in range(1, 12)},
    **{("sep", day): f"SEPTIN{day}" for day in range(1, 15) if day != 13},
    ("sep", 15): "SELENOF",
    ("dec", 1): "DELEC1",
}
"""Month and day -> the gene's symbol today (Bruford et al. 2020, Nat. Genet. 52:754)."""


def clean_genes(genes: np.ndarray, notes: Notes) -> np.ndarray:
    """One id a gene, without version, second id or date; what was changed is added to `notes`.

    Rows that are no genes, or whose gene can't be known, become the empty text.
    """
    genes = np.array([gene.strip() for gene in genes.astype(str)], dtype=object)
    for clean in (_take_symbols, _strip_versions, _undo_dates):
        genes = clean(genes, notes)
    stray = np.array([bool(NOT_GENES.fullmatch(gene)) for gene in genes])
    if stray.any():
        notes.say(
            f"{stray.sum()} rows that count reads without a gene were left out (such as "
            f"{genes[stray][0]})."
        )
        genes[stray] = ""
    return genes.astype(str)


def _take_symbols(genes: np.ndarray, notes: Notes) -> np.ndarray:
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


def _undo_dates(genes: np.ndarray, notes: Notes) -> np.ndarray:
    """Give the genes back that a spreadsheet turned into dates."""
    repaired = np.array([_gene_of_date(gene) for gene in genes], dtype=object)
    changed = np.array([new is not None for new in repaired])
    if not changed.any():
        return genes
    times = pd.Series(repaired[changed]).value_counts()
    unsure = set(times.index[times > 1])
    pairs = sorted(
        {f"{old} to {new}" for old, new in zip(genes[changed], repaired[changed], strict=True)
         if new not in unsure}
    )  # fmt: skip
    if pairs:
        notes.say(
            f"{len(pairs)} genes that a spreadsheet had turned into dates were repaired: "
            f"{', '.join(pairs[:5])}."
        )
    if unsure:
        olds = sorted({old for old, new in zip(genes, repaired, strict=True) if new in unsure})
        notes.warn(
            "dates_of_two_genes",
            f"Left out, because two genes became the same date: {', '.join(olds)} (MARCHF1 and "
            "MTARC1, for instance, both become 1-Mar).",
        )
    fixed = np.where(changed, repaired, genes)
    fixed[[gene in unsure and was for gene, was in zip(fixed, changed, strict=True)]] = ""
    return fixed


def _gene_of_date(text: str) -> str | None:
    """MARCHF1 for 1-Mar, Mar-01 or 2021-03-01; None for what isn't such a date."""
    if match := DAY_MONTH.fullmatch(text):
        day, month = int(match[1]), match[2].lower()
    elif match := MONTH_DAY.fullmatch(text):
        day, month = int(match[2]), match[1].lower()
    elif match := ISO_DATE.fullmatch(text):
        day, month = int(match[2]), {"03": "mar", "09": "sep", "12": "dec"}[match[1]]
    else:
        return None
    return DATE_GENES.get((month, day))


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


def read_hgnc(path: Path) -> dict[str, str]:
    """Former symbol -> current symbol out of HGNC's complete set; ambiguous ones are left out.

    Raises InputError when it isn't a table with the columns symbol and prev_symbol.
    """
    try:
        table = pd.read_csv(
            path, sep="\t", usecols=["symbol", "prev_symbol"], dtype=str, keep_default_na=False
        )
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path.name}: expected HGNC's complete set with the columns symbol and prev_symbol "
            f"({error})."
        ) from None
    current = set(table["symbol"])
    former: dict[str, set[str]] = {}
    for symbol, names in zip(table["symbol"], table["prev_symbol"], strict=True):
        for name in filter(None, names.split("|")):
            former.setdefault(name.strip(), set()).add(symbol)
    return {
        name: next(iter(symbols))
        for name, symbols in former.items()
        if len(symbols) == 1 and name not in current
    }


def find_outdated(genes: Collection[str], hgnc: Mapping[str, str]) -> dict[str, str]:
    """Outdated symbol -> today's, for genes whose current symbol isn't there already.

    Args:
        genes: gene ids of a dataset.
        hgnc: what `read_hgnc` gives.
    """
    present = set(genes)
    taken: dict[str, str] = {}
    for gene in genes:
        new = hgnc.get(gene)
        if new is not None and new not in present and new not in taken.values():
            taken[gene] = new
    return taken


def rename_genes(data: AnnData, names: Mapping[str, str]) -> AnnData:
    """The dataset with some genes under other names, which its notes then say."""
    examples = ", ".join(f"{old} to {new}" for old, new in list(names.items())[:3])
    renamed = AnnData(
        data.X,
        obs=data.obs,
        var=data.var.rename(index=dict(names)),
        uns={**data.uns, "notes": [
            *data.uns["notes"],
            f"{len(names)} outdated symbols became HGNC's current ones (such as {examples}).",
        ]},
    )  # fmt: skip
    return renamed
