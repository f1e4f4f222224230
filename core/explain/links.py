"""Where to read on about a gene."""

import re
from urllib.parse import quote

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


def gene_links(gene: str) -> dict[str, str]:
    """Database -> address of a human gene, given by its symbol or its Ensembl id."""
    ensembl = ENSEMBL.fullmatch(gene)
    pages, name = (BY_ENSEMBL, ensembl[1]) if ensembl else (BY_SYMBOL, quote(gene, safe=""))
    return {title: page.format(name) for title, page in pages.items()}
