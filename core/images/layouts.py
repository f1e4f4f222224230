"""The layouts on offer, and the one way to fit them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator
from threadpoolctl import threadpool_limits

from core.errors import InputError
from core.images.annotated import chromosome_side, place_as_treemap, place_by_chromosome
from core.images.embedding import (
    place_as_deepinsight,
    place_as_deepinsight_kpca,
    place_as_deepinsight_pca,
    place_as_deepinsight_umap,
    place_by_pca,
    place_by_tsne,
    place_by_umap,
)
from core.images.grid import place_by_components
from core.images.igtd import place_by_rank_distance
from core.images.layout import GeneLayout, canvas_side
from core.images.places import Genes, Places, place_at_random, place_in_order
from core.images.references import read_gene_sets, read_positions, reference_file
from core.images.tree import place_by_tree
from core.records import Registry


class LayoutSpec(BaseModel):
    """Which layout, on how large a canvas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("pca_grid", title="Layout")
    side: int | None = Field(
        None,
        ge=2,
        le=448,
        title="Canvas side",
        description="Pixels a side; empty: the smallest canvas that holds the genes and divides "
        "the image size.",
    )
    reference: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        title="Reference file",
        description="SHA-256 of the gene positions or gene sets that the layout needs.",
    )

    @field_validator("name")
    @classmethod
    def _known_layout(cls, name: str) -> str:
        return LAYOUTS.check(name)


def smallest_side(genes: Genes, image_size: int) -> int:
    """The smallest canvas that holds the genes, each on a pixel of its own."""
    return canvas_side(len(genes), image_size)


def whole_image(genes: Genes, image_size: int) -> int:
    """A canvas as large as the image."""
    return image_size


