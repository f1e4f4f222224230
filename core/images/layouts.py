"""The layouts on offer, and the one way to fit them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator
from threadpoolctl import threadpool_limits

from core.errors import InputError
from core.identity import Versioned
from core.images.layout import GeneLayout
from core.images.placement import (
    ALONG_CURVE,
    AS_TREEMAP,
    ASSIGNED,
    AT_RANDOM,
    BY_CHROMOSOME,
    BY_RANK_DISTANCE,
    COMPONENTS,
    IN_ORDER,
    KERNEL_COMPONENTS,
    SHARED,
    SORTED,
    TREE,
    TSNE,
    UMAP,
    Embedding,
    Placement,
)
from core.images.places import Genes, Places
from core.images.references import read_gene_sets, read_positions, reference_file
from core.records import Registry


class LayoutSpec(BaseModel):
    """Which layout, on how large a canvas, and what its embedding leaves open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("pca_grid", title="Layout")
    side: int | None = Field(
        None,
        ge=2,
        le=448,
        title="Canvas side",
        description="Pixels per side; empty: the smallest canvas that holds the genes and divides "
        "the image size.",
    )
    reference: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        title="Reference file",
        description="SHA-256 of the gene positions or gene sets that the layout needs.",
    )
    perplexity: int = Field(
        30,
        ge=2,
        le=200,
        title="Perplexity",
        description="Of t-SNE: about so many genes count as a gene's neighbours.",
    )
    neighbours: int = Field(
        15,
        ge=2,
        le=200,
        title="Neighbours",
        description="Of UMAP: so many genes, itself among them, are joined to each gene.",
    )
    least_distance: float = Field(
        0.1,
        ge=0,
        lt=1,
        title="Least distance",
        description="Of UMAP: how near similar genes may come on its map.",
    )

    @field_validator("name")
    @classmethod
    def _known_layout(cls, name: str) -> str:
        return LAYOUTS.check(name)


