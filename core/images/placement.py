"""A layout's two halves: an embedding lays genes out on a map, a placement gives them pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.images import annotated, embedding, grid, igtd, places, tree
from core.images.layout import canvas_side
from core.images.places import Genes, Places


@dataclass(frozen=True)
class Embedding:
    """One way to lay out genes on a map, such that similar ones are near each other."""

    embed: Callable[..., np.ndarray]
    """(genes, seed, and its fields by name) -> (genes, 2) points of a plane, or (genes, 1)."""
    fields: tuple[str, ...] = ()
    """Fields of LayoutSpec that it reads."""
    version: int = 1
    """Raised when it gives another map."""


COMPONENTS = Embedding(embedding.embed_by_components)
TSNE = Embedding(embedding.embed_by_tsne, fields=("perplexity",))
UMAP = Embedding(embedding.embed_by_umap, fields=("neighbours", "least_distance"))
KERNEL_COMPONENTS = Embedding(embedding.embed_by_kernel_components)
TREE = Embedding(tree.embed_by_tree)


def smallest_side(genes: Genes, image_size: int) -> int:
    """The smallest canvas that holds the genes, each on a pixel of its own."""
    return canvas_side(len(genes), image_size)


def whole_image(genes: Genes, image_size: int) -> int:
    """A canvas as large as the image."""
    return image_size


@dataclass(frozen=True)
class Placement:
    """One way to give genes pixels."""

    place: Callable[[Genes, np.ndarray | None, int, int], Places]
    """Genes, points of an embedding, side, seed -> places."""
    embeds: bool = True
    """Whether it places the points of an embedding, else it looks at the genes alone."""
    one_per_pixel: bool = True
    by_name: bool = True
    """Whether genes come in the order of their names, else in that of the file."""
    side: Callable[[Genes, int], int] = smallest_side
    """The canvas for an image size where none is given."""
    version: int = 1
    """Raised when it places genes elsewhere."""


ASSIGNED = Placement(grid.place_on_own_pixels)
SORTED = Placement(grid.sort_on_grid)
SHARED = Placement(grid.drop_on_pixels, one_per_pixel=False, side=whole_image)
ALONG_CURVE = Placement(tree.place_along_curve)
BY_RANK_DISTANCE = Placement(igtd.place_by_rank_distance)
IN_ORDER = Placement(places.place_in_order, embeds=False, by_name=False)
AT_RANDOM = Placement(places.place_at_random, embeds=False)
BY_CHROMOSOME = Placement(
    annotated.place_by_chromosome, embeds=False, side=annotated.chromosome_side
)
AS_TREEMAP = Placement(annotated.place_as_treemap, embeds=False)
