"""Public data on offer: what they are, what is odd about them, and where their files are.

Datasets, HGNC's symbols, and collections of gene sets.

Addresses and numbers are the publishers'. What could not be confirmed is None, and `unverified`
says so.
"""

from dataclasses import dataclass
from typing import Any

from core.records import Registry


@dataclass(frozen=True)
class PublicFile:
    """One file on the web."""

    name: str
    """Its name in the folder of downloads."""
    url: str
    size: int | None = None
    """Bytes."""
    digest: str | None = None
    """"sha256:" or "md5:" and the hexadecimal digits."""


@dataclass(frozen=True)
class PublicDataset:
    """A dataset that anyone may fetch."""

    name: str
    title: str
    help: str
    page: str
    """Where its publisher describes it."""
    files: tuple[PublicFile, ...]
    licence: str
    citation: str
    matrix: str | None
    """File with the expression values, on its own or in an archive; None: there are none."""
    sets: str | None = None
    """File with gene sets (GMT), on its own or in an archive; None: there are none."""
    labels: str | None = None
    """File with what is known about the samples, joined by sample id."""
    label: str | None = None
    """Column of the class."""
    samples: int | None = None
    genes: int | None = None
    classes: tuple[tuple[str, int], ...] = ()
    """Class and its samples, as published."""
    traps: tuple[str, ...] = ()
    """Sentences on what misleads or can't be done with this dataset."""
    unverified: tuple[str, ...] = ()
    """Sentences on what could not be confirmed at the publisher's."""

    @property
    def bytes(self) -> int | None:
        """What there is to download; None unless every file's size is known."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(sizes)


_XENA = "Goldman et al. 2020, doi:10.1038/s41587-020-0546-8 (UCSC Xena)"
_XENA_LICENCE = "none stated by UCSC Xena, which asks to be cited"
_MSIGDB = "https://data.broadinstitute.org/gsea-msigdb/msigdb/release/2024.1.Hs/"
_MSIGDB_LICENCE = "CC BY 4.0 (MSigDB's licence terms)"
_MSIGDB_PAGE = "https://www.gsea-msigdb.org/gsea/msigdb/human/collections.jsp"
_MSIGDB_UNVERIFIED = (
    "Size and hash of the file. The address is the one that other programs fetch it from; it "
    "could not be tried where this was built.",
)


def _msigdb(name: str, file: str, **about: Any) -> PublicDataset:
    """A collection of MSigDB's release 2024.1 with gene symbols."""
    return PublicDataset(
        name=name,
        page=_MSIGDB_PAGE,
        files=(PublicFile(file, _MSIGDB + file),),
        matrix=None,
        sets=file,
        **about,
    )