@dataclass(frozen=True)
class LayoutMethod:
    """One way to place genes: an embedding of theirs, if it learns any, and a placement."""

    name: str
    title: str
    help: str
    reference: str
    complexity: str
    """Time and memory for n genes."""
    quick_genes: int
    """Genes up to which one thread takes about a second."""
    placement: Placement
    embedding: Embedding | None = None
    needs: Literal["positions", "sets"] | None = None
    """The kind of reference file."""
    version: int = 1
    """Raised when it is put together otherwise; its two halves have versions of their own."""

    def __post_init__(self) -> None:
        if self.placement.embeds != (self.embedding is not None):
            wanted = "an embedding" if self.placement.embeds else "no embedding"
            raise ValueError(f"The placement of the layout {self.name} takes {wanted}.")

    @property
    def learns(self) -> bool:
        """Whether places depend on the expression, and so on the training samples."""
        return self.embedding is not None

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields of LayoutSpec that it reads, beside the canvas and the reference file."""
        return self.embedding.fields if self.embedding else ()

    @property
    def records(self) -> dict[str, Versioned]:
        """The records whose numbers it rests on."""
        halves = {"placement": self.placement, "embedding": self.embedding}
        return {"layout": self, **{name: half for name, half in halves.items() if half}}

    def place(self, genes: Genes, side: int, spec: LayoutSpec, seed: int) -> Places:
        """A pixel for each gene."""
        points = None
        if self.embedding is not None:
            fields = {name: getattr(spec, name) for name in self.fields}
            points = self.embedding.embed(genes, seed, **fields)
        return self.placement.place(genes, points, side, seed)


def check_reference(spec: LayoutSpec) -> None:
    """Make sure that a layout has the reference file that it needs, and no other.

    Raises:
        InputError: none is named, it is not kept here, it is of the wrong kind, or not wanted.
    """
    needs = LAYOUTS[spec.name].needs
    if needs is None:
        if spec.reference is not None:
            raise InputError(f"The layout {spec.name} needs no reference file: leave it empty.")
        return
    wanted = {"positions": "gene positions", "sets": "gene sets (GMT)"}[needs]
    if spec.reference is None:
        raise InputError(
            f"The layout {spec.name} needs a file of {wanted}: add one and choose it, or choose "
            "another layout."
        )
    read = read_positions if needs == "positions" else read_gene_sets
    read(reference_file(spec.reference))


def fit_layout(
    x: np.ndarray, genes: Sequence[str], spec: LayoutSpec, image_size: int, seed: int
) -> GeneLayout:
    """Place genes on a canvas, each on a pixel of its own unless the method says otherwise.

    The result depends neither on the order of the columns (except for `order`, which is that
    order) nor on the number of threads.

    Args:
        x: (samples, genes) prepared expression of training samples.
        genes: ids of the columns.
        spec: which layout, the canvas side if it is to be given, and the reference file.
        image_size: the network's input; the canvas divides it.
        seed: for layouts that draw random numbers.

    Raises:
        InputError: unknown layout, more genes than pixels, or no reference file where one is
            needed.
    """
    method = LAYOUTS[spec.name]
    placement = method.placement
    check_reference(spec)
    names = np.asarray(genes, dtype=str)
    order = np.argsort(names, kind="stable") if placement.by_name else np.arange(len(names))
    samples = np.asarray(x if method.learns else x[:0], dtype=np.float32)
    known = Genes(
        names[order],
        samples[:, order],
        reference_file(spec.reference) if spec.reference else None,
    )
    side = spec.side or placement.side(known, image_size)
    if image_size % side or (placement.one_per_pixel and side * side < len(names)):
        raise InputError(
            f"A canvas of {side} x {side} pixels does not serve {len(names)} genes and images of "
            f"{image_size} x {image_size}: it must hold every gene and divide the image size. "
            f"Leave the side empty or take {placement.side(known, image_size)}."
        )
    with threadpool_limits(1):
        row, col, group = method.place(known, side, spec, seed)
    back = np.argsort(order, kind="stable")
    return GeneLayout(
        spec.name,
        names,
        row[back],
        col[back],
        (side, side),
        None if group is None else group[back],
    )


LAYOUTS = Registry(
    "layout",
    [
        LayoutMethod(
            name="pca_grid",
            title="Similar genes together (PCA grid)",
            help="Genes that rise and fall together over the training samples become neighbours, "
            "each on a pixel of its own.",
            reference="Strong and Gong 2014, IEEE TMM 16:1045; Barthel et al. 2023, CGF 42:e14718",
            complexity="n log n time, n memory",
            embedding=COMPONENTS,
            placement=SORTED,
            quick_genes=5000,
        ),
        LayoutMethod(
            name="order",
            title="Order of the file (as in the paper)",
            help="Row by row in the order of the matrix, the rest of the canvas free.",
            reference="Rukhsar et al. 2022, Appl. Sci. 12:1850",
            complexity="n time, n memory",
            placement=IN_ORDER,
            quick_genes=20_000,
        ),
        LayoutMethod(
            name="random",
            title="Random (control)",
            help="Every gene on a random pixel: what a layout is worth shows beside it.",
            reference="",
            complexity="n time, n memory",
            placement=AT_RANDOM,
            quick_genes=20_000,
        ),
        LayoutMethod(
            name="tsne",
            title="t-SNE, one gene per pixel",
            help="A t-SNE map of the genes, each then moved to a pixel of its own: exactly up to "
            "3000 genes, by bisection and swaps beyond.",
            reference="van der Maaten 2014, JMLR 15:3221; Linderman et al. 2019, Nat. Methods "
            "16:243; Crouse 2016, IEEE TAES 52:1679",
            complexity="n^2 time (n^3 up to 3000 genes), n memory (n^2 up to 3000 genes)",
            embedding=TSNE,
            placement=ASSIGNED,
            quick_genes=100,
        ),
        LayoutMethod(
            name="umap",
            title="UMAP, one gene per pixel",
            help="A UMAP map of the genes, each then moved to "
            "a pixel of its own: exactly up to 3000 genes, by bisection and swaps beyond.",
            reference="McInnes et al. 2018, arXiv:1802.03426; Crouse 2016, IEEE TAES 52:1679",
            complexity="n^2 time (n^3 up to 3000 genes), n memory (n^2 up to 3000 genes)",
            embedding=UMAP,
            placement=ASSIGNED,
            quick_genes=0,
        ),
        LayoutMethod(
            name="pca",
            title="Principal components, one gene per pixel",
            help="The first two principal components of the genes, each gene then moved to a pixel "
            "of its own: exactly up to 3000 genes, beyond that the same as the PCA grid.",
            reference="Pearson 1901, Phil. Mag. 2:559; Crouse 2016, IEEE TAES 52:1679",
            complexity="n log n time (n^3 up to 3000 genes), n memory (n^2 up to 3000 genes)",
            embedding=COMPONENTS,
            placement=ASSIGNED,
            quick_genes=1000,
        ),
        LayoutMethod(
            name="hierarchical",
            title="Correlation tree along a Hilbert curve",
            help="Genes in the leaf order of a tree of similar genes, wound up along a "
            "space-filling curve: a branch is a patch.",
            reference="Ward 1963, JASA 58:236; Gruvaeus and Wainer 1972, BJMSP 25:200; "
            "Hilbert 1891, Math. Ann. 38:459",
            complexity="n^2 time, n memory",
            embedding=TREE,
            placement=ALONG_CURVE,
            quick_genes=4000,
        ),
        LayoutMethod(
            name="igtd",
            title="Rank distances (IGTD)",
            help="Pixels are as far apart as their genes differ, as far as possible for all pairs "
            "at once: the map as a whole counts, not the nearest neighbours.",
            reference="Zhu et al. 2021, Sci. Rep. 11:11325",
            complexity="n log n time, n memory",
            embedding=COMPONENTS,
            placement=BY_RANK_DISTANCE,
            quick_genes=600,
        ),
        LayoutMethod(
            name="deepinsight",
            title="DeepInsight (t-SNE), shared pixels",
            help="As in the original, for comparison: t-SNE, the smallest rectangle around it, and "
            "the pixel that each gene falls on. Genes on one pixel are averaged.",
            reference="Sharma et al. 2019, Sci. Rep. 9:11399",
            complexity="n^2 time, n memory",
            embedding=TSNE,
            placement=SHARED,
            quick_genes=100,
        ),
        LayoutMethod(
            name="deepinsight_pca",
            title="DeepInsight (PCA), shared pixels",
            help="DeepInsight with two principal components in place of t-SNE. Genes on one pixel "
            "are averaged.",
            reference="Sharma et al. 2019, Sci. Rep. 9:11399",
            complexity="n time, n memory",
            embedding=COMPONENTS,
            placement=SHARED,
            quick_genes=8000,
        ),
        LayoutMethod(
            name="deepinsight_umap",
            title="DeepInsight (UMAP), shared pixels",
            help="DeepInsight with UMAP in place of t-SNE. Genes on one pixel are averaged.",
            reference="Sharma et al. 2019, Sci. Rep. 9:11399; McInnes et al. 2018, "
            "arXiv:1802.03426",
            complexity="n^2 time, n memory",
            embedding=UMAP,
            placement=SHARED,
            quick_genes=0,
        ),
        LayoutMethod(
            name="deepinsight_kpca",
            title="DeepInsight (kernel PCA), shared pixels",
            help="DeepInsight with two kernel principal components (Gaussian kernel) in place of "
            "t-SNE. Genes on one pixel are averaged.",
            reference="Sharma et al. 2019, Sci. Rep. 9:11399; Schölkopf et al. 1998, Neural "
            "Comput. 10:1299",
            complexity="n time, n memory (n^3 and n^2 up to 500 genes)",
            embedding=KERNEL_COMPONENTS,
            placement=SHARED,
            quick_genes=1000,
        ),
        LayoutMethod(
            name="chromosome",
            title="Position in the genome",
            help="Chromosome after chromosome, each beginning a row where there is room, genes by "
            "position; genes without one at the end. Needs a file of gene positions.",
            reference="",
            complexity="n log n time, n memory",
            placement=BY_CHROMOSOME,
            quick_genes=20_000,
            needs="positions",
        ),
        LayoutMethod(
            name="treemap",
            title="Treemap of gene sets",
            help="An area for each gene set, with the sets within it inside; genes of no set at "
            "the end. Needs a file of gene sets (GMT).",
            reference="Shneiderman and Wattenberg 2001, InfoVis 73",
            complexity="n log n time, n memory",
            placement=AS_TREEMAP,
            quick_genes=2000,
            needs="sets",
        ),
    ],
)