@dataclass(frozen=True)
class LayoutMethod:
    """One way to place genes: genes, side, seed -> places."""

    name: str
    title: str
    help: str
    reference: str
    complexity: str
    """Time and memory for n genes."""
    learns: bool
    """Whether places depend on the expression, and so on the training samples."""
    place: Callable[[Genes, int, int], Places]
    quick_genes: int
    """Genes up to which one thread takes about a second."""
    one_per_pixel: bool = True
    needs: Literal["positions", "sets"] | None = None
    """The kind of reference file."""
    side: Callable[[Genes, int], int] = smallest_side
    """The canvas for an image size where none is given."""
    version: int = 1
    """Raised when it places genes elsewhere."""


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
    check_reference(spec)
    names = np.asarray(genes, dtype=str)
    order = np.arange(len(names)) if spec.name == "order" else np.argsort(names, kind="stable")
    samples = np.asarray(x if method.learns else x[:0], dtype=np.float32)
    known = Genes(
        names[order],
        samples[:, order],
        reference_file(spec.reference) if spec.reference else None,
    )
    side = spec.side or method.side(known, image_size)
    if image_size % side or (method.one_per_pixel and side * side < len(names)):
        raise InputError(
            f"A canvas of {side} x {side} pixels does not serve {len(names)} genes and images of "
            f"{image_size} x {image_size}: it must hold every gene and divide the image size. "
            f"Leave the side empty or take {method.side(known, image_size)}."
        )
    with threadpool_limits(1):
        row, col, group = method.place(known, side, seed)
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
            learns=True,
            place=place_by_components,
            quick_genes=5000,
        ),
        LayoutMethod(
            name="order",
            title="Order of the file (as in the paper)",
            help="Row by row in the order of the matrix, the rest of the canvas free.",
            reference="Rukhsar et al. 2022, Appl. Sci. 12:1850",
            complexity="n time, n memory",
            learns=False,
            place=place_in_order,
            quick_genes=20_000,
        ),
        LayoutMethod(
            name="random",
            title="Random (control)",
            help="Every gene on a random pixel: what a layout is worth shows beside it.",
            reference="",
            complexity="n time, n memory",
            learns=False,
            place=place_at_random,
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
            learns=True,
            place=place_by_tsne,
            quick_genes=100,
        ),
        LayoutMethod(
            name="umap",
            title="UMAP, one gene per pixel",
            help="A UMAP map of the genes (15 neighbours, least distance 0.1), each then moved to "
            "a pixel of its own: exactly up to 3000 genes, by bisection and swaps beyond.",
            reference="McInnes et al. 2018, arXiv:1802.03426; Crouse 2016, IEEE TAES 52:1679",
            complexity="n^2 time (n^3 up to 3000 genes), n memory (n^2 up to 3000 genes)",
            learns=True,
            place=place_by_umap,
            quick_genes=0,
        ),
        LayoutMethod(
            name="pca",
            title="Principal components, one gene per pixel",
            help="The first two principal components of the genes, each gene then moved to a pixel "
            "of its own: exactly up to 3000 genes, beyond that the same as the PCA grid.",
            reference="Pearson 1901, Phil. Mag. 2:559; Crouse 2016, IEEE TAES 52:1679",
            complexity="n log n time (n^3 up to 3000 genes), n memory (n^2 up to 3000 genes)",
            learns=True,
            place=place_by_pca,
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
            learns=True,
            place=place_by_tree,
            quick_genes=4000,
        ),
        LayoutMethod(
            name="igtd",
            title="Rank distances (IGTD)",
            help="Pixels are as far apart as their genes differ, as far as possible for all pairs "
            "at once: the map as a whole counts, not the nearest neighbours.",
            reference="Zhu et al. 2021, Sci. Rep. 11:11325",
            complexity="n log n time, n memory",
            learns=True,
            place=place_by_rank_distance,
            quick_genes=600,
        ),
        LayoutMethod(
            name="deepinsight",
            title="DeepInsight (t-SNE), shared pixels",
            help="As in the original, for comparison: t-SNE, the smallest rectangle around it, and "
            "the pixel that each gene falls on. Genes on one pixel are averaged.",
            reference="Sharma et al. 2019, Sci. Rep. 9:11399",
            complexity="n^2 time, n memory",
            learns=True,
            place=place_as_deepinsight,
            quick_genes=100,
            one_per_pixel=False,
            side=whole_image,
        ),
        LayoutMethod(
            name="deepinsight_pca",
            title="DeepInsight (PCA), shared pixels",
            help="DeepInsight with two principal components in place of t-SNE. Genes on one pixel "
            "are averaged.",
            reference="Sharma et al. 2019, Sci. Rep. 9:11399",
            complexity="n time, n memory",
            learns=True,
            place=place_as_deepinsight_pca,
            quick_genes=8000,
            one_per_pixel=False,
            side=whole_image,
        ),
        LayoutMethod(
            name="deepinsight_umap",
            title="DeepInsight (UMAP), shared pixels",
            help="DeepInsight with UMAP in place of t-SNE. Genes on one pixel are averaged.",
            reference="Sharma et al. 2019, Sci. Rep. 9:11399; McInnes et al. 2018, "
            "arXiv:1802.03426",
            complexity="n^2 time, n memory",
            learns=True,
            place=place_as_deepinsight_umap,
            quick_genes=0,
            one_per_pixel=False,
            side=whole_image,
        ),
        LayoutMethod(
            name="deepinsight_kpca",
            title="DeepInsight (kernel PCA), shared pixels",
            help="DeepInsight with two kernel principal components (Gaussian kernel) in place of "
            "t-SNE. Genes on one pixel are averaged.",
            reference="Sharma et al. 2019, Sci. Rep. 9:11399; Schölkopf et al. 1998, Neural "
            "Comput. 10:1299",
            complexity="n time, n memory (n^3 and n^2 up to 500 genes)",
            learns=True,
            place=place_as_deepinsight_kpca,
            quick_genes=1000,
            one_per_pixel=False,
            side=whole_image,
        ),
        LayoutMethod(
            name="chromosome",
            title="Position in the genome",
            help="Chromosome after chromosome, each beginning a row where there is room, genes by "
            "position; genes without one at the end. Needs a file of gene positions.",
            reference="",
            complexity="n log n time, n memory",
            learns=False,
            place=place_by_chromosome,
            quick_genes=20_000,
            needs="positions",
            side=chromosome_side,
        ),
        LayoutMethod(
            name="treemap",
            title="Treemap of gene sets",
            help="An area for each gene set, with the sets within it inside; genes of no set at "
            "the end. Needs a file of gene sets (GMT).",
            reference="Shneiderman and Wattenberg 2001, InfoVis 73",
            complexity="n log n time, n memory",
            learns=False,
            place=place_as_treemap,
            quick_genes=2000,
            needs="sets",
        ),
    ],
)