CATALOGUE: Registry[PublicDataset] = Registry(
    "public dataset",
    [
        PublicDataset(
            name="mendeley",
            title="Five tumour types of the paper (Mendeley Data)",
            help="RPKM of 971 genes in 2086 samples of breast, kidney, lung and uterus.",
            page="https://data.mendeley.com/datasets/sf5n64hydt/1",
            files=(
                PublicFile(
                    "sf5n64hydt-1.zip",
                    "https://data.mendeley.com/public-api/zip/sf5n64hydt/download/1",
                ),
            ),
            licence="CC BY 4.0",
            citation="Ferles, Papanikolaou and Naidoo 2018, doi:10.17632/sf5n64hydt.1",
            matrix="cancer types.mat",
            label="cancerTypes",
            samples=2086,
            genes=971,
            classes=(("BRCA", 878), ("KIRC", 537), ("LUAD", 162), ("LUSC", 240), ("UCEC", 269)),
            traps=(
                "The samples are sorted by class, so any split has to shuffle them.",
                "There are no patient ids: samples of one patient can't be kept on one side of a "
                "split, which flatters the result.",
                "Normal tissue is probably among the tumours and can't be told from them.",
            ),
            unverified=(
                "Size and hash of the zip file, and that this address, which is that of the "
                "publisher's other datasets, serves this one.",
            ),
        ),
        PublicDataset(
            name="uci",
            title="Gene expression cancer RNA-Seq (UCI 401)",
            help="Five TCGA tumour types, 801 samples, 20 531 genes without names.",
            page="https://archive.ics.uci.edu/dataset/401/gene+expression+cancer+rna+seq",
            files=(
                PublicFile(
                    "TCGA-PANCAN-HiSeq-801x20531.tar.gz",
                    "https://archive.ics.uci.edu/ml/machine-learning-databases/00401/"
                    "TCGA-PANCAN-HiSeq-801x20531.tar.gz",
                    digest="sha256:"
                    "e6ea3628f9656efa2d7cf382bf5a403e2cc214df3d90312b1928f5650b43a559",
                ),
            ),
            licence="CC BY 4.0",
            citation="Fiorini 2016, doi:10.24432/C5R88H; data: Weinstein et al. 2013, "
            "doi:10.1038/ng.2764 (TCGA)",
            matrix="data.csv",
            labels="labels.csv",
            label="Class",
            samples=801,
            genes=20_531,
            classes=(("BRCA", 300), ("COAD", 78), ("KIRC", 146), ("LUAD", 141), ("PRAD", 136)),
            traps=(
                "Genes have no names (gene_0 to gene_20530): nothing can be explained or enriched.",
                "Sample ids are anonymous (sample_0 …): samples of one patient can't be kept on "
                "one side of a split.",
                "267 genes are 0 in every sample.",
            ),
            unverified=(
                "Size of the file. The dataset's page offers a zip file with this file in it.",
            ),
        ),
        PublicDataset(
            name="tcga",
            title="TCGA pan-cancer (UCSC Xena)",
            help="33 tumour types and adjacent normal tissue, log2(x + 1) of RSEM, gene symbols.",
            page="https://xenabrowser.net/datapages/?dataset=TCGA.PANCAN.sampleMap%2FHiSeqV2"
            "&host=https%3A%2F%2Ftcga.xenahubs.net",
            files=(
                PublicFile(
                    "HiSeqV2.gz",
                    "https://tcga-xena-hub.s3.us-east-1.amazonaws.com/download/"
                    "TCGA.PANCAN.sampleMap%2FHiSeqV2.gz",
                ),
                PublicFile(
                    "TCGA_phenotype_denseDataOnlyDownload.tsv.gz",
                    "https://tcga-pancan-atlas-hub.s3.us-east-1.amazonaws.com/download/"
                    "TCGA_phenotype_denseDataOnlyDownload.tsv.gz",
                ),
            ),
            licence=f"{_XENA_LICENCE}; TCGA open access, TCGA's publication guidelines",
            citation=f"Weinstein et al. 2013, doi:10.1038/ng.2764 (TCGA); {_XENA}",
            matrix="HiSeqV2.gz",
            labels="TCGA_phenotype_denseDataOnlyDownload.tsv.gz",
            label="_primary_disease",
            samples=10_459,
            genes=20_530,
            traps=(
                "_primary_disease doesn't tell tumour from normal tissue of the same patient; "
                "sample_type does. Choose samples by it.",
                "The cohorts were put together without further normalisation, so laboratory and "
                "tumour type can't always be told apart.",
            ),
            unverified=("Sizes and hashes of the files, and samples by class.",),
        ),
        PublicDataset(
            name="gtex",
            title="GTEx normal tissues (UCSC Xena, Toil)",
            help="Healthy tissues of deceased donors, log2(TPM + 0.001), Ensembl gene ids.",
            page="https://xenabrowser.net/datapages/?dataset=gtex_RSEM_gene_tpm"
            "&host=https%3A%2F%2Ftoil.xenahubs.net",
            files=(
                PublicFile(
                    "gtex_RSEM_gene_tpm.gz",
                    "https://toil-xena-hub.s3.us-east-1.amazonaws.com/download/"
                    "gtex_RSEM_gene_tpm.gz",
                    size=545_614_848,
                ),
                PublicFile(
                    "GTEX_phenotype.gz",
                    "https://toil-xena-hub.s3.us-east-1.amazonaws.com/download/GTEX_phenotype.gz",
                    size=82_442,
                ),
            ),
            licence=f"{_XENA_LICENCE}; GTEx open access, the GTEx portal's terms",
            citation=f"Vivian et al. 2017, doi:10.1038/nbt.3772 (Toil); {_XENA}",
            matrix="gtex_RSEM_gene_tpm.gz",
            labels="GTEX_phenotype.gz",
            label="_primary_site",
            samples=7862,
            genes=60_498,
            traps=(
                "A gene without reads is log2(0.001) = -9.97: a floor, not a missing value.",
                "One donor gave many tissues: group the samples by _patient.",
                "_primary_site counts cell lines as tissues; body_site_detail names them.",
                "Large: the values take 1.9 GB of memory.",
            ),
            unverified=(
                "Hashes of the files, and samples by tissue. The sizes are those of one download "
                "in 2026.",
            ),
        ),
        PublicDataset(
            name="hgnc",
            title="HGNC complete set of gene symbols",
            help="Approved, former and alias symbols of all human genes; mends outdated symbols.",
            page="https://www.genenames.org/download/archive/",
            files=(
                PublicFile(
                    "hgnc_complete_set.txt",
                    "https://storage.googleapis.com/public-download-files/hgnc/tsv/tsv/"
                    "hgnc_complete_set.txt",
                ),
            ),
            licence="CC0",
            citation="Genenames.org: the HGNC resources in 2023, Nucleic Acids Research",
            matrix=None,
            traps=("It changes every month: a symbol is mended as of the day it was fetched.",),
            unverified=("Size and hash, as the file changes.",),
        ),
        _msigdb(
            "hallmark",
            "h.all.v2024.1.Hs.symbols.gmt",
            title="Hallmark gene sets (MSigDB 2024.1)",
            help="50 sets of genes that change together in well-known states and processes.",
            licence=_MSIGDB_LICENCE,
            citation="Liberzon et al. 2015, doi:10.1016/j.cels.2015.12.004",
            traps=("Sets are broad: 32 to 200 genes each.",),
            unverified=_MSIGDB_UNVERIFIED,
        ),
        _msigdb(
            "go",
            "c5.go.bp.v2024.1.Hs.symbols.gmt",
            title="Gene Ontology, biological process (MSigDB 2024.1)",
            help="Some thousands of processes, from broad to narrow.",
            licence=f"{_MSIGDB_LICENCE}; Gene Ontology CC BY 4.0",
            citation="Gene Ontology Consortium 2023, doi:10.1093/genetics/iyad031; Liberzon et al. "
            "2011, doi:10.1093/bioinformatics/btr260 (MSigDB)",
            traps=(
                "Terms are nested, so that their sets share most genes: read related ones as one.",
            ),
            unverified=_MSIGDB_UNVERIFIED,
        ),
        PublicDataset(
            name="reactome",
            title="Reactome pathways",
            help="Reactions and pathways that curators have put together from the literature.",
            page="https://reactome.org/download-data",
            files=(
                PublicFile(
                    "ReactomePathways.gmt.zip",
                    "https://reactome.org/download/current/ReactomePathways.gmt.zip",
                ),
            ),
            licence="CC0",
            citation="Milacic et al. 2024, doi:10.1093/nar/gkad1025",
            matrix=None,
            sets="ReactomePathways.gmt",
            traps=(
                "Pathways are nested: read related ones as one.",
                "It changes every three months; the file says nothing about its version.",
            ),
            unverified=(
                "Size and hash, as the file changes. The address is the one that other programs "
                "fetch it from; it could not be tried where this was built.",
            ),
        ),
        _msigdb(
            "wikipathways",
            "c2.cp.wikipathways.v2024.1.Hs.symbols.gmt",
            title="WikiPathways (MSigDB 2024.1)",
            help="Pathways that a community of researchers draws and keeps. WikiPathways' own file "
            "names genes by Entrez ids, MSigDB's by symbols.",
            licence=f"{_MSIGDB_LICENCE}; WikiPathways CC0",
            citation="Agrawal et al. 2024, doi:10.1093/nar/gkad960",
            traps=("Pathways that are drawn in several ways are several sets.",),
            unverified=_MSIGDB_UNVERIFIED,
        ),
    ],
)
