"""A cohort's genes under the ids that a model knows them by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.catalogue import CATALOGUE
from core.data.fetched import kept_files
from core.data.gene_symbols import KINDS, Symbols, find_ids, read_hgnc
from core.data.genes import ENSEMBL

if TYPE_CHECKING:
    from core.predict.model import Model

WRITTEN = 0.5
"""Share of the names from which they are taken to be of one species."""


@dataclass(frozen=True)
class GeneMatch:
    """A cohort whose genes bear the model's ids wherever they could be told."""

    data: AnnData
    """The cohort; genes that the model doesn't know keep their names."""
    translated: dict[str, str]
    """Name in the cohort -> the model's id of that gene, where they differ."""
    missing: np.ndarray
    """Ids of the model's genes that are not there, in the model's order."""
    notes: list[str]
    """What was translated, what was not and why, a sentence each."""


def match_genes(model: Model | Sequence[str], data: AnnData) -> GeneMatch:
    """Find a model's genes in a cohort by their ids, and by other names that they go by.

    The very same id comes first. Of the other genes, the version of an Ensembl id doesn't count,
    and where HGNC's list has been fetched, former and current symbols and ids of Ensembl, Entrez
    and HGNC are those of one gene. What may be two genes is never translated, nor is a name that
    would make two columns one gene.

    Args:
        model: the model; or ids of genes, all of which it needs.
        data: the cohort.
    """
    if isinstance(model, Sequence | np.ndarray):
        known = painted = list(dict.fromkeys(map(str, model)))
    else:
        known = _unite([fold.preprocessor.all_genes for fold in model.folds])
        painted = _unite([fold.preprocessor.genes for fold in model.folds])
    files = kept_files(CATALOGUE["hgnc"])
    symbols = read_hgnc(files[0]) if files else None
    names = data.var_names.astype(str).tolist()
    translated, unsure = _translate(names, known, symbols)
    if translated:
        renamed = [translated.get(name, name) for name in names]
        data = AnnData(data.X, obs=data.obs, var=pd.DataFrame(index=renamed), uns=data.uns)
    there = set(data.var_names)
    missing = [gene for gene in painted if gene not in there]
    notes = [*_say_translated(translated), *_say_unsure(unsure)]
    if missing and symbols is None:
        notes.append(
            "HGNC's list of symbols and ids is not on this computer, so genes were found by the "
            "same ids only. Fetch it on the page Data, or with `genecanvas data fetch hgnc`: with "
            "it former symbols and ids of Ensembl and Entrez are found as well."
        )
    return GeneMatch(data, translated, np.array(missing, dtype=str), notes)


def shared_genes(own: Sequence[str], data: AnnData) -> list[str]:
    """Genes of the dataset that a model learned from that another cohort has as well.

    Args:
        own: ids of all genes of that dataset.
        data: the cohort, whose genes are found as `match_genes` finds them.
    """
    there = set(match_genes(own, data).data.var_names)
    return [gene for gene in map(str, own) if gene in there]


def _unite(lists: Sequence[np.ndarray]) -> list[str]:
    """All ids, each once, in their order."""
    return list(dict.fromkeys(str(gene) for genes in lists for gene in genes))


def _translate(
    names: Sequence[str], known: Sequence[str], symbols: Symbols | None
) -> tuple[dict[str, str], list[str]]:
    """Name -> the model's id, and the names that were left because it isn't clear."""
    there, wanted = set(names), set(known)
    one_name = dict(zip(known, _name_all(known, symbols), strict=True))
    lacking = [gene for gene in known if gene not in there]
    others = [name for name in names if name not in wanted]
    other_names = dict(zip(others, _name_all(others, symbols), strict=True))
    of_lacking = Counter(one_name[gene] for gene in lacking)
    of_others = Counter(other_names.values())
    taken = {one_name[gene] for gene in known if gene in there}
    meant = {one_name[gene]: gene for gene in lacking}
    found = {name: one for name, one in other_names.items() if one in meant}
    sure = {
        name: meant[one]
        for name, one in found.items()
        if of_lacking[one] == of_others[one] == 1 and one not in taken
    }
    return sure, [name for name in found if name not in sure]


def _name_all(genes: Sequence[str], symbols: Symbols | None) -> list[str]:
    """One name a gene, whatever it is called: its symbol today where that is known."""
    bare = [match[1] + (match[2] or "") if (match := ENSEMBL.fullmatch(g)) else g for g in genes]
    if symbols is None:
        return bare
    ids = symbols.ids
    if find_ids(genes) != "Entrez ids":  # then whole numbers are no ids of genes
        ids = {one: symbol for one, symbol in ids.items() if not one.isdigit()}
    return [ids.get(gene) or symbols.former.get(gene, gene) for gene in bare]


def _say_translated(translated: dict[str, str]) -> list[str]:
    by_kind: dict[str, list[str]] = {}
    for name, gene in translated.items():
        by_kind.setdefault(_kind_of(name, gene), []).append(f"{name} for {gene}")
    return [
        f"{len(pairs):,} {kind} (such as {', '.join(pairs[:3])})."
        for kind, pairs in by_kind.items()
    ]


def _kind_of(name: str, gene: str) -> str:
    if _name_all([name], None) == _name_all([gene], None):
        return "genes have an Ensembl id of another version"
    for kind, pattern in KINDS.items():
        for one, side in ((name, "here"), (gene, "in the model")):
            if pattern.fullmatch(_name_all([one], None)[0]):
                return f"genes are named by {kind} {side}; HGNC's list says which genes these are"
    return "genes have another symbol, former or current; HGNC's list says which genes these are"


def _say_unsure(unsure: Collection[str]) -> list[str]:
    if not unsure:
        return []
    return [
        f"{len(unsure):,} names were left as they are (such as {', '.join(list(unsure)[:3])}): "
        "they would make two columns one gene, or may be either of two genes of the model."
    ]


def written_for(genes: Collection[str]) -> str | None:
    """The species that names of genes are written for; None where they don't tell.

    Symbols of human genes are capitals (BRCA1), those of mouse and rat begin with one (Brca1);
    Ensembl's ids say it.
    """
    names = [str(gene) for gene in genes]
    rodent = sum(name.startswith(("ENSMUSG", "ENSRNOG")) or _is_title(name) for name in names)
    human = sum(
        not name.startswith(("ENSMUSG", "ENSRNOG")) and name.isupper() and not _is_title(name)
        for name in names
    )
    if rodent > WRITTEN * len(names):
        return "mouse or rat"
    return "human" if human > WRITTEN * len(names) else None


def _is_title(name: str) -> bool:
    return name[1:].lower() == name[1:] != name[1:].upper() and name[:1].isupper()
