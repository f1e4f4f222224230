"""Public data on offer: what they are, what is odd about them, and their files, fetched once.

Datasets, HGNC's symbols, and collections of gene sets.

Addresses and numbers are the publishers'. What could not be confirmed is None, and `unverified`
says so.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from anndata import AnnData

from core.data.apart import unpack_apart
from core.data.formats.asking import detect_format
from core.data.quota import require_room, room
from core.data.read import read_dataset
from core.download import MAX_BYTES, describe_digest, download, hash_file, unfinished
from core.errors import InputError
from core.files import read_json, write_json
from core.home import download_folder, home
from core.records import Registry

OWN = "own-"
"""Begins the name of an entry that a user's address stands behind."""

FileProgress = Callable[[str, int, int | None], None]
"""Called with a file's name, its bytes done and its bytes in all (None: not known)."""


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


def own_entry(url: str) -> PublicDataset:
    """The entry of a matrix at an address of one's own.

    Raises:
        InputError: not an address of http or https.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"Expected an address that begins with http:// or https://, got {url!r}.")
    last = PurePosixPath(unquote(urlsplit(url).path)).name
    file = re.sub(r"[^\w.+()-]", "_", last).lstrip(".")[-100:] or "data"
    return PublicDataset(
        name=OWN + hashlib.sha256(url.encode()).hexdigest()[:12],
        title=file,
        help=f"From {url}.",
        page=url,
        files=(PublicFile(file, url),),
        licence="not known here",
        citation=url,
        matrix=file,
        unverified=("Everything: the address is a user's own.",),
    )


def own_entries() -> list[PublicDataset]:
    """Entries of a user's own addresses of which something has been fetched."""
    notes = sorted((home() / "downloads").glob(f"{OWN}*/*.json"))
    return list({note.parent: own_entry(read_json(note)["url"]) for note in notes}.values())


def find_entry(text: str) -> PublicDataset:
    """The entry of a name or of an address; raises InputError for an unknown name."""
    if "://" in text:
        return own_entry(text)
    return next((own for own in own_entries() if own.name == text), None) or CATALOGUE[text]


def fetch(
    entry: PublicDataset,
    progress: FileProgress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Path]:
    """The entry's files in the folder of downloads, those that are missing downloaded first.

    A kept file is used without any network. One that a user has put there is checked like a
    download. The environment variable GENECANVAS_CATALOGUE_URL names another address to take the
    catalogue's files from, as <address>/<entry>/<file>.

    Raises:
        InputError: as `download` raises it, no room for the files, or a kept file has changed.
        Cancelled: `cancelled` said so; what has arrived is kept, and the next call goes on there.
    """
    return [_fetch_file(entry, file, progress, cancelled) for file in entry.files]


def kept_files(entry: PublicDataset) -> list[Path]:
    """The entry's files if all are kept, else none."""
    paths = [download_folder(entry.name) / file.name for file in entry.files]
    return paths if all(path.exists() and _note(path).exists() for path in paths) else []


def kept(entry: PublicDataset) -> int:
    """Bytes of the entry's files if all are kept, else 0."""
    return sum(path.stat().st_size for path in kept_files(entry))


def forget(entry: PublicDataset) -> None:
    """Delete all that was fetched of an entry."""
    if download_folder(entry.name).exists():
        shutil.rmtree(download_folder(entry.name))


def read_entry(entry: PublicDataset) -> AnnData:
    """The entry's kept files as one dataset; its traps stand in `uns["notes"]`.

    Raises:
        InputError: it isn't fetched, holds no expression, has changed, or can't be read.
    """
    if entry.matrix is None:
        raise InputError(f"{entry.title} holds no expression values, so it is not a dataset.")
    paths = kept_files(entry)
    if not paths:
        raise InputError(f"{entry.title} is not on this computer yet. Fetch it first.")
    for path in paths:
        _check_kept(path)
    with tempfile.TemporaryDirectory(dir=download_folder(entry.name), prefix=".") as folder:
        matrix = _locate(entry.matrix, paths, Path(folder))
        labels = _locate(entry.labels, paths, Path(folder)) if entry.labels else None
        data = read_dataset(matrix, labels)
    data.uns["source"] = entry.title
    data.uns["notes"] = [*data.uns["notes"], *entry.traps]
    return data


