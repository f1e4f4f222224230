"""Who a gene is by HGNC, and where to read on about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from core.errors import InputError

ENSEMBL = re.compile(r"(ENSG\d{11})(?:\.\d+)?")
BY_SYMBOL = {
    "GeneCards": "https://www.genecards.org/cgi-bin/carddisp.pl?gene={}",
    "HGNC": "https://www.genenames.org/tools/search/#!/?query={}",
    "NCBI Gene": "https://www.ncbi.nlm.nih.gov/gene/?term={}%5Bsym%5D+AND+human%5Borgn%5D",
    "Ensembl": "https://www.ensembl.org/Homo_sapiens/Gene/Summary?g={}",
    "UniProt": "https://www.uniprot.org/uniprotkb?query=gene_exact:{}+AND+organism_id:9606",
    "Human Protein Atlas": "https://www.proteinatlas.org/search/{}",
    "cBioPortal": "https://www.cbioportal.org/ln?q={}",
    "Open Targets": "https://platform.opentargets.org/search?q={}&page=1",
}
BY_ENSEMBL = {
    "GeneCards": BY_SYMBOL["GeneCards"],
    "HGNC": BY_SYMBOL["HGNC"],
    "NCBI Gene": "https://www.ncbi.nlm.nih.gov/gene/?term={}",
    "Ensembl": BY_SYMBOL["Ensembl"],
    "UniProt": "https://www.uniprot.org/uniprotkb?query={}",
    "Human Protein Atlas": "https://www.proteinatlas.org/{}",
    "Open Targets": "https://platform.opentargets.org/target/{}",
}
"""cBioPortal knows no Ensembl ids."""
BY_ID = {
    "HGNC": ("hgnc", "https://www.genenames.org/data/gene-symbol-report/#!/hgnc_id/{}"),
    "NCBI Gene": ("entrez", "https://www.ncbi.nlm.nih.gov/gene/{}"),
    "Ensembl": ("ensembl", BY_SYMBOL["Ensembl"]),
    "UniProt": ("uniprot", "https://www.uniprot.org/uniprotkb/{}/entry"),
    "Human Protein Atlas": ("ensembl", BY_ENSEMBL["Human Protein Atlas"]),
    "cBioPortal": ("symbol", BY_SYMBOL["cBioPortal"]),
    "Open Targets": ("ensembl", BY_ENSEMBL["Open Targets"]),
}
"""Database -> the id that it knows a gene by, and its page."""
HGNC_COLUMNS = {
    "symbol": "symbol", "name": "name", "hgnc_id": "hgnc", "ensembl_gene_id": "ensembl",
    "entrez_id": "entrez", "uniprot_ids": "uniprot",
}  # fmt: skip


@dataclass(frozen=True)
class GeneIds:
    """What a human gene is called; empty where HGNC knows no such id."""

    symbol: str
    name: str
    hgnc: str
    ensembl: str
    entrez: str
    uniprot: str
    """The first, where a gene has several proteins"""


def read_gene_ids(path: Path) -> dict[str, GeneIds]:
    """Symbol, and Ensembl id -> all ids of a gene, out of HGNC's complete set.

    Raises InputError when it isn't a table with these columns.
    """
    try:
        table = pd.read_csv(
            path, sep="\t", usecols=list(HGNC_COLUMNS), dtype=str, keep_default_na=False
        )
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path.name}: expected HGNC's complete set with the columns "
            f"{', '.join(HGNC_COLUMNS)} ({error})."
        ) from None
    table = table.rename(columns=HGNC_COLUMNS)
    table["uniprot"] = table["uniprot"].str.split("|").str[0]
    genes = [GeneIds(**row) for row in table.to_dict("records")]
    return {ids.ensembl: ids for ids in genes if ids.ensembl} | {ids.symbol: ids for ids in genes}


def find_ids(gene: str, known: Mapping[str, GeneIds]) -> GeneIds | None:
    """The ids of a gene, given by its symbol or its Ensembl id with or without version."""
    ensembl = ENSEMBL.fullmatch(gene)
    return known.get(ensembl[1] if ensembl else gene)


def gene_links(gene: str, ids: GeneIds | None = None) -> dict[str, str]:
    """Database -> address of a human gene.

    Args:
        gene: its symbol or its Ensembl id.
        ids: with these the address is the gene's own page rather than a search.
    """
    ensembl = ENSEMBL.fullmatch(gene)
    pages, name = (BY_ENSEMBL, ensembl[1]) if ensembl else (BY_SYMBOL, quote(gene, safe=""))
    links = {title: page.format(name) for title, page in pages.items()}
    if ids is not None:
        own = ((title, page, getattr(ids, kind)) for title, (kind, page) in BY_ID.items())
        links |= {title: page.format(quote(known, safe=":")) for title, page, known in own if known}
    return links
