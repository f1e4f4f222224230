"""Layouts and the imager: every gene has one place, and the picture is what a slow loop paints."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from core.errors import InputError
from core.images.imager import IMAGENET_MEAN, IMAGENET_SD, GeneImager
from core.images.layout import GeneLayout, canvas_side
from core.images.layouts import LAYOUTS, LayoutSpec, bisect, fit_layout


def profiles(samples: int, genes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Prepared expression with modules of ten genes, and the genes' names."""
    rng = np.random.default_rng(seed)
    modules = rng.normal(size=(samples, -(-genes // 10)))
    x = modules[:, np.arange(genes) // 10] + 0.5 * rng.normal(size=(samples, genes))
    names = np.array([f"G{number:05d}" for number in rng.permutation(genes)])
    return (x / 8 + 0.5).astype(np.float32), names


def fit(
    name: str, genes: int, image_size: int = 32, seed: int = 0
) -> tuple[GeneLayout, np.ndarray]:
    x, names = profiles(40, genes)
    return fit_layout(x, names, LayoutSpec(name=name), image_size, seed), x


@pytest.mark.parametrize("name", LAYOUTS.names)
@settings(max_examples=15, deadline=None)
@given(genes=st.integers(2, 300), seed=st.integers(0, 5))
def test_every_gene_has_a_pixel_of_its_own(name: str, genes: int, seed: int) -> None:
    layout, _ = fit(name, genes, seed=seed)
    assert layout.shared_pixels() == 0
    assert sorted(layout.genes) == sorted(profiles(40, genes)[1])
    for gene in layout.genes:
        assert layout.genes_at(*layout.pixel_of(gene)) == [gene]
    values = np.arange(genes, dtype=np.float32)
    image = layout.image(values)
    assert np.array_equal(image[layout.row, layout.col], values)
    assert np.isnan(image).sum() == image.size - genes


@pytest.mark.parametrize("name", LAYOUTS.names)
def test_a_layout_saves_and_loads_and_other_files_are_refused(name: str, tmp_path: Path) -> None:
    layout, _ = fit(name, 50)
    path = tmp_path / "layout.npz"
    layout.save(path)
    loaded = GeneLayout.load(path)
    assert (loaded.name, loaded.shape) == (layout.name, layout.shape)
    for field in ("genes", "row", "col"):
        assert np.array_equal(getattr(loaded, field), getattr(layout, field))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"layout\.npz is not a gene layout"):
        GeneLayout.load(path)


def test_the_order_layout_is_row_major() -> None:
    layout, _ = fit("order", 5, image_size=33)
    assert layout.shape == (3, 3)
    assert layout.row.tolist() == [0, 0, 0, 1, 1]
    assert layout.col.tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("name", ["random", "pca_grid"])
def test_places_do_not_hang_on_the_order_of_columns_or_on_threads(name: str) -> None:
    x, names = profiles(60, 200)
    order = np.random.default_rng(1).permutation(200)
    places = []
    for columns, threads in ((np.arange(200), 1), (order, 1), (np.arange(200), 2)):
        with threadpool_limits(threads):
            layout = fit_layout(x[:, columns], names[columns], LayoutSpec(name=name), 32, seed=3)
        places.append({gene: layout.pixel_of(gene) for gene in names})
    assert places[0] == places[1] == places[2]


def test_the_pca_grid_brings_genes_of_a_module_together() -> None:
    distances = {}
    for name in ("pca_grid", "random"):
        layout, _ = fit(name, 250)
        _, names = profiles(40, 250)
        order = [layout.genes.tolist().index(gene) for gene in names]
        places = np.c_[layout.row, layout.col][order].reshape(25, 10, 2)
        distances[name] = np.abs(places - places.mean(axis=1, keepdims=True)).mean()
    assert distances["pca_grid"] < 0.5 * distances["random"]


def test_bisection_of_a_grid_is_the_grid() -> None:
    points = np.array([(row, col) for row in range(4) for col in range(4)], dtype=float)
    row, col = bisect(points, 4)
    assert np.array_equal(np.c_[row, col], points)


@pytest.mark.parametrize(("genes", "size", "side"), [(971, 224, 32), (1000, 64, 32), (1, 32, 1)])
def test_the_canvas_is_the_smallest_that_divides_the_image(
    genes: int, size: int, side: int
) -> None:
    assert canvas_side(genes, size) == side


def test_too_many_genes_are_refused() -> None:
    with pytest.raises(InputError, match="1025 genes don't fit on an image of 32 x 32"):
        canvas_side(1025, 32)
    x, names = profiles(10, 50)
    with pytest.raises(InputError, match="Leave the side empty or take 8"):
        fit_layout(x, names, LayoutSpec(side=5), 32, 0)


def test_reindexing_keeps_places_and_names_genes_that_do_not_match() -> None:
    layout, _ = fit("random", 20)
    turned = layout.reindex(layout.genes[::-1])
    assert all(turned.pixel_of(gene) == layout.pixel_of(gene) for gene in layout.genes)
    other = [*layout.genes[1:], "TP53"]
    with pytest.raises(InputError, match=f"Not in the data: {layout.genes[0]}.*layout: TP53"):
        layout.reindex(other)


@settings(max_examples=20, deadline=None)
@given(genes=st.integers(1, 16), factor=st.integers(1, 4), seed=st.integers(0, 99))
def test_the_imager_paints_what_a_slow_loop_paints(genes: int, factor: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.permutation(16)[:genes]
    layout = GeneLayout(
        "test", np.array([f"G{n}" for n in range(genes)]), pixels // 4, pixels % 4, (4, 4)
    )
    x = rng.random((3, genes)).astype(np.float32)
    expected = np.zeros((3, 3, 4 * factor, 4 * factor), dtype=np.float32)
    for sample in range(3):
        for gene in range(genes):
            for channel in range(3):
                value = (x[sample, gene] - IMAGENET_MEAN[channel]) / IMAGENET_SD[channel]
                for down in range(factor):
                    for across in range(factor):
                        row = layout.row[gene] * factor + down
                        column = layout.col[gene] * factor + across
                        expected[sample, channel, row, column] = value
    images = GeneImager(layout, 4 * factor)(torch.from_numpy(x))
    assert np.allclose(images.numpy(), expected, atol=1e-5)


def test_genes_that_share_a_pixel_are_averaged_and_counted() -> None:
    zeros = np.zeros(2, dtype=np.int64)
    layout = GeneLayout("shared", np.array(["A", "B"]), zeros, zeros, (1, 1))
    assert layout.shared_pixels() == 2
    assert layout.image(np.array([1.0, 3.0])).item() == 2
    assert GeneImager(layout, 1).pixels(torch.tensor([[1.0, 3.0]])).item() == 2


def test_the_imagers_gradient_is_exact() -> None:
    layout, _ = fit("pca_grid", 12, image_size=8)
    imager = GeneImager(layout, 8).double()
    x = torch.rand(2, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(imager, (x,))


def test_a_canvas_that_does_not_divide_the_image_is_refused() -> None:
    layout = GeneLayout("order", np.array(["A"]), np.array([0]), np.array([0]), (5, 5))
    with pytest.raises(InputError, match="by a whole factor"):
        GeneImager(layout, 32)