@contextmanager
def open_sets(entry: PublicDataset) -> Iterator[Path]:
    """The entry's kept gene sets (GMT) as a file, unpacked for as long as it lasts.

    Raises:
        InputError: it holds no gene sets, isn't fetched, has changed, or can't be read.
    """
    if entry.sets is None:
        known = ", ".join(other.name for other in CATALOGUE if other.sets)
        raise InputError(f"{entry.title} holds no gene sets. These do: {known}.")
    paths = kept_files(entry)
    if not paths:
        raise InputError(
            f"{entry.title} is not on this computer yet. Fetch it first: "
            f"`genecanvas data fetch {entry.name}`, or the page Explain."
        )
    for path in paths:
        _check_kept(path)
    with tempfile.TemporaryDirectory(dir=download_folder(entry.name), prefix=".") as folder:
        yield _locate(entry.sets, paths, Path(folder))


def describe_file(path: Path) -> dict[str, str | int]:
    """What was noted when a file was fetched: url, bytes, sha256, fetched."""
    return read_json(_note(path))


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _address(entry: PublicDataset, file: PublicFile) -> str:
    mirror = os.environ.get("GENECANVAS_CATALOGUE_URL")
    if not mirror or entry.name not in CATALOGUE:
        return file.url
    return f"{mirror.rstrip('/')}/{entry.name}/{quote(file.name)}"


def _fetch_file(
    entry: PublicDataset,
    file: PublicFile,
    progress: FileProgress | None,
    cancelled: Callable[[], bool] | None,
) -> Path:
    path, url = download_folder(entry.name) / file.name, _address(entry, file)
    if path.exists() and _note(path).exists():
        _check_kept(path)
        return path
    if path.exists():  # put there by hand
        sha256 = _check_by_hand(path, file)
    else:
        begun = unfinished(path)
        require_room(max((file.size or 0) - begun, 1), f"The download of {file.name}")
        sha256 = download(
            url,
            path,
            size=file.size,
            digest=file.digest,
            limit=min(MAX_BYTES, room() + begun),
            progress=progress and (lambda done, total: progress(file.name, done, total)),
            cancelled=cancelled,
        )
    note = {
        "url": url,
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "fetched": datetime.now(UTC).isoformat(),
    }
    write_json(_note(path), note)
    return path


def _check_kept(path: Path) -> None:
    expected, got = describe_file(path)["bytes"], path.stat().st_size
    if got != expected:
        raise InputError(
            f"{path} has changed since it was fetched: expected {expected:,} bytes, got {got:,}. "
            "Delete it to have it fetched again."
        )


def _check_by_hand(path: Path, file: PublicFile) -> str:
    """Check a file that a user has put in place; returns its SHA-256."""
    size = path.stat().st_size
    wrong = describe_digest(path, file.digest) if file.digest else ""
    if file.size not in (None, size):
        wrong = f"expected {file.size:,} bytes, got {size:,}"
    if wrong:
        raise InputError(f"{path} is not the file of {file.url}: {wrong}. Delete or replace it.")
    return hash_file(path, "sha256")


def _locate(name: str, paths: list[Path], folder: Path) -> Path:
    """The kept file of that name, or the one that an archive among them holds, unpacked."""
    for path in paths:
        if path.name == name:
            return path
    for path in paths:
        if detect_format(path) != "text" and (place := unpack_apart(path, name, folder)):
            return place
    raise InputError(
        f"Expected {name} in {', '.join(path.name for path in paths)}; it isn't there."
    )
