"""Symbols for ids of genes: those that a file gives beside them, and HGNC's of today."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.genes import NO_SYMBOL, clean_genes
from core.data.notes import Notes, Repair
from core.data.roles import plain
from core.data.text import Table
from core.errors import InputError

ID_COLUMNS = ("ensembl_gene_id", "entrez_id", "hgnc_id")
"""Columns of HGNC's complete set with one id a gene of Ensembl, NCBI and HGNC."""
KINDS = {
    "Ensembl ids": re.compile(r"ENSG\d{11}"),
    "Entrez ids": re.compile(r"\d{1,9}"),
    "HGNC ids": re.compile(r"HGNC:\d+"),
}
"""Kinds of ids that have a symbol."""


SYMBOL_NAMES = ("gene_symbol", "symbol", "hgnc_symbol", "hugo_symbol", "gene_symbols", "gene_name",
                "external_gene_name", "feature_name", "gene_short_name", "associated_gene_name",
                "genesymbol")  # fmt: skip
"""Columns of symbols, the surest first."""
COLUMNS_OF_IDS = 10
"""First columns of text that may hold ids beside a column of symbols."""


@dataclass(frozen=True)
class Symbols:
    """What HGNC knows a gene by, other than its symbol."""

    former: dict[str, str]
    """Former symbol -> current symbol."""
    ids: dict[str, str]
    """Id of Ensembl, Entrez or HGNC -> current symbol."""


def read_hgnc(path: Path) -> Symbols:
    """Read HGNC's complete set; former symbols and ids of several genes are left out.

    Raises InputError when it isn't a table with the columns symbol and prev_symbol.
    """
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, usecols=_is_wanted)
        names = table[["symbol", "prev_symbol"]]
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{path.name}: expected HGNC's complete set with the columns symbol and prev_symbol "
            f"({error})."
        ) from None
    current = set(names["symbol"])
    former = _take_single(
        (name.strip(), symbol)
        for symbol, former in names.itertuples(index=False)
        for name in former.split("|")
    )
    ids = _take_single(
        pair
        for column in ID_COLUMNS
        if column in table
        for pair in zip(table[column], table["symbol"], strict=True)
    )
    return Symbols({old: new for old, new in former.items() if old not in current}, ids)


def _is_wanted(column: str) -> bool:
    return column in ("symbol", "prev_symbol", *ID_COLUMNS)


def _take_single(pairs: Collection[tuple[str, str]]) -> dict[str, str]:
    """Name -> symbol for the names that belong to one symbol only."""
    found: dict[str, set[str]] = {}
    for name, symbol in pairs:
        if name:
            found.setdefault(name, set()).add(symbol)
    return {name: next(iter(symbols)) for name, symbols in found.items() if len(symbols) == 1}


def find_ids(genes: Collection[str]) -> str | None:
    """Which of `KINDS` most gene names are; None when they are none of these, or row numbers."""
    if set(genes) <= set(map(str, range(len(genes) + 1))):
        return None
    for kind, pattern in KINDS.items():
        if sum(bool(pattern.fullmatch(gene)) for gene in genes) > len(genes) / 2:
            return kind
    return None


def find_symbols(table: Table) -> dict[str, str]:
    """Id -> symbol, where a table of genes has a column of symbols beside a column of ids."""
    texts = [place for place in range(len(table.names)) if not table.is_number(place)]
    named = {plain(table.names[place]): place for place in reversed(texts)}
    at = next((named[name] for name in SYMBOL_NAMES if name in named), None)
    if at is None and plain(table.names[0]) == "name":  # GCT
        at = named.get("description")
    found: dict[str, str] = {}
    for place in texts[:COLUMNS_OF_IDS] if at is not None else ():
        ids = table.texts(place)
        if place != at and len(set(ids)) == len(ids):
            pairs = zip(ids, table.texts(at), strict=True)
            found |= {gene: name for gene, name in pairs if name not in NO_SYMBOL and name != gene}
    return found


def use_symbols(data: AnnData, beside: Mapping[str, str], notes: Notes, *, wanted: bool) -> AnnData:
    """Name genes by the symbols that the file gives beside their ids, if that is wanted.

    Otherwise a finding tells that gene sets and markers don't know these ids, and offers it.

    Args:
        data: a dataset.
        beside: id as it stands in the file -> symbol.
        notes: what was done or may be done.
        wanted: whether to rename.
    """
    cleaned = clean_genes(np.array(list(beside), dtype=str), Notes()) if beside else ()
    symbols = dict(zip(cleaned, beside.values(), strict=True))
    names = find_new_names(data.var_names, symbols)
    kind = find_ids(data.var_names) or ("ids" if len(names) > data.n_vars / 2 else None)
    if wanted and names:
        old, new = next(iter(names.items()))
        notes.say(
            f"{len(names)} of {data.n_vars} genes are named by the symbols that the file gives "
            f"beside them (such as {new} for {old}); the others have none of their own."
        )
        data.var_names = data.var_names.map(lambda gene: names.get(gene, gene))
        return data
    if kind is not None:
        notes.warn(
            "ids",
            f"Genes are named by {kind}. Gene sets, markers and readers know symbols: "
            + (
                "the file gives them beside."
                if names
                else "the page Data offers to put today's symbols for them."
            ),
            Repair(title="Use the symbols of the file", changes={"symbols": True})
            if names
            else None,
        )
    return data


def find_new_names(genes: Collection[str], symbols: Mapping[str, str]) -> dict[str, str]:
    """Gene -> its symbol today, for those whose symbol no other gene has or gets.

    Args:
        genes: gene ids of a dataset.
        symbols: former symbols or ids, as `read_hgnc` gives them.
    """
    wanted = {gene: symbols[gene] for gene in genes if gene in symbols}
    times = pd.Series(list(wanted.values()) + list(genes), dtype=object).value_counts()
    return {gene: new for gene, new in wanted.items() if times[new] == 1}


def rename_genes(data: AnnData, names: Mapping[str, str], kind: str) -> AnnData:
    """The dataset with some genes under other names, which its notes then say.

    Args:
        data: the dataset.
        names: name in the dataset -> name that the gene gets.
        kind: what the names have been, such as outdated symbols.
    """
    examples = ", ".join(f"{old} to {new}" for old, new in list(names.items())[:3])
    note = f"{len(names)} {kind} became HGNC's current symbols (such as {examples})."
    findings = [one for one in data.uns.get("findings", []) if one["code"] != "ids"]
    return AnnData(
        data.X,
        obs=data.obs,
        var=data.var.rename(index=dict(names)),
        uns={**data.uns, "notes": [*data.uns["notes"], note], "findings": findings},
    )
